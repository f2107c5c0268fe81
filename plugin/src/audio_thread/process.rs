//! One block as it passes through the stages: time, hands, turns, plan, deadline, voices, output, take, glance. Audio
//! thread.

mod discontinuities;
mod failure;
mod playing;
mod timeline;

use std::sync::atomic::Ordering;

use continuo_model::decision::Lanes;
use nice_plug::prelude::NoteEvent;

use super::deadline::{Deadline, Watch};
use super::frozen::Frozen;
use super::glance;
use super::hands::Hands;
use super::input::Input;
use super::listener::Listener;
use super::output::{OutEvents, Output};
use super::plan::{Plan, RequestContext};
use super::settings::Block;
use super::stages::{Stage, StageClock};
use super::take_clock::TakeClock;
use super::transport::{BlockTime, Transport};
use super::turns::Turns;
use super::voices::{Playing, Voices};
use crate::bridge::{AudioEnd, Origin};
use crate::params::Mode;
use failure::Failure;
use timeline::Next;

/// The state of the audio thread between blocks, one field per stage.
pub struct AudioThread {
    transport: Transport,
    take: TakeClock,
    input: Input,
    hands: Hands,
    listener: Listener,
    turns: Turns,
    plan: Plan,
    deadline: Deadline,
    voices: Voices,
    frozen: Frozen,
    output: Output,
    bridge: AudioEnd,
    failure: Failure,
}

impl AudioThread {
    /// `sample_rate` is in Hz; blocks have at most `max_frames` samples. This allocates all memory.
    pub fn new(bridge: AudioEnd, sample_rate: f64, max_frames: usize, watch: Watch) -> Self {
        Self {
            transport: Transport::new(sample_rate, max_frames),
            take: TakeClock::new(),
            input: Input::new(),
            hands: Hands::new(sample_rate),
            listener: Listener::new(),
            turns: Turns::new(),
            plan: Plan::new(),
            deadline: Deadline::new(sample_rate, watch),
            voices: Voices::default(),
            frozen: Frozen::new(),
            output: Output::new(),
            bridge,
            failure: Failure::default(),
        }
    }

    /// Sets the sample rate, in Hz, and the length of the longest block, and resets everything.
    pub fn activate(&mut self, sample_rate: f64, max_frames: usize) {
        self.transport.activate(sample_rate, max_frames);
        self.deadline.activate(sample_rate);
        self.reset();
    }

    /// Resets everything: the host has silenced its notes.
    pub fn reset(&mut self) {
        self.transport.reset();
        // Note-offs and pedal events may be lost during the reset, so the held keys are unknown.
        self.hands.tell_held_ended(self.take.now(), &mut self.bridge);
        self.hands = Hands::new(self.transport.sample_rate());
        self.output.forget_wheels();
        // The host may have silenced its own instruments, but an instrument after this plugin hears only what the
        // plugin sends. The note-offs go out with the next block.
        self.output.end_all(None, self.transport.begin(), 1);
        self.input.clear();
        self.voices.clear();
        self.deadline.forget_misses();
        self.turns.forget_phrase();
        self.listener.clear();
        self.drop_plans(Origin::PieceStart);
    }

    /// The output of this block, in order; valid after [`Self::process`].
    pub fn out(&self) -> &OutEvents {
        self.output.events()
    }

    /// Adds an input event for the coming block. If there are too many, the event is dropped and counted.
    pub fn hear(&mut self, event: NoteEvent<()>) {
        self.input.push(event);
    }

