//! What weights are worth: their loss on a corpus, computed by the network that plays.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use continuo_model::config::NetworkConfig;
use continuo_model::stream::{GridLayers, GridNetwork};
use continuo_model::tokeniser::grid::{NUM_VOICES, STEPS_PER_BEAT, VOICE_NAMES};
use continuo_model::tokeniser::step_reader::Controls;
use continuo_model::weights_file::Weights;
use serde::Serialize;

use crate::corpus::{self, GridPiece};
use crate::lines::Lines;
use crate::recipe::Recipe;
use crate::{EvaluateArgs, baseline, line_evaluation};

/// A network's loss on a corpus. One note is one voice in one 16th step; state is zero at each piece's start,
/// and nothing of a step is shown before it is predicted except the voices already drawn.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    /// What the figures are in.
    pub unit: &'static str,
    /// The voices that were given in each step before the others were predicted; they are not counted.
    pub given: Vec<String>,
    /// Mean over all notes.
    pub micro: f64,
    /// Mean of the pieces' means.
    pub macro_: f64,
    /// Mean over the notes of each voice, soprano first; 0 for one that was given.
    pub per_voice: [f64; NUM_VOICES],
    /// How many pieces.
    pub pieces: usize,
    /// How many notes.
    pub notes: usize,
    /// What the network is shown beside the tokens before.
    pub sees: Vec<String>,
}

impl Evaluation {
    /// What a weights file keeps of it.
    pub fn figures(&self, split: &str) -> BTreeMap<String, f64> {
        BTreeMap::from([
            (format!("{split}_nats_per_note"), self.micro),
            (format!("{split}_nats_per_note_macro"), self.macro_),
        ])
    }
}

/// Prints the evaluation that the command line asks for.
pub fn run(args: &EvaluateArgs) -> Result<()> {
    if args.baseline {
        return run_baseline(args);
    }
    let path = args.weights.as_deref().context("expected a weights file, got none; or ask for --baseline")?;
    let weights = Weights::read(path)?;
    if let NetworkConfig::Line(_) = weights.description.config {
        return run_line(args, path, weights);
    }
    run_grid(args, path, weights)
}

