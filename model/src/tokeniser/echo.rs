//! What came after the last place that sounded like now: chorales repeat phrases, and a network need not learn that by heart.

use super::grid::{NUM_VOICES, STEPS_PER_BEAT};

/// Steps that are remembered: 64 bars of four beats.
const CAPACITY: usize = 1024;
/// Nearest place that is looked at, in steps back.
const NEAREST: usize = 2 * STEPS_PER_BEAT;
/// Lower ends of the classes into which an echo's length falls, in matched attacks.
const CLASSES: [u16; ECHO_CLASSES] = [3, 6, 10, 16, 32];
/// How many classes of length there are.
pub const ECHO_CLASSES: usize = 5;

/// The steps so far, and for each distance back how much of the latest music agrees with what was played there.
///
/// All voices must agree, at the same place in the beat; agreement is measured in attacks, so that a long
/// held chord is no evidence.
#[derive(Clone, Debug)]
pub struct Echo {
    /// Ring of the last steps' tokens; step n lies at n modulo [`CAPACITY`].
    rows: Box<[[u16; NUM_VOICES]]>,
    /// For each distance in beats, the attacks since the last disagreement.
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
    /// Nothing heard yet.
    pub fn new() -> Self {
        Self {
            rows: vec![[0; NUM_VOICES]; CAPACITY].into(),
            runs: vec![0; CAPACITY / STEPS_PER_BEAT].into(),
            len: 0,
            found: None,
        }
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        (self.len, self.found) = (0, None);
        self.runs.fill(0);
    }

    /// Makes this the same as `other`. Does not allocate.
    pub fn copy_from(&mut self, other: &Self) {
        let used = other.len.min(CAPACITY);
        self.rows[..used].copy_from_slice(&other.rows[..used]);
        self.runs.copy_from_slice(&other.runs);
        (self.len, self.found) = (other.len, other.found);
    }

    /// Takes a whole step; `attacks` of its tokens start a note.
    pub fn push(&mut self, row: [u16; NUM_VOICES], attacks: usize) {
        let now = self.len;
        self.rows[now % CAPACITY] = row;
        self.len += 1;
        let reach = now.min(CAPACITY - 1);
        let mut best = (CLASSES[0] - 1, 0);
        for back in (STEPS_PER_BEAT..=reach).step_by(STEPS_PER_BEAT) {
            let run = &mut self.runs[back / STEPS_PER_BEAT];
            let agrees = self.rows[(now - back) % CAPACITY] == row;
            *run = if agrees { run.saturating_add(attacks as u16) } else { 0 };
            if back >= NEAREST && *run > best.0 {
                best = (*run, back);
            }
        }
        let (run, back) = best;
        self.found = (back > 0).then(|| Found {
            next: self.rows[(now + 1 - back) % CAPACITY],
            class: CLASSES.iter().rposition(|&least| run >= least).expect("the best run is in a class") as u8,
        });
    }

    /// What followed there, a token a voice, and how sure that is (0 to `ECHO_CLASSES` - 1); `None` if nothing
    /// so far sounded like now.
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

    /// Steps of a beat each: an attack and three holds.
    fn play(echo: &mut Echo, pitches: &[u16]) {
        for &pitch in pitches {
            echo.push([pitch, 2, 3, 4], 1);
            for _ in 1..STEPS_PER_BEAT {
                echo.push([47, 47, 47, 47], 0);
            }
        }
    }

    #[test]
    fn a_phrase_that_comes_again_is_foreseen() {
        let mut echo = Echo::new();
        play(&mut echo, &[10, 11, 12, 13, 14, 20, 10, 11]);
        assert_eq!(echo.next(), None, "two attacks are no evidence");
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
    fn a_held_chord_is_no_evidence_and_memory_is_bounded() {
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
