//! Runs every reader on damaged files: cut at every byte, with bytes changed, deleted, duplicated and inserted, and
//! with huge numbers. A reader must not panic, hang or allocate without bound, and must return only valid pieces.

pub mod allocations;

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::Result;
use continuo_model::random::SplitMix64;

use super::piece::Piece;
use super::{abc, csv, dcml_tsv, decoding, grid_json, kern, leadsheets, midi, musicxml};

type Pieces = Result<Vec<Result<Piece>>>;

const RNG_SEED: u64 = 20;
const NUM_CORRUPTIONS: usize = 4000;
/// Bytes that a reader may allocate, in addition to a multiple of the file's size.
const MOST_BYTES: usize = 8 << 20;
/// A read that takes longer is stuck: the longest takes milliseconds.
const STUCK: Duration = Duration::from_secs(120);
/// Characters with a meaning in one of the formats.
const SIGNS: &[u8] = b"0123456789/.:|[](){}<>*^%#-_=\t\n \"\0\xff";

/// Runs `read` on every prefix of `valid`, then on random corruptions of it with a fixed seed.
fn check(name: &str, valid: &[u8], read: impl Fn(&[u8]) -> Pieces) {
    let whole = read(valid).unwrap_or_else(|error| panic!("{name}: {error:#}"));
    assert!(whole.iter().all(Result::is_ok), "{name}: {whole:?}");
    // A read that never returns cannot fail a test by itself.
    let (begin, begun) = channel::<String>();
    let guard = std::thread::spawn(move || {
        let mut place = String::new();
        loop {
            match begun.recv_timeout(STUCK) {
                Ok(next) => place = next,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    eprintln!("{place}: the reader is stuck");
                    std::process::abort();
                }
            }
        }
    });
    let try_one = |place: String, bytes: &[u8]| {
        begin.send(place.clone()).expect("the guard listens");
        let (pieces, most) = allocations::most_during(|| read(bytes));
        assert!(most <= MOST_BYTES + 100 * bytes.len(), "{place}: the reader held {most} bytes");
        sound(&place, pieces);
    };
    for end in 0..valid.len() {
        try_one(format!("{name} cut at {end}"), &valid[..end]);
    }
    let mut random = SplitMix64::new(RNG_SEED);
    for round in 0..NUM_CORRUPTIONS {
        let mut bytes = valid.to_vec();
        for _ in 0..=random.next_below(4) {
            corrupt(&mut bytes, valid, &mut random);
        }
        try_one(format!("{name}, rng seed {RNG_SEED}, round {round}"), &bytes);
    }
    drop(begin);
    guard.join().expect("the guard does not panic");
}

/// Numbers just inside and outside the limits of readers and of integer types.
const HUGE: [&str; 8] = ["0", "128", "999999", "1000001", "4294967296", "9223372036854775807", "1e308", "-99999999"];

fn corrupt(bytes: &mut Vec<u8>, valid: &[u8], random: &mut SplitMix64) {
    let at = random.next_below(bytes.len() + 1);
    let byte = match random.next_below(3) {
        0 => random.next_below(256) as u8,
        1 => SIGNS[random.next_below(SIGNS.len())],
        _ => valid[random.next_below(valid.len())],
    };
    match random.next_below(7) {
        0 if at < bytes.len() => bytes[at] = byte,
        1 if at < bytes.len() => drop(bytes.remove(at)),
        2 => {
            let end = (at + random.next_below(40)).min(bytes.len());
            bytes.drain(at..end);
        }
        3 => {
            let from = random.next_below(valid.len());
            let to = (from + random.next_below(40)).min(valid.len());
            bytes.splice(at..at, valid[from..to].iter().copied());
        }
        4 => {
            // Replaces a number with one that is far too large.
            let digits: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at].is_ascii_digit()).collect();
            if !digits.is_empty() {
                let at = digits[random.next_below(digits.len())];
                let huge = HUGE[random.next_below(HUGE.len())];
                bytes.splice(at..=at, huge.bytes());
            }
        }
        // The same for binary numbers: the largest byte, or the largest length in several bytes.
        5 => {
            let end = (at + 1 + random.next_below(4)).min(bytes.len());
            bytes[at..end].fill([0x7f, 0xff][random.next_below(2)]);
        }
        _ => bytes.insert(at, byte),
    }
}