/// A network of four voices.
fn run_grid(args: &EvaluateArgs, path: &Path, weights: Weights) -> Result<()> {
    let splits = args.data.iter().map(|file| corpus::read_split(file, &args.split)).collect::<Result<Vec<_>>>()?;
    let pieces: Vec<GridPiece> = splits.into_iter().flatten().collect();
    ensure!(!pieces.is_empty(), "--data: expected pieces in split `{}`, got none", args.split);
    let given = given_voices(&args.given)?;
    let free_at_top = given.iter().position(|given| !given).context("--given: expected a voice left to predict")?;
    let is_stack = matches!(weights.description.config, NetworkConfig::Stack(_));
    ensure!(
        !is_stack || !given[free_at_top..].contains(&true),
        "--given {}: {} is a stack, which decides voices from the top; only voices above all others can be given",
        args.given,
        path.display()
    );
    let evaluation = evaluate(&weights, &pieces, given).with_context(|| path.display().to_string())?;
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

/// A line model: the music is prepared as its recipe asks, and split as it was for training.
fn run_line(args: &EvaluateArgs, path: &Path, weights: Weights) -> Result<()> {
    ensure!(args.given.is_empty(), "--given: expected none for a line model, which has no voices");
    let lines = lines_of(args, path, &weights)?;
    let songs = lines.spelt(&args.split)?;
    let e = line_evaluation::evaluate(&weights, &songs).with_context(|| path.display().to_string())?;
    if args.json {
        println!("{}", serde_json::to_string(&e)?);
    } else {
        println!("{}", e.loss);
        println!("sees: {}", e.sees.join(", "));
    }
    Ok(())
}

/// An n-gram over the words of a recipe, or of a line model.
fn run_baseline(args: &EvaluateArgs) -> Result<()> {
    let lines = match (&args.recipe, &args.weights) {
        (Some(path), None) => {
            let (recipe, _) = Recipe::read(path)?;
            let options = recipe.preparation.with_context(|| {
                format!("{}: expected a line model's recipe for --baseline, got one for four voices", path.display())
            })?;
            Lines::read(&args.data, &options, false)?
        }
        (None, Some(path)) => lines_of(args, path, &Weights::read(path)?)?,
        _ => bail!("--baseline: expected --recipe RECIPE or a weights file, one of them"),
    };
    let b = baseline::of(&lines, &args.split)?;
    if args.json {
        println!("{}", serde_json::to_string(&b)?);
    } else {
        println!("{}", lines.report);
        println!("{}", b.loss);
        println!("n-gram of up to {} words of {}, {}", b.order, b.vocabulary, b.smoothing);
    }
    Ok(())
}

/// The songs that a line model is judged by.
fn lines_of(args: &EvaluateArgs, path: &Path, weights: &Weights) -> Result<Lines> {
    let place = || path.display().to_string();
    let lexicon = weights.description.words().map_err(anyhow::Error::msg).with_context(place)?;
    let recipe = Recipe::parse(&weights.description.recipe).context("its recipe").with_context(place)?;
    let options = recipe.preparation.context("expected a recipe with a preparation, got none").with_context(place)?;
    Lines::read_in_words(&args.data, &options, lexicon, false)
}

/// The voices that letters stand for, `SB` for soprano and bass.
fn given_voices(letters: &str) -> Result<[bool; NUM_VOICES]> {
    let mut given = [false; NUM_VOICES];
    for letter in letters.chars() {
        let voice = "SATB".find(letter.to_ascii_uppercase());
        given[voice.with_context(|| format!("--given: expected letters of SATB, got `{letters}`"))?] = true;
    }
    Ok(given)
}

/// The loss of `network` on `pieces`, over the voices that are not `given`. Those that are come first in each step; a
/// stack can only be given the voices at the top.
///
/// # Errors
/// If the weights are no grid model's, or cannot be packed.
pub fn evaluate(weights: &Weights, pieces: &[GridPiece], given: [bool; NUM_VOICES]) -> Result<Evaluation> {
    match &weights.description.config {
        NetworkConfig::Stack(shape) => shape.pack(weights).map(|network| evaluate_network(&network, pieces, given)),
        NetworkConfig::Split(shape) => shape.pack(weights).map(|network| evaluate_network(&network, pieces, given)),
        NetworkConfig::Ensemble(shape) => shape.pack(weights).map(|network| evaluate_network(&network, pieces, given)),
        NetworkConfig::Line(_) => Err("expected a network of four voices, got a line model".into()),
    }
    .map_err(anyhow::Error::msg)
}

fn evaluate_network<L: GridLayers>(
    network: &GridNetwork<L>,
    pieces: &[GridPiece],
    given: [bool; NUM_VOICES],
) -> Evaluation {
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
            network.begin_step(&mut state, Controls::default(), &mut scratch);
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
        unit: "nats per note",
        given: VOICE_NAMES.iter().zip(given).filter(|(_, given)| *given).map(|(name, _)| name.to_lowercase()).collect(),
        micro: sums.iter().sum::<f64>() / notes.max(1) as f64,
        macro_: piece_means / pieces.len().max(1) as f64,
        per_voice: sums.map(|sum| sum / steps.max(1) as f64),
        pieces: pieces.len(),
        notes,
        sees: network.description().config.sees(),
    }
}

/// Minus the logarithm of the probability of `token`, in nats.
pub fn surprise(logits: &[f32], token: u16) -> f64 {
    let highest = logits.iter().copied().fold(f32::MIN, f32::max);
    let sum: f64 = logits.iter().map(|&x| f64::from(x - highest).exp()).sum();
    sum.ln() - f64::from(logits[usize::from(token)] - highest)
}
