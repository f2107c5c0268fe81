//! What generated music begins with: a file, or beginnings of pieces from the training corpus.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use continuo_model::config::NetworkConfig;
use continuo_model::midi_file;
use continuo_model::random::SplitMix64;
use continuo_model::tokeniser::grid::{NUM_VOICES, STEPS_PER_BEAT};
use continuo_model::tokeniser::score;
use continuo_model::vocabulary::{Symbol, Vocabulary};
use continuo_model::weights_file::{Description, Weights};

use crate::corpus::folder::{self, Options};
use crate::preparation::{self, KeyPlan, Modes, Preparation, Song};
use crate::recipe::Recipe;
use crate::{GenerateArgs, corpus};

/// The tempo of music that has none.
const TEMPO_BPM: f64 = 84.0;

/// How a piece begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Seed {
    /// What voices do in its first 16th steps; `None` is left to the network.
    pub rows: Vec<[Option<Symbol>; NUM_VOICES]>,
    /// Quarter notes a minute.
    pub tempo_bpm: f64,
    /// Beats in a bar, and which note is one of them.
    pub time_signature: (u8, u8),
}

impl Default for Seed {
    fn default() -> Self {
        Self { rows: Vec::new(), tempo_bpm: TEMPO_BPM, time_signature: (4, 4) }
    }
}

impl Seed {
    /// 16th steps in a bar.
    pub fn bar_steps(&self) -> usize {
        let (count, unit) = self.time_signature;
        (usize::from(count) * 4 * STEPS_PER_BEAT / usize::from(unit)).max(1)
    }
}

/// The seeds that the command line asks for; never none, but perhaps an empty one.
pub fn read(args: &GenerateArgs, weights: &Weights) -> Result<Vec<Seed>> {
    let description = &weights.description;
    let is_line = matches!(description.config, NetworkConfig::Line(_));
    let mut seeds = match (&args.seed, args.seed_corpus.is_empty()) {
        (None, true) => return Ok(vec![Seed::default()]),
        (Some(path), _) if is_line => vec![of_song(&song(path, description)?)],
        (Some(path), _) => {
            let phrase = midi_file::read(path)?;
            let rows = score::from_phrase(&phrase);
            vec![Seed { rows, tempo_bpm: phrase.tempo_bpm, time_signature: phrase.time_signature }]
        }
        (None, false) if is_line => {
            let prepared = preparation::read(&args.seed_corpus, &as_it_is(description)?, false)?;
            prepared.train.iter().map(of_song).collect()
        }
        (None, false) => grids(args)?,
    };
    ensure!(!seeds.is_empty(), "--seed-corpus: expected music to begin with, got none");
    if args.seed.is_none() {
        for seed in &mut seeds {
            seed.rows.truncate(seed.bar_steps() * usize::from(args.seed_bars));
        }
    }
    Ok(seeds)
}

/// The seed of piece number `n`, one of `seeds` at random.
pub fn of_piece(seeds: &[Seed], rng_seed: u64) -> &Seed {
    &seeds[SplitMix64::new(rng_seed).next_below(seeds.len())]
}

/// The preparation that a line model was trained with, but for what leaves music out or moves it.
fn as_it_is(description: &Description) -> Result<Preparation> {
    let recipe = Recipe::parse(&description.recipe).context("the recipe inside of the weights")?;
    let options = recipe.preparation.context("expected a line model's recipe with a preparation, got none")?;
    Ok(Preparation { key: KeyPlan::None, ..options })
}

fn song(path: &Path, description: &Description) -> Result<Song> {
    let options = Preparation {
        modes: Modes::Both,
        drop_unquantised: false,
        fewest_events: 1,
        groups: None,
        ..as_it_is(description)?
    };
    let corpus = folder::read(&[path.to_path_buf()], Options { as_written: options.as_written, strict: true })?;
    let piece = corpus.pieces.first().with_context(|| format!("{}: expected music, got none", path.display()))?;
    let song = preparation::song_of(piece, &options);
    Ok(song.map_err(|reason| anyhow::anyhow!("{}: {reason}", path.display()))?.0)
}

/// An event's notes are dealt to the voices from the top; before the first note its bar is silent.
fn of_song(song: &Song) -> Seed {
    let silent = [Some(Symbol::Rest); NUM_VOICES];
    let mut rows = vec![silent; song.first_step_in_bar];
    for event in &song.events {
        let pitch = |voice: usize| event.pitches.iter().rev().nth(voice);
        let symbol = |start: Symbol, voice: usize| if pitch(voice).is_some() { start } else { Symbol::Rest };
        rows.push(std::array::from_fn(|voice| Some(pitch(voice).map_or(Symbol::Rest, |&pitch| Symbol::Pitch(pitch)))));
        let held = std::array::from_fn(|voice| Some(symbol(Symbol::Hold, voice)));
        rows.extend(std::iter::repeat_n(held, usize::from(event.steps) - 1));
    }
    Seed { rows, tempo_bpm: song.tempo_bpm.unwrap_or(TEMPO_BPM), time_signature: song.metre }
}

/// The training pieces of grid JSON files.
fn grids(args: &GenerateArgs) -> Result<Vec<Seed>> {
    let pieces = args.seed_corpus.iter().map(|path| corpus::read_split(path, "train")).collect::<Result<Vec<_>>>()?;
    let seed = |piece: &corpus::GridPiece| {
        let rows = piece.grid.steps.iter().map(|row| row.map(|token| Vocabulary::GRID.symbol(token))).collect();
        Seed { rows, ..Seed::default() }
    };
    Ok(pieces.iter().flatten().map(seed).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preparation::Event;

    #[test]
    fn events_are_dealt_to_voices_from_the_top() {
        let event = |pitches: &[u8], steps| Event { pitches: pitches.into(), steps, step_in_beat: 0 };
        let events = vec![event(&[60, 64, 67], 2), event(&[], 1), event(&[62], 1)];
        let seed = of_song(&Song { metre: (3, 8), first_step_in_bar: 1, events, ..Song::default() });
        let word = |symbol: &Option<Symbol>| match symbol {
            Some(Symbol::Pitch(pitch)) => pitch.to_string(),
            Some(Symbol::Hold) => "_".into(),
            Some(Symbol::Rest) => "r".into(),
            None => "?".into(),
        };
        let rows: Vec<String> =
            seed.rows.iter().map(|row| row.iter().map(word).collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(rows, ["r r r r", "67 64 60 r", "_ _ _ r", "r r r r", "62 r r r"]);
        assert_eq!((seed.bar_steps(), seed.tempo_bpm), (6, TEMPO_BPM));
    }

    #[test]
    fn every_seed_has_its_turn() {
        let seeds = [60, 61, 62].map(|bpm| Seed { tempo_bpm: f64::from(bpm), ..Seed::default() });
        let mut tempos: Vec<_> = (0..30).map(|n| of_piece(&seeds, n).tempo_bpm as u8).collect();
        tempos.sort_unstable();
        tempos.dedup();
        assert_eq!(tempos, [60, 61, 62]);
    }
}
