//! The shape of a network: what a recipe asks for, what a weights file says it holds.

use serde::{Deserialize, Serialize};

use crate::tokeniser::grid::{NUM_VOICES, STEPS_PER_BEAT};
use crate::vocabulary::Vocabulary;

/// How many lengths are told apart by the feature `held`; longer ones count as the longest.
pub const HELD_BUCKETS: usize = 16;

/// One stack serves every recipe: embedding and features, causal dilated convolutions with batch
/// normalisation and ReLU, dropout, LSTM layers, dense layers with ReLU, and a dense softmax at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// Tokens that go in and come out.
    pub vocab_size: usize,
    /// Width of the embedding of the token before.
    pub embedding: usize,
    /// What the network sees beside the token, each with an embedding of its own.
    #[serde(default)]
    pub features: Vec<Feature>,
    /// Convolutions over time, first to last.
    #[serde(default)]
    pub convolutions: Vec<Convolution>,
    /// Share of values that dropout zeroes while training, 0 to 1; after the convolutions and after each
    /// LSTM layer.
    #[serde(default)]
    pub dropout: f32,
    /// Units of each LSTM layer.
    pub lstm: Vec<usize>,
    /// Units of each dense layer between the LSTM and the softmax.
    #[serde(default)]
    pub dense: Vec<usize>,
}

/// A causal convolution: output step t sees steps t, t - dilation, ..., t - (kernel - 1) * dilation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Convolution {
    /// Output channels.
    pub channels: usize,
    /// Steps that the kernel touches.
    pub kernel: usize,
    /// Steps between two that it touches.
    pub dilation: usize,
}

/// A feature beside the token, and how wide its embedding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// What is seen.
    pub kind: FeatureKind,
    /// Embedding width (of each of its slots).
    pub width: usize,
}

/// What a network can be shown of the cell that it is about to predict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureKind {
    /// Which voice the cell belongs to.
    Voice,
    /// Which 16th of the beat the cell is in.
    Beat,
    /// What each of the four voices sounds now (the voices already drawn in this step included).
    Sounding,
    /// For how many steps each voice has done what it does.
    Held,
}

impl FeatureKind {
    /// Numbers that the feature looks up in its embedding.
    pub const fn slots(self) -> usize {
        match self {
            Self::Voice | Self::Beat => 1,
            Self::Sounding | Self::Held => NUM_VOICES,
        }
    }

    /// Rows of its embedding.
    pub const fn rows(self) -> usize {
        match self {
            Self::Voice => NUM_VOICES,
            Self::Beat => STEPS_PER_BEAT,
            Self::Sounding => Vocabulary::GRID_WITHOUT_HOLD.size(),
            Self::Held => HELD_BUCKETS,
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

impl NetworkConfig {
    /// The stack of the published chorale recipe: embedding 5, five convolutions of kernel 2 with dilations
    /// 1 to 16, one LSTM of 256. (Géron, "Hands-On Machine Learning", chapter 15, exercise 10.)
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

    /// Width of what goes into the first layer.
    pub fn input_width(&self) -> usize {
        self.embedding + self.features.iter().map(|f| f.width * f.kind.slots()).sum::<usize>()
    }

    /// Numbers looked up for one cell beside the token.
    pub fn feature_slots(&self) -> usize {
        self.features.iter().map(|f| f.kind.slots()).sum()
    }

    /// Every tensor that the network consists of, with its shape, in a fixed order. Weights are
    /// (inputs, outputs); an LSTM's gates stand in the order input, forget, cell, output; a convolution's
    /// inputs are its taps from the oldest to the newest, each with all channels.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut tensors = vec![("embedding.weight".to_string(), vec![self.vocab_size, self.embedding])];
        for feature in &self.features {
            tensors.push((feature.kind.tensor_name().into(), vec![feature.kind.rows(), feature.width]));
        }
        let mut width = self.input_width();
        for (i, c) in self.convolutions.iter().enumerate() {
            tensors.push((format!("conv.{i}.weight"), vec![c.kernel * width, c.channels]));
            for part in ["bias", "norm.gamma", "norm.beta", "norm.mean", "norm.var"] {
                tensors.push((format!("conv.{i}.{part}"), vec![c.channels]));
            }
            width = c.channels;
        }
        for (i, &units) in self.lstm.iter().enumerate() {
            tensors.push((format!("lstm.{i}.w_ih"), vec![width, 4 * units]));
            tensors.push((format!("lstm.{i}.w_hh"), vec![units, 4 * units]));
            tensors.push((format!("lstm.{i}.bias"), vec![4 * units]));
            width = units;
        }
        for (i, &units) in self.dense.iter().chain([&self.vocab_size]).enumerate() {
            tensors.push((format!("dense.{i}.weight"), vec![width, units]));
            tensors.push((format!("dense.{i}.bias"), vec![units]));
            width = units;
        }
        tensors
    }

    /// Numbers in all tensors together (batch normalisation's running mean and variance counted, as Keras does).
    pub fn num_parameters(&self) -> usize {
        self.tensors().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }

    /// Says what is wrong with a configuration that no network can have.
    pub fn check(&self) -> Result<(), String> {
        let widths = self
            .features
            .iter()
            .map(|f| f.width)
            .chain(self.convolutions.iter().flat_map(|c| [c.channels, c.kernel, c.dilation]))
            .chain(self.lstm.iter().chain(&self.dense).copied())
            .chain([self.vocab_size, self.embedding]);
        // A file that asks for absurd sizes must not make the reader allocate them.
        for width in widths {
            if !(1..=65_536).contains(&width) {
                return Err(format!("expected layer sizes from 1 to 65536, got {width}"));
            }
        }
        if self.lstm.is_empty() {
            return Err("expected at least one LSTM layer, got none".into());
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(format!("expected a dropout from 0 up to 1, got {}", self.dropout));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chorale_stack_has_the_published_number_of_parameters() {
        assert_eq!(NetworkConfig::chorale(47).num_parameters(), 454_794);
        // The hold token adds a row of 5 to the embedding and 257 numbers to the softmax layer.
        assert_eq!(NetworkConfig::chorale(48).num_parameters(), 454_794 + 5 + 257);
    }

    #[test]
    fn impossible_shapes_are_refused() {
        let mut config = NetworkConfig::chorale(48);
        assert_eq!(config.check(), Ok(()));
        config.lstm = vec![0];
        assert_eq!(config.check().unwrap_err(), "expected layer sizes from 1 to 65536, got 0");
        config.lstm.clear();
        assert_eq!(config.check().unwrap_err(), "expected at least one LSTM layer, got none");
    }
}
