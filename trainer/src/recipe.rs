//! A recipe, one TOML file: the network, the splits and how to train.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use continuo_model::config::NetworkConfig;
use continuo_model::weights_file::{Corpus, DefaultSampling};
pub use continuo_network::optimisers::Rule;
use serde::Deserialize;

use crate::kinds;
use crate::own_past::OwnPastOptions;
use crate::schedules::Schedule;

/// Everything that determines the trained weights, apart from the music and the random seed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The name of the weights in menus.
    pub name: String,
    /// The split to train on and the split to validate on.
    #[serde(default = "default_split")]
    pub split: (String, String),
    /// The sources of the music, for the description in the weights file.
    pub corpora: Vec<Corpus>,
    /// How the music is prepared for the network. The options depend on the kind of network.
    #[serde(default)]
    pub preparation: Option<toml::Table>,
    /// The shape of the network.
    pub network: NetworkConfig,
    /// How the weights are sampled by default.
    #[serde(default)]
    pub sampling: Option<DefaultSampling>,
    /// How to train.
    pub training: Training,
}

/// How to train.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// The optimiser.
    pub optimiser: Rule,
    /// Decoupled weight decay of the matrices (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019).
    /// With `adam` this is AdamW.
    #[serde(default)]
    pub weight_decay: f64,
    /// Decay of the moving average of the weights, which is then what is validated and saved. 0 uses the weights
    /// themselves.
    #[serde(default)]
    pub averaging: f64,
    /// Share of a split network's steps whose voices are trained in random order, 0 to 1.
    #[serde(default)]
    pub any_order: f32,
    /// A past of the network's own for a share of the pieces.
    #[serde(default)]
    pub own_past: Option<OwnPastOptions>,
    /// The highest learning rate of the schedule.
    pub learning_rate: f64,
    /// How the learning rate changes over the run.
    #[serde(default)]
    pub schedule: Schedule,
    /// Windows in a batch.
    pub batch: usize,
    /// Length of a window: 16th steps; for a line model, words.
    pub window_steps: usize,
    /// Distance between the starts of windows: 16th steps, or words.
    pub window_hop_steps: usize,
    /// Whether to transpose each piece at random in each epoch, within the ranges of the corpus.
    #[serde(default)]
    pub transpose: bool,
    /// Label smoothing: the share of each target's probability that is spread evenly over all tokens (C. Szegedy and
    /// others, "Rethinking the Inception architecture for computer vision", 2016, section 7). 0 turns it off.
    #[serde(default)]
    pub label_smoothing: f64,
    /// The highest norm of the gradient; longer gradients are scaled down to it.
    pub clip_norm: f64,
    /// The highest number of epochs.
    pub epochs: usize,
    /// Training stops after this many epochs without a better validation loss.
    pub patience: usize,
}

impl Recipe {
    /// Reads a recipe. Also returns its text, which the weights file keeps.
    pub fn read(path: &Path) -> Result<(Self, String)> {
        let name = path.display();
        let text =
            std::fs::read_to_string(path).with_context(|| format!("{name}: cannot be opened; check the path"))?;
        let recipe = Self::parse(&text).with_context(|| name.to_string())?;
        Ok((recipe, text))
    }

    /// Parses the text of a recipe.
    ///
    /// # Errors
    /// If the text is not a recipe, or an option has an invalid value.
    pub fn parse(text: &str) -> Result<Self> {
        let recipe: Self = toml::from_str(text).context("not a recipe")?;
        recipe.check()?;
        Ok(recipe)
    }

    fn check(&self) -> Result<()> {
        let (network, training) = (&self.network, &self.training);
        network.check().map_err(anyhow::Error::msg).context("network")?;
        kinds::of(network).check(self)?;
        if let Some(sampling) = self.sampling {
            sampling.check().map_err(anyhow::Error::msg)?;
            ensure!(
                sampling.notes.is_none() || matches!(network, NetworkConfig::Performance(_)),
                "sampling.notes: expected none, except for a performance model"
            );
        }
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
        if let Some(own_past) = &training.own_past {
            own_past.check()?;
        }
        training.schedule.check().context("training.schedule")
    }
}

/// The default splits.
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
    fn an_invalid_recipe_is_refused_with_the_option() {
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
        let sampling = |top_p: f32| format!("[sampling]\ntemperature = 0.9\ntop_p = {top_p}\n[training]");
        assert!(toml::from_str::<Recipe>(&text.replace("[training]", &sampling(0.9))).unwrap().check().is_ok());
        assert_eq!(error("[training]", &sampling(0.0)), "sampling.top_p: expected above 0 up to 1, got 0");
        let notes = sampling(0.9).replace("[training]", "[sampling.notes]\nrhythm = 0.9\n[training]");
        assert_eq!(error("[training]", &notes), "sampling.notes: expected none, except for a performance model");
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
