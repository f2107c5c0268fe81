//! What the generated voices sound, and when each may move. Audio thread.

use continuo_model::tokeniser::grid::NUM_VOICES;

/// A generated note sounds for this long at least, seconds; shorter only where a step is.
pub const LEAST_SECONDS: f64 = 0.06;
/// An answer to a note between steps moves no voice that has moved within this much of a step.
const APART_STEPS: f64 = 0.75;
/// Two samples in one step lie closer than this to a whole step where they are rounded.
const ROUNDING_STEPS: f64 = 1e-3;

/// When a voice was struck: the sample, and the position in counted steps.
type Strike = (u64, f64);

/// The four generated voices.
#[derive(Clone, Copy, Debug, Default)]
pub struct Voices {
    /// The key that each sounds.
    sounding: [Option<u8>; NUM_VOICES],
    /// When each was struck last.
    struck: [Option<Strike>; NUM_VOICES],
    /// The key that a voice has yet to strike, as it has moved too lately.
    owed: [Option<u8>; NUM_VOICES],
    /// Voices of which a decision was missed, until their next attack or rest.
    missed: [bool; NUM_VOICES],
}

/// Whence a voice's new note comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A step that begins.
    Step,
    /// A played note, between steps.
    Answer,
}

/// Where in time a voice moves.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The sample.
    pub at: u64,
    /// The same in counted steps.
    pub step: f64,
    /// Length of a step, samples.
    pub samples_per_step: f64,
    /// Samples a second.
    pub sample_rate: f64,
}

impl Moment {
    /// The least length of a note, samples.
    pub fn least_samples(&self) -> u64 {
        (LEAST_SECONDS * self.sample_rate).min(self.samples_per_step).floor() as u64
    }
}

impl Voices {
    /// The key that a voice sounds.
    pub fn sounding(&self, voice: usize) -> Option<u8> {
        self.sounding[voice]
    }

    /// Whether the voice of a channel sounds a key.
    pub fn doubles(&self, channel: u8, key: u8) -> bool {
        self.sounding.get(usize::from(channel)).is_some_and(|sounding| *sounding == Some(key))
    }

    /// Whether a voice owes a note.
    pub fn owes(&self) -> bool {
        self.owed != [None; NUM_VOICES]
    }

    /// The key that a voice owes.
    pub fn owed(&self, voice: usize) -> Option<u8> {
        self.owed[voice]
    }

    /// Whether a decision of the voice was missed.
    pub fn has_missed(&self, voice: usize) -> bool {
        self.missed[voice]
    }

    /// A decision is missing: no voice catches up with what it would have started.
    pub fn miss(&mut self) {
        self.missed = [true; NUM_VOICES];
        self.owed = [None; NUM_VOICES];
    }

    /// Whether a voice may be struck: once in a 16th, and not before its note has lasted.
    pub fn may_strike(&self, voice: usize, cause: Cause, moment: &Moment) -> bool {
        let Some((at, step)) = self.struck[voice] else { return true };
        let apart = moment.step - step;
        let lasted = moment.at >= at + moment.least_samples();
        let another_step = (moment.step + ROUNDING_STEPS).floor() > (step + ROUNDING_STEPS).floor();
        lasted && another_step && (cause == Cause::Step || apart >= APART_STEPS)
    }

    /// The voice begins `key`.
    pub fn strike(&mut self, voice: usize, key: u8, moment: &Moment) {
        self.sounding[voice] = Some(key);
        self.struck[voice] = Some((moment.at, moment.step));
        self.settle(voice);
    }

    /// The voice begins `key` as soon as it may.
    pub fn owe(&mut self, voice: usize, key: u8) {
        self.owed[voice] = Some(key);
        self.missed[voice] = false;
    }

    /// The voice falls silent; gives what it sounded.
    pub fn end(&mut self, voice: usize) -> Option<u8> {
        self.settle(voice);
        self.sounding[voice].take()
    }

    /// The voice does what the network has decided.
    pub fn settle(&mut self, voice: usize) {
        self.owed[voice] = None;
        self.missed[voice] = false;
    }

    /// All fall silent.
    pub fn end_all(&mut self) {
        *self = Self { struck: self.struck, ..Self::default() };
    }

    /// Time is elsewhere.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(step: f64) -> Moment {
        Moment { at: (step * 6000.0).round() as u64, step, samples_per_step: 6000.0, sample_rate: 48_000.0 }
    }

    fn may(struck: f64, cause: Cause, at: f64) -> bool {
        let mut voices = Voices::default();
        voices.strike(1, 60, &moment(struck));
        voices.may_strike(1, cause, &moment(at))
    }

    #[test]
    fn a_voice_moves_once_in_a_16th() {
        for (struck, cause, at, expect) in [
            // A note a 32nd later, and the step after it.
            (4.2, Cause::Answer, 4.7, false),
            (4.2, Cause::Step, 5.2, true),
            // An answer to an early note, and its step.
            (4.9, Cause::Step, 5.2, false),
            (4.6, Cause::Step, 5.2, true),
            // 60 ms are nearly half a step.
            (4.72, Cause::Step, 5.19, false),
            (4.7, Cause::Step, 5.2, true),
            (4.2, Cause::Answer, 5.1, true),
            (4.5, Cause::Answer, 5.2, false),
        ] {
            assert_eq!(may(struck, cause, at), expect, "{struck} {cause:?} {at}");
        }
        assert!(Voices::default().may_strike(0, Cause::Answer, &moment(0.0)));
    }

    #[test]
    fn at_a_high_tempo_every_step_may_move() {
        let fast = |step: f64| Moment { at: (step * 2400.0) as u64, samples_per_step: 2400.0, ..moment(step) };
        let mut voices = Voices::default();
        voices.strike(0, 60, &fast(3.0));
        assert!(voices.may_strike(0, Cause::Step, &fast(4.0)));
    }
}
