//! Music out of weights, from nothing or from a seed phrase: MIDI files, and if asked for scores, pictures and sound.

mod musicxml;
mod notation;
mod outputs;
mod sound;

use anyhow::{Context, Result, ensure};
use continuo_model::generate::{Given, Performer, Step, StepSettings};
use continuo_model::phrase::Phrase;
use continuo_model::sampling::Sampler;
use continuo_model::stream::StreamingNetwork;
use continuo_model::tokeniser::grid::{NUM_VOICES, STEPS_PER_BEAT};
use continuo_model::tokeniser::score;
use continuo_model::tokeniser::step_reader::Controls;
use continuo_model::vocabulary::Symbol;
use continuo_model::weights_file::Weights;
use indicatif::ProgressIterator;

use crate::GenerateArgs;
use crate::seeds::{self, Seed};

/// Writes the pieces that the command line asks for.
pub fn run(args: &GenerateArgs) -> Result<()> {
    ensure!((0.0..=5.0).contains(&args.temperature), "--temperature: expected 0 to 5, got {}", args.temperature);
    ensure!(args.top_p > 0.0 && args.top_p <= 1.0, "--top-p: expected above 0 up to 1, got {}", args.top_p);
    let weights = Weights::read(&args.weights)?;
    let network = StreamingNetwork::new(weights)
        .map_err(anyhow::Error::msg)
        .with_context(|| args.weights.display().to_string())?;
    let seeds = seeds::read(args, network.weights())?;
    std::fs::create_dir_all(&args.out).with_context(|| format!("{}: cannot be made", args.out.display()))?;
    let mut performer = Performer::new(network);
    for n in (0..args.pieces).progress() {
        let settings = StepSettings {
            sampler: Sampler { temperature: args.temperature, top_p: args.top_p, ..Sampler::PLAIN },
            rng_seed: args.rng_seed.wrapping_add(u64::from(n)),
            pass: 0,
            strict: !args.loose,
            controls: Controls::default(),
            snap: false,
        };
        let seed = seeds::of_piece(&seeds, settings.rng_seed);
        let phrase = piece(&mut performer, seed, args.bars.into(), settings);
        outputs::write(&args.out, &format!("piece-{n:03}"), &phrase, args)?;
    }
    println!("{}: {} pieces of {} bars", args.out.display(), args.pieces, args.bars);
    Ok(())
}

/// A piece of `bars` bars; its beginning is what `seed` gives, with the voices that it leaves open drawn.
fn piece(performer: &mut Performer, seed: &Seed, bars: usize, settings: StepSettings) -> Phrase {
    let bar_steps = seed.bar_steps();
    performer.reset();
    let rows: Vec<[Symbol; NUM_VOICES]> = (0..bars * bar_steps)
        .map(|step| {
            let given = seed
                .rows
                .get(step)
                .map_or([Given::Free; NUM_VOICES], |row| row.map(|symbol| symbol.map_or(Given::Free, Given::Symbol)));
            performer.step(&Step {
                step_idx: step as i64,
                step_in_beat: step % bar_steps % STEPS_PER_BEAT,
                given,
                // The first step after the seed is a new phrase.
                attack: step == seed.rows.len(),
                settings,
            })
        })
        .collect();
    score::to_phrase(&rows, seed.tempo_bpm, seed.time_signature)
}
