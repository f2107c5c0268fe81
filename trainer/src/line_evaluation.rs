//! What a line model is worth: its loss on songs, computed by the network that plays.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Result;
use continuo_model::config::NetworkConfig;
use continuo_model::weights_file::Weights;
use serde::Serialize;

use crate::evaluate::surprise;
use crate::lines::UNIT;
use crate::preparation::Spelt;

/// A loss on songs.
#[derive(Clone, Debug, Serialize)]
pub struct LineLoss {
    /// What the figures are in.
    pub unit: &'static str,
    /// The nats of all words, ends of pieces included, over all events.
    pub micro: f64,
    /// Mean of the pieces' means.
    #[serde(rename = "macro")]
    pub macro_: f64,
    /// How many pieces.
    pub pieces: usize,
    /// How many notes, chords and rests.
    pub events: usize,
    /// How many words they are.
    pub words: usize,
}

impl LineLoss {
    /// Of songs that cost so many nats each.
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

/// A line model's loss on songs. State is zero at each piece's start, after a delimiter.
#[derive(Clone, Debug, Serialize)]
pub struct LineEvaluation {
    /// What it loses.
    #[serde(flatten)]
    pub loss: LineLoss,
    /// What the network is shown beside the word before.
    pub sees: Vec<String>,
}

impl LineEvaluation {
    /// What a weights file keeps of it.
    pub fn figures(&self, split: &str) -> BTreeMap<String, f64> {
        BTreeMap::from([
            (format!("{split}_nats_per_event"), self.loss.micro),
            (format!("{split}_nats_per_event_macro"), self.loss.macro_),
        ])
    }
}

/// The loss of a line model on songs in its words.
///
/// # Errors
/// If the weights are no line model's, or cannot be packed.
pub fn evaluate(weights: &Weights, songs: &[Spelt]) -> Result<LineEvaluation> {
    let NetworkConfig::Line(shape) = &weights.description.config else {
        anyhow::bail!("expected a line model, got a network of four voices");
    };
    let network = shape.pack(weights).map_err(anyhow::Error::msg)?;
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
    Ok(LineEvaluation { loss: LineLoss::of(&nats, songs), sees: network.description().config.sees() })
}
