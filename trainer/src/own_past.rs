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
    /// For a split network: what the piece gives, as letters of SATB, one of these for each piece; empty for nothing.
    #[serde(default)]
    pub given: Vec<GivenVoices>,
    /// The epochs before the first with an own past, for training from random weights.
    #[serde(default)]
    pub after_epochs: usize,
    /// For how many epochs the same weights play. A round ends with the latest weights.
    pub round_epochs: usize,
    /// Whether to keep the weights of the last epoch instead of those with the best validation loss, which is that of
    /// hearing the pieces alone.
    #[serde(default)]
    pub keep_last: bool,
}

/// Given voices, such as `SB`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct GivenVoices(pub [bool; NUM_VOICES]);

impl TryFrom<String> for GivenVoices {
    type Error = String;

    fn try_from(letters: String) -> Result<Self, String> {
        // The error names the option of the command line.
        let of_recipe = |problem: Error| problem.to_string().replace("--given", "training.own_past.given");
        given_voices(&letters).map(Self).map_err(of_recipe)
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
    ensure!(
        recipe.training.own_past.is_none(),
        "training.own_past: expected none, except for split networks and performance models"
    );
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

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> Result<OwnPastOptions, String> {
        let options: OwnPastOptions = toml::from_str(text).map_err(|error| error.message().to_string())?;
        options.check().map_err(|error| format!("{error:#}"))?;
        Ok(options)
    }

    #[test]
    fn bad_options_are_refused_with_their_name() {
        let check = |text: &str, expect: &str| {
            let error = options(text).unwrap_err();
            assert!(error.contains(expect), "{text}: {error}");
        };
        let of = |share: &str, given: &str, rounds: usize| {
            format!("share = {share}\ngiven = {given}\nround_epochs = {rounds}")
        };
        let (share, given) = ("training.own_past.share: ", r#"["S"]"#);
        check(&of("1.5", given, 1), &format!("{share}expected a number from 0 to 1, got 1.5"));
        check(&of("-0.1", given, 1), &format!("{share}expected a number from 0 to 1, got -0.1"));
        check(&of("nan", given, 1), &format!("{share}expected a number from 0 to 1, got NaN"));
        check(&of("1.0", r#"["SX"]"#, 1), "training.own_past.given: expected letters of SATB, got `X`");
        check(&of("1.0", r#"["SATB"]"#, 1), "training.own_past.given: expected at most three voices, got all four");
        check(&of("1.0", given, 0), "training.own_past.round_epochs: expected at least 1, got 0");
        check("share = 1.0\ngiven = [\"S\"]", "missing field `round_epochs`");
        check(&(of("1.0", given, 1) + "\nrounds = 2"), "unknown field `rounds`");
    }

    #[test]
    fn voices_are_letters_and_rounds_begin_after_the_first_epochs() {
        let text = "share = 0.4\ngiven = [\"S\", \"bt\", \"\"]\nafter_epochs = 3\nround_epochs = 2";
        let options = options(text).unwrap();
        let given: Vec<_> = options.given.iter().map(|given| given.0).collect();
        assert_eq!(given, [[true, false, false, false], [false, false, true, true], [false; 4]]);
        let rounds: Vec<usize> = (0..10).filter(|epoch| options.begins_round(*epoch)).collect();
        assert_eq!(rounds, [3, 5, 7, 9]);
        let before = player(Some(&options), 2, false, Path::new("none"), || unreachable!("no round begins"));
        assert!(before.unwrap().is_none());
        let resumed = player(Some(&options), 4, true, Path::new("none"), || unreachable!("no round begins"));
        assert!(resumed.err().unwrap().to_string().contains("the weights that play the network's own past"));
    }
}
