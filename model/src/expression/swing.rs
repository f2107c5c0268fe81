//! Swing: offbeats that come later than halfway.

use crate::decision::TICKS_PER_STEP;
use crate::tokeniser::grid::STEPS_PER_BEAT;

/// Which notes swing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwungNotes {
    /// Pairs of eighths.
    Eighths,
    /// Pairs of sixteenths.
    Sixteenths,
}

impl SwungNotes {
    /// Pairs in a beat.
    fn pairs(self) -> f64 {
        match self {
            Self::Eighths => 1.0,
            Self::Sixteenths => 2.0,
        }
    }
}

/// A swing of pairs of notes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Swing {
    notes: SwungNotes,
    /// The first note's share of the pair.
    ratio: f64,
}

impl Swing {
    /// The largest ratio: a dotted note. There the second of two eighths falls on the last tick of its step.
    pub const MAX_RATIO: f64 = 0.75;

    /// A swing in which the first note of a pair takes `ratio` of it: 0.5 is straight, 0.667 a triplet. Other ratios
    /// than 0.5 to 0.75 are clamped.
    pub fn new(notes: SwungNotes, ratio: f64) -> Self {
        Self { notes, ratio: ratio.clamp(0.5, Self::MAX_RATIO) }
    }

    /// The first note's share of a pair.
    pub fn ratio(self) -> f64 {
        self.ratio
    }

    /// The notes that swing.
    pub fn notes(self) -> SwungNotes {
        self.notes
    }

    /// The swung tick of a note at `tick` of a step of the beat. It is not before the note's own, and in the same step.
    pub fn tick(self, step_in_beat: usize, tick: u8) -> u8 {
        let (step, ticks) = (step_in_beat as f64, f64::from(TICKS_PER_STEP));
        let beat = ticks * STEPS_PER_BEAT as f64;
        let swung = self.swung((ticks * step + f64::from(tick)) / beat) * beat - ticks * step;
        swung.round().clamp(f64::from(tick), ticks - 1.0) as u8
    }

    /// Where a straight position goes. Both are parts of a beat, 0 to 1.
    fn swung(self, straight: f64) -> f64 {
        self.within_pair(straight, 0.5, self.ratio)
    }

    /// Where a swung position comes from. Both are parts of a beat, 0 to 1.
    pub fn straightened(self, swung: f64) -> f64 {
        self.within_pair(swung, self.ratio, 0.5)
    }

    /// Stretches each pair, so that the share `from` of it becomes `to`.
    fn within_pair(self, part_of_beat: f64, from: f64, to: f64) -> f64 {
        let pairs = self.notes.pairs();
        let pair = (part_of_beat * pairs).floor();
        let within = part_of_beat * pairs - pair;
        let moved = if within < from { within * to / from } else { to + (within - from) * (1.0 - to) / (1.0 - from) };
        (pair + moved) / pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(notes: SwungNotes, ratio: f64) -> [u8; 4] {
        [0, 1, 2, 3].map(|step| Swing::new(notes, ratio).tick(step, 0))
    }

    #[test]
    fn notes_swing_within_their_steps() {
        assert_eq!(ticks(SwungNotes::Eighths, 2.0 / 3.0), [0, 8, 16, 8]);
        assert_eq!(ticks(SwungNotes::Sixteenths, 2.0 / 3.0), [0, 8, 0, 8]);
        assert_eq!(ticks(SwungNotes::Eighths, 0.9), [0, 12, 23, 12]);
        for notes in [SwungNotes::Eighths, SwungNotes::Sixteenths] {
            assert_eq!(ticks(notes, 0.5), [0; 4]);
        }
        // A note within a step stays in order with those around it.
        let swing = Swing::new(SwungNotes::Eighths, 0.73);
        let all: Vec<u8> = (0..24).map(|tick| swing.tick(1, tick)).collect();
        assert!(all.is_sorted() && all[23] == 23, "{all:?}");
    }

    #[test]
    fn straightening_undoes_swing() {
        for (notes, ratio) in [(SwungNotes::Eighths, 0.6), (SwungNotes::Sixteenths, 0.72)] {
            let swing = Swing::new(notes, ratio);
            for n in 0..96 {
                let straight = f64::from(n) / 96.0;
                assert!((swing.straightened(swing.swung(straight)) - straight).abs() < 1e-9, "{notes:?} {straight}");
            }
        }
        assert!((Swing::new(SwungNotes::Eighths, 0.6).straightened(0.6) - 0.5).abs() < 1e-9);
    }
}
