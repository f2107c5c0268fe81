//! Tests of pieces in four voices.

use super::*;
use crate::corpus::piece::{Metre, MetreAt};

/// A piece from text. Bars separate steps; each step has four pitches, soprano first. `.` is a rest, and `*` after a
/// pitch marks an attack. Without any marks, the attacks are unknown.
pub fn piece(text: &str) -> FourVoices {
    let mut attacks = Vec::new();
    let rows = text.split('|').map(|step| {
        let words: Vec<&str> = step.split_whitespace().collect();
        attacks.push((0..NUM_VOICES).map(|v| u8::from(words[v].ends_with('*')) << v).sum());
        std::array::from_fn(|v| words[v].trim_end_matches('*').parse().ok())
    });
    let rows = rows.collect();
    let attacks = text.contains('*').then_some(attacks);
    FourVoices { name: "piece".into(), rows, attacks, metre: (4, 4), ..FourVoices::default() }
}

/// Parts with names; the notes are in 48ths of a quarter.
fn in_parts(parts: &[(&str, &str)]) -> Piece {
    let notes: Vec<&str> = parts.iter().map(|(_, notes)| *notes).collect();
    let mut piece = super::super::tests::piece("piece", &notes);
    piece.parts.iter_mut().zip(parts).for_each(|(part, (name, _))| part.name = (*name).into());
    piece.parts.retain(|part| !part.notes.is_empty());
    piece.source = "piece".into();
    piece
}

fn check(parts: &[(&str, &str)], expect: &str) {
    assert_eq!(FourVoices::of(&in_parts(parts), false).unwrap(), piece(expect), "{parts:?}");
}

#[test]
fn starts_are_attacks_or_changes_of_pitch() {
    assert_eq!(piece("72 64 55 . | 72 65 55 48 | 72 . 55 48 | 72 65 55 48").starts(), [0b0111, 0b1010, 0, 0b0010]);
    assert_eq!(piece("72* 64* 55* . | 72* 65* 55 48").starts(), [0b0111, 0b0011]);
    assert_eq!(piece("72 64 55 . | 72 65 55 48 | 74 . 55 48").top_line(), [72, 74]);
}

#[test]
fn voices_are_four_parts_or_those_that_bear_their_names() {
    let voices = [("a", "0+24:90"), ("b", "0+12:64"), ("c", "0+24:55"), ("d", "0+12:30 12+12:30")];
    let expect = "90* 64* 55* 30* | 90 . 55 30*";
    check(&voices, expect);
    let named = [
        ("Played", "0+24:90"),
        ("Soprano", "0+24:90"),
        ("Alto", "0+12:64"),
        ("Tenor", "0+24:55"),
        ("Bass", "0+12:30 12+12:30"),
    ];
    check(&named, expect);
    let error = FourVoices::of(&in_parts(&named[..3]), false).unwrap_err().to_string();
    assert_eq!(
        error,
        "expected four parts with notes, or parts named Soprano, Alto, Tenor, Bass, got 3 with at most 3 notes \
         together; give each voice a part"
    );
    check(&named[1..3], "90* 64* . . | 90 . . .");
}

#[test]
fn notes_go_to_the_nearest_16th_or_the_piece_is_refused() {
    let loose = [("a", "1+23:72 25+22:74"), ("b", "0+48:64"), ("c", "0+48:55"), ("d", "0+48:48")];
    check(&loose, "72* 64* 55* 48* | 72 64 55 48 | 74* 64 55 48 | 74 64 55 48");
    let error = FourVoices::of(&in_parts(&loose), true).unwrap_err().to_string();
    assert_eq!(error, "an onset or duration that is not a whole number of 16ths");
    let fast = [("a", "0+5:72 5+7:74"), ("b", "0+12:64"), ("c", "0+12:55"), ("d", "0+12:48")];
    let voices = FourVoices::of(&in_parts(&fast), false).unwrap();
    assert_eq!((voices.rows[0][0], voices.left_out), (Some(72), 1));
}

#[test]
fn step_0_is_on_a_beat_and_fermatas_keep_their_place() {
    let mut pickup = in_parts(&[("", "0+24:72"), ("", "0+24:64"), ("", "0+24:55"), ("", "0+24:48")]);
    let step = TICKS_PER_STEP;
    pickup.metres = vec![MetreAt { at: 0, metre: Metre::new(3, 4).unwrap() }];
    pickup.bars = vec![0, step];
    pickup.fermatas = Some(vec![(step, 2 * step)]);
    let voices = FourVoices::of(&pickup, false).unwrap();
    let expect = piece(". . . . | . . . . | . . . . | 72* 64* 55* 48* | 72 64 55 48");
    assert_eq!((&voices.rows, &voices.attacks), (&expect.rows, &expect.attacks));
    assert_eq!(voices.fermatas, [false, false, false, false, true]);
    assert_eq!(voices.metre, (3, 4));
}

#[test]
fn a_pitch_without_a_token_is_named_with_its_place() {
    assert_eq!(piece("72 64 55 48").grid().unwrap().steps, [[37, 29, 20, 13]]);
    let error = piece("72 64 55 48 | 72 64 55 20").grid().unwrap_err().to_string();
    assert_eq!(error, "step 1 (beat 0.25), bass: expected a pitch from 36 to 81, got 20; transpose the piece");
}
