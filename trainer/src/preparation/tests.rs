//! Tests of preparation as a whole, and music for the tests of its modules.

use super::*;
use crate::corpus::key::{Mode, WrittenKey};
use crate::corpus::piece::{Note, Part, TICKS_PER_BEAT};

/// Options for a melody; all others have their defaults.
pub fn options() -> Preparation {
    toml::from_str("grammar = \"melody\"\nkey = \"none\"\nfewest_events = 1").unwrap()
}

/// A piece of parts such as `0+48:60 48+24:62`: onset and duration in 48ths of a quarter, pitch.
pub fn piece(name: &str, parts: &[&str]) -> Piece {
    let note = |word: &str| {
        let numbers: Vec<u64> = word.split(['+', ':']).map(|number| number.parse().unwrap()).collect();
        let ticks = TICKS_PER_BEAT / 48;
        Note { onset: numbers[0] * ticks, duration: numbers[1] * ticks, pitch: numbers[2] as u8, velocity: None }
    };
    let part = |text: &&str| Part { notes: text.split_whitespace().map(note).collect(), ..Part::default() };
    Piece { source: format!("{name}.mid"), parts: parts.iter().map(part).collect(), ..Piece::default() }
}

fn corpus(pieces: Vec<Piece>) -> Corpus {
    Corpus { pieces, ..Corpus::default() }
}

/// A different tune for each `seed`.
fn tune(seed: u64) -> Piece {
    let mut rng = continuo_model::random::SplitMix64::new(seed);
    let words: Vec<_> = (0..40).map(|n| format!("{}+12:{}", n * 12, 60 + rng.next_below(13))).collect();
    piece(&format!("tune {seed}"), &[&words.join(" ")])
}

#[test]
fn near_duplicates_fall_on_one_side_or_one_of_them_stays() {
    let mut pieces: Vec<Piece> = (0..60).map(tune).collect();
    // Each tune again, a fourth higher, with another name and another ending.
    pieces.extend((0..60).map(|seed| {
        let mut copy = tune(seed);
        copy.source = format!("copy of {seed}.mid");
        copy.parts[0].notes.iter_mut().for_each(|note| note.pitch += 5);
        copy.parts[0].notes.truncate(35);
        copy
    }));
    let prepared = prepare(corpus(pieces.clone()), &options(), &[]);
    assert_eq!((prepared.report.families, prepared.report.near_duplicates), (60, 60));
    let seeds = |songs: &[Song]| {
        let mut seeds: Vec<u32> =
            songs.iter().map(|song| song.name.rsplit(' ').next().unwrap().parse().unwrap()).collect();
        seeds.sort_unstable();
        seeds
    };
    let (train, valid) = (seeds(&prepared.train), seeds(&prepared.valid));
    assert!(!valid.is_empty() && train.len() > valid.len());
    assert!(valid.iter().all(|seed| !train.contains(seed)), "{valid:?}");
    assert_eq!(train.len() + valid.len(), 120);

    let one = Preparation { duplicates: Duplicates::One, ..options() };
    let prepared = prepare(corpus(pieces), &one, &[]);
    assert_eq!((prepared.report.copies_left_out, prepared.train.len() + prepared.valid.len()), (60, 60));
    assert!(prepared.train.iter().all(|song| song.name.starts_with("tune")));
}

#[test]
fn the_split_stays_when_music_is_added() {
    let few = prepare(corpus((0..100).map(tune).collect()), &options(), &[]);
    let many = prepare(corpus((0..300).rev().map(tune).collect()), &options(), &[]);
    let names = |songs: &[Song]| songs.iter().map(|song| song.name.clone()).collect::<Vec<_>>();
    let many = names(&many.valid);
    assert!(names(&few.valid).iter().all(|name| many.contains(name)));
    assert!(names(&few.train).iter().all(|name| !many.contains(name)));
}

#[test]
fn songs_go_to_the_home_key_and_modes_are_chosen() {
    let in_key = |fifths, mode| {
        let written_key = Some(WrittenKey { fifths, mode: Some(mode) });
        Piece { written_key, ..piece("a", &["0+12:62 12+12:66 24+12:69"]) }
    };
    let pitches = |options: &Preparation, fifths, mode| {
        song_of(&in_key(fifths, mode), options).map(|(song, _)| song.top_line().collect::<Vec<_>>())
    };
    let home = Preparation { key: KeyPlan::Home, ..options() };
    assert_eq!(pitches(&home, 2, Mode::Major).unwrap(), [60, 64, 67]);
    assert_eq!(pitches(&home, 2, Mode::Minor).unwrap(), [60, 64, 67]);
    assert_eq!(pitches(&home, -1, Mode::Minor).unwrap(), [57, 61, 64]);
    assert_eq!(pitches(&options(), 2, Mode::Major).unwrap(), [62, 66, 69]);
    let major = Preparation { modes: Modes::Major, ..home };
    assert_eq!(pitches(&major, 2, Mode::Mixolydian).unwrap().len(), 3);
    assert_eq!(pitches(&major, 2, Mode::Dorian).unwrap_err(), "in minor");
}

#[test]
fn pieces_left_out_are_counted_by_reason() {
    let pieces = vec![tune(1), tune(2), piece("triplet", &["0+16:60 16+16:62 32+16:64"])];
    let strict = Preparation { drop_unquantised: true, fewest_events: 2, ..options() };
    let report = prepare(corpus(pieces), &strict, &[]).report;
    assert_eq!((report.pieces, report.train.0 + report.valid.0), (3, 2));
    let text = report.to_string();
    assert!(text.contains("left out: 1 (an onset or duration that is not a whole number of 16ths)"), "{text}");
}
