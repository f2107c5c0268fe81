//! Seeds of generated music: a file, or the beginnings of pieces in the training corpus.

use anyhow::{Context, Result, ensure};
use continuo_model::decision::{Decision, Edge, Given, Lanes, TICKS_PER_STEP};
use continuo_model::generate::given_of;
use continuo_model::random::SplitMix64;
use continuo_model::tokeniser::grid::{NUM_VOICES, STEPS_PER_BEAT};
use continuo_model::vocabulary::Symbol;
use continuo_model::weights_file::Weights;

use crate::corpus::piece::Piece;
use crate::preparation::four_voices::FourVoices;
use crate::preparation::performed::PerformedPiece;
use crate::preparation::{self, Song};
use crate::{GenerateArgs, kinds};

/// The tempo of music without one.
const TEMPO_BPM: f64 = 84.0;

/// A voice that a melody may be given to, as numbered in rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Voice {
    Soprano,
    Alto,
    Tenor,
    Bass,
}

/// The beginning of a piece.
#[derive(Clone, Debug, PartialEq)]
pub struct Seed {
    /// What the voices do in the first 16th steps. The network decides where there is `None`.
    pub rows: Vec<[Option<Symbol>; NUM_VOICES]>,
    /// For a performance model instead: what is played in the first 16th steps.
    pub performed: Vec<Given>,
    /// Quarter notes per minute.
    pub tempo_bpm: f64,
    /// Beats in a bar, and the note value of a beat.
    pub time_signature: (u8, u8),
}

impl Default for Seed {
    fn default() -> Self {
        Self { rows: Vec::new(), performed: Vec::new(), tempo_bpm: TEMPO_BPM, time_signature: (4, 4) }
    }
}

impl Seed {
    /// How many 16th steps it lasts.
    pub fn num_steps(&self) -> usize {
        self.rows.len().max(self.performed.len())
    }

    /// The player's part of a step; nothing after the seed.
    pub fn given(&self, step: usize) -> Given {
        self.performed.get(step).copied().or_else(|| self.rows.get(step).map(given_of)).unwrap_or(Given::NOTHING)
    }

    /// 16th steps in a bar.
    pub fn bar_steps(&self) -> usize {
        let (count, unit) = self.time_signature;
        (usize::from(count) * 4 * STEPS_PER_BEAT / usize::from(unit)).max(1)
    }

    /// The seed with its melody in another voice. `None` if it is not a melody alone.
    fn moved_to(mut self, voice: Voice) -> Option<Self> {
        for row in &mut self.rows {
            let [melody @ Some(_), None, None, None] = *row else { return None };
            *row = [None; NUM_VOICES];
            row[voice as usize] = melody;
        }
        Some(self)
    }

    /// All four voices of a piece.
    pub fn of_voices(piece: &FourVoices) -> Self {
        let starts = piece.starts();
        let symbol = |step: usize, voice: usize| match piece.rows[step][voice] {
            None => Symbol::Rest,
            Some(pitch) if starts[step] >> voice & 1 == 1 => Symbol::Pitch(pitch),
            Some(_) => Symbol::Hold,
        };
        let rows = (0..piece.rows.len()).map(|step| std::array::from_fn(|voice| Some(symbol(step, voice))));
        Self {
            rows: rows.collect(),
            tempo_bpm: piece.tempo_bpm.unwrap_or(TEMPO_BPM),
            time_signature: piece.metre,
            ..Self::default()
        }
    }

    /// The highest notes of a piece as the soprano. The network decides the lower voices.
    pub fn of_melody(piece: &Piece) -> Self {
        let (lead, notes) = preparation::melody(piece);
        let num_steps = lead + notes.iter().map(|note| note.end as usize).max().unwrap_or(0);
        let mut rows = vec![[None; NUM_VOICES]; num_steps];
        rows.iter_mut().for_each(|row| row[0] = Some(Symbol::Rest));
        for note in notes {
            let (start, end) = (lead + note.start as usize, lead + note.end as usize);
            rows[start..end].iter_mut().for_each(|row| row[0] = Some(Symbol::Hold));
            rows[start][0] = Some(Symbol::Pitch(note.pitch));
        }
        let time_signature = preparation::metre(piece);
        Self { rows, tempo_bpm: piece.tempo_bpm.unwrap_or(TEMPO_BPM), time_signature, ..Self::default() }
    }

