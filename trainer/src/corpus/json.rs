//! JSON files: lead sheets or grids.

use anyhow::{Context, Result, bail};

use super::format::{File, Format};
use super::piece::Piece;
use super::{grid_json, leadsheets};

/// JSON files.
pub const FORMAT: Format =
    Format { name: "JSON", extensions: &["json"], shared_extensions: &[], begins: |_, _| false, read };

fn read(file: &File) -> Result<Vec<Result<Piece>>> {
    let json = serde_json::from_str(&file.text()).context("expected JSON")?;
    match () {
        () if leadsheets::is(&json) => Ok(leadsheets::read(file.source, &json)),
        () if grid_json::is(&json) => Ok(grid_json::read(file.source, &json)),
        () => bail!("expected splits of grids, a list of grids or of lead sheets, got other JSON"),
    }
}
