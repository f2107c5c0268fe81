//! The plan: which steps are requested of the worker, and when each is due. Audio thread.

mod cadence;
mod harmony;
mod sequencer;

use std::time::Instant;

use continuo_model::decision::{Decision, Given, Lanes};
use continuo_model::generate::{Step, StepSettings};

use cadence::Cadence;
use sequencer::Sequencer;
pub use sequencer::{Due, PlannedStep, Poll};

use super::frozen::Frozen;
use super::hands::Hands;
use super::positions::{CountedStep, Sample};
use super::settings::Settings;
use super::transport::BlockTime;
use crate::bridge::{AudioEnd, Origin, Request};

/// Steps that have been requested, and what they wait for.
pub struct Plan {
    sequencer: Sequencer,
    cadence: Cadence,
    /// The last step that has been answered between steps.
    answered: Option<CountedStep>,
}

/// What a request depends on beside the plan, and the way to the worker.
pub struct RequestContext<'a> {
    /// The parameters.
    pub settings: &'a Settings,
    /// The block.
    pub time: &'a BlockTime,
    /// What the player holds.
    pub hands: &'a mut Hands,
    /// What frozen lanes play.
    pub frozen: &'a Frozen,
    /// The way to the worker.
    pub bridge: &'a mut AudioEnd,
}

impl Plan {
    /// Nothing is planned.
    pub fn new() -> Self {
        Self { sequencer: Sequencer::new(), cadence: Cadence::default(), answered: None }
    }

    /// Drops everything. The next step requested begins as `from` says.
    pub fn clear(&mut self, origin: Origin) {
        self.sequencer.clear(origin);
        self.cadence.clear();
        self.answered = None;
    }

    /// Drops what would sound; a cadence that is under way stays.
    pub fn drop_steps(&mut self) {
        self.sequencer.clear(Origin::PreviousStep);
    }

    /// Drops the steps from `step` on: they are to be planned again.
    pub fn forget_from(&mut self, step: CountedStep) {
        self.sequencer.forget_from(step);
    }

    /// Takes the cadence's control; `next_step` is the step that begins next.
    pub fn follow_cadence(&mut self, settings: &Settings, time: &BlockTime, next_step: CountedStep) {
        let ahead = next_step + settings.lookahead_steps;
        let decided = self.planned_through().map_or(ahead, |planned| planned.max(ahead));
        self.cadence.follow(settings.cadence, time, decided + 1);
    }

    /// The last step that has been planned, if any has.
    pub fn planned_through(&self) -> Option<CountedStep> {
        self.sequencer.planned_through()
    }

    /// The last step that has been answered between steps, if any has.
    pub fn answered(&self) -> Option<CountedStep> {
        self.answered
    }

    /// Whether a step is planned and has not been played.
    pub fn has(&self, step: CountedStep) -> bool {
        self.sequencer.has(step)
    }

    /// What is planned from `first` on: each step, its decision once it is known, and the player's lanes.
    pub fn ahead(&self, first: CountedStep) -> impl Iterator<Item = (CountedStep, Option<Decision>, Lanes)> + '_ {
        let steps = self.planned_through().map(|last| first.through(last)).into_iter().flatten();
        steps.filter_map(|step| self.sequencer.planned(step).map(|(decision, played)| (step, decision, played)))
    }

    /// Takes what the worker has answered.
    pub fn take_answers(&mut self, bridge: &mut AudioEnd) {
        self.sequencer.take_answers(bridge);
    }

    /// A step sounds at a sample.
    pub fn schedule(&mut self, step: CountedStep, at: Sample) {
        self.sequencer.schedule(Due { at, step });
    }

    /// The sample at which something is due next.
    pub fn next_due(&self) -> Option<Sample> {
        self.sequencer.next_due()
    }

    /// Takes the next step that is due off the list.
    pub fn pop_due(&mut self) -> Option<Due> {
        self.sequencer.pop_due()
    }

    /// Takes a step out of the plan if it is decided, or never will be.
    pub fn poll(&mut self, step: CountedStep, can_answer: bool) -> Poll {
        self.sequencer.poll(step, can_answer)
    }

    /// Gives a step up: its answer will be dropped.
    pub fn give_up(&mut self, step: CountedStep) {
        self.sequencer.give_up(step);
    }

    /// A step was due and is not there: it is played as soon as it is.
    pub fn put_off(&mut self, due: Due) {
        self.sequencer.put_off(due);
    }

    /// The step that has been overdue for longest.
    pub fn overdue(&self) -> Option<Due> {
        self.sequencer.overdue()
    }

    /// Takes that off the list.
    pub fn pop_overdue(&mut self) {
        self.sequencer.pop_overdue();
    }

    /// Requests a step in which every lane is the network's; with `attack` all that it plays start.
    pub fn request_free(&mut self, context: &mut RequestContext, step: CountedStep, attack: bool) {
        self.request(context, step, Given::NOTHING, attack, None);
    }

    /// The network hears what the player did in a step that is over; whether that is anything. Silence is no step.
    pub fn listen(&mut self, context: &mut RequestContext, step: CountedStep) -> bool {
        let Some(played) = context.hands.played_in(step) else { return false };
        self.request(context, step, played.given, false, None);
        self.give_up(step);
        true
    }

    /// Plans that all lanes rest in a step.
    pub fn rest(&mut self, step: CountedStep) {
        self.sequencer.rest(step);
    }

    fn request(
        &mut self,
        context: &mut RequestContext,
        step: CountedStep,
        given: Given,
        attack: bool,
        requested_at: Option<Instant>,
    ) {
        let RequestContext { settings, time, .. } = *context;
        let position = time.song_position(step);
        let mut step_settings =
            StepSettings { pass: if settings.evolves { position.pass } else { 0 }, ..settings.step };
        step_settings.controls.fermata_in = self.cadence.steps_from(step);
        let request = Request {
            id: 0,
            origin: if position.is_loop_start { Origin::SongMemory } else { Origin::PreviousStep },
            count: step.number(),
            undo_from: step.number(),
            step: Step {
                step_idx: position.song_step.number(),
                step_in_beat: time.step_in_beat(position.song_step),
                given: context.with_frozen(step, given),
                attack,
                settings: step_settings,
            },
            begins_bar: time.begins_bar(position.song_step),
            requested_at,
        };
        self.sequencer.request(context.bridge, step, request);
    }

    /// How many steps are planned and have not been played.
    #[cfg(test)]
    pub fn num_unplayed(&self) -> usize {
        self.sequencer.unplayed().count()
    }
}

impl RequestContext<'_> {
    /// The player's lanes are the player's, frozen or not.
    fn with_frozen(&self, step: CountedStep, given: Given) -> Given {
        match self.frozen.step(self.time.song_position(step).song_step) {
            Some((lanes, notes)) => given.with(lanes, notes),
            None => given,
        }
    }
}
