//! `cargo xtask bench`: what a step of each shipped network costs.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::workspace::{Workspace, cargo};

/// Builds the benchmark as a release and runs it on the shipped weights, or on those in `args`.
pub fn run(workspace: &Workspace, args: &[OsString]) -> Result<ExitCode> {
    // All packages, so that features are those of every other build.
    let mut command = cargo();
    command.args(["run", "--release", "--quiet", "--workspace", "--bin", "bench", "--"]);
    let files = args.iter().any(|arg| !arg.to_string_lossy().starts_with('-'));
    if files {
        command.args(args);
    } else {
        let mut shipped: Vec<_> = std::fs::read_dir(workspace.root.join("weights"))?
            .filter_map(|entry| {
                Some(entry.ok()?.path()).filter(|path| path.extension().is_some_and(|e| e == "safetensors"))
            })
            .collect();
        shipped.sort();
        command.args(shipped).args(args);
    }
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
