//! Whose turn it is, the player's or the network's, and which step begins next. Audio thread.

use super::plan::{Plan, RequestContext};
use super::positions::{CountedStep, Sample};
use super::settings::Settings;
use super::transport::{BlockTime, Motion};
use crate::params::Mode;

/// The network's turn begins this long after the beat that it is on, seconds: a hand that is a little late keeps the
/// turn.
const ENTRY_SECONDS: f64 = 0.04;
/// Without a transport the music ends this many steps after the last note: harmony, continuation.
const FREE_RUN_STEPS: (i64, i64) = (16, 64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// The player plays, or nobody.
    Player,
    /// The network plays from this step on if nobody else does by sample `at`.
    Entering {
        /// The first step of its turn.
        step: CountedStep,
        /// The cut-off.
        at: Sample,
    },
    /// The network plays.
    Network {
        /// From this step on.
        first: CountedStep,
        /// The step on which its turn ends, once that is planned.
        end: Option<CountedStep>,
    },
}

/// Steps, and turns in them.
pub struct Turns {
    turn: Turn,
    /// A phrase has been heard that can be continued.
    heard: bool,
    /// The step that begins next.
    next_step: CountedStep,
    /// The first step after the last start or jump.
    first_step: Option<CountedStep>,
    /// The step of the last played note.
    last_note_step: CountedStep,
    /// The mode and bypass of the last block.
    last: (Mode, bool),
}

impl Turns {
    /// Nobody has played.
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

    /// That step has begun.
    pub fn step_has_begun(&mut self) {
        self.next_step += 1;
    }

    /// The sample at which the network enters, unless somebody plays by then.
    pub fn entry(&self) -> Option<Sample> {
        match self.turn {
            Turn::Entering { at, .. } => Some(at),
            Turn::Player | Turn::Network { .. } => None,
        }
    }

    /// Whether the network plays, or is about to.
    pub fn is_networks(&self) -> bool {
        self.turn != Turn::Player
    }

    /// The player's turn, or nobody's.
    pub fn yield_to_player(&mut self) {
        self.turn = Turn::Player;
    }

    /// What has been played is no phrase to continue.
    pub fn forget_phrase(&mut self) {
        self.heard = false;
    }

    /// A start or a jump: the first step from here on begins next. What was heard before a jump can be continued.
    pub fn go_to(&mut self, time: &BlockTime) {
        self.heard = time.motion == Motion::Jumped && self.heard;
        // Free-running time starts at 0, at the note's sample; earlier samples of the block do not count.
        let first = (time.position + -1e-6).next_step();
        self.next_step = if time.is_free_running { first.max(CountedStep::default()) } else { first };
        self.first_step = Some(self.next_step);
        self.last_note_step = self.next_step;
    }

    /// Time of the plugin's own begins anew within a block.
    pub fn free_run_again(&mut self) {
        (self.next_step, self.last_note_step) = (CountedStep::default(), CountedStep::default());
    }

    /// A note is played that starts on this step.
    pub fn note_played(&mut self, onset: CountedStep) {
        self.last_note_step = onset;
    }

    /// Whether the mode or bypass is another one than in the block before.
    pub fn follow_mode(&mut self, settings: &Settings) -> bool {
        let now = (settings.mode, settings.bypass);
        std::mem::replace(&mut self.last, now) != now
    }

    /// From this step on the song goes on otherwise than was planned, as the loop is another one. Whether the turn goes
    /// on, so that only what was planned from there on is planned again; else a turn was to begin or to end there.
    pub fn song_goes_on_otherwise(&mut self, from: CountedStep, mode: Mode) -> bool {
        match self.turn {
            Turn::Network { first, .. } if first < from => {
                self.turn = Turn::Network { first, end: None };
                true
            }
            Turn::Player => mode == Mode::Harmonise,
            Turn::Network { .. } | Turn::Entering { .. } => false,
        }
    }

    /// Bars end elsewhere now: a turn of the network ends when it is planned to again. Whether it is the network's.
    pub fn bars_end_elsewhere(&mut self) -> bool {
        match &mut self.turn {
            Turn::Network { end, .. } => {
                *end = None;
                true
            }
            Turn::Player | Turn::Entering { .. } => false,
        }
    }

    /// Without a transport the music ends some time after the last note: whether that is before `step`.
    pub fn free_run_is_over(&self, step: CountedStep, mode: Mode) -> bool {
        let (harmony, continuation) = FREE_RUN_STEPS;
        step - self.last_note_step > if mode == Mode::Harmonise { harmony } else { continuation }
    }

    /// A step begins at sample `at`, in the modes in which player and network take turns.
    pub fn begin_step(&mut self, plan: &mut Plan, context: &mut RequestContext, at: Sample) {
        let step = self.next_step;
        if let Turn::Network { first, end } = self.turn {
            if end == Some(step) {
                self.turn = Turn::Player;
            } else {
                self.play_on(plan, context, step.max(first));
            }
        } else {
            // The network listens: it hears each step once it is over.
            self.heard |= plan.listen(context, step - 1);
            self.may_enter(plan, context, step, at);
        }
        // Where the network's turn has ended that is the rest which ends what sounds.
        if plan.has(step) && !matches!(self.turn, Turn::Entering { .. }) {
            plan.schedule(step, at);
        }
    }

    /// Plans the network's turn on from `step`, up to its end.
    fn play_on(&mut self, plan: &mut Plan, context: &mut RequestContext, step: CountedStep) {
        let Turn::Network { first, end: None } = self.turn else { return };
        let planned = plan.planned_through().map_or(step - 1, |planned| planned.max(step - 1));
        for step in (planned + 1).through(step + context.settings.lookahead_steps) {
            if !is_networks_time(context, step) {
                // The turn ends with a rest for all, which ends what sounds.
                plan.rest(step);
                self.turn = Turn::Network { first, end: Some(step) };
                break;
            }
            plan.request_free(context, step, false);
        }
    }

    /// A step begins on which the network may take its turn: its first step is requested now and played once it is sure
    /// that the player has stopped.
    fn may_enter(&mut self, plan: &mut Plan, context: &mut RequestContext, step: CountedStep, at: Sample) {
        let RequestContext { settings, time, .. } = *context;
        let song_step = time.song_position(step).song_step;
        let starts = settings.mode == Mode::Free && self.first_step.is_some_and(|first| step < first + 4);
        let on_beat = time.step_in_beat(song_step) == 0;
        let may_begin = if settings.enter_on_beat || starts { on_beat } else { time.begins_bar(song_step) };
        let has_heard = self.heard || settings.mode == Mode::Free;
        if !may_begin || !has_heard || !is_networks_time(context, step) {
            return;
        }
        if starts && !context.hands.is_holding() {
            // Nobody has played: there is nobody to wait for.
            self.turn = Turn::Entering { step, at };
        } else {
            let entry = (ENTRY_SECONDS * time.sample_rate).min(0.9 * time.samples_per_step).round() as u64;
            self.turn = Turn::Entering { step, at: at + entry };
        }
        plan.request_free(context, step, true);
    }

    /// The cut-off of a turn's first step, at sample `at`: the network plays if nobody else does. Whether it does.
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

/// Whether the network may play in a step: always, but in Respond only in its own bars.
fn is_networks_time(context: &RequestContext, step: CountedStep) -> bool {
    let RequestContext { settings, time, .. } = context;
    let bar = time.bar_of(time.song_position(step).song_step);
    settings.mode != Mode::Respond || bar.div_euclid(settings.respond_bars).rem_euclid(2) == 1
}
