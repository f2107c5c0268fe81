//! The networks on candle, with custom gradients, and the optimisers. The trainer trains them; the plugin plays through
//! [`continuo_model::stream`], which the tests here compare with these networks.

mod affine;
mod bag;
mod conv_norm;
mod layers;
mod line;
mod lstm_sequence;
pub mod optimisers;
mod performance;
mod product;
mod residual;
mod split;
mod stack;

use candle_core::{Device, Error, Result, Tensor, Var, bail};
use continuo_model::config::{InitialTensor, NetworkConfig};
use continuo_model::random::SplitMix64;
use continuo_model::weights_file::{Description, Weights};

pub use line::LineInputs;
pub use performance::PerformanceInputs;
pub use split::SplitInputs;
pub use stack::StackInputs;

/// The share of a running mean or variance that each training step keeps (Keras's default).
const NORM_MOMENTUM: f64 = 0.99;

/// The inputs of a network of any kind, for a batch of sequences.
#[derive(Clone)]
pub enum Inputs {
    /// For a stack.
    Stack(StackInputs),
    /// For a split network.
    Split(SplitInputs),
    /// For a line model.
    Line(LineInputs),
    /// For a performance model.
    Performance(PerformanceInputs),
}

/// The network's tensors as candle variables, and its forward pass.
pub struct Network {
    config: NetworkConfig,
    /// In the order of [`NetworkConfig::tensors`].
    variables: Vec<(String, Var)>,
}

/// Runs a network in training mode. Without it there is no dropout, and batch normalisation uses its running
/// statistics.
pub struct Training<'a> {
    /// Random numbers for dropout. candle's own generator cannot be seeded on CPU.
    pub rng: &'a mut SplitMix64,
}

impl Network {
    /// An untrained network; see [`NetworkConfig::initial_tensors`].
    ///
    /// # Errors
    /// If the device runs out of memory.
    pub fn init(config: NetworkConfig, rng_seed: u64, device: &Device) -> Result<Self> {
        let variables = config
            .initial_tensors(rng_seed)
            .into_iter()
            .map(|InitialTensor { name, shape, values }| {
                Ok((name, Var::from_tensor(&Tensor::from_vec(values, shape, device)?)?))
            })
            .collect::<Result<_>>()?;
        Ok(Self { config, variables })
    }

    /// A network with the tensors that `tensor(name, shape)` returns for the names and shapes of
    /// [`NetworkConfig::tensors`].
    ///
    /// # Errors
    /// If `tensor` fails.
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

    /// A network on `device` with the weights of a file.
    ///
    /// # Errors
    /// If the device runs out of memory.
    pub fn from_weights(weights: &Weights, device: &Device) -> Result<Self> {
        Self::from_tensors(weights.description.config.clone(), |name, shape| {
            Tensor::from_slice(weights.tensor(name), shape, device)
        })
    }

    /// The network's weights. Matrices are rounded to 16 bits, as files store them.
    ///
    /// # Errors
    /// If a value is NaN or infinite, or if the description is that of another network.
    pub fn to_weights(&self, description: Description) -> Result<Weights> {
        let values = |(name, var): &(String, Var)| Ok((name.clone(), var.flatten_all()?.to_vec1()?));
        let tensors = self.variables.iter().map(values).collect::<Result<_>>()?;
        Weights::new(description, tensors).map_err(Error::wrap)
    }

    /// The network's shape.
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// All tensors with their names, in the order of [`NetworkConfig::tensors`].
    pub fn variables(&self) -> &[(String, Var)] {
        &self.variables
    }

    /// The variables that training updates: all but the running statistics of batch normalisation.
    pub fn trainable(&self) -> impl Iterator<Item = &(String, Var)> {
        self.variables.iter().filter(|(name, _)| !name.ends_with("norm.mean") && !name.ends_with("norm.var"))
    }

    fn var(&self, name: &str) -> &Var {
        let found = self.variables.iter().find(|(n, _)| n == name);
        &found.unwrap_or_else(|| panic!("the network has no tensor {name}")).1
    }

    /// The logits of every cell, (cells, vocab_size). The cells are (steps, batch), in a split network (steps, batch,
    /// voices), in a line model (words, batch), in a performance model (attributes, notes, batch). The recurrent state
    /// starts at zero.
    ///
    /// # Errors
    /// If the inputs are for another kind of network, or if this is an ensemble: its members are trained one by one.
    pub fn forward(&self, inputs: &Inputs, mut training: Option<Training>) -> Result<Tensor> {
        match (&self.config, inputs) {
            (NetworkConfig::Stack(config), Inputs::Stack(inputs)) => self.forward_stack(config, inputs, &mut training),
            (NetworkConfig::Split(config), Inputs::Split(inputs)) => self.forward_split(config, inputs, &mut training),
            (NetworkConfig::Line(config), Inputs::Line(inputs)) => self.forward_line(config, inputs, &mut training),
            (NetworkConfig::Performance(config), Inputs::Performance(inputs)) => {
                self.forward_performance(config, inputs, &mut training)
            }
            _ => bail!("expected inputs for this kind of network, got inputs for another kind"),
        }
    }
}

/// The fewest random numbers that are worth a thread.
const LEAST_DRAWS: usize = 1 << 16;

/// Dropout: in training mode, zeroes a share `p` of the values and scales the others by 1 / (1 - p).
fn drop_out(x: Tensor, p: f32, training: &mut Option<Training>) -> Result<Tensor> {
    let Some(training) = training.as_mut().filter(|_| p > 0.0) else { return Ok(x) };
    let mask = mask(training.rng, x.elem_count(), p, product::rayon_threads());
    &x * Tensor::from_vec(mask, x.shape(), x.device())?
}

/// Dropout of the same units throughout a sequence: `x` is (steps * batch, units). (Gal and Ghahramani, "A
/// theoretically grounded application of dropout in recurrent neural networks", 2016.)
fn drop_units(x: Tensor, p: f32, steps: usize, training: &mut Option<Training>) -> Result<Tensor> {
    let Some(training) = training.as_mut().filter(|_| p > 0.0) else { return Ok(x) };
    let mask = mask(training.rng, x.elem_count() / steps, p, product::rayon_threads()).repeat(steps);
    &x * Tensor::from_vec(mask, x.shape(), x.device())?
}

fn mask(rng: &mut SplitMix64, len: usize, p: f32, threads: usize) -> Vec<f32> {
    let keep = 1.0 / (1.0 - p);
    let mut mask = vec![0.0; len];
    // Each thread draws its part of one stream, so the mask does not depend on how many there are.
    let part = len.div_ceil(threads).max(LEAST_DRAWS);
    std::thread::scope(|scope| {
        for mask in mask.chunks_mut(part) {
            let mut own = rng.clone();
            rng.skip(mask.len());
            let draw = move || mask.iter_mut().for_each(|x| *x = if own.next_f32() < p { 0.0 } else { keep });
            product::in_parallel(scope, len > part, draw);
        }
    });
    mask
}

#[cfg(test)]
mod tests;
