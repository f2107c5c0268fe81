//! The recurrent part of a network: what a step looks up in a table, then LSTM layers.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::Lookup;
use super::cuda::{GpuWeights, NoGpu};
use super::lstm::Lstm;
use super::table::Table;
use crate::weights_file::Weights;

/// Sums of embeddings, then LSTM layers.
pub(super) struct Trunk {
    table: Table,
    lstm: Vec<Lstm>,
    /// Whether a layer as wide as its input adds it to its output.
    residual: bool,
    /// The weights on a GPU, while a performance uses them there.
    on_gpu: Mutex<Weak<GpuWeights>>,
    /// The width of the widest vector between layers.
    pub widest: usize,
    /// The length of the recurrent state: the hidden and the cell vector of each layer.
    pub state_len: usize,
    /// The width of the output.
    pub width: usize,
}

impl Trunk {
    /// Packs the tensors whose names start with `prefix`, of LSTM layers of these sizes, and a table.
    pub fn new(weights: &Weights, prefix: &str, table: Table, sizes: &[usize], residual: bool) -> Self {
        let (mut width, mut widest, mut lstm) = (table.width(), table.width(), Vec::new());
        for (n, &units) in sizes.iter().enumerate() {
            lstm.push(Lstm::new(weights, prefix, n, width, units));
            widest = widest.max(4 * units);
            width = units;
        }
        let on_gpu = Mutex::default();
        Self { table, residual, on_gpu, widest, state_len: lstm.iter().map(Lstm::state_len).sum(), width, lstm }
    }

    /// The weights on a GPU, which all performances share. Uploads them for the first.
    ///
    /// # Errors
    /// If there is no GPU that can run the trunk.
    pub fn gpu_weights(&self) -> Result<Arc<GpuWeights>, NoGpu> {
        let mut on_gpu = self.on_gpu.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(weights) = on_gpu.upgrade() {
            return Ok(weights);
        }
        let layers: Vec<_> = self.lstm.iter().map(|lstm| lstm.weights(self.is_residual(lstm))).collect();
        let weights = Arc::new(GpuWeights::upload(self.table.rows(), self.table.width(), &layers)?);
        *on_gpu = Arc::downgrade(&weights);
        Ok(weights)
    }

    fn is_residual(&self, lstm: &Lstm) -> bool {
        self.residual && lstm.inputs == lstm.units
    }

    /// Runs a step for each of `lookups` and writes the output of the last, (width), to the front of `x`. `values` is
    /// the recurrent state; `x` and `y` are scratch space of (steps, widest).
    pub fn run(&self, lookups: &[Lookup], mut values: &mut [f32], x: &mut [f32], y: &mut [f32]) {
        let (mut width, count) = (self.table.width(), lookups.len());
        for (lookup, x) in lookups.iter().zip(x.chunks_exact_mut(width)) {
            self.table.sum(lookup, x);
        }
        for lstm in &self.lstm {
            let (state, rest) = values.split_at_mut(lstm.state_len());
            values = rest;
            lstm.run(count, self.is_residual(lstm), state, x, y);
            width = lstm.units;
        }
        x.copy_within((count - 1) * width..count * width, 0);
    }
}
