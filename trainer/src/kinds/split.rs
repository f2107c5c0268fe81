//! Split networks: four voices in any order. The trunk runs once per step, the head once per voice.

mod controls;
mod steps;

use std::path::{Path, PathBuf};

use anyhow::Result;
use candle_core::Device;
use continuo_model::config::{NetworkConfig, SplitConfig};
use continuo_model::random::SplitMix64;
use continuo_model::weights_file::Weights;

use super::four_voices::{self, GridPiece, Grids, ReadsGrids, given_voices};
use super::{Judgement, Judging, Material, Music, TrainerSide, lstm_layers};
use crate::batches::{Batch, Sequences, Window};
use crate::recipe::{Recipe, Training};
use crate::seeds::Seed;
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
        four_voices::check(recipe)
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

    fn sequences(&self, pieces: &[GridPiece], training: &Training, rng: &mut SplitMix64) -> Box<dyn Sequences> {
        let pieces = pieces.iter().map(|piece| Steps::read(self, piece, training.any_order, rng)).collect();
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
