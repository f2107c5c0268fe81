//! A stack, one token at a time.

use super::layers::Layers;
use super::{MAX_SLOTS, Scratch, row};
use crate::config::StackConfig;
use crate::tokeniser::grid::CellReader;
use crate::weights_file::Weights;

/// A stack ready to play.
pub(super) struct StreamingStack {
    config: StackConfig,
    pub(super) layers: Layers,
}

impl StreamingStack {
    pub(super) fn new(weights: &Weights, config: &StackConfig) -> Result<Self, String> {
        if config.feature_slots() > MAX_SLOTS {
            return Err(format!("expected at most {MAX_SLOTS} feature slots, got {}", config.feature_slots()));
        }
        let layers = Layers::new(config.input_width())
            .convolutions(weights, &config.convolutions)
            .lstm(weights, &config.lstm)
            .dense(weights, &config.dense, config.vocab_size);
        Ok(Self { config: config.clone(), layers })
    }

    /// Advances by one cell; the logits of its token are at the front of `scratch.x`.
    pub(super) fn step(
        &self,
        weights: &Weights,
        reader: &CellReader,
        values: &mut [f32],
        tokens_fed: usize,
        scratch: &mut Scratch,
    ) {
        let width = self.embed(weights, reader, &mut scratch.x);
        self.layers.run(width, values, tokens_fed, scratch);
    }

    /// Writes the embedding of what is known to the front of `x`, and returns its width.
    fn embed(&self, weights: &Weights, reader: &CellReader, x: &mut [f32]) -> usize {
        let mut at = self.config.embedding;
        match reader.previous() {
            None => x[..at].fill(0.0),
            Some(token) => x[..at].copy_from_slice(row(weights.tensor("embedding.weight"), token.into(), at)),
        }
        let features = &self.config.features;
        let mut rows = [0; MAX_SLOTS];
        reader.feature_rows(features, &mut rows);
        let mut rows = rows.iter();
        for feature in features {
            let table = weights.tensor(feature.kind.tensor_name());
            for &n in rows.by_ref().take(feature.kind.slots()) {
                x[at..at + feature.width].copy_from_slice(row(table, n as usize, feature.width));
                at += feature.width;
            }
        }
        at
    }
}
