//! A piece of music, independent of the file format.

use anyhow::{Context, Result};

use super::key::{self, Key, WrittenKey};

/// Ticks in a quarter note: 2^10 x 3^2 x 5 x 7. Tuplets of 3, 5, 7 and 9 down to 128ths are whole numbers of ticks, and
/// so are the ticks of the usual MIDI divisions (96, 120, 192, 384, 480, 768, 960, 1024 ..).
pub const TICKS_PER_BEAT: u64 = 322_560;

/// A piece of music. All times are in ticks from its start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Piece {
    /// Its file, and if the file contains several pieces, the position in it: a line after `:`, a name after `#`.
    pub source: String,
    /// Its title, or empty.
    pub title: String,
    /// The split that its file assigns it to, such as `train`.
    pub split: Option<String>,
    /// Its parts from the top of the score; each has notes.
    pub parts: Vec<Part>,
    /// Drums: their pitches are keys of the drum kit. Empty unless [`super::folder::Options::drums`] reads them.
    pub drums: Vec<Part>,
    /// The first key in the file.
    pub written_key: Option<WrittenKey>,
    /// Its metres, in order; empty if the file gives none.
    pub metres: Vec<MetreAt>,
    /// The first tempo in the file, quarter notes per minute.
    pub tempo_bpm: Option<f64>,
    /// All tempi of a MIDI file: from when, and quarter notes per minute; in order.
    pub tempi: Vec<(u64, f64)>,
    /// The starts of bars, in order: from the file's barlines, otherwise from its metres, otherwise empty. The first
    /// may be a pickup. The halves of a bar that a repeat sign divides are one bar.
    pub bars: Vec<u64>,
    /// The end of its last bar or note, whichever is later.
    pub length: u64,
    /// Whether the file contains only what sounds, so that a repeated note looks like a held one.
    pub attacks_unknown: bool,
    /// Stretches under a fermata, from and to, in order; `None` if unknown.
    pub fermatas: Option<Vec<(u64, u64)>>,
    /// The piece of another file that is the same as this one, if the file says so.
    pub same_as: Option<String>,
    /// What the reader corrected or left out, with the position.
    pub remarks: Vec<String>,
}

/// The music of one player, hand or voice; may contain chords.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// Its name, or empty.
    pub name: String,
    /// In order of onset, then from the top. Tied notes are one note. No two of the same pitch start together.
    pub notes: Vec<Note>,
    /// Stretches in which its sustain pedal is down, from and to, in order. They do not lengthen `notes`; see
    /// [`Part::pedalled`].
    pub pedal: Vec<(u64, u64)>,
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
    /// MIDI velocity, 1 to 127; `None` in formats without.
    pub velocity: Option<u8>,
}

impl Part {
    /// The notes with the lengths that the sustain pedal gives them: a note that ends while the pedal is down sounds
    /// until the pedal comes up or its pitch starts again.
    pub fn pedalled(&self) -> Vec<Note> {
        let mut notes = self.notes.clone();
        let mut next: [Option<u64>; 128] = [None; 128];
        for note in notes.iter_mut().rev() {
            let end = note.end();
            let from = self.pedal.partition_point(|(_, to)| *to <= end);
            if let Some(&(_, up)) = self.pedal.get(from).filter(|(down, _)| *down <= end) {
                let again = next[usize::from(note.pitch)].unwrap_or(up);
                note.duration = up.min(again).max(end) - note.onset;
            }
            next[usize::from(note.pitch)] = Some(note.onset);
        }
        notes
    }
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
    /// The metre `count/unit`; `None` if it is invalid.
    pub fn new(count: u16, unit: u16) -> Option<Self> {
        ((1..=256).contains(&count) && unit.is_power_of_two() && unit <= 128).then_some(Self { count, unit })
    }

    /// Parses `3/4`, `2+3/8` or `(2+3)/8`.
    ///
    /// # Errors
    /// If the text has another form, or [`Metre::new`] rejects the metre.
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

/// A metre and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetreAt {
    /// Where it begins, ticks.
    pub at: u64,
    /// The metre.
    pub metre: Metre,
}

impl Piece {
    /// All notes of all parts, part by part.
    pub fn notes(&self) -> impl Iterator<Item = &Note> {
        self.parts.iter().flat_map(|part| &part.notes)
    }

    /// Length of the pickup in ticks; 0 if there is none or the bars are unknown.
    pub fn pickup(&self) -> u64 {
        match (self.bars.as_slice(), self.metres.first()) {
            ([first, second, ..], Some(metre)) if second - first < metre.metre.bar_ticks() => second - first,
            _ => 0,
        }
    }

    /// The key of the piece: from the file as far as it gives one, completed by [`key::estimate`]. `None` without
    /// notes.
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
    fn the_pedal_holds_notes_until_it_comes_up_or_they_start_again() {
        let check = |notes: &[(u64, u64, u8)], pedal: &[(u64, u64)], expect: &[u64]| {
            let note = |&(onset, duration, pitch)| Note { onset, duration, pitch, velocity: None };
            let part = Part { notes: notes.iter().map(note).collect(), pedal: pedal.into(), ..Part::default() };
            assert_eq!(part.pedalled().iter().map(Note::end).collect::<Vec<_>>(), expect, "{notes:?} {pedal:?}");
        };
        check(&[(0, 2, 60), (4, 2, 64), (8, 2, 60)], &[(1, 7), (9, 20)], &[7, 7, 20]);
        check(&[(0, 2, 60), (4, 2, 64), (5, 1, 60)], &[(0, 20)], &[5, 20, 20]);
        // The pedal comes up with the note, or goes down with it; it does not shorten.
        check(&[(0, 4, 60)], &[(0, 4)], &[4]);
        check(&[(0, 4, 60)], &[(4, 6)], &[6]);
        check(&[(0, 4, 60), (2, 1, 60)], &[(3, 6)], &[4, 6]);
        check(&[(0, 4, 60)], &[], &[4]);
    }

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
