//! The ensemble: several split networks of one shape, whose predictions are averaged.

use std::sync::Arc;

use super::Kind;
use crate::config::{EnsembleConfig, Tensors};
use crate::generate::{Capabilities, Network};
use crate::stream::{GridNetwork, SplitLayers};
use crate::weights_file::Weights;

/// More members than this are refused.
const MOST_MEMBERS: usize = 16;

impl EnsembleConfig {
    /// Packs checked weights of this shape.
    ///
    /// # Errors
    /// If the members look up more numbers at once than a stream carries.
    pub fn pack(&self, weights: &Weights) -> Result<GridNetwork<SplitLayers>, String> {
        Ok(GridNetwork::new(weights.description.clone(), SplitLayers::ensemble(weights, self)?))
    }
}

impl Kind for EnsembleConfig {
    fn tensors(&self) -> Tensors {
        let of_member = |n: usize| self.member.tensors().into_iter().map(move |(name, s)| (format!("{n}.{name}"), s));
        (0..self.members).flat_map(of_member).collect()
    }

    fn vocab_size(&self) -> usize {
        self.member.vocab_size
    }

    fn sees(&self) -> Vec<String> {
        self.member.sees()
    }

    fn check(&self) -> Result<(), String> {
        if !(1..=MOST_MEMBERS).contains(&self.members) {
            return Err(format!("expected 1 to {MOST_MEMBERS} members, got {}", self.members));
        }
        self.member.check()
    }

    fn capabilities(&self) -> Capabilities {
        self.member.capabilities()
    }

    fn network(&self, weights: &Weights) -> Result<Arc<dyn Network>, String> {
        Ok(Arc::new(self.pack(weights)?))
    }
}
