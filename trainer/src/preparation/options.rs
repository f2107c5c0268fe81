//! What a recipe's `[preparation]` may ask for.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::split::HoldOut;
use crate::recipe::Recipe;

/// How music becomes songs.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preparation {
    /// How a song is spelt in words.
    pub grammar: Grammar,
    /// Which key songs are put into.
    pub key: KeyPlan,
    /// Which modes are taken.
    #[serde(default)]
    pub modes: Modes,
    /// Whether a piece is left out if an onset or a duration in it is no whole number of 16ths; else such notes go to
    /// the nearest 16th.
    #[serde(default)]
    pub drop_unquantised: bool,
    /// The longest that an event lasts, 16th steps; what would last longer ends there, and a rest follows.
    #[serde(default = "default_longest")]
    pub longest_event_steps: u8,
    /// What becomes of notes that start together.
    #[serde(default)]
    pub chords: Chords,
    /// A chord that occurs less often in the training songs is no word of its own: its top note stands for it.
    #[serde(default = "default_occurrences")]
    pub chord_occurrences: usize,
    /// Which parts are taken.
    #[serde(default)]
    pub parts: Parts,
    /// Whether repeats are taken once, as written, instead of as played.
    #[serde(default)]
    pub as_written: bool,
    /// A piece with fewer events is left out.
    #[serde(default = "default_fewest")]
    pub fewest_events: usize,
    /// The share of pieces to be held out.
    #[serde(default = "default_held_out")]
    pub held_out: f64,
    /// Which pieces those are: another number holds out others. For a few pieces, of which a share by chance may be
    /// none.
    #[serde(default)]
    pub held_out_draw: u64,
    /// Two pieces that share more than this of the shorter one's runs of 13 notes are near-duplicates.
    #[serde(default = "default_shared_runs")]
    pub shared_runs: f64,
    /// What becomes of near-duplicates; they are never on both sides of the split.
    #[serde(default)]
    pub duplicates: Duplicates,
    /// A TSV file in a folder of the data, or beside it: a name of a piece in its first column, and names of others
    /// that belong to it, with blanks between them, in its second.
    #[serde(default)]
    pub groups: Option<String>,
}

/// How a song is spelt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grammar {
    /// A word a 16th: a pitch, a rest, or that the one before goes on.
    Melody,
    /// Two words an event: what starts, and how many 16ths pass until the next.
    Events,
}

/// Which key songs are put into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyPlan {
    /// C major or A minor.
    Home,
    /// Another one each epoch, up to six semitones away.
    All,
    /// As they are.
    None,
}

/// Which modes are taken; a mode with a minor third counts as minor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Modes {
    /// All.
    #[default]
    Both,
    /// Those with a major third.
    Major,
    /// Those with a minor third.
    Minor,
}

/// What becomes of notes that start together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chords {
    /// A chord of up to four pitches is a word.
    Pitches,
    /// A chord's pitch classes, up to four of them, are a word; a single note is its pitch.
    Classes,
    /// Only the top note is taken.
    #[default]
    Top,
}

/// Which parts are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parts {
    /// All, as if one player played them.
    #[default]
    Merged,
    /// The one at the top of the score.
    First,
}

/// What becomes of near-duplicates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duplicates {
    /// They stay, on one side of the split.
    #[default]
    Keep,
    /// The first of them stays.
    One,
}

impl Modes {
    /// Whether music in a minor mode, or in a major one, is taken.
    pub fn takes(self, minor: bool) -> bool {
        self == Self::Both || (self == Self::Minor) == minor
    }
}

impl Preparation {
    /// What a recipe for a line model asks for.
    ///
    /// # Errors
    /// If it asks for nothing, or for what cannot be.
    pub fn of(recipe: &Recipe) -> Result<Self> {
        let table = recipe.preparation.clone();
        let table = table.context("preparation: expected one beside a line model, got none")?;
        let options: Self = table.try_into().context("preparation")?;
        options.check()?;
        Ok(options)
    }

    /// The same, but for what leaves music out or moves it.
    pub fn for_a_seed(self) -> Self {
        Self { key: KeyPlan::None, modes: Modes::Both, drop_unquantised: false, fewest_events: 1, groups: None, ..self }
    }

    /// How pieces are held out.
    pub fn hold_out(&self) -> HoldOut {
        HoldOut { share: self.held_out, draw: self.held_out_draw, shared_runs: self.shared_runs }
    }

    /// Says what is wrong with options that no music can be prepared by.
    fn check(&self) -> Result<()> {
        ensure!(
            self.longest_event_steps > 0,
            "preparation.longest_event_steps: expected at least 1, got {}",
            self.longest_event_steps
        );
        for (what, value) in [("chord_occurrences", self.chord_occurrences), ("fewest_events", self.fewest_events)] {
            ensure!(value > 0, "preparation.{what}: expected at least 1, got 0");
        }
        self.hold_out().check()?;
        ensure!(
            self.grammar == Grammar::Events || self.chords == Chords::Top,
            "preparation.chords: expected \"top\", as a melody has one note at a time; or grammar = \"events\""
        );
        Ok(())
    }
}

fn default_longest() -> u8 {
    64
}

fn default_occurrences() -> usize {
    1
}

fn default_fewest() -> usize {
    8
}

fn default_held_out() -> f64 {
    HoldOut::default().share
}

fn default_shared_runs() -> f64 {
    HoldOut::default().shared_runs
}
