//! The split network: four voices on a grid, decided in any order.

use std::sync::Arc;

use super::{Kind, words};
use crate::config::{SplitConfig, Tensors};
use crate::decision::Lanes;
use crate::generate::{Capabilities, FollowedControls, Network};
use crate::sampling::Sampler;
use crate::stream::{GridNetwork, SplitLayers};
use crate::tokeniser::grid::NUM_VOICES;
use crate::tokeniser::step_reader::StepFeature;
use crate::weights_file::Weights;

impl SplitConfig {
    /// Packs checked weights of this shape.
    ///
    /// # Errors
    /// If the network looks up more numbers at once than a stream carries.
    pub fn pack(&self, weights: &Weights) -> Result<GridNetwork<SplitLayers>, String> {
        Ok(GridNetwork::new(weights.description.clone(), SplitLayers::single(weights, self)?))
    }
}

impl Kind for SplitConfig {
    fn tensors(&self) -> Tensors {
        self.tensors()
    }

    fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    fn sees(&self) -> Vec<String> {
        words(self.features.iter())
    }

    fn check(&self) -> Result<(), String> {
        self.check()
    }

    fn capabilities(&self) -> Capabilities {
        let follows = |feature| self.features.contains(&feature);
        Capabilities {
            harmonises: true,
            lanes: Lanes::first(NUM_VOICES),
            controls: FollowedControls {
                key: follows(StepFeature::Key),
                fermata: follows(StepFeature::Fermata),
                density: follows(StepFeature::Density),
                register: follows(StepFeature::Register),
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
