//! The echo: what followed the earlier passage that matches the latest music best. Chorales repeat phrases, and with
//! the echo as input a network need not memorise them.

use super::grid::{NUM_VOICES, STEPS_PER_BEAT};

/// How many steps are remembered: 64 bars of four beats.
const CAPACITY: usize = 1024;
/// The shortest distance to an earlier passage, in steps.
const MIN_DISTANCE: usize = 2 * STEPS_PER_BEAT;
/// The lower bounds of the classes of match length, in attacks.
const CLASSES: [u16; ECHO_CLASSES] = [3, 6, 10, 16, 32];
/// The number of classes of match length.
pub const ECHO_CLASSES: usize = 5;

/// The steps so far and, for each distance, how long the latest music has matched the music at this distance before it.
///
/// All voices must match, at the same position in the beat. The length of a match is its number of attacks, so a long
/// held chord does not count.
#[derive(Clone, Debug)]
pub struct Echo {
    /// Ring buffer of the latest steps' tokens: step n is at n modulo [`CAPACITY`].
    rows: Box<[[u16; NUM_VOICES]]>,
    /// For each distance in beats, the attacks since the last mismatch.
    runs: Box<[u16]>,
    len: usize,
    found: Option<Found>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    next: [u16; NUM_VOICES],
    class: u8,
}

impl Echo {
    /// Without steps.
    pub fn new() -> Self {
        Self {
            rows: vec![[0; NUM_VOICES]; CAPACITY].into(),
            runs: vec![0; CAPACITY / STEPS_PER_BEAT].into(),
            len: 0,
            found: None,
        }
    }

    /// Forgets all steps.
    pub fn reset(&mut self) {
        (self.len, self.found) = (0, None);
        self.runs.fill(0);
    }

    /// Copies the state of `other`. Does not allocate.
    pub fn copy_from(&mut self, other: &Self) {
        let used = other.len.min(CAPACITY);
        self.rows[..used].copy_from_slice(&other.rows[..used]);
        self.runs.copy_from_slice(&other.runs);
        (self.len, self.found) = (other.len, other.found);
    }

    /// Adds a step; `attacks` of its tokens start a note.
    pub fn push(&mut self, row: [u16; NUM_VOICES], attacks: usize) {
        let now = self.len;
        self.rows[now % CAPACITY] = row;
        self.len += 1;
        let reach = now.min(CAPACITY - 1);
        let mut best = (CLASSES[0] - 1, 0);
        for back in (STEPS_PER_BEAT..=reach).step_by(STEPS_PER_BEAT) {
            let run = &mut self.runs[back / STEPS_PER_BEAT];
            let matches = self.rows[(now - back) % CAPACITY] == row;
            *run = if matches { run.saturating_add(attacks as u16) } else { 0 };
            if back >= MIN_DISTANCE && *run > best.0 {
                best = (*run, back);
            }
        }
        let (run, back) = best;
        self.found = (back > 0).then(|| Found {
            next: self.rows[(now + 1 - back) % CAPACITY],
            class: CLASSES.iter().rposition(|&least| run >= least).expect("the best match is in a class") as u8,
        });
    }

    /// The token of each voice that followed the best match, and the class of the match's length, below
    /// [`ECHO_CLASSES`]; `None` without a match.
    pub fn next(&self) -> Option<([u16; NUM_VOICES], usize)> {
        self.found.map(|found| (found.next, found.class.into()))
    }
}

impl Default for Echo {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds beats: an attack and three steps of holds each.
    fn play(echo: &mut Echo, pitches: &[u16]) {
        for &pitch in pitches {
            echo.push([pitch, 2, 3, 4], 1);
            for _ in 1..STEPS_PER_BEAT {
                echo.push([47, 47, 47, 47], 0);
            }
        }
    }

    #[test]
    fn a_repeated_phrase_is_predicted() {
        let mut echo = Echo::new();
        play(&mut echo, &[10, 11, 12, 13, 14, 20, 10, 11]);
        assert_eq!(echo.next(), None, "two attacks are too few for a match");
        play(&mut echo, &[12]);
        assert_eq!(echo.next(), Some(([13, 2, 3, 4], 0)));
        play(&mut echo, &[13, 14]);
        assert_eq!(echo.next(), Some(([20, 2, 3, 4], 0)));
        play(&mut echo, &[20, 10]);
        assert_eq!(echo.next(), Some(([11, 2, 3, 4], 1)));
        play(&mut echo, &[30]);
        assert_eq!(echo.next(), None);
    }

    #[test]
    fn a_held_chord_is_no_match_and_memory_is_bounded() {
        let mut echo = Echo::new();
        echo.push([1, 2, 3, 4], 4);
        for _ in 0..3 * CAPACITY {
            echo.push([47; 4], 0);
            assert_eq!(echo.next(), None);
        }
        play(&mut echo, &[10, 11, 12, 13, 10, 11, 12]);
        assert_eq!(echo.next(), Some(([13, 2, 3, 4], 0)));
        let mut other = Echo::new();
        other.copy_from(&echo);
        play(&mut echo, &[13]);
        play(&mut other, &[13]);
        assert_eq!(echo.next(), other.next());
        echo.reset();
        assert_eq!(echo.next(), None);
    }
}
