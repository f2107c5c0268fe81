//! The generated lanes: which keys each sounds, and when it may move. Audio thread.

mod under_way;

use continuo_model::decision::{Edge, Keys, Lanes, MAX_EDGES, NUM_LANES};
use nice_plug::midi::VoiceID;

use super::hands::Hands;
use super::output::{Lag, Output, Owner, Touch};
use super::plan::{Due, PlannedStep};
use super::positions::{CountedStep, Sample, StepPosition};
use super::settings::Settings;
use super::transport::BlockTime;
use under_way::StepUnderWay;

/// A generated note sounds for at least this many seconds, or a step if that is shorter.
const LEAST_SECONDS: f64 = 0.06;
/// An answer between steps does not move a lane that moved less than this many steps ago.
const APART_STEPS: f64 = 0.75;
/// A lane does not go to a key that it leaves within this many ticks, such as one whose end is humanised.
const BRIEF_TICKS: u8 = 6;
/// The rounding error of a sample's position, in steps.
const ROUNDING_STEPS: f64 = 1e-3;

/// When a lane was last struck.
#[derive(Clone, Copy, Debug)]
struct Strike {
    at: Sample,
    position: StepPosition,
    /// Whether the model placed the note within a step.
    is_within: bool,
}

/// The keys that a lane should sound: those that start and those that are held.
#[derive(Clone, Copy, Debug, Default)]
struct Target {
    struck: Keys,
    held: Keys,
    velocities: Velocities,
}

/// The generated lanes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Voices {
    /// The keys that each lane sounds.
    sounding: [Keys; NUM_LANES],
    /// When each lane was last struck.
    struck: [Option<Strike>; NUM_LANES],
    /// The keys that a lane should sound but does not yet, because it moved too recently.
    owed: [Option<Target>; NUM_LANES],
    /// The lanes that have missed a decision, until their next attack or rest.
    missed: Lanes,
    /// When lanes make the moves that they could not make with an answer, and the step of these moves.
    catch_up_at: Option<(Sample, CountedStep)>,
    /// The step that was played last, with its remaining edges.
    under_way: StepUnderWay,
}

/// Why a lane starts a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// A step begins.
    Step,
    /// The player played a note between steps.
    Answer,
}

/// The time at which a lane moves.
#[derive(Clone, Copy, Debug)]
struct Moment {
    at: Sample,
    position: StepPosition,
    /// The length of a step in samples.
    samples_per_step: f64,
    /// In Hz.
    sample_rate: f64,
    /// How late `at` is.
    lag: Lag,
}

impl Moment {
    fn of(time: &BlockTime, at: Sample, lag: Lag) -> Self {
        let BlockTime { samples_per_step, sample_rate, .. } = *time;
        Self { at, position: time.position_at(at), samples_per_step, sample_rate, lag }
    }

    fn strike(&self, is_within: bool) -> Strike {
        Strike { at: self.at, position: self.position, is_within }
    }

    /// The shortest length of a note, in samples.
    fn least_samples(&self) -> u64 {
        (LEAST_SECONDS * self.sample_rate).min(self.samples_per_step).floor() as u64
    }
}

impl Target {
    /// The keys that a lane should sound at the start of a step.
    fn of(planned: &PlannedStep, lane: u8) -> Self {
        let velocities = Velocities { held: planned.held_velocity, ..Velocities::default() };
        let mut target = Self { held: planned.decision.keys_at_start(lane), velocities, ..Self::default() };
        for edge in planned.decision.edges().iter().filter(|edge| edge.lane() == lane && edge.tick() == 0) {
            if let Edge::On { key, velocity, .. } = *edge {
                target.held.remove(key);
                target.struck.insert(key);
                target.velocities.push(key, velocity);
            }
        }
        target
    }
}

/// What the lanes need to play.
pub struct Playing<'a> {
    /// The parameters.
    pub settings: &'a Settings,
    /// The block.
    pub time: &'a BlockTime,
    /// The player's hands.
    pub hands: &'a Hands,
    /// The output for the notes.
    pub output: &'a mut Output,
}

