//! What the tests of split networks share.

use std::collections::BTreeMap;

use continuo_model::config::{NetworkConfig, SplitConfig};
use continuo_model::tokeniser::step_reader::StepFeature;
use continuo_model::vocabulary::Vocabulary;
use continuo_model::weights_file::{Description, FORMAT, Weights};

/// A small network with these features.
pub fn config(features: &[StepFeature]) -> SplitConfig {
    SplitConfig {
        vocab_size: Vocabulary::GRID.size(),
        features: features.to_vec(),
        embedding: 8,
        lstm: vec![8],
        head: 8,
        head_layers: 1,
        dropout: 0.0,
        row_dropout: 0.0,
        weight_dropout: 0.0,
    }
}

/// Its weights before training.
pub fn weights(config: &SplitConfig) -> Weights {
    untrained(NetworkConfig::Split(config.clone()), Vocabulary::GRID.hash().to_string())
}

/// The weights of a network before training; `vocabulary` is its hash.
pub fn untrained(config: NetworkConfig, vocabulary: String) -> Weights {
    let description = Description {
        format: FORMAT,
        name: String::new(),
        config,
        vocabulary,
        lexicon: None,
        recipe: String::new(),
        sampling: None,
        corpora: Vec::new(),
        commit: String::new(),
        figures: BTreeMap::new(),
    };
    Weights::untrained(description, 1).unwrap()
}
