//! The program behind `cargo xtask bench --stages`: lets the plugin's library, built with its feature `bench`, print
//! what each stage of its audio thread costs.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use libloading::Library;

/// Prints the mean time of each stage per block, and its share of the block.
#[derive(Parser)]
struct Options {
    /// The plugin's library.
    library: PathBuf,
}

fn main() -> Result<()> {
    let library = Options::parse().library;
    // SAFETY: loading a Rust library runs no code but the system's.
    let library = unsafe { Library::new(&library) }.with_context(|| library.display().to_string())?;
    // SAFETY: the function has this type wherever the plugin is built with the feature `bench`.
    let print_stages = unsafe { library.get::<extern "C" fn()>(b"continuo_print_stages") }
        .context("expected the plugin built with the feature `bench`")?;
    print_stages();
    Ok(())
}
