//! A cadence that the player requests: where it falls, and how far away each step is. Audio thread.

use crate::audio_thread::positions::CountedStep;
use crate::audio_thread::transport::BlockTime;

/// The network learns of the cadence at least this many steps ahead, so that it can prepare it.
const LEAD_STEPS: i64 = 4;
/// The length of a phrase's last chord, in steps.
const FERMATA_STEPS: i64 = 4;
/// The network learns of the cadence at most this many steps ahead.
const HORIZON_STEPS: i64 = 15;

/// The cadence in progress, if any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cadence {
    was_on: bool,
    /// The step on which the fermata begins.
    at: Option<CountedStep>,
}

impl Cadence {
    /// Follows the parameter. When it turns on, the cadence falls on the first strong beat that is at least
    /// `LEAD_STEPS` after `undecided`, the first undecided step.
    pub fn follow(&mut self, on: bool, time: &BlockTime, undecided: CountedStep) {
        if on && !self.was_on {
            let first = undecided + LEAD_STEPS;
            self.at = first.through(first + 1023).find(|step| time.is_strong(time.song_position(*step).song_step));
        }
        self.was_on = on;
    }

    /// The number of steps from `step` to the fermata, 0 during it; `None` without a fermata in reach.
    pub fn steps_from(&self, step: CountedStep) -> Option<u8> {
        let distance = self.at? - step;
        (-FERMATA_STEPS < distance && distance <= HORIZON_STEPS).then_some(distance.max(0) as u8)
    }

    /// Forgets the cadence.
    pub fn clear(&mut self) {
        self.at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio_thread::transport::{Clock, HostTime};

    fn time(beats: i32) -> BlockTime {
        let host = HostTime {
            playing: true,
            tempo_bpm: Some(120.0),
            pos_beats: Some(0.0),
            bar_start_beats: Some(0.0),
            time_signature: Some((beats, 4)),
            ..Default::default()
        };
        Clock::new(48_000.0, 64).begin_block(&host, true, 64)
    }

    fn step(number: i64) -> CountedStep {
        CountedStep::new(number)
    }

    fn told(cadence: &Cadence, steps: std::ops::Range<i64>) -> Vec<Option<u8>> {
        steps.map(|number| cadence.steps_from(step(number))).collect()
    }

    #[test]
    fn it_falls_on_the_next_strong_beat_that_can_be_led_up_to() {
        for (beats, undecided, at) in [(4, 0, 8), (4, 4, 8), (4, 5, 16), (4, 12, 16), (3, 0, 12), (3, 9, 24)] {
            let mut cadence = Cadence::default();
            cadence.follow(true, &time(beats), step(undecided));
            assert_eq!(cadence.at, Some(step(at)), "{beats}/4 from {undecided}");
        }
    }

    #[test]
    fn it_is_counted_down_to_once() {
        let mut cadence = Cadence::default();
        cadence.follow(false, &time(4), step(0));
        assert_eq!(told(&cadence, 0..3), [None; 3]);
        cadence.follow(true, &time(4), step(0));
        cadence.follow(true, &time(4), step(3));
        assert_eq!(told(&cadence, 5..13), [Some(3), Some(2), Some(1), Some(0), Some(0), Some(0), Some(0), None]);
        assert_eq!(told(&cadence, -9..-6), [None, None, Some(15)]);
        cadence.clear();
        assert_eq!(told(&cadence, 5..6), [None]);
        cadence.follow(false, &time(4), step(20));
        cadence.follow(true, &time(4), step(20));
        assert_eq!(cadence.at, Some(step(24)));
    }
}
