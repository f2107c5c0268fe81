//! A corpus and recipes that train in a second, and functions that run the trainer.

// Each test file uses only a part of this module.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// An empty folder for a test.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs the trainer in a folder.
pub fn trainer(folder: &Path, words: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trainer"))
        .args(words.split_whitespace())
        .current_dir(folder)
        .env("RAYON_NUM_THREADS", "1")
        .output()
        .unwrap()
}

/// Starts a run and kills it as soon as it has written a checkpoint. `words` is the command without the name of the
/// weights file; `out` is that name without its extension. If the run ends too early, starts it again.
pub fn break_off(folder: &Path, words: &str, out: &str) {
    let (checkpoint, weights) = (folder.join(format!("{out}.checkpoint")), folder.join(format!("{out}.safetensors")));
    for _ in 0..50 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_trainer"))
            .args(format!("{words} {out}.safetensors").split_whitespace())
            .current_dir(folder)
            .env("RAYON_NUM_THREADS", "1")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while !checkpoint.exists() && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if checkpoint.exists() {
            return;
        }
        std::fs::remove_file(&weights).unwrap();
    }
    panic!(
        "{words} {out}.safetensors: expected a run that is still going on when its checkpoint is there; make it longer"
    );
}

/// The standard output of a run that must succeed.
pub fn succeed(folder: &Path, words: &str) -> String {
    let output = trainer(folder, words);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "trainer {words}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// The standard error of a run that must fail without a panic.
pub fn fail(folder: &Path, words: &str) -> String {
    let output = trainer(folder, words);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && !error.contains("panicked"), "trainer {words}: {error}");
    error
}

/// Writes cadences in several keys, four steps per chord: `{"train": [...], "valid": [...]}`.
pub fn write_corpus(folder: &Path) {
    const CHORDS: [[u8; 4]; 4] = [[67, 64, 60, 48], [69, 65, 60, 53], [67, 62, 59, 55], [67, 64, 60, 48]];
    let piece = |shift: u8, rounds: usize| -> Vec<[u8; 4]> {
        let chords = (0..rounds).flat_map(|_| CHORDS);
        chords.flat_map(|chord| [chord.map(|pitch| pitch - 2 + shift); 4]).collect()
    };
    let train: Vec<_> = (0..6).map(|shift| piece(shift, 3)).collect();
    let corpus = serde_json::json!({ "train": train, "valid": [piece(2, 2)] });
    std::fs::write(folder.join("corpus.json"), corpus.to_string()).unwrap();
}

/// The network and training of a small stack.
pub const STACK: &str = r#"
        kind = "stack"
        vocab_size = 48
        embedding = 4
        features = [{ kind = "voice", width = 2 }, { kind = "beat", width = 2 }]
        convolutions = [{ channels = 12, kernel = 2, dilation = 1 }]
        dropout = 0.1
        lstm = [24]
        [training]
        optimiser = "nadam"
"#;

/// The same for a split network.
pub const SPLIT: &str = r#"
        kind = "split"
        vocab_size = 48
        features = ["sounding", "held", "beat", "intervals", "echo", "key", "fermata", "density", "register"]
        embedding = 16
        lstm = [16]
        head = 24
        head_layers = 1
        dropout = 0.1
        row_dropout = 0.1
        weight_dropout = 0.1
        [training]
        optimiser = "adam"
        weight_decay = 0.01
        averaging = 0.9
        any_order = 0.5
"#;

/// Writes a recipe that trains in a second.
pub fn write_recipe(folder: &Path, network: &str, epochs: usize) {
    let recipe = format!(
        r#"
        name = "Tiny"
        split = ["train", "valid"]
        [[corpora]]
        name = "cadences"
        licence = "ours"
        [network]
        {network}
        learning_rate = 0.02
        batch = 4
        window_steps = 16
        window_hop_steps = 8
        transpose = true
        clip_norm = 1.0
        epochs = {epochs}
        patience = 100
        "#
    );
    std::fs::write(folder.join("tiny.toml"), recipe).unwrap();
}

/// The command that trains it; the name of the weights file follows.
pub const TRAIN: &str = "train tiny.toml --data corpus.json --rng-seed 5 --out";

/// Writes a folder `tunes` of melodies in ABC, and `line.toml`, a recipe for a line model.
pub fn write_tunes(folder: &Path, epochs: usize) {
    let tune = |n: usize| {
        let bar = |bar: usize| -> String {
            (0..8).map(|note| char::from(b"CDEFGABcdefg"[(n * 5 + bar * 7 + note * (1 + n % 5)) % 12])).collect()
        };
        let bars: Vec<String> = (0..8).map(bar).collect();
        format!("X:{n}\nT:Tune {n}\nM:4/4\nL:1/8\nK:C\n{}|]\n", bars.join("|"))
    };
    std::fs::create_dir_all(folder.join("tunes")).unwrap();
    for n in 0..24 {
        std::fs::write(folder.join(format!("tunes/tune-{n}.abc")), tune(n)).unwrap();
    }
    write_recipe(folder, LINE, epochs);
    let text = std::fs::read_to_string(folder.join("tiny.toml")).unwrap();
    let text = text.replace("split = [\"train\", \"valid\"]", "").replace("transpose = true", "");
    std::fs::write(folder.join("line.toml"), text).unwrap();
}

const LINE: &str = r#"
        kind = "line"
        embedding = 12
        features = ["beat"]
        lstm = [16]
        dropout = 0.1
        context_events = 8
        home_key = "c_major_a_minor"
        [preparation]
        grammar = "melody"
        key = "home"
        held_out = 0.3
        fewest_events = 4
        [training]
        optimiser = "adam"
"#;

/// The command that trains it; the name of the weights file follows.
pub const TRAIN_LINE: &str = "train line.toml --data tunes --rng-seed 5 --out";
