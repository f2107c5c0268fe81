//! What a recipe trains on and judges by: grids of four voices, or songs in words.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use continuo_model::config::NetworkConfig;
use continuo_model::random::SplitMix64;
use continuo_model::vocabulary::Vocabulary;
use continuo_model::weights_file::Weights;

use crate::TrainArgs;
use crate::batches::Epoch;
use crate::corpus::{self, GridPiece};
use crate::evaluate;
use crate::fine_tuning;
use crate::line_evaluation;
use crate::lines::{self, Lines};
use crate::preparation::Spelt;
use crate::recipe::Recipe;

/// Music in the form that a recipe's network reads.
pub enum Material {
    /// For networks of four voices.
    Grids {
        /// To learn from.
        train: Vec<GridPiece>,
        /// To be judged by.
        valid: Vec<GridPiece>,
    },
    /// For line models.
    Lines {
        /// All songs.
        lines: Box<Lines>,
        /// To be judged by.
        valid: Vec<Spelt>,
    },
}

impl Material {
    /// Reads what the command line names, as the recipe asks; a line model's shape learns how many words there are.
    ///
    /// # Errors
    /// If it cannot be read, or nothing is left to learn from or to be judged by.
    pub fn read(args: &TrainArgs, recipe: &mut Recipe) -> Result<Self> {
        if let NetworkConfig::Line(config) = &mut recipe.network {
            let options = recipe.preparation.as_ref().context("a line model's recipe has a preparation")?;
            let lines = match &args.from {
                // What starts from weights speaks their words.
                Some(from) => {
                    let lexicon = fine_tuning::lexicon(from)?;
                    let lines = Lines::read_in_words(&args.data, options, lexicon, args.strict)?;
                    lines.songs("train")?;
                    lines
                }
                None => Lines::read(&args.data, options, args.strict)?,
            };
            config.vocab_size = lines.lexicon.len();
            println!("{}\n{} words", lines.report, lines.lexicon.len());
            return Ok(Self::Lines { valid: lines.spelt("valid")?, lines: Box::new(lines) });
        }
        let split = |name: &str| -> Result<Vec<GridPiece>> {
            let pieces = args.data.iter().map(|path| corpus::read_split(path, name)).collect::<Result<Vec<_>>>()?;
            Ok(pieces.into_iter().flatten().collect())
        };
        let (train, valid) = (split(&recipe.split.0)?, split(&recipe.split.1)?);
        for (name, pieces) in [(&recipe.split.0, &train), (&recipe.split.1, &valid)] {
            ensure!(!pieces.is_empty(), "--data: expected pieces in split `{name}`, got none");
        }
        Ok(Self::Grids { train, valid })
    }

    /// How many pieces there are to learn from, and to be judged by.
    pub fn num_pieces(&self) -> (usize, usize) {
        match self {
            Self::Grids { train, valid } => (train.len(), valid.len()),
            Self::Lines { lines, valid } => (lines.report.train.0, valid.len()),
        }
    }

    /// One epoch's batches.
    pub fn epoch<'a>(&self, recipe: &'a Recipe, rng: &mut SplitMix64) -> Epoch<'a> {
        match self {
            Self::Grids { train, .. } => Epoch::new(&recipe.network, &recipe.training, train, rng),
            Self::Lines { lines, .. } => {
                let songs = lines.training_songs(rng);
                Epoch::of_songs(&recipe.network, &recipe.training, songs, &lines.lexicon, rng)
            }
        }
    }

    /// The loss of `network` by which epochs are compared, and the figures for its weights file.
    pub fn judge(&self, weights: &Weights, split: &str) -> Result<(f64, BTreeMap<String, f64>)> {
        Ok(match self {
            Self::Grids { valid, .. } => {
                let evaluation = evaluate::evaluate(weights, valid, Default::default())?;
                (evaluation.micro, evaluation.figures(split))
            }
            Self::Lines { valid, .. } => {
                let evaluation = line_evaluation::evaluate(weights, valid)?;
                (evaluation.loss.micro, evaluation.figures(split))
            }
        })
    }

    /// What losses are in.
    pub fn unit(&self) -> &'static str {
        match self {
            Self::Grids { .. } => "nats per note",
            Self::Lines { .. } => lines::UNIT,
        }
    }

    /// How many targets of a batch make one of the unit: a line model's event is of several words.
    pub fn targets_per_unit(&self) -> f64 {
        match self {
            Self::Grids { .. } => 1.0,
            Self::Lines { lines, .. } => lines.words_per_event(),
        }
    }

    /// The hash of the words, and a line model's words themselves.
    pub fn vocabulary(&self) -> (String, Option<String>) {
        match self {
            Self::Grids { .. } => (Vocabulary::GRID.hash().to_string(), None),
            Self::Lines { lines, .. } => (lines.lexicon.hash().to_string(), Some(lines.lexicon.spelling())),
        }
    }
}
