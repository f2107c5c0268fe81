//! Music out of weights, from nothing or from a seed phrase: MIDI files, and if asked for scores, pictures and sound.

mod musicxml;
mod notation;
mod outputs;
mod sound;

use anyhow::{Context, Result, ensure};
use continuo_model::generate::{Given, Performer, Step, StepSettings};
use continuo_model::midi_file;
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

const TEMPO_BPM: f64 = 84.0;

/// Writes the pieces that the command line asks for.
pub fn run(args: &GenerateArgs) -> Result<()> {
    ensure!((0.0..=5.0).contains(&args.temperature), "--temperature: expected 0 to 5, got {}", args.temperature);
    ensure!(args.top_p > 0.0 && args.top_p <= 1.0, "--top-p: expected above 0 up to 1, got {}", args.top_p);
    let weights = Weights::read(&args.weights)?;
    let network = StreamingNetwork::new(weights)
        .map_err(anyhow::Error::msg)
        .with_context(|| args.weights.display().to_string())?;
    let seed_phrase = args.seed.as_deref().map(midi_file::read).transpose()?;
    std::fs::create_dir_all(&args.out).with_context(|| format!("{}: cannot be made", args.out.display()))?;
    let mut performer = Performer::new(network);
    for n in (0..args.pieces).progress() {
        let settings = StepSettings {
            sampler: Sampler { temperature: args.temperature, top_p: args.top_p },
            rng_seed: args.rng_seed.wrapping_add(u64::from(n)),
            pass: 0,
            strict: !args.loose,
            controls: Controls::default(),
        };
        let phrase = piece(&mut performer, seed_phrase.as_ref(), args.bars.into(), settings);
        outputs::write(&args.out, &format!("piece-{n:03}"), &phrase, args)?;
    }
    println!("{}: {} pieces of {} bars", args.out.display(), args.pieces, args.bars);
    Ok(())
}

/// A piece of `bars` bars; its beginning is what `seed_phrase` gives, with the voices that it leaves open drawn.
fn piece(performer: &mut Performer, seed_phrase: Option<&Phrase>, bars: usize, settings: StepSettings) -> Phrase {
    let (tempo_bpm, time_signature) = seed_phrase.map_or((TEMPO_BPM, (4, 4)), |p| (p.tempo_bpm, p.time_signature));
    let bar_steps = (f64::from(time_signature.0) * 4.0 / f64::from(time_signature.1) * STEPS_PER_BEAT as f64) as usize;
    let seed_rows = seed_phrase.map(score::from_phrase).unwrap_or_default();
    performer.reset();
    let rows: Vec<[Symbol; NUM_VOICES]> = (0..bars * bar_steps)
        .map(|step| {
            let given = seed_rows
                .get(step)
                .map_or([Given::Free; NUM_VOICES], |row| row.map(|symbol| symbol.map_or(Given::Free, Given::Symbol)));
            performer.step(&Step {
                step_idx: step as i64,
                step_in_beat: step % bar_steps % STEPS_PER_BEAT,
                given,
                // The first step after the seed is a new phrase.
                attack: step == seed_rows.len(),
                settings,
            })
        })
        .collect();
    score::to_phrase(&rows, tempo_bpm, time_signature)
}
