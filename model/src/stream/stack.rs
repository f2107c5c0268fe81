//! A stack, one token at a time.

use super::layers::Layers;
use super::table::Table;
use super::{GridLayers, Lookup, MAX_SLOTS, Scratch};
use crate::config::StackConfig;
use crate::tokeniser::grid::CellReader;
use crate::tokeniser::step_reader::NO_INDEX;
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
        if config.feature_slots() >= MAX_SLOTS {
            return Err(format!("expected fewer than {MAX_SLOTS} feature slots, got {}", config.feature_slots()));
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

    /// Writes the embeddings of the previous token and of the features side by side to `x`, (width).
    fn embed(&self, lookup: &Lookup, x: &mut [f32]) {
        let (previous, features) = lookup.split_first().expect("a lookup has slots");
        let (x, mut rest) = x.split_at_mut(self.embedding.width());
        match *previous {
            NO_INDEX => x.fill(0.0),
            token => self.embedding.look_up(token as usize, x),
        }
        let mut features = features.iter();
        for (feature, table) in self.config.features.iter().zip(&self.features) {
            for &n in features.by_ref().take(feature.kind.slots()) {
                let (x, after) = rest.split_at_mut(table.width());
                table.look_up(n as usize, x);
                rest = after;
            }
        }
    }
}

impl GridLayers for StackLayers {
    type Reader = CellReader;
    const ANY_ORDER: bool = false;

    fn state_len(&self) -> usize {
        self.layers.state_len
    }

    fn scratch(&self) -> Scratch {
        Scratch::new(self.layers.widest, 0, 0)
    }

    fn read_voice(&self, reader: &CellReader, scratch: &mut Scratch) {
        let (previous, features) = scratch.wait().split_first_mut().expect("a lookup has slots");
        *previous = reader.previous().map_or(NO_INDEX, u32::from);
        reader.feature_indices(&self.config.features, features);
    }

    fn run(&self, values: &mut [f32], read_before: usize, scratch: &mut Scratch) {
        let width = self.config.input_width();
        for (lookup, x) in scratch.waiting.iter().zip(scratch.x.chunks_exact_mut(width)) {
            self.embed(lookup, x);
        }
        self.layers.run(scratch.waiting.len(), width, values, read_before, scratch);
    }

    /// The logits are the output of the layers.
    fn predict(&self, reader: &CellReader, voice: usize, _: &mut Scratch) {
        debug_assert_eq!(reader.voice(), voice, "the voices of a stack come from the top");
    }
}
