//! Performances of small line models with initial weights: properties that hold for any weights.

use super::*;
use crate::config::{InitialTensor, LineConfig, NetworkConfig};
use crate::generate::StepSettings;
use crate::generate::testing::{RowPerformer as Performer, given as given_row, row_of};
use crate::tokeniser::line_reader::LineFeature;
use crate::tokeniser::step_reader::Controls;
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
/// A phrase that is clearly in C major.
const SEED: [u8; 10] = [60, 64, 67, 65, 64, 62, 71, 67, 62, 60];

fn pitches() -> String {
    (40..100).map(|pitch| format!("{pitch} ")).collect()
}

fn melody(home_key: HomeKey) -> Performer {
    performer(&format!("/ r _ {}", pitches()), home_key)
}

fn events(home_key: HomeKey) -> Performer {
    performer(&words_of_events(), home_key)
}

fn words_of_events() -> String {
    let triads: String = (0..12)
        .map(|root| {
            let chord = crate::lexicon::Chord::normal_order(&[root, root + 4, root + 7]).unwrap();
            format!("{{{}}} ", chord.as_slice().iter().map(u8::to_string).collect::<Vec<_>>().join("."))
        })
        .collect();
    format!("/ r {}{triads}60.64 62.65.69 x1 x2 x3 x4 x8", pitches())
}

fn performer(words: &str, home_key: HomeKey) -> Performer {
    // Large weights, so that the earlier music matters.
    performer_with(words, home_key, 8.0)
}

/// A performer whose weights, but those of the LSTM, are `scale` times the initial ones.
fn performer_with(words: &str, home_key: HomeKey, scale: f32) -> Performer {
    let lexicon = Lexicon::parse(words).unwrap();
    let config = NetworkConfig::Line(LineConfig {
        vocab_size: lexicon.len(),
        embedding: 12,
        features: vec![LineFeature::Beat, LineFeature::Held],
        lstm: vec![16],
        dense: Vec::new(),
        dropout: 0.0,
        row_dropout: 0.0,
        weight_dropout: 0.0,
        context_events: 12,
        home_key,
    });
    let tensors = config.initial_tensors(3).into_iter().map(|InitialTensor { name, mut values, .. }| {
        if !name.ends_with("bias") {
            let by = if name.starts_with("lstm") { 1.5 } else { scale };
            values.iter_mut().for_each(|x| *x *= by);
        }
        (name, values)
    });
    let tensors = tensors.collect();
    let description = Description {
        format: FORMAT,
        name: "Test".into(),
        config,
        vocabulary: lexicon.hash().to_string(),
        lexicon: Some(lexicon.spelling()),
        recipe: String::new(),
        sampling: None,
        corpora: Vec::new(),
        commit: String::new(),
        figures: Default::default(),
    };
    let weights = Weights::new(description, tensors).unwrap();
    Performer::new(crate::generate::network(&weights).unwrap().performer())
}

fn performers() -> [Performer; 2] {
    [melody(HomeKey::CMajorAMinor), events(HomeKey::CMajorAMinor)]
}

type Row = [Symbol; NUM_VOICES];

fn step(step_idx: i64, given: [Option<Symbol>; NUM_VOICES]) -> Step {
    let step_in_beat = step_idx.rem_euclid(4) as usize;
    Step { step_idx, step_in_beat, given: given_row(given), attack: false, settings: SETTINGS }
}

/// Gives a phrase in eighths to the soprano, from step 0 on.
fn give(performer: &mut Performer, phrase: &[u8]) {
    for (n, &pitch) in (0..).zip(phrase) {
        for (step_idx, symbol) in [(2 * n, Pitch(pitch)), (2 * n + 1, Hold)] {
            let mut given = [None; NUM_VOICES];
            given[0] = Some(symbol);
            assert_eq!(performer.step(&step(step_idx, given)), [symbol, Rest, Rest, Rest]);
        }
    }
}