    /// Processes a block in stages. Each stage has its cost beside it, as printed by `cargo xtask bench --stages`: the
    /// mean over blocks of 512 samples of a tune in Harmonise, unless another mode is named. A block takes about 0.8 us
    /// in total.
    ///
    /// `send` offers an event to the host and returns whether the host accepts it. Returns `false` if the host renders
    /// and notes are missing, because no worker of the process has finished a step for two seconds.
    pub fn process(
        &mut self,
        block: &Block,
        stages: &mut impl StageClock,
        send: impl FnMut(NoteEvent<()>) -> bool,
    ) -> bool {
        if block.frames == 0 {
            // An empty block has no sample for its events: they move to the first sample of the next block.
            self.input.end_block();
            return true;
        }
        // Finds the block's position and whether time runs: 0.07 us.
        stages.enter(Stage::Time);
        let time = self.begin_block(block);

        // A start, stop or jump ends sounding notes and starts or ends a take: 0.01 us.
        stages.enter(Stage::Discontinuities);
        self.follow_discontinuities(block, &time);

        // Plays overdue steps, then everything that happens in the block, in sample order.
        stages.enter(Stage::Deadline);
        self.play_overdue(block, &time, time.begin);
        let mut now = time;
        while let Some((at, next)) = self.next_in(block, &now) {
            stages.enter(next.stage());
            match next {
                // The timer and the input events change the hands, and played notes pass through: 0.3 us. The plan
                // follows the hands and requests steps: 0.25 us.
                Next::Hands => self.on_hands_timer(block, &now, at),
                Next::Input => self.on_input(block, &mut now, stages),
                // The network's turn begins if the player is silent; a step begins and requests the step that is the
                // lookahead ahead: 0.05 us in Respond.
                Next::Entry => self.on_entry(block, &now, at),
                Next::Step => self.on_step(block, &now, at, stages),
                // The deadline waits for the due decision: 0.04 us without the wait. Its notes sound: 0.01 us.
                Next::Due => self.on_due(block, &now, at, stages),
                Next::Edge => self.on_edge(block, &now, at),
                Next::CatchUp => self.on_catch_up(block, &now, at),
                Next::Frozen => self.frozen.play_next(&block.settings, &mut self.output, at),
            }
        }

        // Notes and controllers go to the host: 0.05 us without the host.
        stages.enter(Stage::Output);
        self.output.send(time.begin + block.frames as u64, send);

        // The worker gets the generated notes that the host has accepted, for the take: below 0.01 us.
        stages.enter(Stage::Take);
        for (event, lag) in self.output.generated() {
            self.take.tell_generated(&time, event, lag, &mut self.bridge);
        }

        // The editor gets a snapshot: 0.06 us.
        stages.enter(Stage::Glance);
        glance::show(
            &mut self.bridge,
            block,
            &time,
            &mut self.take,
            &self.plan,
            self.turns.next_step(),
            self.listener.last_key(),
        );

        // The clocks move to the next block.
        stages.enter(Stage::Time);
        self.end_block(block, &time);
        !self.deadline.render_failed()
    }

    fn begin_block(&mut self, block: &Block) -> BlockTime {
        self.output.begin_block(self.transport.begin(), block.frames);
        self.deadline.begin_block(block, &self.bridge);
        let shared = &self.bridge.shared;
        let lanes = Lanes::from_bits(shared.lanes.load(Ordering::Relaxed));
        let hears_notes = shared.hears_notes.load(Ordering::Relaxed);
        self.hands.set_by(block.settings.by_voice(lanes, hears_notes));
        self.plan.take_answers(&mut self.bridge);
        let first_note = self.input.all().iter().find(|event| block.settings.starts_a_note(event));
        let first_note = first_note.map(NoteEvent::timing);
        let time = self.transport.begin_block(block, first_note, self.hands.is_holding(), &self.bridge.shared);
        if !time.runs() || !block.settings.harmonises() {
            self.bridge.shared.plays_all_voices.store(false, Ordering::Relaxed);
        }
        time
    }

    fn end_block(&mut self, block: &Block, time: &BlockTime) {
        self.take.end_block(time, block.frames);
        self.transport.end_block(block.frames);
        self.input.end_block();
        let lost = self.output.take_lost() + self.input.take_lost();
        if lost > 0 {
            self.bridge.shared.refused.fetch_add(lost, Ordering::Relaxed);
        }
        self.bridge.wake();
    }

    /// The plan and the turns, with what a request depends on.
    fn request_context<'a>(
        &'a mut self,
        block: &'a Block,
        time: &'a BlockTime,
    ) -> (&'a mut Plan, &'a mut Turns, RequestContext<'a>) {
        let Self { plan, turns, hands, listener, frozen, bridge, .. } = self;
        (plan, turns, RequestContext { settings: &block.settings, time, hands, listener, frozen, bridge })
    }

    /// The voices, with what they need to play.
    fn playing<'a>(&'a mut self, block: &'a Block, time: &'a BlockTime) -> (&'a mut Voices, Playing<'a>) {
        let Self { voices, hands, output, .. } = self;
        (voices, Playing { settings: &block.settings, time, hands, output })
    }
}

#[cfg(test)]
impl AudioThread {
    /// Whether free-running time runs.
    pub fn is_free_running(&self) -> bool {
        self.transport.is_free_running()
    }

    /// Gives this thread a wait budget of its own, apart from other tests.
    pub fn with_own_budget(mut self) -> Self {
        self.deadline.set_own_budget();
        self
    }

    /// How many steps are planned and have not been played.
    pub fn num_planned(&self) -> usize {
        self.plan.num_unplayed()
    }

    /// Whether the player holds a key.
    pub fn is_holding(&self) -> bool {
        self.hands.is_holding()
    }
}
