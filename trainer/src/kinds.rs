//! The trainer's side of each kind of network: a file a kind, and a line a kind in [`of`]. Nothing else in the trainer
//! asks which kind a network is.

mod ensemble;
mod four_voices;
mod line;
mod split;
mod stack;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use continuo_model::config::NetworkConfig;
use continuo_model::random::SplitMix64;
use continuo_model::weights_file::{Description, Weights};

use crate::batches::Epoch;
use crate::recipe::{Recipe, Training};
use crate::seeds::Seed;

/// The trainer's side of a network of this shape. A new kind has its line here.
pub fn of(config: &NetworkConfig) -> &dyn TrainerSide {
    match config {
        NetworkConfig::Stack(shape) => shape,
        NetworkConfig::Split(shape) => shape,
        NetworkConfig::Ensemble(shape) => shape,
        NetworkConfig::Line(shape) => shape,
    }
}

/// How a kind of network is trained, judged and begun with. The shape of each kind implements it.
pub trait TrainerSide {
    /// Its layers, first to last, in words.
    fn layers(&self) -> Vec<String>;

    /// Finds what a recipe for it lacks, or holds in vain.
    ///
    /// # Errors
    /// If it cannot be trained by the recipe, with the option's name.
    fn check(&self, recipe: &Recipe) -> Result<()>;

    /// Finds out whether training can start from weights of this kind.
    ///
    /// # Errors
    /// In words, if it cannot.
    fn check_start(&self) -> Result<(), String> {
        Ok(())
    }

    /// Reads what it learns from and is judged by. `start` are the weights that training starts from, if there are any.
    ///
    /// # Errors
    /// If the music cannot be read, or nothing is left to learn from or to be judged by.
    fn material(&self, recipe: &Recipe, music: Music, start: Option<&Weights>) -> Result<Box<dyn Material>>;

    /// Judges trained weights of this kind.
    ///
    /// # Errors
    /// If the music cannot be read, nothing is left to be judged by, or the kind cannot be judged so.
    fn judge(&self, weights: &Weights, judging: Judging) -> Result<Judgement>;

    /// What counting alone achieves on the same music.
    ///
    /// # Errors
    /// As [`Self::judge`], and if there is no such figure for the kind.
    fn baseline(&self, _words: WordsOf, _judging: Judging) -> Result<Judgement> {
        bail!("--baseline: expected a line model or its recipe, got one of four voices")
    }

    /// The music of a file, for generated music to begin with.
    ///
    /// # Errors
    /// If it cannot be read.
    fn seed(&self, weights: &Weights, path: &Path) -> Result<Seed>;

    /// The training pieces of a corpus, for the same.
    ///
    /// # Errors
    /// If it cannot be read.
    fn seeds(&self, weights: &Weights, paths: &[PathBuf]) -> Result<Vec<Seed>>;
}

/// Files and folders of music, and how strictly they are read.
#[derive(Clone, Copy)]
pub struct Music<'a> {
    /// Where it is.
    pub paths: &'a [PathBuf],
    /// Whether the first file or piece that cannot be read is an error instead of being skipped.
    pub strict: bool,
}

/// What weights are judged by.
#[derive(Clone, Copy)]
pub struct Judging<'a> {
    /// The music.
    pub music: Music<'a>,
    /// Which split of it.
    pub split: &'a str,
    /// The voices that are given in each step, letters of SATB; none for a kind without voices.
    pub given: &'a str,
}

/// Whose words an n-gram has.
pub enum WordsOf<'a> {
    /// Those that a recipe makes of the training music.
    Recipe(&'a Recipe),
    /// Those of trained weights.
    Weights(&'a Description),
}

/// What weights are worth.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The loss that epochs are compared by.
    pub loss: f64,
    /// What it is in.
    pub unit: &'static str,
    /// What a weights file keeps, by names that the split comes before.
    pub figures: BTreeMap<&'static str, f64>,
    /// One JSON object with all of it.
    pub json: String,
    /// The same in lines for a reader.
    pub words: String,
}

impl Judgement {
    /// What a weights file keeps of it, when it was judged by `split`.
    pub fn figures_of(&self, split: &str) -> BTreeMap<String, f64> {
        self.figures.iter().map(|(name, figure)| (format!("{split}_{name}"), *figure)).collect()
    }
}

/// Music in the form that a network reads: to learn from and to be judged by.
pub trait Material {
    /// The shape of the network that learns it, with what the music decides of that.
    fn config(&self) -> NetworkConfig;

    /// How many pieces there are to learn from, and to be judged by.
    fn num_pieces(&self) -> (usize, usize);

    /// One epoch's batches.
    fn epoch(&self, training: &Training, rng: &mut SplitMix64) -> Epoch;

    /// The loss of weights on what is held out.
    ///
    /// # Errors
    /// If the weights cannot be packed.
    fn judge(&self, weights: &Weights) -> Result<Judgement>;

    /// What losses are in.
    fn unit(&self) -> &'static str;

    /// How many targets of a batch make one of the unit.
    fn targets_per_unit(&self) -> f64;

    /// The hash of the vocabulary, and the words themselves if they travel with the weights.
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
