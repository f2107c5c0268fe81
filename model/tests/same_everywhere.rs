//! Every shipped style plays the same music on every machine: with each kernel that this processor has, and with those
//! of other architectures, whose test runs compare with the same file.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use continuo_model::decision::{ANY_LANE, Decision, Edge, Given};
use continuo_model::generate::{Hearing, Step, StepSettings, network};
use continuo_model::hash::fnv1a;
use continuo_model::sampling::Sampler;
use continuo_model::stream::Kernel;
use continuo_model::weights_file::Weights;

/// Stores what is played instead of comparing it.
const BLESS_VARIABLE: &str = "CONTINUO_BLESS_MUSIC";
fn stored() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/same_everywhere.txt")
}

#[test]
fn every_kernel_plays_the_stored_music() {
    if std::env::var_os(BLESS_VARIABLE).is_some() {
        std::fs::write(stored(), performances()).unwrap();
    }
    let expected = std::fs::read_to_string(stored()).unwrap();
    for kernel in Kernel::ALL.into_iter().filter(|kernel| kernel.is_available()) {
        kernel.choose();
        assert_eq!(performances(), expected, "with the kernel {kernel}");
    }
}

/// For each style a hash of what it plays: two bars that the player begins, and six that it goes on with.
fn performances() -> String {
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("../weights");
    let mut files: Vec<PathBuf> = std::fs::read_dir(weights).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "safetensors"));
    files.sort();
    let mut text = String::new();
    for path in files {
        let performance = perform(&Weights::read(&path).unwrap());
        let notes = performance.lines().count();
        assert!(notes > 20, "{}: only {notes} edges", path.display());
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        writeln!(text, "{name} {notes} edges {:016x}", fnv1a(performance.bytes())).unwrap();
    }
    text
}

/// One line for each edge.
fn perform(weights: &Weights) -> String {
    let network = network(weights).unwrap();
    let capabilities = network.capabilities();
    let lane = if capabilities.hears == Hearing::Notes { ANY_LANE } else { 0 };
    let mut performer = network.performer();
    let mut text = String::new();
    for step_idx in 0..128 {
        let mut given = Given::NOTHING;
        if step_idx < 32 {
            given = if capabilities.hears == Hearing::Notes { Given::all(Decision::SILENCE) } else { given };
            let key = [67, 69, 71, 72, 74, 72, 71, 69][step_idx as usize / 4];
            if step_idx % 4 == 0 { given.strike(lane, key, 90) } else { given.hold(lane, key) }
        }
        let settings = StepSettings { sampler: Sampler::CAREFUL, rng_seed: 1, strict: true, ..StepSettings::default() };
        let step = Step { step_idx, step_in_beat: step_idx as usize % 4, given, attack: step_idx == 32, settings };
        for edge in performer.decide(&step).edges() {
            match *edge {
                Edge::On { lane, key, velocity, tick } => {
                    writeln!(text, "{step_idx} {tick} on {lane} {key} {velocity}")
                }
                Edge::Off { lane, key, tick } => writeln!(text, "{step_idx} {tick} off {lane} {key}"),
            }
            .unwrap();
        }
    }
    text
}
