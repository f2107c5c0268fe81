//! Time: where each block lies, in samples and in the music, and whether time runs at all. Audio thread.

mod bars;
mod block_time;
mod clock;

use std::sync::atomic::Ordering;

pub use block_time::BlockTime;
pub use clock::{Clock, HostTime, Motion};

use super::positions::Sample;
use super::settings::Block;
use crate::bridge::Shared;

/// Follows the host's transport; without one, a played note starts time of the plugin's own.
pub struct Transport {
    clock: Clock,
    /// Samples a second.
    sample_rate: f64,
    /// The longest block that the host may ask for, samples.
    max_frames: usize,
    /// The first sample of the block.
    begin: Sample,
    /// Time of the plugin's own has ended within this block.
    free_run_over: bool,
}

impl Transport {
    /// For a sample rate in Hertz, and blocks of at most `max_frames` samples.
    pub fn new(sample_rate: f64, max_frames: usize) -> Self {
        let clock = Clock::new(sample_rate, max_frames);
        Self { clock, sample_rate, max_frames, begin: Sample::default(), free_run_over: false }
    }

    /// Takes another sample rate, Hertz, and another length of the longest block.
    pub fn activate(&mut self, sample_rate: f64, max_frames: usize) {
        (self.sample_rate, self.max_frames) = (sample_rate, max_frames);
        self.reset();
    }

    /// Forgets where the host was. Samples are counted on.
    pub fn reset(&mut self) {
        self.clock = Clock::new(self.sample_rate, self.max_frames);
    }

    /// The first sample of the block, or of the next one between two.
    pub fn begin(&self) -> Sample {
        self.begin
    }

    /// Samples a second.
    pub fn sample_rate(&self) -> f64 {
        self.sample_rate
    }

    /// A block begins: where it lies, and whether time runs in it. Where the host's transport does not run, time of the
    /// plugin's own starts at `first_note`, a sample of the block; or at once where `is_holding`, a key is down, as the
    /// host has told its position until now.
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

    /// Time of the plugin's own ends within the block.
    pub fn end_free_run(&mut self) {
        self.clock.stop_free_running();
        self.free_run_over = true;
    }

    /// Whether time of the plugin's own has ended within the block, so that no step begins in the rest of it.
    pub fn free_run_is_over(&self) -> bool {
        self.free_run_over
    }

    /// Time of the plugin's own has ended in this block, and a note at this sample of it begins it anew.
    pub fn free_run_again(&mut self, block: &Block, timing: u32) -> BlockTime {
        self.free_run_over = false;
        self.clock.start_free_running(timing, &block.host);
        self.time_of(block, false)
    }

    /// A block of so many samples is done.
    pub fn end_block(&mut self, frames: usize) {
        self.begin = self.begin + frames as u64;
    }

    /// Whether time runs on its own.
    pub fn is_free_running(&self) -> bool {
        self.clock.is_free_running()
    }
}

#[cfg(test)]
mod tests;
