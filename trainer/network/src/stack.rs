//! The stack on candle: embeddings, causal convolutions, LSTM layers, dense layers.

use candle_core::{DType, Result, Tensor};
use continuo_model::config::{NORM_EPSILON, StackConfig};

use super::conv_norm::conv_norm_relu;
use super::{NORM_MOMENTUM, Network, Training, drop_out};

/// The inputs of a stack: a batch of sequences of cells. Time comes first, so that a shift in time is a plain copy.
#[derive(Clone)]
pub struct StackInputs {
    /// The previous token of each cell, (steps, batch) of u32; `vocab_size` at the start of a piece.
    pub previous: Tensor,
    /// The table rows to look up for the feature slots, (steps, batch, slots) of u32.
    pub features: Tensor,
}

impl Network {
    /// The logits of every cell, (steps * batch, vocab_size).
    pub(super) fn forward_stack(
        &self,
        config: &StackConfig,
        inputs: &StackInputs,
        training: &mut Option<Training>,
    ) -> Result<Tensor> {
        let (steps, batch) = inputs.previous.dims2()?;
        let mut x = self.embed(config, inputs)?; // (steps * batch, input_width)
        for i in 0..config.convolutions.len() {
            x = self.convolve(config, i, &x, batch, training.is_some())?;
        }
        if !config.convolutions.is_empty() {
            x = drop_out(x, config.dropout, training)?;
        }
        for i in 0..config.lstm.len() {
            let h = self.run_lstm(i, &x, steps, 0.0, training)?;
            x = drop_out(h, config.dropout, training)?;
        }
        self.run_dense(config.dense.len(), x, 0.0, training)
    }

    /// The embeddings of the previous tokens and the features side by side, (steps * batch, input_width).
    fn embed(&self, config: &StackConfig, inputs: &StackInputs) -> Result<Tensor> {
        let (steps, batch) = inputs.previous.dims2()?;
        let cells = steps * batch;
        let table = self.var("embedding.weight").as_tensor();
        // The row past the vocabulary, all zeros, stands for the start of a piece.
        let nothing = Tensor::zeros((1, config.embedding), DType::F32, table.device())?;
        let table = Tensor::cat(&[table, &nothing], 0)?;
        let mut parts = vec![table.index_select(&inputs.previous.flatten_all()?, 0)?];
        let mut slot = 0;
        for feature in &config.features {
            let table = self.var(feature.kind.tensor_name());
            let slots = feature.kind.slots();
            let rows = inputs.features.narrow(2, slot, slots)?.contiguous()?.flatten_all()?;
            parts.push(table.index_select(&rows, 0)?.reshape((cells, slots * feature.width))?);
            slot += slots;
        }
        Tensor::cat(&parts, 1)?.contiguous()
    }

    /// Runs causal convolution `i` with batch normalisation and ReLU on `x`, (steps * batch, inputs); returns (steps *
    /// batch, channels).
    fn convolve(&self, config: &StackConfig, i: usize, x: &Tensor, batch: usize, training: bool) -> Result<Tensor> {
        let part = |part: &str| self.var(&format!("conv.{i}.{part}"));
        let (gamma, beta) = (part("norm.gamma"), part("norm.beta"));
        if training && x.device().is_cpu() {
            let affine = Tensor::stack(&[gamma.as_tensor(), beta.as_tensor()], 0)?;
            let shape = config.convolutions[i];
            let (y, statistics) = conv_norm_relu(x, part("weight"), &affine, shape, batch)?;
            let mean = (Tensor::new(statistics.mean, x.device())? + part("bias").as_detached_tensor())?;
            self.update_running_statistics(i, &mean, &Tensor::new(statistics.var, x.device())?)?;
            return Ok(y);
        }
        let z = self.convolve_plainly(config, i, x, batch)?;
        let (mean, var) = if training {
            let mean = z.mean(0)?;
            let var = z.broadcast_sub(&mean)?.sqr()?.mean(0)?;
            self.update_running_statistics(i, &mean.detach(), &var.detach())?;
            (mean, var)
        } else {
            (part("norm.mean").as_detached_tensor(), part("norm.var").as_detached_tensor())
        };
        let scale = ((var + NORM_EPSILON)?.sqrt()?.recip()? * gamma.as_tensor())?;
        z.broadcast_sub(&mean)?.broadcast_mul(&scale)?.broadcast_add(beta)?.relu()
    }

    /// The convolution alone in candle's own operations, (steps * batch, channels): a sum of matrix products, one for
    /// each tap, shifted in time. (The weight gradients of candle's `conv1d` are wrong for batches.)
    fn convolve_plainly(&self, config: &StackConfig, i: usize, x: &Tensor, batch: usize) -> Result<Tensor> {
        let conv = &config.convolutions[i];
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

    /// Moves the running mean and variance, both (channels), towards those of a batch.
    fn update_running_statistics(&self, i: usize, mean: &Tensor, var: &Tensor) -> Result<()> {
        for (part, now) in [("mean", mean), ("var", var)] {
            let running = self.var(&format!("conv.{i}.norm.{part}"));
            let kept = (running.as_detached_tensor() * NORM_MOMENTUM)?;
            running.set(&(kept + (now * (1.0 - NORM_MOMENTUM))?)?)?;
        }
        Ok(())
    }
}