impl Voices {
    /// Plays the start of a due or overdue step at sample `at`. Its later edges wait for their samples.
    pub fn play(&mut self, playing: &mut Playing, planned: &PlannedStep, due: Due, at: Sample) {
        let nominal = playing.time.sample_of(due.step.position());
        let moment = Moment::of(playing.time, at, Lag { grid: at - nominal, due: at - due.at });
        let cause = if planned.is_answer { Cause::Answer } else { Cause::Step };
        let mine = playing.settings.emit & !planned.played;
        self.leave_step(playing, planned, mine, at);
        for lane in 0..NUM_LANES as u8 {
            if mine.contains(lane) {
                self.follow(playing, lane, planned, cause, &moment);
            } else {
                self.rest(playing, lane, &moment);
            }
        }
        let delay = if playing.settings.harmonises() { playing.settings.reply_delay_samples } else { 0 };
        self.under_way = StepUnderWay::new(&planned.decision, mine, due.step, delay, due.at);
        self.play_within(playing, at);
        let owes = self.owed.iter().any(Option::is_some);
        if owes && planned.is_answer && due.step.position() > moment.position {
            // The note was early: the lanes make their remaining moves when its step begins.
            self.catch_up_at = Some((nominal + playing.settings.reply_delay_samples, due.step));
        }
    }

    /// Leaves a step that is not over, because it was late or because the delay or the tempo has changed. An answer
    /// drops the step's remaining edges, as it decides the step again. A new step plays the note-offs at once, and
    /// starts the notes that it holds.
    fn leave_step(&mut self, playing: &mut Playing, planned: &PlannedStep, mine: Lanes, at: Sample) {
        let mut before = std::mem::take(&mut self.under_way);
        if planned.is_answer {
            return;
        }
        let holds = |lane| if mine.contains(lane) { Target::of(planned, lane).held } else { Keys::NONE };
        while let Some((edge, lag)) = before.pop_last(playing.time, at, holds) {
            self.play_edge(playing, edge, &Moment::of(playing.time, at, lag));
        }
    }

    /// Plays a lane's edges at the start of a step.
    fn follow(&mut self, playing: &mut Playing, lane: u8, planned: &PlannedStep, cause: Cause, moment: &Moment) {
        let target = Target::of(planned, lane);
        if !target.struck.is_empty() {
            self.go_to(playing, lane, target, (cause, moment));
        } else if target.held.is_empty() {
            self.rest(playing, lane, moment);
        } else {
            self.hold(playing, lane, target, planned, (cause, moment));
            for edge in planned.decision.edges().iter().filter(|edge| edge.lane() == lane && edge.tick() == 0) {
                self.end_key(playing, lane, edge.key(), moment);
            }
        }
    }

    /// Holds the keys that the network holds in a lane.
    ///
    /// An answer continues from the state before its step, so a lane that has moved since then moves back. The first
    /// step of a loop starts held notes that do not sound. But after a missed step nothing starts late: until its next
    /// attack or rest, the lane keeps its notes.
    fn hold(&mut self, playing: &mut Playing, lane: u8, target: Target, planned: &PlannedStep, when: (Cause, &Moment)) {
        let owes = self.owed[usize::from(lane)].is_some();
        let settles = planned.settles.contains(lane) && !self.missed.contains(lane) || owes;
        if settles && self.sounding[usize::from(lane)] != target.held {
            if leaves_soon(planned, lane) {
                self.rest(playing, lane, when.1);
            } else {
                self.go_to(playing, lane, target, when);
            }
        } else if settles {
            self.settle(lane);
        }
    }

