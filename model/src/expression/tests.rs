//! Expression changes the network's notes as documented, and nothing else.

use super::*;
use crate::decision::{Given, Sounding};
use crate::generate::{FollowedControls, Hearing};
use crate::sampling::Sampler;
use crate::tokeniser::step_reader::{BarPosition, PhrasePosition};

const GRID: Capabilities = Capabilities {
    harmonises: true,
    hears: Hearing::Voices,
    lanes: Lanes::ALL,
    controls: FollowedControls { key: false, fermata: false, density: false, register: false, phrase: false },
    decides_velocity: false,
    decides_timing: false,
    sampler: Sampler::CAREFUL,
};
const FULL: Expression = Expression { dynamics: 1.0, humanise: 1.0, level: 0.5, ..Expression::NONE };
const SHAPED: Expression = Expression { humanise: 0.0, ..FULL };

/// Four lanes that move to new keys with a step.
fn moves() -> Decision {
    let mut decision = Decision::SILENCE;
    for lane in 0..4 {
        decision.push(Edge::Off { lane, key: 40, tick: 0 });
        decision.push(Edge::On { lane, key: 70 - lane, velocity: 0, tick: 0 });
    }
    decision
}

fn step(step_in_bar: u8) -> Step {
    let mut step =
        Step { step_idx: i64::from(step_in_bar), step_in_beat: usize::from(step_in_bar % 4), ..Step::default() };
    step.settings.rng_seed = 1;
    step.settings.controls.bar = Some(BarPosition { step_in_bar, bar_steps: 16 });
    step
}

fn velocity_and_tick(expression: &Expression, step: &Step, lane: u8) -> (u8, u8) {
    let decision = expression.apply(&moves(), step, &GRID);
    let found = decision.edges().iter().find_map(|edge| match *edge {
        Edge::On { lane: of, velocity, tick, .. } if of == lane => Some((velocity, tick)),
        _ => None,
    });
    found.unwrap()
}

#[test]
fn without_expression_nothing_changes() {
    let none = Expression { level: 0.9, accent: 0.3, ..Expression::NONE };
    for n in 0..16 {
        assert_eq!(none.apply(&moves(), &step(n), &GRID), moves());
    }
}

#[test]
fn a_model_that_decides_velocity_keeps_it() {
    let swung = Expression { swing: Some(Swing::new(SwungNotes::Eighths, 0.667)), ..FULL };
    let timed = swung.apply(&moves(), &step(2), &Capabilities { decides_velocity: true, ..GRID });
    assert!(timed.edges().iter().all(|edge| edge.tick() >= 16));
    assert!(timed.edges().iter().all(|edge| !matches!(edge, Edge::On { velocity: 1.., .. })));
}

#[test]
fn notes_within_a_step_stay_in_order() {
    let swung = Expression { swing: Some(Swing::new(SwungNotes::Eighths, 0.75)), ..FULL };
    for n in 0..200 {
        let mut step = step((n % 16) as u8);
        step.step_idx = n;
        let mut decision = Decision::SILENCE;
        // A short note, one that is struck again at once, and one that begins on the last tick.
        decision.push(Edge::Off { lane: 0, key: 60, tick: 0 });
        for (key, start, end) in [(60, 1, 3), (60, 3, 4), (62, 20, 22), (64, 22, 23)] {
            decision.push(Edge::On { lane: 0, key, velocity: 0, tick: start });
            decision.push(Edge::Off { lane: 0, key, tick: end });
        }
        decision.push(Edge::On { lane: 0, key: 65, velocity: 0, tick: 23 });
        let moved = swung.apply(&decision, &step, &Capabilities { decides_timing: true, ..GRID });
        let mut sounds = Sounding::NONE;
        sounds.insert(0, 60);
        assert_eq!(sounds.after(moved.edges()), decision.sounding, "{moved:?}");
        assert!(moved.edges().iter().zip(decision.edges()).all(|(moved, before)| moved.tick() >= before.tick()));
    }
    // A detached note swings as far as a long one.
    let swung = Expression { swing: Some(Swing::new(SwungNotes::Eighths, 2.0 / 3.0)), ..Expression::NONE };
    let mut detached = Decision::SILENCE;
    detached.push(Edge::On { lane: 0, key: 60, velocity: 0, tick: 0 });
    detached.push(Edge::Off { lane: 0, key: 60, tick: 20 });
    let ticks: Vec<u8> = swung.apply(&detached, &step(6), &GRID).edges().iter().map(|edge| edge.tick()).collect();
    assert_eq!(ticks, [16, 23]);
}

