//! Tests of `trainer critique` from the command line, on a few bars written here.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use continuo_model::midi_file;
use continuo_model::phrase::Phrase;
use continuo_model::vocabulary::Symbol;
use serde_json::Value;

/// One chord per quarter: C, D in parallel fifths (tenor and bass), C again, then G with crossed tenor and bass.
const CHORDS: [[u8; 4]; 4] = [[72, 64, 55, 48], [69, 65, 57, 50], [72, 64, 55, 48], [71, 62, 50, 55]];

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn critique(folder: &Path, words: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
    command.arg("critique").args(words.split_whitespace()).current_dir(folder).output().unwrap()
}

fn succeed(folder: &Path, words: &str) -> String {
    let output = critique(folder, words);
    assert!(output.status.success(), "critique {words}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn figures(folder: &Path, words: &str) -> Value {
    serde_json::from_str(&succeed(folder, &format!("{words} --json"))).unwrap()
}

fn write_csv(path: &Path, shift: u8) {
    let rows = CHORDS.iter().flat_map(|chord| [chord; 4]);
    let lines = rows.map(|row| row.map(|pitch| (pitch + shift).to_string()).join(",") + "\n");
    std::fs::write(path, format!("note0,note1,note2,note3\n{}", lines.collect::<String>())).unwrap();
}

fn write_midi(path: &Path) {
    let rows: Vec<_> =
        CHORDS.iter().flat_map(|chord| [chord.map(Symbol::Pitch), [Symbol::Hold; 4]].repeat(2)).collect();
    midi_file::write(path, &Phrase::of_rows(&rows, 90.0, (4, 4))).unwrap();
}

#[test]
fn midi_csv_and_json_are_counted_alike() {
    let folder = folder("formats");
    write_midi(&folder.join("music.mid"));
    write_csv(&folder.join("music.csv"), 0);
    let rows: Vec<_> = CHORDS.iter().flat_map(|chord| [chord; 4]).collect();
    let json = serde_json::json!({ "train": [rows], "valid": [[CHORDS[0]], [CHORDS[3]]] });
    std::fs::write(folder.join("music.json"), json.to_string()).unwrap();
    let figures = ["music.mid", "music.csv", "music.json --split train"].map(|words| figures(&folder, words));
    for f in &figures {
        let counts = &f["counts"];
        // Every voice moves at each of the four chords; D is a minor triad.
        assert_eq!((counts["pieces"].as_u64(), counts["steps"].as_u64()), (Some(1), Some(16)), "{f}");
        assert_eq!(counts["onsets"].as_u64(), Some(16), "{f}");
        assert_eq!(f["parallel_fifths_per_100"].as_f64(), Some(200.0 / 16.0), "{f}");
        assert_eq!(f["parallel_octaves_per_100"].as_f64(), Some(0.0), "{f}");
        assert_eq!(f["crossing_percent"].as_f64(), Some(25.0), "{f}");
        assert_eq!(f["still_percent"].as_f64(), Some(80.0), "{f}");
        assert_eq!(f["chords_percent"]["minor"].as_f64(), Some(25.0), "{f}");
        assert_eq!(f["on_beat_triads_percent"].as_f64(), Some(100.0), "{f}");
        assert_eq!(f["worst"][0]["parallels"].as_u64(), Some(2), "{f}");
    }
    // In the MIDI file notes start twice per quarter; the other formats do not contain attacks.
    assert_eq!(figures.map(|f| f["attacks_per_quarter"].as_f64()), [Some(2.0), None, None]);

    let attack: Vec<_> = (0..16).map(|step| if step % 2 == 0 { 15 } else { 0 }).collect();
    let rows: Vec<_> = CHORDS.iter().flat_map(|chord| [chord; 4]).collect();
    let json = serde_json::json!({ "train": [{ "pitch": rows, "attack": attack }] });
    std::fs::write(folder.join("attacks.json"), json.to_string()).unwrap();
    assert_eq!(self::figures(&folder, "attacks.json")["attacks_per_quarter"].as_f64(), Some(2.0));
    // A change of pitch starts a note, even if the file's attacks do not say so.
    let json = serde_json::json!({ "train": [{ "pitch": rows, "attack": vec![0; 16] }] });
    std::fs::write(folder.join("changes.json"), json.to_string()).unwrap();
    assert_eq!(self::figures(&folder, "changes.json")["attacks_per_quarter"].as_f64(), Some(1.0));

    let table = succeed(&folder, "music.csv");
    assert!(table.starts_with("pieces 1, steps 16, onsets 16\n"), "{table}");
    assert!(table.lines().any(|line| line.starts_with("  parallel fifths") && line.ends_with(" 12.500")), "{table}");
}

#[test]
fn folders_splits_and_first_steps_select_the_music() {
    let folder = folder("choices");
    std::fs::create_dir_all(folder.join("music/more")).unwrap();
    write_csv(&folder.join("music/a.csv"), 0);
    write_csv(&folder.join("music/more/b.csv"), 2);
    std::fs::write(folder.join("music/notes.txt"), "not music").unwrap();
    let json = serde_json::json!({ "train": [[CHORDS[0]]], "valid": [[CHORDS[0]], [CHORDS[3]]] });
    std::fs::write(folder.join("splits.json"), json.to_string()).unwrap();
    let pieces = |words| figures(&folder, words)["counts"]["pieces"].as_u64();
    assert_eq!(pieces("music"), Some(2));
    assert_eq!(pieces("music/a.csv music"), Some(3));
    assert_eq!(pieces("splits.json"), Some(3));
    assert_eq!(pieces("splits.json --split valid"), Some(2));
    let short = figures(&folder, "music --first-steps 4");
    assert_eq!((short["counts"]["steps"].as_u64(), short["parallels_per_100"].as_f64()), (Some(8), Some(0.0)));
}

#[test]
fn copies_are_found_in_another_key() {
    let folder = folder("copies");
    write_csv(&folder.join("a.csv"), 0);
    write_csv(&folder.join("b.csv"), 5);
    write_midi(&folder.join("short.mid"));
    let f = figures(&folder, "a.csv --against b.csv");
    assert_eq!(f["copied"]["longest"]["steps"].as_u64(), Some(16), "{f}");
    assert_eq!(f["copied"]["longest"]["corpus_piece"].as_str(), Some("b.csv"), "{f}");
    let other = serde_json::json!({ "train": [[CHORDS[0], CHORDS[1], CHORDS[0]]], "valid": [[[60, 60, 60, 60]]] });
    std::fs::write(folder.join("corpus.json"), other.to_string()).unwrap();
    let f = figures(&folder, "b.csv --against corpus.json --against-split train");
    assert_eq!((f["copied"]["longest"]["steps"].as_u64(), f["copied"]["mean_steps"].as_f64()), (Some(2), Some(2.0)));
    let f = figures(&folder, "b.csv --against corpus.json --against-split valid");
    assert!(f["copied"]["longest"].is_null(), "{f}");
}

#[test]
fn errors_of_bad_files_say_what_to_do() {
    let folder = folder("bad_files");
    std::fs::create_dir_all(folder.join("empty")).unwrap();
    std::fs::write(folder.join("wrong.csv"), "a,b\n1,2\n").unwrap();
    std::fs::write(folder.join("silent.csv"), "note0,note1,note2,note3\n0,0,0,0\n").unwrap();
    std::fs::write(folder.join("music.txt"), "la la").unwrap();
    std::fs::write(folder.join("music.json"), r#"{"train": []}"#).unwrap();
    std::fs::write(folder.join("splits.json"), r#"{"train": [[[60, 55, 52, 48]]]}"#).unwrap();
    std::fs::write(folder.join("five.abc"), "X:1\nM:4/4\nL:1/4\nK:C\nC[CEGce]C2|\n").unwrap();
    write_csv(&folder.join("music.csv"), 0);
    let mut phrase = Phrase::of_rows(&[[Symbol::Pitch(60); 4]], 90.0, (4, 4));
    phrase.tracks.truncate(1);
    phrase.tracks[0].name = "Tune".into();
    midi_file::write(&folder.join("tune.mid"), &phrase).unwrap();
    let cases = [
        ("none.mid", "none.mid: cannot be opened"),
        ("empty", "empty: expected music files, got none of a known format"),
        (
            "music.txt",
            "music.txt: expected MIDI, MusicXML, compressed MusicXML, notes TSV, chorale CSV, kern, ABC or JSON, got",
        ),
        ("wrong.csv", "wrong.csv: line 1: expected a header `note0,note1..`, got `ab`"),
        ("silent.csv", "silent.csv: expected notes, got none"),
        ("splits.json --split test", "--split: expected pieces in `test`, got none"),
        ("music.json", "expected pieces with notes, got 0"),
        ("tune.mid", "tune.mid: expected four parts with notes, or parts named Soprano, Alto, Tenor, Bass, got 1"),
        ("five.abc", "five.abc:1: expected four voices, got 5 notes together at beat 1; give each voice a part"),
        ("music.csv tune.mid --strict", "tune.mid: expected four parts with notes"),
        ("tune.mid --first-steps 0", "--first-steps"),
        ("tune.mid --against-split train", "--against"),
    ];
    for (words, problem) in cases {
        let output = critique(&folder, words);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && !error.contains("panicked"), "critique {words}: {error}");
        assert!(error.contains(problem), "critique {words}: {error}");
    }
}

#[test]
fn every_format_gives_the_figures_of_the_same_music() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/four-voices"));
    let figures = |name: &str| {
        let mut figures = figures(folder, name);
        figures["worst"].take();
        figures
    };
    let of_midi = figures("same.mid");
    // Two steps of silence, a pickup of two, a bar of 16, and 14.
    assert_eq!(of_midi["counts"]["steps"].as_u64(), Some(34), "{of_midi}");
    assert_eq!(of_midi["counts"]["attacks"].as_u64(), Some(25), "{of_midi}");
    for name in ["same.krn", "same.abc", "same.musicxml", "same.json"] {
        assert_eq!(figures(name), of_midi, "{name}");
    }
}

#[test]
fn music_not_in_four_voices_is_skipped_and_listed() {
    let folder = folder("skipped");
    write_csv(&folder.join("a.csv"), 0);
    std::fs::write(folder.join("tune.abc"), "X:1\nM:4/4\nL:1/4\nK:C\nCDEF|\n").unwrap();
    let output = critique(&folder, ". --json");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    assert!(
        stderr.contains("1 files or pieces skipped\n  skipped ./tune.abc:1: expected four parts with notes"),
        "{stderr}"
    );
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["counts"]["pieces"].as_u64(), Some(1));
}
