//! `cargo xtask jam`: bundles the plugin and plays into it with the host of the crate `continuo-tests`.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::bundle;
use crate::workspace::{Workspace, cargo};

/// Bundles (unless help is all that is asked for) and runs `jam`; its exit code is ours.
pub fn run(workspace: &Workspace, args: &[OsString]) -> Result<ExitCode> {
    let wants_help = args.iter().any(|arg| arg == "--help" || arg == "-h");
    if !wants_help {
        bundle::run(workspace, "release")?;
    }
    // In the player's folder, so that relative paths mean what they meant.
    let mut command = cargo();
    command.arg("run").arg("--manifest-path");
    command.arg(workspace.root.join("Cargo.toml"));
    command.args(["--release", "--quiet", "--package", "continuo-tests"]);
    command.args(["--bin", "jam", "--"]);
    // In front of the player's own, which win.
    command.arg("--bundle").arg(workspace.bundle_dir());
    command.arg("--out").arg(workspace.target_dir.join("jam"));
    let status = command
        .args(args)
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    // It has said itself what went wrong.
    let code = status.code().unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
