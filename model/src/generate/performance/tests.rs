//! Performances of untrained networks: what holds whatever the weights are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::*;
use crate::config::{InitialTensor, NetworkConfig};
use crate::decision::Sounding;
use crate::generate::StepSettings;
use crate::note_tokens::vocabulary_hash;
use crate::random::SplitMix64;
use crate::weights_file::{FORMAT, Weights};

fn performer(lanes: usize) -> NotePerformer {
    let config = format!(
        r#"{{"kind": "performance", "lanes": {lanes}, "velocities": true, "ranges": {:?}, "embedding": 24,
            "lstm": [24], "head": 16, "head_layers": 1, "dropout": 0.0}}"#,
        vec![[40, 80]; lanes]
    );
    let config: NetworkConfig = serde_json::from_str(&config).unwrap();
    let description = Description {
        format: FORMAT,
        name: "Test".into(),
        config,
        vocabulary: vocabulary_hash(),
        lexicon: None,
        recipe: String::new(),
        corpora: Vec::new(),
        commit: String::new(),
        figures: BTreeMap::new(),
        sampling: None,
    };
    // An untrained network rests for long; this one prefers short advances.
    let tensor = |tensor: InitialTensor| match tensor.name.as_str() {
        "out.advance.bias" => (tensor.name, (0..tensor.values.len()).map(|steps| -0.8 * steps as f32).collect()),
        _ => (tensor.name, tensor.values),
    };
    let tensors = description.config.initial_tensors(3).into_iter().map(tensor).collect();
    let weights = Weights::new(description, tensors).unwrap();
    let NetworkConfig::Performance(config) = &weights.description.config else { panic!("a performance model") };
    NotePerformer::new(Arc::new(config.pack(&weights)))
}

fn step(step_idx: i64, given: Given, rng_seed: u64) -> Step {
    let settings = StepSettings { sampler: Sampler::PLAIN, rng_seed, ..StepSettings::default() };
    Step { step_idx, step_in_beat: step_idx.rem_euclid(4) as usize, given, attack: false, settings }
}

/// The player strikes and holds some keys in each step, on lane 0 or on all lanes.
fn hands(n: i64, lanes: Lanes, held: &mut BTreeSet<u8>, rng: &mut SplitMix64) -> Given {
    let mut given = Given { lanes, notes: Decision::SILENCE };
    for _ in 0..rng.next_below(3) {
        let (key, tick) = (50 + rng.next_below(20) as u8, rng.next_below(24) as u8);
        let edge = if held.remove(&key) {
            Edge::Off { lane: 0, key, tick }
        } else {
            held.insert(key);
            Edge::On { lane: 0, key, velocity: 1 + (n % 126) as u8, tick }
        };
        given.notes.push(edge);
    }
    given.notes.sounding = Sounding::NONE;
    held.iter().for_each(|key| given.notes.sounding.insert(0, *key));
    given
}

/// A long session: turns of the player's and the network's, accompaniment, and jumps.
fn session(performer: &mut NotePerformer, steps: i64, rng_seed: u64) -> Vec<(Step, Decision)> {
    let mut rng = SplitMix64::new(rng_seed);
    let (mut held, mut decided, mut at) = (BTreeSet::new(), Vec::new(), 0);
    for n in 0..steps {
        let mode = n / 24 % 3;
        at += if n % 97 == 96 { rng.next_below(400) as i64 - 200 } else { 1 };
        let given = match mode {
            0 => hands(n, Lanes::ALL, &mut held, &mut rng),
            1 => hands(n, Lanes::NONE.with(0), &mut held, &mut rng),
            _ => Given::NOTHING,
        };
        if mode == 2 {
            held.clear();
        }
        let step = Step { attack: n % 24 == 0 && mode == 2, ..step(at, given, rng_seed) };
        decided.push((step, performer.decide(&step)));
    }
    decided
}

#[test]
fn every_note_ends_and_none_sounds_twice() {
    let (mut sounding, mut before, mut last) = (Sounding::NONE, Lanes::NONE, 0);
    for (n, (step, decision)) in session(&mut performer(2), 3000, 5).iter().enumerate() {
        let given = step.given.lanes;
        // A lane's notes end when it passes from the player to the network or back, and at a jump.
        let jumps = step.step_idx != last + 1;
        let changed = Lanes::from_fn(|lane| jumps || given.contains(lane) != before.contains(lane));
        changed.iter().for_each(|lane| sounding.clear_lane(lane));
        (before, last) = (given, step.step_idx);
        let mut own = 0;
        for edge in decision.edges().iter().filter(|edge| !given.contains(edge.lane())) {
            match *edge {
                Edge::On { lane, key, velocity, .. } => {
                    assert!(!sounding.contains(lane, key), "step {n}: {edge:?} sounds already");
                    assert!((40..=80).contains(&key) && (1..128).contains(&velocity) && lane < 2, "step {n}: {edge:?}");
                    sounding.insert(lane, key);
                    own += 1;
                }
                Edge::Off { lane, key, .. } => sounding.remove(lane, key),
            }
        }
        assert!(own <= MAX_NOTES && (!step.attack || own > 0), "step {n}: {own} notes");
        for lane in (0..2).filter(|lane| !given.contains(*lane)) {
            let left: Vec<u8> = decision.sounding.keys(lane).collect();
            // After a jump the notes from before it are over.
            sounding.clear_lane(lane);
            left.iter().for_each(|key| sounding.insert(lane, *key));
        }
        let accounted: Vec<_> = decision.sounding.iter().filter(|(lane, _)| !given.contains(*lane)).collect();
        assert!(accounted.iter().all(|(lane, key)| sounding.contains(*lane, *key)), "step {n}: {accounted:?}");
        for (lane, key) in step.given.notes.sounding.iter() {
            assert!(decision.sounding.contains(lane, key), "step {n}: the player's {key} is lost");
        }
    }
}

