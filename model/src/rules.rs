//! Rules of part-writing, as pure functions of sounding pitches that allocate nothing.
//!
//! They are the textbook rules for four-part chorales (for example W. Piston, *Harmony*). Pitches are MIDI numbers
//! without spelling: an augmented second counts as a minor third, and of the augmented leaps only the fourth is
//! recognised, as a tritone.
//!
//! A rest (`None` in a [`Row`]) never breaks a rule, and a voice that enters after a rest has not moved.

use std::ops::RangeInclusive;

use crate::tokeniser::grid::NUM_VOICES;

/// The MIDI pitches that sound in a step, soprano first; `None` is a rest.
pub type Row = [Option<u8>; NUM_VOICES];

/// Every pair of voices, the upper voice first (0 = soprano).
pub const PAIRS: [(usize, usize); 6] = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)];

/// The lowest and highest MIDI pitch of each voice, soprano first, in the 382 pieces of the JSB Chorales
/// (Boulanger-Lewandowski et al. 2012).
pub const RANGES: [RangeInclusive<u8>; NUM_VOICES] = [60..=81, 52..=74, 46..=69, 36..=66];

/// The widest interval between soprano and alto, or alto and tenor, in semitones.
pub const WIDEST_SPACING: u8 = 12;

/// A perfect consonance; compound intervals count as simple ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Perfect {
    /// A fifth, a twelfth, and so on.
    Fifth,
    /// A unison, an octave, and so on.
    Octave,
}

/// A melodic interval that is hard to sing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AwkwardLeap {
    /// Six semitones: an augmented fourth or a diminished fifth.
    Tritone,
    /// Ten or eleven semitones, or more than an octave.
    SeventhOrWider,
}

/// The perfect consonance between the pitches of an upper and a lower voice, if they form one.
///
/// The names of the voices count, not which of them sounds higher: if tenor and bass cross, a tenor a fourth below the
/// bass forms a fifth, and a tenor a fifth below it does not. Listeners hear it so once the bass is doubled an octave
/// lower, and published counts of Bach's parallels also take residues modulo 12.
pub(crate) const fn perfect(upper: u8, lower: u8) -> Option<Perfect> {
    match (upper as i16 - lower as i16).rem_euclid(12) {
        0 => Some(Perfect::Octave),
        7 => Some(Perfect::Fifth),
        _ => None,
    }
}

/// Whether `voice` sounds a pitch in `row` that it did not sound in `previous`. A repeated note is no change.
pub fn changes_pitch(previous: &Row, row: &Row, voice: usize) -> bool {
    row[voice].is_some() && row[voice] != previous[voice]
}

/// The parallel fifths or octaves of a pair of voices, if any: both move in the same direction, from one perfect fifth
/// to another, or from one unison or octave to another. Compound intervals count. `pair` is one of [`PAIRS`].
pub fn parallel(previous: &Row, row: &Row, pair: (usize, usize)) -> Option<Perfect> {
    let (from, to) = similar_motion(previous, row, pair)?;
    let arrival = perfect(to.0, to.1)?;
    (perfect(from.0, from.1) == Some(arrival)).then_some(arrival)
}

/// The direct (hidden) fifth or octave between soprano and bass, if any: they move in the same direction from any other
/// interval to a perfect consonance, and the soprano leaps by more than two semitones.
pub fn direct(previous: &Row, row: &Row) -> Option<Perfect> {
    let (from, to) = similar_motion(previous, row, (0, NUM_VOICES - 1))?;
    let arrival = perfect(to.0, to.1)?;
    (perfect(from.0, from.1) != Some(arrival) && from.0.abs_diff(to.0) > 2).then_some(arrival)
}

/// The pitches (upper, lower) of a pair before and after, if both voices move in the same direction.
fn similar_motion(previous: &Row, row: &Row, (upper, lower): (usize, usize)) -> Option<((u8, u8), (u8, u8))> {
    let from = (previous[upper]?, previous[lower]?);
    let to = (row[upper]?, row[lower]?);
    let up = to.0 > from.0 && to.1 > from.1;
    let down = to.0 < from.0 && to.1 < from.1;
    (up || down).then_some((from, to))
}

