//! A cadence that the player requests: where it falls, and how far away each step is. A request that finds no room in
//! the network's turn waits for its next one. Audio thread.

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

/// What the player has requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// A cadence.
    Cadence,
    /// The last cadence of the piece.
    End,
}

/// The cadence in progress, if any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cadence {
    was_on: bool,
    end_was_on: bool,
    /// The request that waits for the network's next turn.
    waiting: Option<Wanted>,
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
    /// `LAST_LEAD_STEPS` after it, and its chord lasts to the end of the bar. No other press postpones that one.
    ///
    /// Either falls in the turn of the network's that `undecided` lies in, or else waits for [`Self::begin_turn`].
    /// `is_networks_time` says whether the network plays in a step, and `is_planned` whether the plan closes a phrase
    /// there. If the plan or an earlier press closes one before, that is the cadence; the last one needs `LEAD_STEPS`
    /// even so.
    pub fn follow(
        &mut self,
        on: bool,
        end: bool,
        time: &BlockTime,
        undecided: CountedStep,
        is_planned: impl Fn(CountedStep) -> bool,
        is_networks_time: impl Fn(CountedStep) -> bool,
    ) {
        let (cadence_pressed, end_pressed) = (on && !self.was_on, end && !self.end_was_on);
        (self.was_on, self.end_was_on) = (on, end);
        if self.last().is_some() || self.waiting == Some(Wanted::End) {
            // The music ends with that cadence.
        } else if end_pressed {
            self.waiting = Some(Wanted::End);
            self.place(time, undecided, &[LAST_LEAD_STEPS], is_planned, is_networks_time);
        } else if cadence_pressed {
            self.waiting = Some(Wanted::Cadence);
            self.place(time, undecided, &[LEAD_STEPS], is_planned, is_networks_time);
        }
    }

    /// The network's turn begins on `first`, and none of it is decided: a request that waits falls in this turn, as far
    /// from its start as if it were made now. In a turn too short for that it falls on the first strong beat that can
    /// be led up to, or on the first of all.
    pub fn begin_turn(
        &mut self,
        time: &BlockTime,
        first: CountedStep,
        is_planned: impl Fn(CountedStep) -> bool,
        is_networks_time: impl Fn(CountedStep) -> bool,
    ) {
        let leads = [LAST_LEAD_STEPS, LEAD_STEPS, 0];
        let leads = if self.waiting == Some(Wanted::End) { &leads[..] } else { &leads[1..] };
        self.place(time, first, leads, is_planned, is_networks_time);
    }

    /// Places the request that waits on a strong beat that is at least a lead after `undecided`, with the first of
    /// `leads` for which there is one before the turn is over.
    fn place(
        &mut self,
        time: &BlockTime,
        undecided: CountedStep,
        leads: &[i64],
        is_planned: impl Fn(CountedStep) -> bool,
        is_networks_time: impl Fn(CountedStep) -> bool,
    ) {
        let Some(wanted) = self.waiting else { return };
        let turn = || undecided.through(undecided + 1023).take_while(|step| is_networks_time(*step));
        let is_strong = |step: &CountedStep| time.is_strong(time.song_position(*step).song_step);
        let strong = |lead: i64| turn().find(|step| *step >= undecided + lead && is_strong(step));
        let Some(at) = leads.iter().find_map(|lead| strong(*lead)) else { return };
        let requested = self.fermata.map(|fermata| fermata.at);
        let closes = |step: &CountedStep| is_planned(*step) || requested == Some(*step);
        let planned = |first: CountedStep| first.through(at).find(closes);
        let fermata = match wanted {
            Wanted::Cadence if planned(undecided).is_some() => None,
            Wanted::Cadence => Some(Fermata::new(time, at, at + FERMATA_STEPS, false)),
            Wanted::End => {
                let at = planned(undecided + LEAD_STEPS).unwrap_or(at);
                let begins_bar = |step: &CountedStep| time.begins_bar(time.song_position(*step).song_step);
                let until = (at + FERMATA_STEPS).through(at + 1023).find(begins_bar);
                Some(Fermata::new(time, at, until.unwrap_or(at + FERMATA_STEPS), true))
            }
        };
        self.waiting = None;
        self.replace(fermata, undecided);
    }

    /// The network's turn is over, or given up, before `next_step`. A cadence that has not begun waits for the next
    /// turn.
    pub fn postpone(&mut self, next_step: CountedStep) {
        if self.has_ended {
            return;
        }
        if let Some(fermata) = self.fermata.filter(|fermata| fermata.at >= next_step) {
            self.waiting = Some(if fermata.is_last { Wanted::End } else { Wanted::Cadence });
        }
        (self.fermata, self.before) = (None, None);
    }

    /// Replaces the fermata by another one, if any. A fermata that begins before `undecided` is remembered: it is
    /// played to its end, and the phrase after it is counted from there.
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

    /// The step after the last chord, if one is to come or sounds.
    pub fn last_until(&self) -> Option<CountedStep> {
        self.last().map(|last| last.until)
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
            (self.waiting, self.fermata, self.before) = (None, None, None);
        }
    }

    /// Forgets the cadence, the end too: the music may go on.
    pub fn reopen(&mut self) {
        (self.waiting, self.fermata, self.before, self.has_ended) = (None, None, None, false);
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
    /// A cadence that is requested in the player's bars; the network's turn lasts from step 16 to step `until`.
    fn in_turn(end: bool, beats: i32, until: i64) -> Cadence {
        let mut cadence = Cadence::default();
        cadence.follow(!end, end, &time(beats), step(3), |_| false, |_| false);
        assert!(cadence.waiting.is_some() && cadence.fermata.is_none());
        cadence.begin_turn(&time(beats), step(16), |_| false, |at| (step(16)..step(until)).contains(&at));
        cadence
    }

    #[test]
    fn a_press_in_the_players_turn_waits_for_the_networks() {
        let at = |end, beats, until| in_turn(end, beats, until).fermata.map(|fermata| fermata.at.number());
        assert_eq!([at(false, 4, 999), at(false, 4, 32)], [Some(24), Some(24)]);
        assert_eq!([at(true, 4, 999), at(true, 4, 32), at(true, 4, 28)], [Some(32), Some(24), Some(24)]);
        // The only strong beat begins the turn, or there is none.
        assert_eq!([at(true, 4, 20), at(true, 3, 24)], [Some(16), None]);
        assert_eq!(in_turn(true, 3, 24).waiting, Some(Wanted::End));
    }

    #[test]
    fn a_cadence_falls_in_the_turn_in_which_it_is_pressed_or_waits() {
        for (end, until, at) in
            [(false, 28, None), (false, 40, Some(step(32))), (true, 40, None), (true, 48, Some(step(40)))]
        {
            let mut cadence = Cadence::default();
            // The next turn begins on step 64.
            let is_networks_time = |at: CountedStep| at < step(until) || at >= step(64);
            cadence.follow(!end, end, &time(4), step(21), |_| false, is_networks_time);
            assert_eq!(cadence.fermata.map(|fermata| fermata.at), at, "{end} {until}");
            assert_eq!(cadence.waiting.is_some(), at.is_none(), "{end} {until}");
        }
    }

    #[test]
    fn a_cadence_that_has_not_begun_is_postponed() {
        for end in [false, true] {
            let mut cadence = in_turn(end, 4, 32);
            cadence.postpone(step(24));
            assert!(cadence.waiting.is_some() && cadence.fermata.is_none());
            cadence.begin_turn(&time(4), step(48), |_| false, |at| at < step(64));
            assert_eq!(cadence.fermata.map(|fermata| fermata.at), Some(step(56)));
            let placed = cadence;
            cadence.begin_step(step(56));
            cadence.postpone(step(57));
            assert!(
                cadence.waiting.is_none() && cadence.has_ended() == end && (cadence.fermata == placed.fermata) == end
            );
        }
    }
}