#[test]
fn the_same_steps_give_the_same_notes_after_any_return() {
    let first = session(&mut performer(2), 400, 7);
    let mut again = performer(2);
    session(&mut again, 50, 1);
    let middle = session(&mut performer(2), 400, 7).len() / 2;
    again.reset();
    let mut checkpoint = again.checkpoint();
    for (n, (step, decision)) in first.iter().enumerate() {
        if n == middle {
            again.save(&mut checkpoint);
            // Another future, and back.
            session(&mut again, 30, 2);
            again.restore(&checkpoint);
        }
        assert_eq!(again.decide(step), *decision, "step {n}");
    }
    assert_ne!(first[60].1.edges(), session(&mut performer(2), 400, 8)[60].1.edges());
}

#[test]
fn a_replayed_step_leads_to_the_same_future() {
    let decided = session(&mut performer(2), 300, 11);
    for from in [30, 60, 100, 200] {
        let mut again = performer(2);
        decided[..from].iter().for_each(|(step, _)| {
            again.decide(step);
        });
        again.replay(&mut decided[from..from + 20].iter().copied());
        for (n, (step, decision)) in decided[from + 20..from + 40].iter().enumerate() {
            assert_eq!(again.decide(step), *decision, "step {n} after a replay from {from}");
        }
    }
}

#[test]
fn beside_a_given_lane_the_network_plays_the_others() {
    let decided = session(&mut performer(2), 600, 3);
    let beside: Vec<_> = decided.iter().filter(|(step, _)| step.given.lanes == Lanes::NONE.with(0)).collect();
    let own = |decision: &Decision| decision.starts(1).count();
    assert!(beside.iter().map(|(_, decision)| own(decision)).sum::<usize>() > 20);
    for (step, decision) in beside {
        assert!(decision.starts(0).eq(step.given.notes.starts(0)), "lane 0 is the player's");
    }
}

#[test]
fn a_given_note_changes_what_follows_it() {
    let play = |key: u8| {
        let mut performer = performer(1);
        let mut given = Given { lanes: Lanes::ALL, notes: Decision::SILENCE };
        given.strike(0, key, 100);
        performer.decide(&step(0, given, 1));
        (1..40).map(|n| performer.decide(&step(n, Given::NOTHING, 1))).collect::<Vec<_>>()
    };
    assert!(play(45) != play(75), "the network does not hear the player");
}

#[test]
fn the_scale_and_the_last_chord_hold() {
    let mut performer = performer(1);
    let mut keys = Vec::new();
    for n in 0..200 {
        let mut step = step(n, Given::NOTHING, 4);
        step.settings.controls.key = Some(0);
        step.settings.snap = true;
        let decision = performer.decide(&step);
        keys.extend(decision.starts(0));
    }
    assert!(keys.len() > 50 && keys.iter().all(|key| key::contains(key::scale(0), *key)), "{keys:?}");
    let mut step = step(200, Given::NOTHING, 4);
    step.settings.controls.key = Some(0);
    step.settings.closes = true;
    let decision = performer.decide(&step);
    let last: Vec<u8> = decision.starts(0).collect();
    assert!(!last.is_empty() && last.iter().all(|key| [0, 4, 7].contains(&(key % 12))), "{last:?}");
}

#[test]
fn snapped_to_a_scale_the_last_notes_stay_in_it() {
    // Without the tonic, C; with nothing of the triad on it.
    for (scale, allowed) in [(0b1010_1011_0100, 0b1001_0000), (0b100_0000_0100, 0b100_0000_0100)] {
        let mut num_notes = 0;
        for rng_seed in 0..16 {
            let mut performer = performer(1);
            let mut step = step(0, Given::NOTHING, rng_seed);
            step.settings.controls.key = Some(0);
            (step.settings.scale, step.settings.snap, step.settings.closes) = (Some(scale), true, true);
            let last: Vec<u8> = performer.decide(&step).starts(0).collect();
            num_notes += last.len();
            // A very full chord may need more notes than there are.
            assert!(last.iter().take(6).all(|key| key::contains(allowed, *key)), "{scale:b}: {last:?}");
        }
        assert!(num_notes > 8, "{scale:b}: {num_notes} notes");
    }
}
