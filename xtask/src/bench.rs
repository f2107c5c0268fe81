//! `cargo xtask bench`: what a step of each shipped network costs, beside other frameworks; with `--stages` what each
//! stage of the audio thread costs; with `--live` what a live host hears in time on a busy machine; with `--replies`
//! how long answers take, how many instances a core carries and how soon a plugin plays; with `--memory` how much
//! memory an instance takes; with `--keys` how much of what the network plays lies outside the player's key.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::workspace::{Workspace, cargo, run_to_success};
use crate::{bundle, programs};

/// What is measured is what players get.
const PROFILE: &str = "release";

/// Builds a benchmark and runs it: on the bundles, if the first argument names `live`, `replies`, `memory` or `keys`;
/// on the audio thread's stages, if it names `stages`; else the comparison with other frameworks, on the shipped
/// weights or on those in `args`.
pub fn run(workspace: &Workspace, args: &[OsString]) -> Result<ExitCode> {
    if let Some((first, args)) = args.split_first()
        && let Some(name) =
            ["live", "replies", "memory", "keys"].into_iter().find(|name| *first == format!("--{name}").as_str())
    {
        bundle::run(workspace, PROFILE)?;
        return run_program(workspace, name, args);
    }
    if let Some((first, args)) = args.split_first()
        && first == "--stages"
    {
        return run_program(workspace, "stages", &[vec![instrumented_plugin(workspace)?], args.to_vec()].concat());
    }
    let files = args.iter().any(|arg| std::path::Path::new(arg).is_file());
    let shipped = if files { Vec::new() } else { shipped_weights(workspace)? };
    run_program(workspace, programs::PEERS, &[shipped, args.to_vec()].concat())
}

/// Builds the plugin with what measures its stages, which no bundle has; returns the library.
fn instrumented_plugin(workspace: &Workspace) -> Result<OsString> {
    let package = ["build", "--package", bundle::PACKAGE, "--features", "bench", "--profile", PROFILE];
    run_to_success(cargo().current_dir(&workspace.root).args(package))?;
    let name = format!("{}{}{}", std::env::consts::DLL_PREFIX, bundle::PACKAGE, std::env::consts::DLL_SUFFIX);
    Ok(workspace.target_dir.join(PROFILE).join(name).into())
}

/// The weights files of the folder `weights`.
fn shipped_weights(workspace: &Workspace) -> Result<Vec<OsString>> {
    let mut shipped: Vec<_> = std::fs::read_dir(workspace.root.join("weights"))?
        .filter_map(|entry| {
            Some(entry.ok()?.path()).filter(|path| path.extension().is_some_and(|e| e == "safetensors"))
        })
        .collect();
    shipped.sort();
    Ok(shipped.into_iter().map(OsString::from).collect())
}

/// Builds a program of the tests' crate and runs it.
fn run_program(workspace: &Workspace, name: &str, args: &[OsString]) -> Result<ExitCode> {
    let mut command = Command::new(programs::build(workspace, PROFILE, name)?);
    command.args(args).env("CONTINUO_BUNDLES", workspace.bundle_dir());
    // candle computes on one thread, as the others do.
    command.env("RAYON_NUM_THREADS", "1");
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
