//! Layers that several kinds of network have, one cell at a time.

use super::matrix::PackedMatrix;
use super::{Scratch, update_cell};
use crate::config::Convolution;
use crate::config::NORM_EPSILON;
use crate::weights_file::Weights;

/// Layers that follow each other.
pub(super) struct Layers {
    layers: Vec<Layer>,
    /// Of the vector that comes out.
    width: usize,
    /// Widest vector between two layers.
    pub(super) widest: usize,
    /// Numbers that they remember.
    pub(super) state_len: usize,
}

enum Layer {
    Convolution {
        matrix: PackedMatrix, // (kernel * inputs, channels)
        inputs: usize,
        kernel: usize,
        dilation: usize,
        /// Where its history lies in the state: `(kernel - 1) * dilation` input vectors, a ring.
        history: usize,
    },
    Lstm {
        matrix: PackedMatrix, // (inputs + units, 4 * units)
        inputs: usize,
        units: usize,
        /// Where its hidden and cell vectors lie in the state.
        hidden: usize,
    },
    Dense {
        matrix: PackedMatrix, // (inputs, outputs)
        relu: bool,
    },
}

impl Layers {
    /// None yet; what goes in is `width` wide.
    pub(super) fn new(width: usize) -> Self {
        Self { layers: Vec::new(), width, widest: width, state_len: 0 }
    }

    /// Adds convolutions, with their normalisation folded in.
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

    /// Adds LSTM layers.
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

    /// Adds dense layers with ReLU, and the last one, which says the logits.
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

    /// Takes what lies at the front of `scratch.x` through all layers; what comes out lies there too.
    pub(super) fn run(&self, mut width: usize, values: &mut [f32], tokens_fed: usize, scratch: &mut Scratch) {
        for layer in &self.layers {
            let Scratch { x, y, .. } = scratch;
            width = match layer {
                Layer::Convolution { matrix, inputs, kernel, dilation, history } => {
                    let taps = kernel - 1;
                    let ring = &mut values[*history..*history + taps * dilation * inputs];
                    gather_taps(x, y, ring, *inputs, *dilation, taps, tokens_fed);
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

/// A convolution's weights and bias with its batch normalisation multiplied in.
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

/// Lays the taps of a convolution side by side in `y`, oldest first, and puts `x` into the ring. The ring has
/// `taps * dilation` places; a token's place is its number modulo that.
fn gather_taps(
    x: &[f32],
    y: &mut [f32],
    ring: &mut [f32],
    inputs: usize,
    dilation: usize,
    taps: usize,
    token_idx: usize,
) {
    let places = taps * dilation;
    for tap in 0..taps {
        let back = (taps - tap) * dilation;
        // Before the first token the ring holds the zeros that training pads with.
        let place = (token_idx + places - back) % places;
        y[tap * inputs..(tap + 1) * inputs].copy_from_slice(&ring[place * inputs..(place + 1) * inputs]);
    }
    y[taps * inputs..(taps + 1) * inputs].copy_from_slice(&x[..inputs]);
    if places > 0 {
        let place = token_idx % places;
        ring[place * inputs..(place + 1) * inputs].copy_from_slice(&x[..inputs]);
    }
}
