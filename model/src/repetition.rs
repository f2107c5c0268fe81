//! Notices music that is stuck: one short pattern over and over, or a chord that is never left.

use crate::tokeniser::grid::{NUM_VOICES, STEPS_PER_BEAT};
use crate::vocabulary::{Symbol, Vocabulary};

/// The longest pattern that counts as a loop, in steps: four bars of four beats.
pub const LONGEST: usize = 16 * STEPS_PER_BEAT;
/// Patterns up to a bar of four beats may sound three times in a row, longer ones, which may be phrases, twice.
const SHORT: usize = 4 * STEPS_PER_BEAT;
const SHORT_TIMES: usize = 3;
const LONG_TIMES: usize = 2;
/// Steps without an attack after which a chord has been held for long enough: two bars.
const LONGEST_HOLD: usize = 8 * STEPS_PER_BEAT;
const CAPACITY: usize = LONG_TIMES * LONGEST;

/// How often a pattern of `period` steps may come in a row; a performance that has come so far has to leave it.
pub const fn times(period: usize) -> usize {
    if period <= SHORT { SHORT_TIMES } else { LONG_TIMES }
}

/// The last steps of a performance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repetition {
    /// Ring; step n lies at n modulo [`CAPACITY`].
    rows: [[u16; NUM_VOICES]; CAPACITY],
    len: usize,
    /// Steps since a note started.
    since_attack: usize,
}

/// What a voice must not do next if the music is to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stuck {
    /// The pattern would go on with this row: what attacks in it has to be something else.
    Pattern([u16; NUM_VOICES]),
    /// Nothing has moved for too long: not all voices may hold or rest.
    Held,
}

impl Repetition {
    /// Nothing played yet.
    pub const fn new() -> Self {
        Self { rows: [[0; NUM_VOICES]; CAPACITY], len: 0, since_attack: 0 }
    }

    /// Takes a step.
    pub fn push(&mut self, row: [u16; NUM_VOICES]) {
        self.rows[self.len % CAPACITY] = row;
        self.len += 1;
        self.since_attack = if row.iter().any(|&token| is_attack(token)) { 0 } else { self.since_attack + 1 };
    }

    /// Whether the music is stuck, and how.
    pub fn stuck(&self) -> Option<Stuck> {
        if self.since_attack >= LONGEST_HOLD {
            return Some(Stuck::Held);
        }
        let patterns = (STEPS_PER_BEAT..=LONGEST).step_by(STEPS_PER_BEAT);
        let stuck = patterns.into_iter().find(|&period| self.sounded(period, times(period)))?;
        Some(Stuck::Pattern(self.row(stuck - 1)))
    }

    /// Whether the last steps are one pattern of `period` steps, `times` in a row, with a note in it.
    fn sounded(&self, period: usize, times: usize) -> bool {
        let steps = period * times;
        self.len >= steps
            && (0..steps - period).all(|back| self.row(back) == self.row(back + period))
            && (0..period).any(|back| self.row(back).iter().any(|&token| is_attack(token)))
    }

    /// The row `back` steps before the last one.
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
    /// Whether `voice` may take `token` although the music is stuck.
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
        // A phrase of two bars may come again once, and not a third time.
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
