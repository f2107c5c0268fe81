//! What happens in a block, in order of time: what is played, the boundaries of steps, what is due. Audio thread.

use nice_plug::prelude::NoteEvent;

use super::held_notes::Owner;
use super::motion::starts_a_note;
use super::process::{AudioThread, Turn};
use super::settings::Block;
use super::transport::BlockTime;
use crate::bridge::From;
use crate::params::Mode;

/// Without a transport the music ends this many steps after the last note: harmony, continuation.
const FREE_RUN_STEPS: (i64, i64) = (16, 64);

/// What happens next in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Hands,
    Input,
    Entry,
    Step,
    Due,
    CatchUp,
    Frozen,
}

impl AudioThread {
    /// Stage three: what is played, what time alone changes, the boundaries of steps, and rows that are due, in order
    /// of time. Gives how many events were heard.
    pub(super) fn play_timeline(&mut self, block: &Block, mut time: BlockTime) -> usize {
        let runs = time.runs();
        self.free_run_over = false;
        let mut heard = 0;
        loop {
            let (at, next) = self.next_of(block, &time, runs, heard);
            if at >= block.frames as i64 {
                return heard;
            }
            let at = self.samples + at.max(0) as u64;
            match next {
                Next::Hands => {
                    let parted = self.hands.on_timer(at);
                    self.tell_chord(block.settings.keeps_voices());
                    if parted && block.settings.mode == Mode::Harmonise && !block.settings.bypass {
                        self.replan(block, &time);
                    }
                }
                Next::Input => {
                    let timing = self.input[heard].timing();
                    let count = self.input[heard..].iter().take_while(|event| event.timing() == timing).count();
                    let events = heard..heard + count;
                    heard += count;
                    let starts = |event: &NoteEvent<()>| starts_a_note(event, &block.settings);
                    if self.free_run_over && self.input[events.clone()].iter().any(starts) {
                        time = self.free_run_again(block, timing);
                    }
                    self.on_input(block, &time, events);
                }
                Next::Entry => {
                    if let Turn::Entering { step, .. } = self.turn {
                        self.enter(block, &time, step, at);
                    }
                }
                Next::Step => {
                    self.on_step(block, &time, at);
                    self.next_step += 1;
                }
                Next::Due => self.on_due(block, &time, at),
                Next::CatchUp => self.catch_up(&time, at),
                Next::Frozen => self.on_frozen(block, at),
            }
        }
    }

    /// What happens next in the block, and at which of its samples. At one sample: first what hands have done by then,
    /// then what is played, as it may change what follows; then what the network does, then what is frozen.
    fn next_of(&self, block: &Block, time: &BlockTime, runs: bool, heard: usize) -> (i64, Next) {
        let frames = block.frames as i64;
        let within = |at: u64| at.saturating_sub(self.samples) as i64;
        let input = self.input.get(heard).map(|event| i64::from(event.timing())).filter(|timing| *timing < frames);
        let entry = match self.turn {
            Turn::Entering { at, .. } => Some(within(at)),
            Turn::Player | Turn::Network { .. } => None,
        };
        let step = (runs && !self.free_run_over).then(|| time.sample_of(self.next_step as f64).max(0));
        let all = [
            (self.hands.timer().map(within), Next::Hands),
            (input, Next::Input),
            (entry, Next::Entry),
            (step, Next::Step),
            (self.sequencer.next_due().map(within), Next::Due),
            (self.catch_up_at.map(|(at, _)| within(at)), Next::CatchUp),
            (Some(self.next_frozen(time)), Next::Frozen),
        ];
        let mut first = (i64::MAX, Next::Frozen);
        for (at, next) in all {
            if let Some(at) = at.filter(|at| *at < first.0) {
                first = (at, next);
            }
        }
        first
    }

    /// Time of its own has ended in this block, and a note begins it anew.
    fn free_run_again(&mut self, block: &Block, timing: u32) -> BlockTime {
        self.free_run_over = false;
        (self.next_step, self.last_note_step) = (0, 0);
        self.clock.start_free_running(timing, &block.host);
        let time = self.clock.begin_block(&block.host, false, block.frames);
        self.follow_take(block, &time);
        time
    }

    /// A step begins: what was played before its cut-off decides the step that lies the lookahead away.
    fn on_step(&mut self, block: &Block, time: &BlockTime, at: u64) {
        let step = self.next_step;
        if time.place(step).is_seam {
            // The notes of the loop's last step end with it; what its first step holds is started anew. But an early
            // note has been answered for the first step already.
            if self.answered_step != Some(step) {
                self.ledger.end_all(Some(Owner::Generated), at, 1);
                self.voices.clear();
            }
            self.frozen_seam(block, time, step, at);
            self.tell_seam(time, step, at);
        }
        if !block.settings.bypass && !self.frozen.is_all() {
            match block.settings.mode {
                Mode::Harmonise => self.on_harmonise_step(block, time, step, at),
                Mode::Continue | Mode::Respond | Mode::Free => self.on_turn_step(block, time, step, at),
            }
        }
        self.hands.forget_before(step - 1, at);
        self.end_free_run(block, step, at);
    }

    /// Without a transport the music ends some time after the last note.
    fn end_free_run(&mut self, block: &Block, step: i64, at: u64) {
        let (harmony, continuation) = FREE_RUN_STEPS;
        let limit = if block.settings.mode == Mode::Harmonise { harmony } else { continuation };
        let over = step - self.last_note_step > limit && !self.hands.is_holding();
        if self.clock.is_free_running() && over {
            self.clock.stop_free_running();
            self.free_run_over = true;
            self.heard = false;
            // At its sample, as the block after this one halts.
            self.ledger.end_all(Some(Owner::Generated), at, 1);
            self.hands.forget_released();
            self.drop_plans(From::Nothing);
        }
    }
}
