//! Layers that several kinds of network share, for one token at a time.

use super::matrix::PackedMatrix;
use super::{Scratch, update_cell};
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
        matrix: PackedMatrix, // (inputs + units, 4 * units)
        inputs: usize,
        units: usize,
        /// The offset of its hidden and cell vectors in the state.
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
        for (i, &units) in sizes.iter().enumerate() {
            let part = |part: &str| weights.tensor(&format!("lstm.{i}.{part}"));
            let both = [part("w_ih"), part("w_hh")].concat();
            self.layers.push(Layer::Lstm {
                matrix: PackedMatrix::new(&both, part("bias"), self.width + units),
                inputs: self.width,
                units,
                hidden: self.state_len,
            });
            self.state_len += 2 * units;
            self.widest = self.widest.max(self.width + units).max(4 * units);
            self.width = units;
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

    /// Runs all layers on the first `width` numbers of `scratch.x`, and writes the output to its front. `values` is the
    /// recurrent state.
    pub(super) fn run(&self, mut width: usize, values: &mut [f32], token_idx: usize, scratch: &mut Scratch) {
        for layer in &self.layers {
            let Scratch { x, y, .. } = scratch;
            width = match layer {
                Layer::Convolution { matrix, inputs, kernel, dilation, history } => {
                    let taps = kernel - 1;
                    let ring = &mut values[*history..*history + taps * dilation * inputs];
                    gather_taps(x, y, ring, *inputs, *dilation, taps, token_idx);
                    matrix.multiply(&y[..kernel * inputs], x);
                    x[..matrix.outputs()].iter_mut().for_each(|v| *v = v.max(0.0));
                    matrix.outputs()
                }
                Layer::Lstm { matrix, inputs, units, hidden } => {
                    let (h, c) = values[*hidden..*hidden + 2 * units].split_at_mut(*units);
                    x[*inputs..inputs + units].copy_from_slice(h);
                    matrix.multiply(&x[..inputs + units], y);
                    update_cell(&mut y[..4 * units], c, h);
                    x[..*units].copy_from_slice(h);
                    *units
                }
                Layer::Dense { matrix, relu } => {
                    matrix.multiply(&x[..width], y);
                    if *relu {
                        y[..matrix.outputs()].iter_mut().for_each(|v| *v = v.max(0.0));
                    }
                    x[..matrix.outputs()].copy_from_slice(&y[..matrix.outputs()]);
                    matrix.outputs()
                }
            };
        }
    }
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
