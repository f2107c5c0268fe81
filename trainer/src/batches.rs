//! Sliding windows over pieces, in random keys and random order, as tensors.

mod cells;
mod lines;
mod steps;

use std::ops::RangeInclusive;
use std::sync::Arc;

use anyhow::Result;
use candle_core::{Device, Tensor};
use continuo_model::config::NetworkConfig;
use continuo_model::lexicon::Lexicon;
use continuo_model::random::SplitMix64;
use continuo_model::tokeniser::grid::{Grid, NUM_VOICES};
use continuo_model::vocabulary::{Symbol, Vocabulary};
use continuo_network::Inputs;

use crate::corpus::GridPiece;
use crate::preparation::Spelt;
use crate::recipe::Training;
use cells::Cells;
use steps::Steps;

/// A batch as the network takes it.
pub struct Batch {
    /// What the network sees, time first.
    pub inputs: Inputs,
    /// What it should say, (cells) of u32, in the order of the network's logits.
    pub targets: Tensor,
    /// 1 where there is a cell, 0 where a piece is shorter than the window, (cells) of f32.
    pub weights: Tensor,
}

/// Pieces as a kind of network reads them.
enum Readings {
    Stack(Vec<Cells>),
    Split(Vec<Steps>),
    Line(Vec<Spelt>, Arc<Lexicon>),
}

/// One epoch's batches; the same for the same arguments.
pub struct Epoch<'a> {
    config: &'a NetworkConfig,
    pieces: Readings,
    /// (piece, first step, or word of a line) of each window, shuffled.
    windows: Vec<(usize, usize)>,
    window_steps: usize,
    batch: usize,
}

impl<'a> Epoch<'a> {
    /// Puts the pieces into their keys for this epoch and cuts windows.
    pub fn new(config: &'a NetworkConfig, training: &Training, pieces: &[GridPiece], rng: &mut SplitMix64) -> Self {
        let ranges = voice_ranges(pieces);
        let mut transposed = Vec::with_capacity(pieces.len());
        let mut windows = Vec::new();
        for (i, piece) in pieces.iter().enumerate() {
            let semitones = if training.transpose {
                let keys: Vec<i8> = allowed_shifts(&piece.grid, &ranges).collect();
                keys[rng.next_below(keys.len())]
            } else {
                0
            };
            transposed.push(piece.transposed(semitones));
            let steps = piece.grid.steps.len();
            let last_start = steps.saturating_sub(training.window_steps);
            // A random phase, so that an epoch's windows do not start where the last one's did.
            let phase = rng.next_below(training.window_hop_steps);
            let starts = (phase..last_start).step_by(training.window_hop_steps).chain([0, last_start]);
            let mut starts: Vec<_> = starts.collect();
            starts.sort_unstable();
            starts.dedup();
            windows.extend(starts.into_iter().map(|step| (i, step)));
        }
        rng.shuffle(&mut windows);
        let pieces = match config {
            NetworkConfig::Stack(config) => {
                Readings::Stack(transposed.iter().map(|piece| Cells::read(config, &piece.grid)).collect())
            }
            NetworkConfig::Split(config) => Readings::Split(
                transposed.iter().map(|piece| Steps::read(config, piece, training.any_order, rng)).collect(),
            ),
            NetworkConfig::Ensemble(_) | NetworkConfig::Line(_) => {
                unreachable!("a recipe's check refuses ensembles, and lines are not on the grid")
            }
        };
        Self { config, pieces, windows, window_steps: training.window_steps, batch: training.batch }
    }

    /// Cuts windows out of songs in words.
    pub fn of_songs(
        config: &'a NetworkConfig,
        training: &Training,
        songs: Vec<Spelt>,
        lexicon: &Arc<Lexicon>,
        rng: &mut SplitMix64,
    ) -> Self {
        let windows = lines::windows(&songs, training, rng);
        let pieces = Readings::Line(songs, lexicon.clone());
        Self { config, pieces, windows, window_steps: training.window_steps, batch: training.batch }
    }

    /// How many batches there are.
    pub fn len(&self) -> usize {
        self.windows.len().div_ceil(self.batch)
    }

    /// Batch number `n`; the last may be smaller.
    pub fn batch(&self, n: usize, device: &Device) -> Result<Batch> {
        let windows = &self.windows[n * self.batch..self.windows.len().min((n + 1) * self.batch)];
        match (&self.pieces, self.config) {
            (Readings::Stack(pieces), NetworkConfig::Stack(config)) => {
                cells::batch(config, pieces, windows, self.window_steps * NUM_VOICES, device)
            }
            (Readings::Split(pieces), NetworkConfig::Split(config)) => {
                steps::batch(config, pieces, windows, self.window_steps, device)
            }
            (Readings::Line(songs, lexicon), NetworkConfig::Line(config)) => {
                lines::batch(config, lexicon, songs, windows, self.window_steps, device)
            }
            _ => unreachable!("the pieces were read for this network"),
        }
    }
}

/// Lowest and highest pitch of each voice.
type Ranges = [RangeInclusive<u8>; NUM_VOICES];

fn voice_ranges(pieces: &[GridPiece]) -> Ranges {
    std::array::from_fn(|voice| {
        let pitches = || pieces.iter().flat_map(move |piece| voice_pitches(&piece.grid, voice));
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
    use continuo_model::config::{SplitConfig, StackConfig};
    use continuo_model::tokeniser::step_reader::StepFeature;

    fn piece(rows: &[[u8; 4]]) -> GridPiece {
        let rows: Vec<_> = rows.iter().map(|row| row.map(Some)).collect();
        GridPiece { grid: Grid::from_pitches(&rows, None), ..GridPiece::default() }
    }

    #[test]
    fn transposition_stays_in_every_voices_range() {
        let pieces = [piece(&[[72, 64, 55, 48], [74, 65, 53, 50]]), piece(&[[70, 62, 55, 46]])];
        let ranges = voice_ranges(&pieces);
        assert_eq!(ranges, [70..=74, 62..=65, 53..=55, 46..=50]);
        let shifts = |i: usize| allowed_shifts(&pieces[i].grid, &ranges).collect::<Vec<_>>();
        assert_eq!(shifts(0), [0]);
        assert_eq!(shifts(1), [-2, -1, 0][2..]);
    }

    #[test]
    fn windows_hold_every_cell_and_pad_short_pieces() {
        let training = Training {
            optimiser: crate::recipe::Rule::Nadam,
            weight_decay: 0.0,
            averaging: 0.0,
            any_order: 1.0,
            learning_rate: 1.0,
            schedule: Default::default(),
            batch: 2,
            window_steps: 4,
            window_hop_steps: 4,
            transpose: false,
            label_smoothing: 0.0,
            clip_norm: 1.0,
            epochs: 1,
            patience: 1,
        };
        let split = SplitConfig {
            vocab_size: 48,
            features: vec![StepFeature::Sounding, StepFeature::Beat],
            embedding: 8,
            lstm: vec![8],
            head: 8,
            head_layers: 1,
            dropout: 0.0,
            row_dropout: 0.0,
            weight_dropout: 0.0,
        };
        for config in [NetworkConfig::Stack(StackConfig::chorale(48)), NetworkConfig::Split(split)] {
            check_windows(&training, &config);
        }
    }

    fn check_windows(training: &Training, config: &NetworkConfig) {
        let long: Vec<_> = (0..9).map(|i| [60 + i, 55, 50, 45]).collect();
        let pieces = [piece(&long), piece(&long[..2])];
        let epoch = Epoch::new(config, training, &pieces, &mut SplitMix64::new(1));
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
