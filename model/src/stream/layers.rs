//! Convolutions, LSTM and dense layers in sequence.

use super::Scratch;
use super::lstm::Lstm;
use super::matrix::PackedMatrix;
use crate::config::{Convolution, NORM_EPSILON};
use crate::weights_file::Weights;

/// Layers in sequence.
pub(super) struct Layers {
    layers: Vec<Layer>,
    /// The width of the output.
    width: usize,
    /// The width of the widest vector between layers.
    pub(super) widest: usize,
    /// The length of the recurrent state.
    pub(super) state_len: usize,
}

enum Layer {
    Convolution {
        matrix: PackedMatrix, // (kernel * inputs, channels)
        inputs: usize,
        kernel: usize,
        dilation: usize,
        /// The offset of its history in the state: a ring buffer of `(kernel - 1) * dilation` input vectors.
        history: usize,
    },
    Lstm {
        lstm: Lstm,
        /// The offset of its state.
        hidden: usize,
    },
    Dense {
        matrix: PackedMatrix, // (inputs, outputs)
        relu: bool,
    },
}

impl Layers {
    /// No layers yet, for an input of `width`.
    pub(super) fn new(width: usize) -> Self {
        Self { layers: Vec::new(), width, widest: width, state_len: 0 }
    }

    /// Appends convolutions, with batch normalisation folded in and ReLU.
    pub(super) fn convolutions(mut self, weights: &Weights, convolutions: &[Convolution]) -> Self {
        for (i, conv) in convolutions.iter().enumerate() {
            let (matrix, bias) = folded_convolution(weights, i, conv.channels);
            let rows = conv.kernel * self.width;
            self.layers.push(Layer::Convolution {
                matrix: PackedMatrix::new(&matrix, &bias, rows),
                inputs: self.width,
                kernel: conv.kernel,
                dilation: conv.dilation,
                history: self.state_len,
            });
            self.state_len += (conv.kernel - 1) * conv.dilation * self.width;
            self.widest = self.widest.max(rows).max(conv.channels);
            self.width = conv.channels;
        }
        self
    }

    /// Appends LSTM layers.
    pub(super) fn lstm(mut self, weights: &Weights, sizes: &[usize]) -> Self {
        for (n, &units) in sizes.iter().enumerate() {
            let lstm = Lstm::new(weights, "", n, self.width, units);
            let hidden = self.state_len;
            self.state_len += lstm.state_len();
            self.widest = self.widest.max(4 * units);
            self.width = units;
            self.layers.push(Layer::Lstm { lstm, hidden });
        }
        self
    }

    /// Appends dense layers with ReLU and a last one for the logits.
    pub(super) fn dense(mut self, weights: &Weights, sizes: &[usize], vocab_size: usize) -> Self {
        for (i, &units) in sizes.iter().chain([&vocab_size]).enumerate() {
            let part = |part: &str| weights.tensor(&format!("dense.{i}.{part}"));
            let matrix = PackedMatrix::new(part("weight"), part("bias"), self.width);
            self.layers.push(Layer::Dense { matrix, relu: i < sizes.len() });
            self.widest = self.widest.max(units);
            self.width = units;
        }
        self
    }

    /// Runs all layers on `count` tokens, whose inputs are at the front of `scratch.x`, (count, width), and writes the
    /// output of the last token to the front of `scratch.x`. `values` is the recurrent state; `tokens` came before.
    pub(super) fn run(&self, count: usize, mut width: usize, values: &mut [f32], tokens: usize, scratch: &mut Scratch) {
        let Scratch { x, y, .. } = scratch;
        let mut count = count;
        for layer in &self.layers {
            match layer {
                Layer::Convolution { matrix, inputs, kernel, dilation, history } => {
                    let taps = kernel - 1;
                    let ring = &mut values[*history..*history + taps * dilation * inputs];
                    let tokens_in = x.chunks_exact(*inputs).zip(y.chunks_exact_mut(kernel * inputs));
                    for (n, (x, y)) in tokens_in.take(count).enumerate() {
                        gather_taps(x, y, ring, *inputs, *dilation, taps, tokens + n);
                    }
                    matrix.begin(count, x);
                    matrix.add(0, kernel * inputs, &y[..count * kernel * inputs], x);
                    width = matrix.outputs();
                    rectify(&mut x[..count * width]);
                }
                Layer::Lstm { lstm, hidden } => {
                    lstm.run(count, false, &mut values[*hidden..*hidden + lstm.state_len()], x, y);
                    width = lstm.units;
                }
                Layer::Dense { matrix, relu } => {
                    // Only the last token's output is of use.
                    x.copy_within((count - 1) * width..count * width, 0);
                    count = 1;
                    matrix.multiply(&x[..width], y);
                    width = matrix.outputs();
                    x[..width].copy_from_slice(&y[..width]);
                    if *relu {
                        rectify(&mut x[..width]);
                    }
                }
            }
        }
    }
}

fn rectify(x: &mut [f32]) {
    x.iter_mut().for_each(|x| *x = x.max(0.0));
}

/// The weights and bias of convolution `i`, with batch normalisation folded in.
fn folded_convolution(weights: &Weights, i: usize, channels: usize) -> (Vec<f32>, Vec<f32>) {
    let part = |part: &str| weights.tensor(&format!("conv.{i}.{part}"));
    let scale: Vec<f32> = part("norm.gamma")
        .iter()
        .zip(part("norm.var"))
        .map(|(gamma, var)| gamma / (var + NORM_EPSILON as f32).sqrt())
        .collect();
    let matrix = part("weight").iter().enumerate().map(|(n, w)| w * scale[n % channels]).collect();
    let bias =
        (0..channels).map(|n| (part("bias")[n] - part("norm.mean")[n]) * scale[n] + part("norm.beta")[n]).collect();
    (matrix, bias)
}

/// Writes the inputs of a convolution's taps side by side to `y`, oldest first, and then stores `x` in the ring buffer.
/// The ring buffer has `taps * dilation` slots; the slot of a token is its index modulo that number.
fn gather_taps(
    x: &[f32],
    y: &mut [f32],
    ring: &mut [f32],
    inputs: usize,
    dilation: usize,
    taps: usize,
    token_idx: usize,
) {
    let slots = taps * dilation;
    for tap in 0..taps {
        let back = (taps - tap) * dilation;
        // Slots without a token hold zeros, the padding that training uses.
        let slot = (token_idx + slots - back) % slots;
        y[tap * inputs..(tap + 1) * inputs].copy_from_slice(&ring[slot * inputs..(slot + 1) * inputs]);
    }
    y[taps * inputs..(taps + 1) * inputs].copy_from_slice(&x[..inputs]);
    if slots > 0 {
        let slot = token_idx % slots;
        ring[slot * inputs..(slot + 1) * inputs].copy_from_slice(&x[..inputs]);
    }
}
