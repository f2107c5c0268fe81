//! Sliding windows over pieces, in random keys and random order, as tensors.

use std::ops::RangeInclusive;

use anyhow::Result;
use candle_core::{Device, Tensor};
use continuo_model::network::Inputs;
use continuo_model::network::config::NetworkConfig;
use continuo_model::random::SplitMix64;
use continuo_model::tokeniser::grid::{CellReader, Grid, NUM_VOICES};
use continuo_model::vocabulary::{Symbol, Vocabulary};

use crate::recipe::Training;

/// A batch as the network takes it.
pub struct Batch {
    /// What the network sees, time first.
    pub inputs: Inputs,
    /// What it should say, (steps * batch) of u32.
    pub targets: Tensor,
    /// 1 where there is a cell, 0 where a piece is shorter than the window, (steps * batch) of f32.
    pub weights: Tensor,
}

/// A piece read cell by cell: what is known before each, and what it is.
struct Cells {
    previous: Vec<u32>,
    features: Vec<u32>,
    targets: Vec<u32>,
}

/// One epoch's batches; the same for the same arguments.
pub struct Epoch<'a> {
    config: &'a NetworkConfig,
    pieces: Vec<Cells>,
    /// (piece, first cell) of each window, shuffled.
    windows: Vec<(usize, usize)>,
    window_cells: usize,
    batch: usize,
}

impl<'a> Epoch<'a> {
    /// Puts the pieces into their keys for this epoch and cuts windows.
    pub fn new(config: &'a NetworkConfig, training: &Training, pieces: &[Grid], rng: &mut SplitMix64) -> Self {
        let ranges = voice_ranges(pieces);
        let mut cells = Vec::with_capacity(pieces.len());
        let mut windows = Vec::new();
        for (i, piece) in pieces.iter().enumerate() {
            let semitones = if training.transpose {
                let keys: Vec<i8> = allowed_shifts(piece, &ranges).collect();
                keys[rng.next_below(keys.len())]
            } else {
                0
            };
            cells.push(read_cells(config, &piece.transposed(semitones)));
            let steps = piece.steps.len();
            let last_start = steps.saturating_sub(training.window_steps);
            // A random phase, so that an epoch's windows do not start where the last one's did.
            let phase = rng.next_below(training.window_hop_steps);
            let starts = (phase..last_start).step_by(training.window_hop_steps).chain([0, last_start]);
            let mut starts: Vec<_> = starts.collect();
            starts.sort_unstable();
            starts.dedup();
            windows.extend(starts.into_iter().map(|step| (i, step * NUM_VOICES)));
        }
        rng.shuffle(&mut windows);
        let window_cells = training.window_steps * NUM_VOICES;
        Self { config, pieces: cells, windows, window_cells, batch: training.batch }
    }

    /// How many batches there are.
    pub fn len(&self) -> usize {
        self.windows.len().div_ceil(self.batch)
    }

    /// Batch number `n`; the last may be smaller.
    pub fn batch(&self, n: usize, device: &Device) -> Result<Batch> {
        let windows = &self.windows[n * self.batch..self.windows.len().min((n + 1) * self.batch)];
        let slots = self.config.feature_slots();
        let (steps, batch) = (self.window_cells, windows.len());
        let mut previous = vec![0; steps * batch];
        let mut features = vec![0; steps * batch * slots];
        let mut targets = vec![0; steps * batch];
        let mut weights = vec![0_f32; steps * batch];
        for (column, &(piece, start)) in windows.iter().enumerate() {
            let cells = &self.pieces[piece];
            for step in 0..steps.min(cells.targets.len() - start) {
                let (to, from) = (step * batch + column, start + step);
                previous[to] = cells.previous[from];
                targets[to] = cells.targets[from];
                weights[to] = 1.0;
                features[to * slots..(to + 1) * slots]
                    .copy_from_slice(&cells.features[from * slots..(from + 1) * slots]);
            }
        }
        Ok(Batch {
            inputs: Inputs {
                previous: Tensor::from_vec(previous, (steps, batch), device)?,
                features: Tensor::from_vec(features, (steps, batch, slots), device)?,
            },
            targets: Tensor::from_vec(targets, steps * batch, device)?,
            weights: Tensor::from_vec(weights, steps * batch, device)?,
        })
    }
}

