//! The trainer's side of each kind of network: a file for each kind, and an entry in [`of`]. Nothing else in the
//! trainer depends on the kind of a network.

mod ensemble;
mod four_voices;
mod line;
mod performance;
mod split;
mod stack;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use continuo_model::config::NetworkConfig;
use continuo_model::generate::Network;
use continuo_model::random::SplitMix64;
use continuo_model::weights_file::{Description, Weights};

use crate::batches::Epoch;
use crate::preparation::four_voices::FourVoices;
use crate::recipe::{Recipe, Training};
use crate::seeds::Seed;
pub use four_voices::given_voices;

/// The trainer's side of a network. Add new kinds here.
pub fn of(config: &NetworkConfig) -> &dyn TrainerSide {
    match config {
        NetworkConfig::Stack(shape) => shape,
        NetworkConfig::Split(shape) => shape,
        NetworkConfig::Ensemble(shape) => shape,
        NetworkConfig::Line(shape) => shape,
        NetworkConfig::Performance(shape) => shape,
    }
}

/// How to train, evaluate and seed a kind of network. The shape of each kind implements it.
pub trait TrainerSide {
    /// Its layers in words, first to last.
    fn layers(&self) -> Vec<String>;

    /// Checks a recipe for this kind.
    ///
    /// # Errors
    /// If an option is invalid; the error names it.
    fn check(&self, recipe: &Recipe) -> Result<()>;

    /// Checks whether training can start from weights of this kind.
    ///
    /// # Errors
    /// The reason, if it cannot.
    fn check_start(&self) -> Result<(), String> {
        Ok(())
    }

    /// The weights to start from, extended to this shape, if they lack nothing but some of its input features. The new
    /// features have no effect until they are trained.
    fn with_features_of(&self, _start: &Weights) -> Option<Weights> {
        None
    }

    /// Reads the music to train and validate on. `start` are the weights that training starts from, if any.
    ///
    /// # Errors
    /// If the music cannot be read, or there is nothing to train or validate on.
    fn material(&self, recipe: &Recipe, music: Music, start: Option<&Weights>) -> Result<Box<dyn Material>>;

    /// Evaluates trained weights of this kind.
    ///
    /// # Errors
    /// If the music cannot be read, the split is empty, or the kind does not support `judging`.
    fn judge(&self, weights: &Weights, judging: Judging) -> Result<Judgement>;

    /// Reads the pieces of a split in four voices.
    ///
    /// # Errors
    /// If the music cannot be read, the split is empty, or the kind does not play in four voices.
    fn pieces(&self, weights: &Weights, music: Music, split: &str) -> Result<Vec<FourVoices>> {
        four_voices::pieces(weights, music, split)
    }

    /// Evaluates an n-gram on the same music.
    ///
    /// # Errors
    /// As [`Self::judge`], and if the kind has no baseline.
    fn baseline(&self, _words: WordsOf, _judging: Judging) -> Result<Judgement> {
        bail!("--baseline: expected a line model or its recipe, got one of four voices")
    }

    /// Reads a seed for generated music from a file.
    ///
    /// # Errors
    /// If it cannot be read.
    fn seed(&self, weights: &Weights, path: &Path) -> Result<Seed>;

    /// Reads the training pieces of a corpus as seeds.
    ///
    /// # Errors
    /// If it cannot be read.
    fn seeds(&self, weights: &Weights, paths: &[PathBuf]) -> Result<Vec<Seed>>;
}

/// Files and folders of music, and how strictly to read them.
#[derive(Clone, Copy)]
pub struct Music<'a> {
    /// The paths.
    pub paths: &'a [PathBuf],
    /// Whether the first file or piece that cannot be read is an error. Otherwise it is skipped.
    pub strict: bool,
}

/// What to evaluate on.
#[derive(Clone, Copy)]
pub struct Judging<'a> {
    /// The music.
    pub music: Music<'a>,
    /// The split of that music.
    pub split: &'a str,
    /// The voices that are given in each step, as letters of SATB; empty for kinds without voices.
    pub given: &'a str,
}

/// The source of an n-gram's words.
pub enum WordsOf<'a> {
    /// The training music, prepared as a recipe describes.
    Recipe(&'a Recipe),
    /// Trained weights.
    Weights(&'a Description),
}

/// The result of an evaluation.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The loss that decides between epochs.
    pub loss: f64,
    /// The unit of the loss.
    pub unit: &'static str,
    /// The figures for the weights file. Their full names start with the split.
    pub figures: BTreeMap<&'static str, f64>,
    /// The whole result as a JSON object.
    pub json: String,
    /// The whole result as text.
    pub words: String,
}

impl Judgement {
    /// The figures for the weights file, evaluated on `split`.
    pub fn figures_of(&self, split: &str) -> BTreeMap<String, f64> {
        self.figures.iter().map(|(name, figure)| (format!("{split}_{name}"), *figure)).collect()
    }
}

/// Music encoded for a network, to train and to validate on.
pub trait Material {
    /// The shape of the network, including what the music determines.
    fn config(&self) -> NetworkConfig;

    /// The number of pieces to train on and to validate on.
    fn num_pieces(&self) -> (usize, usize);

    /// The batches of an epoch. `player` plays the network's own past, for recipes with one.
    fn epoch(&self, training: &Training, player: Option<&Arc<dyn Network>>, rng: &mut SplitMix64) -> Epoch;

    /// The validation loss of weights.
    ///
    /// # Errors
    /// If the weights cannot be packed.
    fn judge(&self, weights: &Weights) -> Result<Judgement>;

    /// The unit of losses.
    fn unit(&self) -> &'static str;

    /// How many targets in a batch make up one unit.
    fn targets_per_unit(&self) -> f64;

    /// The hash of the vocabulary, and its words if they are saved with the weights.
    fn vocabulary(&self) -> (String, Option<String>);
}

/// LSTM layers in words.
fn lstm_layers(units: &[usize]) -> impl Iterator<Item = String> {
    units.iter().map(|units| format!("LSTM {units}"))
}

/// Dense layers in words.
fn dense_layers(units: &[usize]) -> impl Iterator<Item = String> {
    units.iter().map(|units| format!("dense {units}"))
}
