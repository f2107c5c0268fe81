//! Tests of four-voice models from the command line, on a folder with all formats: train, evaluate, generate.

#![forbid(unsafe_code)]

mod tiny;

use std::path::Path;

use continuo_model::midi_file;
use continuo_model::phrase::{Note, Phrase, Track};
use continuo_model::weights_file::Weights;
use tiny::{SPLIT, STACK, fail, folder, succeed, write_recipe};

/// Chords of a quarter note each, soprano first.
type Chords = Vec<[u8; 4]>;

/// A different piece for each `n`.
fn chords(n: usize) -> Chords {
    const CHORDS: [[u8; 4]; 4] = [[72, 64, 60, 48], [74, 65, 60, 53], [71, 62, 59, 55], [72, 67, 64, 48]];
    (0..32).map(|step| CHORDS[(step * (n % 5 + 1) + step / 4 * n) % 4]).collect()
}

fn midi(chords: &Chords) -> Vec<u8> {
    let voice = |voice: usize| {
        let note = |(n, chord): (usize, &[u8; 4])| {
            let (pitch, start_beats) = (chord[voice], n as f64);
            Note { pitch, velocity: 80, channel: voice as u8, start_beats, length_beats: 1.0 }
        };
        Track { name: format!("Part {voice}"), notes: chords.iter().enumerate().map(note).collect() }
    };
    let tracks = (0..4).map(voice).collect();
    midi_file::to_bytes(&Phrase { tempo_bpm: 90.0, time_signature: (4, 4), tracks })
}

/// A pitch of C major as a letter and its distance in octaves from the octave of middle C.
fn spelt(pitch: u8) -> (char, i32) {
    let class = [0, 2, 4, 5, 7, 9, 11].iter().position(|class| *class == pitch % 12).unwrap();
    (char::from(b"CDEFGAB"[class]), i32::from(pitch) / 12 - 5)
}

fn kern(chords: &Chords) -> String {
    let word = |pitch: u8| match spelt(pitch) {
        (letter, octave @ 0..) => format!("4{}", letter.to_ascii_lowercase().to_string().repeat(octave as usize + 1)),
        (letter, octave) => format!("4{}", letter.to_string().repeat(-octave as usize)),
    };
    let line = |words: [String; 4]| words.join("\t") + "\n";
    let rows = chords.iter().map(|[s, a, t, b]| line([*b, *t, *a, *s].map(word)));
    let each = |word: &str| line([0; 4].map(|_| word.to_string()));
    [each("**kern"), each("*M4/4"), rows.collect(), each("*-")].concat()
}

/// Two staves of two voices each, as in hymn books.
fn abc(n: usize, chords: &Chords) -> String {
    let word = |pitch: u8| match spelt(pitch) {
        (letter, octave @ 1..) => letter.to_ascii_lowercase().to_string() + &"'".repeat(octave as usize - 1),
        (letter, octave) => letter.to_string() + &",".repeat(-octave as usize),
    };
    let staff = |upper: usize| -> String {
        let chord = |chord: &[u8; 4]| format!("[{}{}]", word(chord[upper]), word(chord[upper + 1]));
        chords.chunks(4).map(|bar| bar.iter().map(chord).collect::<String>() + "|").collect()
    };
    format!("X:1\nT:Tune {n}\nM:4/4\nL:1/4\nV:1\nV:2\nK:C\nV:1\n{}\nV:2\n{}\n", staff(0), staff(2))
}

fn musicxml(chords: &Chords) -> String {
    let mut text = String::from("<score-partwise><part-list/>");
    for voice in 0..4 {
        text += &format!("<part id=\"P{voice}\"><measure><attributes><divisions>1</divisions></attributes>");
        for chord in chords {
            let (letter, octave) = spelt(chord[voice]);
            let pitch = format!("<pitch><step>{letter}</step><octave>{}</octave></pitch>", octave + 4);
            text += &format!("<note>{pitch}<duration>1</duration></note>");
        }
        text += "</measure></part>";
    }
    text + "</score-partwise>"
}

/// A folder `music` with twenty pieces in MIDI, kern, ABC and MusicXML, a list of grids, and a tune in one voice.
fn write_music(folder: &Path) {
    let music = folder.join("music");
    std::fs::create_dir_all(&music).unwrap();
    for n in 0..20 {
        let chords = chords(n);
        let (ending, bytes) = match n % 4 {
            0 => ("mid", midi(&chords)),
            1 => ("krn", kern(&chords).into_bytes()),
            2 => ("abc", abc(n, &chords).into_bytes()),
            _ => ("musicxml", musicxml(&chords).into_bytes()),
        };
        std::fs::write(music.join(format!("piece-{n:02}.{ending}")), bytes).unwrap();
    }
    let steps: Vec<[u8; 4]> = chords(20).into_iter().flat_map(|chord| [chord; 4]).collect();
    std::fs::write(music.join("list.json"), serde_json::json!([steps]).to_string()).unwrap();
    std::fs::write(music.join("tune.abc"), "X:1\nM:4/4\nL:1/4\nK:C\nCDEF|\n").unwrap();
}

