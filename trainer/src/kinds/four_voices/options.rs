//! What a recipe's `[preparation]` may ask for beside a network of four voices; all of it may be left out.

use anyhow::{Context, Result};
use continuo_model::weights_file::Description;
use serde::Deserialize;

use crate::preparation::HoldOut;
use crate::recipe::Recipe;

/// How music becomes grids, and which pieces are held out where files do not say.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Whether repeats are taken once, as written, instead of as played.
    pub as_written: bool,
    /// Whether a piece is left out if an onset or a duration in it is no whole number of 16ths.
    pub drop_unquantised: bool,
    /// The share of pieces to be held out; a tenth if it is left out.
    pub held_out: Option<f64>,
    /// Which pieces those are.
    pub held_out_draw: u64,
    /// Two pieces whose sopranos share more than this of the shorter one's runs of 13 notes are near-duplicates.
    pub shared_runs: Option<f64>,
    /// A TSV file of pieces that belong together.
    pub groups: Option<String>,
}

impl Options {
    /// What a recipe asks for.
    ///
    /// # Errors
    /// If it asks for what four voices have no use for.
    pub fn of(recipe: &Recipe) -> Result<Self> {
        let Some(table) = &recipe.preparation else { return Ok(Self::default()) };
        table.clone().try_into().context(
            "preparation: beside a network of four voices; take out what it does not know, or set kind = \"line\"",
        )
    }

    /// What the recipe inside of weights asks for. An ensemble holds its members' recipes one after the other, of which
    /// the music is prepared in the one way that needs no options.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn of_weights(description: &Description) -> Result<Self> {
        Recipe::parse(&description.recipe).map_or_else(|_| Ok(Self::default()), |recipe| Self::of(&recipe))
    }

    /// Finds options that no music can be prepared by.
    ///
    /// # Errors
    /// If there is one, with its name.
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
