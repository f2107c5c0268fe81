//! Batches for stacks: one cell, a voice in a step, after the other.

use anyhow::Result;
use candle_core::{Device, Tensor};
use continuo_model::config::StackConfig;
use continuo_model::tokeniser::Reader;
use continuo_model::tokeniser::grid::{CellReader, Grid, NUM_VOICES};
use continuo_network::{Inputs, StackInputs};

use crate::batches::Batch;

/// A piece as cells: the inputs of each cell and its target.
pub struct Cells {
    previous: Vec<u32>,
    features: Vec<u32>,
    targets: Vec<u32>,
}

impl Cells {
    pub fn read(config: &StackConfig, grid: &Grid) -> Self {
        let mut cells = Self { previous: Vec::new(), features: Vec::new(), targets: Vec::new() };
        let mut reader = CellReader::new();
        let mut indices = vec![0; config.feature_slots()];
        for &token in grid.steps.iter().flatten() {
            cells.previous.push(reader.previous().map_or(config.vocab_size as u32, u32::from));
            reader.feature_indices(&config.features, &mut indices);
            cells.features.extend_from_slice(&indices);
            cells.targets.push(token.into());
            reader.feed(reader.voice(), token);
        }
        cells
    }
}

/// A batch of windows of `steps` cells each.
pub fn batch(
    config: &StackConfig,
    pieces: &[Cells],
    windows: &[(usize, usize)],
    steps: usize,
    device: &Device,
) -> Result<Batch> {
    let (slots, batch) = (config.feature_slots(), windows.len());
    let mut previous = vec![0; steps * batch];
    let mut features = vec![0; steps * batch * slots];
    let mut targets = vec![0; steps * batch];
    let mut weights = vec![0_f32; steps * batch];
    for (column, &(piece, start)) in windows.iter().enumerate() {
        let (cells, start) = (&pieces[piece], start * NUM_VOICES);
        for step in 0..steps.min(cells.targets.len() - start) {
            let (to, from) = (step * batch + column, start + step);
            previous[to] = cells.previous[from];
            targets[to] = cells.targets[from];
            weights[to] = 1.0;
            features[to * slots..(to + 1) * slots].copy_from_slice(&cells.features[from * slots..(from + 1) * slots]);
        }
    }
    Ok(Batch {
        inputs: Inputs::Stack(StackInputs {
            previous: Tensor::from_vec(previous, (steps, batch), device)?,
            features: Tensor::from_vec(features, (steps, batch, slots), device)?,
        }),
        targets: Tensor::from_vec(targets, steps * batch, device)?,
        weights: Tensor::from_vec(weights, steps * batch, device)?,
    })
}
