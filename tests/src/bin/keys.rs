//! The program behind `cargo xtask bench --keys`: how much of what the network plays after a phrase lies outside the
//! phrase's key.

#![forbid(unsafe_code)]

use anyhow::Result;
use clap::Parser;
use continuo_tests::keys::{BOUNDS, KeyJam, MODES, Shares};

/// Plays nine phrases in twelve keys with five rng seeds, in each mode, and measures the share of the sounding time
/// outside the key in the first two bars of the network's turn.
#[derive(Parser)]
struct Options {
    /// The name of shipped weights, or a weights file.
    #[arg(long, default_value = "bach")]
    style: String,
    /// The temperature [default: the plugin's own]
    #[arg(long)]
    temperature: Option<f64>,
    /// Plays only every n-th jam.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    every: u16,
}

fn main() -> Result<()> {
    let options = Options::parse();
    println!(
        "{}: time outside the key; on average at most {} %, in nine of ten jams at most {} %",
        options.style,
        100.0 * BOUNDS.0,
        100.0 * BOUNDS.1
    );
    println!("{:<10} {:>9} {:>8} {:>8}", "", "", "average", "9 of 10");
    for mode in MODES {
        let shares =
            Shares::measure(&options.style, options.temperature, KeyJam::all(mode).step_by(options.every.into()))?;
        println!("{mode:<10} {shares}");
        for (name, mean) in shares.by_phrase() {
            println!("    {name:<22} {:>6.1} %", 100.0 * mean);
        }
        if let Some((jam, share)) = shares.worst() {
            println!("    worst: {jam:?}, {:.1} %", 100.0 * share);
        }
    }
    Ok(())
}
