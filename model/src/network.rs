//! The network on candle: what the trainer trains, and what the streaming network is checked against.

pub mod config;
mod conv_norm;
mod lstm_sequence;
mod product;

use candle_core::{DType, Device, Result, Tensor, Var};

use crate::random::SplitMix64;
use config::NetworkConfig;
use conv_norm::conv_norm_relu;
use lstm_sequence::lstm_sequence;

/// Added to the variance in batch normalisation (the value that Keras uses).
pub const NORM_EPSILON: f64 = 1e-3;
/// How much of a running mean or variance stays at each training step (the value that Keras uses).
const NORM_MOMENTUM: f64 = 0.99;

/// A batch of sequences, time first: every layer then works on whole rows, and a shift in time is a plain
/// copy.
pub struct Inputs {
    /// The token before each cell, (steps, batch) of u32; `vocab_size` where there is none.
    pub previous: Tensor,
    /// The rows to look up for each feature slot, (steps, batch, slots) of u32.
    pub features: Tensor,
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

    /// The logits of every cell, (steps * batch, vocab_size). State is zero before the first step.
    pub fn forward(&self, inputs: &Inputs, mut training: Option<Training>) -> Result<Tensor> {
        let (steps, batch) = inputs.previous.dims2()?;
        let mut x = self.embed(inputs)?; // (steps * batch, input_width)
        for i in 0..self.config.convolutions.len() {
            x = self.convolve(i, &x, batch, training.is_some())?;
        }
        if !self.config.convolutions.is_empty() {
            x = self.drop_out(x, &mut training)?;
        }
        for (i, &units) in self.config.lstm.iter().enumerate() {
            let gates = x
                .matmul(self.var(&format!("lstm.{i}.w_ih")))?
                .broadcast_add(self.var(&format!("lstm.{i}.bias")))?
                .reshape((steps, batch, 4 * units))?;
            let h = lstm_sequence(&gates, self.var(&format!("lstm.{i}.w_hh")))?;
            x = self.drop_out(h.reshape((steps * batch, units))?, &mut training)?;
        }
        for i in 0..=self.config.dense.len() {
            x = x
                .matmul(self.var(&format!("dense.{i}.weight")))?
                .broadcast_add(self.var(&format!("dense.{i}.bias")))?;
            if i < self.config.dense.len() {
                x = x.relu()?;
            }
        }
        Ok(x)
    }

    /// Token and feature embeddings side by side, (steps * batch, input_width).
    fn embed(&self, inputs: &Inputs) -> Result<Tensor> {
        let (steps, batch) = inputs.previous.dims2()?;
        let cells = steps * batch;
        let table = self.var("embedding.weight").as_tensor();
        // The row past the vocabulary stands for "nothing before" and is all zeros.
        let nothing = Tensor::zeros((1, self.config.embedding), DType::F32, table.device())?;
        let table = Tensor::cat(&[table, &nothing], 0)?;
        let mut parts = vec![table.index_select(&inputs.previous.flatten_all()?, 0)?];
        let mut slot = 0;
        for feature in &self.config.features {
            let table = self.var(feature.kind.tensor_name());
            let slots = feature.kind.slots();
            let rows = inputs.features.narrow(2, slot, slots)?.contiguous()?.flatten_all()?;
            parts.push(table.index_select(&rows, 0)?.reshape((cells, slots * feature.width))?);
            slot += slots;
        }
        Tensor::cat(&parts, 1)?.contiguous()
    }

    /// One causal convolution with batch normalisation and ReLU, (steps * batch, channels).
    fn convolve(&self, i: usize, x: &Tensor, batch: usize, training: bool) -> Result<Tensor> {
        let part = |part: &str| self.var(&format!("conv.{i}.{part}"));
        let (gamma, beta) = (part("norm.gamma"), part("norm.beta"));
        if training && x.device().is_cpu() {
            let affine = Tensor::stack(&[gamma.as_tensor(), beta.as_tensor()], 0)?;
            let shape = self.config.convolutions[i];
            let (y, figures) = conv_norm_relu(x, part("weight"), &affine, shape, batch)?;
            let mean = (Tensor::new(figures.mean, x.device())? + part("bias").as_detached_tensor())?;
            self.update_running_figures(i, &mean, &Tensor::new(figures.var, x.device())?)?;
            return Ok(y);
        }
        let z = self.convolve_plainly(i, x, batch)?;
        let (mean, var) = if training {
            let mean = z.mean(0)?;
            let var = z.broadcast_sub(&mean)?.sqr()?.mean(0)?;
            self.update_running_figures(i, &mean.detach(), &var.detach())?;
            (mean, var)
        } else {
            (part("norm.mean").as_detached_tensor(), part("norm.var").as_detached_tensor())
        };
        let scale = ((var + NORM_EPSILON)?.sqrt()?.recip()? * gamma.as_tensor())?;
        z.broadcast_sub(&mean)?.broadcast_mul(&scale)?.broadcast_add(beta)?.relu()
    }

    /// The convolution alone, in candle's own operations: a sum of matrix products, one a tap, each shifted in
    /// time (candle's `conv1d` has wrong weight gradients for batches).
    fn convolve_plainly(&self, i: usize, x: &Tensor, batch: usize) -> Result<Tensor> {
        let conv = &self.config.convolutions[i];
        let (cells, width) = x.dims2()?;
        let weight = self.var(&format!("conv.{i}.weight"));
        let mut sum = self.var(&format!("conv.{i}.bias")).reshape((1, conv.channels))?;
        for tap in 0..conv.kernel {
            let y = x.matmul(&weight.narrow(0, tap * width, width)?.contiguous()?)?;
            let shift = ((conv.kernel - 1 - tap) * conv.dilation * batch).min(cells);
            let y = y.narrow(0, 0, cells - shift)?.pad_with_zeros(0, shift, 0)?;
            sum = y.broadcast_add(&sum)?;
        }
        Ok(sum)
    }

    /// Moves the mean and variance that the network plays with a little towards a batch's.
    fn update_running_figures(&self, i: usize, mean: &Tensor, var: &Tensor) -> Result<()> {
        for (part, now) in [("mean", mean), ("var", var)] {
            let running = self.var(&format!("conv.{i}.norm.{part}"));
            let kept = (running.as_detached_tensor() * NORM_MOMENTUM)?;
            running.set(&(kept + (now * (1.0 - NORM_MOMENTUM))?)?)?;
        }
        Ok(())
    }

    fn drop_out(&self, x: Tensor, training: &mut Option<Training>) -> Result<Tensor> {
        let p = self.config.dropout;
        match training {
            Some(training) if p > 0.0 => {
                let keep = 1.0 / (1.0 - p);
                let rng = &mut training.rng;
                let mask: Vec<f32> = (0..x.elem_count()).map(|_| if rng.next_f32() < p { 0.0 } else { keep }).collect();
                &x * Tensor::from_vec(mask, x.shape(), x.device())?
            }
            _ => Ok(x),
        }
    }
}

#[cfg(test)]
mod tests;
