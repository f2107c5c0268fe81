//! The progress bar of an epoch.

use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use crate::training_log::EpochRow;

/// Shows batches, loss, validation loss, learning rate, speed and the estimated time left for the whole run.
pub struct EpochBar {
    bar: ProgressBar,
    start: Instant,
    first_batch: usize,
    batches: usize,
    epochs_after: usize,
    last: String,
}

impl EpochBar {
    /// The bar of epoch number `epoch` of `epochs`, counted from 0, when `first_batch` batches are already done.
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

    /// Updates the bar after `batches_done` batches. `cells_here` counts the cells trained since the bar was created.
    pub fn show(&self, batches_done: usize, loss: f64, rate: f64, cells_here: f64) {
        let seconds = self.start.elapsed().as_secs_f64();
        let batches_left = self.batches - batches_done + self.epochs_after * self.batches;
        let left = seconds / (batches_done - self.first_batch).max(1) as f64 * batches_left as f64;
        let speed = cells_here / seconds;
        let left = HumanDuration(Duration::from_secs(left as u64));
        self.bar.set_message(format!("loss {loss:.4}{}  rate {rate:.1e}  {speed:.0} tokens/s  {left} left", self.last));
        self.bar.set_position(batches_done as u64);
    }

    /// Removes the bar from the terminal.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}
