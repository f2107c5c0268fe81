//! A line model, one word at a time.

use std::sync::Arc;

use super::layers::Layers;
use super::{MAX_SLOTS, Scratch, row};
use crate::config::LineConfig;
use crate::lexicon::Lexicon;
use crate::tokeniser::line_reader::LineReader;
use crate::tokeniser::step_reader::NO_ROW;
use crate::weights_file::Weights;

/// A line model ready to play.
pub(super) struct StreamingLine {
    pub(super) config: LineConfig,
    pub(super) lexicon: Arc<Lexicon>,
    pub(super) layers: Layers,
}

impl StreamingLine {
    pub(super) fn new(weights: &Weights, config: &LineConfig) -> Result<Self, String> {
        if config.slots() > MAX_SLOTS {
            return Err(format!("expected at most {MAX_SLOTS} slots, got {}", config.slots()));
        }
        let lexicon = Arc::new(weights.description.words()?);
        let layers =
            Layers::new(config.embedding).lstm(weights, &config.lstm).dense(weights, &config.dense, config.vocab_size);
        Ok(Self { config: config.clone(), lexicon, layers })
    }

    /// Advances by one word; the logits of the next one are at the front of `scratch.x`.
    pub(super) fn step(&self, weights: &Weights, reader: &LineReader, values: &mut [f32], scratch: &mut Scratch) {
        let width = self.config.embedding;
        let mut rows = [NO_ROW; MAX_SLOTS];
        let count = reader.rows(&self.config.features, &mut rows);
        let table = weights.tensor("line.table");
        let sum = &mut scratch.x[..width];
        sum.fill(0.0);
        for &n in rows[..count].iter().filter(|n| **n != NO_ROW) {
            sum.iter_mut().zip(row(table, n as usize, width)).for_each(|(sum, x)| *sum += x);
        }
        self.layers.run(width, values, 0, scratch);
    }
}