fn json(folder: &Path, words: &str) -> serde_json::Value {
    serde_json::from_str(&succeed(folder, words)).unwrap()
}

#[test]
fn a_folder_of_all_formats_is_learnt_judged_and_begun_with() {
    check_learning(SPLIT, &folder("formats_split"));
    check_learning(STACK, &folder("formats_stack"));
}

fn check_learning(network: &str, folder: &Path) {
    write_music(folder);
    write_recipe(folder, network, 12);
    let text = succeed(folder, "train tiny.toml --data music --rng-seed 5 --out tiny.safetensors");
    assert!(text.contains("22 pieces read, 1 files or pieces skipped"), "{text}");
    assert!(text.contains("tune.abc:1: expected four parts with notes"), "{text}");
    let weights = Weights::read(&folder.join("tiny.safetensors")).unwrap();
    let valid = json(folder, "evaluate tiny.safetensors --data music --json");
    assert_eq!(valid["micro"].as_f64(), Some(weights.description.figures["valid_nats_per_note"]));
    // A uniform prediction costs ln 48 = 3.87; there are four chords.
    assert!(valid["micro"].as_f64().unwrap() < 1.0, "{valid}");
    let train = json(folder, "evaluate tiny.safetensors --data music --split train --json");
    assert_eq!(train["pieces"].as_u64().unwrap() + valid["pieces"].as_u64().unwrap(), 21, "{train} {valid}");
    assert!(valid["pieces"].as_u64().unwrap() > 0);

    // Generated music starts with its seed, in every format.
    for seed in ["--seed music/piece-00.mid", "--seed music/piece-01.krn", "--seed music/piece-02.abc"] {
        succeed(folder, &format!("generate tiny.safetensors {seed} --bars 8 --out out"));
        let phrase = midi_file::read(&folder.join("out/piece-000.mid")).unwrap();
        let n = seed.as_bytes()[seed.len() - 5] - b'0';
        let expect: Vec<u8> = chords(n.into()).iter().map(|chord| chord[0]).collect();
        let soprano: Vec<u8> = phrase.tracks[0].notes.iter().map(|note| note.pitch).collect();
        assert_eq!(soprano, expect, "{seed}");
    }
    succeed(folder, "generate tiny.safetensors --seed music/tune.abc --bars 2 --out out");
    let phrase = midi_file::read(&folder.join("out/piece-000.mid")).unwrap();
    let soprano: Vec<u8> = phrase.tracks[0].notes.iter().map(|note| note.pitch).collect();
    assert!(soprano.starts_with(&[60, 62, 64, 65]) && phrase.tracks.len() == 4, "{phrase:?}");
    succeed(folder, "generate tiny.safetensors --seed-corpus music --seed-bars 1 --bars 2 --out out");
    assert_eq!(json(folder, "critique music --json")["counts"]["pieces"].as_u64(), Some(21));
}

#[test]
fn options_of_line_models_are_refused_for_four_voices() {
    let folder = folder("formats_bad");
    write_music(&folder);
    write_recipe(&folder, STACK, 1);
    let recipe = std::fs::read_to_string(folder.join("tiny.toml")).unwrap();
    let refused = |preparation: &str| {
        let text = recipe.replace("[network]", &format!("[preparation]\n{preparation}\n[network]"));
        std::fs::write(folder.join("tiny.toml"), text).unwrap();
        fail(&folder, "train tiny.toml --data music --out x.safetensors")
    };
    assert!(refused("grammar = \"melody\"").contains("unknown field `grammar`"));
    assert!(refused("held_out = 2.0").contains("preparation.held_out: expected a share between 0 and 1, got 2"));
    assert!(refused("drop_unquantised = 1").contains("preparation"));
    std::fs::write(folder.join("tiny.toml"), &recipe).unwrap();
    let error = fail(&folder, "train tiny.toml --data music --strict --out x.safetensors");
    assert!(error.contains("tune.abc:1: expected four parts with notes"), "{error}");
    let error = fail(&folder, "train tiny.toml --data music/list.json --out x.safetensors");
    assert!(error.contains("expected pieces in split `valid`, got only train"), "{error}");
}