    /// Moves a lane to other keys, or remembers them if the lane moved too recently.
    fn go_to(&mut self, playing: &mut Playing, lane: u8, target: Target, (cause, moment): (Cause, &Moment)) {
        let n = usize::from(lane);
        if !self.may_strike(lane, cause, moment) {
            self.owed[n] = Some(target);
            self.missed = self.missed & !Lanes::NONE.with(lane);
            return;
        }
        let Target { struck, held, velocities } = target;
        let sounding = self.sounding[n];
        // A note that started within the previous step may not have sounded for the shortest length yet.
        let is_within = self.struck[n].is_some_and(|strike| strike.is_within);
        let least = if is_within { moment.least_samples() } else { 1 };
        for key in sounding.without(held).iter() {
            playing.output.end(Owner::Generated, (lane, key), moment.at, least, moment.lag);
        }
        self.sounding[n] = held;
        for key in held.without(sounding).iter().chain(struck.iter()) {
            self.sounding[n].insert(key);
            start(playing, lane, key, velocities.of(key), moment);
        }
        self.struck[n] = Some(moment.strike(false));
        self.settle(lane);
    }

    /// Ends a lane's notes.
    fn rest(&mut self, playing: &mut Playing, lane: u8, moment: &Moment) {
        self.settle(lane);
        for key in self.sounding[usize::from(lane)].iter() {
            self.end_key(playing, lane, key, moment);
        }
    }

    fn end_key(&mut self, playing: &mut Playing, lane: u8, key: u8, moment: &Moment) {
        if self.sounding[usize::from(lane)].remove(key) {
            playing.output.end(Owner::Generated, (lane, key), moment.at, moment.least_samples(), moment.lag);
        }
    }

    /// The sample of the next edge within a step.
    pub fn next_edge(&self, time: &BlockTime) -> Option<Sample> {
        self.under_way.next(time)
    }

    /// Plays the edges of the current step that are due by sample `at`.
    pub fn play_within(&mut self, playing: &mut Playing, at: Sample) {
        while let Some((edge, lag)) = self.under_way.pop(playing.time, at) {
            self.play_edge(playing, edge, &Moment::of(playing.time, at, lag));
        }
    }

    fn play_edge(&mut self, playing: &mut Playing, edge: Edge, moment: &Moment) {
        match edge {
            Edge::Off { lane, key, .. } => self.end_key(playing, lane, key, moment),
            Edge::On { lane, key, velocity, .. } if playing.settings.emit.contains(lane) => {
                self.end_key(playing, lane, key, moment);
                self.sounding[usize::from(lane)].insert(key);
                self.struck[usize::from(lane)] = Some(moment.strike(true));
                self.settle(lane);
                start(playing, lane, key, velocity, moment);
            }
            Edge::On { .. } => {}
        }
    }

    /// The sample at which lanes make the moves that they could not make with an answer.
    pub fn next_catch_up(&self) -> Option<Sample> {
        self.catch_up_at.map(|(at, _)| at)
    }

    /// Makes the moves that lanes could not make with the answer to an early note.
    pub fn catch_up(&mut self, playing: &mut Playing, at: Sample) {
        let Some((_, step)) = self.catch_up_at.take() else { return };
        let lag = Lag { grid: at - playing.time.sample_of(step.position()), due: 0 };
        let moment = Moment::of(playing.time, at, lag);
        for lane in 0..NUM_LANES as u8 {
            if let Some(target) = self.owed[usize::from(lane)] {
                self.go_to(playing, lane, target, (Cause::Step, &moment));
            }
        }
    }

    /// Drops the edges and moves that have yet to happen. The caller has ended the sounding notes.
    pub fn forget_later(&mut self) {
        self.catch_up_at = None;
        self.under_way = StepUnderWay::default();
    }

    /// Whether a lane sounds a key.
    pub fn doubles(&self, lane: u8, key: u8) -> bool {
        self.sounding.get(usize::from(lane)).is_some_and(|sounding| sounding.contains(key))
    }

    /// Ends all generated notes at sample `at`, or once they have sounded for the shortest length.
    pub fn end_all(&mut self, output: &mut Output, time: &BlockTime, at: Sample) {
        output.end_all(Some(Owner::Generated), at, (LEAST_SECONDS * time.sample_rate) as u64);
        self.fall_silent();
    }

    /// Records a missed step: no lane starts its notes late.
    pub fn miss(&mut self) {
        self.missed = Lanes::ALL;
        self.owed = [None; NUM_LANES];
    }

