//! The music in tests/data as text, and the broken files there; `cargo run -p continuo-tests --bin seeds` writes both.

use continuo_model::midi_file;
use continuo_model::phrase::{Note, Phrase, Track};

/// A melody that stops a beat before a bar line and calls for an answer. G major, 4 bars.
const MELODY: &str = "
    G4 1   B4 1  A4 1/2 B4 1/2 C5 1 |
    D5 1   E5 1  D5 1   B4 1        |
    C5 1   B4 1/2 A4 1/2 B4 1  G4 1 |
    A4 3   - 1";

/// A chorale tune in four phrases, each ending on a half note. F major, 16 bars.
const HYMN: &str = "
    F4 1  A4 1  G4 1  A4 1          | Bb4 1  A4 1/2 G4 1/2 A4 1  C5 1 |
    D5 1  C5 1  Bb4 1 A4 1          | A4 1   F4 1   G4 2              |
    A4 1  Bb4 1 C5 1  A4 1          | D5 1   C5 1   Bb4 1/2 A4 1/2 G4 1 |
    C5 1  F5 1  E5 1  D5 1          | C5 1   B4 1   C5 2              |
    C5 1  C5 1  D5 1  C5 1          | Bb4 1  A4 1   G4 1/2 A4 1/2 Bb4 1 |
    A4 1  Bb4 1 A4 1  G4 1          | Bb4 1  G4 1   A4 2              |
    C5 1  A4 1  Bb4 1 G4 1          | A4 1   F4 1/2 G4 1/2 A4 1  Bb4 1 |
    C5 1  D5 1  C5 1  Bb4 1         | A4 1   G4 1   F4 2              ";

/// The melody that `jam` continues by default.
pub fn melody() -> Phrase {
    phrase("Melody", 92.0, MELODY)
}

/// The tune that `jam` harmonises by default.
pub fn hymn() -> Phrase {
    phrase("Hymn tune", 84.0, HYMN)
}

/// Every file of tests/data: its name and its bytes.
pub fn files() -> Vec<(&'static str, Vec<u8>)> {
    let whole = midi_file::to_bytes(&melody());
    let mut smpte = whole.clone();
    // The header's last two bytes: 25 frames a second, 40 ticks a frame, instead of ticks per beat.
    smpte[12..14].copy_from_slice(&[0xE7, 0x28]);
    let no_notes = Phrase { tracks: vec![Track { name: "Silence".into(), notes: Vec::new() }], ..melody() };
    vec![
        ("melody.mid", whole.clone()),
        ("hymn.mid", midi_file::to_bytes(&hymn())),
        ("empty.mid", Vec::new()),
        ("truncated.mid", whole[..whole.len() * 3 / 5].to_vec()),
        ("smpte.mid", smpte),
        ("no_notes.mid", midi_file::to_bytes(&no_notes)),
    ]
}

/// Reads a tune in 4/4: `Bb4 1/2` is a pitch and its length in beats, `-` a rest; bar lines are checked.
///
/// # Panics
/// If the text is wrong; it is part of this file.
fn phrase(name: &str, tempo_bpm: f64, text: &str) -> Phrase {
    let mut notes = Vec::new();
    let mut pos_beats = 0.0;
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        if word == "|" {
            assert_eq!(pos_beats % 4.0, 0.0, "{name}: a bar line at beat {pos_beats}");
            continue;
        }
        let length_beats = beats(words.next().expect("a length behind each pitch"));
        if word != "-" {
            notes.push(Note {
                pitch: pitch(word),
                velocity: velocity(pos_beats),
                channel: 0,
                start_beats: pos_beats,
                length_beats,
            });
        }
        pos_beats += length_beats;
    }
    assert_eq!(pos_beats % 4.0, 0.0, "{name}: ends inside a bar");
    Phrase {
        tempo_bpm: on_the_grid_of_midi(tempo_bpm),
        time_signature: (4, 4),
        tracks: vec![Track { name: name.into(), notes }],
    }
}

/// A MIDI file holds a tempo as whole microseconds a beat: the nearest of those.
fn on_the_grid_of_midi(tempo_bpm: f64) -> f64 {
    60e6 / (60e6 / tempo_bpm).round()
}

/// `Bb4` is 70.
fn pitch(text: &str) -> u8 {
    let (letter, rest) = text.split_at(1);
    let semitone = match letter {
        "C" => 0,
        "D" => 2,
        "E" => 4,
        "F" => 5,
        "G" => 7,
        "A" => 9,
        "B" => 11,
        _ => panic!("expected a pitch, got {text}"),
    };
    let (octave, flat) = match rest.strip_prefix('b') {
        Some(octave) => (octave, 1),
        None => (rest, 0),
    };
    12 * (octave.parse::<u8>().expect("an octave") + 1) + semitone - flat
}

/// `1/2` is half a beat.
fn beats(text: &str) -> f64 {
    let number = |text: &str| text.parse::<f64>().expect("a number of beats");
    match text.split_once('/') {
        Some((over, under)) => number(over) / number(under),
        None => number(text),
    }
}

/// A player leans on the bar's first beat, a little on its third, and less between the beats.
fn velocity(pos_beats: f64) -> u8 {
    match pos_beats % 4.0 {
        0.0 => 100,
        2.0 => 92,
        beat if beat.fract() == 0.0 => 86,
        _ => 78,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_in_data_are_these() {
        for (name, bytes) in files() {
            let path = format!("{}/data/{name}", env!("CARGO_MANIFEST_DIR"));
            let written = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert!(
                written == bytes,
                "{path}: not as seed_phrases.rs makes it; run `cargo run -p continuo-tests --bin seeds`"
            );
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        for phrase in [melody(), hymn()] {
            let read = midi_file::parse("seed", &midi_file::to_bytes(&phrase)).unwrap();
            assert_eq!(read, phrase);
        }
    }

    #[test]
    fn the_melody_leaves_a_beat_open() {
        assert_eq!(melody().end_beats(), 15.0);
        let pitches: Vec<u8> = melody().notes().iter().map(|note| note.pitch).collect();
        assert_eq!((pitches[0], pitches.iter().min(), pitches.iter().max()), (67, Some(&67), Some(&76)));
    }

    #[test]
    fn the_hymn_is_legato() {
        let notes = hymn().notes();
        assert_eq!(hymn().end_beats(), 64.0);
        for pair in notes.windows(2) {
            assert_eq!(pair[0].end_beats(), pair[1].start_beats);
        }
    }

    #[test]
    fn text_is_read() {
        assert_eq!([pitch("C4"), pitch("Bb4"), pitch("E5")], [60, 70, 76]);
        assert_eq!([beats("3"), beats("1/2")], [3.0, 0.5]);
    }
}
