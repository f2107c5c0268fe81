//! Music to learn from, whatever the file: pieces on a grid, in named splits.

pub mod csv;
pub mod grid_json;

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
