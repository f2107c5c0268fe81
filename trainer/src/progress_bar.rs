//! The line that shows how an epoch goes.

use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use crate::training_log::EpochRow;

/// A bar of batches, with loss, validation loss, rate, speed and the time that the whole run will still take.
pub struct EpochBar {
    bar: ProgressBar,
    start: Instant,
    first_batch: usize,
    batches: usize,
    epochs_after: usize,
    last: String,
}

impl EpochBar {
    /// For epoch number `epoch` of `epochs`, counted from 0, whose first `first_batch` batches are done.
    pub fn new(epoch: usize, epochs: usize, first_batch: usize, batches: usize, log: &[EpochRow]) -> Result<Self> {
        let style = "epoch {prefix} [{bar:20}] {pos}/{len}  {msg}";
        let bar = ProgressBar::new(batches as u64)
            .with_style(ProgressStyle::with_template(style)?.progress_chars("=> "))
            .with_prefix(format!("{}/{epochs}", epoch + 1))
            .with_position(first_batch as u64);
        bar.enable_steady_tick(Duration::from_millis(500));
        let last = log.last().map_or(String::new(), |row| format!("  valid {:.4}, best {:.4}", row.valid, row.best));
        Ok(Self { bar, start: Instant::now(), first_batch, batches, epochs_after: epochs - epoch - 1, last })
    }

    /// After `batches_done` batches; `cells_here` is how many cells were learnt since the bar began.
    pub fn show(&self, batches_done: usize, loss: f64, rate: f64, cells_here: f64) {
        let seconds = self.start.elapsed().as_secs_f64();
        let batches_left = self.batches - batches_done + self.epochs_after * self.batches;
        let left = seconds / (batches_done - self.first_batch).max(1) as f64 * batches_left as f64;
        let speed = cells_here / seconds;
        let left = HumanDuration(Duration::from_secs(left as u64));
        self.bar.set_message(format!("loss {loss:.4}{}  rate {rate:.1e}  {speed:.0} tokens/s  {left} left", self.last));
        self.bar.set_position(batches_done as u64);
    }

    /// Leaves the screen.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}
