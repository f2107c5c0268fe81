//! Music to learn from, whatever the file: pieces on a grid, in named splits.

mod abc;
mod beats;
mod csv;
mod dcml_tsv;
mod decoding;
pub mod folder;
mod grid_json;
mod kern;
pub mod key;
mod leadsheets;
mod midi;
mod musicxml;
pub mod piece;
mod repeats;
mod rows;
mod score;

#[cfg(test)]
mod bad_input;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use continuo_model::tokeniser::grid::Grid;

/// The pieces of `split` in the file at `path`.
pub fn read_split(path: &Path, split: &str) -> Result<Vec<Grid>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{}: cannot be opened; check the path", path.display()))?;
    let pieces = grid_json::parse(&text, split).with_context(|| path.display().to_string())?;
    ensure!(!pieces.is_empty(), "{}: split `{split}` holds no piece", path.display());
    Ok(pieces)
}
