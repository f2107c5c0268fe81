//! Batches: windows over pieces, in random order, as tensors.

use anyhow::Result;
use candle_core::{Device, Tensor};
use continuo_network::Inputs;

/// A batch as the network takes it.
pub struct Batch {
    /// What the network sees, time first.
    pub inputs: Inputs,
    /// What it should say, (cells) of u32, in the order of the network's logits.
    pub targets: Tensor,
    /// 1 where there is a cell, 0 where a piece is shorter than the window, (cells) of f32.
    pub weights: Tensor,
}

/// Where a window begins: (piece, its first step or word).
pub type Window = (usize, usize);

/// Pieces as a kind of network reads them.
pub trait Sequences {
    /// What lies in some windows, side by side.
    ///
    /// # Errors
    /// If candle cannot make the tensors.
    fn batch(&self, windows: &[Window], device: &Device) -> Result<Batch>;
}

/// One epoch's batches; the same for the same arguments.
pub struct Epoch {
    /// The pieces in this epoch's keys.
    pub sequences: Box<dyn Sequences>,
    /// All windows, shuffled.
    pub windows: Vec<Window>,
    /// Windows in a batch.
    pub batch: usize,
}

impl Epoch {
    /// How many batches there are.
    pub fn len(&self) -> usize {
        self.windows.len().div_ceil(self.batch)
    }

    /// Batch number `n`; the last may be smaller.
    pub fn batch(&self, n: usize, device: &Device) -> Result<Batch> {
        let windows = &self.windows[n * self.batch..self.windows.len().min((n + 1) * self.batch)];
        self.sequences.batch(windows, device)
    }
}
