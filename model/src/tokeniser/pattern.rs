//! The pattern of performed notes: what lay a beat and a bar before the place of the next note. An accompaniment keeps
//! its rhythm and shape while its harmony moves, so the echo, which looks for the same keys, does not find it.

use super::note_echo::NoteTokens;
use crate::decision::Lanes;
use crate::note_tokens::Attribute;

/// The most notes that are remembered: a bar of ten notes a 16th.
const CAPACITY: usize = 160;
/// How many of the oldest notes are forgotten when the memory is full.
const FORGOTTEN: usize = CAPACITY / 4;
/// Notes within so many ticks start together, however a hand spreads them.
const TOGETHER: i64 = 6;

/// A remembered note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatternNote {
    /// When it started, in ticks.
    pub tick: i64,
    /// Its tokens.
    pub tokens: NoteTokens,
    /// The interval to it from the note before of its lane, in semitones.
    pub interval: Option<i16>,
}

impl PatternNote {
    fn lane(&self) -> u8 {
        self.tokens[Attribute::Lane as usize]
    }
}

/// The latest notes, in the order in which they were read.
#[derive(Clone, Copy, Debug)]
pub struct Pattern {
    notes: [PatternNote; CAPACITY],
    len: u16,
}

impl Pattern {
    /// Without notes.
    pub const fn new() -> Self {
        let none = PatternNote { tick: 0, tokens: [0; _], interval: None };
        Self { notes: [none; CAPACITY], len: 0 }
    }

    /// Adds a note, which starts no earlier than the one before.
    pub fn push(&mut self, note: PatternNote) {
        let mut len = usize::from(self.len);
        if len == CAPACITY {
            self.notes.copy_within(FORGOTTEN.., 0);
            len -= FORGOTTEN;
        }
        self.notes[len] = note;
        self.len = len as u16 + 1;
    }

    /// The note of the lanes `own` that came, `period` ticks ago, after as many notes as have started together at
    /// `last_tick`.
    pub fn next(&self, last_tick: i64, period: i64, own: Lanes) -> Option<&PatternNote> {
        let before = last_tick - period;
        self.at(last_tick, period, own).or_else(|| self.from(before + TOGETHER + 1, own).next())
    }

    /// The note of the lanes `own` that started `period` ticks before `tick`: of a chord, the one after as many as have
    /// started at `tick` already.
    pub fn at(&self, tick: i64, period: i64, own: Lanes) -> Option<&PatternNote> {
        let started = self.together(tick, own).count();
        self.together(tick - period, own).nth(started)
    }

    fn together(&self, tick: i64, own: Lanes) -> impl Iterator<Item = &PatternNote> {
        self.from(tick - TOGETHER, own).take_while(move |note| note.tick <= tick + TOGETHER)
    }

    fn from(&self, tick: i64, own: Lanes) -> impl Iterator<Item = &PatternNote> {
        let notes = &self.notes[..self.len.into()];
        let first = notes.partition_point(|note| note.tick < tick);
        notes[first..].iter().filter(move |note| own.contains(note.lane()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEAT: i64 = 96;

    fn pattern(notes: &[(i64, u8, u8)]) -> Pattern {
        let mut pattern = Pattern::new();
        for &(tick, lane, key) in notes {
            pattern.push(PatternNote { tick, tokens: [0, 0, lane, key, 0, 0], interval: None });
        }
        pattern
    }

    #[test]
    fn chords_are_followed_note_by_note_in_any_harmony() {
        let chord = [(0, 0, 72), (3, 0, 64), (48, 1, 48), (96, 0, 74), (97, 0, 65)];
        let key = |note: Option<&PatternNote>| note.map(|note| note.tokens[3]);
        let next = |notes: usize, last: i64| key(pattern(&chord[..notes]).next(last, BEAT, Lanes::ALL));
        // After one note of the chord comes the other; after both the one between the beats.
        assert_eq!([next(3, 48), next(4, 96), next(5, 97)], [Some(72), Some(64), Some(48)]);
        let at = |notes: usize, tick: i64| key(pattern(&chord[..notes]).at(tick, BEAT, Lanes::ALL));
        assert_eq!(
            [at(3, 96), at(4, 96), at(5, 96), at(5, 144), at(5, 120)],
            [Some(72), Some(64), None, Some(48), None]
        );
    }

    #[test]
    fn notes_of_other_lanes_are_passed_over() {
        let pattern = pattern(&[(0, 0, 72), (0, 1, 48), (24, 0, 71), (72, 1, 52)]);
        let next = pattern.next(96, BEAT, Lanes::NONE.with(1)).map(|note| note.tokens[3]);
        assert_eq!(next, Some(48));
        assert_eq!(pattern.next(120, BEAT, Lanes::NONE.with(1)).map(|note| note.tick), Some(72));
        assert_eq!(pattern.next(200, BEAT, Lanes::NONE.with(1)), None);
    }

    #[test]
    fn the_oldest_notes_are_forgotten() {
        let mut pattern = Pattern::new();
        for n in 0..1000 {
            pattern.push(PatternNote { tick: 24 * n, tokens: [0, 0, 0, (n % 128) as u8, 0, 0], interval: None });
        }
        assert_eq!(pattern.next(24 * 999, BEAT, Lanes::ALL).map(|note| note.tick), Some(24 * 996));
        assert_eq!(pattern.at(24 * 800, BEAT, Lanes::ALL), None);
    }
}
