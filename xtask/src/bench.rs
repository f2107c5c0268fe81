//! `cargo xtask bench`: what a step of each shipped network costs; with `--stages` what each stage of the audio thread
//! costs; with `--live` what a live host hears in time on a busy machine.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::bundle;
use crate::workspace::{Workspace, cargo, run_to_success};

/// What is measured is what players get.
const PROFILE: &str = "release";

/// Builds a benchmark and runs it: behind `--live` the program `live`, on the bundles; behind `--stages` the plugin's
/// example of that name; else `bench`, on the shipped weights or on those in `args`.
pub fn run(workspace: &Workspace, args: &[OsString]) -> Result<ExitCode> {
    match args.split_first() {
        Some((first, args)) if first == "--live" => {
            bundle::run(workspace, PROFILE)?;
            return run_program(workspace, "live", args);
        }
        Some((first, args)) if first == "--stages" => {
            let build = ["--features", "continuo/bench", "--example", "stages"];
            return build_and_run(workspace, &build, "examples/stages", args);
        }
        _ => {}
    }
    let files = args.iter().any(|arg| std::path::Path::new(arg).is_file());
    let shipped = if files { Vec::new() } else { shipped_weights(workspace)? };
    run_program(workspace, "bench", &[shipped, args.to_vec()].concat())
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
    build_and_run(workspace, &["--bin", name], name, args)
}

/// Builds a program, which cargo puts at `path` in the profile's folder, and runs it in the caller's folder; its exit
/// code is ours.
fn build_and_run(workspace: &Workspace, what: &[&str], path: &str, args: &[OsString]) -> Result<ExitCode> {
    // All packages, so that features are those of every other build: `cargo run` cannot do that.
    let mut build = cargo();
    build.current_dir(&workspace.root).args(["build", "--workspace", "--profile", PROFILE]).args(what);
    run_to_success(&mut build)?;
    let program = workspace.target_dir.join(PROFILE).join(path).with_extension(std::env::consts::EXE_EXTENSION);
    let mut command = Command::new(program);
    command.args(args).env("CONTINUO_BUNDLES", workspace.bundle_dir());
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
