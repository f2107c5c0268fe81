//! The split network: a trunk runs once a step and a head once a voice, so the voices of a step can be decided in any
//! order.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Kind, Tensors, check_dropout, check_features, check_sizes, names, push_lstm};
use crate::decision::Lanes;
use crate::generate::{Capabilities, FollowedControls, Hearing, Network};
use crate::sampling::Sampler;
use crate::stream::{GridNetwork, SplitLayers};
use crate::tokeniser::grid::NUM_VOICES;
use crate::tokeniser::step_reader::{HEAD_TABLE_ROWS, INTERVALS, StepFeature};
use crate::vocabulary::Vocabulary;
use crate::weights_file::Weights;

/// A head with more layers is refused.
const MAX_HEAD_LAYERS: usize = 64;

/// The trunk reads whole steps: the sum of feature embeddings, then LSTM layers. The head predicts one voice: the sum
/// of the trunk's output and embeddings of its own, then residual layers and softmax. A reply to the player runs heads
/// only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitConfig {
    /// Output tokens.
    pub vocab_size: usize,
    /// Input features of the trunk.
    pub features: Vec<StepFeature>,
    /// Width of the trunk's embeddings.
    pub embedding: usize,
    /// Units of each LSTM layer. A layer as wide as its input is residual: its output is added to the input.
    pub lstm: Vec<usize>,
    /// Width of the head.
    pub head: usize,
    /// Residual layers of the head.
    pub head_layers: usize,
    /// Dropout rate in training, 0 to 1: in the trunk after the embedding and after each LSTM layer (the same units
    /// throughout a window), in the head after each ReLU.
    pub dropout: f32,
    /// Share of the looked-up embeddings that training leaves out, 0 to 1.
    #[serde(default)]
    pub row_dropout: f32,
    /// Share of the recurrent weights that training zeroes, 0 to 1, drawn anew for each batch (Merity, Keskar and
    /// Socher, "Regularizing and optimizing LSTM language models", 2018).
    #[serde(default)]
    pub weight_dropout: f32,
}

impl SplitConfig {
    /// Table rows that the trunk looks up in a step.
    pub fn trunk_slots(&self) -> usize {
        self.features.iter().map(|feature| feature.slots()).sum()
    }

    /// Whether the network reads the echo.
    pub fn sees_echo(&self) -> bool {
        self.features.contains(&StepFeature::Echo)
    }

    /// Packs checked weights of this shape.
    ///
    /// # Errors
    /// If the network looks up more table rows at once than [`crate::stream`] supports.
    pub fn pack(&self, weights: &Weights) -> Result<GridNetwork<SplitLayers>, String> {
        Ok(GridNetwork::new(weights.description.clone(), SplitLayers::single(weights, self)?))
    }
}

impl Kind for SplitConfig {
    /// `head.relative` scores a pitch by its interval from the voice's previous pitch.
    fn tensors(&self) -> Tensors {
        let rows = self.features.iter().map(|feature| feature.table_rows()).sum();
        let mut tensors = vec![("trunk.table".to_string(), vec![rows, self.embedding])];
        let width = push_lstm(&mut tensors, self.embedding, &self.lstm);
        tensors.push(("head.trunk".into(), vec![width, self.head]));
        tensors.push(("head.table".into(), vec![HEAD_TABLE_ROWS, self.head]));
        for i in 0..self.head_layers {
            tensors.push((format!("head.{i}.weight"), vec![self.head, self.head]));
            tensors.push((format!("head.{i}.bias"), vec![self.head]));
        }
        tensors.push(("head.out.weight".into(), vec![self.head, self.vocab_size]));
        tensors.push(("head.out.bias".into(), vec![self.vocab_size]));
        tensors.push(("head.relative".into(), vec![self.head, INTERVALS]));
        tensors
    }

    fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    fn sees(&self) -> Vec<String> {
        names(self.features.iter())
    }

    fn check(&self) -> Result<(), String> {
        check_sizes(self.lstm.iter().chain([&self.embedding, &self.head, &self.vocab_size]))?;
        for share in [self.dropout, self.row_dropout, self.weight_dropout] {
            check_dropout(share)?;
        }
        if self.vocab_size != Vocabulary::GRID.size() {
            return Err(format!("expected {} tokens, got {}", Vocabulary::GRID.size(), self.vocab_size));
        }
        if self.lstm.is_empty() || self.features.is_empty() {
            let (layers, features) = (self.lstm.len(), self.features.len());
            return Err(format!("expected at least one LSTM layer and one feature, got {layers} and {features}"));
        }
        if self.head_layers > MAX_HEAD_LAYERS {
            return Err(format!("expected at most {MAX_HEAD_LAYERS} layers in the head, got {}", self.head_layers));
        }
        check_features(&self.features)
    }

    fn capabilities(&self) -> Capabilities {
        let follows = |feature| self.features.contains(&feature);
        Capabilities {
            harmonises: true,
            hears: Hearing::Voices,
            lanes: Lanes::first(NUM_VOICES),
            controls: FollowedControls {
                key: follows(StepFeature::Key),
                fermata: follows(StepFeature::Fermata),
                density: follows(StepFeature::Density),
                register: follows(StepFeature::Register),
                phrase: follows(StepFeature::Phrase),
            },
            decides_velocity: false,
            decides_timing: false,
            sampler: Sampler::CAREFUL,
        }
    }

    fn network(&self, weights: &Weights) -> Result<Arc<dyn Network>, String> {
        Ok(Arc::new(self.pack(weights)?))
    }
}