    /// Whether a lane may start a note: once per step, and only after its last note has sounded for the shortest
    /// length. A new step need not wait for a note that the model placed within a step.
    fn may_strike(&self, lane: u8, cause: Cause, moment: &Moment) -> bool {
        let Some(Strike { at, position, is_within }) = self.struck[usize::from(lane)] else { return true };
        let apart = moment.position - position;
        let lasted = moment.at >= at + moment.least_samples();
        let another_step = (moment.position + ROUNDING_STEPS).step() > (position + ROUNDING_STEPS).step();
        match cause {
            Cause::Step => is_within || another_step && lasted,
            Cause::Answer => another_step && lasted && apart >= APART_STEPS,
        }
    }

    /// Records that a lane does what the network decided.
    fn settle(&mut self, lane: u8) {
        self.owed[usize::from(lane)] = None;
        self.missed = self.missed & !Lanes::NONE.with(lane);
    }

    /// Clears all lanes except the times of their last notes. The caller has ended the sounding notes.
    pub fn fall_silent(&mut self) {
        *self = Self { struck: self.struck, catch_up_at: self.catch_up_at, ..Self::default() };
    }

    /// Clears all lanes after a start or jump, so that they may move at once. The caller has ended the sounding notes.
    pub fn clear(&mut self) {
        *self = Self { catch_up_at: self.catch_up_at, ..Self::default() };
    }
}

/// Whether a lane moves on shortly after the start of the step.
fn leaves_soon(planned: &PlannedStep, lane: u8) -> bool {
    let starts = |edge: &&Edge| matches!(edge, Edge::On { .. }) && edge.lane() == lane;
    planned.decision.edges().iter().find(starts).is_some_and(|edge| edge.tick() <= BRIEF_TICKS)
}

/// The velocities of the keys that start with a step, 1 to 127.
#[derive(Clone, Copy, Debug, Default)]
struct Velocities {
    keys: [(u8, u8); MAX_EDGES],
    count: usize,
    /// That of the other keys.
    held: u8,
}

impl Velocities {
    fn push(&mut self, key: u8, velocity: u8) {
        self.keys[self.count] = (key, velocity);
        self.count += 1;
    }

    /// A key's velocity; 0 for the player's.
    fn of(&self, key: u8) -> u8 {
        self.keys[..self.count].iter().find(|(of, _)| *of == key).map_or(self.held, |(_, velocity)| *velocity)
    }
}

/// Starts a generated note. With velocity 0 it takes the player's velocity.
fn start(playing: &mut Playing, lane: u8, key: u8, velocity: u8, moment: &Moment) {
    let Playing { time, hands, output, .. } = playing;
    let velocity = if velocity > 0 { f32::from(velocity) / 127.0 } else { hands.velocity() };
    let touch = Touch { voice_id: VoiceID::Wildcard, velocity };
    // If the player sounds the same key, both are one note.
    if !hands.goes_out(lane, key) {
        output.rest_wheels(hands, lane, time.timing(moment.at));
        output.start(Owner::Generated, (lane, key), touch, moment.lag, moment.at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(step: f64) -> Moment {
        let at = Sample::default() + (step * 6000.0).round() as u64;
        let (position, lag) = (StepPosition::new(step), Lag::default());
        Moment { at, position, samples_per_step: 6000.0, sample_rate: 48_000.0, lag }
    }

    fn struck_at(moment: Moment) -> Voices {
        let mut voices = Voices::default();
        voices.struck[1] = Some(moment.strike(false));
        voices
    }

    fn may(struck: f64, cause: Cause, at: f64) -> bool {
        struck_at(moment(struck)).may_strike(1, cause, &moment(at))
    }

    #[test]
    fn a_voice_moves_once_in_a_16th() {
        for (struck, cause, at, expect) in [
            // A note on a 32nd after the step, and the next step.
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
        let fast = |step: f64| Moment {
            at: Sample::default() + (step * 2400.0) as u64,
            samples_per_step: 2400.0,
            ..moment(step)
        };
        assert!(struck_at(fast(3.0)).may_strike(1, Cause::Step, &fast(4.0)));
    }
}
