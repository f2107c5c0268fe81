//! The `[preparation]` section of a recipe for a line model.

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
    /// The key that songs are transposed to.
    pub key: KeyPlan,
    /// The modes to use.
    #[serde(default)]
    pub modes: Modes,
    /// Whether to leave out pieces with an onset or duration that is not a whole number of 16ths. Otherwise such notes
    /// go to the nearest 16th.
    #[serde(default)]
    pub drop_unquantised: bool,
    /// The longest event, in 16th steps. A longer note ends there and is followed by a rest.
    #[serde(default = "default_longest")]
    pub longest_event_steps: u8,
    /// How to represent notes that start together.
    #[serde(default)]
    pub chords: Chords,
    /// A chord that occurs less often in the training songs is represented by its top note.
    #[serde(default = "default_occurrences")]
    pub chord_occurrences: usize,
    /// The parts to use.
    #[serde(default)]
    pub parts: Parts,
    /// Whether to take repeats once, as written, instead of as played.
    #[serde(default)]
    pub as_written: bool,
    /// Pieces with fewer events are left out.
    #[serde(default = "default_fewest")]
    pub fewest_events: usize,
    /// The share of pieces to hold out.
    #[serde(default = "default_held_out")]
    pub held_out: f64,
    /// Selects which pieces are held out; another number selects others. Useful for small corpora, where the random
    /// choice may miss a part of the music.
    #[serde(default)]
    pub held_out_draw: u64,
    /// Two pieces that share more than this of the runs of 13 notes in the shorter one are near-duplicates.
    #[serde(default = "default_shared_runs")]
    pub shared_runs: f64,
    /// How to treat near-duplicates. They are never on both sides of the split.
    #[serde(default)]
    pub duplicates: Duplicates,
    /// The name of a TSV file in a data folder or beside it. The first column names a piece; the second lists other
    /// pieces of the same work, separated by spaces.
    #[serde(default)]
    pub groups: Option<String>,
}

/// How a song is spelt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grammar {
    /// One word per 16th: a pitch, a rest, or a hold of the note before.
    Melody,
    /// Two words per event: the notes that start, and how many 16ths pass until the next event.
    Events,
}

/// The key that songs are transposed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyPlan {
    /// C major or A minor.
    Home,
    /// A random one each epoch, up to six semitones away.
    All,
    /// No transposition.
    None,
}

/// The modes to use. A mode with a minor third counts as minor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Modes {
    /// Both.
    #[default]
    Both,
    /// Only modes with a major third.
    Major,
    /// Only modes with a minor third.
    Minor,
}

/// How to represent notes that start together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chords {
    /// A chord of up to four pitches is a word.
    Pitches,
    /// The pitch classes of a chord, up to four, are a word. A single note is a pitch.
    Classes,
    /// Only the top note counts.
    #[default]
    Top,
}

/// The parts to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parts {
    /// All, merged as if one player played them.
    #[default]
    Merged,
    /// The one at the top of the score.
    First,
}

/// How to treat near-duplicates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duplicates {
    /// Keep all, on one side of the split.
    #[default]
    Keep,
    /// Keep the first of each family.
    One,
}

impl Modes {
    /// Whether a mode with (`minor`) or without a minor third is used.
    pub fn takes(self, minor: bool) -> bool {
        self == Self::Both || (self == Self::Minor) == minor
    }
}

impl Preparation {
    /// The options in a recipe for a line model.
    ///
    /// # Errors
    /// If the section is missing, or an option has an invalid value.
    pub fn of(recipe: &Recipe) -> Result<Self> {
        let table = recipe.preparation.clone();
        let table = table.context("preparation: expected this section in the recipe of a line model, got none")?;
        let options: Self = table.try_into().context("preparation")?;
        options.check()?;
        Ok(options)
    }

    /// The same options without those that leave out or transpose pieces.
    pub fn for_a_seed(self) -> Self {
        Self { key: KeyPlan::None, modes: Modes::Both, drop_unquantised: false, fewest_events: 1, groups: None, ..self }
    }

    /// How pieces are held out.
    pub fn hold_out(&self) -> HoldOut {
        HoldOut { share: self.held_out, draw: self.held_out_draw, shared_runs: self.shared_runs }
    }

    /// Checks the values.
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
            "preparation.chords: expected \"top\", because a melody has one note at a time; or use grammar = \"events\""
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
