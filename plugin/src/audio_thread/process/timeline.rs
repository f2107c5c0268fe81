//! What happens in a block, in order of time: what is played, the steps that begin, what is due. Audio thread.

use super::*;
use crate::audio_thread::deadline::Outcome;
use crate::audio_thread::output::Owner;
use crate::audio_thread::positions::{CountedStep, Sample};

/// What happens next in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Time alone changes what hands do: a chord is complete, or a key becomes a voice of its own.
    Hands,
    /// Something is played.
    Input,
    /// The network enters, unless somebody plays.
    Entry,
    /// A step begins.
    Step,
    /// A step is due.
    Due,
    /// A note starts or ends within its step.
    Edge,
    /// Lanes move that could not move with an answer.
    CatchUp,
    /// A frozen note starts or ends.
    Frozen,
}

impl Next {
    /// The stage that it belongs to.
    pub(super) fn stage(self) -> Stage {
        match self {
            Self::Hands | Self::Input => Stage::Hands,
            Self::Entry | Self::Step => Stage::Turns,
            Self::Due => Stage::Deadline,
            Self::Edge | Self::CatchUp => Stage::Voices,
            Self::Frozen => Stage::Frozen,
        }
    }
}

impl AudioThread {
    /// What happens next in the block, and at which sample; `None` once all of it has happened. At one sample: first
    /// what hands have done by then, then what is played, as it may change what follows; then what the network does,
    /// then what is frozen.
    pub(super) fn next_in(&self, block: &Block, time: &BlockTime) -> Option<(Sample, Next)> {
        let within = |at: Sample| at.since(time.begin) as i64;
        let begins = time.runs() && !self.transport.free_run_is_over();
        let all = [
            (self.hands.timer().map(within), Next::Hands),
            (self.input.next_timing(block.frames).map(i64::from), Next::Input),
            (self.turns.entry().map(within), Next::Entry),
            (begins.then(|| time.timing_of(self.turns.next_step().position()).max(0)), Next::Step),
            (self.plan.next_due().map(within), Next::Due),
            (self.voices.next_edge().map(within), Next::Edge),
            (self.voices.next_catch_up().map(within), Next::CatchUp),
            (Some(self.frozen.next_timing(time)), Next::Frozen),
        ];
        let mut first = (block.frames as i64, None);
        for (timing, next) in all {
            if let Some(timing) = timing.filter(|timing| *timing < first.0) {
                first = (timing, Some(next));
            }
        }
        first.1.map(|next| (time.begin + first.0, next))
    }

    /// A chord is complete, or keys have become voices of their own.
    pub(super) fn on_hands_timer(&mut self, block: &Block, time: &BlockTime, at: Sample) {
        let parted = self.hands.on_timer(at);
        self.hands.tell_chord(block.settings.keeps_voices(), &mut self.bridge);
        if parted && block.settings.harmonises() {
            let (plan, _, mut context) = self.request_context(block, time);
            plan.replan(&mut context);
        }
    }

    /// The cut-off of a turn's first step.
    pub(super) fn on_entry(&mut self, block: &Block, time: &BlockTime, at: Sample) {
        let (plan, turns, mut context) = self.request_context(block, time);
        if !turns.enter(plan, &mut context, at) {
            self.drop_plans(Origin::PreviousStep);
        }
    }

    /// A step begins: what was played before its cut-off decides the step that lies the lookahead away.
    pub(super) fn on_step(&mut self, block: &Block, time: &BlockTime, at: Sample, stages: &mut impl StageClock) {
        let step = self.turns.next_step();
        if time.song_position(step).is_loop_start {
            self.on_loop_start(block, time, step, at);
        }
        if !block.settings.bypass && !self.frozen.is_all() {
            let (plan, turns, mut context) = self.request_context(block, time);
            match block.settings.mode {
                Mode::Harmonise => {
                    stages.enter(Stage::Plan);
                    plan.harmonise_step(&mut context, step, at);
                }
                Mode::Continue | Mode::Respond | Mode::Free => turns.begin_step(plan, &mut context, at),
            }
        }
        self.hands.forget_before(step - 1, at);
        let is_over = self.turns.free_run_is_over(step, block.settings.mode) && !self.hands.is_holding();
        if self.transport.is_free_running() && is_over {
            self.end_free_run(at);
        }
        self.turns.step_has_begun();
    }

    /// The host's loop comes round. The notes of its last step end with it; what its first step holds is started anew.
    /// But an early note has been answered for the first step already.
    fn on_loop_start(&mut self, block: &Block, time: &BlockTime, step: CountedStep, at: Sample) {
        if self.plan.answered() != Some(step) {
            self.output.end_all(Some(Owner::Generated), at, 1);
            self.voices.clear();
        }
        self.frozen.go_to_loop_start(&block.settings, time, step, &mut self.output, at);
        self.take.tell_loop_start(time, step, at, &mut self.bridge);
    }

    /// Without a transport the music has ended, some time after the last note: at its sample, as the block after this
    /// one halts.
    fn end_free_run(&mut self, at: Sample) {
        self.transport.end_free_run();
        self.turns.forget_phrase();
        self.output.end_all(Some(Owner::Generated), at, 1);
        self.hands.forget_released();
        self.drop_plans(Origin::PieceStart);
    }

    /// A row is due: it is played, put off, or missed.
    pub(super) fn on_due(&mut self, block: &Block, time: &BlockTime, at: Sample, stages: &mut impl StageClock) {
        self.play_overdue(block, time, at);
        if let Some(outcome) = self.deadline.due(&mut self.plan, &mut self.bridge, block.says_offline) {
            stages.enter(Stage::Voices);
            self.play(block, time, &outcome, at);
        }
    }

    /// Rows that were due before and are there now go out at sample `at`; those that are too late are missed.
    pub(super) fn play_overdue(&mut self, block: &Block, time: &BlockTime, at: Sample) {
        while let Some(outcome) = self.deadline.overdue(&mut self.plan, &self.bridge, at) {
            self.play(block, time, &outcome, at);
        }
    }

    fn play(&mut self, block: &Block, time: &BlockTime, outcome: &Outcome, at: Sample) {
        match outcome {
            Outcome::Play(planned, due) => {
                let (voices, mut playing) = self.playing(block, time);
                voices.play(&mut playing, planned, *due, at);
            }
            Outcome::Miss => {
                self.voices.miss();
                if self.deadline.gives_up(&self.bridge) {
                    self.voices.end_all(&mut self.output, time, at);
                }
            }
        }
    }

    /// A note starts or ends within its step.
    pub(super) fn on_edge(&mut self, block: &Block, time: &BlockTime, at: Sample) {
        let (voices, mut playing) = self.playing(block, time);
        voices.play_later(&mut playing, at);
    }

    /// Lanes that could not move with the answer to an early note move with its step.
    pub(super) fn on_catch_up(&mut self, block: &Block, time: &BlockTime, at: Sample) {
        let (voices, mut playing) = self.playing(block, time);
        voices.catch_up(&mut playing, at);
    }
}
