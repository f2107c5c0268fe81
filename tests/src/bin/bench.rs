//! The program behind `cargo xtask bench`: times a step and compares it with its lower bound, reading the weights once.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use continuo_model::decision::{ANY_LANE, Decision, Edge, Given};
use continuo_model::generate::{self, Hearing, Performer, Step, StepSettings};
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
        println!("{:<58} {:>9} {:>7}", "", "us", "ratio");
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
        if bench.performer.network().capabilities().hears == Hearing::Notes {
            bench.print_ten_notes(options.runs, unit);
        }
        println!();
    }
    Ok(())
}

fn print_row(name: &str, time: Duration, unit: Duration) {
    let us = time.as_secs_f64() * 1e6;
    println!("{name:<58} {us:>9.1} {:>7.2}", us / (unit.as_secs_f64() * 1e6));
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
        let mut given = Given::NOTHING;
        if let Some((lane, key)) = struck {
            given.strike(lane, key, 100);
        }
        self.decide(given).0
    }

    fn decide(&mut self, given: Given) -> (Duration, Decision) {
        let step = Step {
            step_idx: self.step_idx,
            step_in_beat: self.step_idx as usize % STEPS_PER_BEAT,
            given,
            // As shipped: below temperature 1 the performer weighs several chords.
            settings: StepSettings { sampler: Sampler::CAREFUL, rng_seed: 1, strict: true, ..StepSettings::default() },
            ..Step::default()
        };
        self.step_idx += 1;
        let start = Instant::now();
        let decision = black_box(self.performer.decide(&step));
        (start.elapsed(), decision)
    }
}

impl Bench {
    /// Prints what ten notes in a step cost after a sleep, heard and played: the 99th percentile.
    fn print_ten_notes(&mut self, runs: usize, unit: Duration) {
        let mut heard = Given::all(Decision::SILENCE);
        (0..10).for_each(|n| heard.strike(ANY_LANE, 40 + 4 * n, 80));
        let [mut hears, mut plays] = [Vec::new(), Vec::new()];
        while hears.len() < runs || plays.len() < runs {
            std::thread::sleep(SLEEP);
            // Long enough alone that the chord does not dictate the music.
            let given = if self.step_idx % 16 == 0 { heard } else { Given::NOTHING };
            let (time, decision) = self.decide(given);
            let notes = decision.edges().iter().filter(|edge| matches!(edge, Edge::On { .. })).count() as u32;
            match notes {
                _ if !given.lanes.is_empty() => hears.push(time),
                0 => {}
                notes => plays.push(10 * time / notes),
            }
        }
        for (name, times) in [("heard", hears), ("played, ten times the share of one", plays)] {
            print_row(&format!("ten notes {name}, p99 after a sleep"), percentile(times, 99), unit);
        }
    }
}

fn median(runs: usize, mut measure: impl FnMut() -> Duration) -> Duration {
    percentile((0..runs.max(1)).map(|_| measure()).collect(), 50)
}

fn percentile(mut times: Vec<Duration>, percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}
