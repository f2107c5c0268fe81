//! Performances of small networks with initial weights: properties that hold for any weights.

use super::*;
use crate::config::{Feature, FeatureKind, InitialTensor, NetworkConfig, SplitConfig, StackConfig};
use crate::generate::StepSettings;
use crate::generate::testing::{RowPerformer as Performer, Symbols, given as given_row};
use crate::sampling::Sampler;
use crate::tokeniser::grid::CellReader;
use crate::tokeniser::step_reader::{Controls, StepFeature, StepReader};
use crate::weights_file::{Description, FORMAT, Weights};
use Symbol::{Hold, Pitch, Rest};

const SETTINGS: StepSettings = StepSettings {
    sampler: Sampler::PLAIN,
    rng_seed: 7,
    pass: 0,
    strict: false,
    controls: Controls::NONE,
    scale: None,
    snap: false,
    favours_scale: false,
    closes: false,
    cools_rhythm: false,
};

/// A performer of a stack, which decides voices from the top.
fn performer() -> Performer {
    with(NetworkConfig::Stack(StackConfig {
        features: vec![Feature { kind: FeatureKind::Sounding, width: 4 }],
        convolutions: Vec::new(),
        lstm: vec![12],
        ..StackConfig::chorale(48)
    }))
}

/// A performer of a stack and one of a split network.
fn performers() -> [Performer; 2] {
    let split = SplitConfig {
        vocab_size: 48,
        features: vec![StepFeature::Sounding, StepFeature::Echo],
        embedding: 8,
        lstm: vec![12],
        head: 8,
        head_layers: 1,
        dropout: 0.0,
        row_dropout: 0.0,
        weight_dropout: 0.0,
    };
    [performer(), with(NetworkConfig::Split(split))]
}

fn with(config: NetworkConfig) -> Performer {
    // Large output weights, so that the given voices matter.
    let tensors = config.initial_tensors(3).into_iter().map(|InitialTensor { name, mut values, .. }| {
        if name.contains("weight") {
            let by = if name.starts_with("dense") { 6.0 } else { 20.0 };
            values.iter_mut().for_each(|x| *x *= by);
        }
        (name, values)
    });
    let tensors = tensors.collect();
    let description = Description {
        format: FORMAT,
        name: "Test".into(),
        config,
        vocabulary: Vocabulary::GRID.hash().to_string(),
        lexicon: None,
        recipe: String::new(),
        sampling: None,
        corpora: Vec::new(),
        commit: String::new(),
        figures: Default::default(),
    };
    let weights = Weights::new(description, tensors).unwrap();
    Performer::new(crate::generate::network(&weights).unwrap().performer())
}

fn step(step_idx: i64, given: [Option<Symbol>; 4]) -> Step {
    let step_in_beat = step_idx.rem_euclid(4) as usize;
    Step { step_idx, step_in_beat, given: given_row(given), attack: false, settings: SETTINGS }
}

const FREE: Option<Symbol> = None;

fn given(symbol: Symbol) -> Option<Symbol> {
    Some(symbol)
}

/// The key that a performer estimates.
fn estimated_key(performer: &Performer) -> Option<u8> {
    let state = performer.state();
    let of_stack = state.0.downcast_ref::<GridState<CellReader>>().map(GridState::key);
    of_stack.unwrap_or_else(|| state.state::<GridState<StepReader>>().key())
}

#[test]
fn given_voices_are_kept_whichever_they_are() {
    for mut performer in performers() {
        for subset in 0..16_u8 {
            performer.reset();
            let pitches = [Pitch(72), Pitch(64), Pitch(57), Pitch(45)];
            let ask = std::array::from_fn(|v| if subset >> v & 1 == 1 { given(pitches[v]) } else { FREE });
            let row = performer.step(&step(0, ask));
            for voice in 0..4 {
                assert!(subset >> voice & 1 == 0 || row[voice] == pitches[voice], "subset {subset:04b}: {row:?}");
            }
        }
    }
}

#[test]
fn silence_is_not_held_and_an_attack_has_no_holds() {
    for mut performer in performers() {
        for rng_seed in 0..200 {
            performer.reset();
            let settings = StepSettings { rng_seed, ..SETTINGS };
            let first = performer.step(&Step { settings, ..step(0, [given(Hold), FREE, FREE, FREE]) });
            assert_eq!(first[0], Rest);
            assert!(!first.contains(&Hold), "{first:?}");
            for step_idx in 1..4 {
                performer.step(&Step { settings, ..step(step_idx, [FREE; 4]) });
            }
            let attack = performer.step(&Step { settings, attack: true, ..step(4, [FREE; 4]) });
            assert!(!attack.contains(&Hold) && !attack.contains(&Rest), "{attack:?}");
        }
    }
}

