//! Evaluates weights: by their loss on a corpus, or by what they play, beside the composer's own pieces. Also evaluates
//! an n-gram on the same music.

mod form;
mod free;
mod harmony;
mod notes;
mod performance;
mod phrase_ends;
mod play;
mod table;

use std::path::Path;

use anyhow::{Context, Result, bail};
use continuo_model::generate::{self, StepSettings};
use continuo_model::weights_file::Weights;

use crate::EvaluateArgs;
use crate::kinds::{self, Judgement, Judging, Music, WordsOf, given_voices};
use crate::recipe::Recipe;
pub use performance::KeySource;

/// Evaluates as the command line describes and prints the result.
pub fn run(args: &EvaluateArgs) -> Result<()> {
    args.sampling.check()?;
    let (json, words) = match (&args.weights, args.play || args.free) {
        (Some(path), true) => played(path, args).with_context(|| path.display().to_string())?,
        _ => {
            let judgement = loss(args)?;
            (judgement.json, judgement.words)
        }
    };
    println!("{}", if args.json { json } else { words });
    Ok(())
}

/// The figures of what a network plays: as JSON, and in words.
fn played(path: &Path, args: &EvaluateArgs) -> Result<(String, String)> {
    let weights = Weights::read(path)?;
    let settings = StepSettings {
        sampler: args.sampling.sampler(&weights.description),
        rng_seed: args.rng_seed,
        strict: true,
        ..StepSettings::default()
    };
    let music = Music { paths: &args.data, strict: args.strict };
    let pieces = kinds::of(&weights.description.config).pieces(&weights, music, &args.split)?;
    let network = generate::network(&weights).map_err(anyhow::Error::msg)?;
    if args.free {
        // The music may have no training split.
        let training = kinds::of(&weights.description.config).pieces(&weights, music, "train").unwrap_or_default();
        let phrases = !args.no_phrases;
        let playing = free::Playing { pieces: args.pieces, bars: args.bars, settings, key: args.key, phrases };
        let figures = free::compare(&network, &pieces, &training, &playing);
        return Ok((serde_json::to_string(&figures)?, figures.to_string()));
    }
    let given = given_voices(&args.given)?;
    let figures = play::compare(&network, &pieces, given, settings, args.key);
    Ok((serde_json::to_string(&figures)?, figures.to_string()))
}

/// The loss of a network or of an n-gram.
fn loss(args: &EvaluateArgs) -> Result<Judgement> {
    let music = Music { paths: &args.data, strict: args.strict };
    let judging = Judging { music, split: &args.split, given: &args.given };
    match (args.baseline, &args.recipe, &args.weights) {
        (true, recipe, weights) => baseline(recipe.as_deref(), weights.as_deref(), judging),
        (false, _, Some(path)) => judge(path, judging),
        (false, _, None) => bail!("expected a weights file, got none; name one, or use --baseline with --recipe"),
    }
}

fn judge(path: &Path, judging: Judging) -> Result<Judgement> {
    let weights = Weights::read(path)?;
    let judgement = kinds::of(&weights.description.config).judge(&weights, judging);
    judgement.with_context(|| path.display().to_string())
}

/// Evaluates an n-gram over the words of a recipe or of trained weights.
fn baseline(recipe: Option<&Path>, weights: Option<&Path>, judging: Judging) -> Result<Judgement> {
    match (recipe, weights) {
        (Some(path), None) => {
            let (recipe, _) = Recipe::read(path)?;
            let judgement = kinds::of(&recipe.network).baseline(WordsOf::Recipe(&recipe), judging);
            judgement.with_context(|| path.display().to_string())
        }
        (None, Some(path)) => {
            let description = Weights::read(path)?.description;
            let judgement = kinds::of(&description.config).baseline(WordsOf::Weights(&description), judging);
            judgement.with_context(|| path.display().to_string())
        }
        _ => bail!("--baseline: expected --recipe RECIPE or a weights file, and not both"),
    }
}
