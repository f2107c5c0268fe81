//! The network's own past in training: the option in recipes, and the weights that play it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Error, Result, ensure};
use continuo_model::generate::{self, Network};
use continuo_model::tokeniser::grid::NUM_VOICES;
use continuo_model::weights_file::Weights;
use serde::Deserialize;

use crate::kinds::given_voices;
use crate::recipe::Recipe;

/// `[training.own_past]` of a recipe.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnPastOptions {
    /// Share of the pieces, drawn in each epoch, whose past is the network's own; 0 to 1.
    pub share: f32,
    /// What the piece gives, as letters of SATB, one of these for each piece; empty for nothing.
    pub given: Vec<GivenVoices>,
    /// The epochs before the first with an own past, for training from random weights.
    #[serde(default)]
    pub after_epochs: usize,
    /// For how many epochs the same weights play. A round ends with the latest weights.
    pub round_epochs: usize,
}

/// Given voices, such as `SB`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct GivenVoices(pub [bool; NUM_VOICES]);

impl TryFrom<String> for GivenVoices {
    type Error = Error;

    fn try_from(letters: String) -> Result<Self> {
        given_voices(&letters).map(Self).context("own_past.given")
    }
}

impl OwnPastOptions {
    /// Checks the values.
    ///
    /// # Errors
    /// If a value is invalid; the error names the option.
    pub fn check(&self) -> Result<()> {
        let share = self.share;
        ensure!((0.0..=1.0).contains(&share), "training.own_past.share: expected a number from 0 to 1, got {share}");
        ensure!(
            !self.given.is_empty(),
            "training.own_past.given: expected at least one entry, such as \"S\", got none"
        );
        ensure!(self.round_epochs > 0, "training.own_past.round_epochs: expected at least 1, got 0");
        Ok(())
    }

    /// Whether a round begins with `epoch`.
    fn begins_round(&self, epoch: usize) -> bool {
        epoch >= self.after_epochs && (epoch - self.after_epochs).is_multiple_of(self.round_epochs)
    }
}

/// Refuses the option, for kinds that do not support it.
///
/// # Errors
/// If a recipe has the option.
pub fn check_unused(recipe: &Recipe) -> Result<()> {
    ensure!(recipe.training.own_past.is_none(), "training.own_past: expected none, except for a split network");
    Ok(())
}

/// The file of the weights that play, beside the weights that are trained: a resumed run needs the same ones.
pub fn path_beside(weights: &Path) -> PathBuf {
    weights.with_extension("own-past.safetensors")
}

/// The network that plays the own past in `epoch`; `None` if the recipe has none by then. At the start of a round it
/// has the `latest` weights, which are kept at `path` for the rest of the round.
///
/// # Errors
/// If the file cannot be written or read.
pub fn player(
    options: Option<&OwnPastOptions>,
    epoch: usize,
    is_resumed: bool,
    path: &Path,
    latest: impl FnOnce() -> Result<Weights>,
) -> Result<Option<Arc<dyn Network>>> {
    let Some(options) = options.filter(|options| epoch >= options.after_epochs) else { return Ok(None) };
    if options.begins_round(epoch) && !is_resumed {
        latest()?.write(path)?;
    }
    let weights = Weights::read(path).context("the weights that play the network's own past")?;
    Ok(Some(generate::network(&weights).map_err(Error::msg)?))
}
