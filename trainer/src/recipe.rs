//! A recipe: which network, which splits, how to train; one TOML file.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use continuo_model::config::NetworkConfig;
use continuo_model::weights_file::Corpus;
pub use continuo_network::optimisers::Rule;
use serde::Deserialize;

use crate::kinds;
use crate::schedules::Schedule;

/// Everything that decides how weights come about, but for the data and the rng seed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What a menu will call the weights.
    pub name: String,
    /// The split to train on and the split to judge on.
    #[serde(default = "default_split")]
    pub split: (String, String),
    /// The sources, for the weights file's description.
    pub corpora: Vec<Corpus>,
    /// How music becomes what the network reads; each kind has options of its own.
    #[serde(default)]
    pub preparation: Option<toml::Table>,
    /// The network.
    pub network: NetworkConfig,
    /// The training.
    pub training: Training,
}

/// How to train.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// The rule by which weights move.
    pub optimiser: Rule,
    /// How strongly matrices are pulled towards zero, apart from the gradient (Loshchilov and Hutter, "Decoupled weight
    /// decay regularization", 2019). With `adam` this is AdamW.
    #[serde(default)]
    pub weight_decay: f64,
    /// Decay of the moving average of the weights that is judged and kept; 0 keeps the weights themselves.
    #[serde(default)]
    pub averaging: f64,
    /// Share of a split network's steps whose voices are learnt in random order, 0 to 1.
    #[serde(default)]
    pub any_order: f32,
    /// Its step size, at its highest.
    pub learning_rate: f64,
    /// How the step size goes over the epochs.
    #[serde(default)]
    pub schedule: Schedule,
    /// Windows in a batch.
    pub batch: usize,
    /// 16th steps in a window; for a line model words.
    pub window_steps: usize,
    /// 16th steps, or words, from one window's start to the next.
    pub window_hop_steps: usize,
    /// Whether each piece is put, each epoch, into a random key that stays in the corpus's ranges.
    #[serde(default)]
    pub transpose: bool,
    /// Share of a target's probability that is dealt out evenly over all tokens (C. Szegedy and others, "Rethinking the
    /// Inception architecture for computer vision", 2016, section 7); 0 learns the targets as they are.
    #[serde(default)]
    pub label_smoothing: f64,
    /// The gradient's length is cut to this.
    pub clip_norm: f64,
    /// Passes over the corpus at the most.
    pub epochs: usize,
    /// Epochs without a better validation loss before training stops.
    pub patience: usize,
}

impl Recipe {
    /// Reads a recipe; the text comes back with it, to be kept in the weights.
    pub fn read(path: &Path) -> Result<(Self, String)> {
        let name = path.display();
        let text =
            std::fs::read_to_string(path).with_context(|| format!("{name}: cannot be opened; check the path"))?;
        let recipe = Self::parse(&text).with_context(|| name.to_string())?;
        Ok((recipe, text))
    }

    /// Reads a recipe's text.
    ///
    /// # Errors
    /// If it is none, or asks for what cannot be.
    pub fn parse(text: &str) -> Result<Self> {
        let recipe: Self = toml::from_str(text).context("not a recipe")?;
        recipe.check()?;
        Ok(recipe)
    }

    fn check(&self) -> Result<()> {
        let (network, training) = (&self.network, &self.training);
        network.check().map_err(anyhow::Error::msg).context("network")?;
        kinds::of(network).check(self)?;
        for (what, value) in [
            ("batch", training.batch),
            ("window_steps", training.window_steps),
            ("window_hop_steps", training.window_hop_steps),
            ("epochs", training.epochs),
            ("patience", training.patience),
        ] {
            ensure!(value > 0, "training.{what}: expected at least 1, got 0");
        }
        for (what, value) in [("learning_rate", training.learning_rate), ("clip_norm", training.clip_norm)] {
            ensure!(value > 0.0 && value.is_finite(), "training.{what}: expected a number above 0, got {value}");
        }
        for (what, value, below) in [
            ("weight_decay", training.weight_decay, 1e3),
            ("averaging", training.averaging, 1.0),
            ("label_smoothing", training.label_smoothing, 1.0),
            ("any_order", training.any_order.into(), 1.0 + f64::EPSILON),
        ] {
            ensure!(
                (0.0..below).contains(&value),
                "training.{what}: expected a number from 0 to {below:.0}, got {value}"
            );
        }
        training.schedule.check().context("training.schedule")
    }
}

/// The splits of a recipe that names none.
pub fn default_split() -> (String, String) {
    ("train".into(), "valid".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_recipes_are_sound() {
        for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/recipes")).unwrap() {
            Recipe::read(&entry.unwrap().path()).unwrap();
        }
    }

    #[test]
    fn a_wrong_recipe_says_what_is_wrong() {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/recipes/chorale.toml")).unwrap();
        let error = |old: &str, new: &str| {
            assert!(text.contains(old));
            match toml::from_str::<Recipe>(&text.replace(old, new)) {
                Ok(recipe) => format!("{:#}", recipe.check().unwrap_err()),
                Err(error) => error.message().to_string(),
            }
        };
        assert_eq!(error("vocab_size = 48", "vocab_size = 47"), "network.vocab_size: expected 48, got 47");
        assert_eq!(error("batch = 32", "batch = 0"), "training.batch: expected at least 1, got 0");
        assert!(error("patience", "patients").contains("unknown field `patients`"));
        assert_eq!(
            error("clip_norm = 1.0", "clip_norm = 1.0\nlabel_smoothing = 1.0"),
            "training.label_smoothing: expected a number from 0 to 1, got 1"
        );
        assert_eq!(
            error("\"cosine\"", "{ plateau = { factor = 2, patience = 3 } }"),
            "training.schedule: plateau.factor: expected a number above 0 and below 1, got 2"
        );
        let plateau = "{ plateau = { factor = 0.5, patience = 3, rest = 1 } }";
        assert!(error("\"cosine\"", plateau).contains("rest"));
        assert!(error("\"cosine\"", "\"spiral\"").contains("unknown variant `spiral`"));
    }
}
