//! Tests of performance models from the command line: train, interrupt, resume, evaluate, generate.

#![forbid(unsafe_code)]

mod tiny;

use std::path::Path;

use continuo_model::midi_file;
use continuo_model::phrase::{Note, Phrase, Track};
use continuo_model::weights_file::Weights;
use tiny::{break_off, fail, folder, succeed};

const TRAIN: &str = "train notes.toml --data music --rng-seed 5 --out";

/// Pieces of two hands in several keys: a scale over a broken chord, louder on the beat.
fn write_music(folder: &Path) {
    let music = folder.join("music");
    std::fs::create_dir_all(&music).unwrap();
    for shift in 0..8_u8 {
        let note = |pitch: u8, velocity: u8, start_beats: f64, length_beats: f64| Note {
            pitch: pitch + shift,
            velocity,
            channel: 0,
            start_beats,
            length_beats,
        };
        let scale = [72, 74, 76, 77, 79, 77, 76, 74];
        let right = (0..32).map(|n| note(scale[n % 8], if n % 2 == 0 { 90 } else { 70 }, n as f64 * 0.5, 0.45));
        // The bass is held under the chord, and the chord comes a little late.
        let left = (0..8).flat_map(|n| {
            let at = 2.0 * f64::from(n);
            [note(48, 60, at, 2.0), note(55, 50, at + 1.0 + 1.0 / 24.0, 0.5), note(52, 50, at + 1.0 + 1.0 / 24.0, 0.5)]
        });
        let tracks = vec![
            Track { name: "Right".into(), notes: right.collect() },
            Track { name: "Left".into(), notes: left.collect() },
        ];
        let phrase = Phrase { tempo_bpm: 100.0, time_signature: (4, 4), tracks };
        midi_file::write(&music.join(format!("piece-{shift}.mid")), &phrase).unwrap();
    }
}

fn write_recipe(folder: &Path, preparation: &str, lanes: usize, epochs: usize) {
    let recipe = format!(
        r#"
    name = "Tiny hands"
    [[corpora]]
    name = "made for tests"
    licence = "ours"
    [preparation]
    {preparation}
    held_out = 0.3
    shared_runs = 1.0
    [network]
    kind = "performance"
    lanes = {lanes}
    velocities = true
    embedding = 24
    lstm = [32]
    head = 24
    head_layers = 1
    dropout = 0.0
    [training]
    optimiser = "adam"
    learning_rate = 0.02
    batch = 4
    window_steps = 32
    window_hop_steps = 16
    clip_norm = 1.0
    epochs = {epochs}
    patience = 100
    "#
    );
    std::fs::write(folder.join("notes.toml"), recipe).unwrap();
}

const HANDS: &str = "lanes = \"hands\"\ngiven_lanes = 0.5";

#[test]
fn two_hands_are_learnt_judged_and_played() {
    let folder = &folder("performed");
    write_music(folder);
    write_recipe(folder, &format!("{HANDS}\ngroups = \"works.tsv\""), 2, 25);
    std::fs::write(folder.join("works.tsv"), "piece-0\tpiece-1\n").unwrap();
    let text = succeed(folder, &format!("{TRAIN} tiny.safetensors"));
    assert!(text.contains("8 pieces read, 0 files or pieces skipped"), "{text}");
    let weights = Weights::read(&folder.join("tiny.safetensors")).unwrap();
    let judged: serde_json::Value =
        serde_json::from_str(&succeed(folder, "evaluate tiny.safetensors --data music --json")).unwrap();
    assert_eq!(judged["unit"], "nats per note");
    assert_eq!(judged["micro"].as_f64(), Some(weights.description.figures["valid_nats_per_note"]));
    // Untrained, a note costs 18 nats: the logarithms of the six vocabularies.
    assert!(judged["micro"].as_f64().unwrap() < 4.0, "{judged}");

    succeed(folder, "generate tiny.safetensors --seed music/piece-0.mid --pieces 2 --bars 8 --out out --png");
    let phrase = midi_file::read(&folder.join("out/piece-001.mid")).unwrap();
    let (seed, own): (Vec<Note>, Vec<Note>) = phrase.notes().into_iter().partition(|note| note.start_beats < 16.0);
    assert_eq!(seed.len(), 32 + 24, "the seed is in the piece");
    assert!(own.len() > 20, "{own:?}");
    let overlaps = |note: &&Note| {
        own.iter().any(|other| other.start_beats < note.start_beats && other.end_beats() > note.start_beats + 0.1)
    };
    assert!(own.iter().filter(overlaps).count() > 5, "notes are held under others: {own:?}");
    let velocities: std::collections::BTreeSet<u8> = own.iter().map(|note| note.velocity).collect();
    assert!(velocities.len() > 1, "{velocities:?}");
    succeed(folder, "generate tiny.safetensors --seed-corpus music --seed-bars 1 --pieces 1 --bars 4 --out out");
    // Music to start from needs no table of works.
    std::fs::create_dir_all(folder.join("elsewhere/music")).unwrap();
    std::fs::copy(folder.join("music/piece-0.mid"), folder.join("elsewhere/music/piece-0.mid")).unwrap();
    succeed(folder, "generate tiny.safetensors --seed-corpus elsewhere/music --pieces 1 --bars 4 --out out");
    succeed(folder, "generate tiny.safetensors --pieces 1 --bars 4 --out out");
}

#[test]
fn a_run_that_was_broken_off_comes_to_the_same_weights() {
    let folder = &folder("performed_resumed");
    write_music(folder);
    write_recipe(folder, HANDS, 2, 12);
    // The broken-off epoch hears the same past again.
    let recipe = std::fs::read_to_string(folder.join("notes.toml")).unwrap();
    let own_past = "[training.own_past]\nshare = 0.7\nround_epochs = 5\nkeep_last = true\n";
    std::fs::write(folder.join("notes.toml"), recipe + own_past).unwrap();
    succeed(folder, &format!("{TRAIN} whole.safetensors"));
    break_off(folder, TRAIN, "parts");
    succeed(folder, &format!("{TRAIN} parts.safetensors --resume"));
    let bytes = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert!(bytes("whole.safetensors") == bytes("parts.safetensors"));
}

#[test]
fn errors_say_what_to_do() {
    let folder = &folder("performed_errors");
    write_music(folder);
    write_recipe(folder, HANDS, 1, 1);
    let error = fail(folder, &format!("{TRAIN} tiny.safetensors"));
    assert!(error.contains("network.lanes: expected 2 with preparation.lanes = Hands, got 1"), "{error}");
    write_recipe(folder, "lanes = \"drums\"", 1, 1);
    let error = fail(folder, &format!("{TRAIN} tiny.safetensors"));
    assert!(error.contains("network.drums: expected true with preparation.lanes = \"drums\""), "{error}");
    write_recipe(folder, HANDS, 2, 1);
    let recipe = std::fs::read_to_string(folder.join("notes.toml")).unwrap();
    let own_past = "[training.own_past]\nshare = 0.7\ngiven = [\"S\"]\nround_epochs = 5\n";
    std::fs::write(folder.join("notes.toml"), recipe + own_past).unwrap();
    let error = fail(folder, &format!("{TRAIN} tiny.safetensors"));
    assert!(error.contains("training.own_past.given: expected none for a performance model"), "{error}");
    write_recipe(folder, "lanes = \"hands\"\nfewest_notes = 1000", 2, 1);
    let error = fail(folder, &format!("{TRAIN} tiny.safetensors"));
    assert!(error.contains("--data: expected pieces to train on, got none"), "{error}");
}
