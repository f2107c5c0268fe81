//! The trainer's commands: music in, weights out, and what they are worth.

/// As the standard one, but whoever reads it may leave before the end (`trainer inspect music | head`): that is no
/// reason to panic, nor to stop training.
macro_rules! println {
    ($($words:tt)*) => { $crate::say(format_args!("{}\n", format_args!($($words)*))) };
}

/// The same without an end of line.
macro_rules! print {
    ($($words:tt)*) => { $crate::say(format_args!($($words)*)) };
}

mod averaging;
mod batches;
mod checkpoint;
mod combine;
mod corpus;
mod critique;
mod evaluate;
mod fine_tuning;
mod generate;
mod inspect;
mod interrupt;
mod kinds;
mod loss_curve;
mod losses;
mod obey;
mod preparation;
mod progress_bar;
mod recipe;
mod sampler_args;
mod schedules;
mod seeds;
mod train;
mod training_log;

use std::io::Write;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::sampler_args::SamplerArgs;

#[cfg(not(test))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: corpus::bad_input::allocations::Counting = corpus::bad_input::allocations::Counting;

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
    /// Print the loss of weights on a corpus: nats per note of four voices, nats per event of a line model.
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
    /// Music files and folders of any mix of formats.
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
    /// Start from the weights in this file instead of from fresh ones; the recipe's network must have its shape. What
    /// is resumed has started already.
    #[arg(long)]
    from: Option<PathBuf>,
    /// CPU threads; all by default. One is often as fast, and leaves the others to you.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
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
    /// Let it adapt to the piece that it plays: how fast each voice's bias moves, and its bias on each 16th of four
    /// beats.
    #[arg(long, num_args = 2, value_names = ["VOICE", "PLACE"])]
    adapt: Vec<f32>,
    /// Music files and folders to judge the whole by.
    #[arg(long, required = true, num_args = 1..)]
    data: Vec<PathBuf>,
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
    /// Music files and folders of any mix of formats; for a line model those that it was trained on.
    #[arg(long, required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    /// Stop at the first file or piece that cannot be read, instead of skipping it.
    #[arg(long)]
    strict: bool,
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
    /// A music file to begin with; for four voices a melody, or music in four parts.
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
    #[command(flatten)]
    sampling: SamplerArgs,
    /// The key to play in, such as C, F#, Bb or Am, for networks that follow that wish.
    #[arg(long, value_parser = generate::key_of)]
    key: Option<u8>,
    /// Rule out notes outside of the key's scale; without --key, of the key that is heard.
    #[arg(long)]
    snap: bool,
    /// Let parallel fifths and octaves happen as the network has learnt them.
    #[arg(long)]
    loose: bool,
    /// The first piece's number; the next has the next.
    #[arg(long, default_value_t = 1)]
    rng_seed: u64,
    /// Write each piece as a score too, a MusicXML file that notation programs open.
    #[arg(long)]
    musicxml: bool,
    /// Write each piece as a picture too, a piano roll.
    #[arg(long)]
    png: bool,
    /// Write each piece as sound too, played on a soft organ.
    #[arg(long)]
    wav: bool,
    /// The folder to write to.
    #[arg(long)]
    out: PathBuf,
}

#[derive(clap::Args)]
struct ObeyArgs {
    /// The weights file.
    weights: PathBuf,
    /// Pieces for each wish.
    #[arg(long, default_value_t = 48, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pieces: u32,
    /// How long each is, in bars of four beats.
    #[arg(long, default_value_t = 15)]
    bars: u16,
    #[command(flatten)]
    sampling: SamplerArgs,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

fn main() -> anyhow::Result<()> {
    let command = Cli::parse().command;
    let threads = match &command {
        Command::Train(args) => args.threads,
        _ => None,
    };
    // SAFETY: no other thread runs yet. Without this variable candle opens and parses /proc/cpuinfo at every
    // matrix product.
    unsafe {
        if threads.is_some() || std::env::var_os("RAYON_NUM_THREADS").is_none() {
            let all = || std::thread::available_parallelism().map_or(1, usize::from);
            std::env::set_var("RAYON_NUM_THREADS", threads.map_or_else(all, usize::from).to_string());
        }
    }
    match command {
        Command::Train(args) => train::run(&args),
        Command::Combine(args) => combine::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Generate(args) => generate::run(&args),
        Command::Obey(args) => obey::run(&args),
        Command::Critique(args) => critique::run(&args),
        Command::Inspect(args) => inspect::run(&args),
    }
}

/// Writes to standard output; what nobody reads is passed over.
fn say(words: std::fmt::Arguments) {
    if let Err(error) = std::io::stdout().write_fmt(words)
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        let _ = writeln!(std::io::stderr(), "standard output cannot be written: {error}");
    }
}
