//! The performance model: predicts notes with onset, lane, key, length and velocity, one after the other.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Kind, Tensors, check_dropout, check_sizes, push_lstm};
use crate::decision::Lanes;
use crate::generate::{Capabilities, FollowedControls, Hearing, Network};
use crate::note_tokens::{Attribute, MAX_LANES, vocabulary_hash};
use crate::sampling::Sampler;
use crate::stream::PerformanceNetwork;
use crate::tokeniser::note_reader::{HEAD_ROWS, INTERVALS, TRUNK_ROWS};
use crate::weights_file::{Description, Weights, WeightsProblem};

/// A head with more layers is refused.
const MAX_HEAD_LAYERS: usize = 64;

/// The trunk reads whole notes: the sum of embeddings of the last note's attributes, of its position and of what
/// sounds, then LSTM layers. The head predicts one attribute of the next note from the trunk's output, the attributes
/// before it, and what sounds at its onset: residual layers, and a softmax for each attribute. Keys are scored by
/// pitch and by the interval from the lane's last note.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerformanceConfig {
    /// The number of lanes: parts, hands or drums, from 1 to 4. Lane 0 comes first among notes that start together.
    pub lanes: usize,
    /// Whether its music has velocities. Otherwise its caller decides them.
    pub velocities: bool,
    /// Whether its keys are those of a drum kit: they are never transposed, and no key of the music applies.
    #[serde(default)]
    pub drums: bool,
    /// The lowest and the highest key of each lane. A recipe leaves it empty: the trainer finds it in the music.
    #[serde(default)]
    pub ranges: Vec<(u8, u8)>,
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

impl PerformanceConfig {
    /// Packs checked weights of this shape.
    pub fn pack(&self, weights: &Weights) -> PerformanceNetwork {
        PerformanceNetwork::new(weights, self)
    }

    /// The lowest and the highest key of a lane.
    pub fn range(&self, lane: u8) -> (u8, u8) {
        self.ranges.get(usize::from(lane)).copied().unwrap_or((0, 127))
    }
}

impl Kind for PerformanceConfig {
    fn tensors(&self) -> Tensors {
        let mut tensors = vec![("trunk.table".to_string(), vec![TRUNK_ROWS, self.embedding])];
        let width = push_lstm(&mut tensors, self.embedding, &self.lstm);
        tensors.push(("head.trunk".into(), vec![width, self.head]));
        tensors.push(("head.table".into(), vec![HEAD_ROWS, self.head]));
        for i in 0..self.head_layers {
            tensors.push((format!("head.{i}.weight"), vec![self.head, self.head]));
            tensors.push((format!("head.{i}.bias"), vec![self.head]));
        }
        for attribute in Attribute::ALL {
            let name = attribute.name();
            tensors.push((format!("out.{name}.weight"), vec![self.head, attribute.vocabulary()]));
            tensors.push((format!("out.{name}.bias"), vec![attribute.vocabulary()]));
        }
        tensors.push(("out.relative".into(), vec![self.head, INTERVALS]));
        tensors
    }

    /// The tokens of all attributes together.
    fn vocab_size(&self) -> usize {
        Attribute::ALL.iter().map(|attribute| attribute.vocabulary()).sum()
    }

    fn sees(&self) -> Vec<String> {
        ["beat", "bar", "sounding", "interval"].map(String::from).to_vec()
    }

    fn check(&self) -> Result<(), String> {
        check_sizes(self.lstm.iter().chain([&self.embedding, &self.head]))?;
        for share in [self.dropout, self.row_dropout, self.weight_dropout] {
            check_dropout(share)?;
        }
        if !(1..=MAX_LANES).contains(&self.lanes) {
            return Err(format!("expected 1 to {MAX_LANES} lanes, got {}", self.lanes));
        }
        if self.lstm.is_empty() {
            return Err("expected at least one LSTM layer, got none".into());
        }
        if self.head_layers > MAX_HEAD_LAYERS {
            return Err(format!("expected at most {MAX_HEAD_LAYERS} layers in the head, got {}", self.head_layers));
        }
        if !self.ranges.is_empty() && self.ranges.len() != self.lanes {
            return Err(format!("expected a range for each of {} lanes, got {}", self.lanes, self.ranges.len()));
        }
        match self.ranges.iter().find(|(low, high)| low > high || *high > 127) {
            Some(range) => Err(format!("expected ranges of keys from 0 to 127, got {range:?}")),
            None => Ok(()),
        }
    }

    fn check_vocabulary(&self, description: &Description) -> Result<(), WeightsProblem> {
        let ours = vocabulary_hash();
        if description.vocabulary != ours {
            return Err(WeightsProblem::Vocabulary(description.vocabulary.clone(), ours));
        }
        Ok(())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            // The player's notes are on the first lane; the others go along with it.
            harmonises: self.lanes > 1,
            hears: Hearing::Notes,
            lanes: Lanes::first(self.lanes),
            controls: FollowedControls { key: !self.drums, ..FollowedControls::default() },
            decides_velocity: self.velocities,
            decides_timing: true,
            sampler: Sampler::CAREFUL,
        }
    }

    fn network(&self, weights: &Weights) -> Result<Arc<dyn Network>, String> {
        Ok(Arc::new(self.pack(weights)))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::NetworkConfig;

    const PIANO: &str = r#"{"kind": "performance", "lanes": 2, "velocities": true, "embedding": 32, "lstm": [32],
        "head": 16, "head_layers": 1, "dropout": 0.1}"#;

    fn config(text: &str) -> Result<NetworkConfig, String> {
        let config: NetworkConfig = serde_json::from_str(text).map_err(|error| error.to_string())?;
        config.check().map(|()| config)
    }

    #[test]
    fn a_recipe_says_the_shape() {
        let config = config(PIANO).unwrap();
        assert_eq!(config.vocab_size(), 49 + 24 + 4 + 128 + 48 + 32);
        assert!(config.tensors().iter().any(|(name, shape)| name == "out.key.weight" && *shape == [16, 128]));
    }

    #[test]
    fn impossible_shapes_are_refused() {
        let check = |from: &str, to: &str, expect: &str| {
            let problem = config(&PIANO.replace(from, to)).unwrap_err();
            assert!(problem.contains(expect), "{problem}");
        };
        check("[32]", "[]", "expected at least one LSTM layer, got none");
        check("\"lanes\": 2", "\"lanes\": 5", "expected 1 to 4 lanes, got 5");
        check("0.1", "0.1, \"ranges\": [[0, 127]]", "expected a range for each of 2 lanes, got 1");
        check("0.1", "0.1, \"ranges\": [[0, 127], [60, 40]]", "expected ranges of keys from 0 to 127, got (60, 40)");
    }
}