/// Whether the upper voice of a pair sounds below the lower one. A unison is no crossing.
pub fn crossing(row: &Row, (upper, lower): (usize, usize)) -> bool {
    matches!((row[upper], row[lower]), (Some(upper), Some(lower)) if upper < lower)
}

/// Whether `voice` moves below the previous pitch of the next lower voice, or above that of the next higher voice.
pub fn overlap(previous: &Row, row: &Row, voice: usize) -> bool {
    let Some(pitch) = row[voice] else { return false };
    if previous[voice].is_none_or(|before| before == pitch) {
        return false;
    }
    let under = previous.get(voice + 1).copied().flatten();
    let over = voice.checked_sub(1).and_then(|over| previous[over]);
    under.is_some_and(|under| pitch < under) || over.is_some_and(|over| pitch > over)
}

/// Whether soprano and alto, or alto and tenor, sound more than an octave apart. Tenor and bass are allowed to.
pub fn too_wide(row: &Row) -> bool {
    row[..NUM_VOICES - 1]
        .windows(2)
        .any(|pair| matches!(pair, [Some(upper), Some(lower)] if upper.saturating_sub(*lower) > WIDEST_SPACING))
}

/// The awkward leap of `voice` from `previous` to `row`, if any.
pub fn awkward_leap(previous: &Row, row: &Row, voice: usize) -> Option<AwkwardLeap> {
    match previous[voice]?.abs_diff(row[voice]?) {
        6 => Some(AwkwardLeap::Tritone),
        10 | 11 | 13.. => Some(AwkwardLeap::SeventhOrWider),
        _ => None,
    }
}

