//! Combines trained networks of the same shape into an ensemble, which predicts the mean of their probabilities.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use continuo_model::config::EnsembleConfig;
use continuo_model::stream::Rates;
use continuo_model::weights_file::{Description, Weights};

use crate::CombineArgs;
use crate::kinds::{self, Judging, Music};

/// Combines the weights files that the command line names, evaluates the ensemble and writes it.
pub fn run(args: &CombineArgs) -> Result<()> {
    let members = args.weights.iter().map(|path| Ok(Weights::read(path)?)).collect::<Result<Vec<_>>>()?;
    ensure!(members.len() > 1, "expected several weights files to combine, got one");
    let recipes: Vec<_> = members.iter().map(|member| member.description.recipe.as_str()).collect();
    let first = &members[0].description;
    let description = Description { recipe: recipes.join("\n"), figures: BTreeMap::new(), ..first.clone() };
    let adaptation = match args.adapt.as_slice() {
        [voice, place] => Some(Rates { voice: *voice, place: *place }),
        _ => None,
    };
    let mut weights = EnsembleConfig::combine(&members, adaptation, description).map_err(anyhow::Error::msg)?;
    let music = Music { paths: &args.data, strict: false };
    let judging = Judging { music, split: &args.split, given: "" };
    let judgement = kinds::of(&weights.description.config).judge(&weights, judging)?;
    weights.description.figures = judgement.figures_of(&args.split);
    weights.write(&args.out)?;
    println!(
        "{}: {} members, {:.4} {} on `{}`",
        args.out.display(),
        members.len(),
        judgement.loss,
        judgement.unit,
        args.split
    );
    Ok(())
}
