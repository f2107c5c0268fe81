//! Tests of `trainer inspect` from the command line: on a folder that mixes formats, on unreadable files, on weights.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const KERN: &str =
    "**kern\t**kern\n*k[f#]\t*k[f#]\n*G:\t*G:\n*M2/4\t*M2/4\n=1\t=1\n4G\t8g\n.\t8a\n4D\t4b\n==\t==\n*-\t*-\n";
const ABC: &str = "X:1\nT:Up\nM:2/4\nL:1/8\nK:G\nGABc|d4:|\n\nX:2\nK:G\nG#\n";
const MUSICXML: &str = "<score-partwise><part-list/><part id=\"a\"><measure><attributes><divisions>1</divisions>\
    </attributes><note><pitch><step>C</step><octave>4</octave></pitch><duration>2</duration></note></measure></part>\
    </score-partwise>";
/// A C for a quarter note.
const MIDI: &[u8] = b"MThd\0\0\0\x06\0\0\0\x01\0\x60MTrk\0\0\0\x0b\0\x90\x3c\x40\x60\x3c\0\0\xff\x2f\0";

fn folder(name: &str, files: &[(&str, &[u8])]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    for (name, bytes) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    folder
}

fn inspect(path: &Path, flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trainer")).arg("inspect").arg(path).args(flags).output().unwrap()
}

fn json(path: &Path, flags: &[&str]) -> serde_json::Value {
    let output = inspect(path, &[&["--json"], flags].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn mixed() -> PathBuf {
    let files: [(&str, &[u8]); 9] = [
        ("a.krn", KERN.as_bytes()),
        ("b/tunes.abc", ABC.as_bytes()),
        ("b/c/score.xml", MUSICXML.as_bytes()),
        ("d.MID", MIDI),
        ("e", MIDI), // recognised by its first bytes
        ("f.csv", b"note0,note1\n60,48\n62,48\n"),
        ("g.json", br#"{"train": [[[72, 64, 55, 48]]]}"#),
        ("h.mid", &MIDI[..30]),
        ("notes.txt", b"no music"),
    ];
    folder("inspect-mixed", &files)
}

#[test]
fn a_mixed_folder_is_counted_and_bad_files_are_named() {
    let path = mixed();
    let report = json(&path, &[]);
    let corpus = &report["corpus"];
    assert_eq!(corpus["pieces"], 7, "{corpus}");
    // kern 5, ABC 5 twice, MusicXML 1, MIDI 1 twice, CSV 3, JSON 4.
    assert_eq!(corpus["notes"], 25, "{corpus}");
    assert_eq!(json(&path, &["--as-written"])["corpus"]["notes"], 20);
    assert_eq!((&corpus["lowest_pitch"], &corpus["highest_pitch"]), (&48.into(), &74.into()));
    assert_eq!(corpus["files"][0], serde_json::json!(["MIDI", 2]));
    assert_eq!(corpus["passed_over"], serde_json::json!([[".txt", 1]]));
    assert_eq!(corpus["keys_written"], 2);
    let skipped: Vec<String> = corpus["skipped"].as_array().unwrap().iter().map(|entry| entry.to_string()).collect();
    assert_eq!(skipped.len(), 2, "{skipped:?}");
    assert!(skipped[0].contains("tunes.abc:8") && skipped[0].contains("line 10: column 2"), "{skipped:?}");
    assert!(skipped[1].contains("h.mid") && skipped[1].contains("cut short"), "{skipped:?}");

    let words = String::from_utf8(inspect(&path, &[]).stdout).unwrap();
    assert!(words.contains("pieces     7, 2 skipped, 0 read with remarks"), "{words}");
    assert!(words.contains("cut short"), "{words}");
}

#[test]
fn strict_stops_at_the_first() {
    let output = inspect(&mixed(), &["--strict"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains("tunes.abc:8: line 10"), "{error}");
}

#[test]
fn files_without_music_are_named() {
    let path = folder("inspect-none", &[("a.txt", b"words"), ("b.json", b"{}"), ("empty.krn", b"")]);
    let report = json(&path.join("a.txt"), &[]);
    assert!(
        report["corpus"]["skipped"][0][1].as_str().unwrap().contains("export the music in one of these formats"),
        "{report}"
    );
    let report = json(&path, &[]);
    assert_eq!(report["corpus"]["skipped"].as_array().unwrap().len(), 2, "{report}");
    let missing = inspect(&path.join("missing"), &[]);
    assert!(!missing.status.success());
    assert!(String::from_utf8_lossy(&missing.stderr).contains("check the path"));
}

#[test]
fn shipped_weights_are_described() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../weights/chorale.safetensors");
    let weights = &json(&path, &[])["weights"][0];
    assert_eq!(weights["name"], "Chorale");
    assert!(weights["parameters"].as_u64().unwrap() > 400_000, "{weights}");
    assert!(weights["figures"]["valid_nats_per_note"].as_f64().unwrap() < 1.0, "{weights}");
    assert!(!weights["corpora"][0]["licence"].as_str().unwrap().is_empty());
    let words = String::from_utf8(inspect(&path, &[]).stdout).unwrap();
    assert!(words.contains("LSTM 256") && words.contains("corpus     JSB Chorales"), "{words}");
    let cut = folder("inspect-weights", &[("cut.safetensors", &std::fs::read(&path).unwrap()[..1000])]);
    let output = inspect(&cut.join("cut.safetensors"), &[]);
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("cut.safetensors"));
}
