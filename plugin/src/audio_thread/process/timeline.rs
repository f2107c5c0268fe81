//! The events of a block in order of time: played notes, steps that begin, steps that are due. Audio thread.

use super::*;
use crate::audio_thread::deadline::Outcome;
use crate::audio_thread::output::Owner;
use crate::audio_thread::positions::{CountedStep, Sample};

/// The next event in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The hands change without an input event: a chord closes, or a key becomes a voice of its own.
    Hands,
    /// The player plays.
    Input,
    /// The network's turn begins, unless the player plays.
    Entry,
    /// A step begins.
    Step,
    /// A step is due.
    Due,
    /// A generated note starts or ends within its step.
    Edge,
    /// Lanes make the moves that they could not make with an answer.
    CatchUp,
    /// A frozen note starts or ends.
    Frozen,
}

impl Next {
    /// The stage that handles it.
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
    /// The next event in the block and its sample; `None` at the end of the block. At the same sample the timer of the
    /// hands comes first, then the player's events, since they may change what follows, then the network, then frozen
    /// notes.
    pub(super) fn next_in(&self, block: &Block, time: &BlockTime) -> Option<(Sample, Next)> {
        let within = |at: Sample| at.since(time.begin) as i64;
        let begins = time.runs() && !self.transport.free_run_is_over();
        let all = [
            (self.hands.timer().map(within), Next::Hands),
            (self.input.next_timing(block.frames).map(i64::from), Next::Input),
            (self.turns.entry().map(within), Next::Entry),
            (begins.then(|| time.timing_of(self.turns.next_step().position()).max(0)), Next::Step),
            (self.plan.next_due().map(within), Next::Due),
            (self.voices.next_edge(time).map(within), Next::Edge),
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

    /// A chord closes, or keys become voices of their own.
    pub(super) fn on_hands_timer(&mut self, block: &Block, time: &BlockTime, at: Sample) {
        let parted = self.hands.on_timer(at);
        self.hands.tell_chord(block.settings.keeps_voices(), &mut self.bridge);
        if parted && block.settings.harmonises() {
            let (plan, _, mut context) = self.request_context(block, time);
            plan.replan(&mut context);
        }
    }

    /// Begins the network's turn at the cut-off of its first step, unless the player plays.
    pub(super) fn on_entry(&mut self, block: &Block, time: &BlockTime, at: Sample) {
        let (plan, turns, mut context) = self.request_context(block, time);
        if !turns.enter(plan, &mut context, at) {
            self.drop_turn();
        }
    }

    /// A step begins. What the player has played so far decides the step that is the lookahead ahead.
    pub(super) fn on_step(&mut self, block: &Block, time: &BlockTime, at: Sample, stages: &mut impl StageClock) {
        let step = self.turns.next_step();
        self.listener.begin_step(time, step, &self.hands);
        if time.song_position(step).is_loop_start {
            self.on_loop_start(block, time, step, at);
        }
        let has_music = !block.settings.harmonises() || self.hands.is_holding() || self.plan.accompanies();
        self.plan.begin_step(step, has_music);
        if !block.settings.bypass && !self.frozen.is_all() {
            let (plan, turns, mut context) = self.request_context(block, time);
            match block.settings.mode {
                Mode::Harmonise | Mode::Accompany => {
                    stages.enter(Stage::Plan);
                    if plan.follow_accompaniment(&mut context, step) {
                        self.end_harmony(time, at);
                    } else {
                        plan.harmonise_step(&mut context, step, at);
                    }
                }
                Mode::Continue | Mode::Respond | Mode::Free => turns.begin_step(plan, &mut context, at),
            }
        }
        self.hands.forget_before(step - 1, at);
        let is_over = self.turns.free_run_is_over(step, block.settings.mode)
            && !self.hands.is_holding()
            && !self.plan.accompanies();
        if self.transport.is_free_running() && is_over {
            self.end_free_run(at);
        }
        self.turns.step_has_begun();
    }

    /// The host's loop wraps to its start. The notes of the last step end, and the first step starts its held notes
    /// anew, unless an early note has already been answered for the first step.
    fn on_loop_start(&mut self, block: &Block, time: &BlockTime, step: CountedStep, at: Sample) {
        if self.plan.answered() != Some(step) {
            self.output.end_all(Some(Owner::Generated), at, 1);
            self.voices.clear();
        }
        self.frozen.go_to_loop_start(&block.settings, time, step, &mut self.output, at);
        self.take.tell_loop_start(time, step, at, &mut self.bridge);
    }

    /// Ends free-running time some steps after the last note. Generated notes end at this sample; the next block halts.
    fn end_free_run(&mut self, at: Sample) {
        self.transport.end_free_run();
        self.turns.forget_phrase();
        self.listener.clear();
        self.output.end_all(Some(Owner::Generated), at, 1);
        self.hands.forget_released();
        self.plan.reopen();
        self.drop_plans(Origin::PieceStart);
    }

    /// Plays a due step, makes it overdue, or counts it as missed.
    pub(super) fn on_due(&mut self, block: &Block, time: &BlockTime, at: Sample, stages: &mut impl StageClock) {
        self.play_overdue(block, time, at);
        if let Some(outcome) = self.deadline.due(&mut self.plan, &mut self.bridge, block.says_offline) {
            stages.enter(Stage::Voices);
            self.play(block, time, &outcome, at);
        }
    }

    /// Plays overdue decisions that have arrived, at sample `at`. Those that are too late are missed.
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

    /// A generated note starts or ends within its step.
    pub(super) fn on_edge(&mut self, block: &Block, time: &BlockTime, at: Sample) {
        let (voices, mut playing) = self.playing(block, time);
        voices.play_within(&mut playing, at);
    }

    /// Lanes make the moves that they could not make with the answer to an early note.
    pub(super) fn on_catch_up(&mut self, block: &Block, time: &BlockTime, at: Sample) {
        let (voices, mut playing) = self.playing(block, time);
        voices.catch_up(&mut playing, at);
    }
}
