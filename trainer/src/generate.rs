//! Generates music, from nothing or from a seed phrase: MIDI files, and on request scores, pictures and sound.

mod musicxml;
mod notation;
mod outputs;
mod sound;

use anyhow::{Context, Result};
use continuo_model::decision::{Decision, Given};
use continuo_model::generate::{self, Performer, Step, StepSettings, symbols_of};
use continuo_model::key;
use continuo_model::phrase::Phrase;
use continuo_model::phrasing::TurnStep;
use continuo_model::tokeniser::grid::{NUM_VOICES, STEPS_PER_BEAT};
use continuo_model::tokeniser::step_reader::{BarPosition, Controls};
use continuo_model::vocabulary::Symbol;
use continuo_model::weights_file::Weights;
use indicatif::ProgressIterator;

use crate::GenerateArgs;
use crate::seeds::{self, Seed};

/// Generates the pieces that the command line describes and writes them.
pub fn run(args: &GenerateArgs) -> Result<()> {
    args.sampling.check()?;
    let weights = Weights::read(&args.weights)?;
    let sampler = args.sampling.sampler(&weights.description);
    let network =
        generate::network(&weights).map_err(anyhow::Error::msg).with_context(|| args.weights.display().to_string())?;
    let seeds = seeds::read(args, &weights)?;
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("{}: cannot be created; check the path and its permissions", args.out.display()))?;
    let mut performer = network.performer();
    for n in (0..args.pieces).progress() {
        let mut settings = StepSettings {
            sampler,
            rng_seed: args.rng_seed.wrapping_add(u64::from(n)),
            strict: !args.loose,
            snap: args.snap,
            ..StepSettings::default()
        };
        let seed = seeds::of_piece(&seeds, settings.rng_seed);
        // Alone from the start, the network plays in a key of its own, as in the plugin.
        settings.controls.key = args.key.or_else(|| (seed.num_steps() == 0).then(|| key::drawn(settings.rng_seed)));
        let phrase = piece(&mut *performer, seed, args.bars.into(), settings);
        outputs::write(&args.out, &format!("piece-{n:03}"), &phrase, args)?;
    }
    println!("{}: {} pieces of {} bars", args.out.display(), args.pieces, args.bars);
    Ok(())
}

/// Parses the name of a key, such as `C`, `F#`, `Bb` or `Am`. Returns 0 to 11 for major keys from C up, 12 to 23 for
/// minor keys.
pub fn key_of(name: &str) -> Result<u8, String> {
    let wrong = || format!("expected a key such as C, F#, Bb or Am, got `{name}`");
    let (tonic, minor) = name.strip_suffix('m').map_or((name, false), |tonic| (tonic, true));
    let mut letters = tonic.chars();
    let letter = letters.next().ok_or_else(wrong)?;
    let natural = [('C', 0), ('D', 2), ('E', 4), ('F', 5), ('G', 7), ('A', 9), ('B', 11)];
    let (_, natural) = natural.into_iter().find(|(name, _)| *name == letter).ok_or_else(wrong)?;
    let accidental = match letters.as_str() {
        "" => 0,
        "#" => 1,
        "b" => 11,
        _ => return Err(wrong()),
    };
    Ok((natural + accidental) % 12 + if minor { 12 } else { 0 })
}

/// Generates a piece of `bars` bars that starts with `seed`. The network decides the voices that the seed leaves open.
fn piece(performer: &mut dyn Performer, seed: &Seed, bars: usize, settings: StepSettings) -> Phrase {
    let bar_steps = seed.bar_steps();
    performer.reset();
    let decisions: Vec<Decision> = (0..bars * bar_steps)
        .map(|step| {
            let mut settings = settings;
            let controls = in_bars(step, seed.num_steps(), bar_steps);
            settings.controls = Controls { key: settings.controls.key, ..controls };
            performer.decide(&Step {
                step_idx: step as i64,
                step_in_beat: step % bar_steps % STEPS_PER_BEAT,
                given: seed.given(step),
                // The network's first step after the seed starts a new phrase.
                attack: step == seed.num_steps(),
                settings,
            })
        })
        .collect();
    if performer.network().capabilities().decides_timing {
        return Phrase::of_decisions(&decisions, seed.tempo_bpm, seed.time_signature);
    }
    let rows: Vec<_> = decisions.iter().map(row_of).collect();
    Phrase::of_rows(&rows, seed.tempo_bpm, seed.time_signature)
}

/// The position of a step in its bar and, from the network's first step on, in a phrase of about eight beats, as in the
/// plugin. `bar_steps` is the length of a bar.
pub fn in_bars(step: usize, first_step: usize, bar_steps: usize) -> Controls {
    let (bar, step_in_bar) = (step / bar_steps, step % bar_steps);
    let position =
        || Some(BarPosition { step_in_bar: step_in_bar.try_into().ok()?, bar_steps: bar_steps.try_into().ok()? });
    let phrase = (step >= first_step).then(|| {
        let turn_step = TurnStep {
            bar: (bar - first_step / bar_steps) as i64,
            step_in_bar: step_in_bar as i64,
            bar_steps: bar_steps as i64,
            since_turn: (step - first_step) as i64,
        };
        turn_step.phrase(None)
    });
    Controls {
        bar: position(),
        phrase: phrase.map(|phrase| phrase.position),
        fermata_in: phrase.and_then(|phrase| phrase.fermata_in),
        ..Controls::NONE
    }
}

/// What each of the four voices does in a decision.
fn row_of(decision: &Decision) -> [Symbol; NUM_VOICES] {
    symbols_of(&Given::all(*decision)).map(|symbol| symbol.unwrap_or(Symbol::Rest))
}

#[cfg(test)]
mod tests {
    use super::key_of;

    #[test]
    fn keys_have_names() {
        assert_eq!(
            ["C", "F#", "Bb", "Am", "Ebm", "Cb"].map(|name| key_of(name).ok()),
            [0, 6, 10, 21, 15, 11].map(Some)
        );
        assert_eq!(["", "H", "c", "C##", "Amm", "m"].map(|name| key_of(name).ok()), [None; 6]);
    }
}
