//! Time: the position of each block in samples and in the music, and whether time runs. Audio thread.

mod bars;
mod block_time;
mod clock;

use std::sync::atomic::Ordering;

pub use block_time::{BlockTime, TurnStart};
pub use clock::{Clock, HostTime, Motion};

use super::positions::Sample;
use super::settings::Block;
use crate::bridge::Shared;

/// Follows the host's transport. Without a running transport, a played note starts free-running time.
pub struct Transport {
    clock: Clock,
    /// In Hz.
    sample_rate: f64,
    /// The longest block that the host may request, in samples.
    max_frames: usize,
    /// The first sample of the block.
    begin: Sample,
    /// Whether free-running time has ended within this block.
    free_run_over: bool,
}

impl Transport {
    /// `sample_rate` is in Hz; blocks have at most `max_frames` samples.
    pub fn new(sample_rate: f64, max_frames: usize) -> Self {
        let clock = Clock::new(sample_rate, max_frames);
        Self { clock, sample_rate, max_frames, begin: Sample::default(), free_run_over: false }
    }

    /// Sets the sample rate, in Hz, and the length of the longest block.
    pub fn activate(&mut self, sample_rate: f64, max_frames: usize) {
        (self.sample_rate, self.max_frames) = (sample_rate, max_frames);
        self.reset();
    }

    /// Forgets the host's position. The count of samples goes on.
    pub fn reset(&mut self) {
        self.clock = Clock::new(self.sample_rate, self.max_frames);
    }

    /// The first sample of the current block; between blocks, of the next one.
    pub fn begin(&self) -> Sample {
        self.begin
    }

    /// In Hz.
    pub fn sample_rate(&self) -> f64 {
        self.sample_rate
    }

    /// Begins a block: finds its position and whether time runs in it. If the host's transport does not run,
    /// free-running time starts at `first_note`, a sample of the block. It starts at once if the player is holding a
    /// key (`is_holding`) while the host claims to play, because then its position has just stopped moving.
    pub fn begin_block(
        &mut self,
        block: &Block,
        first_note: Option<u32>,
        is_holding: bool,
        shared: &Shared,
    ) -> BlockTime {
        self.free_run_over = false;
        let host_runs = self.clock.host_runs(&block.host);
        if !host_runs && !self.clock.is_free_running() {
            if block.host.playing && is_holding {
                self.clock.start_free_running(0, &block.host);
            } else if let Some(timing) = first_note {
                self.clock.start_free_running(timing, &block.host);
            }
        }
        let time = self.time_of(block, host_runs);
        shared.host_without_time.store(block.host.playing && !host_runs, Ordering::Relaxed);
        shared.time_runs.store(time.runs(), Ordering::Relaxed);
        time
    }

    fn time_of(&mut self, block: &Block, host_runs: bool) -> BlockTime {
        BlockTime { begin: self.begin, ..self.clock.begin_block(&block.host, host_runs, block.frames) }
    }

    /// Ends free-running time within the block.
    pub fn end_free_run(&mut self) {
        self.clock.stop_free_running();
        self.free_run_over = true;
    }

    /// Whether free-running time has ended within the block, so that no further step begins in it.
    pub fn free_run_is_over(&self) -> bool {
        self.free_run_over
    }

    /// Restarts free-running time at a note at sample `timing` of the block in which it ended.
    pub fn restart_free_run(&mut self, block: &Block, timing: u32) -> BlockTime {
        self.free_run_over = false;
        self.clock.start_free_running(timing, &block.host);
        self.time_of(block, false)
    }

    /// Counts a block of this many samples as done.
    pub fn end_block(&mut self, frames: usize) {
        self.begin = self.begin + frames as u64;
    }

    /// Whether free-running time runs.
    pub fn is_free_running(&self) -> bool {
        self.clock.is_free_running()
    }
}

#[cfg(test)]
mod tests;
