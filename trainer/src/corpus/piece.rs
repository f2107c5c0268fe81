//! A piece of music as the trainer sees it, whatever file it was read from.

use anyhow::{Context, Result};

use super::key::{self, Key, WrittenKey};

/// Ticks in a quarter note: 2^10 x 3^2 x 5 x 7. Tuplets of 3, 5, 7 and 9 down to 128ths are whole numbers of ticks, and
/// so are the ticks of the usual MIDI divisions (96, 120, 192, 384, 480, 768, 960, 1024 ..).
pub const TICKS_PER_BEAT: u64 = 322_560;

/// A piece of music. All times are in ticks from its start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Piece {
    /// The file that it was read from, and where in the file if that holds several: a line after `:`, a name after `#`.
    pub source: String,
    /// Its title, or empty.
    pub title: String,
    /// The split that its file puts it in, such as `train`.
    pub split: Option<String>,
    /// Its parts from the top of the score; none without notes.
    pub parts: Vec<Part>,
    /// The first key that the file gives.
    pub written_key: Option<WrittenKey>,
    /// Its metres, in order; empty if the file gives none.
    pub metres: Vec<MetreAt>,
    /// The first tempo that the file gives, quarter notes a minute.
    pub tempo_bpm: Option<f64>,
    /// Where bars begin, in order: as barred in the file, else counted from its metres, else empty. The first may be
    /// a pickup; the halves of a bar that a repeat sign divides are one bar.
    pub bars: Vec<u64>,
    /// When its last bar or note ends, whichever is later.
    pub length: u64,
    /// Whether the file tells only what sounds: a note that is struck again looks like one that goes on.
    pub attacks_unknown: bool,
    /// Stretches under a fermata, from and to, in order; `None` if the file does not tell.
    pub fermatas: Option<Vec<(u64, u64)>>,
    /// The piece of another file that this one is the same as, if its file says so.
    pub same_as: Option<String>,
    /// What was mended or left out in reading, in words, with the place.
    pub remarks: Vec<String>,
}

/// What one player, hand or voice plays; may hold chords.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// Its name, or empty.
    pub name: String,
    /// In order of onset, then from the top. Tied notes are one; no two of the same pitch begin together.
    pub notes: Vec<Note>,
}

/// A note. Times are in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// When it starts.
    pub onset: u64,
    /// How long it lasts; above 0.
    pub duration: u64,
    /// MIDI pitch, 0 to 127, 60 = middle C, as it sounds.
    pub pitch: u8,
}

impl Note {
    /// When it ends.
    pub fn end(&self) -> u64 {
        self.onset + self.duration
    }
}

/// A metre.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Metre {
    /// The upper number, above 0.
    pub count: u16,
    /// The lower number, a power of two up to 128.
    pub unit: u16,
}

impl Metre {
    /// `count/unit`, if that is a metre.
    pub fn new(count: u16, unit: u16) -> Option<Self> {
        ((1..=256).contains(&count) && unit.is_power_of_two() && unit <= 128).then_some(Self { count, unit })
    }

    /// `3/4`, `2+3/8` or `(2+3)/8`.
    ///
    /// # Errors
    /// If it is no such text, or not a metre by [`Metre::new`].
    pub fn parse(text: &str) -> Result<Self> {
        let (counts, unit) =
            text.split_once('/').with_context(|| format!("expected a metre such as 3/4, got `{text}`"))?;
        let counts = counts.trim().trim_start_matches('(').trim_end_matches(')').split('+');
        let count = counts.map(|count| count.trim().parse::<u16>().ok()).try_fold(0_u16, |sum, n| sum.checked_add(n?));
        let metre = count.and_then(|count| Self::new(count, unit.trim().parse().ok()?));
        metre.with_context(|| format!("expected a metre such as 3/4, got `{text}`"))
    }

    /// Length of a bar, ticks.
    pub fn bar_ticks(self) -> u64 {
        u64::from(self.count) * 4 * TICKS_PER_BEAT / u64::from(self.unit)
    }
}

/// A metre from a time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetreAt {
    /// From when, ticks.
    pub at: u64,
    /// Which.
    pub metre: Metre,
}

impl Piece {
    /// All notes of all parts, part by part.
    pub fn notes(&self) -> impl Iterator<Item = &Note> {
        self.parts.iter().flat_map(|part| &part.notes)
    }

    /// How long before the first full bar the piece begins, ticks; 0 without a pickup or without bars.
    pub fn pickup(&self) -> u64 {
        match (self.bars.as_slice(), self.metres.first()) {
            ([first, second, ..], Some(metre)) if second - first < metre.metre.bar_ticks() => second - first,
            _ => 0,
        }
    }

    /// The key that the piece is in. Of what the file does not say (all of it, or whether a signature means major or
    /// minor) the likeliest by [`key::estimate`]. `None` without notes.
    pub fn key(&self) -> Option<Key> {
        match self.written_key {
            Some(WrittenKey { fifths, mode: Some(mode) }) => Some(Key { fifths, mode }),
            Some(WrittenKey { fifths, mode: None }) => key::estimate(&key::pitch_classes(self.notes()), Some(fifths)),
            None => key::estimate(&key::pitch_classes(self.notes()), None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pickup_is_a_short_first_bar() {
        let bar = Metre::new(3, 4).unwrap().bar_ticks();
        assert_eq!(bar, 3 * TICKS_PER_BEAT);
        let metres = vec![MetreAt { at: 0, metre: Metre::new(3, 4).unwrap() }];
        let piece = |bars: &[u64]| Piece { bars: bars.into(), metres: metres.clone(), ..Piece::default() };
        assert_eq!(piece(&[0, TICKS_PER_BEAT, bar]).pickup(), TICKS_PER_BEAT);
        assert_eq!(piece(&[0, bar]).pickup(), 0);
        assert_eq!(piece(&[0]).pickup(), 0);
    }

    #[test]
    fn odd_metres_are_refused() {
        assert!(Metre::new(0, 4).is_none() && Metre::new(3, 0).is_none() && Metre::new(3, 5).is_none());
        assert_eq!(Metre::parse("(2+2+3)/8").ok(), Metre::new(7, 8));
        for text in ["", "3", "x/4", "3/", "65535+1/4", "-1/4"] {
            assert!(Metre::parse(text).is_err(), "{text}");
        }
    }
}
