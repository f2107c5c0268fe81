//! Tests of `trainer compare` from the command line, on music written here.

#![forbid(unsafe_code)]

mod tiny;

use std::path::Path;

use continuo_model::midi_file;
use continuo_model::phrase::{Note, Phrase, Track};
use serde_json::Value;

/// Eight bars of quarter notes that rise by `step`, each below a chord of `chord` notes.
fn write(path: &Path, step: u8, chord: u8) {
    let note = |n: u8| {
        (0..chord).map(move |idx| Note {
            pitch: 48 + (n * step + 4 * idx) % 36,
            velocity: 60 + n,
            channel: 0,
            start_beats: f64::from(n),
            length_beats: 1.0,
        })
    };
    let tracks = vec![Track { name: "Piano".into(), notes: (0..32).flat_map(note).collect() }];
    midi_file::write(path, &Phrase { tempo_bpm: 90.0, time_signature: (4, 4), tracks }).unwrap();
}

#[test]
fn both_sides_stand_in_one_table() {
    let folder = tiny::folder("compare_table");
    std::fs::create_dir(folder.join("corpus")).unwrap();
    write(&folder.join("one.mid"), 1, 1);
    write(&folder.join("corpus/two.mid"), 5, 2);
    std::fs::write(folder.join("corpus/broken.mid"), b"MThd").unwrap();
    let output = tiny::trainer(&folder, "compare one.mid --with corpus");
    let (words, complaints) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{complaints}");
    assert!(complaints.contains("1 files or pieces skipped") && complaints.contains("broken.mid: "), "{complaints}");
    let line = words.lines().find(|line| line.starts_with("notes per event")).unwrap();
    assert_eq!(line.split_whitespace().skip(3).collect::<Vec<_>>(), ["1.00", "2.00", "0.50"], "{words}");
    assert!(words.contains("They need at least five works a side."), "{words}");
    let json: Value = serde_json::from_str(&tiny::succeed(&folder, "compare one.mid --with corpus --json")).unwrap();
    assert_eq!((&json["ratio"]["notes_per_event"], &json["size"]["corpus"]["windows"]), (&0.5.into(), &2.into()));
    assert!(json["auc"].is_null(), "{json}");
    let rest = tiny::succeed(&folder, "compare one.mid --skip-bars 3 --with corpus --json");
    let json: Value = serde_json::from_str(&rest).unwrap();
    assert_eq!(json["size"]["music"]["windows"], 1);
}

#[test]
fn without_music_the_error_says_what_is_missing() {
    let folder = tiny::folder("compare_nothing");
    std::fs::create_dir(folder.join("empty")).unwrap();
    write(&folder.join("one.mid"), 1, 1);
    std::fs::write(folder.join("broken.mid"), b"MThd").unwrap();
    let check = |words: &str, expect: &str| {
        let output = tiny::trainer(&folder, words);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains(expect), "{words}: {error}");
    };
    check("compare one.mid --with empty", "empty: expected music files, got none of a known format");
    check("compare no/such --with one.mid", "no/such: cannot be opened");
    check("compare broken.mid --with one.mid", "broken.mid: expected 8 bytes, got 4: the file is cut short");
    check("compare one.mid --with one.mid --drums", "one.mid: expected music with drum strokes, got none");
    check("compare one.mid --with one.mid broken.mid --strict", "broken.mid: ");
}
