//! Stacks: four voices, one cell at a time from the top.

mod cells;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, ensure};
use candle_core::Device;
use continuo_model::config::{NetworkConfig, StackConfig};
use continuo_model::generate::Network;
use continuo_model::random::SplitMix64;
use continuo_model::tokeniser::grid::NUM_VOICES;
use continuo_model::weights_file::Weights;

use super::four_voices::{self, GridPiece, Grids, ReadsGrids, given_voices};
use super::{Judgement, Judging, Material, Music, TrainerSide, dense_layers, lstm_layers};
use crate::batches::{Batch, Sequences, Window};
use crate::own_past;
use crate::recipe::{Recipe, Training};
use crate::seeds::Seed;
use cells::Cells;

impl TrainerSide for StackConfig {
    fn layers(&self) -> Vec<String> {
        let mut layers = vec![format!("embedding {}", self.embedding)];
        layers.extend(self.convolutions.iter().map(|convolution| {
            let (channels, kernel, dilation) = (convolution.channels, convolution.kernel, convolution.dilation);
            format!("convolution {channels} (kernel {kernel}, dilation {dilation})")
        }));
        layers.push(format!("dropout {}", self.dropout));
        layers.extend(lstm_layers(&self.lstm));
        layers.extend(dense_layers(&self.dense));
        layers
    }

    fn check(&self, recipe: &Recipe) -> Result<()> {
        four_voices::check(recipe)?;
        own_past::check_unused(recipe)
    }

    fn material(&self, recipe: &Recipe, music: Music, _start: Option<&Weights>) -> Result<Box<dyn Material>> {
        Ok(Box::new(Grids::read(self.clone(), recipe, music)?))
    }

    fn judge(&self, weights: &Weights, judging: Judging) -> Result<Judgement> {
        let given = given_voices(judging.given)?;
        let free = given.iter().position(|given| !given).unwrap_or(given.len());
        ensure!(
            !given[free..].contains(&true),
            "--given {}: a stack decides voices from the top; only voices above all others can be given",
            judging.given
        );
        let pieces = four_voices::to_judge(weights, judging)?;
        four_voices::judgement(self.pack(weights), &pieces, given)
    }

    fn seed(&self, _weights: &Weights, path: &Path) -> Result<Seed> {
        four_voices::seed(path)
    }

    fn seeds(&self, weights: &Weights, paths: &[PathBuf]) -> Result<Vec<Seed>> {
        four_voices::seeds(weights, paths)
    }
}

impl ReadsGrids for StackConfig {
    fn judge(&self, weights: &Weights, pieces: &[GridPiece]) -> Result<Judgement> {
        four_voices::judgement(self.pack(weights), pieces, Default::default())
    }

    fn config(&self) -> NetworkConfig {
        NetworkConfig::Stack(self.clone())
    }

    fn sequences(
        &self,
        pieces: &[GridPiece],
        training: &Training,
        _player: Option<&Arc<dyn Network>>,
        _rng: &mut SplitMix64,
    ) -> Box<dyn Sequences> {
        let pieces = pieces.iter().map(|piece| Cells::read(self, &piece.grid)).collect();
        Box::new(StackSequences { config: self.clone(), pieces, window_steps: training.window_steps })
    }
}

/// Pieces as cells.
struct StackSequences {
    config: StackConfig,
    pieces: Vec<Cells>,
    window_steps: usize,
}

impl Sequences for StackSequences {
    fn batch(&self, windows: &[Window], device: &Device) -> Result<Batch> {
        cells::batch(&self.config, &self.pieces, windows, self.window_steps * NUM_VOICES, device)
    }
}
