//! Batches for split networks: whole steps, with their voices in the order of sampling.

use anyhow::Result;
use candle_core::{Device, Tensor};
use continuo_model::config::SplitConfig;
use continuo_model::random::SplitMix64;
use continuo_model::tokeniser::grid::NUM_VOICES;
use continuo_model::tokeniser::step_reader::{HEAD_SLOTS, NO_INDEX, StepReader, relative_columns};
use continuo_model::tokeniser::{GridReader, Reader};
use continuo_network::{Inputs, SplitInputs};

use super::controls::reveal;
use crate::batches::Batch;
use crate::kinds::four_voices::GridPiece;

/// A piece as steps: the inputs of each step and its targets.
pub struct Steps {
    /// (steps, trunk slots).
    trunk: Vec<u32>,
    /// (steps, voices, `HEAD_SLOTS`).
    head: Vec<u32>,
    /// The pitch of each voice in the step before, (steps, voices).
    before: Vec<Option<u8>>,
    /// (steps, voices).
    targets: Vec<u32>,
}

impl Steps {
    /// Encodes a piece. A share `any_order` of the steps has its voices in random order, the others from the top.
    /// Controls are set at random, so that the network learns to play with and without them.
    pub fn read(config: &SplitConfig, piece: &GridPiece, any_order: f32, rng: &mut SplitMix64) -> Self {
        let mut steps = Self { trunk: Vec::new(), head: Vec::new(), before: Vec::new(), targets: Vec::new() };
        let controls = reveal(piece, &config.features, rng);
        let mut reader = StepReader::new();
        let mut indices = vec![NO_INDEX; config.trunk_slots()];
        let mut head_indices = [NO_INDEX; HEAD_SLOTS];
        for (row, controls) in piece.grid.steps.iter().zip(controls) {
            reader.trunk_indices(&config.features, controls, &mut indices);
            steps.trunk.extend_from_slice(&indices);
            let mut order: [usize; NUM_VOICES] = std::array::from_fn(|voice| voice);
            if rng.next_f32() < any_order {
                rng.shuffle(&mut order);
            }
            for voice in order {
                reader.head_indices(voice, config.sees_echo(), &mut head_indices);
                steps.head.extend_from_slice(&head_indices);
                steps.before.push(reader.sounding(voice));
                steps.targets.push(row[voice].into());
                reader.feed(voice, row[voice]);
            }
        }
        steps
    }
}

/// A batch of windows of `steps` steps each.
pub fn batch(
    config: &SplitConfig,
    pieces: &[Steps],
    windows: &[(usize, usize)],
    steps: usize,
    device: &Device,
) -> Result<Batch> {
    let (slots, batch) = (config.trunk_slots(), windows.len());
    let cells = steps * batch * NUM_VOICES;
    let mut trunk = vec![NO_INDEX; steps * batch * slots];
    let mut head = vec![NO_INDEX; cells * HEAD_SLOTS];
    let mut relative = vec![0; cells * config.vocab_size];
    let mut targets = vec![0; cells];
    let mut weights = vec![0_f32; cells];
    for (column, &(piece, start)) in windows.iter().enumerate() {
        let piece = &pieces[piece];
        for step in 0..steps {
            let (to, from) = (step * batch + column, start + step);
            let there = (from + 1) * NUM_VOICES <= piece.targets.len();
            if there {
                trunk[to * slots..][..slots].copy_from_slice(&piece.trunk[from * slots..][..slots]);
            }
            for voice in 0..NUM_VOICES {
                let (to, from) = (to * NUM_VOICES + voice, from * NUM_VOICES + voice);
                let columns = &mut relative[to * config.vocab_size..][..config.vocab_size];
                relative_columns(if there { piece.before[from] } else { None }, columns);
                if there {
                    head[to * HEAD_SLOTS..][..HEAD_SLOTS]
                        .copy_from_slice(&piece.head[from * HEAD_SLOTS..][..HEAD_SLOTS]);
                    (targets[to], weights[to]) = (piece.targets[from], 1.0);
                }
            }
        }
    }
    Ok(Batch {
        inputs: Inputs::Split(SplitInputs {
            steps,
            batch,
            trunk: trunk.into(),
            head: head.into(),
            relative: Tensor::from_vec(relative, (cells, config.vocab_size), device)?,
        }),
        targets: Tensor::from_vec(targets, cells, device)?,
        weights: Tensor::from_vec(weights, cells, device)?,
    })
}
