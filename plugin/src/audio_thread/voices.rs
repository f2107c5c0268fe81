//! The generated voices: what each sounds, and when it may move. Audio thread.

use continuo_model::tokeniser::grid::NUM_VOICES;
use continuo_model::vocabulary::Symbol;
use nice_plug::midi::VoiceID;

use super::hands::Hands;
use super::output::{Lag, Output, Owner, Touch};
use super::plan::{Due, PlannedRow};
use super::positions::{CountedStep, Sample, StepPosition};
use super::settings::Settings;
use super::transport::BlockTime;

/// A generated note sounds for this long at least, seconds; shorter only where a step is.
const LEAST_SECONDS: f64 = 0.06;
/// An answer to a note between steps moves no voice that has moved within this much of a step.
const APART_STEPS: f64 = 0.75;
/// Two samples in one step lie closer than this to a whole step where they are rounded.
const ROUNDING_STEPS: f64 = 1e-3;

/// When a voice was struck: the sample, and the position.
type Strike = (Sample, StepPosition);

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
    /// Where voices move that could not move with an answer, and the step that they move with.
    catch_up_at: Option<(Sample, CountedStep)>,
}

/// Whence a voice's new note comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// A step that begins.
    Step,
    /// A played note, between steps.
    Answer,
}

/// Where in time a voice moves.
#[derive(Clone, Copy, Debug)]
struct Moment {
    at: Sample,
    position: StepPosition,
    /// Length of a step, samples.
    samples_per_step: f64,
    /// Samples a second.
    sample_rate: f64,
}

impl Moment {
    fn of(time: &BlockTime, at: Sample) -> Self {
        let BlockTime { samples_per_step, sample_rate, .. } = *time;
        Self { at, position: time.position_at(at), samples_per_step, sample_rate }
    }

    /// The least length of a note, samples.
    fn least_samples(&self) -> u64 {
        (LEAST_SECONDS * self.sample_rate).min(self.samples_per_step).floor() as u64
    }
}

/// What voices play through, and what they go by.
pub struct Playing<'a> {
    /// The parameters.
    pub settings: &'a Settings,
    /// The block.
    pub time: &'a BlockTime,
    /// What the player holds.
    pub hands: &'a Hands,
    /// Where notes go out.
    pub output: &'a mut Output,
}

impl Voices {
    /// Plays a row that was due, now or before, at sample `at`.
    pub fn play(&mut self, playing: &mut Playing, planned: &PlannedRow, due: Due, at: Sample) {
        let moment = Moment::of(playing.time, at);
        let nominal = playing.time.sample_of(due.step.position());
        let lag = Lag { grid: at - nominal, due: at - due.at };
        let cause = if planned.is_answer { Cause::Answer } else { Cause::Step };
        for voice in 0..NUM_VOICES {
            let mine = playing.settings.emit[voice] && !planned.played[voice];
            match if mine { planned.row[voice] } else { Symbol::Rest } {
                Symbol::Pitch(key) => self.go_to(playing, voice, key, cause, (&moment, lag)),
                Symbol::Rest => {
                    if let Some(key) = self.end(voice) {
                        playing.output.end(Owner::Generated, (voice as u8, key), at, moment.least_samples(), lag);
                    }
                }
                Symbol::Hold => self.hold(playing, voice, planned, cause, (&moment, lag)),
            }
        }
        if self.owes() && planned.is_answer && due.step.position() > moment.position {
            // The note was early: its step, which lies ahead, is where the voices move.
            self.catch_up_at = Some((nominal + playing.settings.reply_delay_samples, due.step));
        }
    }

    /// A voice holds what it sounds in the network's hearing.
    ///
    /// An answer goes back to before its step: what has moved at the step since then moves back. The first step of a
    /// loop holds what nobody has started. But what a missed row would have started is not started late: until its next
    /// attack or rest the voice goes on with what it sounds.
    fn hold(&mut self, playing: &mut Playing, voice: usize, planned: &PlannedRow, cause: Cause, when: (&Moment, Lag)) {
        let settles = planned.settles[voice] && !self.missed[voice] || self.owed[voice].is_some();
        match planned.sounding[voice] {
            Some(key) if settles && self.sounding[voice] != Some(key) => {
                self.go_to(playing, voice, key, cause, when);
            }
            Some(_) if settles => self.settle(voice),
            _ => {}
        }
    }