#[test]
fn a_step_is_a_function_of_what_went_before_and_its_number() {
    for mut performer in performers() {
        let play = |performer: &mut Performer, range: std::ops::Range<i64>| -> Vec<_> {
            range.map(|i| performer.step(&step(i, [FREE; 4]))).collect()
        };
        let whole = play(&mut performer, 0..40);
        performer.reset();
        play(&mut performer, 0..17);
        let saved = performer.state();
        let tail = play(&mut performer, 17..40);
        assert_eq!(tail, whole[17..]);
        play(&mut performer, 40..60);
        performer.rewind(&saved);
        assert_eq!(play(&mut performer, 17..40), tail);
    }
}

#[test]
fn the_voices_above_a_given_bass_follow_it() {
    // With a given bass, the voices above must follow their distribution conditional on this bass. It is estimated from
    // draws of all four voices, of which only those with this bass are kept.
    let mut performer = performer();
    let bass = Pitch(45);
    let mut soprano = |row_given: [Option<Symbol>; 4], keep: &dyn Fn(&Symbols) -> bool, draws: u64| -> Vec<f64> {
        let mut counts = vec![0.0; 48];
        let mut kept = 0.0;
        for rng_seed in 0..draws {
            performer.reset();
            let row = performer.step(&Step { settings: StepSettings { rng_seed, ..SETTINGS }, ..step(0, row_given) });
            if keep(&row) {
                counts[usize::from(Vocabulary::GRID.token(row[0]))] += 1.0;
                kept += 1.0;
            }
        }
        assert!(kept > 200.0, "too few draws to compare: {kept}");
        counts.into_iter().map(|count| count / kept).collect()
    };
    let truth = soprano([FREE; 4], &|row| row[3] == bass, 40_000);
    let blind = soprano([FREE; 4], &|_| true, 4_000);
    let heard = soprano([FREE, FREE, FREE, given(bass)], &|_| true, 4_000);
    let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>() / 2.0;
    let (deaf, hearing) = (distance(&truth, &blind), distance(&truth, &heard));
    assert!(hearing < 0.75 * deaf, "{hearing} is not nearer to the truth than {deaf}");
}

#[test]
fn strict_settings_make_no_parallels_and_break_loops() {
    for mut performer in performers() {
        let mut parallels = |strict: bool| -> usize {
            let mut count = 0;
            for rng_seed in 0..40 {
                performer.reset();
                let mut before: Row = [None; NUM_VOICES];
                for step_idx in 0..32 {
                    let settings = StepSettings { rng_seed, strict, ..SETTINGS };
                    performer.step(&Step { settings, ..step(step_idx, [FREE; 4]) });
                    let now: Row = performer.sounding;
                    count +=
                        rules::PAIRS.iter().filter(|&&pair| rules::parallel(&before, &now, pair).is_some()).count();
                    before = now;
                }
            }
            count
        };
        assert!(parallels(false) > 50);
        assert_eq!(parallels(true), 0);
    }
}

#[test]
fn a_loop_is_left() {
    for mut performer in performers() {
        // At temperature 0 an untrained network repeats itself.
        let settings = StepSettings { sampler: Sampler { temperature: 0.0, ..Sampler::PLAIN }, ..SETTINGS };
        let mut longest = 0;
        let mut since_new = 0;
        let mut rows = Vec::new();
        for step_idx in 0..400 {
            let row = performer.step(&Step { settings, ..step(step_idx, [FREE; 4]) });
            since_new = if rows.iter().rev().take(16).any(|before| *before == row) { since_new + 1 } else { 0 };
            longest = longest.max(since_new);
            rows.push(row);
        }
        assert!(longest < 100, "{longest} steps without a new row");
    }
}

#[test]
fn snapping_keeps_to_the_key_control_or_the_estimated_key() {
    let out_of = |key: u8, row: &[Symbol; 4]| -> usize {
        row.iter().filter(|symbol| matches!(symbol, Pitch(pitch) if !key::contains(key::scale(key), *pitch))).count()
    };
    for mut performer in performers() {
        let mut faults = |snap: bool, control: Option<u8>| -> usize {
            performer.reset();
            let settings =
                StepSettings { snap, controls: Controls { key: control, ..Controls::default() }, ..SETTINGS };
            // D major, long enough for an estimate.
            let chords = [[74, 69, 66, 50], [73, 69, 64, 45], [71, 67, 62, 55], [74, 69, 66, 50]];
            for (n, chord) in (0..).zip(chords) {
                performer.step(&step(n, chord.map(|pitch| given(Pitch(pitch)))));
            }
            let mut faults = 0;
            for n in 4..68 {
                let key = control.or_else(|| estimated_key(&performer)).expect("enough music has sounded");
                assert!(n > 4 || control.is_some() || key == 2);
                faults += out_of(key, &performer.step(&Step { settings, ..step(n, [FREE; 4]) }));
            }
            faults
        };
        assert!(faults(false, None) > 10 && faults(false, Some(8)) > 10);
        assert_eq!((faults(true, None), faults(true, Some(8))), (0, 0));
    }
}