fn read_cells(config: &NetworkConfig, grid: &Grid) -> Cells {
    let mut cells = Cells { previous: Vec::new(), features: Vec::new(), targets: Vec::new() };
    let mut reader = CellReader::new();
    let mut rows = vec![0; config.feature_slots()];
    for &token in grid.steps.iter().flatten() {
        cells.previous.push(reader.previous().map_or(config.vocab_size as u32, u32::from));
        reader.feature_rows(&config.features, &mut rows);
        cells.features.extend_from_slice(&rows);
        cells.targets.push(token.into());
        reader.feed(token);
    }
    cells
}

/// Lowest and highest pitch of each voice.
type Ranges = [RangeInclusive<u8>; NUM_VOICES];

fn voice_ranges(pieces: &[Grid]) -> Ranges {
    std::array::from_fn(|voice| {
        let pitches = || pieces.iter().flat_map(move |piece| voice_pitches(piece, voice));
        pitches().min().unwrap_or(0)..=pitches().max().unwrap_or(0)
    })
}

fn voice_pitches(grid: &Grid, voice: usize) -> impl Iterator<Item = u8> {
    grid.steps.iter().filter_map(move |row| match Vocabulary::GRID.symbol(row[voice]) {
        Some(Symbol::Pitch(pitch)) => Some(pitch),
        _ => None,
    })
}

/// The transpositions, in semitones, that leave every voice in its range; 0 is always one.
fn allowed_shifts<'a>(grid: &'a Grid, ranges: &'a Ranges) -> impl Iterator<Item = i8> + 'a {
    (-12..=12).filter(move |&shift: &i8| {
        (0..NUM_VOICES).all(|voice| {
            voice_pitches(grid, voice)
                .all(|pitch| pitch.checked_add_signed(shift).is_some_and(|p| ranges[voice].contains(&p)))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(rows: &[[u8; 4]]) -> Grid {
        let rows: Vec<_> = rows.iter().map(|row| row.map(Some)).collect();
        Grid::from_pitches(&rows, None)
    }

    #[test]
    fn transposition_stays_in_every_voices_range() {
        let pieces = [piece(&[[72, 64, 55, 48], [74, 65, 53, 50]]), piece(&[[70, 62, 55, 46]])];
        let ranges = voice_ranges(&pieces);
        assert_eq!(ranges, [70..=74, 62..=65, 53..=55, 46..=50]);
        let shifts = |i: usize| allowed_shifts(&pieces[i], &ranges).collect::<Vec<_>>();
        assert_eq!(shifts(0), [0]);
        assert_eq!(shifts(1), [-2, -1, 0][2..]);
    }

    #[test]
    fn windows_hold_every_cell_and_pad_short_pieces() {
        let training = Training {
            optimiser: crate::recipe::Optimiser::Nadam,
            learning_rate: 1.0,
            schedule: Default::default(),
            batch: 2,
            window_steps: 4,
            window_hop_steps: 4,
            transpose: false,
            clip_norm: 1.0,
            epochs: 1,
            patience: 1,
        };
        let config = NetworkConfig::chorale(48);
        let long: Vec<_> = (0..9).map(|i| [60 + i, 55, 50, 45]).collect();
        let pieces = [piece(&long), piece(&long[..2])];
        let epoch = Epoch::new(&config, &training, &pieces, &mut SplitMix64::new(1));
        let (mut seen, mut cells) = (std::collections::BTreeSet::new(), 0.0);
        for n in 0..epoch.len() {
            let batch = epoch.batch(n, &Device::Cpu).unwrap();
            let weights = batch.weights.to_vec1::<f32>().unwrap();
            cells += weights.iter().sum::<f32>();
            seen.extend(batch.targets.to_vec1::<u32>().unwrap());
        }
        // Every soprano pitch was in some window, and the short piece counts its 8 cells only once.
        assert!((60..69).all(|pitch| seen.contains(&(pitch - 35))), "{seen:?}");
        assert_eq!(cells as usize % 16, 8);
    }
}
