//! The program behind `cargo xtask bench`: times a step of each network beside the time to read its weights,
//! candle and tract, in turn in one process on one thread.

#![forbid(unsafe_code)]

mod candle;
mod peer;
mod plain;
mod timing;
mod tract;
mod work;

use std::hint::black_box;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use continuo_model::config::NetworkConfig;
use continuo_model::decision::{ANY_LANE, Decision, Given};
use continuo_model::generate::{self, Hearing, Performer, StepSettings};
use continuo_model::sampling::Sampler;
use continuo_model::stream::Kernel;
use continuo_model::tokeniser::grid::STEPS_PER_BEAT;
use continuo_model::weights_file::Weights;

use candle::Candle;
use peer::Peer;
use plain::Plain;
use timing::{Contender, Floor};
use tract::Tract;
use work::Step;

/// Times networks beside peers. Machines differ: compare ratios within one run.
#[derive(Parser)]
struct Options {
    /// Weights files.
    #[arg(required = true)]
    weights: Vec<PathBuf>,
    /// Rounds in which each contender has a turn.
    #[arg(long, default_value_t = 100)]
    rounds: usize,
    /// The kernel of Continuo's products: avx512, avx2, neon or portable.
    #[arg(long)]
    kernel: Option<String>,
}

/// How many steps are checked, and then repeated by the peers.
const STEPS: usize = 32;

fn main() -> Result<()> {
    let options = Options::parse();
    if let Some(name) = &options.kernel {
        let kernel = Kernel::ALL.into_iter().find(|kernel| kernel.to_string() == *name && kernel.is_available());
        kernel.with_context(|| format!("this processor has no kernel {name}"))?.choose();
    }
    let threads = candle_core::utils::get_num_threads();
    ensure!(threads == 1, "candle would compute on {threads} threads; set RAYON_NUM_THREADS=1");
    println!("kernel {}, one thread, {} rounds; times in us\n", Kernel::chosen(), options.rounds);
    for path in &options.weights {
        let weights = Weights::read(path)?;
        if let NetworkConfig::Ensemble(_) = weights.description.config {
            println!("{}: left out, as it holds several networks\n", path.display());
            continue;
        }
        compare(path, &weights, options.rounds).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn compare(path: &Path, weights: &Weights, rounds: usize) -> Result<()> {
    let plain = Plain::new(weights)?;
    let (mut candle, mut tract) = (Candle::new(&plain)?, Tract::new(&plain)?);
    // Each peer must compute what Continuo does before it is timed.
    let steps = work::check(&mut *work::own(weights)?, &plain, &mut candle, STEPS)?;
    work::check(&mut *work::own(weights)?, &plain, &mut tract, STEPS)?;
    let floor = Floor::new(&steps[0].reads(&plain));
    let mut own = work::own(weights)?;
    let [mut replies, mut chords] = [Replies::new(weights)?, Replies::new(weights)?];
    let mut contenders = vec![
        Contender::new("reading the same weights", || floor.read())?,
        Contender::new("**Continuo**", || own.step())?,
        Contender::new("candle", repeating(&steps, &mut candle))?,
        Contender::new("tract", repeating(&steps, &mut tract))?,
        Contender::new("Continuo, a whole reply", || _ = replies.next())?,
    ];
    if chords.lane == ANY_LANE {
        contenders.push(Contender::new("Continuo hears ten notes", || _ = chords.hear((0..10).map(|n| 40 + 4 * n)))?);
    }
    let title = format!("{}, {} parameters", work::name(path)?, weights.description.config.num_parameters());
    timing::compete(&title, &mut contenders, rounds)?;
    phrases(weights, rounds)
}

/// Times known phrases: heard in batches, heard step by step, and decided.
fn phrases(weights: &Weights, rounds: usize) -> Result<()> {
    let phrase = Replies::new(weights)?.phrase();
    let [mut batches, mut steps, mut decided] =
        [Replies::new(weights)?, Replies::new(weights)?, Replies::new(weights)?];
    let mut contenders = vec![
        Contender::new("**heard in batches**", || batches.performer.replay(&mut phrase.iter().copied()))?,
        Contender::new("heard step by step", || {
            phrase.iter().for_each(|step| steps.performer.replay(&mut std::iter::once(*step)));
        })?,
        Contender::new("decided", || phrase.iter().for_each(|_| _ = decided.next()))?,
    ];
    timing::compete(&format!("a phrase of {} steps", phrase.len()), &mut contenders, rounds)
}

/// Runs the steps on a peer, one at each call.
fn repeating<'a>(steps: &'a [Step], peer: &'a mut dyn Peer) -> impl FnMut() + 'a {
    let mut steps = steps.iter().cycle();
    move || {
        let step = steps.next().expect("there are steps");
        black_box(step.run(peer).expect("it ran before"));
    }
}

/// A performer as the plugin runs it: in each step the player strikes a key.
struct Replies {
    performer: Box<dyn Performer>,
    lane: u8,
    step_idx: i64,
}

impl Replies {
    fn new(weights: &Weights) -> Result<Self> {
        let network = generate::network(weights).map_err(anyhow::Error::msg)?;
        let lane = if network.capabilities().hears == Hearing::Notes { ANY_LANE } else { 0 };
        Ok(Self { performer: network.performer(), lane, step_idx: 0 })
    }

    /// Two bars of 4/4 that the network has decided, to be heard as given.
    fn phrase(&mut self) -> Vec<(generate::Step, Decision)> {
        let decided = (0..32).map(|_| self.next());
        decided.map(|(step, decision)| (generate::Step { given: Given::all(decision), ..step }, decision)).collect()
    }

    /// A step in which the player strikes a key. A line model plays once the player is silent.
    fn next(&mut self) -> (generate::Step, Decision) {
        let mut given = Given::NOTHING;
        if self.performer.network().capabilities().harmonises {
            given.strike(self.lane, 67 + (self.step_idx % 5) as u8, 90);
        }
        self.decide(given)
    }

    /// A step in which the player alone plays.
    fn hear(&mut self, keys: impl Iterator<Item = u8>) -> (generate::Step, Decision) {
        let mut given = Given::all(Decision::SILENCE);
        keys.for_each(|key| given.strike(self.lane, key, 80));
        self.decide(given)
    }

    fn decide(&mut self, given: Given) -> (generate::Step, Decision) {
        let settings = StepSettings { sampler: Sampler::CAREFUL, rng_seed: 1, strict: true, ..StepSettings::default() };
        let step_in_beat = self.step_idx as usize % STEPS_PER_BEAT;
        let step =
            generate::Step { step_idx: self.step_idx, step_in_beat, given, settings, ..generate::Step::default() };
        self.step_idx += 1;
        (step, black_box(self.performer.decide(&step)))
    }
}
