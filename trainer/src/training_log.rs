//! What each epoch gave, beside the weights: a table for programs and a picture for people.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::loss_curve;

/// What an epoch gave.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRow {
    /// Its number, counted from 1.
    pub epoch: usize,
    /// Mean loss while training, nats; with dropout, and over weights that moved.
    pub train: f64,
    /// Loss of the network that is kept on the pieces to judge by, nats.
    pub valid: f64,
    /// The step size of its last batch.
    pub rate: f64,
    /// How long it took, judging included.
    pub seconds: f64,
    /// The lowest validation loss so far.
    pub best: f64,
}

/// Writes OUT.log.csv and OUT.curve.png. Both are whole each time, so that a run that goes on after a break goes on
/// with them.
pub fn write(weights: &Path, rows: &[EpochRow], title: &str, unit: &str) -> Result<()> {
    let mut table = csv::Writer::from_writer(Vec::new());
    for row in rows {
        table.serialize(row)?;
    }
    replace(&weights.with_extension("log.csv"), &table.into_inner().context("a table in memory")?)?;
    replace(&weights.with_extension("curve.png"), &loss_curve::png(rows, title, unit)?)
}

/// Writes beside a file's place and moves there, so that no reader sees half of it.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let cannot = || format!("{}: cannot be written; check the folder and the space on the disk", path.display());
    let part = path.with_extension("part");
    std::fs::write(&part, bytes).with_context(cannot)?;
    std::fs::rename(&part, path).with_context(cannot)
}
