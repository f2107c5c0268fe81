//! The stack: four voices on a grid, decided from the top.

use std::sync::Arc;

use super::{Kind, words};
use crate::config::{StackConfig, Tensors};
use crate::decision::Lanes;
use crate::generate::{Capabilities, FollowedControls, Network};
use crate::sampling::Sampler;
use crate::stream::{GridNetwork, StackLayers};
use crate::tokeniser::grid::NUM_VOICES;
use crate::weights_file::Weights;

impl StackConfig {
    /// Packs checked weights of this shape.
    ///
    /// # Errors
    /// If the network looks up more features at once than a stream carries.
    pub fn pack(&self, weights: &Weights) -> Result<GridNetwork<StackLayers>, String> {
        Ok(GridNetwork::new(weights.description.clone(), StackLayers::new(weights, self)?))
    }
}

impl Kind for StackConfig {
    fn tensors(&self) -> Tensors {
        self.tensors()
    }

    fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    fn sees(&self) -> Vec<String> {
        words(self.features.iter().map(|feature| feature.kind))
    }

    fn check(&self) -> Result<(), String> {
        self.check()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            harmonises: true,
            lanes: Lanes::first(NUM_VOICES),
            controls: FollowedControls::default(),
            decides_velocity: false,
            decides_timing: false,
            sampler: Sampler::CAREFUL,
        }
    }

    fn network(&self, weights: &Weights) -> Result<Arc<dyn Network>, String> {
        Ok(Arc::new(self.pack(weights)?))
    }
}
