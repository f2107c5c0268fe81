//! Music to learn from, whatever the file: pieces on a grid, in named splits.

mod abc;
mod beats;
pub mod controls;
pub mod csv;
mod dcml_tsv;
mod decoding;
pub mod folder;
pub mod grid_json;
mod kern;
pub mod key;
mod leadsheets;
mod midi;
mod musicxml;
pub mod piece;
mod pitch_table;
mod repeats;
mod written;

#[cfg(test)]
pub mod bad_input;
#[cfg(test)]
pub use musicxml::read as read_musicxml;

use std::path::Path;

use anyhow::{Context, Result};
use continuo_model::tokeniser::grid::Grid;

/// A piece in four voices, with what is known of it beside the notes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GridPiece {
    /// The notes.
    pub grid: Grid,
    /// 0 to 11 major from C up, 12 to 23 minor.
    pub key: Option<u8>,
    /// For each step, whether it lies under a fermata; empty if that is not known.
    pub fermatas: Vec<bool>,
}

impl GridPiece {
    /// The same music `semitones` higher. The caller sees to it that it stays in the vocabulary's range.
    pub fn transposed(&self, semitones: i8) -> Self {
        let key = self.key.map(|key| key / 12 * 12 + (key as i8 % 12 + semitones).rem_euclid(12) as u8);
        Self { grid: self.grid.transposed(semitones), key, fermatas: self.fermatas.clone() }
    }
}

/// The pieces of `split` in the file at `path`; a bare list of pieces has none but `train`.
pub fn read_split(path: &Path, split: &str) -> Result<Vec<GridPiece>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{}: cannot be opened; check the path", path.display()))?;
    grid_json::parse(&text, split).with_context(|| path.display().to_string())
}
