//! The program behind `cargo xtask bench --training`: times training steps of the default style's network on made-up
//! input. `training.py` does the same work in PyTorch.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use candle_core::{D, Device, Tensor};
use clap::Parser;
use continuo_model::config::{NetworkConfig, SplitConfig};
use continuo_model::random::SplitMix64;
use continuo_model::tokeniser::grid::NUM_VOICES;
use continuo_model::tokeniser::step_reader::{HEAD_SLOTS, HEAD_TABLE_ROWS, INTERVALS};
use continuo_model::weights_file::Weights;
use continuo_network::optimisers::{Optimiser, Rule};
use continuo_network::{Inputs, Network, SplitInputs, Training};

/// Times training steps. The environment variable RAYON_NUM_THREADS sets the number of threads.
#[derive(Parser)]
struct Options {
    /// A weights file of a split network, for its shape.
    weights: PathBuf,
    /// Sequences in a batch.
    #[arg(long, default_value_t = 16)]
    batch: usize,
    /// Steps of a sequence.
    #[arg(long, default_value_t = 128)]
    steps: usize,
    /// Batches; the first three do not count.
    #[arg(long, default_value_t = 23)]
    batches: usize,
    /// Prints the shapes, which `training.py` takes, instead.
    #[arg(long)]
    shape: bool,
}

const UNCOUNTED: usize = 3;

fn main() -> Result<()> {
    let options = Options::parse();
    let NetworkConfig::Split(config) = Weights::read(&options.weights)?.description.config else {
        bail!("{}: expected a split network", options.weights.display());
    };
    let mut rng = SplitMix64::new(1);
    let network = Network::init(NetworkConfig::Split(config.clone()), 1, &Device::Cpu)?;
    if options.shape {
        println!("{}", shape(&options, &network, &config)?);
        return Ok(());
    }
    let mut optimiser = Optimiser::new(Rule::Adam, 0.1, network.trainable())?;
    let (inputs, targets) = made_up(&options, &network, &config, &mut rng)?;
    let mut times = Vec::new();
    for _ in 0..options.batches {
        let start = Instant::now();
        let logits = network.forward(&inputs, Some(Training { rng: &mut rng }))?;
        let log_probs = candle_nn::ops::log_softmax(&logits, D::Minus1)?;
        let loss = log_probs.gather(&targets, 1)?.mean_all()?.neg()?;
        optimiser.step(&loss.backward()?, 1e-3, 1.0)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.drain(..UNCOUNTED.min(times.len() - 1));
    times.sort_by(f64::total_cmp);
    let threads = candle_core::utils::get_num_threads();
    println!("| Continuo's trainer | {threads} | {:.0} | {:.0} |", times[times.len() / 2], times[times.len() - 1]);
    Ok(())
}

fn trunk_rows(network: &Network) -> Result<usize> {
    let table = network.variables().iter().find(|(name, _)| name == "trunk.table").context("a trunk has a table")?;
    Ok(table.1.dim(0)?)
}

/// The shapes of the work.
fn shape(options: &Options, network: &Network, config: &SplitConfig) -> Result<serde_json::Value> {
    Ok(serde_json::json!({
        "batch": options.batch, "steps": options.steps, "batches": options.batches, "voices": NUM_VOICES,
        "trunk_rows": trunk_rows(network)?, "trunk_slots": config.trunk_slots(), "embedding": config.embedding,
        "lstm": config.lstm, "head_rows": HEAD_TABLE_ROWS, "head_slots": HEAD_SLOTS, "head": config.head,
        "head_layers": config.head_layers, "vocabulary": config.vocab_size, "intervals": INTERVALS,
        "dropout": config.dropout, "row_dropout": config.row_dropout, "weight_dropout": config.weight_dropout
    }))
}

/// Random table rows and targets, (cells, 1).
fn made_up(
    options: &Options,
    network: &Network,
    config: &SplitConfig,
    rng: &mut SplitMix64,
) -> Result<(Inputs, Tensor)> {
    let rows = trunk_rows(network)?;
    let times = options.steps * options.batch;
    let cells = times * NUM_VOICES;
    let mut below = |count: usize, bound: usize| (0..count).map(|_| rng.next_below(bound) as u32).collect::<Vec<_>>();
    let trunk = below(times * config.trunk_slots(), rows).into();
    let head = below(cells * HEAD_SLOTS, HEAD_TABLE_ROWS).into();
    let relative = below(cells * config.vocab_size, INTERVALS);
    let relative = Tensor::from_vec(relative, (cells, config.vocab_size), &Device::Cpu)?;
    let targets = Tensor::from_vec(below(cells, config.vocab_size), (cells, 1), &Device::Cpu)?;
    Ok((Inputs::Split(SplitInputs { steps: options.steps, batch: options.batch, trunk, head, relative }), targets))
}