/// Checks a chord of which `is_drawn` says which voices the network chose: the last one in `key`.
fn check_last_chord(key: u8, row: &[Symbol; 4], is_drawn: impl Fn(usize) -> bool) {
    let degrees = row.map(|symbol| match symbol {
        Pitch(pitch) => (pitch + 12 - key::tonic(key)) % 12,
        other => panic!("expected a note, got {other:?} in {row:?}"),
    });
    let has = |degree: u8| degrees.contains(&degree);
    let is_right = |voice: usize| match degrees[voice] {
        0 => true,
        4 => !(key::is_minor(key) && has(3)),
        3 => key::is_minor(key),
        degree => degree == 7,
    };
    assert!((0..4).all(|voice| !is_drawn(voice) || is_right(voice)), "{key}: {row:?}");
    assert!(has(3) || has(4) || !is_drawn(2), "{key}: {row:?} has no third");
    assert!(!is_drawn(3) || degrees[3] == 0, "{key}: the bass of {row:?}");
    assert!(!is_drawn(0) || degrees[0] == 0, "{key}: the soprano of {row:?}");
}

#[test]
fn the_last_chord_is_the_tonic_triad_on_the_tonic() {
    for mut performer in performers() {
        for (key, rng_seed) in (0..key::NUM_KEYS as u8).flat_map(|key| (0..4).map(move |seed| (key, seed))) {
            let controls = Controls { key: Some(key), ..Controls::default() };
            let settings = StepSettings { rng_seed, strict: true, controls, ..SETTINGS };
            let closing = StepSettings { closes: true, ..settings };
            performer.reset();
            let chord = [72, 67, 60, 48].map(|pitch| given(Pitch(pitch)));
            performer.step(&step(0, chord));
            for n in 1..4 {
                performer.step(&Step { settings, ..step(n, [FREE; 4]) });
            }
            let saved = performer.state();
            let row = performer.step(&Step { settings: closing, ..step(4, [FREE; 4]) });
            check_last_chord(key, &row, |_| true);
            for voice in 0..4 {
                // The player's note need not fit.
                performer.rewind(&saved);
                let mut row_given = [FREE; 4];
                row_given[voice] = given(Pitch([70, 63, 58, 49][voice]));
                let row = performer.step(&Step { settings: closing, ..step(4, row_given) });
                check_last_chord(key, &row, |other| other != voice);
            }
        }
    }
}

#[test]
fn snapped_to_a_scale_the_last_chord_stays_in_it() {
    // Without the tonic; with nothing of the triad on it; and with the tonic but without a third.
    for scale in [0b1010_1011_0100, 0b100_0000_0100, 0b1_0000_0001] {
        for (mut performer, rng_seed) in (0..8).flat_map(|seed| performers().map(|performer| (performer, seed))) {
            let controls = Controls { key: Some(0), ..Controls::default() };
            let settings = StepSettings { rng_seed, controls, scale: Some(scale), snap: true, ..SETTINGS };
            let closing = StepSettings { closes: true, ..settings };
            performer.step(&step(0, [72, 67, 60, 48].map(|pitch| given(Pitch(pitch)))));
            let row = performer.step(&Step { settings: closing, ..step(4, [FREE; 4]) });
            for symbol in row {
                let Pitch(pitch) = symbol else { panic!("expected a note, got {symbol:?} in {row:?}") };
                let triad = scale & 0b1001_0001;
                assert!(key::contains(if triad == 0 { scale } else { triad }, pitch), "{scale:b}: {row:?}");
            }
        }
    }
}

#[test]
fn without_a_key_the_last_chord_is_in_the_estimated_one() {
    for mut performer in performers() {
        for n in 0..4 {
            performer.step(&step(n, [74, 69, 66, 50].map(|pitch| given(Pitch(pitch)))));
        }
        assert_eq!(estimated_key(&performer), Some(2));
        let settings = StepSettings { closes: true, ..SETTINGS };
        check_last_chord(2, &performer.step(&Step { settings, ..step(4, [FREE; 4]) }), |_| true);
    }
}

#[test]
fn symbol_weights_make_rests_and_holds_rarer() {
    for mut performer in performers() {
        let mut count = |rest_weight: f32, hold_weight: f32| -> [usize; 2] {
            performer.reset();
            let sampler = Sampler { rest_weight, hold_weight, ..Sampler::PLAIN };
            let settings = StepSettings { sampler, ..SETTINGS };
            let rows: Vec<_> = (0..100).map(|n| performer.step(&Step { settings, ..step(n, [FREE; 4]) })).collect();
            [Rest, Hold].map(|symbol| rows.iter().flatten().filter(|s| **s == symbol).count())
        };
        let (plain, no_rests, no_holds) = (count(1.0, 1.0), count(0.0, 1.0), count(1.0, 0.0));
        assert!(plain[0] > 0 && no_rests[0] == 0, "{plain:?} {no_rests:?}");
        // This network hardly ever draws a hold.
        let (more_rests, more_holds) = (count(1e3, 1.0), count(1.0, 1e6));
        assert!(
            more_rests[0] > plain[0] && more_holds[1] > plain[1] && no_holds[1] == 0,
            "{more_rests:?} {more_holds:?}"
        );
    }
}