/// Whether `voice` sounds outside its range; see [`RANGES`].
pub fn out_of_range(row: &Row, voice: usize) -> bool {
    row[voice].is_some_and(|pitch| !RANGES[voice].contains(&pitch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Perfect::{Fifth, Octave};

    /// Parses a row, soprano first; `.` is a rest.
    fn row(words: &str) -> Row {
        let mut words = words.split_whitespace();
        std::array::from_fn(|_| words.next().expect("four words").parse().ok())
    }

    /// Compares `found(from, to)` with the expectation, for each case `from | to`.
    fn check<T: PartialEq + std::fmt::Debug>(found: impl Fn(&Row, &Row) -> T, cases: &[(&str, T)]) {
        for (music, expect) in cases {
            let (from, to) = music.split_once('|').expect("a bar");
            assert_eq!(&found(&row(from), &row(to)), expect, "{music}");
        }
    }

    #[test]
    fn parallels_need_two_moving_voices_and_the_same_consonance_twice() {
        check(
            |from, to| parallel(from, to, (2, 3)),
            &[
                ("72 64 55 48 | 72 65 57 50", Some(Fifth)),  // c-g to d-a
                ("72 64 55 36 | 72 65 57 38", Some(Fifth)),  // a twelfth to a twelfth
                ("72 64 67 48 | 72 65 57 38", Some(Fifth)),  // both down
                ("72 64 60 48 | 72 65 62 50", Some(Octave)), // octaves
                ("72 64 60 60 | 72 65 62 62", Some(Octave)), // unisons
                ("72 64 60 60 | 72 65 62 50", None),         // a unison to an octave, in contrary motion
                ("72 64 60 60 | 72 65 59 47", Some(Octave)), // a unison to an octave, both down
                ("72 64 55 48 | 72 64 55 48", None),         // nothing moves
                ("72 64 55 48 | 72 64 55 36", None),         // one voice moves
                ("72 64 55 48 | 72 64 50 55", None),         // contrary motion
                ("72 64 55 48 | 72 64 65 58", Some(Fifth)),  // any size of move
                ("72 64 54 48 | 72 65 57 50", None),         // a diminished fifth before
                ("72 64 55 48 | 72 65 62 50", None),         // a fifth, then an octave
                ("72 64 55 48 | 72 65 . 50", None),          // a rest
                (". . . . | 72 65 57 50", None),             // a beginning
                ("72 64 48 53 | 72 65 50 55", Some(Fifth)),  // crossed: a fourth below the bass
                ("72 64 48 55 | 72 65 50 57", None),         // crossed: a fifth below the bass
            ],
        );
        check(
            |from, to| PAIRS.map(|pair| parallel(from, to, pair)),
            &[
                ("67 64 60 48 | 69 65 62 50", [None, Some(Fifth), Some(Fifth), None, None, Some(Octave)]),
                ("72 64 55 48 | 74 65 57 50", [None, None, Some(Octave), None, None, Some(Fifth)]),
                ("72 67 60 53 | 71 65 58 55", [None, None, None, Some(Fifth), None, None]),
            ],
        );
    }

    #[test]
    fn direct_consonances_are_leapt_into_by_the_soprano() {
        check(
            direct,
            &[
                ("64 60 55 48 | 69 60 57 50", Some(Fifth)),  // third to fifth, up a fourth
                ("64 60 55 45 | 72 60 57 48", Some(Octave)), // fifth to octave, up a sixth
                ("67 60 55 46 | 69 60 57 50", None),         // the soprano steps
                ("64 60 55 50 | 69 60 57 50", None),         // the bass stays
                ("64 60 55 52 | 69 60 57 50", None),         // contrary motion
                ("67 60 55 48 | 74 60 57 55", None),         // that is a parallel
                ("60 60 55 48 | 64 60 57 50", None),         // to a ninth
            ],
        );
    }

    #[test]
    fn crossing_and_overlap_look_at_now_and_at_just_before() {
        let crossed = |_: &Row, to: &Row| PAIRS.map(|pair| crossing(to, pair)).iter().filter(|&&x| x).count();
        check(
            crossed,
            &[
                ("72 64 55 48 | 72 64 55 48", 0),
                ("72 64 55 48 | 60 60 60 60", 0),
                ("72 64 55 48 | 72 64 47 48", 1),
                ("72 64 55 48 | 72 . 73 48", 1),
                ("72 64 55 48 | 48 60 60 60", 3),
            ],
        );
        check(
            |from, to| [0, 1, 2, 3].map(|voice| overlap(from, to, voice)),
            &[
                ("67 64 55 48 | 62 60 55 48", [true, false, false, false]), // below where the alto was
                ("67 64 55 48 | 71 69 55 48", [false, true, false, false]), // above where the soprano was
                ("67 64 55 48 | 64 60 55 48", [false; 4]),                  // at where it was
                ("60 64 55 48 | 60 62 55 48", [false, true, false, false]), // stays crossed by moving
                ("60 64 55 48 | 60 64 57 48", [false; 4]),                  // stays crossed by holding
                ("67 64 55 48 | 67 64 47 45", [false, false, true, false]),
                ("67 64 . 48 | 67 64 47 45", [false; 4]), // an entry has not moved
            ],
        );
    }

    #[test]
    fn spacing_leaps_and_ranges() {
        let wide = |_: &Row, to: &Row| too_wide(to);
        check(
            wide,
            &[
                (". . . . | 72 60 48 36", false),
                (". . . . | 73 60 55 36", true),
                (". . . . | 72 64 51 36", true),
                (". . . . | 72 64 55 36", false),
                (". . . . | 79 . 55 36", false),
                (". . . . | 55 72 60 36", false),
            ],
        );
        check(
            |from, to| [0, 1, 2, 3].map(|voice| awkward_leap(from, to, voice)),
            &[
                ("72 64 55 48 | 66 70 50 60", [Some(AwkwardLeap::Tritone), Some(AwkwardLeap::Tritone), None, None]),
                (
                    "72 64 55 . | 62 64 68 60",
                    [Some(AwkwardLeap::SeventhOrWider), None, Some(AwkwardLeap::SeventhOrWider), None],
                ),
            ],
        );
        check(
            |_, to| [0, 1, 2, 3].map(|voice| out_of_range(to, voice)),
            &[
                (". . . . | 60 52 46 36", [false; 4]),
                (". . . . | 81 74 69 66", [false; 4]),
                (". . . . | 59 51 45 35", [true; 4]),
                (". . . . | 82 75 70 .", [true, true, true, false]),
            ],
        );
        check(
            |from, to| [0, 1, 2, 3].map(|voice| changes_pitch(from, to, voice)),
            &[("72 64 . 48 | 72 65 55 .", [false, true, true, false])],
        );
    }
}
