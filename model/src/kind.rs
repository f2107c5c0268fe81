//! The kinds of model, and what a weights file must say of each: the one table of kinds.

mod ensemble;
mod line;
mod split;
mod stack;

use std::sync::Arc;

use crate::config::{NetworkConfig, Tensors};
use crate::generate::{Capabilities, Network};
use crate::vocabulary::Vocabulary;
use crate::weights_file::{Description, Weights, WeightsProblem};

/// A kind of model: its shape, its checks, and how its weights become something that plays. The shape of each kind
/// implements it.
pub trait Kind {
    /// Every tensor that the network consists of, with its shape, in a fixed order.
    fn tensors(&self) -> Tensors;

    /// How many tokens come out.
    fn vocab_size(&self) -> usize;

    /// What the network is shown beside the tokens before, in words.
    fn sees(&self) -> Vec<String>;

    /// Refuses a shape that no network can have.
    ///
    /// # Errors
    /// What is wrong, in words.
    fn check(&self) -> Result<(), String>;

    /// Refuses weights whose tokens mean something else than this build's.
    ///
    /// # Errors
    /// What is wrong.
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

    /// Packs checked weights of this shape.
    ///
    /// # Errors
    /// If the network needs more than a stream carries.
    fn network(&self, weights: &Weights) -> Result<Arc<dyn Network>, String>;
}

impl NetworkConfig {
    /// The shape, whatever its kind. A new kind has its line here.
    pub fn kind(&self) -> &dyn Kind {
        match self {
            Self::Stack(shape) => shape,
            Self::Split(shape) => shape,
            Self::Ensemble(shape) => shape,
            Self::Line(shape) => shape,
        }
    }
}

/// The names of features, in words.
fn words<F: std::fmt::Debug>(features: impl Iterator<Item = F>) -> Vec<String> {
    features.map(|feature| format!("{feature:?}").to_lowercase()).collect()
}