    /// Assigns the notes of each event to voices from the top. If the song starts within a bar, rests fill the bar's
    /// beginning.
    pub fn of_song(song: &Song) -> Self {
        let silent = [Some(Symbol::Rest); NUM_VOICES];
        let mut rows = vec![silent; song.first_step_in_bar];
        for event in &song.events {
            let pitch = |voice: usize| event.pitches.iter().rev().nth(voice);
            let symbol = |start: Symbol, voice: usize| if pitch(voice).is_some() { start } else { Symbol::Rest };
            let start = |voice: usize| pitch(voice).map_or(Symbol::Rest, |&pitch| Symbol::Pitch(pitch));
            rows.push(std::array::from_fn(|voice| Some(start(voice))));
            let held = std::array::from_fn(|voice| Some(symbol(Symbol::Hold, voice)));
            rows.extend(std::iter::repeat_n(held, usize::from(event.steps) - 1));
        }
        Self { rows, tempo_bpm: song.tempo_bpm.unwrap_or(TEMPO_BPM), time_signature: song.metre, ..Self::default() }
    }

    /// A performed piece, all of it the player's.
    pub fn of_performed(piece: &PerformedPiece) -> Self {
        let last = piece.notes.iter().map(|note| note.end).max().unwrap_or(0);
        let step = |tick: i64| tick.div_euclid(TICKS_PER_STEP.into()) as usize;
        let mut performed = vec![Given { lanes: Lanes::ALL, notes: Decision::SILENCE }; step(last) + 1];
        for note in &piece.notes {
            let tick = |tick: i64| tick.rem_euclid(TICKS_PER_STEP.into()) as u8;
            let (lane, key, velocity) = (note.lane, note.key, note.velocity.unwrap_or(0));
            // A step with too many edges has room for no more.
            performed[step(note.tick)].notes.push(Edge::On { lane, key, velocity, tick: tick(note.tick) });
            performed[step(note.end)].notes.push(Edge::Off { lane, key, tick: tick(note.end) });
            let held = &mut performed[step(note.tick)..step(note.end)];
            held.iter_mut().for_each(|given| given.notes.sounding.insert(lane, key));
        }
        let tempo_bpm = piece.tempo_bpm.unwrap_or(TEMPO_BPM);
        Self { performed, tempo_bpm, time_signature: piece.metre, ..Self::default() }
    }
}

/// The seeds that the command line names; a single empty one if it names none.
pub fn read(args: &GenerateArgs, weights: &Weights) -> Result<Vec<Seed>> {
    let kind = kinds::of(&weights.description.config);
    if let Some(path) = &args.seed {
        let seed = kind.seed(weights, path)?;
        let Some(voice) = args.voice else { return Ok(vec![seed]) };
        let wrong = || format!("--voice: expected a melody for four voices, got all voices from {}", path.display());
        return Ok(vec![seed.moved_to(voice).with_context(wrong)?]);
    }
    if args.seed_corpus.is_empty() {
        return Ok(vec![Seed::default()]);
    }
    let mut seeds = kind.seeds(weights, &args.seed_corpus)?;
    ensure!(!seeds.is_empty(), "--seed-corpus: expected pieces to start from, got none");
    for seed in &mut seeds {
        let steps = seed.bar_steps() * usize::from(args.seed_bars);
        seed.rows.truncate(steps);
        seed.performed.truncate(steps);
    }
    Ok(seeds)
}

/// Chooses the seed of a piece at random from `seeds`.
pub fn of_piece(seeds: &[Seed], rng_seed: u64) -> &Seed {
    &seeds[SplitMix64::new(rng_seed).next_below(seeds.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preparation::Event;

    #[test]
    fn events_are_dealt_to_voices_from_the_top() {
        let event = |pitches: &[u8], steps| Event { pitches: pitches.into(), steps, step_in_beat: 0 };
        let events = vec![event(&[60, 64, 67], 2), event(&[], 1), event(&[62], 1)];
        let seed = Seed::of_song(&Song { metre: (3, 8), first_step_in_bar: 1, events, ..Song::default() });
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
    fn a_melody_may_be_in_any_voice() {
        let melody = [Symbol::Pitch(60), Symbol::Hold, Symbol::Rest];
        let rows = melody.map(|symbol| [Some(symbol), None, None, None]).to_vec();
        let seed = Seed { rows, ..Seed::default() };
        assert_eq!(seed.clone().moved_to(Voice::Soprano), Some(seed.clone()));
        let bass = seed.clone().moved_to(Voice::Bass).unwrap();
        assert_eq!(bass.rows, melody.map(|symbol| [None, None, None, Some(symbol)]));
        assert_eq!(bass.moved_to(Voice::Alto), None);
        let four = Seed { rows: vec![[Some(Symbol::Rest); NUM_VOICES]], ..Seed::default() };
        assert_eq!(four.moved_to(Voice::Tenor), None);
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
