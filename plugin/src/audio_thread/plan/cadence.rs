//! A cadence that the player requests: where it falls, and how far away each step is. Audio thread.

use crate::audio_thread::positions::CountedStep;
use crate::audio_thread::transport::{BlockTime, TurnStart};

/// The network learns of the cadence at least this many steps ahead, so that it can prepare it.
const LEAD_STEPS: i64 = 4;
/// The same for the last cadence of a piece: a bar of 4/4.
const LAST_LEAD_STEPS: i64 = 16;
/// The length of a phrase's last chord, in steps.
const FERMATA_STEPS: i64 = 4;
/// The network learns of the cadence at most this many steps ahead.
const HORIZON_STEPS: i64 = 15;

/// The cadence in progress, if any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cadence {
    was_on: bool,
    end_was_on: bool,
    fermata: Option<Fermata>,
    /// The fermata before it, which has begun.
    before: Option<Fermata>,
    /// Whether the last chord has begun. Nothing follows it until [`Self::reopen`].
    has_ended: bool,
}

/// The chord that closes a phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fermata {
    /// The step on which it begins.
    at: CountedStep,
    /// The step after it.
    until: CountedStep,
    /// That step as the start of the music after it.
    after: TurnStart,
    /// Whether the music ends with it.
    is_last: bool,
}

impl Fermata {
    fn new(time: &BlockTime, at: CountedStep, until: CountedStep, is_last: bool) -> Self {
        Self { at, until, after: time.turn_start(time.song_position(until).song_step), is_last }
    }
}

impl Cadence {
    /// Follows the controls. When Cadence turns on, the cadence falls on the first strong beat that is at least
    /// `LEAD_STEPS` after `undecided`, the first undecided step. When End turns on, the last cadence falls at least
    /// `LAST_LEAD_STEPS` after it, and its chord lasts to the end of the bar. No other press postpones that one. It
    /// falls where `is_networks_time`, if possible for the steps that lead up to it too.
    ///
    /// `is_planned` says whether the plan closes a phrase on a step. If it does before, or an earlier press does, that is
    /// the cadence; the last one needs `LEAD_STEPS` even so.
    pub fn follow(
        &mut self,
        on: bool,
        end: bool,
        time: &BlockTime,
        undecided: CountedStep,
        is_planned: impl Fn(CountedStep) -> bool,
        is_networks_time: impl Fn(CountedStep) -> bool,
    ) {
        let strong = |first: CountedStep| {
            first.through(first + 1023).filter(|step| time.is_strong(time.song_position(*step).song_step))
        };
        let requested = self.fermata.map(|fermata| fermata.at);
        let closes = |step: &CountedStep| is_planned(*step) || requested == Some(*step);
        let planned = |first: CountedStep, at: CountedStep| first.through(at).find(closes);
        if self.last().is_some() {
            // The music ends with that cadence.
        } else if end && !self.end_was_on {
            let led_up_to = |at: &CountedStep, lead: i64| (*at - lead).through(*at).all(&is_networks_time);
            let fits = |lead| strong(undecided + LAST_LEAD_STEPS).find(|at| led_up_to(at, lead));
            let fermata = fits(LEAD_STEPS).or_else(|| fits(0)).map(|at| {
                let at = planned(undecided + LEAD_STEPS, at).unwrap_or(at);
                let begins_bar = |step: &CountedStep| time.begins_bar(time.song_position(*step).song_step);
                let until = (at + FERMATA_STEPS).through(at + 1023).find(begins_bar);
                Fermata::new(time, at, until.unwrap_or(at + FERMATA_STEPS), true)
            });
            self.replace(fermata, undecided);
        } else if on && !self.was_on {
            let fermata = strong(undecided + LEAD_STEPS).next().filter(|at| planned(undecided, *at).is_none());
            self.replace(fermata.map(|at| Fermata::new(time, at, at + FERMATA_STEPS, false)), undecided);
        }
        (self.was_on, self.end_was_on) = (on, end);
    }

    /// Replaces the fermata by another one, if any. A fermata that begins before `undecided` is remembered: it is played
    /// to its end, and the phrase after it is counted from there.
    fn replace(&mut self, fermata: Option<Fermata>, undecided: CountedStep) {
        if fermata.is_some() {
            let before = std::mem::replace(&mut self.fermata, fermata);
            self.before = before.filter(|before| before.at < undecided).or(self.before);
        }
    }

    /// The fermatas, in order.
    fn fermatas(&self) -> impl DoubleEndedIterator<Item = Fermata> {
        [self.before, self.fermata].into_iter().flatten()
    }

    /// The number of steps from `step` to the fermata, 0 during it; `None` without a fermata in reach.
    pub fn steps_from(&self, step: CountedStep) -> Option<u8> {
        let Fermata { at, .. } = self.fermatas().find(|fermata| step < fermata.until)?;
        (at - step <= HORIZON_STEPS).then_some((at - step).max(0) as u8)
    }

    fn last(&self) -> Option<Fermata> {
        self.fermata.filter(|fermata| fermata.is_last)
    }

    /// Whether the music's last chord begins on a step.
    pub fn closes(&self, step: CountedStep) -> bool {
        self.last().is_some_and(|last| last.at == step)
    }

