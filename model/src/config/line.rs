//! The shape of a line model: one word goes in, the next one comes out.

use serde::{Deserialize, Serialize};

use super::{Tensors, check_dropout, check_sizes, push_dense, push_lstm};
use crate::tokeniser::line_reader::LineFeature;

/// Events that a line model is shown at the most when it takes over.
pub const MOST_CONTEXT_EVENTS: usize = 64;

/// Rows of a table added up (the word before, features), LSTM layers, dense layers with ReLU, and a dense softmax at
/// the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineConfig {
    /// Words of the lexicon; 0 in a recipe, as it is the music that decides.
    #[serde(default)]
    pub vocab_size: usize,
    /// Width of the sum of the rows.
    pub embedding: usize,
    /// What the network is shown beside the word before.
    #[serde(default)]
    pub features: Vec<LineFeature>,
    /// Units of each LSTM layer.
    pub lstm: Vec<usize>,
    /// Units of each dense layer between the LSTM and the softmax.
    #[serde(default)]
    pub dense: Vec<usize>,
    /// Share of values that dropout zeroes while training, 0 to 1: after each LSTM layer, and after each dense layer but
    /// the last.
    #[serde(default)]
    pub dropout: f32,
    /// Share of the looked-up rows that are left out while training, 0 to 1.
    #[serde(default)]
    pub row_dropout: f32,
    /// Share of the recurrent weights that are zeroed while training, 0 to 1: other ones in each batch (Merity, Keskar and
    /// Socher, "Regularizing and optimizing LSTM language models", 2018).
    #[serde(default)]
    pub weight_dropout: f32,
    /// How many past events the network is shown when it takes over from a player.
    pub context_events: usize,
    /// The key that its training music was put into.
    #[serde(default)]
    pub home_key: HomeKey,
}

/// The key that a line model's training music was put into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HomeKey {
    /// The music kept its keys, and what is played is not transposed.
    #[default]
    None,
    /// Major pieces stood in C, minor ones in A: what is played goes in there, and comes out where it was.
    CMajorAMinor,
}

impl LineConfig {
    /// Numbers looked up for one word: the word before and the features.
    pub fn slots(&self) -> usize {
        1 + self.features.iter().map(|feature| feature.slots()).sum::<usize>()
    }

    /// Every tensor that the network consists of, with its shape, in a fixed order. Weights are (inputs, outputs), gates
    /// stand in the order input, forget, cell, output.
    pub(crate) fn tensors(&self) -> Tensors {
        let rows = self.vocab_size + self.features.iter().map(|f| f.rows(self.vocab_size)).sum::<usize>();
        let mut tensors = vec![("line.table".to_string(), vec![rows, self.embedding])];
        let width = push_lstm(&mut tensors, self.embedding, &self.lstm);
        push_dense(&mut tensors, width, self.dense.iter().chain([&self.vocab_size]));
        tensors
    }

    /// Says what is wrong with a configuration that no network can have. The size of the vocabulary belongs to the
    /// lexicon, and is checked with it.
    pub(crate) fn check(&self) -> Result<(), String> {
        check_sizes(self.lstm.iter().chain(&self.dense).chain([&self.embedding]))?;
        for share in [self.dropout, self.row_dropout, self.weight_dropout] {
            check_dropout(share)?;
        }
        if self.lstm.is_empty() {
            return Err("expected at least one LSTM layer, got none".into());
        }
        if self.context_events > MOST_CONTEXT_EVENTS {
            return Err(format!("expected at most {MOST_CONTEXT_EVENTS} context events, got {}", self.context_events));
        }
        let twice = self.features.iter().enumerate().find(|(i, f)| self.features[..*i].contains(f));
        twice.map_or(Ok(()), |(_, feature)| Err(format!("expected each feature once, got {feature:?} twice")))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::NetworkConfig;

    const FUGUE: &str = r#"{"kind": "line", "vocab_size": 100, "embedding": 32, "features": ["beat", "held"], "lstm": [64],
        "dense": [16], "dropout": 0.1, "context_events": 50, "home_key": "c_major_a_minor"}"#;

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