fn play(performer: &mut Performer, steps: std::ops::Range<i64>, settings: StepSettings) -> Vec<Row> {
    let first = steps.start;
    let ask = |step_idx| Step { settings, attack: step_idx == first, ..step(step_idx, [None; NUM_VOICES]) };
    steps.map(|step_idx| performer.step(&ask(step_idx))).collect()
}

fn starts(rows: &[Row]) -> usize {
    rows.iter().filter(|row| row.iter().any(|symbol| matches!(symbol, Pitch(_)))).count()
}

#[test]
fn equal_states_and_settings_give_equal_decisions() {
    for mut performer in performers() {
        let mut whole = |phrase: &[u8]| {
            performer.reset();
            give(&mut performer, phrase);
            play(&mut performer, 20..100, SETTINGS)
        };
        let first = whole(&SEED);
        assert!(starts(&first) > 8, "{first:?}");
        assert_eq!(whole(&SEED), first);
        assert_ne!(whole(&SEED[2..]), first, "the player's phrase matters");
        performer.reset();
        give(&mut performer, &SEED);
        let saved = performer.state();
        assert_eq!(play(&mut performer, 20..60, SETTINGS), first[..40]);
        let within = performer.state();
        assert_eq!(play(&mut performer, 60..61, SETTINGS).len(), 1);
        performer.rewind(&saved);
        assert_eq!(play(&mut performer, 20..60, SETTINGS), first[..40]);
        performer.rewind(&within);
        let rest: Vec<_> = (60..100).map(|i| performer.step(&step(i, [None; NUM_VOICES]))).collect();
        assert_eq!(rest, first[40..]);
        let other = StepSettings { rng_seed: 8, ..SETTINGS };
        performer.rewind(&saved);
        assert_ne!(play(&mut performer, 20..60, other), first[..40]);
    }
}

#[test]
fn a_replay_leads_to_the_same_state() {
    for mut performer in performers() {
        give(&mut performer, &SEED);
        let saved = performer.state();
        let steps: Vec<_> = (20..60).map(|i| step(i, [None; NUM_VOICES])).collect();
        let decisions: Vec<_> = steps.iter().map(|step| performer.performer.decide(step)).collect();
        performer.rewind(&saved);
        performer.performer.replay(&mut steps[..27].iter().copied().zip(decisions.iter().copied()));
        let again: Vec<_> = steps[27..].iter().map(|step| performer.performer.decide(step)).collect();
        assert_eq!(again, decisions[27..]);
        // Replaying another outcome has the same effect as a player who gives it.
        let row = [Pitch(90), Rest, Rest, Rest];
        performer.rewind(&saved);
        performer.step(&Step { given: given_row(row.map(Some)), ..steps[0] });
        let heard = play(&mut performer, 21..60, SETTINGS);
        performer.rewind(&saved);
        let mut decision = Decision::SILENCE;
        decision.push(crate::decision::Edge::On { lane: 0, key: 90, velocity: 0, tick: 0 });
        assert_eq!(row_of(&decision), row);
        performer.performer.replay(&mut std::iter::once((steps[0], decision)));
        assert_eq!(performer.state().state::<LineState>().memory.sounding[0], Some(90));
        assert_eq!(play(&mut performer, 21..60, SETTINGS), heard);
    }
}

#[test]
fn it_continues_in_the_key_of_the_player() {
    let continued = |performer: &mut Performer, up: u8| {
        performer.reset();
        give(performer, &SEED.map(|pitch| pitch + up));
        play(performer, 20..120, SETTINGS)
    };
    let up = |rows: &[Row], semitones: u8| -> Vec<Row> {
        let higher = |symbol| if let Pitch(pitch) = symbol { Pitch(pitch + semitones) } else { symbol };
        rows.iter().map(|row| row.map(higher)).collect()
    };
    for mut performer in performers() {
        let first = continued(&mut performer, 0);
        assert!(starts(&first) > 8);
        assert_eq!(continued(&mut performer, 3), up(&first, 3));
        assert_eq!(continued(&mut performer, 6), up(&first, 6));
    }
    // Without a home key, nothing is transposed.
    let mut performer = melody(HomeKey::None);
    let first = continued(&mut performer, 0);
    assert_ne!(continued(&mut performer, 3), up(&first, 3));
}

