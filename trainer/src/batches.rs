//! Batches: windows over pieces, in random order, as tensors.

use anyhow::Result;
use candle_core::{Device, Tensor};
use continuo_network::Inputs;

/// A batch for the network.
pub struct Batch {
    /// What the network reads, time first.
    pub inputs: Inputs,
    /// The target tokens, (cells) of u32, in the order of the network's logits.
    pub targets: Tensor,
    /// 1 for each cell, 0 where a piece is shorter than the window, (cells) of f32.
    pub weights: Tensor,
}

/// Start of a window: (piece, its first step or word).
pub type Window = (usize, usize);

/// Pieces encoded for a kind of network.
pub trait Sequences {
    /// The batch that consists of these windows.
    ///
    /// # Errors
    /// If candle cannot make the tensors.
    fn batch(&self, windows: &[Window], device: &Device) -> Result<Batch>;
}

/// The batches of one epoch. The same arguments give the same batches.
pub struct Epoch {
    /// The pieces in the keys of this epoch.
    pub sequences: Box<dyn Sequences>,
    /// All windows, shuffled.
    pub windows: Vec<Window>,
    /// Windows in a batch.
    pub batch: usize,
}

impl Epoch {
    /// The number of batches.
    pub fn len(&self) -> usize {
        self.windows.len().div_ceil(self.batch)
    }

    /// Batch number `n`. The last one may be smaller.
    pub fn batch(&self, n: usize, device: &Device) -> Result<Batch> {
        let windows = &self.windows[n * self.batch..self.windows.len().min((n + 1) * self.batch)];
        self.sequences.batch(windows, device)
    }
}
