//! What all four-voice kinds share: reading their music, transposition, windows, evaluation and seeds.

mod corpus;
mod evaluation;
mod options;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use continuo_model::config::NetworkConfig;
use continuo_model::generate::Network;
use continuo_model::random::SplitMix64;
use continuo_model::tokeniser::grid::{Grid, NUM_VOICES};
use continuo_model::tokeniser::step_reader::{BarPosition, Controls};
use continuo_model::vocabulary::{Symbol, Vocabulary};
use continuo_model::weights_file::Weights;

use super::{Judgement, Judging, Material, Music};
use crate::batches::{Epoch, Sequences};
use crate::corpus::folder;
use crate::preparation::four_voices::FourVoices;
use crate::recipe::{Recipe, Training};
use crate::seeds::Seed;
use corpus::Learnable;
use evaluation::UNIT;
pub use evaluation::{given_voices, judgement};
use options::Options;

/// A piece in four voices as tokens, with key and fermatas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GridPiece {
    /// The tokens.
    pub grid: Grid,
    /// 0 to 11 for major keys from C up, 12 to 23 for minor.
    pub key: Option<u8>,
    /// For each step, whether it lies under a fermata; empty if unknown.
    pub fermatas: Vec<bool>,
    /// The position of each step in its bar; empty if unknown.
    pub bars: Vec<Option<BarPosition>>,
}

impl GridPiece {
    /// Converts a piece to tokens.
    ///
    /// # Errors
    /// If a pitch is outside the vocabulary.
    pub fn of(piece: &FourVoices) -> Result<Self> {
        Ok(Self { grid: piece.grid()?, key: piece.key, fermatas: piece.fermatas.clone(), bars: piece.bars.clone() })
    }

    /// What every player of the piece knows about a step: its position in the bar, as far as the piece tells it.
    pub fn known(&self, step: usize) -> Controls {
        Controls { bar: self.bars.get(step).copied().flatten(), ..Controls::default() }
    }

    /// The piece transposed by `semitones`. The result must stay in the vocabulary's range.
    pub fn transposed(&self, semitones: i8) -> Self {
        let key = self.key.map(|key| key / 12 * 12 + (key as i8 % 12 + semitones).rem_euclid(12) as u8);
        Self { grid: self.grid.transposed(semitones), key, fermatas: self.fermatas.clone(), bars: self.bars.clone() }
    }
}

/// A kind of network that reads grids.
pub trait ReadsGrids {
    /// Its shape.
    fn config(&self) -> NetworkConfig;

    /// The loss of weights of this shape on `pieces`.
    ///
    /// # Errors
    /// If they cannot be packed.
    fn judge(&self, weights: &Weights, pieces: &[GridPiece]) -> Result<Judgement>;

    /// Encodes pieces, which are already in the keys of the epoch. `player` plays the network's own past.
    fn sequences(
        &self,
        pieces: &[GridPiece],
        training: &Training,
        player: Option<&Arc<dyn Network>>,
        rng: &mut SplitMix64,
    ) -> Box<dyn Sequences>;
}

/// Checks a recipe for four voices.
///
/// # Errors
/// If an option is invalid; the error names it.
pub fn check(recipe: &Recipe) -> Result<()> {
    let (expected, got) = (Vocabulary::GRID.size(), recipe.network.vocab_size());
    ensure!(got == expected, "network.vocab_size: expected {expected}, got {got}");
    Options::of(recipe)?.check()
}

/// Pieces in four voices to train and validate on.
pub struct Grids<R> {
    reader: R,
    train: Vec<GridPiece>,
    valid: Vec<GridPiece>,
}

impl<R: ReadsGrids> Grids<R> {
    /// Reads the music as the recipe describes.
    ///
    /// # Errors
    /// If the music cannot be read, or a split is empty.
    pub fn read(reader: R, recipe: &Recipe, music: Music) -> Result<Self> {
        let sides = corpus::read(music, &recipe.split, &Options::of(recipe)?)?;
        for (name, pieces) in [(&recipe.split.0, &sides.train), (&recipe.split.1, &sides.valid)] {
            ensure!(!pieces.is_empty(), "{}\n{}", corpus::none_in(name, &sides.splits()), sides.report);
        }
        println!("{}", sides.report);
        let grids = |pieces: Vec<Learnable>| pieces.into_iter().map(|piece| piece.grid).collect();
        Ok(Self { reader, train: grids(sides.train), valid: grids(sides.valid) })
    }
}

