//! The trainer's command line: one subcommand each to train, combine, evaluate, play and inspect.

/// Like the standard macro, but a closed pipe (`trainer inspect music | head`) neither panics nor stops training.
macro_rules! println {
    ($($words:tt)*) => { $crate::say(format_args!("{}\n", format_args!($($words)*))) };
}

/// The same without a line break at the end.
macro_rules! print {
    ($($words:tt)*) => { $crate::say(format_args!($($words)*)) };
}

mod averaging;
mod batches;
mod checkpoint;
mod combine;
mod compare;
mod corpus;
mod critique;
mod discriminator;
mod evaluate;
mod fine_tuning;
mod generate;
mod inspect;
mod interrupt;
mod kinds;
mod loss_curve;
mod losses;
mod obey;
mod own_past;
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

/// Trains Continuo's networks, evaluates them and generates music with them.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a network as a recipe describes.
    Train(TrainArgs),
    /// Combine several trained networks of the same shape into an ensemble.
    Combine(CombineArgs),
    /// Print the loss of a network on a corpus: nats per note for four voices, nats per event for a line model.
    Evaluate(EvaluateArgs),
    /// Generate music as MIDI files.
    Generate(GenerateArgs),
    /// Measure how well a network follows its controls: key, cadence, density, register.
    Obey(ObeyArgs),
    /// Count part-writing faults and measure the texture of music in four voices.
    Critique(critique::CritiqueArgs),
    /// Compare music with a corpus: figures of both side by side, the longest copied run, and how well they can be told
    /// apart.
    Compare(compare::CompareArgs),
    /// Summarise music files or weights files.
    Inspect(inspect::InspectArgs),
}

