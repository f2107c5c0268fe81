//! Tests of the trainer from the command line, on a few bars written here: train, interrupt, resume, evaluate,
//! generate.

#![forbid(unsafe_code)]

mod tiny;

use std::path::Path;

use continuo_model::midi_file;
use continuo_model::weights_file::Weights;
use tiny::{SPLIT, STACK, TRAIN, break_off, fail, folder, succeed, write_corpus, write_recipe};

#[test]
fn training_learns_and_its_weights_can_be_evaluated_and_played() {
    check_learning(STACK, &folder("learns"));
    check_learning(SPLIT, &folder("learns_split"));
}

fn check_learning(network: &str, folder: &Path) {
    write_corpus(folder);
    write_recipe(folder, network, 40);
    let text = succeed(folder, &format!("{TRAIN} tiny.safetensors"));
    assert!(text.contains("6 pieces to train on, 1 to validate on"), "{text}");
    let weights = Weights::read(&folder.join("tiny.safetensors")).unwrap();
    let loss = weights.description.figures["valid_nats_per_note"];
    // A uniform prediction costs ln 48 = 3.87; the cadence is always the same.
    assert!(loss < 0.5, "the network did not learn the cadence: {loss}");

    let json = succeed(folder, "evaluate tiny.safetensors --data corpus.json --split valid --json");
    let evaluation: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(evaluation["micro"].as_f64(), Some(loss), "{json}");
    assert_eq!((evaluation["notes"].as_u64(), evaluation["unit"].as_str()), (Some(128), Some("nats per note")));

    succeed(folder, "generate tiny.safetensors --pieces 2 --bars 4 --rng-seed 3 --out music");
    let first = midi_file::read(&folder.join("music/piece-000.mid")).unwrap();
    assert_ne!(Ok(&first), midi_file::read(&folder.join("music/piece-001.mid")).as_ref().map_err(|_| ()));
    succeed(folder, "generate tiny.safetensors --seed music/piece-000.mid --bars 8 --out more");
    let more = midi_file::read(&folder.join("more/piece-000.mid")).unwrap();
    assert_eq!(more.tracks[0].notes[0], first.tracks[0].notes[0], "a piece begins with its seed");
    assert!(more.end_beats() > 24.0);
}

#[test]
fn a_run_that_was_broken_off_comes_to_the_same_weights() {
    check_resuming(STACK, &folder("resume"));
    check_resuming(SPLIT, &folder("resume_split"));
    // Killed between two epochs of a round: the same weights go on playing the past.
    let own_past = format!("{SPLIT}own_past = {{ share = 0.7, given = [\"S\", \"\"], round_epochs = 5 }}\n");
    check_resuming(&own_past, &folder("resume_own_past"));
}

fn check_resuming(network: &str, folder: &Path) {
    write_corpus(folder);
    write_recipe(folder, network, 6);
    succeed(folder, &format!("{TRAIN} whole.safetensors"));
    break_off(folder, TRAIN, "broken");
    let refused = fail(folder, &format!("{TRAIN} broken.safetensors"));
    assert!(refused.contains("continue with --resume"), "{refused}");
    let other = fail(folder, "train tiny.toml --data corpus.json --rng-seed 6 --resume --out broken.safetensors");
    assert!(other.contains("this run used --rng-seed 5, got 6"), "{other}");
    succeed(folder, &format!("{TRAIN} broken.safetensors --resume"));
    let bytes = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert!(bytes("whole.safetensors") == bytes("broken.safetensors"), "the weights differ");
}

#[test]
fn networks_of_one_shape_are_combined_and_judged_with_voices_given() {
    let folder = folder("combined");
    write_corpus(&folder);
    write_recipe(&folder, SPLIT, 8);
    succeed(&folder, &format!("{TRAIN} one.safetensors"));
    succeed(&folder, "train tiny.toml --data corpus.json --rng-seed 6 --out two.safetensors");
    let text = succeed(&folder, "combine one.safetensors two.safetensors --data corpus.json --out both.safetensors");
    let loss = |words: &str| -> f64 {
        let json = succeed(&folder, &format!("evaluate {words} --data corpus.json --json"));
        serde_json::from_str::<serde_json::Value>(&json).unwrap()["micro"].as_f64().unwrap()
    };
    let (one, two, both) = (loss("one.safetensors"), loss("two.safetensors"), loss("both.safetensors"));
    // By Jensen's inequality, the loss of the mean probabilities is at most the mean of the losses.
    assert!(both <= (one + two) / 2.0 + 1e-6, "{both}, of {one} and {two}");
    assert!(text.contains(&format!("2 members, {both:.4} nats per note")), "{text}");
    assert_ne!(loss("both.safetensors --given SB"), both);
    succeed(&folder, "generate both.safetensors --bars 2 --out music");
    let json = succeed(&folder, "obey both.safetensors --pieces 2 --bars 4 --json");
    assert!(json.contains("phrases_that_close"), "{json}");
    write_recipe(&folder, STACK, 1);
    succeed(&folder, &format!("{TRAIN} stack.safetensors"));
    let refused = fail(&folder, "combine one.safetensors stack.safetensors --data corpus.json --out x");
    assert!(refused.contains("expected all to have the shape of the first"), "{refused}");
    let refused = fail(&folder, "evaluate stack.safetensors --data corpus.json --given B");
    assert!(refused.contains("decides voices from the top"), "{refused}");
    let refused = fail(&folder, "obey stack.safetensors");
    assert!(refused.contains("expected a network that follows the control `key`"), "{refused}");
}

#[test]
fn errors_of_bad_calls_say_what_to_do() {
    let folder = folder("bad_calls");
    write_corpus(&folder);
    write_recipe(&folder, STACK, 1);
    succeed(&folder, &format!("{TRAIN} tiny.safetensors"));
    let cases = [
        ("train none.toml --data corpus.json --out x", "none.toml: cannot be opened"),
        ("train tiny.toml --data none.json --out x", "none.json: cannot be opened"),
        (
            "train tiny.toml --data tiny.toml --out x",
            "skipped tiny.toml: expected MIDI, MusicXML, compressed MusicXML,",
        ),
        (
            "evaluate tiny.safetensors --data corpus.json --split test",
            "in split `test`, got only train, valid; name one",
        ),
        (
            "evaluate tiny.safetensors --data corpus.json --baseline",
            "expected a line model or its recipe, got one of four",
        ),
        (
            "evaluate --recipe tiny.toml --data corpus.json --baseline",
            "expected a line model or its recipe, got one of four",
        ),
        ("train tiny.toml --data corpus.json --resume --out x", "leave out --resume"),
        ("train tiny.toml --data corpus.json --device cuda --out x", "--features cuda"),
        ("evaluate corpus.json --data corpus.json", "expected a whole safetensors file"),
        ("evaluate none --data corpus.json", "none: cannot be opened"),
        ("generate none --out y", "none: cannot be opened"),
        ("generate none --temperature=-1 --out y", "--temperature: expected 0 to 5, got -1"),
        ("generate none --top-p 0 --out y", "--top-p: expected above 0 up to 1, got 0"),
    ];
    for (words, problem) in cases {
        let error = fail(&folder, words);
        assert!(error.contains(problem), "trainer {words}: {error}");
    }
}
