//! Evaluates weights by their loss on a corpus, or an n-gram on the same music.

use std::path::Path;

use anyhow::{Context, Result, bail};
use continuo_model::weights_file::Weights;

use crate::EvaluateArgs;
use crate::kinds::{self, Judgement, Judging, Music, WordsOf};
use crate::recipe::Recipe;

/// Evaluates as the command line describes and prints the result.
pub fn run(args: &EvaluateArgs) -> Result<()> {
    let music = Music { paths: &args.data, strict: args.strict };
    let judging = Judging { music, split: &args.split, given: &args.given };
    let judgement = match (args.baseline, &args.recipe, &args.weights) {
        (true, recipe, weights) => baseline(recipe.as_deref(), weights.as_deref(), judging)?,
        (false, _, Some(path)) => judge(path, judging)?,
        (false, _, None) => bail!("expected a weights file, got none; name one, or use --baseline with --recipe"),
    };
    if args.json {
        println!("{}", judgement.json);
    } else {
        println!("{}", judgement.words);
    }
    Ok(())
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
