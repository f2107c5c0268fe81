//! Whose turn it is, the player's or the network's, and which step begins next. Audio thread.

use super::plan::{Plan, RequestContext, is_networks_time};
use super::positions::{CountedStep, Sample};
use super::settings::Settings;
use super::transport::{BlockTime, Motion};
use crate::params::Mode;

/// The network's turn begins this many seconds after its beat, so that a player who is a little late keeps the turn.
const ENTRY_SECONDS: f64 = 0.04;
/// Free-running time ends this many steps after the last note: in Harmonise, in other modes.
const FREE_RUN_STEPS: (i64, i64) = (16, 64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// The player plays, or no one does.
    Player,
    /// The network's first step is requested. It plays unless the player plays before sample `at`.
    Entering {
        /// The first step of its turn.
        step: CountedStep,
        /// The cut-off.
        at: Sample,
    },
    /// The network plays.
    Network {
        /// The first step of its turn.
        first: CountedStep,
        /// The step on which its turn ends, once planned.
        end: Option<CountedStep>,
    },
}

/// Turns, and the step that begins next.
pub struct Turns {
    turn: Turn,
    /// Whether the network has heard a phrase to continue.
    heard: bool,
    /// The step that begins next.
    next_step: CountedStep,
    /// The first step after the last start or jump.
    first_step: Option<CountedStep>,
    /// The step of the last played note.
    last_note_step: CountedStep,
    /// The mode and the bypass setting of the last block.
    last: (Mode, bool),
}

impl Turns {
    /// The player's turn, with no notes heard.
    pub fn new() -> Self {
        Self {
            turn: Turn::Player,
            heard: false,
            next_step: CountedStep::default(),
            first_step: None,
            last_note_step: CountedStep::default(),
            last: (Mode::Harmonise, false),
        }
    }

    /// The step that begins next.
    pub fn next_step(&self) -> CountedStep {
        self.next_step
    }

    /// Counts the next step as begun.
    pub fn step_has_begun(&mut self) {
        self.next_step += 1;
    }

    /// The sample at which the network's turn begins, unless the player plays first.
    pub fn entry(&self) -> Option<Sample> {
        match self.turn {
            Turn::Entering { at, .. } => Some(at),
            Turn::Player | Turn::Network { .. } => None,
        }
    }

    /// Whether it is the network's turn, or is about to be.
    pub fn is_networks(&self) -> bool {
        self.turn != Turn::Player
    }

    /// Gives the turn to the player.
    pub fn yield_to_player(&mut self) {
        self.turn = Turn::Player;
    }

    /// Forgets the phrase heard so far.
    pub fn forget_phrase(&mut self) {
        self.heard = false;
    }

    /// Follows a start or jump: the next step is the first one after it. A phrase heard before a jump can still be
    /// continued.
    pub fn go_to(&mut self, time: &BlockTime) {
        self.heard = time.motion == Motion::Jumped && self.heard;
        // Free-running time starts at 0, at the note's sample; earlier samples of the block do not count.
        let first = (time.position + -1e-6).next_step();
        self.next_step = if time.is_free_running { first.max(CountedStep::default()) } else { first };
        self.first_step = Some(self.next_step);
        self.last_note_step = self.next_step;
    }

    /// Restarts the count of steps when free-running time restarts within a block.
    pub fn restart_free_run(&mut self) {
        (self.next_step, self.last_note_step) = (CountedStep::default(), CountedStep::default());
    }

    /// Records the step of a played note.
    pub fn note_played(&mut self, onset: CountedStep) {
        self.last_note_step = onset;
    }

    /// Whether the mode or the bypass setting has changed since the last block.
    pub fn follow_mode(&mut self, settings: &Settings) -> bool {
        let now = (settings.mode, settings.bypass);
        std::mem::replace(&mut self.last, now) != now
    }

    /// Follows a change of the loop that changes the song from step `from` on. Returns whether the turn continues, so
    /// that only the steps from there on need planning again; otherwise a turn was to begin or end there.
    pub fn continues_after_loop_change(&mut self, from: CountedStep, mode: Mode) -> bool {
        match self.turn {
            Turn::Network { first, .. } if first < from => {
                self.turn = Turn::Network { first, end: None };
                true
            }
            Turn::Player => mode.plays_along(),
            Turn::Network { .. } | Turn::Entering { .. } => false,
        }
    }

