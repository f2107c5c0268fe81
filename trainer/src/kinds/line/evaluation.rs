//! The loss of line models on songs, computed with the same code that plays.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Error, Result};
use continuo_model::stream::LineNetwork;
use serde::Serialize;

use super::songs::UNIT;
use crate::kinds::Judgement;
use crate::losses::surprise;
use crate::preparation::Spelt;

/// The loss on songs.
#[derive(Clone, Debug, Serialize)]
pub struct LineLoss {
    /// The unit of the losses.
    pub unit: &'static str,
    /// The nats of all words, including ends of pieces, divided by the number of events.
    pub micro: f64,
    /// Mean of the pieces' means.
    #[serde(rename = "macro")]
    pub macro_: f64,
    /// Number of pieces.
    pub pieces: usize,
    /// Number of events: notes, chords and rests.
    pub events: usize,
    /// Number of words.
    pub words: usize,
}

impl LineLoss {
    /// The loss from the nats of each song.
    pub fn of(nats: &[f64], songs: &[Spelt]) -> Self {
        let events: usize = songs.iter().map(|song| song.num_events).sum();
        let means = nats.iter().zip(songs).map(|(nats, song)| nats / song.num_events.max(1) as f64);
        Self {
            unit: UNIT,
            micro: nats.iter().sum::<f64>() / events.max(1) as f64,
            macro_: means.sum::<f64>() / songs.len().max(1) as f64,
            pieces: songs.len(),
            events,
            words: songs.iter().map(|song| song.tokens.len()).sum(),
        }
    }
}

impl fmt::Display for LineLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { unit, micro, macro_, pieces, events, .. } = self;
        write!(f, "{micro:.4} {unit} over {events} events ({macro_:.4} mean of {pieces} pieces)")
    }
}

/// The loss of a line model on songs. Each piece starts with a zero state, after a delimiter.
#[derive(Clone, Debug, Serialize)]
struct LineEvaluation {
    /// The loss.
    #[serde(flatten)]
    loss: LineLoss,
    /// The network's features besides the previous word.
    sees: Vec<String>,
}

/// The loss of a packed line model on songs in its words.
///
/// # Errors
/// If packing failed.
pub fn judgement(network: Result<LineNetwork, String>, songs: &[Spelt]) -> Result<Judgement> {
    let evaluation = evaluate(&network.map_err(Error::msg)?, songs);
    let LineEvaluation { loss, sees } = &evaluation;
    Ok(Judgement {
        loss: loss.micro,
        unit: UNIT,
        figures: BTreeMap::from([("nats_per_event", loss.micro), ("nats_per_event_macro", loss.macro_)]),
        json: serde_json::to_string(&evaluation).expect("an evaluation is plain data"),
        words: format!("{loss}\nfeatures: {}", sees.join(", ")),
    })
}

fn evaluate(network: &LineNetwork, songs: &[Spelt]) -> LineEvaluation {
    let (mut state, mut scratch) = (network.state(), network.scratch());
    let nats: Vec<f64> = songs
        .iter()
        .map(|song| {
            state.reset();
            let mut nats = 0.0;
            for (&word, step_in_beat) in song.tokens.iter().zip(&song.steps_in_beat) {
                if let Some(step_in_beat) = step_in_beat {
                    state.set_step_in_beat((*step_in_beat).into());
                }
                nats += surprise(network.logits(&mut state, &mut scratch), word);
                state.feed(word);
            }
            nats
        })
        .collect();
    LineEvaluation { loss: LineLoss::of(&nats, songs), sees: network.description().config.sees() }
}