impl<R: ReadsGrids> Material for Grids<R> {
    fn config(&self) -> NetworkConfig {
        self.reader.config()
    }

    fn num_pieces(&self) -> (usize, usize) {
        (self.train.len(), self.valid.len())
    }

    /// Transposes the pieces for this epoch and cuts windows.
    fn epoch(&self, training: &Training, player: Option<&Arc<dyn Network>>, rng: &mut SplitMix64) -> Epoch {
        let ranges = voice_ranges(&self.train);
        let mut transposed = Vec::with_capacity(self.train.len());
        let mut windows = Vec::new();
        for (i, piece) in self.train.iter().enumerate() {
            let semitones = if training.transpose {
                let keys: Vec<i8> = allowed_shifts(&piece.grid, &ranges).collect();
                keys[rng.next_below(keys.len())]
            } else {
                0
            };
            transposed.push(piece.transposed(semitones));
            let steps = piece.grid.steps.len();
            let last_start = steps.saturating_sub(training.window_steps);
            // A random phase, so that windows start at other steps in each epoch.
            let phase = rng.next_below(training.window_hop_steps);
            let starts = (phase..last_start).step_by(training.window_hop_steps).chain([0, last_start]);
            let mut starts: Vec<_> = starts.collect();
            starts.sort_unstable();
            starts.dedup();
            windows.extend(starts.into_iter().map(|step| (i, step)));
        }
        rng.shuffle(&mut windows);
        let sequences = self.reader.sequences(&transposed, training, player, rng);
        Epoch { sequences, windows, batch: training.batch }
    }

    fn judge(&self, weights: &Weights) -> Result<Judgement> {
        self.reader.judge(weights, &self.valid)
    }

    fn unit(&self) -> &'static str {
        UNIT
    }

    fn targets_per_unit(&self) -> f64 {
        1.0
    }

    fn vocabulary(&self) -> (String, Option<String>) {
        (Vocabulary::GRID.hash().to_string(), None)
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

/// The transpositions, in semitones, that keep every voice in its range; 0 is always among them.
fn allowed_shifts<'a>(grid: &'a Grid, ranges: &'a Ranges) -> impl Iterator<Item = i8> + 'a {
    (-12..=12).filter(move |&shift: &i8| {
        (0..NUM_VOICES).all(|voice| {
            voice_pitches(grid, voice)
                .all(|pitch| pitch.checked_add_signed(shift).is_some_and(|p| ranges[voice].contains(&p)))
        })
    })
}

/// The pieces to evaluate weights on.
///
/// # Errors
/// If the music cannot be read, or the split is empty.
pub fn to_judge(weights: &Weights, judging: Judging) -> Result<Vec<GridPiece>> {
    let options = Options::of_weights(&weights.description)?;
    let pieces = corpus::read_split(judging.music, judging.split, &options)?;
    Ok(pieces.into_iter().map(|piece| piece.grid).collect())
}

/// Reads the pieces of a split.
///
/// # Errors
/// If the music cannot be read, or the split is empty.
pub fn pieces(weights: &Weights, music: Music, split: &str) -> Result<Vec<FourVoices>> {
    let options = Options::of_weights(&weights.description)?;
    Ok(corpus::read_split(music, split, &options)?.into_iter().map(|piece| piece.voices).collect())
}

/// Reads a seed from a file: its four voices, otherwise its highest notes as the soprano.
///
/// # Errors
/// If it cannot be read.
pub fn seed(path: &Path) -> Result<Seed> {
    let corpus = folder::read(
        &[path.to_path_buf()],
        folder::Options { as_written: false, strict: true, ..folder::Options::default() },
    )?;
    let piece = corpus.pieces.first().with_context(|| format!("{}: expected music, got none", path.display()))?;
    Ok(FourVoices::of(piece, false).map_or_else(|_| Seed::of_melody(piece), |voices| Seed::of_voices(&voices)))
}

/// Reads the training pieces of a corpus as seeds.
///
/// # Errors
/// If it cannot be read.
pub fn seeds(weights: &Weights, paths: &[PathBuf]) -> Result<Vec<Seed>> {
    let options = Options::of_weights(&weights.description)?;
    let music = Music { paths, strict: false };
    let pieces = corpus::read_split(music, "train", &options)?;
    Ok(pieces.iter().map(|piece| Seed::of_voices(&piece.voices)).collect())
}

#[cfg(test)]
mod tests;
