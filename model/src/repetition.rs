//! Detects stuck music: a short pattern that repeats without end, or a chord that never changes.

use crate::tokeniser::grid::{NUM_VOICES, STEPS_PER_BEAT};
use crate::vocabulary::{Symbol, Vocabulary};

/// The longest pattern that counts as a loop, in steps: four bars of four beats.
pub const MAX_PERIOD: usize = 16 * STEPS_PER_BEAT;
/// Patterns of up to a bar of four beats are stuck at their third time; longer ones, which may be phrases, at their
/// second.
const SHORT_PERIOD: usize = 4 * STEPS_PER_BEAT;
const SHORT_TIMES: usize = 3;
const LONG_TIMES: usize = 2;
/// After this many steps without an attack, two bars, a chord is stuck.
const MAX_HOLD: usize = 8 * STEPS_PER_BEAT;
const CAPACITY: usize = LONG_TIMES * MAX_PERIOD;

/// How many times in a row a pattern of `period` steps must sound to be stuck.
pub const fn stuck_times(period: usize) -> usize {
    if period <= SHORT_PERIOD { SHORT_TIMES } else { LONG_TIMES }
}

/// Whether a sequence ends with one pattern of `period` items, `times` in a row. `same(a, b)` compares the items `a`
/// and `b` positions before the last one; the sequence must have at least `period * times` items.
pub(crate) fn ends_with_pattern(period: usize, times: usize, same: impl Fn(usize, usize) -> bool) -> bool {
    (0..period * (times - 1)).all(|back| same(back, back + period))
}

/// The latest steps of a performance, as rows of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Repetition {
    /// Ring buffer: step n is at n modulo [`CAPACITY`].
    rows: [[u16; NUM_VOICES]; CAPACITY],
    len: usize,
    /// Steps since the last attack.
    since_attack: usize,
}

/// How the music is stuck, and hence what must not come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stuck {
    /// A pattern repeats and would continue with this row: the row's attacks must differ.
    Pattern([u16; NUM_VOICES]),
    /// A chord has been held for too long: the soprano must start a note.
    Held,
}

impl Repetition {
    /// No steps.
    pub const fn new() -> Self {
        Self { rows: [[0; NUM_VOICES]; CAPACITY], len: 0, since_attack: 0 }
    }

    /// Adds a step.
    pub fn push(&mut self, row: [u16; NUM_VOICES]) {
        self.rows[self.len % CAPACITY] = row;
        self.len += 1;
        self.since_attack = if row.iter().any(|&token| is_attack(token)) { 0 } else { self.since_attack + 1 };
    }

    /// Whether the music is stuck, and how.
    pub fn stuck(&self) -> Option<Stuck> {
        if self.since_attack >= MAX_HOLD {
            return Some(Stuck::Held);
        }
        let mut periods = (STEPS_PER_BEAT..=MAX_PERIOD).step_by(STEPS_PER_BEAT);
        let period = periods.find(|&period| self.repeats(period, stuck_times(period)))?;
        Some(Stuck::Pattern(self.row(period - 1)))
    }

    /// Whether the last steps are one pattern of `period` steps, `times` in a row, with an attack in it.
    fn repeats(&self, period: usize, times: usize) -> bool {
        self.len >= period * times
            && ends_with_pattern(period, times, |a, b| self.row(a) == self.row(b))
            && (0..period).any(|back| self.row(back).iter().any(|&token| is_attack(token)))
    }

    /// The row `back` steps before the last one; at most [`CAPACITY`] steps are kept.
    fn row(&self, back: usize) -> [u16; NUM_VOICES] {
        self.rows[(self.len - 1 - back) % CAPACITY]
    }
}

impl Default for Repetition {
    fn default() -> Self {
        Self::new()
    }
}

impl Stuck {
    /// Whether `voice` may continue with `token`.
    pub fn allows(&self, voice: usize, token: u16) -> bool {
        match self {
            Self::Pattern(row) => !(is_attack(row[voice]) && token == row[voice]),
            Self::Held => voice > 0 || is_attack(token),
        }
    }
}

fn is_attack(token: u16) -> bool {
    matches!(Vocabulary::GRID.symbol(token), Some(Symbol::Pitch(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLD: [u16; 4] = [47; 4];

    fn beats(repetition: &mut Repetition, pitches: &[u16]) {
        for &pitch in pitches {
            repetition.push([pitch, 47, 47, 47]);
            (1..STEPS_PER_BEAT).for_each(|_| repetition.push(HOLD));
        }
    }

    #[test]
    fn a_pattern_is_stuck_at_its_third_time() {
        let mut repetition = Repetition::new();
        beats(&mut repetition, &[20, 21, 20, 21, 20]);
        assert_eq!(repetition.stuck(), None);
        beats(&mut repetition, &[21]);
        let stuck = repetition.stuck().unwrap();
        assert_eq!(stuck, Stuck::Pattern([20, 47, 47, 47]));
        assert!(!stuck.allows(0, 20) && stuck.allows(0, 22) && stuck.allows(0, 47) && stuck.allows(1, 47));
        beats(&mut repetition, &[23]);
        assert_eq!(repetition.stuck(), None);
    }

    #[test]
    fn long_patterns_count_up_to_four_bars() {
        let mut repetition = Repetition::new();
        (0..3).for_each(|_| beats(&mut repetition, &[20, 21, 22, 23]));
        assert_eq!(repetition.stuck(), Some(Stuck::Pattern([20, 47, 47, 47])));
        // A phrase of two bars is stuck when its repetition is complete.
        let phrase = [20, 21, 22, 23, 24, 25, 26, 27];
        let mut repetition = Repetition::new();
        beats(&mut repetition, &phrase);
        beats(&mut repetition, &phrase[..7]);
        assert_eq!(repetition.stuck(), None);
        beats(&mut repetition, &phrase[7..]);
        assert_eq!(repetition.stuck(), Some(Stuck::Pattern([20, 47, 47, 47])));
        let long: Vec<u16> = (1..18).collect();
        let mut repetition = Repetition::new();
        (0..5).for_each(|_| beats(&mut repetition, &long));
        assert_eq!(repetition.stuck(), None);
    }

    #[test]
    fn a_chord_is_left_after_two_bars() {
        let mut repetition = Repetition::new();
        beats(&mut repetition, &[20]);
        (0..28).for_each(|_| repetition.push(HOLD));
        assert_eq!(repetition.stuck(), None);
        repetition.push(HOLD);
        let stuck = repetition.stuck().unwrap();
        assert_eq!(stuck, Stuck::Held);
        assert!(!stuck.allows(0, 47) && !stuck.allows(0, 0) && stuck.allows(0, 5) && stuck.allows(3, 47));
    }
}