    /// A voice goes on to `key`, or owes it if it has moved too lately.
    fn go_to(&mut self, playing: &mut Playing, voice: usize, key: u8, cause: Cause, (moment, lag): (&Moment, Lag)) {
        if !self.may_strike(voice, cause, moment) {
            self.owe(voice, key);
            return;
        }
        let Playing { time, hands, output, .. } = playing;
        let channel = voice as u8;
        if let Some(before) = self.end(voice) {
            output.end(Owner::Generated, (channel, before), moment.at, 1, lag);
        }
        let touch = Touch { voice_id: VoiceID::Wildcard, velocity: hands.velocity() };
        // Where the player sounds that very key, it is one note.
        if !hands.goes_out(channel, key) {
            output.rest_wheels(hands, channel, time.timing(moment.at));
            output.start(Owner::Generated, (channel, key), touch, lag, moment.at);
        }
        self.strike(voice, key, moment);
    }

    /// When voices move next that could not move with an answer.
    pub fn next_catch_up(&self) -> Option<Sample> {
        self.catch_up_at.map(|(at, _)| at)
    }

    /// Voices that could not move with the answer to an early note move with its step.
    pub fn catch_up(&mut self, playing: &mut Playing, at: Sample) {
        let Some((_, step)) = self.catch_up_at.take() else { return };
        let moment = Moment::of(playing.time, at);
        let lag = Lag { grid: at - playing.time.sample_of(step.position()), due: 0 };
        for voice in 0..NUM_VOICES {
            if let Some(key) = self.owed[voice] {
                self.go_to(playing, voice, key, Cause::Step, (&moment, lag));
            }
        }
    }

    /// Nothing that could not move with an answer moves later.
    pub fn forget_catch_up(&mut self) {
        self.catch_up_at = None;
    }

    /// Whether the voice of a channel sounds a key.
    pub fn doubles(&self, channel: u8, key: u8) -> bool {
        self.sounding.get(usize::from(channel)).is_some_and(|sounding| *sounding == Some(key))
    }

    /// Ends generated notes at sample `at`, or when they have sounded for long enough.
    pub fn end_all(&mut self, output: &mut Output, time: &BlockTime, at: Sample) {
        output.end_all(Some(Owner::Generated), at, (LEAST_SECONDS * time.sample_rate) as u64);
        self.fall_silent();
    }

    /// Whether a voice owes a note.
    fn owes(&self) -> bool {
        self.owed != [None; NUM_VOICES]
    }

    /// A decision is missing: no voice catches up with what it would have started.
    pub fn miss(&mut self) {
        self.missed = [true; NUM_VOICES];
        self.owed = [None; NUM_VOICES];
    }

    /// Whether a voice may be struck: once in a 16th, and not before its note has lasted.
    fn may_strike(&self, voice: usize, cause: Cause, moment: &Moment) -> bool {
        let Some((at, position)) = self.struck[voice] else { return true };
        let apart = moment.position - position;
        let lasted = moment.at >= at + moment.least_samples();
        let another_step = (moment.position + ROUNDING_STEPS).step() > (position + ROUNDING_STEPS).step();
        lasted && another_step && (cause == Cause::Step || apart >= APART_STEPS)
    }

    /// The voice begins `key`.
    fn strike(&mut self, voice: usize, key: u8, moment: &Moment) {
        self.sounding[voice] = Some(key);
        self.struck[voice] = Some((moment.at, moment.position));
        self.settle(voice);
    }

    /// The voice begins `key` as soon as it may.
    fn owe(&mut self, voice: usize, key: u8) {
        self.owed[voice] = Some(key);
        self.missed[voice] = false;
    }

    /// The voice falls silent; gives what it sounded.
    fn end(&mut self, voice: usize) -> Option<u8> {
        self.settle(voice);
        self.sounding[voice].take()
    }

    /// The voice does what the network has decided.
    fn settle(&mut self, voice: usize) {
        self.owed[voice] = None;
        self.missed[voice] = false;
    }

    /// All fall silent; what sounds has been ended.
    pub fn fall_silent(&mut self) {
        *self = Self { struck: self.struck, catch_up_at: self.catch_up_at, ..Self::default() };
    }

    /// Time is elsewhere: all fall silent, and may move at once. What sounds has been ended.
    pub fn clear(&mut self) {
        *self = Self { catch_up_at: self.catch_up_at, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(step: f64) -> Moment {
        let at = Sample::default() + (step * 6000.0).round() as u64;
        Moment { at, position: StepPosition::new(step), samples_per_step: 6000.0, sample_rate: 48_000.0 }
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
        let fast = |step: f64| Moment {
            at: Sample::default() + (step * 2400.0) as u64,
            samples_per_step: 2400.0,
            ..moment(step)
        };
        let mut voices = Voices::default();
        voices.strike(0, 60, &fast(3.0));
        assert!(voices.may_strike(0, Cause::Step, &fast(4.0)));
    }
}
