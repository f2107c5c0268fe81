//! A stack, one token at a time.

use super::layers::Layers;
use super::table::Table;
use super::{GridLayers, MAX_SLOTS, Scratch};
use crate::config::StackConfig;
use crate::tokeniser::grid::CellReader;
use crate::weights_file::Weights;

/// The layers of a stack.
pub struct StackLayers {
    config: StackConfig,
    /// The embedding of the previous token.
    embedding: Table,
    /// A table for each feature.
    features: Vec<Table>,
    layers: Layers,
}

impl StackLayers {
    /// Packs checked weights.
    ///
    /// # Errors
    /// If the network looks up more table rows at once than [`crate::stream`] supports.
    pub fn new(weights: &Weights, config: &StackConfig) -> Result<Self, String> {
        if config.feature_slots() > MAX_SLOTS {
            return Err(format!("expected at most {MAX_SLOTS} feature slots, got {}", config.feature_slots()));
        }
        let layers = Layers::new(config.input_width())
            .convolutions(weights, &config.convolutions)
            .lstm(weights, &config.lstm)
            .dense(weights, &config.dense, config.vocab_size);
        let embedding = Table::new(weights.tensor("embedding.weight"), config.embedding);
        let features = config.features.iter();
        let features = features.map(|f| Table::new(weights.tensor(f.kind.tensor_name()), f.width)).collect();
        Ok(Self { config: config.clone(), embedding, features, layers })
    }

    /// Writes the embeddings of the previous token and the features side by side to the front of `x`; returns their
    /// width.
    fn embed(&self, reader: &CellReader, x: &mut [f32]) -> usize {
        let mut at = self.embedding.width();
        match reader.previous() {
            None => x[..at].fill(0.0),
            Some(token) => self.embedding.look_up(token.into(), &mut x[..at]),
        }
        let mut indices = [0; MAX_SLOTS];
        reader.feature_indices(&self.config.features, &mut indices);
        let mut indices = indices.iter();
        for (feature, table) in self.config.features.iter().zip(&self.features) {
            for &n in indices.by_ref().take(feature.kind.slots()) {
                table.look_up(n as usize, &mut x[at..at + table.width()]);
                at += table.width();
            }
        }
        at
    }
}

impl GridLayers for StackLayers {
    type Reader = CellReader;
    const ANY_ORDER: bool = false;

    fn state_len(&self) -> usize {
        self.layers.state_len
    }

    fn scratch(&self) -> Scratch {
        Scratch::new(self.layers.widest, 0)
    }

    fn run(&self, reader: &CellReader, voice: usize, values: &mut [f32], token_idx: usize, scratch: &mut Scratch) {
        debug_assert_eq!(reader.voice(), voice, "the voices of a stack come from the top");
        let width = self.embed(reader, &mut scratch.x);
        self.layers.run(width, values, token_idx, scratch);
    }
}
