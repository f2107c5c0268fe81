//! The stack: predicts four voices on a grid, one token for each voice and step, from the soprano down.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Kind, Tensors, check_dropout, check_sizes, names, push_dense, push_lstm};
use crate::decision::Lanes;
use crate::generate::{Capabilities, FollowedControls, Hearing, Network};
use crate::sampling::Sampler;
use crate::stream::{GridNetwork, StackLayers};
use crate::tokeniser::HELD_CLASSES;
use crate::tokeniser::grid::{NUM_VOICES, STEPS_PER_BEAT};
use crate::vocabulary::Vocabulary;
use crate::weights_file::Weights;

/// Embeddings of the previous token and the features side by side, causal dilated convolutions with batch normalisation
/// and ReLU, dropout, LSTM layers, dense layers with ReLU, and a dense layer with softmax.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StackConfig {
    /// Input and output tokens.
    pub vocab_size: usize,
    /// Width of the embedding of the previous token.
    pub embedding: usize,
    /// Input features beside the previous token, each with an embedding of its own.
    #[serde(default)]
    pub features: Vec<Feature>,
    /// Convolutions over time, in order.
    #[serde(default)]
    pub convolutions: Vec<Convolution>,
    /// Dropout rate in training, 0 to 1: after the convolutions and after each LSTM layer.
    #[serde(default)]
    pub dropout: f32,
    /// Units of each LSTM layer.
    pub lstm: Vec<usize>,
    /// Units of each dense layer between the LSTM and the softmax.
    #[serde(default)]
    pub dense: Vec<usize>,
}

/// A causal convolution: output t depends on inputs t, t - dilation, ..., t - (kernel - 1) * dilation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Convolution {
    /// Output channels.
    pub channels: usize,
    /// Number of taps.
    pub kernel: usize,
    /// Tokens from one tap to the next.
    pub dilation: usize,
}

/// An input feature and the width of its embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// Which feature.
    pub kind: FeatureKind,
    /// Embedding width of each of its slots.
    pub width: usize,
}

/// An input feature of the cell (one voice in one step) whose token comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureKind {
    /// Which voice the cell belongs to.
    Voice,
    /// Which 16th of the beat the cell is in.
    Beat,
    /// The pitch of each of the four voices, including voices already decided in this step.
    Sounding,
    /// For how many steps each voice has held its pitch or rested.
    Held,
}

impl FeatureKind {
    /// Table rows that the feature looks up in its embedding.
    pub const fn slots(self) -> usize {
        match self {
            Self::Voice | Self::Beat => 1,
            Self::Sounding | Self::Held => NUM_VOICES,
        }
    }

    /// Rows of its embedding table.
    pub const fn table_rows(self) -> usize {
        match self {
            Self::Voice => NUM_VOICES,
            Self::Beat => STEPS_PER_BEAT,
            Self::Sounding => Vocabulary::GRID_WITHOUT_HOLD.size(),
            Self::Held => HELD_CLASSES,
        }
    }

    /// The name of its embedding's tensor.
    pub const fn tensor_name(self) -> &'static str {
        match self {
            Self::Voice => "feature.voice.weight",
            Self::Beat => "feature.beat.weight",
            Self::Sounding => "feature.sounding.weight",
            Self::Held => "feature.held.weight",
        }
    }
}

impl StackConfig {
    /// The published chorale network: embedding of width 5, five convolutions of kernel 2 with dilations 1 to 16, one
    /// LSTM of 256 units (Géron, "Hands-On Machine Learning", chapter 15, exercise 10).
    pub fn chorale(vocab_size: usize) -> Self {
        let convolution = |(channels, dilation)| Convolution { channels, kernel: 2, dilation };
        Self {
            vocab_size,
            embedding: 5,
            features: Vec::new(),
            convolutions: [(32, 1), (48, 2), (64, 4), (96, 8), (128, 16)].map(convolution).to_vec(),
            dropout: 0.05,
            lstm: vec![256],
            dense: Vec::new(),
        }
    }

    /// Width of the first layer's input: all embeddings side by side.
    pub fn input_width(&self) -> usize {
        self.embedding + self.features.iter().map(|f| f.width * f.kind.slots()).sum::<usize>()
    }

    /// Table rows that the features look up for one cell.
    pub fn feature_slots(&self) -> usize {
        self.features.iter().map(|f| f.kind.slots()).sum()
    }

    /// Packs checked weights of this shape.
    ///
    /// # Errors
    /// If the network looks up more table rows at once than [`crate::stream`] supports.
    pub fn pack(&self, weights: &Weights) -> Result<GridNetwork<StackLayers>, String> {
        Ok(GridNetwork::new(weights.description.clone(), StackLayers::new(weights, self)?))
    }
}

impl Kind for StackConfig {
    /// The inputs of a convolution are its taps from the oldest to the newest, each with all channels.
    fn tensors(&self) -> Tensors {
        let mut tensors = vec![("embedding.weight".to_string(), vec![self.vocab_size, self.embedding])];
        for feature in &self.features {
            tensors.push((feature.kind.tensor_name().into(), vec![feature.kind.table_rows(), feature.width]));
        }
        let mut width = self.input_width();
        for (i, c) in self.convolutions.iter().enumerate() {
            tensors.push((format!("conv.{i}.weight"), vec![c.kernel * width, c.channels]));
            for part in ["bias", "norm.gamma", "norm.beta", "norm.mean", "norm.var"] {
                tensors.push((format!("conv.{i}.{part}"), vec![c.channels]));
            }
            width = c.channels;
        }
        let width = push_lstm(&mut tensors, width, &self.lstm);
        push_dense(&mut tensors, width, self.dense.iter().chain([&self.vocab_size]));
        tensors
    }

    fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    fn sees(&self) -> Vec<String> {
        names(self.features.iter().map(|feature| feature.kind))
    }

    fn check(&self) -> Result<(), String> {
        let convolutions = self.convolutions.iter().flat_map(|c| [&c.channels, &c.kernel, &c.dilation]);
        let widths = self.features.iter().map(|f| &f.width).chain(convolutions);
        check_sizes(widths.chain(&self.lstm).chain(&self.dense).chain([&self.vocab_size, &self.embedding]))?;
        check_dropout(self.dropout)?;
        if self.lstm.is_empty() {
            return Err("expected at least one LSTM layer, got none".into());
        }
        Ok(())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            harmonises: true,
            hears: Hearing::Voices,
            lanes: Lanes::first(NUM_VOICES),
            controls: FollowedControls::default(),
            decides_velocity: false,
            decides_timing: false,
            sampler: Sampler::CAREFUL,
        }
    }

    fn network(&self, weights: &Weights) -> Result<Arc<dyn Network>, String> {
        Ok(Arc::new(self.pack(weights)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NetworkConfig;

    #[test]
    fn the_chorale_stack_has_the_published_number_of_parameters() {
        assert_eq!(NetworkConfig::Stack(StackConfig::chorale(47)).num_parameters(), 454_794);
        // The hold token adds a row of 5 to the embedding and 257 parameters to the softmax layer.
        assert_eq!(NetworkConfig::Stack(StackConfig::chorale(48)).num_parameters(), 454_794 + 5 + 257);
    }

    #[test]
    fn impossible_shapes_are_refused() {
        let mut config = StackConfig::chorale(48);
        assert_eq!(config.check(), Ok(()));
        config.lstm = vec![0];
        assert_eq!(config.check().unwrap_err(), "expected layer sizes from 1 to 65536, got 0");
        config.lstm.clear();
        assert_eq!(config.check().unwrap_err(), "expected at least one LSTM layer, got none");
    }
}
