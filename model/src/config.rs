//! The shape of a network: what a recipe asks for, what a weights file says it holds.

mod initial;
mod line;
mod split;
mod stack;

use serde::{Deserialize, Serialize};

use crate::stream::Rates;

pub use initial::InitialTensor;
pub use line::{HomeKey, LineConfig, MOST_CONTEXT_EVENTS};
pub use split::SplitConfig;
pub use stack::{Convolution, Feature, FeatureKind, HELD_BUCKETS, StackConfig};

/// Added to the variance in batch normalisation (the value that Keras uses).
pub const NORM_EPSILON: f64 = 1e-3;

/// Names and shapes of tensors.
pub type Tensors = Vec<(String, Vec<usize>)>;

/// Which kind of network, and its shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum NetworkConfig {
    /// One token in, one token out, voices in a fixed order.
    Stack(StackConfig),
    /// A trunk that runs once a step and a head that runs once a voice, voices in any order.
    Split(SplitConfig),
    /// Several split networks of one shape, each trained for itself; what they say is averaged.
    Ensemble(EnsembleConfig),
    /// One line of words, with words of its own.
    Line(LineConfig),
}

/// Several split networks of one shape. The tensors of number n have names that begin with `n.`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnsembleConfig {
    /// How many there are.
    pub members: usize,
    /// The shape of each.
    pub member: SplitConfig,
    /// How the whole adapts to the piece that it plays, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adaptation: Option<Rates>,
}

impl NetworkConfig {
    /// Every tensor that the network consists of, with its shape, in a fixed order.
    pub fn tensors(&self) -> Tensors {
        self.kind().tensors()
    }

    /// How many tokens come out.
    pub fn vocab_size(&self) -> usize {
        self.kind().vocab_size()
    }

    /// What the network is shown beside the tokens before, in words.
    pub fn sees(&self) -> Vec<String> {
        self.kind().sees()
    }

    /// Numbers in all tensors together (batch normalisation's running mean and variance counted, as Keras does).
    pub fn num_parameters(&self) -> usize {
        self.tensors().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }

    /// Refuses a configuration that no network can have.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&self) -> Result<(), String> {
        self.kind().check()
    }
}

/// Lists LSTM layers behind an input of `width`; gives the width of what comes out.
fn push_lstm(tensors: &mut Tensors, mut width: usize, layers: &[usize]) -> usize {
    for (i, &units) in layers.iter().enumerate() {
        tensors.push((format!("lstm.{i}.w_ih"), vec![width, 4 * units]));
        tensors.push((format!("lstm.{i}.w_hh"), vec![units, 4 * units]));
        tensors.push((format!("lstm.{i}.bias"), vec![4 * units]));
        width = units;
    }
    width
}

/// Lists dense layers behind an input of `width`.
fn push_dense<'a>(tensors: &mut Tensors, mut width: usize, layers: impl IntoIterator<Item = &'a usize>) {
    for (i, &units) in layers.into_iter().enumerate() {
        tensors.push((format!("dense.{i}.weight"), vec![width, units]));
        tensors.push((format!("dense.{i}.bias"), vec![units]));
        width = units;
    }
}

/// A file that asks for absurd sizes must not make the reader allocate them.
fn check_sizes<'a>(sizes: impl IntoIterator<Item = &'a usize>) -> Result<(), String> {
    match sizes.into_iter().find(|size| !(1..=65_536).contains(*size)) {
        Some(size) => Err(format!("expected layer sizes from 1 to 65536, got {size}")),
        None => Ok(()),
    }
}

fn check_dropout(dropout: f32) -> Result<(), String> {
    if (0.0..1.0).contains(&dropout) {
        Ok(())
    } else {
        Err(format!("expected a dropout from 0 up to 1, got {dropout}"))
    }
}
