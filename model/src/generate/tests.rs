//! The shipped models: what each can do, and how their performances keep checkpoints.

use super::*;
use crate::decision::Edge;

/// A shipped network.
fn shipped(name: &str) -> Arc<dyn Network> {
    let path = format!("{}/../weights/{name}.safetensors", env!("CARGO_MANIFEST_DIR"));
    network(&Weights::read(path.as_ref()).unwrap()).unwrap()
}

/// Checks what a shipped model can do; `follows` names the controls.
fn check(name: &str, harmonises: bool, follows: &str) {
    let capabilities = shipped(name).capabilities();
    assert_eq!(capabilities.harmonises, harmonises, "{name}");
    let FollowedControls { key, fermata, density, register, phrase } = capabilities.controls;
    let controls =
        [(key, "key"), (fermata, "fermata"), (density, "density"), (register, "register"), (phrase, "phrase")];
    let followed: Vec<_> = controls.iter().filter(|(follows, _)| *follows).map(|(_, name)| *name).collect();
    assert_eq!(followed.join(" "), follows, "{name}");
    assert_eq!(capabilities.lanes, Lanes::first(4), "{name}");
    assert!(!capabilities.decides_velocity && !capabilities.decides_timing, "{name}");
    assert_eq!(capabilities.sampler, Sampler::CAREFUL, "{name}");
}

#[test]
fn shipped_models_state_what_they_can_do() {
    check("bach", true, "key fermata density register phrase");
    check("chorale", true, "");
    check("chorale-jsb16", true, "");
    for name in ["bach-chords", "folk", "fugue-major", "fugue-minor", "piano"] {
        check(name, false, "key");
    }
}

/// Free steps in C major.
fn step(step_idx: i64) -> Step {
    let controls = Controls { key: Some(0), ..Controls::default() };
    let settings = StepSettings { rng_seed: 5, controls, ..StepSettings::default() };
    let step_in_beat = step_idx.rem_euclid(4) as usize;
    Step { step_idx, step_in_beat, given: Given::NOTHING, attack: step_idx == 0, settings }
}

#[test]
fn every_kind_returns_to_its_checkpoints() {
    for name in ["bach", "chorale", "chorale-jsb16", "folk"] {
        let network = shipped(name);
        let mut performer = network.clone().performer();
        assert_eq!(performer.network().description(), network.description());
        let start = performer.checkpoint();
        let play = |performer: &mut Box<dyn Performer>, steps: std::ops::Range<i64>| -> Vec<Decision> {
            steps.map(|n| performer.decide(&step(n))).collect()
        };
        let first = play(&mut performer, 0..24);
        let is_on = |decision: &Decision| decision.edges().iter().any(|edge| matches!(edge, Edge::On { .. }));
        assert!(is_on(&first[0]), "{name}: an attack starts a note");
        performer.restore(&start);
        assert_eq!(play(&mut performer, 0..10), first[..10], "{name}");
        // A checkpoint is overwritten with a later state, and restored into another performance.
        let mut saved = start;
        performer.save(&mut saved);
        let mut other = network.performer();
        other.restore(&saved);
        assert_eq!(play(&mut other, 10..24), first[10..], "{name}");
        other.reset();
        assert_eq!(play(&mut other, 0..24), first, "{name}");
    }
}

/// The message with which `run` panics.
fn panic_message(run: impl FnOnce()) -> String {
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).expect_err("expected a panic");
    panic.downcast_ref::<&str>().map(|text| text.to_string()).or_else(|| panic.downcast_ref().cloned()).unwrap()
}

#[test]
fn a_checkpoint_of_another_kind_panics_with_a_plain_message() {
    let expected = "expected a checkpoint from a performer of the same kind, got one from another kind";
    let performers = ["bach", "chorale", "folk"].map(|name| shipped(name).performer());
    for (a, b) in [(0, 1), (1, 2), (2, 0), (2, 1)] {
        let mut checkpoint = performers[b].checkpoint();
        assert_eq!(panic_message(|| performers[a].save(&mut checkpoint)), expected);
        let mut performer = shipped(["bach", "chorale", "folk"][a]).performer();
        assert_eq!(panic_message(|| performer.restore(&checkpoint)), expected);
    }
}

#[test]
fn a_replay_reproduces_the_state() {
    for name in ["bach", "chorale", "chorale-jsb16", "folk"] {
        let network = shipped(name);
        let mut performer = network.clone().performer();
        let outcomes: Vec<_> = (0..12).map(|n| performer.decide(&step(n))).collect();
        let mut other = network.performer();
        other.replay(&mut (0..).map(step).zip(outcomes));
        for n in 12..20 {
            assert_eq!(other.decide(&step(n)), performer.decide(&step(n)), "{name}, step {n}");
        }
    }
}
