//! Causal convolution, batch normalisation and ReLU as one differentiable operation on the CPU, in training mode.
//!
//! It needs three passes over the data forwards and three backwards; candle's own operations need about twenty, and the
//! weight gradients of candle's `conv1d` are wrong for batches.

use std::sync::{Arc, Mutex};

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use continuo_model::config::{Convolution, NORM_EPSILON};
use multiversion::multiversion;

use super::product::{Matrix, Output, contiguous, flat, multiply};

/// The mean and variance of each channel over a batch.
#[derive(Clone, Debug, Default)]
pub(crate) struct BatchStatistics {
    /// (channels).
    pub mean: Vec<f32>,
    /// (channels), the biased estimate.
    pub var: Vec<f32>,
}

/// Runs the layer on `x`, (steps * batch, inputs) with time first. `weight` is (kernel * inputs, channels), `affine` is
/// (2, channels): gamma and beta. Returns the output, (steps * batch, channels), and the batch's statistics.
///
/// The layer leaves out the bias of the convolution, which normalisation would subtract again; the caller adds it to
/// the running mean.
///
/// # Errors
/// If the shapes do not fit.
pub(crate) fn conv_norm_relu(
    x: &Tensor,
    weight: &Tensor,
    affine: &Tensor,
    shape: Convolution,
    batch: usize,
) -> Result<(Tensor, BatchStatistics)> {
    let statistics = Arc::new(Mutex::new(BatchStatistics::default()));
    let op = ConvNormRelu { shape, batch, statistics: statistics.clone(), normalised: Mutex::default() };
    let y = x.contiguous()?.apply_op3(&weight.contiguous()?, &affine.contiguous()?, op)?;
    let statistics = statistics.lock().expect("no thread panics with the statistics").clone();
    Ok((y, statistics))
}

struct ConvNormRelu {
    shape: Convolution,
    batch: usize,
    statistics: Arc<Mutex<BatchStatistics>>,
    /// The normalised values, (steps * batch, channels), which the forward pass keeps for the backward pass.
    normalised: Mutex<Vec<f32>>,
}

impl ConvNormRelu {
    /// By how many rows the input of a tap is delayed.
    fn shift(&self, tap: usize, rows: usize) -> usize {
        ((self.shape.kernel - 1 - tap) * self.shape.dilation * self.batch).min(rows)
    }
}

impl CustomOp3 for ConvNormRelu {
    fn name(&self) -> &'static str {
        "conv-norm-relu"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        affine: &CpuStorage,
        affine_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, inputs) = x_layout.shape().dims2()?;
        let channels = self.shape.channels;
        let x = contiguous(self.name(), x, x_layout)?;
        let weight = contiguous(self.name(), weight, weight_layout)?;
        let (gamma, beta) = contiguous(self.name(), affine, affine_layout)?.split_at(channels);
        let mut z = vec![0.0; rows * channels];
        for tap in 0..self.shape.kernel {
            let shift = self.shift(tap, rows);
            let w = Matrix::rows(&weight[tap * inputs * channels..], inputs, channels);
            multiply(Matrix::rows(x, rows - shift, inputs), w, &mut z[shift * channels..], Output::Add);
        }
        let statistics = statistics_of(&z, channels);
        let mut y = vec![0.0; z.len()];
        normalise(&mut z, &mut y, &statistics.mean, &inverse_deviation(&statistics.var), gamma, beta);
        *self.statistics.lock().expect("no thread panics with the statistics") = statistics;
        *self.normalised.lock().expect("no thread panics with the values") = z;
        Ok((CpuStorage::F32(y), (rows, channels).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        affine: &Tensor,
        y: &Tensor,
        grad_y: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (rows, inputs) = x.dims2()?;
        let channels = self.shape.channels;
        let normalised = std::mem::take(&mut *self.normalised.lock().expect("no thread panics with the values"));
        let inverse = inverse_deviation(&self.statistics.lock().expect("no thread panics with the statistics").var);
        let (x_values, w_values, affine_values) = (flat(x)?, flat(weight)?, flat(affine)?);
        let mut dz = flat(grad_y)?;
        // Back through ReLU, which also sums the gradients of gamma and beta, then through normalisation.
        let mut grad_affine = vec![0.0; 2 * channels];
        let (grad_gamma, grad_beta) = grad_affine.split_at_mut(channels);
        through_relu(&mut dz, &flat(y)?, &normalised, grad_gamma, grad_beta);
        through_norm(&mut dz, &normalised, grad_gamma, grad_beta, &affine_values[..channels], &inverse);
        let mut grad_x = vec![0.0; rows * inputs];
        let mut grad_w = vec![0.0; w_values.len()];
        for tap in 0..self.shape.kernel {
            let shift = self.shift(tap, rows);
            let of_tap = tap * inputs * channels..(tap + 1) * inputs * channels;
            let dz = Matrix::rows(&dz[shift * channels..], rows - shift, channels);
            let w = Matrix::rows(&w_values[of_tap.clone()], inputs, channels).transposed();
            multiply(dz, w, &mut grad_x, Output::Add);
            let x = Matrix::rows(&x_values, rows - shift, inputs).transposed();
            multiply(x, dz, &mut grad_w[of_tap], Output::Overwrite);
        }
        let like = |values: Vec<f32>, tensor: &Tensor| Tensor::from_vec(values, tensor.shape(), tensor.device());
        Ok((Some(like(grad_x, x)?), Some(like(grad_w, weight)?), Some(like(grad_affine, affine)?)))
    }
}

