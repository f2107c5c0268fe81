//! The shape of a stack: one token a voice and step goes in, the next one comes out.

use serde::{Deserialize, Serialize};

use super::{Tensors, check_dropout, check_sizes, push_dense, push_lstm};
use crate::tokeniser::grid::{NUM_VOICES, STEPS_PER_BEAT};
use crate::vocabulary::Vocabulary;

/// How many lengths are told apart by the feature `held`; longer ones count as the longest.
pub const HELD_BUCKETS: usize = 16;

/// One stack serves every recipe: embedding and features, causal dilated convolutions with batch
/// normalisation and ReLU, dropout, LSTM layers, dense layers with ReLU, and a dense softmax at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StackConfig {
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

impl StackConfig {
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
    pub(crate) fn tensors(&self) -> Tensors {
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
        let width = push_lstm(&mut tensors, width, &self.lstm);
        push_dense(&mut tensors, width, self.dense.iter().chain([&self.vocab_size]));
        tensors
    }

    /// Says what is wrong with a configuration that no network can have.
    pub(crate) fn check(&self) -> Result<(), String> {
        let convolutions = self.convolutions.iter().flat_map(|c| [&c.channels, &c.kernel, &c.dilation]);
        let widths = self.features.iter().map(|f| &f.width).chain(convolutions);
        check_sizes(widths.chain(&self.lstm).chain(&self.dense).chain([&self.vocab_size, &self.embedding]))?;
        check_dropout(self.dropout)?;
        if self.lstm.is_empty() {
            return Err("expected at least one LSTM layer, got none".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NetworkConfig;

    #[test]
    fn the_chorale_stack_has_the_published_number_of_parameters() {
        assert_eq!(NetworkConfig::Stack(StackConfig::chorale(47)).num_parameters(), 454_794);
        // The hold token adds a row of 5 to the embedding and 257 numbers to the softmax layer.
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
