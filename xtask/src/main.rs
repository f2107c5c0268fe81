//! `cargo xtask`: the commands that build, install, play, time and check Continuo.

#![forbid(unsafe_code)]

mod bench;
mod bundle;
mod dependencies;
mod install;
mod jam;
mod notices;
mod programs;
mod system_packages;
mod test;
mod tidy;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use workspace::Workspace;

/// Builds, installs, plays and checks Continuo.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the plugin and bundle it as target/bundled/Continuo.clap and Continuo.vst3, with THIRD_PARTY.md.
    Bundle {
        /// The cargo profile to build with; `checked` is `release` with every assertion on.
        #[arg(long, default_value = "release")]
        profile: String,
    },
    /// Bundle, and copy the bundles to the user's CLAP and VST3 folders.
    Install,
    /// Bundle, play a MIDI file into the bundle and write its answer; `jam --help` lists the options.
    #[command(disable_help_flag = true)]
    Jam {
        /// Passed on to `jam` unchanged.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Time the networks' steps beside other frameworks (compare ratios within one run), with `--stages` the audio
    /// thread's stages, with `--live` count what a live host gets in time, with `--replies` time answers, or with
    /// `--memory` measure the memory of an instance.
    Bench {
        /// Weights files instead of all shipped ones; after `--live`, `--replies` or `--memory` its options. Passed
        /// on unchanged.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Run everything that CI runs.
    Test {
        /// Install missing programs with apt-get and cargo; the default if the environment has CI=true.
        #[arg(long)]
        install_packages: bool,
        /// Store the editor's pictures in tests/screenshots instead of comparing them with those there.
        #[arg(long)]
        bless: bool,
    },
    /// Check the house rules: file headers, lengths of files and lines, forbidden names, no home paths.
    Tidy,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    match command {
        Command::Bundle { profile } => {
            let folder = bundle::run(&workspace, &profile)?;
            notices::write(&workspace, &folder).map(|_| ExitCode::SUCCESS)
        }
        Command::Install => install::run(&workspace).map(|()| ExitCode::SUCCESS),
        Command::Jam { args } => jam::run(&workspace, &args),
        Command::Bench { args } => bench::run(&workspace, &args),
        Command::Test { install_packages, bless } => test::run(&workspace, install_packages, bless),
        Command::Tidy => tidy::run(&workspace).map(|()| ExitCode::SUCCESS),
    }
}
