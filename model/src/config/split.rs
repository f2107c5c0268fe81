//! The shape of a split network: a trunk that runs once a step, and a head that runs once a voice.

use serde::{Deserialize, Serialize};

use super::{Tensors, check_dropout, check_sizes, push_lstm};
use crate::tokeniser::step_reader::{HEAD_ROWS, INTERVALS, StepFeature};
use crate::vocabulary::Vocabulary;

/// The trunk sees whole steps: rows of a table added up, then LSTM layers. The head decides a voice: what the trunk
/// says and rows of another table added up, residual layers, softmax. A reply costs heads only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitConfig {
    /// Tokens that come out.
    pub vocab_size: usize,
    /// What the trunk is shown.
    pub features: Vec<StepFeature>,
    /// Width of the sum of the trunk's rows.
    pub embedding: usize,
    /// Units of each LSTM layer. A layer as wide as what goes into it is added to that, else it stands for it.
    pub lstm: Vec<usize>,
    /// Width of the head.
    pub head: usize,
    /// Residual layers of the head.
    pub head_layers: usize,
    /// Share of values that dropout zeroes while training, 0 to 1: in the trunk after the embedding and each LSTM layer
    /// (the same units all through a window), in the head after each ReLU.
    pub dropout: f32,
    /// Share of the looked-up rows that are left out while training, 0 to 1.
    #[serde(default)]
    pub row_dropout: f32,
    /// Share of the recurrent weights that are zeroed while training, 0 to 1: other ones in each batch (Merity, Keskar and
    /// Socher, "Regularizing and optimizing LSTM language models", 2018).
    #[serde(default)]
    pub weight_dropout: f32,
}

impl SplitConfig {
    /// Numbers that the trunk looks up in a step.
    pub fn trunk_slots(&self) -> usize {
        self.features.iter().map(|feature| feature.slots()).sum()
    }

    /// Whether the network is shown echoes.
    pub fn sees_echo(&self) -> bool {
        self.features.contains(&StepFeature::Echo)
    }

    /// Every tensor with its shape, in a fixed order. Weights are (inputs, outputs), gates stand in the order input,
    /// forget, cell, output. `head.relative` scores a pitch by its distance from what the voice sounded before.
    pub(crate) fn tensors(&self) -> Tensors {
        let rows = self.features.iter().map(|feature| feature.rows()).sum();
        let mut tensors = vec![("trunk.table".to_string(), vec![rows, self.embedding])];
        let width = push_lstm(&mut tensors, self.embedding, &self.lstm);
        tensors.push(("head.trunk".into(), vec![width, self.head]));
        tensors.push(("head.table".into(), vec![HEAD_ROWS, self.head]));
        for i in 0..self.head_layers {
            tensors.push((format!("head.{i}.weight"), vec![self.head, self.head]));
            tensors.push((format!("head.{i}.bias"), vec![self.head]));
        }
        tensors.push(("head.out.weight".into(), vec![self.head, self.vocab_size]));
        tensors.push(("head.out.bias".into(), vec![self.vocab_size]));
        tensors.push(("head.relative".into(), vec![self.head, INTERVALS]));
        tensors
    }

    /// Says what is wrong with a configuration that no network can have.
    pub(crate) fn check(&self) -> Result<(), String> {
        check_sizes(self.lstm.iter().chain([&self.embedding, &self.head, &self.vocab_size]))?;
        for share in [self.dropout, self.row_dropout, self.weight_dropout] {
            check_dropout(share)?;
        }
        if self.vocab_size != Vocabulary::GRID.size() {
            return Err(format!("expected {} tokens, got {}", Vocabulary::GRID.size(), self.vocab_size));
        }
        if self.lstm.is_empty() || self.features.is_empty() {
            return Err("expected at least one LSTM layer and one feature".into());
        }
        if self.head_layers > 64 {
            return Err(format!("expected at most 64 layers in the head, got {}", self.head_layers));
        }
        let twice = self.features.iter().enumerate().find(|(i, f)| self.features[..*i].contains(f));
        twice.map_or(Ok(()), |(_, feature)| Err(format!("expected each feature once, got {feature:?} twice")))
    }
}
