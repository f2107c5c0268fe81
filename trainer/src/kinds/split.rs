//! Split networks: four voices in any order, a trunk a step and a head a voice.

mod controls;
mod steps;

use std::path::{Path, PathBuf};

use anyhow::Result;
use candle_core::Device;
use continuo_model::network::config::{NetworkConfig, SplitConfig};
use continuo_model::random::SplitMix64;
use continuo_model::stream::StreamingNetwork;
use continuo_model::weights_file::Weights;

use super::four_voices::{self, GridPiece, Grids, ReadsGrids};
use super::{Judgement, Judging, Kind, Material, Music, lstm_layers};
use crate::batches::{Batch, Sequences, Window};
use crate::recipe::{Recipe, Training};
use crate::seeds::Seed;
use steps::Steps;

/// A split network of this shape.
#[derive(Clone)]
pub struct Split(pub SplitConfig);

impl Kind for Split {
    fn layers(&self) -> Vec<String> {
        let config = &self.0;
        let mut layers = vec![format!("trunk: rows of {}", config.embedding)];
        layers.extend(lstm_layers(&config.lstm));
        layers.push(format!("head: rows of {}", config.head));
        layers.push(format!("{} residual layers of {}", config.head_layers, config.head));
        layers
    }

    fn check(&self, recipe: &Recipe) -> Result<()> {
        four_voices::check(recipe)
    }

    fn material(&self, recipe: &Recipe, music: Music, _start: Option<&Weights>) -> Result<Box<dyn Material>> {
        Ok(Box::new(Grids::read(self.clone(), recipe, music)?))
    }

    fn judge(&self, network: &StreamingNetwork, judging: Judging) -> Result<Judgement> {
        four_voices::judge(network, judging)
    }

    fn seed(&self, _weights: &Weights, path: &Path) -> Result<Seed> {
        four_voices::seed(path)
    }

    fn seeds(&self, weights: &Weights, paths: &[PathBuf]) -> Result<Vec<Seed>> {
        four_voices::seeds(weights, paths)
    }
}

impl ReadsGrids for Split {
    fn config(&self) -> NetworkConfig {
        NetworkConfig::Split(self.0.clone())
    }

    fn sequences(&self, pieces: &[GridPiece], training: &Training, rng: &mut SplitMix64) -> Box<dyn Sequences> {
        let pieces = pieces.iter().map(|piece| Steps::read(&self.0, piece, training.any_order, rng)).collect();
        Box::new(SplitSequences { config: self.0.clone(), pieces, window_steps: training.window_steps })
    }
}

/// Pieces step by step.
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
