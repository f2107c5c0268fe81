//! The program behind `cargo xtask bench`: times a step and compares it with its lower bound, reading the weights once.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use continuo_model::decision::Given;
use continuo_model::generate::{self, Performer, Step, StepSettings};
use continuo_model::sampling::Sampler;
use continuo_model::tokeniser::grid::STEPS_PER_BEAT;
use continuo_model::weights_file::Weights;

/// Times a performer's steps. Machines differ and are shared: compare ratios within one run.
#[derive(Parser)]
struct Options {
    /// Weights files.
    #[arg(required = true)]
    weights: Vec<PathBuf>,
    /// Runs of each measurement; the median counts.
    #[arg(long, default_value_t = 400)]
    runs: usize,
}

/// The pause before a cold step, after which caches and processor clock are as in a host.
const SLEEP: Duration = Duration::from_millis(20);

fn main() -> Result<()> {
    let options = Options::parse();
    for path in &options.weights {
        let weights = Weights::read(path)?;
        let parameters = weights.description.config.num_parameters();
        let network = generate::network(&weights).map_err(anyhow::Error::msg).context(path.display().to_string())?;
        println!("{}: {parameters} parameters", path.display());
        println!("{:<44} {:>9} {:>7}", "", "us", "ratio");
        let floor = Floor::new(parameters);
        let unit = median(options.runs, || floor.read());
        print_row("reading the weights once, 16 bits: the floor", unit, unit);
        let mut bench = Bench { performer: network.performer(), step_idx: 0 };
        for (name, given) in [
            ("a step, four voices drawn", None),
            ("a reply to the soprano", Some((0, 72))),
            ("a reply to the bass", Some((3, 48))),
        ] {
            print_row(name, median(options.runs, || bench.step(given)), unit);
        }
        let cold = median(options.runs / 10, || {
            std::thread::sleep(SLEEP);
            bench.step(None)
        });
        print_row("a step, four voices drawn, after a 20 ms sleep", cold, unit);
        println!();
    }
    Ok(())
}

fn print_row(name: &str, time: Duration, unit: Duration) {
    let us = time.as_secs_f64() * 1e6;
    println!("{name:<44} {us:>9.1} {:>7.2}", us / (unit.as_secs_f64() * 1e6));
}

/// As many bytes as a network's weights take in 16 bits.
struct Floor(Vec<u64>);

impl Floor {
    fn new(parameters: usize) -> Self {
        Self((0..parameters as u64 / 4).collect())
    }

    fn read(&self) -> Duration {
        let start = Instant::now();
        black_box(self.0.iter().fold(0, |sum, x| sum ^ x));
        start.elapsed()
    }
}

struct Bench {
    performer: Box<dyn Performer>,
    step_idx: i64,
}

impl Bench {
    /// Decides a step in which the player strikes a key, if any, in a lane.
    fn step(&mut self, struck: Option<(u8, u8)>) -> Duration {
        self.step_idx += 1;
        let mut given = Given::NOTHING;
        if let Some((lane, key)) = struck {
            given.strike(lane, key, 100);
        }
        let step = Step {
            step_idx: self.step_idx,
            step_in_beat: self.step_idx as usize % STEPS_PER_BEAT,
            given,
            // As shipped: below temperature 1 the performer weighs several chords.
            settings: StepSettings { sampler: Sampler::CAREFUL, rng_seed: 1, strict: true, ..StepSettings::default() },
            ..Step::default()
        };
        let start = Instant::now();
        black_box(self.performer.decide(&step));
        start.elapsed()
    }
}

fn median(runs: usize, mut measure: impl FnMut() -> Duration) -> Duration {
    let mut times: Vec<_> = (0..runs.max(1)).map(|_| measure()).collect();
    times.sort_unstable();
    times[times.len() / 2]
}
