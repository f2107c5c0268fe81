//! A small set of pitches or pitch classes that start together, without heap data.

/// The most notes in a chord: one for each voice.
pub(crate) const MAX_CHORD: usize = 4;

/// One to four different pitches or pitch classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Chord {
    /// Entries from `len` on are 0.
    numbers: [u8; MAX_CHORD],
    len: u8,
}

impl Chord {
    /// These numbers in this order. `None` if there are none or too many, or if one occurs twice.
    pub fn new(numbers: &[u8]) -> Option<Self> {
        let twice = (1..numbers.len()).any(|i| numbers[..i].contains(&numbers[i]));
        if numbers.is_empty() || numbers.len() > MAX_CHORD || twice {
            return None;
        }
        let mut chord = Self { numbers: [0; MAX_CHORD], len: numbers.len() as u8 };
        chord.numbers[..numbers.len()].copy_from_slice(numbers);
        Some(chord)
    }

    /// MIDI pitches, sorted upwards, without duplicates. `None` if there are none or too many.
    pub fn of_pitches(pitches: &[u8]) -> Option<Self> {
        let mut chord = Self { numbers: [0; MAX_CHORD], len: 0 };
        for &pitch in pitches {
            chord = if chord.as_slice().contains(&pitch) { chord } else { chord.with(pitch)? };
        }
        chord.numbers_mut().sort_unstable();
        (chord.len > 0).then_some(chord)
    }

    /// The pitch classes of `pitches` in normal order: the rotation with the smallest span from first to last. Ties go
    /// to the smallest span from first to last but one, and so on, then to the lowest first class (J. Rahn, *Basic
    /// Atonal Theory*, 1980). `None` if there are no classes or too many.
    pub fn normal_order(pitches: &[u8]) -> Option<Self> {
        let mut sorted = Self { numbers: [0; MAX_CHORD], len: 0 };
        for class in pitches.iter().map(|pitch| pitch % 12) {
            sorted = if sorted.as_slice().contains(&class) { sorted } else { sorted.with(class)? };
        }
        sorted.numbers_mut().sort_unstable();
        let len = sorted.len();
        let rotation = |first: usize| {
            let mut chord = sorted;
            chord.numbers_mut().rotate_left(first);
            chord
        };
        // The spans, the widest first, and the first class.
        let order = |chord: &Self| {
            let mut widths = [0; MAX_CHORD];
            for (width, class) in widths.iter_mut().zip(chord.as_slice()[1..].iter().rev()) {
                *width = (class + 12 - chord.numbers[0]) % 12;
            }
            (widths, chord.numbers[0])
        };
        (0..len).map(rotation).min_by_key(order)
    }

    /// The pitches or pitch classes.
    pub fn as_slice(&self) -> &[u8] {
        &self.numbers[..self.len()]
    }

    /// The number of notes.
    #[expect(clippy::len_without_is_empty, reason = "a chord has a note, so it is never empty")]
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// The last number: of pitches, the highest.
    pub fn top(&self) -> u8 {
        self.numbers[self.len() - 1]
    }

    pub(super) fn numbers_mut(&mut self) -> &mut [u8] {
        &mut self.numbers[..usize::from(self.len)]
    }

    fn with(mut self, number: u8) -> Option<Self> {
        *self.numbers.get_mut(usize::from(self.len))? = number;
        self.len += 1;
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(pitches: &[u8]) -> Vec<u8> {
        Chord::normal_order(pitches).unwrap().as_slice().to_vec()
    }

    #[test]
    fn normal_order_is_the_narrowest_rotation() {
        assert_eq!(normal(&[60, 64, 67]), [0, 4, 7]);
        assert_eq!(normal(&[64, 67, 72]), [0, 4, 7]);
        assert_eq!(normal(&[62, 67, 71]), [7, 11, 2]);
        assert_eq!(normal(&[67, 71, 74, 77]), [11, 2, 5, 7]); // a seventh chord spans eight semitones from its third
        assert_eq!(normal(&[60, 63, 66, 69]), [0, 3, 6, 9]); // all rotations alike
        assert_eq!(normal(&[60, 72]), [0]);
        assert_eq!(Chord::normal_order(&[60, 61, 62, 63, 64]), None);
    }

    #[test]
    fn pitches_are_sorted_without_duplicates() {
        assert_eq!(Chord::of_pitches(&[67, 60, 67, 64]), Chord::new(&[60, 64, 67]));
        assert_eq!(Chord::of_pitches(&[60, 61, 62, 63, 64]), None);
        assert_eq!(Chord::of_pitches(&[]), None);
        assert_eq!(Chord::new(&[60, 60]), None);
    }
}