fn inverse_deviation(var: &[f32]) -> Vec<f32> {
    var.iter().map(|v| 1.0 / (v + NORM_EPSILON as f32).sqrt()).collect()
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn statistics_of(z: &[f32], channels: usize) -> BatchStatistics {
    let count = (z.len() / channels) as f32;
    let mut mean = vec![0.0; channels];
    for row in z.chunks_exact(channels) {
        mean.iter_mut().zip(row).for_each(|(m, z)| *m += z);
    }
    mean.iter_mut().for_each(|m| *m /= count);
    let mut var = vec![0.0; channels];
    for row in z.chunks_exact(channels) {
        for ((v, m), z) in var.iter_mut().zip(&mean).zip(row) {
            *v += (z - m) * (z - m);
        }
    }
    var.iter_mut().for_each(|v| *v /= count);
    BatchStatistics { mean, var }
}

/// Normalises `z` in place and writes the output of the layer to `y`; both are (steps * batch, channels).
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn normalise(z: &mut [f32], y: &mut [f32], mean: &[f32], inverse: &[f32], gamma: &[f32], beta: &[f32]) {
    let channels = mean.len();
    let (inverse, gamma, beta) = (&inverse[..channels], &gamma[..channels], &beta[..channels]);
    for (z, y) in z.chunks_exact_mut(channels).zip(y.chunks_exact_mut(channels)) {
        for c in 0..channels {
            z[c] = (z[c] - mean[c]) * inverse[c];
            y[c] = (z[c] * gamma[c] + beta[c]).max(0.0);
        }
    }
}

/// Zeroes the gradient where ReLU's output is 0, and sums it for gamma and beta.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn through_relu(dz: &mut [f32], y: &[f32], normalised: &[f32], grad_gamma: &mut [f32], grad_beta: &mut [f32]) {
    let channels = grad_gamma.len();
    let grad_beta = &mut grad_beta[..channels];
    for ((dz, y), n) in
        dz.chunks_exact_mut(channels).zip(y.chunks_exact(channels)).zip(normalised.chunks_exact(channels))
    {
        for c in 0..channels {
            dz[c] = if y[c] > 0.0 { dz[c] } else { 0.0 };
            grad_gamma[c] += dz[c] * n[c];
            grad_beta[c] += dz[c];
        }
    }
}

/// Turns `dz`, the gradient of the layer's output before ReLU, into the gradient of the convolution's output (Ioffe and
/// Szegedy, "Batch normalization", 2015, section 3).
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn through_norm(
    dz: &mut [f32],
    normalised: &[f32],
    grad_gamma: &[f32],
    grad_beta: &[f32],
    gamma: &[f32],
    inverse: &[f32],
) {
    let channels = gamma.len();
    let count = (dz.len() / channels) as f32;
    let (grad_gamma, grad_beta, inverse) = (&grad_gamma[..channels], &grad_beta[..channels], &inverse[..channels]);
    for (dz, n) in dz.chunks_exact_mut(channels).zip(normalised.chunks_exact(channels)) {
        for c in 0..channels {
            dz[c] = gamma[c] * inverse[c] * (dz[c] - (grad_beta[c] + n[c] * grad_gamma[c]) / count);
        }
    }
}
