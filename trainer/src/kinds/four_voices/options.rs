//! The `[preparation]` section of a recipe for a four-voice network. All options have defaults.

use anyhow::{Context, Result};
use continuo_model::weights_file::Description;
use serde::Deserialize;

use crate::preparation::HoldOut;
use crate::recipe::Recipe;

/// How music becomes grids, and how pieces are held out if their files do not assign splits.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Whether to take repeats once, as written, instead of as played.
    pub as_written: bool,
    /// Whether to leave out pieces with an onset or duration that is not a whole number of 16ths.
    pub drop_unquantised: bool,
    /// The share of pieces to hold out; a tenth by default.
    pub held_out: Option<f64>,
    /// Selects which pieces are held out.
    pub held_out_draw: u64,
    /// Two pieces whose sopranos share more than this of the runs of 13 notes in the shorter one are near-duplicates.
    pub shared_runs: Option<f64>,
    /// The name of a TSV file of pieces that belong together.
    pub groups: Option<String>,
}

impl Options {
    /// The options in a recipe.
    ///
    /// # Errors
    /// If the section contains an unknown option or an invalid value.
    pub fn of(recipe: &Recipe) -> Result<Self> {
        let Some(table) = &recipe.preparation else { return Ok(Self::default()) };
        table
            .clone()
            .try_into()
            .context("preparation: for a network of four voices; remove the unknown option, or set kind = \"line\"")
    }

    /// The options in the recipe of a weights file. An ensemble contains the recipes of all its members and uses the
    /// defaults.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn of_weights(description: &Description) -> Result<Self> {
        Recipe::parse(&description.recipe).map_or_else(|_| Ok(Self::default()), |recipe| Self::of(&recipe))
    }

    /// Checks the values.
    ///
    /// # Errors
    /// If a value is invalid; the error names the option.
    pub fn check(&self) -> Result<()> {
        self.hold_out().check()
    }

    /// How pieces are held out.
    pub fn hold_out(&self) -> HoldOut {
        let default = HoldOut::default();
        HoldOut {
            share: self.held_out.unwrap_or(default.share),
            draw: self.held_out_draw,
            shared_runs: self.shared_runs.unwrap_or(default.shared_runs),
        }
    }
}