#[test]
fn the_nearest_way_leads_to_the_home_key() {
    let home = |key| home_shift(Some(key), HomeKey::CMajorAMinor);
    assert_eq!([0, 2, 5, 6, 7, 11].map(home), [0, -2, -5, -6, 5, 1]);
    assert_eq!([21, 12, 16, 15].map(home), [0, -3, 5, -6]); // A, C, E and E flat minor
    assert_eq!((home_shift(None, HomeKey::CMajorAMinor), home_shift(Some(2), HomeKey::None)), (0, 0));
    assert_eq!((shifted(126, 5), shifted(2, -5), shifted(60, -5)), (119, 9, 55));
}

#[test]
fn notes_last_as_long_as_the_drawn_duration() {
    let mut performer = events(HomeKey::CMajorAMinor);
    give(&mut performer, &SEED);
    let (mut lengths, mut chords) = (Vec::new(), 0);
    for row in play(&mut performer, 20..400, SETTINGS) {
        let sounding = row.iter().filter(|symbol| **symbol != Rest).count();
        // The notes are in the voices from the top.
        assert!(row[sounding..].iter().all(|symbol| *symbol == Rest), "{row:?}");
        if starts(&[row]) > 0 {
            let pitches: Vec<u8> = row.iter().filter_map(|s| if let Pitch(p) = s { Some(*p) } else { None }).collect();
            assert_eq!(pitches.len(), sounding, "the notes of an event start together: {row:?}");
            assert!(pitches.windows(2).all(|pair| pair[0] > pair[1]), "{row:?}");
            chords += usize::from(sounding > 1);
            lengths.push(1);
        } else if row.contains(&Hold) {
            *lengths.last_mut().unwrap() += 1;
        }
    }
    lengths.pop(); // the last note may continue
    assert!(chords > 3, "{chords} chords");
    assert!(lengths.iter().all(|steps| [1, 2, 3, 4, 8].contains(steps)), "{lengths:?}");
    assert!(lengths.contains(&8) && lengths.contains(&1));
}

#[test]
fn other_voices_rest_where_some_are_given() {
    for mut performer in performers() {
        play(&mut performer, 0..9, SETTINGS);
        let alto = [None, Some(Pitch(64)), None, Some(Hold)];
        assert_eq!(performer.step(&step(9, alto)), [Rest, Pitch(64), Rest, Rest]);
        assert_eq!(performer.sounding, [None, Some(64), None, None]);
    }
}

#[test]
fn the_first_step_after_a_silence_starts_a_note() {
    for mut performer in performers() {
        for rng_seed in 0..100 {
            performer.reset();
            give(&mut performer, &SEED[..2]);
            let row = play(&mut performer, 8..9, StepSettings { rng_seed, ..SETTINGS })[0];
            assert!(matches!(row[0], Pitch(_)), "{row:?}");
        }
    }
}

#[test]
fn a_loop_leads_to_a_restart() {
    for mut performer in performers() {
        give(&mut performer, &SEED);
        // At temperature 0 an untrained network repeats itself.
        let settings = StepSettings { sampler: Sampler { temperature: 0.0, ..Sampler::PLAIN }, ..SETTINGS };
        let rows = play(&mut performer, 20..1000, settings);
        let restarts = performer.state().state::<LineState>().memory.restarts;
        assert!(restarts > 1, "{restarts} restarts");
        assert!(starts(&rows) > 50);
        let mut different: Vec<_> = rows.iter().map(|row| format!("{row:?}")).collect();
        different.sort_unstable();
        different.dedup();
        assert!(different.len() > 12, "only {} different rows", different.len());
    }
}

