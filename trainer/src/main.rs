//! The trainer's commands: music in, weights out, and what they are worth.

mod batches;
mod checkpoint;
mod corpus;
mod evaluate;
mod optimisers;
mod recipe;
mod train;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Trains, judges and tries Continuo's weights.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train weights by a recipe.
    Train(TrainArgs),
    /// Print the loss of weights on a corpus, in nats per note.
    Evaluate(EvaluateArgs),
}

#[derive(clap::Args)]
struct TrainArgs {
    /// The recipe, a TOML file (trainer/recipes holds those of the shipped weights).
    recipe: PathBuf,
    /// Grid JSON files with the splits that the recipe names.
    #[arg(long, required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    /// The weights file to write; the best so far is always there.
    #[arg(long)]
    out: PathBuf,
    /// Where to compute.
    #[arg(long, value_enum, default_value_t = Device::Cpu)]
    device: Device,
    /// Go on from OUT.checkpoint, to the same weights as without the break.
    #[arg(long)]
    resume: bool,
    /// The number that fresh weights, order, transposition and dropout follow from.
    #[arg(long, default_value_t = 1)]
    rng_seed: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Device {
    Cpu,
    Cuda,
}

#[derive(clap::Args)]
struct EvaluateArgs {
    /// The weights file.
    weights: PathBuf,
    /// A grid JSON file.
    #[arg(long)]
    data: PathBuf,
    /// Which of its splits to judge on.
    #[arg(long, default_value = "valid")]
    split: String,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

fn main() -> anyhow::Result<()> {
    // SAFETY: no other thread runs yet. Without this variable candle opens and parses /proc/cpuinfo at every
    // matrix product.
    unsafe {
        if std::env::var_os("RAYON_NUM_THREADS").is_none() {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            std::env::set_var("RAYON_NUM_THREADS", threads.to_string());
        }
    }
    match Cli::parse().command {
        Command::Train(args) => train::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
    }
}