#[derive(clap::Args)]
struct TrainArgs {
    /// The recipe, a TOML file; trainer/recipes contains those of the shipped weights.
    recipe: PathBuf,
    /// Music files and folders, in any mix of formats.
    #[arg(long, required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    /// Stop at the first file or piece that cannot be read instead of skipping it.
    #[arg(long)]
    strict: bool,
    /// The weights file to write. It always contains the best weights so far.
    #[arg(long)]
    out: PathBuf,
    /// The device to train on.
    #[arg(long, value_enum, default_value_t = Device::Cpu)]
    device: Device,
    /// Start from the weights in this file instead of from random ones. The recipe must describe a network of the same
    /// shape. With --resume, give the same option again; training continues from the checkpoint.
    #[arg(long)]
    from: Option<PathBuf>,
    /// The number of CPU threads; all by default. Fewer leave the other cores free.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Resume from OUT.checkpoint. The final weights are the same as without the interruption.
    #[arg(long)]
    resume: bool,
    /// The seed of the random weights, the order of the batches, transposition and dropout.
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
    /// The weights files of the members.
    #[arg(required = true, num_args = 2..)]
    weights: Vec<PathBuf>,
    /// Let the ensemble adapt to the piece it plays: the learning rates of a bias for each voice, and of a bias for
    /// each voice on each 16th of four beats.
    #[arg(long, num_args = 2, value_names = ["VOICE", "POSITION"])]
    adapt: Vec<f32>,
    /// Music files and folders to evaluate the ensemble on.
    #[arg(long, required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    /// The split of that music to evaluate on.
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
    /// Evaluate an n-gram instead, over the words of a line model and trained on the training songs.
    #[arg(long)]
    baseline: bool,
    /// The recipe that defines the n-gram's words, instead of a weights file.
    #[arg(long, requires = "baseline")]
    recipe: Option<PathBuf>,
    /// Music files and folders, in any mix of formats; for a line model, those it was trained on.
    #[arg(long, required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    /// Stop at the first file or piece that cannot be read instead of skipping it.
    #[arg(long)]
    strict: bool,
    /// The split to evaluate on.
    #[arg(long, default_value = "valid")]
    split: String,
    /// Voices that the player gives in every step, as letters of SATB. The loss covers the other voices.
    #[arg(long, default_value = "")]
    given: String,
    /// Measure what the network plays, instead of its loss: harmonise the given voices of each piece one step after
    /// another, as the plugin does, and compare with the composer.
    #[arg(long, requires = "weights", conflicts_with = "baseline")]
    play: bool,
    /// Measure the music that the network plays freely, beside the first bars of the pieces.
    #[arg(long, requires = "weights", conflicts_with_all = ["baseline", "play", "given"])]
    free: bool,
    /// With --play or --free, where the key control comes from.
    #[arg(long, value_enum, default_value_t = evaluate::KeySource::Auto)]
    key: evaluate::KeySource,
    /// With --free, how many pieces to generate.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    pieces: u32,
    /// With --free, the length of each piece in bars of four beats; it compares as much of the composer's pieces.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(4..=1000))]
    bars: u16,
    /// With --free, do not plan phrases on the bars; the network decides where they end.
    #[arg(long, requires = "free", conflicts_with = "play")]
    no_phrases: bool,
    /// With --play or --free, the random seed of the first piece. Each further piece adds 1.
    #[arg(long, default_value_t = 1)]
    rng_seed: u64,
    /// How --play and --free sample.
    #[command(flatten)]
    sampling: SamplerArgs,
    /// Print a JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct GenerateArgs {
    /// The weights file.
    weights: PathBuf,
    /// A music file to start from. For four voices: a melody, or music in four parts.
    #[arg(long)]
    seed: Option<PathBuf>,
    /// The voice that a melody is given to; the network decides the others. Soprano by default.
    #[arg(long, value_enum, requires = "seed")]
    voice: Option<seeds::Voice>,
    /// The training corpus. Each piece starts like a piece chosen at random from its training split.
    #[arg(long, num_args = 1.., conflicts_with = "seed")]
    seed_corpus: Vec<PathBuf>,
    /// How many bars each piece takes from the training corpus.
    #[arg(long, default_value_t = 4)]
    seed_bars: u16,
    /// How many pieces to generate.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pieces: u32,
    /// The length of each piece in bars, including the seed.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1000))]
    bars: u16,
    #[command(flatten)]
    sampling: SamplerArgs,
    /// The key to play in, such as C, F#, Bb or Am, for networks that follow the key control.
    #[arg(long, value_parser = generate::key_of)]
    key: Option<u8>,
    /// Allow only notes in the scale of the key. Without --key, the key is estimated from the music.
    #[arg(long)]
    snap: bool,
    /// Allow parallel fifths and octaves as often as the network chooses them.
    #[arg(long)]
    loose: bool,
    /// The random seed of the first piece. Each further piece adds 1.
    #[arg(long, default_value_t = 1)]
    rng_seed: u64,
    /// Also write each piece as a score: a MusicXML file for notation programs.
    #[arg(long)]
    musicxml: bool,
    /// Also write each piece as a picture: a piano roll.
    #[arg(long)]
    png: bool,
    /// Also write each piece as sound, played on a soft organ.
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
    /// How many pieces to generate for each setting of the controls.
    #[arg(long, default_value_t = 48, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pieces: u32,
    /// The length of each piece in bars of four beats, at least 4.
    #[arg(long, default_value_t = 15)]
    bars: u16,
    #[command(flatten)]
    sampling: SamplerArgs,
    /// Print a JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

fn main() -> anyhow::Result<()> {
    let command = Cli::parse().command;
    let threads = match &command {
        Command::Train(args) => args.threads,
        _ => None,
    };
    // SAFETY: no other thread runs yet. If this variable is not set, candle opens and parses /proc/cpuinfo at every
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
        Command::Compare(args) => compare::run(&args),
        Command::Inspect(args) => inspect::run(&args),
    }
}

/// Writes to standard output. Ignores a closed pipe; reports any other error on standard error.
fn say(words: std::fmt::Arguments) {
    if let Err(error) = std::io::stdout().write_fmt(words)
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        let _ = writeln!(std::io::stderr(), "cannot write to standard output: {error}");
    }
}