#[test]
fn snapping_draws_only_notes_of_the_scale() {
    let scale = |key, rows: &[Row]| {
        let pitches = rows.iter().flatten().filter_map(|s| if let Pitch(p) = s { Some(p % 12) } else { None });
        let (inside, all) = pitches
            .fold((0, 0), |(inside, all), class| (inside + i32::from(key::contains(key::scale(key), class)), all + 1));
        assert!(all > 10);
        inside == all
    };
    for mut performer in performers() {
        let snapped = StepSettings { snap: true, ..SETTINGS };
        let in_d = SEED.map(|pitch| pitch + 2);
        give(&mut performer, &in_d);
        let saved = performer.state();
        assert!(!scale(2, &play(&mut performer, 20..120, SETTINGS)));
        performer.rewind(&saved);
        assert!(scale(2, &play(&mut performer, 20..120, snapped)), "the estimated key");
        performer.rewind(&saved);
        let with_key = StepSettings { controls: Controls { key: Some(18), ..Controls::default() }, ..snapped };
        assert!(scale(18, &play(&mut performer, 20..120, with_key)), "the key control");
    }
}

#[test]
fn the_last_note_is_the_tonic_and_starts() {
    for mut performer in performers() {
        for (key, control) in [(2, None), (2, Some(2)), (18, Some(18)), (5, Some(5))] {
            performer.reset();
            give(&mut performer, &SEED.map(|pitch| pitch + 2));
            for rng_seed in 0..20 {
                let controls = Controls { key: control, ..Controls::default() };
                let settings = StepSettings { rng_seed, controls, ..SETTINGS };
                let saved = performer.state();
                // From anywhere, also from within a note.
                play(&mut performer, 20..26, settings);
                let row = performer.step(&Step {
                    settings: StepSettings { closes: true, ..settings },
                    ..step(26, [None; NUM_VOICES])
                });
                performer.rewind(&saved);
                let mut pitches = row.iter().filter_map(|s| if let Pitch(p) = s { Some(*p) } else { None });
                let lowest = pitches.clone().min();
                assert_eq!(lowest.map(|pitch| pitch % 12), Some(key::tonic(key)), "{key}: {row:?}");
                let third = if key::is_minor(key) { [3, 4] } else { [4, 4] };
                let degree = |pitch: u8| (pitch + 12 - key::tonic(key)) % 12;
                assert!(pitches.all(|p| [0, 7].contains(&degree(p)) || third.contains(&degree(p))), "{key}: {row:?}");
            }
        }
    }
}

#[test]
fn snapped_to_a_scale_the_last_notes_stay_in_it() {
    // Without the tonic, C; with nothing of the triad on it.
    for scale in [0b1010_1011_0100, 0b100_0000_0100] {
        for mut performer in [melody(HomeKey::None), events(HomeKey::None)] {
            let controls = Controls { key: Some(0), ..Controls::default() };
            let settings = StepSettings { controls, scale: Some(scale), snap: true, closes: true, ..SETTINGS };
            let allowed = if scale & 0b1001_0001 == 0 { scale } else { scale & 0b1001_0001 };
            let mut count = 0;
            for rng_seed in 0..16 {
                performer.reset();
                give(&mut performer, &SEED);
                let row = performer
                    .step(&Step { settings: StepSettings { rng_seed, ..settings }, ..step(20, [None; NUM_VOICES]) });
                for symbol in row {
                    if let Pitch(pitch) = symbol {
                        count += 1;
                        assert!(key::contains(allowed, pitch), "{scale:b}: {row:?}");
                    }
                }
            }
            assert!(count > 8, "{scale:b}: {count} notes");
        }
    }
}

