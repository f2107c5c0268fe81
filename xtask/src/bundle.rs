//! `cargo xtask bundle`: the plugin as a `.clap` and a `.vst3`.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::system_packages;
use crate::workspace::{Workspace, cargo, run_to_success};

/// The plugin's cargo package.
pub const PACKAGE: &str = "continuo";
/// What bundler.toml calls the bundles.
pub const BUNDLE_NAMES: [&str; 2] = ["Continuo.clap", "Continuo.vst3"];

/// Builds and bundles the plugin alone, with a cargo profile; returns the folder of the bundles.
pub fn run(workspace: &Workspace, profile: &str) -> Result<PathBuf> {
    build_and_bundle(workspace, profile, &["--package", PACKAGE])
}

/// The same, building the whole workspace: cargo chooses the features of shared crates for all that one command builds,
/// and so `cargo test --workspace` will find what this has built.
pub fn run_for_tests(workspace: &Workspace, profile: &str) -> Result<PathBuf> {
    build_and_bundle(workspace, profile, &["--workspace"])
}

fn build_and_bundle(workspace: &Workspace, profile: &str, packages: &[&str]) -> Result<PathBuf> {
    system_packages::require(system_packages::TO_BUILD, false)?;
    run_to_success(cargo().current_dir(&workspace.root).args(["build", "--profile", profile]).args(packages))?;
    // nice-plug-xtask's own entry point would take the outermost folder with a Cargo.toml for the workspace, which is
    // another one if this is a checkout inside of it. Its bundling works in the current folder; nothing else here
    // depends on it.
    let called_from = std::env::current_dir().context("the current folder")?;
    std::env::set_current_dir(&workspace.root).with_context(|| workspace.root.display().to_string())?;
    let cargo_args = ["--profile".to_string(), profile.to_string()];
    nice_plug_xtask::bundle(&workspace.target_dir, PACKAGE, &cargo_args, false)
        .with_context(|| format!("bundling {PACKAGE} with profile {profile}"))?;
    std::env::set_current_dir(called_from).context("the current folder")?;

    let folder = workspace.bundle_dir();
    for name in BUNDLE_NAMES {
        let bundle = folder.join(name);
        ensure!(
            bundle.exists(),
            "{}: expected a bundle there, got nothing; does the plugin export this format, and does bundler.toml name \
             it?",
            bundle.display()
        );
    }
    Ok(folder)
}
