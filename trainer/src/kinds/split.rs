//! Split networks: four voices in any order. The trunk runs once per step, the head once per voice.

mod controls;
mod features;
mod own_past;
mod steps;
#[cfg(test)]
pub mod testing;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, ensure};
use candle_core::Device;
use continuo_model::config::{NetworkConfig, SplitConfig};
use continuo_model::generate::Network;
use continuo_model::random::SplitMix64;
use continuo_model::weights_file::Weights;

use super::four_voices::{self, GridPiece, Grids, ReadsGrids, given_voices};
use super::{Judgement, Judging, Material, Music, TrainerSide, lstm_layers};
use crate::batches::{Batch, Sequences, Window};
use crate::recipe::{Recipe, Training};
use crate::seeds::Seed;
use controls::reveal;
use own_past::OwnPast;
use steps::Steps;

impl TrainerSide for SplitConfig {
    fn layers(&self) -> Vec<String> {
        let mut layers = vec![format!("trunk: rows of {}", self.embedding)];
        layers.extend(lstm_layers(&self.lstm));
        layers.push(format!("head: rows of {}", self.head));
        layers.push(format!("{} residual layers of {}", self.head_layers, self.head));
        layers
    }

    fn check(&self, recipe: &Recipe) -> Result<()> {
        ensure!(
            recipe.training.own_past.as_ref().is_none_or(|own_past| !own_past.given.is_empty()),
            "training.own_past.given: expected at least one entry, such as \"S\", got none"
        );
        four_voices::check(recipe)
    }

    fn with_features_of(&self, start: &Weights) -> Option<Weights> {
        features::widened(self, start)
    }

    fn material(&self, recipe: &Recipe, music: Music, _start: Option<&Weights>) -> Result<Box<dyn Material>> {
        Ok(Box::new(Grids::read(self.clone(), recipe, music)?))
    }

    fn judge(&self, weights: &Weights, judging: Judging) -> Result<Judgement> {
        let (pieces, given) = (four_voices::to_judge(weights, judging)?, given_voices(judging.given)?);
        four_voices::judgement(self.pack(weights), &pieces, given)
    }

    fn seed(&self, _weights: &Weights, path: &Path) -> Result<Seed> {
        four_voices::seed(path)
    }

    fn seeds(&self, weights: &Weights, paths: &[PathBuf]) -> Result<Vec<Seed>> {
        four_voices::seeds(weights, paths)
    }
}

impl ReadsGrids for SplitConfig {
    fn judge(&self, weights: &Weights, pieces: &[GridPiece]) -> Result<Judgement> {
        four_voices::judgement(self.pack(weights), pieces, Default::default())
    }

    fn config(&self) -> NetworkConfig {
        NetworkConfig::Split(self.clone())
    }

    /// Controls are set at random, so that the network learns to play with and without them.
    fn sequences(
        &self,
        pieces: &[GridPiece],
        training: &Training,
        player: Option<&Arc<dyn Network>>,
        rng: &mut SplitMix64,
    ) -> Box<dyn Sequences> {
        let player = training.own_past.as_ref().zip(player);
        let pieces = pieces.iter().map(|piece| {
            let controls = reveal(piece, &self.features, rng);
            match player {
                Some((own_past, network)) if rng.next_f32() < own_past.share => {
                    let given = own_past.given[rng.next_below(own_past.given.len())].0;
                    let own = OwnPast::play(Arc::clone(network), piece, given, &controls, rng);
                    Steps::read_beside(self, piece, &controls, &own)
                }
                _ => Steps::read(self, piece, &controls, training.any_order, rng),
            }
        });
        let pieces = pieces.collect();
        Box::new(SplitSequences { config: self.clone(), pieces, window_steps: training.window_steps })
    }
}

/// Pieces as steps.
struct SplitSequences {
    config: SplitConfig,
    pieces: Vec<Steps>,
    window_steps: usize,
}

impl Sequences for SplitSequences {
    fn batch(&self, windows: &[Window], device: &Device) -> Result<Batch> {
        steps::batch(&self.config, &self.pieces, windows, self.window_steps, device)
    }
}
