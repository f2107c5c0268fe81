//! The line model: one line of words, a melody or chords, in turn with the player.

use std::sync::Arc;

use super::{Kind, words};
use crate::config::{LineConfig, Tensors};
use crate::decision::Lanes;
use crate::generate::{Capabilities, FollowedControls, Network};
use crate::sampling::Sampler;
use crate::stream::LineNetwork;
use crate::tokeniser::grid::NUM_VOICES;
use crate::weights_file::{Description, Weights, WeightsProblem};

impl LineConfig {
    /// Packs checked weights of this shape.
    ///
    /// # Errors
    /// If the network looks up more numbers at once than a stream carries.
    pub fn pack(&self, weights: &Weights) -> Result<LineNetwork, String> {
        LineNetwork::new(weights, self)
    }
}

impl Kind for LineConfig {
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

    /// A line model speaks the words that it brings along.
    fn check_vocabulary(&self, description: &Description) -> Result<(), WeightsProblem> {
        description.words().map(|_| ()).map_err(WeightsProblem::BadDescription)
    }

    /// Its notes go to the lanes of the four voices from the top: a melody to the soprano's.
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            harmonises: false,
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
