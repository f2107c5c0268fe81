//! The line model: predicts one line, a melody or chords, word by word, and plays in turn with the player.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Kind, Tensors, check_dropout, check_features, check_sizes, names, push_dense, push_lstm};
use crate::decision::Lanes;
use crate::generate::{Capabilities, FollowedControls, Hearing, Network};
use crate::sampling::Sampler;
use crate::stream::LineNetwork;
use crate::tokeniser::grid::NUM_VOICES;
use crate::tokeniser::line_reader::LineFeature;
use crate::weights_file::{Description, Weights, WeightsProblem};

/// The most past events that a line model may read when it takes over from the player.
pub(crate) const MAX_CONTEXT_EVENTS: usize = 64;

/// The sum of the embeddings of the previous word and the features, then LSTM layers, dense layers with ReLU, and a
/// dense layer with softmax.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineConfig {
    /// Words in the lexicon. A recipe leaves it at 0: the trainer builds the lexicon from the music.
    #[serde(default)]
    pub vocab_size: usize,
    /// Width of the embeddings.
    pub embedding: usize,
    /// Input features beside the previous word.
    #[serde(default)]
    pub features: Vec<LineFeature>,
    /// Units of each LSTM layer.
    pub lstm: Vec<usize>,
    /// Units of each dense layer between the LSTM and the softmax.
    #[serde(default)]
    pub dense: Vec<usize>,
    /// Dropout rate in training, 0 to 1: after each LSTM layer and after each dense layer but the last.
    #[serde(default)]
    pub dropout: f32,
    /// Share of the looked-up embeddings that training leaves out, 0 to 1.
    #[serde(default)]
    pub row_dropout: f32,
    /// Share of the recurrent weights that training zeroes, 0 to 1, drawn anew for each batch (Merity, Keskar and
    /// Socher, "Regularizing and optimizing LSTM language models", 2018).
    #[serde(default)]
    pub weight_dropout: f32,
    /// How many past events the network reads when it takes over from the player.
    pub context_events: usize,
    /// The key to which the training music was transposed.
    #[serde(default)]
    pub home_key: HomeKey,
}

/// The key to which the training music of a line model was transposed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HomeKey {
    /// The music kept its keys; the player's notes are not transposed either.
    #[default]
    None,
    /// Major pieces were transposed to C, minor ones to A. The player's notes are transposed likewise on input, and the
    /// network's notes back on output.
    CMajorAMinor,
}

impl LineConfig {
    /// Table rows looked up for one word: the previous word's and those of the features.
    pub fn slots(&self) -> usize {
        1 + self.features.iter().map(|feature| feature.slots()).sum::<usize>()
    }

    /// Packs checked weights of this shape.
    ///
    /// # Errors
    /// If the network looks up more table rows at once than [`crate::stream`] supports.
    pub fn pack(&self, weights: &Weights) -> Result<LineNetwork, String> {
        LineNetwork::new(weights, self)
    }
}

impl Kind for LineConfig {
    fn tensors(&self) -> Tensors {
        let rows = self.vocab_size + self.features.iter().map(|f| f.table_rows(self.vocab_size)).sum::<usize>();
        let mut tensors = vec![("line.table".to_string(), vec![rows, self.embedding])];
        let width = push_lstm(&mut tensors, self.embedding, &self.lstm);
        push_dense(&mut tensors, width, self.dense.iter().chain([&self.vocab_size]));
        tensors
    }

    fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    fn sees(&self) -> Vec<String> {
        names(self.features.iter())
    }

    /// Leaves `vocab_size` to [`Kind::check_vocabulary`], which compares it with the lexicon.
    fn check(&self) -> Result<(), String> {
        check_sizes(self.lstm.iter().chain(&self.dense).chain([&self.embedding]))?;
        for share in [self.dropout, self.row_dropout, self.weight_dropout] {
            check_dropout(share)?;
        }
        if self.lstm.is_empty() {
            return Err("expected at least one LSTM layer, got none".into());
        }
        if self.context_events > MAX_CONTEXT_EVENTS {
            return Err(format!("expected at most {MAX_CONTEXT_EVENTS} context events, got {}", self.context_events));
        }
        check_features(&self.features)
    }

    /// Checks the lexicon in the description, which defines the tokens.
    fn check_vocabulary(&self, description: &Description) -> Result<(), WeightsProblem> {
        description.words().map(|_| ()).map_err(WeightsProblem::BadDescription)
    }

    /// The notes go to the lanes of the four voices from the top: a melody to the soprano's.
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            harmonises: false,
            hears: Hearing::Voices,
            lanes: Lanes::first(NUM_VOICES),
            controls: FollowedControls { key: true, ..FollowedControls::default() },
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
    use crate::config::NetworkConfig;

    const FUGUE: &str = r#"{"kind": "line", "vocab_size": 100, "embedding": 32, "features": ["beat", "held"],
        "lstm": [64], "dense": [16], "dropout": 0.1, "context_events": 50, "home_key": "c_major_a_minor"}"#;

    fn config(text: &str) -> Result<NetworkConfig, String> {
        let config: NetworkConfig = serde_json::from_str(text).map_err(|error| error.to_string())?;
        config.check().map(|()| config)
    }

    #[test]
    fn a_recipe_says_the_shape() {
        let config = config(FUGUE).unwrap();
        let table = (100 + 4 + 16) * 32;
        let lstm = (32 + 64 + 1) * 4 * 64;
        assert_eq!(config.num_parameters(), table + lstm + 65 * 16 + 17 * 100);
        assert_eq!(config.sees(), ["beat", "held"]);
        assert_eq!(config.vocab_size(), 100);
    }

    #[test]
    fn impossible_shapes_are_refused() {
        let check = |from: &str, to: &str, expect: &str| {
            let problem = config(&FUGUE.replace(from, to)).unwrap_err();
            assert!(problem.contains(expect), "{problem}");
        };
        check("[64]", "[0]", "expected layer sizes from 1 to 65536, got 0");
        check("[64]", "[]", "expected at least one LSTM layer, got none");
        check("0.1", "1.0", "expected a dropout from 0 up to 1, got 1");
        check("50", "65", "expected at most 64 context events, got 65");
        check("held", "beat", "expected each feature once, got Beat twice");
        check("held", "bar", "unknown variant `bar`");
        check("c_major_a_minor", "c", "unknown variant `c`");
    }
}
