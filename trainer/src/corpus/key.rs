//! Keys: their names, and an estimate of the key of a piece.

use std::fmt;

use super::piece::Note;

/// A diatonic mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    Major,
    Dorian,
    Phrygian,
    Lydian,
    Mixolydian,
    Minor,
    Locrian,
}

impl Mode {
    /// The mode whose name starts with the same three letters as `word`; `m` alone is minor. `None` for any other word.
    pub fn from_word(word: &str) -> Option<Self> {
        let word = word.to_lowercase();
        Some(match word.get(..3).unwrap_or(&word) {
            "maj" | "ion" => Self::Major,
            "m" | "min" | "aeo" => Self::Minor,
            "dor" => Self::Dorian,
            "phr" => Self::Phrygian,
            "lyd" => Self::Lydian,
            "mix" => Self::Mixolydian,
            "loc" => Self::Locrian,
            _ => return None,
        })
    }

    /// Whether the third above the tonic is minor.
    pub fn has_minor_third(self) -> bool {
        matches!(self, Self::Minor | Self::Dorian | Self::Phrygian | Self::Locrian)
    }

    /// The distance in fifths from the tonic of the major key with the same signature up to this mode's tonic.
    pub fn fifths_above_major(self) -> i8 {
        match self {
            Self::Lydian => -1,
            Self::Major => 0,
            Self::Mixolydian => 1,
            Self::Dorian => 2,
            Self::Minor => 3,
            Self::Phrygian => 4,
            Self::Locrian => 5,
        }
    }
}

/// A key signature in a file, with the mode if the file gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenKey {
    /// Sharps (above 0) or flats (below 0), -14 to 14.
    pub fifths: i8,
    /// The mode, if the file gives it.
    pub mode: Option<Mode>,
}

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Sharps (above 0) or flats (below 0) of its signature.
    pub fifths: i8,
    /// Its mode.
    pub mode: Mode,
}

impl Key {
    /// Pitch class of the tonic, 0 = C.
    pub fn tonic(self) -> u8 {
        (7 * (i32::from(self.fifths) + i32::from(self.mode.fifths_above_major()))).rem_euclid(12) as u8
    }
}

impl Key {
    /// 0 to 11 for major keys from C up, 12 to 23 for minor. A mode counts as major or minor according to its third.
    pub fn number(self) -> u8 {
        self.tonic() + if self.mode.has_minor_third() { 12 } else { 0 }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // On the line of fifths F is -1, C 0, G 1; seven positions further, the same letter has a sharp.
        let place = i32::from(self.fifths) + i32::from(self.mode.fifths_above_major()) + 1;
        let letter = ["F", "C", "G", "D", "A", "E", "B"][place.rem_euclid(7) as usize];
        let bends = place.div_euclid(7);
        let sign = if bends < 0 { "b" } else { "#" };
        let mode = format!("{:?}", self.mode).to_lowercase();
        write!(f, "{letter}{} {mode}", sign.repeat(bends.unsigned_abs() as usize))
    }
}

/// How long each pitch class sounds, in ticks; index 0 = C.
pub fn pitch_classes<'a>(notes: impl Iterator<Item = &'a Note>) -> [f64; 12] {
    let mut sums = [0.0; 12];
    for note in notes {
        sums[usize::from(note.pitch % 12)] += note.duration as f64;
    }
    sums
}

/// Estimates the key: the major or minor key whose profile is nearest to the pitch classes by
/// [`distance`](continuo_model::key::distance). With `fifths`, considers only keys with that signature. `None` if
/// nothing sounds.
///
/// Agreement with the keys in files: 92 % of 4,031 folk tunes in major or minor, all 46 preludes and fugues of the
/// Well-Tempered Clavier with a key, 80 % of 292 chorales and of 425 editions of Chopin; with the signature given, 95,
/// 100, 92 and 93 %. Krumhansl's and Kessler's own profiles reach 89, 100, 69 and 68 %.
pub fn estimate(pitch_classes: &[f64; 12], fifths: Option<i8>) -> Option<Key> {
    let total: f64 = pitch_classes.iter().sum();
    if total <= 0.0 {
        return None;
    }
    let all = -5..=6;
    let signatures = fifths.map_or(all, |fifths| fifths..=fifths);
    let keys = signatures.flat_map(|fifths| [Mode::Major, Mode::Minor].map(|mode| Key { fifths, mode }));
    let distance = |key: &Key| continuo_model::key::distance(pitch_classes, key.tonic(), key.mode == Mode::Minor);
    keys.min_by(|a, b| distance(a).total_cmp(&distance(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fifths: i8, mode: Mode, name: &str, tonic: u8) {
        let key = Key { fifths, mode };
        assert_eq!((key.to_string().as_str(), key.tonic()), (name, tonic));
    }

    #[test]
    fn keys_have_names_and_tonics() {
        check(0, Mode::Major, "C major", 0);
        check(-5, Mode::Minor, "Bb minor", 10);
        check(2, Mode::Mixolydian, "A mixolydian", 9);
        check(-1, Mode::Major, "F major", 5);
        check(6, Mode::Major, "F# major", 6);
        check(0, Mode::Lydian, "F lydian", 5);
        check(8, Mode::Minor, "E# minor", 5);
        check(-8, Mode::Major, "Fb major", 4);
        assert_eq!(Mode::from_word("Mixolydian"), Some(Mode::Mixolydian));
        assert_eq!(Mode::from_word("m"), Some(Mode::Minor));
        assert_eq!(Mode::from_word("é"), None);
    }

    fn estimated(pitches: &[u8], fifths: Option<i8>) -> Option<String> {
        let notes: Vec<_> =
            pitches.iter().map(|&pitch| Note { onset: 0, duration: 1, pitch, velocity: None }).collect();
        estimate(&pitch_classes(notes.iter()), fifths).map(|key| key.to_string())
    }

    #[test]
    fn scales_and_cadences_are_recognised() {
        assert_eq!(estimated(&[62, 66, 69, 67, 71, 74, 69, 73, 76, 74], None).as_deref(), Some("D major"));
        assert_eq!(estimated(&[60, 63, 67, 65, 68, 72, 67, 71, 74, 72, 60], None).as_deref(), Some("C minor"));
        assert_eq!(estimated(&[57, 60, 64, 69], Some(0)).as_deref(), Some("A minor"));
        assert_eq!(estimated(&[60, 64, 67, 72], Some(0)).as_deref(), Some("C major"));
        assert_eq!(estimated(&[], None), None);
    }
}