#[test]
fn the_players_lanes_stay_as_played() {
    let mut step = step(3);
    step.given = Given { lanes: Lanes::NONE.with(1), notes: Decision::SILENCE };
    let decision = FULL.apply(&moves(), &step, &GRID);
    let of_lane = |decision: &Decision| -> Vec<Edge> {
        decision.edges().iter().copied().filter(|edge| edge.lane() == 1).collect()
    };
    assert_eq!(of_lane(&decision), of_lane(&moves()));
    assert_ne!(decision, moves());
}

#[test]
fn velocities_follow_metre_phrase_voices_and_accents() {
    let at = |step: &Step, lane| velocity_and_tick(&SHAPED, step, lane).0;
    let metre = [0, 8, 4, 2, 1].map(|n| at(&step(n), 1));
    assert!(metre.is_sorted_by(|a, b| a > b), "{metre:?}");
    let voices = [0, 3, 1].map(|lane| at(&step(4), lane));
    assert!(voices.is_sorted_by(|a, b| a > b), "{voices:?}");
    assert_eq!(at(&step(4), 1), at(&step(4), 2));
    let phrase = |beats_since, beats_left| {
        let mut step = step(4);
        step.settings.controls.phrase = Some(PhrasePosition { beats_since, beats_left });
        at(&step, 1)
    };
    assert!(phrase(3, 3) > phrase(0, 6) && phrase(3, 3) > phrase(7, 0));
    let accented = |accent| velocity_and_tick(&Expression { accent, ..SHAPED }, &step(4), 1).0;
    assert!(accented(0.1) > accented(0.0) && accented(-0.1) < accented(0.0));
}

#[test]
fn velocities_follow_the_players_level() {
    let mean = |level: f32| {
        let all = (0..16).map(|n| u32::from(velocity_and_tick(&Expression { level, ..FULL }, &step(n), 1).0));
        all.sum::<u32>()
    };
    let means = [0.1, 0.3, 0.5, 0.7, 0.9].map(mean);
    assert!(means.is_sorted_by(|a, b| a < b), "{means:?}");
    assert_eq!(velocity_and_tick(&Expression { level: 0.0, ..FULL }, &step(0), 0).0, 1, "never a note-off");
}

#[test]
fn deviations_are_small_late_and_the_same_each_time() {
    let mut seen = [0; 8];
    for n in 0..200 {
        let mut step = step(0);
        step.step_idx = n;
        let decision = FULL.apply(&moves(), &step, &GRID);
        assert_eq!(decision, FULL.apply(&moves(), &step, &GRID));
        assert_eq!(decision.sounding, moves().sounding);
        for lane in 0..4 {
            let ticks: Vec<u8> =
                decision.edges().iter().filter(|edge| edge.lane() == lane).map(|edge| edge.tick()).collect();
            assert_eq!(ticks[0], ticks[1], "legato stays legato");
            seen[usize::from(ticks[0])] += 1;
        }
    }
    assert!(seen[..5].iter().all(|count| *count > 0) && seen[5..] == [0; 3], "{seen:?}");
    // Another round that evolves deviates in another way.
    let mut other = step(0);
    other.settings.pass = 1;
    assert_ne!(FULL.apply(&moves(), &step(0), &GRID), FULL.apply(&moves(), &other, &GRID));
}

#[test]
fn swing_delays_offbeats_except_on_lanes_that_stay_on_the_grid() {
    let swing = Some(Swing::new(SwungNotes::Eighths, 0.7));
    let ticks = |expression: Expression, n: u8| [0, 1].map(|lane| velocity_and_tick(&expression, &step(n), lane).1);
    let swung = Expression { swing, ..Expression::NONE };
    assert_eq!([4, 5, 6, 7].map(|n| ticks(swung, n)), [[0; 2], [10; 2], [19; 2], [10; 2]]);
    assert_eq!(ticks(Expression { on_grid: Lanes::NONE.with(1), ..swung }, 6), [19, 0]);
    let wild = Expression { swing: Some(Swing::new(SwungNotes::Eighths, 0.9)), ..FULL };
    assert!((0..100).all(|n| {
        let mut step = step(2);
        step.step_idx = n;
        wild.apply(&moves(), &step, &GRID).edges().iter().all(|edge| edge.tick() < TICKS_PER_STEP)
    }));
}
