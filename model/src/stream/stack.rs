//! A stack, one token at a time.

use super::matrix::PackedMatrix;
use super::{MAX_SLOTS, Scratch, row, update_cell};
use crate::network::NORM_EPSILON;
use crate::network::config::StackConfig;
use crate::tokeniser::grid::CellReader;
use crate::weights_file::Weights;

/// A stack ready to play.
pub(super) struct StreamingStack {
    config: StackConfig,
    layers: Vec<Layer>,
    /// Widest vector between two layers.
    pub(super) widest: usize,
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

impl StreamingStack {
    pub(super) fn new(weights: &Weights, config: &StackConfig) -> Result<Self, String> {
        if config.feature_slots() > MAX_SLOTS {
            return Err(format!("expected at most {MAX_SLOTS} feature slots, got {}", config.feature_slots()));
        }
        let mut layers = Vec::new();
        let mut width = config.input_width();
        let mut widest = width.max(config.vocab_size);
        let mut state_len = 0;
        for (i, conv) in config.convolutions.iter().enumerate() {
            let (matrix, bias) = folded_convolution(weights, i, conv.channels);
            let rows = conv.kernel * width;
            let history_len = (conv.kernel - 1) * conv.dilation * width;
            layers.push(Layer::Convolution {
                matrix: PackedMatrix::new(&matrix, &bias, rows),
                inputs: width,
                kernel: conv.kernel,
                dilation: conv.dilation,
                history: state_len,
            });
            state_len += history_len;
            widest = widest.max(rows).max(conv.channels);
            width = conv.channels;
        }
        for (i, &units) in config.lstm.iter().enumerate() {
            let part = |part: &str| weights.tensor(&format!("lstm.{i}.{part}"));
            let both = [part("w_ih"), part("w_hh")].concat();
            layers.push(Layer::Lstm {
                matrix: PackedMatrix::new(&both, part("bias"), width + units),
                inputs: width,
                units,
                hidden: state_len,
            });
            state_len += 2 * units;
            widest = widest.max(width + units).max(4 * units);
            width = units;
        }
        for (i, &units) in config.dense.iter().chain([&config.vocab_size]).enumerate() {
            let part = |part: &str| weights.tensor(&format!("dense.{i}.{part}"));
            layers.push(Layer::Dense {
                matrix: PackedMatrix::new(part("weight"), part("bias"), width),
                relu: i < config.dense.len(),
            });
            widest = widest.max(units);
            width = units;
        }
        Ok(Self { config: config.clone(), layers, widest, state_len })
    }

    /// Advances by one cell; the logits of its token are at the front of `scratch.x`.
    pub(super) fn step(
        &self,
        weights: &Weights,
        reader: &CellReader,
        values: &mut [f32],
        tokens_fed: usize,
        scratch: &mut Scratch,
    ) {
        let mut width = self.embed(weights, reader, &mut scratch.x);
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
                    std::mem::swap(x, y);
                    matrix.outputs()
                }
            };
        }
    }

    /// Writes the embedding of what is known to the front of `x`, and returns its width.
    fn embed(&self, weights: &Weights, reader: &CellReader, x: &mut [f32]) -> usize {
        let mut at = self.config.embedding;
        match reader.previous() {
            None => x[..at].fill(0.0),
            Some(token) => x[..at].copy_from_slice(row(weights.tensor("embedding.weight"), token.into(), at)),
        }
        let features = &self.config.features;
        let mut rows = [0; MAX_SLOTS];
        reader.feature_rows(features, &mut rows);
        let mut rows = rows.iter();
        for feature in features {
            let table = weights.tensor(feature.kind.tensor_name());
            for &n in rows.by_ref().take(feature.kind.slots()) {
                x[at..at + feature.width].copy_from_slice(row(table, n as usize, feature.width));
                at += feature.width;
            }
        }
        at
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
