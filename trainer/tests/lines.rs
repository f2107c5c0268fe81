//! Tests of line models from the command line, on a folder of mixed files: train, interrupt, resume, evaluate,
//! generate.

#![forbid(unsafe_code)]

mod tiny;

use std::path::Path;

use continuo_model::midi_file;
use continuo_model::phrase::{Note, Phrase, Track};
use continuo_model::weights_file::Weights;
use tiny::{break_off, fail, folder, succeed};

const MELODY: &str = r#"grammar = "melody"
    key = "home"
    drop_unquantised = true
    parts = "first"
"#;

const EVENTS: &str = r#"grammar = "events"
    key = "home"
    chords = "pitches"
"#;

/// The files of tests/data/mixed, and a MIDI file in two voices.
fn write_music(folder: &Path) {
    let music = folder.join("music");
    std::fs::create_dir_all(&music).unwrap();
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/mixed")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, music.join(path.file_name().unwrap())).unwrap();
    }
    let track = |name: &str, pitches: &[u8], beats: f64| {
        let note = |(n, &pitch): (usize, &u8)| Note {
            pitch,
            velocity: 90,
            channel: 0,
            start_beats: n as f64 * beats,
            length_beats: beats,
        };
        Track { name: name.into(), notes: pitches.iter().enumerate().map(note).collect() }
    };
    let upper = [76, 74, 72, 74, 76, 76, 76, 76, 74, 74, 74, 74, 76, 79, 79, 79, 77, 74, 71, 74, 72, 72, 72, 72];
    let lower = [48, 55, 52, 55, 47, 55, 48, 52, 50, 55, 48, 48];
    let tracks = vec![track("Right", &upper, 0.5), track("Left", &lower, 1.0)];
    let phrase = Phrase { tempo_bpm: 100.0, time_signature: (4, 4), tracks };
    midi_file::write(&music.join("walk.mid"), &phrase).unwrap();
}

/// A recipe that trains in a second.
fn write_recipe(folder: &Path, preparation: &str, epochs: usize) {
    let recipe = format!(
        r#"
    name = "Tiny lines"
    [[corpora]]
    name = "made for tests"
    licence = "ours"
    [preparation]
    {preparation}
    [network]
    kind = "line"
    embedding = 16
    features = ["beat", "held"]
    lstm = [24]
    dense = [16]
    dropout = 0.1
    context_events = 8
    home_key = "c_major_a_minor"
    [training]
    optimiser = "adamax"
    learning_rate = 0.02
    averaging = 0.9
    batch = 4
    window_steps = 32
    window_hop_steps = 16
    clip_norm = 1.0
    epochs = {epochs}
    patience = 100
    "#
    );
    std::fs::write(folder.join("lines.toml"), recipe).unwrap();
}

const TRAIN: &str = "train lines.toml --data music --rng-seed 5 --out";

fn json(folder: &Path, words: &str) -> serde_json::Value {
    serde_json::from_str(&succeed(folder, words)).unwrap()
}

#[test]
fn a_folder_of_mixed_files_is_learnt_judged_and_played() {
    check_learning(MELODY, &folder("lines_melody"), 6, "an onset or duration that is not a whole number of 16ths");
    check_learning(EVENTS, &folder("lines_events"), 7, "0 near-duplicates");
}

/// `pieces` are trained on or held out; `reported` must occur in the report.
fn check_learning(preparation: &str, folder: &Path, pieces: u64, reported: &str) {
    write_music(folder);
    write_recipe(folder, preparation, 30);
    let text = succeed(folder, &format!("{TRAIN} tiny.safetensors"));
    assert!(text.contains("7 pieces read, 1 files or pieces skipped") && text.contains("broken.krn"), "{text}");
    assert!(text.contains(reported), "{text}");
    let weights = Weights::read(&folder.join("tiny.safetensors")).unwrap();
    assert!(weights.description.lexicon.as_ref().is_some_and(|words| words.starts_with("/ r")));

    let valid = json(folder, "evaluate tiny.safetensors --data music --json");
    assert_eq!(valid["unit"], "nats per event");
    assert_eq!(valid["micro"].as_f64(), Some(weights.description.figures["valid_nats_per_event"]));
    let train = json(folder, "evaluate tiny.safetensors --data music --split train --json");
    assert_eq!(train["pieces"].as_u64().unwrap() + valid["pieces"].as_u64().unwrap(), pieces);
    // Untrained, every word costs the logarithm of the number of words.
    let words = weights.description.config.vocab_size() as f64;
    let untrained = train["words"].as_f64().unwrap() * words.ln() / train["events"].as_f64().unwrap();
    assert!(train["micro"].as_f64().unwrap() < 0.6 * untrained, "{train} of {untrained}");

    // The n-gram uses the same songs, whether its words come from the weights or from the recipe.
    let by_weights = json(folder, "evaluate tiny.safetensors --baseline --data music --json");
    let by_recipe = json(folder, "evaluate --baseline --recipe lines.toml --data music --json");
    assert_eq!(by_weights, by_recipe);
    assert_eq!((&by_weights["events"], &by_weights["words"]), (&valid["events"], &valid["words"]));

    for from in ["--seed music/march.krn", "--seed-corpus music --seed-bars 2", ""] {
        succeed(folder, &format!("generate tiny.safetensors {from} --pieces 2 --bars 8 --out out"));
        let phrase = midi_file::read(&folder.join("out/piece-001.mid")).unwrap();
        assert!(!phrase.notes().is_empty());
        succeed(folder, "critique out --json");
        std::fs::remove_dir_all(folder.join("out")).unwrap();
    }
}

