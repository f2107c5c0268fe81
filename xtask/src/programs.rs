//! The programs of the tests' crates that commands run: `jam`, and the benchmarks.

use std::path::PathBuf;

use anyhow::Result;

use crate::workspace::{Workspace, cargo, run_to_success};

/// The package and the program that compares with other frameworks. Only this program needs them, so it is on its own.
pub const PEERS: &str = "continuo-peers";

/// Builds a program with a cargo profile, without what only tests need, and returns its path.
///
/// It is a cargo command of its own, like the plugin's: cargo chooses the features of shared crates for all that one
/// command builds, and so every command that builds the plugin or a program finds what an earlier one has built.
pub fn build(workspace: &Workspace, profile: &str, name: &str) -> Result<PathBuf> {
    let package = if name == PEERS { PEERS } else { "continuo-tests" };
    let package = ["--package", package, "--no-default-features", "--bin", name];
    run_to_success(cargo().current_dir(&workspace.root).args(["build", "--profile", profile]).args(package))?;
    let program = workspace.target_dir.join(profile).join(name);
    Ok(program.with_extension(std::env::consts::EXE_EXTENSION))
}
