//! Tests of `trainer generate`: a score, a picture and sound of the same music as the MIDI file.

#![forbid(unsafe_code)]

mod tiny;

use continuo_model::midi_file;
use tiny::{STACK, TRAIN, fail, folder, succeed, write_corpus, write_recipe};

#[test]
fn a_piece_is_written_as_score_picture_and_sound() {
    let folder = folder("generate");
    write_corpus(&folder);
    write_recipe(&folder, STACK, 8);
    succeed(&folder, &format!("{TRAIN} tiny.safetensors"));
    let command = "generate tiny.safetensors --pieces 2 --bars 6 --musicxml --png --wav --out";
    succeed(&folder, &format!("{command} music"));
    let bytes = |name: &str| std::fs::read(folder.join("music").join(name)).unwrap();

    // The score contains the same notes as the MIDI file.
    let figures = |name: &str| {
        let json = succeed(&folder, &format!("inspect music/{name} --json"));
        let all: serde_json::Value = serde_json::from_str(&json).unwrap();
        ["notes", "pieces", "lowest_pitch", "highest_pitch", "durations", "keys"]
            .map(|what| all["corpus"][what].clone())
    };
    for piece in ["piece-000", "piece-001"] {
        let of_midi = figures(&format!("{piece}.mid"));
        assert!(of_midi[0].as_u64().is_some_and(|notes| notes > 4), "{of_midi:?}");
        assert_eq!(figures(&format!("{piece}.musicxml")), of_midi);
    }

    assert!(bytes("piece-000.png").starts_with(b"\x89PNG") && bytes("piece-000.wav").starts_with(b"RIFF"));
    assert!(bytes("piece-000.png") != bytes("piece-001.png"));
    let phrase = midi_file::read(&folder.join("music/piece-000.mid")).unwrap();
    let seconds = phrase.end_beats() * 60.0 / phrase.tempo_bpm + 0.5;
    let expect = 44 + 4 * (seconds * 44_100.0).round() as usize;
    assert!(bytes("piece-000.wav").len().abs_diff(expect) <= 4, "{} bytes", bytes("piece-000.wav").len());

    // The same command writes the same bytes, and only the requested files.
    succeed(&folder, &format!("{command} again"));
    for name in ["piece-000.musicxml", "piece-000.png", "piece-001.wav"] {
        assert!(std::fs::read(folder.join("again").join(name)).unwrap() == bytes(name), "{name}");
    }
    succeed(&folder, "generate tiny.safetensors --out plain");
    assert_eq!(std::fs::read_dir(folder.join("plain")).unwrap().count(), 1);
    std::fs::create_dir(folder.join("plain/piece-000.png")).unwrap();
    let error = fail(&folder, "generate tiny.safetensors --png --out plain");
    assert!(error.contains("piece-000.png: cannot be written"), "{error}");
}

#[test]
fn a_key_is_kept_and_bad_options_are_refused() {
    let folder = folder("options");
    let weights = concat!(env!("CARGO_MANIFEST_DIR"), "/../weights/bach.safetensors");
    succeed(
        &folder,
        &format!("generate {weights} --bars 8 --key Am --snap --temperature 1.5 --entropy 0.5 --out music"),
    );
    let phrase = midi_file::read(&folder.join("music/piece-000.mid")).unwrap();
    let pitches = || phrase.tracks.iter().flat_map(|track| &track.notes).map(|note| note.pitch % 12);
    // The pitch classes that are in none of the three scales of A minor.
    assert!(
        pitches().count() > 30 && pitches().all(|class| ![1, 3, 10].contains(&class)),
        "{:?}",
        pitches().collect::<Vec<_>>()
    );
    succeed(&folder, &format!("generate {weights} --bars 8 --rests 0 --holds 0.5 --out busy"));
    for (option, word) in
        [("--entropy 2", "expected 0 to 1"), ("--rests 3", "expected 0 to 2"), ("--key H", "expected a key")]
    {
        let error = fail(&folder, &format!("generate {weights} {option} --out bad"));
        assert!(error.contains(word), "{option}: {error}");
    }
}