    /// Whether a step comes after the start of the last chord.
    pub fn is_after_last(&self, step: CountedStep) -> bool {
        self.last().is_some_and(|last| last.at < step)
    }

    /// Whether the last chord ends on a step.
    pub fn ends_on(&self, step: CountedStep) -> bool {
        self.last().is_some_and(|last| last.until == step)
    }

    /// Follows the steps: `step` begins.
    pub fn begin_step(&mut self, step: CountedStep) {
        self.has_ended |= self.last().is_some_and(|last| last.at <= step);
    }

    /// Whether the last chord has begun.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// The step after the last fermata that is over by `step`, counted and as a start.
    pub fn over_since(&self, step: CountedStep) -> Option<(CountedStep, TurnStart)> {
        let over = self.fermatas().rev().find(|fermata| fermata.until <= step)?;
        Some((over.until, over.after))
    }

    /// Forgets a cadence, except that the end stays the end once its chord has begun.
    pub fn clear(&mut self) {
        if !self.has_ended {
            (self.fermata, self.before) = (None, None);
        }
    }

    /// Forgets the cadence, the end too: the music may go on.
    pub fn reopen(&mut self) {
        (self.fermata, self.before, self.has_ended) = (None, None, false);
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
            cadence.follow(true, false, &time(beats), step(undecided), |_| false, |_| true);
            assert_eq!(cadence.fermata.map(|fermata| fermata.at), Some(step(at)), "{beats}/4 from {undecided}");
        }
    }

    #[test]
    fn it_is_counted_down_to_once() {
        let mut cadence = Cadence::default();
        cadence.follow(false, false, &time(4), step(0), |_| false, |_| true);
        assert_eq!(told(&cadence, 0..3), [None; 3]);
        cadence.follow(true, false, &time(4), step(0), |_| false, |_| true);
        cadence.follow(true, false, &time(4), step(3), |_| false, |_| true);
        assert_eq!(told(&cadence, 5..13), [Some(3), Some(2), Some(1), Some(0), Some(0), Some(0), Some(0), None]);
        assert_eq!(told(&cadence, -9..-6), [None, None, Some(15)]);
        cadence.clear();
        assert_eq!(told(&cadence, 5..6), [None]);
        cadence.follow(false, false, &time(4), step(20), |_| false, |_| true);
        cadence.follow(true, false, &time(4), step(20), |_| false, |_| true);
        assert_eq!(cadence.fermata.map(|fermata| fermata.at), Some(step(24)));
    }

    #[test]
    fn the_last_chord_comes_after_a_bar_and_lasts_to_the_end_of_its_bar() {
        for (beats, undecided, at, until) in [(4, 0, 16, 32), (4, 2, 24, 32), (4, 9, 32, 48), (3, 1, 24, 36)] {
            let mut cadence = Cadence::default();
            cadence.follow(false, true, &time(beats), step(undecided), |_| false, |_| true);
            let find = |is: fn(&Cadence, CountedStep) -> bool| -> Vec<i64> {
                (0..60).filter(|number| is(&cadence, step(*number))).collect()
            };
            assert_eq!(find(Cadence::closes), [at], "{beats}/4 from {undecided}");
            assert_eq!(find(Cadence::ends_on), [until], "{beats}/4 from {undecided}");
            assert_eq!(find(Cadence::is_after_last), (at + 1..60).collect::<Vec<_>>());
            assert_eq!(told(&cadence, at - 1..at + 2), [Some(1), Some(0), Some(0)]);
            cadence.clear();
            assert!(!cadence.is_after_last(step(until)), "before its chord it can be dropped");
        }
    }

    #[test]
    fn a_cadence_that_the_plan_closes_with_anyway_is_the_one() {
        let at = |on, end, planned: i64| {
            let mut cadence = Cadence::default();
            cadence.follow(on, end, &time(4), step(20), |at| at == step(planned), |_| true);
            cadence.fermata.map(|fermata| fermata.at)
        };
        assert_eq!([22, 24, 25].map(|planned| at(true, false, planned)), [None, None, Some(step(24))]);
        assert_eq!([23, 24, 40, 56].map(|planned| at(false, true, planned)), [40, 24, 40, 40].map(|n| Some(step(n))));
    }

    #[test]
    fn the_end_stays_the_end_until_the_music_is_reopened() {
        let mut cadence = Cadence::default();
        cadence.follow(false, true, &time(4), step(0), |_| false, |_| true);
        let end = cadence.fermata;
        // No other press postpones it, before or after its chord.
        cadence.follow(true, false, &time(4), step(8), |_| false, |_| true);
        cadence.begin_step(step(15));
        assert!(!cadence.has_ended());
        cadence.begin_step(step(16));
        cadence.clear();
        cadence.follow(false, true, &time(4), step(90), |_| false, |_| true);
        assert!(cadence.has_ended() && cadence.fermata == end && cadence.is_after_last(step(17)));
        cadence.reopen();
        assert!(!cadence.has_ended() && cadence.fermata.is_none());
        cadence.follow(false, false, &time(4), step(90), |_| false, |_| true);
        cadence.follow(false, true, &time(4), step(90), |_| false, |_| true);
        assert!(cadence.closes(step(112)));
    }
}
