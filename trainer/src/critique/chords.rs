//! Chord classes, from pitch classes alone.

use continuo_model::rules::Row;
use serde::Serialize;

/// The class of a chord, independent of root, inversion and doublings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChordClass {
    /// A complete major triad.
    Major,
    /// A complete minor triad.
    Minor,
    /// A complete diminished triad.
    Diminished,
    /// An augmented triad.
    Augmented,
    /// A dominant, major, minor, half-diminished or diminished seventh chord; the first three also without their fifth.
    Seventh,
    /// All others: suspensions, passing notes, incomplete chords, silence.
    Other,
}

impl ChordClass {
    /// All classes, in the order of tables.
    pub const ALL: [Self; 6] =
        [Self::Major, Self::Minor, Self::Diminished, Self::Augmented, Self::Seventh, Self::Other];

    /// The class of the chord that sounds in a step.
    pub fn of(row: &Row) -> Self {
        let classes = row.iter().flatten().fold(0, |classes, pitch| classes | 1 << (pitch % 12));
        let known =
            CHORDS.iter().find(|(_, chord)| (0..12).any(|root| transposed(pitch_classes(chord), root) == classes));
        known.map_or(Self::Other, |(class, _)| *class)
    }

    /// Whether it is a consonant triad.
    pub fn is_consonant(self) -> bool {
        matches!(self, Self::Major | Self::Minor)
    }
}

/// Semitones above the root.
const CHORDS: [(ChordClass, &[u8]); 12] = [
    (ChordClass::Major, &[0, 4, 7]),
    (ChordClass::Minor, &[0, 3, 7]),
    (ChordClass::Diminished, &[0, 3, 6]),
    (ChordClass::Augmented, &[0, 4, 8]),
    (ChordClass::Seventh, &[0, 4, 7, 10]),
    (ChordClass::Seventh, &[0, 4, 7, 11]),
    (ChordClass::Seventh, &[0, 3, 7, 10]),
    (ChordClass::Seventh, &[0, 3, 6, 10]),
    (ChordClass::Seventh, &[0, 3, 6, 9]),
    (ChordClass::Seventh, &[0, 4, 10]),
    (ChordClass::Seventh, &[0, 4, 11]),
    (ChordClass::Seventh, &[0, 3, 10]),
];

/// Pitch classes as bits, C = bit 0.
fn pitch_classes(chord: &[u8]) -> u16 {
    chord.iter().fold(0, |classes, semitones| classes | 1 << semitones)
}

fn transposed(classes: u16, semitones: u32) -> u16 {
    (classes << semitones | classes >> (12 - semitones)) & 0xfff
}

#[cfg(test)]
mod tests {
    use super::ChordClass::{Augmented, Diminished, Major, Minor, Other, Seventh};
    use super::*;

    #[test]
    fn chords_are_classified_by_their_pitch_classes() {
        let cases = [
            ([Some(72), Some(64), Some(55), Some(48)], Major),
            ([Some(71), Some(62), Some(55), Some(47)], Major), // first inversion of G
            ([Some(69), Some(64), Some(60), Some(45)], Minor),
            ([Some(69), None, Some(60), Some(52)], Minor), // three voices suffice
            ([Some(74), Some(65), Some(59), Some(50)], Diminished),
            ([Some(72), Some(64), Some(56), Some(48)], Augmented),
            ([Some(65), Some(62), Some(59), Some(43)], Seventh),
            ([Some(67), Some(65), Some(59), Some(43)], Seventh), // without its fifth
            ([Some(72), Some(60), Some(55), Some(48)], Other),   // an open fifth
            ([Some(72), Some(65), Some(55), Some(48)], Other),   // a suspension
            ([None; 4], Other),
        ];
        for (row, expect) in cases {
            assert_eq!(ChordClass::of(&row), expect, "{row:?}");
            for shift in 1..12 {
                let higher = row.map(|pitch: Option<u8>| pitch.map(|pitch| pitch + shift));
                assert_eq!(ChordClass::of(&higher), expect, "{higher:?}");
            }
        }
    }
}
