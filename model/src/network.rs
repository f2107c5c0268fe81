//! The network on candle: what the trainer trains, and what the streaming network is checked against.

mod affine;
mod bag;
pub mod config;
mod conv_norm;
mod layers;
mod line;
mod line_config;
mod lstm_sequence;
mod product;
mod split;
mod split_config;
mod stack;
mod stack_config;

use candle_core::{Device, Result, Tensor, Var, bail};

use crate::random::SplitMix64;
use config::NetworkConfig;
pub use line::LineInputs;
pub use split::{SplitInputs, relative_columns};
pub use stack::StackInputs;

/// Added to the variance in batch normalisation (the value that Keras uses).
pub const NORM_EPSILON: f64 = 1e-3;
/// How much of a running mean or variance stays at each training step (the value that Keras uses).
const NORM_MOMENTUM: f64 = 0.99;

/// A batch for a network of any kind.
#[derive(Clone)]
pub enum Inputs {
    /// For a stack.
    Stack(StackInputs),
    /// For a split network.
    Split(SplitInputs),
    /// For a line model.
    Line(LineInputs),
}

/// The network's tensors as candle variables, and its forward pass.
pub struct Network {
    config: NetworkConfig,
    /// In the order of [`NetworkConfig::tensors`].
    variables: Vec<(String, Var)>,
}

/// Where dropout's random numbers come from. Without it the network runs as in performance: no dropout, batch
/// normalisation by its running figures.
pub struct Training<'a> {
    /// candle's own generator cannot be seeded on CPU; this one can.
    pub rng: &'a mut SplitMix64,
}

impl Network {
    /// A network with fresh weights: Glorot uniform for matrices, orthogonal-like scale for the recurrent ones,
    /// forget gates open (bias 1).
    pub fn init(config: NetworkConfig, rng_seed: u64, device: &Device) -> Result<Self> {
        let mut rng = SplitMix64::new(rng_seed);
        let mut variables = Vec::new();
        for (name, shape) in config.tensors() {
            let count: usize = shape.iter().product();
            let mut uniform =
                |limit: f32| -> Vec<f32> { (0..count).map(|_| (rng.next_f32() * 2.0 - 1.0) * limit).collect() };
            let values = match name.rsplit('.').next().expect("split yields at least one part") {
                "bias" if name.starts_with("lstm") => {
                    let units = count / 4;
                    (0..count).map(|i| f32::from(u8::from(i / units == 1))).collect()
                }
                "bias" | "beta" | "mean" => vec![0.0; count],
                "gamma" | "var" => vec![1.0; count],
                "table" => uniform(0.1),
                "weight" if name.starts_with("embedding") || name.starts_with("feature") => uniform(0.05),
                "w_hh" => uniform((3.0 / shape[0] as f32).sqrt()),
                "w_ih" => uniform((6.0 / (shape[0] + shape[1] / 4) as f32).sqrt()),
                _ => uniform((6.0 / (shape[0] + shape[1]) as f32).sqrt()),
            };
            let tensor = Tensor::from_vec(values, shape, device)?;
            variables.push((name, Var::from_tensor(&tensor)?));
        }
        Ok(Self { config, variables })
    }

    /// A network with given weights, named and shaped as [`NetworkConfig::tensors`] says.
    ///
    /// # Errors
    /// If `tensor` has none of that name and shape.
    pub fn from_tensors(
        config: NetworkConfig,
        mut tensor: impl FnMut(&str, &[usize]) -> Result<Tensor>,
    ) -> Result<Self> {
        let variables = config
            .tensors()
            .into_iter()
            .map(|(name, shape)| Ok((name.clone(), Var::from_tensor(&tensor(&name, &shape)?)?)))
            .collect::<Result<_>>()?;
        Ok(Self { config, variables })
    }

    /// The network's shape.
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// All tensors with their names, in the order of [`NetworkConfig::tensors`].
    pub fn variables(&self) -> &[(String, Var)] {
        &self.variables
    }

    /// The variables that training moves: all but batch normalisation's running figures.
    pub fn trainable(&self) -> impl Iterator<Item = &(String, Var)> {
        self.variables.iter().filter(|(name, _)| !name.ends_with("norm.mean") && !name.ends_with("norm.var"))
    }

    fn var(&self, name: &str) -> &Var {
        let found = self.variables.iter().find(|(n, _)| n == name);
        &found.unwrap_or_else(|| panic!("the network has no tensor {name}")).1
    }

    /// The logits of every cell, (cells, vocab_size); cells are (steps, batch), in a split network (steps, batch,
    /// voices), in a line model (words, batch). State is zero before the first step.
    ///
    /// # Errors
    /// If the inputs are for the other kind of network, or this is an ensemble: its members are run one by one.
    pub fn forward(&self, inputs: &Inputs, mut training: Option<Training>) -> Result<Tensor> {
        match (&self.config, inputs) {
            (NetworkConfig::Stack(config), Inputs::Stack(inputs)) => self.forward_stack(config, inputs, &mut training),
            (NetworkConfig::Split(config), Inputs::Split(inputs)) => self.forward_split(config, inputs, &mut training),
            (NetworkConfig::Line(config), Inputs::Line(inputs)) => self.forward_line(config, inputs, &mut training),
            _ => bail!("expected inputs for the same kind of network"),
        }
    }
}

/// Zeroes a share `p` of the values while training, and makes up for it in the others.
fn drop_out(x: Tensor, p: f32, training: &mut Option<Training>) -> Result<Tensor> {
    let Some(training) = training.as_mut().filter(|_| p > 0.0) else { return Ok(x) };
    let mask = mask(training.rng, x.elem_count(), p);
    &x * Tensor::from_vec(mask, x.shape(), x.device())?
}

/// The same with units that are gone for a whole sequence: `x` is (steps * batch, units). (Gal and Ghahramani, "A
/// theoretically grounded application of dropout in recurrent neural networks", 2016.)
fn drop_units(x: Tensor, p: f32, steps: usize, training: &mut Option<Training>) -> Result<Tensor> {
    let Some(training) = training.as_mut().filter(|_| p > 0.0) else { return Ok(x) };
    let mask = mask(training.rng, x.elem_count() / steps, p).repeat(steps);
    &x * Tensor::from_vec(mask, x.shape(), x.device())?
}

fn mask(rng: &mut SplitMix64, len: usize, p: f32) -> Vec<f32> {
    let keep = 1.0 / (1.0 - p);
    (0..len).map(|_| if rng.next_f32() < p { 0.0 } else { keep }).collect()
}

#[cfg(test)]
mod tests;