#[test]
fn a_low_temperature_cools_pitches_and_not_rhythm() {
    // These networks are less sure of themselves than the others here.
    let words = [format!("/ r _ {}", pitches()), words_of_events()];
    for mut performer in words.map(|words| performer_with(&words, HomeKey::None, 3.0)) {
        let states: Vec<_> = (1..SEED.len())
            .map(|count| {
                performer.reset();
                give(&mut performer, &SEED[..count]);
                (2 * count as i64, performer.state())
            })
            .collect();
        // Which kind of word comes: the number of notes that start, or a hold, or a rest; and the top note.
        let mut drawn = |temperature: f32, cools_rhythm: bool| -> Vec<(usize, bool, Option<u8>)> {
            let sampler = Sampler { temperature, ..Sampler::PLAIN };
            let one = |rng_seed: u64| {
                let (step_idx, state) = &states[rng_seed as usize % states.len()];
                performer.rewind(state);
                let settings = StepSettings { sampler, rng_seed, cools_rhythm, ..SETTINGS };
                let row = performer.step(&Step { settings, ..step(*step_idx, [None; NUM_VOICES]) });
                let notes: Vec<u8> =
                    row.iter().filter_map(|s| if let Pitch(p) = s { Some(*p) } else { None }).collect();
                (notes.len(), row.contains(&Hold), notes.first().copied())
            };
            (0..900).map(one).collect()
        };
        let kinds = |draws: &[(usize, bool, Option<u8>)]| draws.iter().map(|d| (d.0, d.1)).collect::<Vec<_>>();
        let tops = |draws: &[(usize, bool, Option<u8>)]| {
            draws.iter().filter_map(|draw| draw.2).collect::<std::collections::BTreeSet<_>>().len()
        };
        let (learnt, cool, all_cool) = (drawn(1.0, false), drawn(0.02, false), drawn(0.02, true));
        assert_eq!(kinds(&learnt), kinds(&cool));
        assert!(tops(&cool) < tops(&learnt) / 2, "{} of {} pitches", tops(&cool), tops(&learnt));
        assert_ne!(kinds(&learnt), kinds(&all_cool));
    }
}

#[test]
fn durations_are_drawn_as_learnt() {
    let mut performer = events(HomeKey::CMajorAMinor);
    give(&mut performer, &SEED);
    let saved = performer.state();
    let mut lengths = |cools_rhythm: bool| {
        // So cool that each draw would take the likeliest word.
        let sampler = Sampler { temperature: 0.01, ..Sampler::PLAIN };
        let length = |rng_seed| {
            performer.rewind(&saved);
            let settings = StepSettings { sampler, rng_seed, cools_rhythm, ..SETTINGS };
            let rows = play(&mut performer, 20..29, settings);
            rows[1..].iter().take_while(|row| row.contains(&Hold)).count()
        };
        (0..100).map(length).collect::<std::collections::BTreeSet<_>>().len()
    };
    // One of the five lengths is rare.
    let (learnt, cool) = (lengths(false), lengths(true));
    assert!(learnt >= 4 && cool == 1, "{learnt} {cool}");
}

#[test]
fn symbol_weights_make_rests_and_long_notes_rarer() {
    for mut performer in performers() {
        let mut count = |rest_weight: f32, hold_weight: f32| {
            performer.reset();
            let sampler = Sampler { rest_weight, hold_weight, ..Sampler::PLAIN };
            let rows = play(&mut performer, 0..3000, StepSettings { sampler, ..SETTINGS });
            (rows.iter().filter(|row| row[0] == Rest).count(), starts(&rows))
        };
        let ((rests, notes), (no_rests, _), (_, fewer), (_, more)) =
            (count(1.0, 1.0), count(0.0, 1.0), count(1.0, 2.0), count(1.0, 0.0));
        assert!(rests > 0 && no_rests == 0, "{rests} rests, without them {no_rests}");
        assert!(fewer < notes && notes < more, "{fewer} {notes} {more}");
    }
}
