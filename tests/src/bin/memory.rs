//! The program behind `cargo xtask bench --memory`: how much memory the first instance of a process takes, and each
//! further one.

#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use clap::Parser;
use continuo_tests::bundles;
use continuo_tests::fake_host::{Class, Format, HostConfig, HostedPlugin};
use continuo_tests::live::tune;
use continuo_tests::rack::{self, Blocks, Pace, Setup};
use continuo_tests::script::{Script, Stretch};
use continuo_tests::session::choose;

/// Loads instances one after the other in this process, lets each harmonise a tune, and keeps it.
#[derive(Parser)]
struct Options {
    /// How many instances.
    #[arg(long, default_value_t = 8)]
    instances: usize,
    /// Notes of the tune that each of them harmonises.
    #[arg(long, default_value_t = 256)]
    notes: usize,
    /// Loads the VST3 bundle.
    #[arg(long)]
    vst3: bool,
}

const SETUP: Setup = Setup { sample_rate: 48_000.0, blocks: Blocks::Of(512), pace: Pace::Fast };
/// Length of a note of the tune, milliseconds and beats.
const NOTE_MS: f64 = 250.0;
const NOTE_BEATS: f64 = 0.5;

fn main() -> Result<()> {
    let options = Options::parse();
    let format = if options.vst3 { Format::Vst3 } else { Format::Clap };
    let beats = (options.notes as f64 * NOTE_BEATS + 4.0).ceil();
    let stretches = vec![Stretch::play(0.0, beats), Stretch::stand(1.0)];
    let script = Script { stretches, ..Script::default() }.hands(0, &tune(options.notes, NOTE_MS));
    println!(
        "resident memory of a process with instances of the {format} bundle, MB; each has harmonised {beats} beats"
    );
    let start = resident_mb()?;
    println!("{:>9} {:>9} {:>9}", "instances", "resident", "more");
    println!("{:>9} {start:>9.1}", 0);
    let mut plugins = Vec::new();
    let mut sizes = vec![start];
    for _ in 0..options.instances {
        let mut plugin = HostedPlugin::load(&bundles::path(format), format, Class::NoteEffect)?;
        choose(&mut plugin, "Mode", "Harmonise")?;
        plugin.activate(HostConfig { sample_rate: SETUP.sample_rate, max_block_size: 512, offline: true })?;
        rack::run(&script, std::slice::from_mut(&mut plugin), &SETUP)?;
        plugins.push(plugin);
        let size = resident_mb()?;
        println!("{:>9} {size:>9.1} {:>9.1}", plugins.len(), size - sizes.last().context("the size at the start")?);
        sizes.push(size);
    }
    if let [_, first, .., last] = sizes[..] {
        let further = (last - first) / (plugins.len() - 1) as f64;
        println!("the first instance: {:.1} MB; a further one: {further:.1} MB", first - start);
    }
    Ok(())
}

/// The resident memory of this process, MB of a million bytes.
fn resident_mb() -> Result<f64> {
    const PATH: &str = "/proc/self/status";
    let status =
        std::fs::read_to_string(PATH).with_context(|| format!("{PATH}: Linux tells there what a process takes"))?;
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("expected a line VmRSS, got none")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().with_context(|| format!("{PATH}: VmRSS:{line}"))?;
    Ok(kib * 1024.0 / 1e6)
}
