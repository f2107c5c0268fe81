//! Notation: divides lengths into tied note values and spells pitches.

/// A quarter note; the unit is a 64th.
pub const QUARTER: u32 = 16;

/// Note values, the longest first: length in 64ths, name in MusicXML, whether dotted.
const VALUES: [(u32, &str, bool); 13] = [
    (96, "whole", true),
    (64, "whole", false),
    (48, "half", true),
    (32, "half", false),
    (24, "quarter", true),
    (16, "quarter", false),
    (12, "eighth", true),
    (8, "eighth", false),
    (6, "16th", true),
    (4, "16th", false),
    (3, "32nd", true),
    (2, "32nd", false),
    (1, "64th", false),
];

/// A written note or rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// Length, 64ths.
    pub length: u32,
    /// Its name in MusicXML.
    pub name: &'static str,
    /// Whether it has a dot.
    pub dotted: bool,
}

/// The lengths of a bar and its beats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Length of a bar, 64ths.
    pub length: u32,
    /// Length of a felt beat, 64ths: a dotted quarter in 6/8.
    pub beat: u32,
}

impl Bar {
    /// The bar of a time signature whose lower number is at most 64.
    pub fn new((count, unit): (u8, u8)) -> Self {
        let unit_length = 64 / u32::from(unit);
        let threes = count.is_multiple_of(3) && unit >= 8;
        Self { length: u32::from(count) * unit_length, beat: unit_length * if threes { 3 } else { 1 } }
    }

    /// The note values of a note or rest that starts at `at` in the bar. `length` must not exceed the rest of the bar.
    pub fn values(self, mut at: u32, mut length: u32) -> Vec<Value> {
        let mut values = Vec::new();
        while length > 0 {
            let fits =
                |&&(value, _, dotted): &&(u32, &str, bool)| value <= length && self.reads_well(at, value, dotted);
            let &(length_here, name, dotted) = VALUES.iter().find(fits).expect("a 64th fits everywhere");
            values.push(Value { length: length_here, name, dotted });
            (at, length) = (at + length_here, length - length_here);
        }
        values
    }

    /// Whether a value that starts at `at` keeps the beats visible.
    fn reads_well(self, at: u32, value: u32, dotted: bool) -> bool {
        let in_a_beat = at % self.beat + value <= self.beat;
        if self.beat.is_multiple_of(3) {
            let whole_beats = at.is_multiple_of(self.beat) && value.is_multiple_of(self.beat);
            return whole_beats || in_a_beat && (dotted || at.is_multiple_of((value / 2).max(1)));
        }
        if value < self.beat && !in_a_beat {
            return false;
        }
        if dotted {
            // It starts or ends on a multiple of twice its undotted value.
            let frame = value / 3 * 4;
            return at.is_multiple_of(frame) || (at + value).is_multiple_of(frame);
        }
        at.is_multiple_of((value / 2).max(1))
    }
}

/// A pitch as letter, alteration and octave; middle C is in octave 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spelling {
    /// C to B.
    pub letter: char,
    /// 1 is a sharp, -1 a flat.
    pub alter: i32,
    /// As in MusicXML.
    pub octave: i32,
}

/// Spells a MIDI pitch in a key of `fifths` sharps (or flats below 0). Outside the scale, uses the three nearest flats
/// and the sharps of the leading notes in minor.
pub fn spell(pitch: u8, fifths: i32) -> Spelling {
    // On the line of fifths F is -1, C 0, G 1. The scale reaches from one below its tonic to five above it.
    let first = fifths - 3;
    let place = (first..first + 12)
        .find(|place| (7 * place).rem_euclid(12) == i32::from(pitch % 12))
        .expect("twelve fifths in a row are all pitch classes");
    let letter = ['F', 'C', 'G', 'D', 'A', 'E', 'B'][(place + 1).rem_euclid(7) as usize];
    let alter = (place + 1).div_euclid(7);
    Spelling { letter, alter, octave: (i32::from(pitch) - alter).div_euclid(12) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(metre: (u8, u8), at: u32, length: u32, expect: &[&str]) {
        let values = Bar::new(metre).values(at, length);
        assert_eq!(values.iter().map(|value| value.length).sum::<u32>(), length);
        let words: Vec<_> =
            values.iter().map(|value| format!("{}{}", value.name, if value.dotted { "." } else { "" })).collect();
        assert_eq!(words, expect, "{metre:?} at {at} for {length}");
    }

    #[test]
    fn lengths_are_tied_together_at_the_beats() {
        check((4, 4), 0, 64, &["whole"]);
        check((4, 4), 0, 48, &["half."]);
        check((4, 4), 0, 24, &["quarter."]);
        check((4, 4), 8, 16, &["quarter"]);
        check((4, 4), 4, 12, &["eighth."]);
        check((4, 4), 12, 20, &["16th", "quarter"]);
        check((4, 4), 0, 20, &["quarter", "16th"]);
        check((4, 4), 0, 28, &["quarter.", "16th"]);
        check((3, 4), 0, 48, &["half."]);
        check((6, 8), 0, 24, &["quarter."]);
        check((6, 8), 0, 48, &["half."]);
        check((6, 8), 16, 16, &["eighth", "eighth"]);
        check((12, 8), 0, 96, &["whole."]);
        check((5, 8), 0, 40, &["half", "eighth"]);
        check((4, 4), 63, 1, &["64th"]);
    }

    #[test]
    fn pitches_are_spelt_in_their_key() {
        let word = |pitch, fifths| {
            let Spelling { letter, alter, octave } = spell(pitch, fifths);
            format!("{letter}{}{octave}", ["bb", "b", "", "#", "##"][(alter + 2) as usize])
        };
        assert_eq!([60, 61, 63, 66, 68, 70].map(|pitch| word(pitch, 0)), ["C4", "C#4", "Eb4", "F#4", "G#4", "Bb4"]);
        assert_eq!([59, 60, 61, 63].map(|pitch| word(pitch, 7)), ["B3", "B#3", "C#4", "D#4"]);
        assert_eq!([59, 60, 64].map(|pitch| word(pitch, -6)), ["Cb4", "C4", "Fb4"]);
        assert_eq!((word(0, 0), word(127, 0)), ("C-1".into(), "G9".into()));
        for fifths in -7..=7 {
            for pitch in 0..128 {
                let Spelling { letter, alter, octave } = spell(pitch, fifths);
                let natural = [0, 2, 4, 5, 7, 9, 11]["CDEFGAB".find(letter).unwrap()];
                assert_eq!(12 * (octave + 1) + natural + alter, i32::from(pitch));
                assert!(alter.abs() <= 2);
            }
        }
    }
}
