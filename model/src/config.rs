//! The kinds of model and the shapes of their networks, as recipes and weights files give them. Each kind has a file
//! here; this one holds the table of kinds.

mod ensemble;
mod initial;
mod line;
mod performance;
mod split;
mod stack;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::generate::{Capabilities, Network};
use crate::vocabulary::Vocabulary;
use crate::weights_file::{Description, Weights, WeightsProblem};

pub use ensemble::EnsembleConfig;
pub use initial::InitialTensor;
pub use line::{HomeKey, LineConfig};
pub use performance::PerformanceConfig;
pub use split::SplitConfig;
pub use stack::{Convolution, Feature, FeatureKind, StackConfig};

/// Added to the variance in batch normalisation (Keras's default).
pub const NORM_EPSILON: f64 = 1e-3;

/// Names and shapes of tensors.
pub type Tensors = Vec<(String, Vec<usize>)>;

/// The kind of a model and the shape of its network. A new kind adds a variant here and a line to
/// [`NetworkConfig::kind`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum NetworkConfig {
    /// Predicts one token from those before it; voices come in a fixed order.
    Stack(StackConfig),
    /// A trunk that runs once a step and a head that runs once a voice; voices come in any order.
    Split(SplitConfig),
    /// Several split networks of one shape, trained separately, whose predictions are averaged.
    Ensemble(EnsembleConfig),
    /// Predicts one line, a melody or chords, in words of its own lexicon.
    Line(LineConfig),
    /// Predicts performed notes: onset, lane, key, length and velocity.
    Performance(PerformanceConfig),
}

impl NetworkConfig {
    /// The implementation of this configuration's kind.
    pub fn kind(&self) -> &dyn Kind {
        match self {
            Self::Stack(config) => config,
            Self::Split(config) => config,
            Self::Ensemble(config) => config,
            Self::Line(config) => config,
            Self::Performance(config) => config,
        }
    }

    /// Every tensor of the network with its shape, in a fixed order.
    pub fn tensors(&self) -> Tensors {
        self.kind().tensors()
    }

    /// The number of output tokens.
    pub fn vocab_size(&self) -> usize {
        self.kind().vocab_size()
    }

    /// Names of the input features beside the previous tokens.
    pub fn sees(&self) -> Vec<String> {
        self.kind().sees()
    }

    /// The number of parameters in all tensors, including the running mean and variance of batch normalisation, as
    /// Keras counts them.
    pub fn num_parameters(&self) -> usize {
        self.tensors().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }

    /// Checks that a network can have this shape.
    ///
    /// # Errors
    /// Describes the first problem.
    pub fn check(&self) -> Result<(), String> {
        self.kind().check()
    }
}

/// A kind of model: which tensors it has, what its weights file must contain, and how its weights become a network that
/// plays.
pub trait Kind {
    /// Every tensor of the network with its shape, in a fixed order. Weights are (inputs, outputs); the gates of an
    /// LSTM come in the order input, forget, cell, output.
    fn tensors(&self) -> Tensors;

    /// The number of output tokens.
    fn vocab_size(&self) -> usize;

    /// Names of the input features beside the previous tokens.
    fn sees(&self) -> Vec<String>;

    /// Checks that a network can have this shape.
    ///
    /// # Errors
    /// Describes the first problem.
    fn check(&self) -> Result<(), String>;

    /// Checks that the tokens of the weights mean the same in this build.
    ///
    /// # Errors
    /// If they do not.
    fn check_vocabulary(&self, description: &Description) -> Result<(), WeightsProblem> {
        let (ours, size) = (Vocabulary::GRID.hash().to_string(), Vocabulary::GRID.size());
        if description.vocabulary != ours {
            return Err(WeightsProblem::Vocabulary(description.vocabulary.clone(), ours));
        }
        if self.vocab_size() != size {
            let problem = format!("expected {size} tokens, got {}", self.vocab_size());
            return Err(WeightsProblem::BadDescription(problem));
        }
        Ok(())
    }

    /// What a model of this shape can do.
    fn capabilities(&self) -> Capabilities;

    /// Packs checked weights of this shape into a network that plays.
    ///
    /// # Errors
    /// If the network looks up more table rows at once than [`crate::stream`] supports.
    fn network(&self, weights: &Weights) -> Result<Arc<dyn Network>, String>;
}

/// The names of features in lower case.
fn names<F: std::fmt::Debug>(features: impl Iterator<Item = F>) -> Vec<String> {
    features.map(|feature| format!("{feature:?}").to_lowercase()).collect()
}

/// Appends the tensors of LSTM layers on an input of `width`; returns the width of their output.
fn push_lstm(tensors: &mut Tensors, mut width: usize, layers: &[usize]) -> usize {
    for (i, &units) in layers.iter().enumerate() {
        tensors.push((format!("lstm.{i}.w_ih"), vec![width, 4 * units]));
        tensors.push((format!("lstm.{i}.w_hh"), vec![units, 4 * units]));
        tensors.push((format!("lstm.{i}.bias"), vec![4 * units]));
        width = units;
    }
    width
}

/// Appends the tensors of dense layers on an input of `width`.
fn push_dense<'a>(tensors: &mut Tensors, mut width: usize, layers: impl IntoIterator<Item = &'a usize>) {
    for (i, &units) in layers.into_iter().enumerate() {
        tensors.push((format!("dense.{i}.weight"), vec![width, units]));
        tensors.push((format!("dense.{i}.bias"), vec![units]));
        width = units;
    }
}

/// Keeps a malformed file from making the reader allocate absurd sizes.
fn check_sizes<'a>(sizes: impl IntoIterator<Item = &'a usize>) -> Result<(), String> {
    match sizes.into_iter().find(|size| !(1..=65_536).contains(*size)) {
        Some(size) => Err(format!("expected layer sizes from 1 to 65536, got {size}")),
        None => Ok(()),
    }
}

fn check_dropout(dropout: f32) -> Result<(), String> {
    if (0.0..1.0).contains(&dropout) {
        Ok(())
    } else {
        Err(format!("expected a dropout from 0 up to 1, got {dropout}"))
    }
}

/// Refuses a list that names a feature twice.
fn check_features<F: PartialEq + std::fmt::Debug>(features: &[F]) -> Result<(), String> {
    let twice = features.iter().enumerate().find(|(i, feature)| features[..*i].contains(feature));
    twice.map_or(Ok(()), |(_, feature)| Err(format!("expected each feature once, got {feature:?} twice")))
}