fn sound(place: &str, pieces: Pieces) {
    let pieces = match pieces {
        Ok(pieces) => pieces,
        Err(error) => return assert!(!format!("{error:#}").is_empty(), "{place}: an error without words"),
    };
    for piece in pieces.into_iter().flatten() {
        assert!(!piece.parts.is_empty(), "{place}: no parts");
        for part in &piece.parts {
            assert!(!part.notes.is_empty(), "{place}: a part without notes");
            let in_order = part.notes.windows(2).all(|pair| {
                pair[0].onset < pair[1].onset || pair[0].onset == pair[1].onset && pair[0].pitch > pair[1].pitch
            });
            assert!(in_order, "{place}: {:?}", part.notes);
        }
        assert!(
            piece.notes().all(|note| note.duration > 0 && note.end() <= piece.length && note.pitch < 128),
            "{place}"
        );
        assert!(
            piece.bars.is_sorted() && piece.bars.iter().all(|&bar| bar < piece.length),
            "{place}: {:?}",
            piece.bars
        );
        assert!(piece.metres.is_sorted_by_key(|metre| metre.at), "{place}: {:?}", piece.metres);
        assert!(piece.key().is_some() && piece.pickup() < piece.length, "{place}");
    }
}

fn text(read: impl Fn(&str) -> Pieces) -> impl Fn(&[u8]) -> Pieces {
    move |bytes| read(&decoding::text(bytes))
}

fn json(read: impl Fn(&serde_json::Value) -> Vec<Result<Piece>>) -> impl Fn(&[u8]) -> Pieces {
    move |bytes| Ok(read(&serde_json::from_slice(bytes)?))
}

#[test]
fn midi() {
    let track = [0, 0xff, 0x58, 4, 3, 2, 24, 8, 0, 0x90, 60, 64, 96, 60, 0, 0, 0x91, 64, 1, 48, 0x81, 64, 0];
    for format in 0..=2 {
        check("midi", &midi::tests::file(format, 96, &[&track, &track]), |bytes| midi::read("a.mid", bytes));
    }
}

#[test]
fn kern() {
    for played in [false, true] {
        check("kern", kern::tests::KERN.as_bytes(), text(|text| Ok(vec![kern::read("a.krn", text, played)])));
    }
}

#[test]
fn abc() {
    for played in [false, true] {
        check("abc", abc::tests::ABC.as_bytes(), text(|text| abc::read("a.abc", text, played)));
    }
}

#[test]
fn musicxml() {
    let valid = musicxml::tests::MUSICXML;
    for played in [false, true] {
        check("musicxml", valid.as_bytes(), text(|text| Ok(vec![musicxml::read("a.xml", text, played)])));
    }
    let packed = musicxml::tests::pack(&[("a.xml", valid)]);
    check("mxl", &packed, |bytes| Ok(vec![musicxml::read("a.mxl", &musicxml::unpack(bytes)?, true)]));
}

#[test]
fn tables() {
    let csv = b"note0,note1\n60,0\n60,55\n62,55\n";
    check("csv", csv, text(|text| Ok(vec![csv::read("a.csv", text)])));
    let notes = dcml_tsv::tests::NOTES;
    let measures = Some(dcml_tsv::tests::MEASURES);
    check("notes", notes.as_bytes(), text(|text| Ok(vec![dcml_tsv::read("a.tsv", text, measures)])));
    let measures = dcml_tsv::tests::MEASURES.as_bytes();
    check("measures", measures, text(|text| Ok(vec![dcml_tsv::read("a.tsv", notes, Some(text))])));
}

#[test]
fn json_lists() {
    let grid = br#"{"train": [{"pitch": [[72, -1, 55, 48], [72, 64, 55, 48]], "attack": [15, 1], "ts": "3/4",
        "fifths": 1, "mode": "minor", "pos16": [11, 0]}]}"#;
    check("grid", grid, json(|value| grid_json::read("a.json", value)));
    let sheets =
        br#"[{"title": "t", "tpq": 24, "notes": [[60, 36], [-1, 12], [62, 8]], "ts": ["2/2"], "fifths": [1]}]"#;
    check("sheets", sheets, json(|value| leadsheets::read("a.json", value)));
}

#[test]
fn a_small_file_of_endless_music_is_refused() {
    // 268 million ticks of a quarter note each in a metre of 1/128: a huge number of bars.
    let track = [0, 0xff, 0x58, 4, 1, 7, 24, 8, 0, 0x90, 60, 64, 0xff, 0xff, 0xff, 0x7f, 60, 0];
    for division in [1, 300, 32_767] {
        let file = midi::tests::file(0, division, &[&track]);
        let (pieces, most) = allocations::most_during(|| midi::read("a.mid", &file));
        assert!(most < MOST_BYTES, "at {division} ticks a quarter note the reader held {most} bytes");
        sound("endless", pieces);
    }
    let kern = "**kern\n*M1/128\n4%99999c\n*-\n";
    let (piece, most) = allocations::most_during(|| kern::read("a.krn", kern, true));
    assert!(most < MOST_BYTES, "the reader held {most} bytes");
    sound("endless", Ok(vec![piece]));
}
