//! The log of a run beside the weights: a CSV table and a plot of the losses.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::loss_curve;

/// The results of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRow {
    /// Its number, counted from 1.
    pub epoch: usize,
    /// Mean training loss, nats; measured with dropout, while the weights change.
    pub train: f64,
    /// Validation loss of the weights that are saved, nats.
    pub valid: f64,
    /// The learning rate of its last batch.
    pub rate: f64,
    /// How long it took, including validation.
    pub seconds: f64,
    /// The lowest validation loss so far.
    pub best: f64,
}

/// Writes OUT.log.csv and OUT.curve.png. Rewrites them completely each time, so a resumed run continues them.
pub fn write(weights: &Path, rows: &[EpochRow], title: &str, unit: &str) -> Result<()> {
    let mut table = csv::Writer::from_writer(Vec::new());
    for row in rows {
        table.serialize(row)?;
    }
    replace(&weights.with_extension("log.csv"), &table.into_inner().context("a table in memory")?)?;
    replace(&weights.with_extension("curve.png"), &loss_curve::png(rows, title, unit)?)
}

/// Writes a new file and renames it, so that no reader sees a partly written one.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let cannot = || format!("{}: cannot be written; check the folder and the space on the disk", path.display());
    let part = path.with_extension("part");
    std::fs::write(&part, bytes).with_context(cannot)?;
    std::fs::rename(&part, path).with_context(cannot)
}
