//! Tests of `trainer evaluate --play` and `--free` from the command line: the figures of what a network plays.

#![forbid(unsafe_code)]

mod tiny;

use std::path::Path;

use serde_json::Value;
use tiny::{fail, folder, succeed, trainer, write_corpus};

const BACH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../weights/bach.safetensors");
const FOLK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../weights/folk.safetensors");

fn figures(folder: &Path, words: &str) -> Value {
    serde_json::from_str(&succeed(folder, &format!("evaluate {words} --json"))).unwrap()
}

/// Expects each name to be a number, or `null` where it is among the `unknown`.
fn check_names(figures: &Value, names: &[&str], unknown: &[&str]) {
    let object = figures.as_object().unwrap_or_else(|| panic!("expected an object, got {figures}"));
    assert_eq!(object.len(), names.len(), "{figures}");
    for name in names {
        assert_eq!(object[*name].is_number(), !unknown.contains(name), "{name}: {figures}");
    }
}

const HARMONY: [&str; 8] = [
    "consonant_triads_percent",
    "dissonant_beats_percent",
    "crossing_percent",
    "wide_spacing_percent",
    "parallels_per_100",
    "beat_parallels_per_100",
    "direct_per_100",
    "attacks_per_quarter",
];

#[test]
fn harmonising_is_compared_with_the_composer() {
    let folder = folder("play");
    write_corpus(&folder);
    let words = format!("{BACH} --data corpus.json --play --given SB");
    let found = figures(&folder, &words);
    assert_eq!(found["given"], serde_json::json!(["soprano", "bass"]));
    assert_eq!((&found["key"], &found["pieces"], &found["beats"]), (&"auto".into(), &1.into(), &8.into()));
    // The corpus does not know its attacks.
    check_names(&found["bach"], &HARMONY, &["attacks_per_quarter"]);
    check_names(&found["network"], &HARMONY, &[]);
    let agreement = ["root_percent", "root_and_quality_percent", "inversion_percent", "chord_percent", "bass_percent"];
    check_names(&found["agreement"], &agreement, &[]);
    // All its chords are triads, and its bass is given.
    assert_eq!(found["bach"]["consonant_triads_percent"], 100.0);
    assert_eq!(found["agreement"]["bass_percent"], 100.0);

    // The same command gives the same figures, however the cores share the pieces; another seed plays another way.
    assert_eq!(figures(&folder, &words), found);
    let free =
        |seed: u32| figures(&folder, &format!("{BACH} --data corpus.json --play --split train --rng-seed {seed}"));
    assert_eq!(free(1), free(1));
    assert_ne!(free(1)["network"], free(2)["network"]);
    let table = succeed(&folder, &format!("evaluate {words} --key none"));
    assert!(table.starts_with("given: soprano and bass; 1 pieces, 8 beats"), "{table}");
    assert!(table.lines().any(|line| line.starts_with("attacks per quarter") && line.contains(" - ")), "{table}");
}

#[test]
fn free_playing_is_compared_with_the_composer() {
    let folder = folder("free");
    write_corpus(&folder);
    let found = figures(&folder, &format!("{BACH} --data corpus.json --free --pieces 10 --bars 4"));
    assert_eq!((&found["bach_pieces"], &found["network_pieces"]), (&1.into(), &10.into()));
    check_names(&found["network_harmony"], &HARMONY, &[]);
    // Without fermatas the stored detector finds phrase ends, unchecked, and a single piece is too few to tell apart.
    let form = found["bach_form"].as_object().unwrap();
    assert!(form["eight_beats_percent"] == 100.0 && form["minor_percent"] == 0.0, "{found}");
    assert_eq!(found["phrase_ends_detector"]["threshold"], -0.9);
    assert!(found["phrase_ends_f1"].is_null() && found["discriminator_auc"].is_null(), "{found}");
    assert_eq!(found["network_harmony"]["parallels_per_100"], 0.0, "strict parts");
    let table = succeed(&folder, &format!("evaluate {BACH} --data corpus.json --free --pieces 10 --bars 4"));
    assert!(table.starts_with("1 pieces of Bach's, 10 of the network's"), "{table}");
    assert!(table.contains("these pieces have no fermatas"), "{table}");
    let unplanned = figures(&folder, &format!("{BACH} --data corpus.json --free --pieces 10 --bars 4 --no-phrases"));
    assert_ne!(unplanned["network_harmony"], found["network_harmony"]);
    let keyless = figures(&folder, &format!("{BACH} --data corpus.json --free --pieces 10 --bars 4 --key none"));
    assert_ne!(keyless["network_harmony"], found["network_harmony"]);
}

#[test]
fn errors_say_what_was_expected() {
    let folder = folder("play_errors");
    write_corpus(&folder);
    let cases = [
        (format!("{FOLK} --play"), "expected a network of four voices, got a line model"),
        (format!("{FOLK} --free"), "expected a network of four voices, got a line model"),
        (format!("{BACH} --play --given SATB"), "--given: expected at most three voices, got all four"),
        (format!("{BACH} --play --given X"), "--given: expected letters of SATB, got `X`"),
        (format!("{BACH} --play --split test"), "expected pieces in split `test`"),
        (format!("{BACH} --play --temperature 9"), "--temperature: expected 0 to 5"),
        (format!("{BACH} --free --given S"), "cannot be used with"),
        (format!("{BACH} --free --pieces 2"), "--pieces"),
        (format!("{BACH} --play --no-phrases"), "cannot be used with"),
        (format!("{BACH} --no-phrases"), "--free"),
        ("--play".to_string(), "<WEIGHTS>"),
    ];
    for (words, problem) in cases {
        let error = fail(&folder, &format!("evaluate {words} --data corpus.json"));
        assert!(error.contains(problem), "{words}: {error}");
    }
}

#[test]
fn a_seed_melody_may_be_the_bass() {
    let folder = folder("voice");
    std::fs::write(folder.join("tune.abc"), "X:1\nM:4/4\nL:1/4\nK:C\nC,D,E,F,|G,F,E,D,|\n").unwrap();
    let generate = |voice: &str, out: &str| {
        succeed(&folder, &format!("generate {BACH} --seed tune.abc --bars 2 {voice} --out {out}"));
        continuo_model::midi_file::read(&folder.join(out).join("piece-000.mid")).unwrap()
    };
    let pitches = |phrase: &continuo_model::phrase::Phrase, voice: usize| -> Vec<u8> {
        phrase.tracks[voice].notes.iter().map(|note| note.pitch).collect()
    };
    let tune = [48, 50, 52, 53, 55, 53, 52, 50];
    let bass = generate("--voice bass", "bass");
    assert_eq!(pitches(&bass, 3), tune);
    assert_ne!(pitches(&bass, 0), tune);
    assert_eq!(pitches(&generate("", "soprano"), 0), tune);
    let error = fail(&folder, &format!("generate {BACH} --seed bass/piece-000.mid --voice alto --out no"));
    assert!(error.contains("--voice: expected a melody"), "{error}");
    let error = fail(&folder, &format!("generate {FOLK} --seed tune.abc --voice alto --out no"));
    assert!(error.contains("--voice: expected a melody"), "{error}");
    let without = trainer(&folder, &format!("generate {BACH} --voice alto --out no"));
    assert!(!without.status.success() && String::from_utf8_lossy(&without.stderr).contains("--seed"));
}
