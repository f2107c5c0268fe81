//! Checkpoints: everything that training needs to resume, in a safetensors file beside the weights.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor};
use continuo_network::Network;
use serde::{Deserialize, Serialize};

use crate::averaging::Averages;
use crate::training_log::EpochRow;
use continuo_network::optimisers::Optimiser;

/// The progress of a run. The random numbers of an epoch follow from the seed and the epoch's number, so between epochs
/// nothing else is needed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Finished epochs.
    pub epochs_done: usize,
    /// The lowest validation loss so far, in the unit of the network's kind; `None` before the end of the first epoch.
    pub best_loss: Option<f64>,
    /// The epoch with that loss, counted from 1.
    pub best_epoch: usize,
    /// The random seed of the run.
    pub rng_seed: u64,
    /// The text of the run's recipe.
    pub recipe: String,
    /// The hash of the vocabulary.
    pub vocabulary: String,
    /// The optimiser's step count and momentum product.
    pub optimiser: (u32, f64),
    /// The results of the finished epochs.
    #[serde(default)]
    pub log: Vec<EpochRow>,
    /// The interrupted epoch, if there is one.
    #[serde(default)]
    pub begun: Option<BegunEpoch>,
}

/// The progress of an interrupted epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BegunEpoch {
    /// Finished batches.
    pub batches_done: usize,
    /// State of the epoch's random number generator.
    pub rng_state: u64,
    /// Sum of the losses of its cells, nats.
    pub nats: f64,
    /// Number of those cells.
    pub cells: f64,
    /// Time spent on it so far.
    pub seconds: f64,
}

/// The path of the checkpoint that belongs to a weights file.
pub fn path_beside(weights: &Path) -> PathBuf {
    weights.with_extension("checkpoint")
}

/// Writes a checkpoint. Readers never see a partly written file.
pub fn save(
    path: &Path,
    network: &Network,
    optimiser: &mut Optimiser,
    averages: &Averages,
    progress: &Progress,
) -> Result<()> {
    let mut tensors = HashMap::new();
    for (name, var) in network.variables() {
        tensors.insert(name.clone(), var.as_detached_tensor());
    }
    for m in optimiser.moments() {
        tensors.insert(format!("first.{}", m.name), m.first.clone());
        tensors.insert(format!("second.{}", m.name), m.second.clone());
    }
    for (name, tensor) in averages.tensors() {
        tensors.insert(format!("average.{name}"), tensor.clone());
    }
    let metadata = HashMap::from([("progress".to_string(), serde_json::to_string(progress)?)]);
    let part = path.with_extension("checkpoint-part");
    safetensors::serialize_to_file(&tensors, Some(metadata), &part)?;
    std::fs::rename(&part, path).with_context(|| format!("{}: cannot be written", path.display()))
}

/// Restores a checkpoint into a network and an optimiser of the same shapes.
pub fn load(path: &Path, network: &Network, optimiser: &mut Optimiser, averages: &mut Averages) -> Result<Progress> {
    let name = path.display();
    let bytes = std::fs::read(path)
        .with_context(|| format!("{name}: cannot be opened; leave out --resume to start from the beginning"))?;
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).with_context(|| {
        format!("{name}: expected a complete checkpoint; leave out --resume to start from the beginning")
    })?;
    let text = header.metadata().as_ref().and_then(|m| m.get("progress"));
    let progress: Progress =
        serde_json::from_str(text.with_context(|| format!("{name}: expected a checkpoint of this trainer"))?)?;
    let mut tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)?;
    let mut take = |key: String, shape: &[usize]| -> Result<Tensor> {
        let tensor = tensors.remove(&key).with_context(|| format!("{name}: expected a tensor `{key}`, got none"))?;
        ensure!(tensor.dims() == shape, "{name}: expected `{key}` to be {shape:?}, got {:?}", tensor.dims());
        Ok(tensor)
    };
    for (name, var) in network.variables() {
        var.set(&take(name.clone(), var.dims())?.to_device(var.device())?)?;
    }
    for m in optimiser.moments() {
        m.first = take(format!("first.{}", m.name), m.var.dims())?.to_device(m.var.device())?;
        m.second = take(format!("second.{}", m.name), m.var.dims())?.to_device(m.var.device())?;
    }
    for (name, tensor) in averages.tensors_mut() {
        *tensor = take(format!("average.{name}"), tensor.dims())?.to_device(tensor.device())?;
    }
    optimiser.set_progress(progress.optimiser);
    Ok(progress)
}
