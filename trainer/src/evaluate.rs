//! What weights are worth: their loss on a corpus, computed by the network that plays.

use anyhow::{Context, Result};
use continuo_model::stream::StreamingNetwork;
use continuo_model::tokeniser::grid::{Grid, NUM_VOICES};
use continuo_model::weights_file::Weights;
use serde::Serialize;

use crate::EvaluateArgs;
use crate::corpus;

/// A network's loss on a corpus. One note is one voice in one 16th step; state is zero at each piece's start,
/// and nothing of a step is shown before it is predicted except the voices already drawn.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    /// What the figures are in.
    pub unit: &'static str,
    /// Mean over all notes.
    pub micro: f64,
    /// Mean of the pieces' means.
    pub macro_: f64,
    /// Mean over the notes of each voice, soprano first.
    pub per_voice: [f64; NUM_VOICES],
    /// How many pieces.
    pub pieces: usize,
    /// How many notes.
    pub notes: usize,
    /// What the network is shown beside the tokens before.
    pub sees: Vec<String>,
}

/// Prints the evaluation that the command line asks for.
pub fn run(args: &EvaluateArgs) -> Result<()> {
    let weights = Weights::read(&args.weights)?;
    let pieces = corpus::read_split(&args.data, &args.split)?;
    let network = StreamingNetwork::new(weights)
        .map_err(anyhow::Error::msg)
        .with_context(|| args.weights.display().to_string())?;
    let evaluation = evaluate(&network, &pieces);
    if args.json {
        let text = serde_json::to_string(&evaluation)?.replace("\"macro_\"", "\"macro\"");
        println!("{text}");
    } else {
        let e = &evaluation;
        println!("{:.4} nats per note over {} notes ({:.4} mean of {} pieces)", e.micro, e.notes, e.macro_, e.pieces);
        let [s, a, t, b] = e.per_voice;
        println!("soprano {s:.4}  alto {a:.4}  tenor {t:.4}  bass {b:.4}");
        println!("sees: {}", e.sees.join(", "));
    }
    Ok(())
}

/// The loss of `network` on `pieces`.
pub fn evaluate(network: &StreamingNetwork, pieces: &[Grid]) -> Evaluation {
    let (mut state, mut scratch) = (network.state(), network.scratch());
    let mut sums = [0.0; NUM_VOICES];
    let (mut steps, mut piece_means) = (0, 0.0);
    for piece in pieces {
        state.reset();
        let mut piece_sum = 0.0;
        for row in &piece.steps {
            for (voice, &token) in row.iter().enumerate() {
                let loss = surprise(network.step(&mut state, &mut scratch), token);
                state.reader.feed(token);
                sums[voice] += loss;
                piece_sum += loss;
            }
        }
        steps += piece.steps.len();
        piece_means += piece_sum / (piece.steps.len().max(1) * NUM_VOICES) as f64;
    }
    let notes = steps * NUM_VOICES;
    let features = network.weights().description.config.features.iter();
    Evaluation {
        unit: "nats per note",
        micro: sums.iter().sum::<f64>() / notes.max(1) as f64,
        macro_: piece_means / pieces.len().max(1) as f64,
        per_voice: sums.map(|sum| sum / steps.max(1) as f64),
        pieces: pieces.len(),
        notes,
        sees: features.map(|f| format!("{:?}", f.kind).to_lowercase()).collect(),
    }
}

/// Minus the logarithm of the probability of `token`, in nats.
fn surprise(logits: &[f32], token: u16) -> f64 {
    let highest = logits.iter().copied().fold(f32::MIN, f32::max);
    let sum: f64 = logits.iter().map(|&x| f64::from(x - highest).exp()).sum();
    sum.ln() - f64::from(logits[usize::from(token)] - highest)
}
