//! Chords, from pitch classes alone: their class, and where there is one, their root, quality and inversion.

use continuo_model::key;
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
        known(row).map_or(Self::Other, |(shape, _)| shape.class)
    }

    /// Whether it is a consonant triad.
    pub fn is_consonant(self) -> bool {
        matches!(self, Self::Major | Self::Minor)
    }
}

/// The quality of a chord with a known root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quality {
    /// A major triad, also without its fifth.
    Major,
    /// A minor triad, also without its fifth.
    Minor,
    /// A diminished triad.
    Diminished,
    /// An augmented triad.
    Augmented,
    /// A root and its fifth.
    Open,
    /// A dominant seventh chord, also without its fifth.
    DominantSeventh,
    /// A major seventh chord, also without its fifth.
    MajorSeventh,
    /// A minor seventh chord, also without its fifth.
    MinorSeventh,
    /// A half-diminished seventh chord.
    HalfDiminished,
    /// A diminished seventh chord.
    DiminishedSeventh,
}

impl Quality {
    /// All qualities.
    pub const ALL: [Self; 10] = [
        Self::Major,
        Self::Minor,
        Self::Diminished,
        Self::Augmented,
        Self::Open,
        Self::DominantSeventh,
        Self::MajorSeventh,
        Self::MinorSeventh,
        Self::HalfDiminished,
        Self::DiminishedSeventh,
    ];

    /// Whether every chord tone divides the octave alike, so that the pitch classes alone tell no root.
    fn is_symmetric(self) -> bool {
        matches!(self, Self::Augmented | Self::DiminishedSeventh)
    }
}

/// A chord with a known root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chord {
    /// The pitch class of the root, 0 = C. An augmented triad or a diminished seventh chord counts as in root position.
    pub root: u8,
    /// The quality.
    pub quality: Quality,
    /// The pitch class of the lowest note.
    pub bass: u8,
}

impl Chord {
    /// The chord that sounds in a step. `None` if its pitch classes form no triad and no seventh chord: suspensions,
    /// passing notes, a single pitch class, silence.
    pub fn of(row: &Row) -> Option<Self> {
        let bass = row.iter().flatten().min()? % 12;
        let (shape, root) = known(row)?;
        let root = if shape.quality.is_symmetric() { bass } else { root };
        Some(Self { root, quality: shape.quality, bass })
    }

    /// 0 in root position, 1 with the third in the bass, 2 with the fifth, 3 with the seventh.
    pub fn inversion(self) -> u8 {
        match (self.bass + 12 - self.root) % 12 {
            0 => 0,
            1..=4 => 1,
            5..=8 => 2,
            _ => 3,
        }
    }
}

/// The pitch classes of a kind of chord.
struct Shape {
    quality: Quality,
    class: ChordClass,
    /// Semitones above the root.
    semitones: &'static [u8],
}

const fn shape(quality: Quality, class: ChordClass, semitones: &'static [u8]) -> Shape {
    Shape { quality, class, semitones }
}

/// Incomplete triads have a root, but belong to no class of complete chords.
const SHAPES: [Shape; 15] = [
    shape(Quality::Major, ChordClass::Major, &[0, 4, 7]),
    shape(Quality::Minor, ChordClass::Minor, &[0, 3, 7]),
    shape(Quality::Diminished, ChordClass::Diminished, &[0, 3, 6]),
    shape(Quality::Augmented, ChordClass::Augmented, &[0, 4, 8]),
    shape(Quality::DominantSeventh, ChordClass::Seventh, &[0, 4, 7, 10]),
    shape(Quality::MajorSeventh, ChordClass::Seventh, &[0, 4, 7, 11]),
    shape(Quality::MinorSeventh, ChordClass::Seventh, &[0, 3, 7, 10]),
    shape(Quality::HalfDiminished, ChordClass::Seventh, &[0, 3, 6, 10]),
    shape(Quality::DiminishedSeventh, ChordClass::Seventh, &[0, 3, 6, 9]),
    shape(Quality::DominantSeventh, ChordClass::Seventh, &[0, 4, 10]),
    shape(Quality::MajorSeventh, ChordClass::Seventh, &[0, 4, 11]),
    shape(Quality::MinorSeventh, ChordClass::Seventh, &[0, 3, 10]),
    shape(Quality::Major, ChordClass::Other, &[0, 4]),
    shape(Quality::Minor, ChordClass::Other, &[0, 3]),
    shape(Quality::Open, ChordClass::Other, &[0, 7]),
];

/// The shape of the chord that sounds in a step, and its root. No two shapes share their pitch classes.
fn known(row: &Row) -> Option<(&'static Shape, u8)> {
    let classes = key::classes_of(row.iter().flatten().copied());
    SHAPES.iter().find_map(|shape| {
        let of_shape = key::classes_of(shape.semitones.iter().copied());
        let root = (0..12).find(|&root| key::transposed(of_shape, root.into()) == classes)?;
        Some((shape, root))
    })
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

    #[test]
    fn chords_have_a_root_a_quality_and_an_inversion() {
        let check = |row: [u8; 4], expect: Option<(u8, Quality, u8)>| {
            let found = Chord::of(&row.map(Some)).map(|chord| (chord.root, chord.quality, chord.inversion()));
            assert_eq!(found, expect, "{row:?}");
        };
        check([72, 64, 55, 48], Some((0, Quality::Major, 0)));
        check([71, 62, 55, 47], Some((7, Quality::Major, 1)));
        check([69, 60, 57, 52], Some((9, Quality::Minor, 2)));
        check([72, 64, 60, 48], Some((0, Quality::Major, 0))); // without its fifth
        check([69, 60, 57, 48], Some((9, Quality::Minor, 1)));
        check([67, 60, 55, 48], Some((0, Quality::Open, 0)));
        check([74, 65, 59, 50], Some((11, Quality::Diminished, 1)));
        check([67, 62, 59, 53], Some((7, Quality::DominantSeventh, 3)));
        check([67, 65, 59, 47], Some((7, Quality::DominantSeventh, 1)));
        check([69, 65, 62, 59], Some((11, Quality::HalfDiminished, 0)));
        // Four equal steps: the bass counts as the root.
        check([68, 65, 62, 59], Some((11, Quality::DiminishedSeventh, 0)));
        check([71, 68, 65, 50], Some((2, Quality::DiminishedSeventh, 0)));
        check([72, 65, 55, 48], None); // a suspension
        check([72, 60, 60, 48], None); // one pitch class
        assert_eq!(Chord::of(&[None; 4]), None);
    }
}
