//! The loss of four-voice networks on grids, computed with the same code that plays.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Error, Result, ensure};
use continuo_model::stream::{GridLayers, GridNetwork};
use continuo_model::tokeniser::grid::{NUM_VOICES, STEPS_PER_BEAT, VOICE_NAMES};
use serde::Serialize;

use super::GridPiece;
use crate::kinds::Judgement;
use crate::losses::surprise;

/// The unit of losses. A note is one voice in one 16th step.
pub const UNIT: &str = "nats per note";

/// The loss of a network on a corpus. Each piece starts with a zero state. The network predicts a voice from earlier
/// steps and from the voices already known in the same step.
#[derive(Clone, Debug, Serialize)]
struct Evaluation {
    /// The unit of the losses.
    unit: &'static str,
    /// The voices that are given in each step before the others are predicted; they do not count.
    given: Vec<String>,
    /// Mean over all notes.
    micro: f64,
    /// Mean of the pieces' means.
    #[serde(rename = "macro")]
    macro_: f64,
    /// Mean over the notes of each voice, soprano first; 0 for a given voice.
    per_voice: [f64; NUM_VOICES],
    /// Number of pieces.
    pieces: usize,
    /// Number of notes.
    notes: usize,
    /// The network's features besides the previous tokens.
    sees: Vec<String>,
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { unit, micro, macro_, notes, pieces, .. } = self;
        writeln!(f, "{micro:.4} {unit} over {notes} notes ({macro_:.4} mean of {pieces} pieces)")?;
        let [s, a, t, b] = self.per_voice;
        writeln!(f, "soprano {s:.4}  alto {a:.4}  tenor {t:.4}  bass {b:.4}")?;
        write!(f, "features: {}", self.sees.join(", "))
    }
}

/// Parses voices from letters: `SB` for soprano and bass.
///
/// # Errors
/// If a letter is not one of SATB, or no voice is left to predict.
pub fn given_voices(letters: &str) -> Result<[bool; NUM_VOICES]> {
    let mut given = [false; NUM_VOICES];
    for letter in letters.chars() {
        let voice = VOICE_NAMES.iter().position(|name| name.starts_with(letter.to_ascii_uppercase()));
        given[voice.with_context(|| format!("--given: expected letters of SATB, got `{letter}`"))?] = true;
    }
    ensure!(given.contains(&false), "--given: expected at most three voices, got all four");
    Ok(given)
}

/// The loss of a packed network on `pieces`, over the voices that are not `given`.
///
/// # Errors
/// If packing failed.
pub fn judgement<L: GridLayers>(
    network: Result<GridNetwork<L>, String>,
    pieces: &[GridPiece],
    given: [bool; NUM_VOICES],
) -> Result<Judgement> {
    let evaluation = evaluate(&network.map_err(Error::msg)?, pieces, given);
    Ok(Judgement {
        loss: evaluation.micro,
        unit: UNIT,
        figures: BTreeMap::from([("nats_per_note", evaluation.micro), ("nats_per_note_macro", evaluation.macro_)]),
        json: serde_json::to_string(&evaluation).expect("an evaluation is plain data"),
        words: evaluation.to_string(),
    })
}

/// Given voices come first in each step. A stack can only take the topmost voices as given.
fn evaluate<L: GridLayers>(network: &GridNetwork<L>, pieces: &[GridPiece], given: [bool; NUM_VOICES]) -> Evaluation {
    let (mut state, mut scratch) = (network.state(), network.scratch());
    let mut order: [usize; NUM_VOICES] = std::array::from_fn(|voice| voice);
    if network.takes_any_order() {
        order.sort_by_key(|&voice| !given[voice]);
    }
    let free = given.iter().filter(|&&given| !given).count();
    let mut sums = [0.0; NUM_VOICES];
    let (mut steps, mut piece_means) = (0, 0.0);
    for piece in pieces {
        state.reset();
        let before: f64 = sums.iter().sum();
        for (step, row) in piece.grid.steps.iter().enumerate() {
            state.set_step_in_beat(step % STEPS_PER_BEAT);
            network.begin_step(&mut state, piece.known(step), &mut scratch);
            for voice in order {
                let logits = network.logits(&mut state, voice, &mut scratch);
                if !given[voice] {
                    sums[voice] += surprise(logits, row[voice]);
                }
                state.feed(voice, row[voice]);
            }
        }
        let notes = piece.grid.steps.len() * free;
        steps += piece.grid.steps.len();
        piece_means += (sums.iter().sum::<f64>() - before) / notes.max(1) as f64;
    }
    let notes = steps * free;
    Evaluation {
        unit: UNIT,
        given: VOICE_NAMES.iter().zip(given).filter(|(_, given)| *given).map(|(name, _)| name.to_lowercase()).collect(),
        micro: sums.iter().sum::<f64>() / notes.max(1) as f64,
        macro_: piece_means / pieces.len().max(1) as f64,
        per_voice: sums.map(|sum| sum / steps.max(1) as f64),
        pieces: pieces.len(),
        notes,
        sees: network.description().config.sees(),
    }
}
