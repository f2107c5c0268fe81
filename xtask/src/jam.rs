//! `cargo xtask jam`: bundles the plugin and plays into it with the host of the crate `continuo-tests`.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::workspace::Workspace;
use crate::{bundle, programs};

/// Builds, bundles and runs `jam`; its exit code is ours.
pub fn run(workspace: &Workspace, args: &[OsString]) -> Result<ExitCode> {
    bundle::run(workspace, "release")?;
    let program = programs::build(workspace, "release", "jam")?;
    // Runs in the player's folder, so that relative paths mean what they meant.
    let mut command = Command::new(program);
    // In front of the player's own, which win.
    command.arg("--bundle").arg(workspace.bundle_dir());
    command.arg("--out").arg(workspace.target_dir.join("jam"));
    let status = command.args(args).status().with_context(|| format!("cannot start {command:?}"))?;
    // It has said itself what went wrong.
    let code = status.code().unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