#[test]
fn a_piece_begins_as_its_seed_does() {
    let folder = folder("lines_seed");
    write_music(&folder);
    write_recipe(&folder, EVENTS, 1);
    succeed(&folder, &format!("{TRAIN} tiny.safetensors"));
    succeed(&folder, "generate tiny.safetensors --seed music/march.krn --bars 12 --out out");
    let phrase = midi_file::read(&folder.join("out/piece-000.mid")).unwrap();
    assert_eq!(phrase.time_signature, (2, 4));
    let beginning: Vec<_> = phrase.notes()[..6].iter().map(|note| (note.start_beats, note.pitch)).collect();
    assert_eq!(beginning, [(0.0, 69), (0.0, 53), (0.5, 70), (1.0, 72), (1.0, 48), (1.5, 69)]);
}

#[test]
fn a_run_that_was_broken_off_comes_to_the_same_weights() {
    let folder = folder("lines_resume");
    write_music(&folder);
    write_recipe(&folder, EVENTS, 12);
    succeed(&folder, &format!("{TRAIN} whole.safetensors"));
    break_off(&folder, TRAIN, "broken");
    succeed(&folder, &format!("{TRAIN} broken.safetensors --resume"));
    let bytes = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert!(bytes("whole.safetensors") == bytes("broken.safetensors"), "the weights differ");
}

#[test]
fn fine_tuning_keeps_the_words() {
    let folder = folder("lines_further");
    write_music(&folder);
    write_recipe(&folder, EVENTS, 2);
    succeed(&folder, &format!("{TRAIN} first.safetensors"));
    std::fs::remove_file(folder.join("music/walk.mid")).unwrap();
    succeed(&folder, &format!("{TRAIN} second.safetensors --from first.safetensors"));
    let words = |name: &str| Weights::read(&folder.join(name)).unwrap().description.lexicon;
    assert_eq!(words("first.safetensors"), words("second.safetensors"));
    succeed(&folder, &format!("{TRAIN} third.safetensors"));
    assert_ne!(words("first.safetensors"), words("third.safetensors"));
}

#[test]
fn errors_of_bad_calls_say_what_to_do() {
    let folder = folder("lines_bad_calls");
    write_music(&folder);
    write_recipe(&folder, EVENTS, 1);
    succeed(&folder, &format!("{TRAIN} tiny.safetensors"));
    std::fs::create_dir(folder.join("empty")).unwrap();
    let cases = [
        ("train lines.toml --data music --strict --out x", "music/broken.krn: "),
        ("train lines.toml --data none --out x", "none: cannot be opened"),
        ("train lines.toml --data empty --out x", "expected pieces to train on, got none"),
        ("evaluate --data music", "expected a weights file, got none"),
        ("evaluate --baseline --data music", "expected --recipe RECIPE or a weights file"),
        ("evaluate tiny.safetensors --data music --split test", "expected `train` or `valid`, got `test`"),
        ("evaluate tiny.safetensors --data music --given S", "--given: expected none for a line model"),
        ("generate tiny.safetensors --seed music/broken.krn --out y", "music/broken.krn: "),
        (
            "generate tiny.safetensors --seed-corpus empty --out y",
            "--seed-corpus: expected pieces to start from, got none",
        ),
    ];
    for (words, problem) in cases {
        let error = fail(&folder, words);
        assert!(error.contains(problem), "trainer {words}: {error}");
    }
}