    /// Follows a change of metre: the end of the network's turn is planned again. Returns whether it is the network's
    /// turn.
    pub fn follow_metre_change(&mut self) -> bool {
        match &mut self.turn {
            Turn::Network { end, .. } => {
                *end = None;
                true
            }
            Turn::Player | Turn::Entering { .. } => false,
        }
    }

    /// Whether free-running time ends before `step`, some time after the last note.
    pub fn free_run_is_over(&self, step: CountedStep, mode: Mode) -> bool {
        let (harmony, continuation) = FREE_RUN_STEPS;
        step - self.last_note_step > if mode == Mode::Harmonise { harmony } else { continuation }
    }

    /// Begins a step at sample `at`, in the modes in which the player and the network take turns.
    pub fn begin_step(&mut self, plan: &mut Plan, context: &mut RequestContext, at: Sample) {
        let step = self.next_step;
        if let Turn::Network { first, end } = self.turn {
            if end == Some(step) {
                self.turn = Turn::Player;
                plan.postpone_cadence(step);
            } else {
                self.play_on(plan, context, step.max(first));
            }
        } else {
            // The network hears each step once it is over.
            self.heard |= plan.listen(context, step - 1);
            self.may_enter(plan, context, step, at);
        }
        // After the network's turn this schedules the rest that ends its notes.
        if plan.has(step) && !matches!(self.turn, Turn::Entering { .. }) {
            plan.schedule(step, at);
        }
    }

    /// Plans the network's turn from `step` on, as far as the lookahead and the turn reach.
    fn play_on(&mut self, plan: &mut Plan, context: &mut RequestContext, step: CountedStep) {
        let Turn::Network { first, end: None } = self.turn else { return };
        let planned = plan.planned_through().map_or(step - 1, |planned| planned.max(step - 1));
        for step in (planned + 1).through(step + context.settings.lookahead_steps) {
            if !is_networks_time(context.settings, context.time, step) {
                // A rest in all lanes ends the turn's notes.
                plan.rest(step);
                self.turn = Turn::Network { first, end: Some(step) };
                break;
            }
            if plan.ends_on(step) {
                plan.rest(step);
                self.turn = Turn::Network { first, end: Some(step) };
                break;
            }
            plan.request_free(context, step);
        }
    }

    /// Lets the network's turn begin if it may on this step. The first step is requested now and plays after the
    /// cut-off if the player is silent.
    fn may_enter(&mut self, plan: &mut Plan, context: &mut RequestContext, step: CountedStep, at: Sample) {
        let RequestContext { settings, time, .. } = *context;
        let song_step = time.song_position(step).song_step;
        let starts = settings.mode == Mode::Free && self.first_step.is_some_and(|first| step < first + 4);
        let on_beat = time.step_in_beat(song_step) == 0;
        let may_begin = if settings.enter_on_beat || starts { on_beat } else { time.begins_bar(song_step) };
        let has_heard = self.heard || settings.mode == Mode::Free;
        if !may_begin || !has_heard || plan.is_after_last(step) || !is_networks_time(settings, time, step) {
            return;
        }
        if starts && !context.hands.is_holding() {
            // At the start, without held keys, the network does not wait for the player.
            self.turn = Turn::Entering { step, at };
        } else {
            let entry = (ENTRY_SECONDS * time.sample_rate).min(0.9 * time.samples_per_step).round() as u64;
            self.turn = Turn::Entering { step, at: at + entry };
        }
        plan.request_entry(context, step);
    }

    /// Begins the network's turn at the cut-off, sample `at`, unless the player holds a key. Returns whether it begins.
    pub fn enter(&mut self, plan: &mut Plan, context: &mut RequestContext, at: Sample) -> bool {
        let Turn::Entering { step, .. } = self.turn else { return true };
        if context.hands.is_holding() {
            return false;
        }
        self.turn = Turn::Network { first: step, end: None };
        plan.schedule(step, at);
        self.play_on(plan, context, step + 1);
        true
    }
}
