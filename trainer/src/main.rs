//! The trainer's commands: music in, weights out, and what they are worth.

mod averaging;
mod baseline;
mod batches;
mod checkpoint;
mod combine;
mod corpus;
mod critique;
mod evaluate;
mod generate;
mod inspect;
mod line_evaluation;
mod lines;
mod material;
mod obey;
mod optimisers;
mod preparation;
mod recipe;
mod seeds;
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
    /// Put several trained networks of one shape together.
    Combine(CombineArgs),
    /// Print the loss of weights on a corpus, in nats per note.
    Evaluate(EvaluateArgs),
    /// Write music as MIDI files.
    Generate(GenerateArgs),
    /// Count how well weights do what they are asked: key, cadence, density, register.
    Obey(ObeyArgs),
    /// Count part-writing faults and texture in music.
    Critique(critique::CritiqueArgs),
    /// Print what music or a weights file holds.
    Inspect(inspect::InspectArgs),
}

#[derive(clap::Args)]
struct TrainArgs {
    /// The recipe, a TOML file (trainer/recipes holds those of the shipped weights).
    recipe: PathBuf,
    /// For four voices grid JSON files with the splits that the recipe names; for a line model music files and folders of
    /// any mix.
    #[arg(long, required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    /// Stop at the first file that cannot be read, instead of skipping it.
    #[arg(long)]
    strict: bool,
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
struct CombineArgs {
    /// The members' weights files.
    #[arg(required = true, num_args = 2..)]
    weights: Vec<PathBuf>,
    /// A grid JSON file to judge the whole by.
    #[arg(long)]
    data: PathBuf,
    /// Which of its splits to judge on.
    #[arg(long, default_value = "valid")]
    split: String,
    /// The weights file to write.
    #[arg(long)]
    out: PathBuf,
}

#[derive(clap::Args)]
struct EvaluateArgs {
    /// The weights file.
    weights: Option<PathBuf>,
    /// Judge an n-gram over a line model's words instead, learnt from the training songs.
    #[arg(long)]
    baseline: bool,
    /// The recipe whose words the n-gram has, without a weights file.
    #[arg(long, requires = "baseline")]
    recipe: Option<PathBuf>,
    /// For four voices grid JSON files; for a line model the music that it was trained on.
    #[arg(long, required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    /// Which of its splits to judge on.
    #[arg(long, default_value = "valid")]
    split: String,
    /// Voices that the player gives in every step, letters of SATB; the loss is over the others.
    #[arg(long, default_value = "")]
    given: String,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct GenerateArgs {
    /// The weights file.
    weights: PathBuf,
    /// A MIDI file to begin with: a melody, or four tracks for four voices; for a line model any music file.
    #[arg(long)]
    seed: Option<PathBuf>,
    /// The training corpus: each piece begins as a random one of its training pieces does.
    #[arg(long, num_args = 1.., conflicts_with = "seed")]
    seed_corpus: Vec<PathBuf>,
    /// How long those beginnings are, bars.
    #[arg(long, default_value_t = 4)]
    seed_bars: u16,
    /// How many pieces.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pieces: u32,
    /// How long each is, the seed included.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1000))]
    bars: u16,
    /// How adventurous: 0 takes the likeliest, 1 is as learnt.
    #[arg(long, default_value_t = 0.6)]
    temperature: f32,
    /// Share of the probability that is drawn from.
    #[arg(long, default_value_t = 0.95)]
    top_p: f32,
    /// Let parallel fifths and octaves happen as the network has learnt them.
    #[arg(long)]
    loose: bool,
    /// The first piece's number; the next has the next.
    #[arg(long, default_value_t = 1)]
    rng_seed: u64,
    /// The folder to write to.
    #[arg(long)]
    out: PathBuf,
}

#[derive(clap::Args)]
struct ObeyArgs {
    /// The weights file.
    weights: PathBuf,
    /// Pieces for each wish.
    #[arg(long, default_value_t = 48, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    pieces: usize,
    /// How long each is, in bars of four beats.
    #[arg(long, default_value_t = 15)]
    bars: u16,
    /// How adventurous: 0 takes the likeliest, 1 is as learnt.
    #[arg(long, default_value_t = 0.6)]
    temperature: f32,
    /// Share of the probability that is drawn from.
    #[arg(long, default_value_t = 0.95)]
    top_p: f32,
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
        Command::Combine(args) => combine::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Generate(args) => generate::run(&args),
        Command::Obey(args) => obey::run(&args),
        Command::Critique(args) => critique::run(&args),
        Command::Inspect(args) => inspect::run(&args),
    }
}
