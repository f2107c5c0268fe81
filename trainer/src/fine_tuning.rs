//! Fine-tuning: training that starts from trained weights instead of random ones.

use std::path::Path;

use anyhow::{Result, anyhow, ensure};
use candle_core::Tensor;
use continuo_model::weights_file::Weights;
use continuo_network::Network;

use crate::kinds;

/// Copies the weights of the file at `path` into `network`. `vocabulary` is the hash of the recipe's vocabulary.
///
/// # Errors
/// If the shape, the features or the vocabulary of the file's network differ from those of `network`.
pub fn start_from(path: &Path, weights: &Weights, network: &Network, vocabulary: &str) -> Result<()> {
    let (name, file) = (path.display(), &weights.description);
    kinds::of(&file.config).check_start().map_err(|problem| anyhow!("--from {name}: {problem}"))?;
    let wider = kinds::of(network.config()).with_features_of(weights);
    let weights = wider.as_ref().unwrap_or(weights);
    let (expected, got) = (network.config(), &weights.description.config);
    ensure!(
        got.sees() == expected.sees(),
        "--from {name}: expected a network with the recipe's features, {}, or some of them, got one with {}; change \
         the recipe to its features",
        listed(&expected.sees()),
        listed(&got.sees())
    );
    let (expected, got) = (expected.tensors(), got.tensors());
    let size = |tensors: &[(String, Vec<usize>)], name: &str| {
        let found = tensors.iter().find(|(n, _)| n == name);
        found.map_or("none".to_string(), |(_, shape)| format!("{shape:?}"))
    };
    // The tensors are in a fixed order. The first that differs is the most telling.
    let all = expected.iter().chain(&got);
    let other = all.map(|(n, _)| n).find(|n| size(&expected, n) != size(&got, n));
    if let Some(tensor) = other {
        anyhow::bail!(
            "--from {name}: expected a network of the recipe's shape, with `{tensor}` {}, got {}; use the \
             `[network]` section that these weights were trained with",
            size(&expected, tensor),
            size(&got, tensor)
        );
    }
    ensure!(
        file.vocabulary == vocabulary,
        "--from {name}: expected vocabulary {vocabulary}, got {}; the same tokens have other meanings there",
        file.vocabulary
    );
    for (tensor, var) in network.variables() {
        var.set(&Tensor::from_slice(weights.tensor(tensor), var.shape(), var.device())?)?;
    }
    Ok(())
}

fn listed(words: &[String]) -> String {
    if words.is_empty() { "none".into() } else { words.join(", ") }
}
