//! The network one token at a time, with its state kept: what plays. Allocates only when it is built.
//!
//! Batch normalisation is folded into the convolutions, all gates of an LSTM are one matrix-vector product, and
//! weights are kept in 16-bit floats, which halves the memory that every step has to read.

mod matrix;

use multiversion::multiversion;

use crate::math;
use crate::network::NORM_EPSILON;
use crate::tokeniser::grid::CellReader;
use crate::weights_file::Weights;
use matrix::PackedMatrix;

/// Numbers looked up for one cell at the most; more features than that are refused.
const MAX_FEATURE_SLOTS: usize = 32;

/// A network ready to play. It does not change; what does is in [`State`].
pub struct StreamingNetwork {
    weights: Weights,
    embedding: usize,
    layers: Vec<Layer>,
    /// Widest vector between two layers.
    widest: usize,
    state_len: usize,
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

/// All that a network remembers between two tokens, and the reader that goes with it.
///
/// Copying one onto another of the same network ([`State::copy_from`]) is how a performance goes back to an
/// earlier step.
#[derive(Clone, Debug)]
pub struct State {
    /// What is known of the cell that comes next.
    pub reader: CellReader,
    values: Vec<f32>,
    tokens_fed: usize,
}

impl State {
    /// Makes this state the same as `other`, a state of the same network. Does not allocate.
    pub fn copy_from(&mut self, other: &Self) {
        self.reader = other.reader;
        self.values.copy_from_slice(&other.values);
        self.tokens_fed = other.tokens_fed;
    }

    /// Back to the start of a piece.
    pub fn reset(&mut self) {
        self.reader = CellReader::new();
        self.values.fill(0.0);
        self.tokens_fed = 0;
    }
}

/// Room for the vectors between layers.
#[derive(Clone, Debug)]
pub struct Scratch {
    x: Vec<f32>,
    y: Vec<f32>,
}

impl StreamingNetwork {
    /// Packs checked weights.
    ///
    /// # Errors
    /// If the network has more feature slots than a stream carries.
    pub fn new(weights: Weights) -> Result<Self, String> {
        let config = &weights.description.config;
        if config.feature_slots() > MAX_FEATURE_SLOTS {
            return Err(format!("expected at most {MAX_FEATURE_SLOTS} feature slots, got {}", config.feature_slots()));
        }
        let mut layers = Vec::new();
        let mut width = config.input_width();
        let mut widest = width.max(config.vocab_size);
        let mut state_len = 0;
        for (i, conv) in config.convolutions.iter().enumerate() {
            let (matrix, bias) = folded_convolution(&weights, i, conv.channels);
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
        Ok(Self { embedding: config.embedding, layers, widest, state_len, weights })
    }

    /// The weights that it was made of.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// A state at the start of a piece.
    pub fn state(&self) -> State {
        State { reader: CellReader::new(), values: vec![0.0; self.state_len], tokens_fed: 0 }
    }

    /// Room to work in.
    pub fn scratch(&self) -> Scratch {
        Scratch { x: vec![0.0; self.widest], y: vec![0.0; self.widest] }
    }

    /// Advances the network by one cell and returns the logits of that cell's token, (vocab_size). The token
    /// that is then drawn or given goes to [`CellReader::feed`] of the state's reader.
    pub fn step<'a>(&self, state: &mut State, scratch: &'a mut Scratch) -> &'a mut [f32] {
        let mut width = self.embed(&state.reader, &mut scratch.x);
        for layer in &self.layers {
            let Scratch { x, y } = scratch;
            width = match layer {
                Layer::Convolution { matrix, inputs, kernel, dilation, history } => {
                    let taps = kernel - 1;
                    let ring = &mut state.values[*history..*history + taps * dilation * inputs];
                    gather_taps(x, y, ring, *inputs, *dilation, taps, state.tokens_fed);
                    matrix.multiply(&y[..kernel * inputs], x);
                    x[..matrix.outputs()].iter_mut().for_each(|v| *v = v.max(0.0));
                    matrix.outputs()
                }
                Layer::Lstm { matrix, inputs, units, hidden } => {
                    let (h, c) = state.values[*hidden..*hidden + 2 * units].split_at_mut(*units);
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
        state.tokens_fed += 1;
        &mut scratch.x[..width]
    }

    /// Writes the embedding of what is known to the front of `x`, and returns its width.
    fn embed(&self, reader: &CellReader, x: &mut [f32]) -> usize {
        let mut at = self.embedding;
        match reader.previous() {
            None => x[..at].fill(0.0),
            Some(token) => x[..at].copy_from_slice(row(self.weights.tensor("embedding.weight"), token.into(), at)),
        }
        let features = &self.weights.description.config.features;
        let mut rows = [0; MAX_FEATURE_SLOTS];
        reader.feature_rows(features, &mut rows);
        let mut rows = rows.iter();
        for feature in features {
            let table = self.weights.tensor(feature.kind.tensor_name());
            for &n in rows.by_ref().take(feature.kind.slots()) {
                x[at..at + feature.width].copy_from_slice(row(table, n as usize, feature.width));
                at += feature.width;
            }
        }
        at
    }
}

fn row(table: &[f32], row: usize, width: usize) -> &[f32] {
    &table[row * width..(row + 1) * width]
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

/// Gates in the order input, forget, cell, output, each of `c.len()`; updates the cell and hidden vectors.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn update_cell(gates: &mut [f32], c: &mut [f32], h: &mut [f32]) {
    let units = c.len();
    let (i, rest) = gates.split_at_mut(units);
    let (f, rest) = rest.split_at_mut(units);
    let (g, o) = rest.split_at_mut(units);
    for u in 0..units {
        c[u] = math::sigmoid(f[u]) * c[u] + math::sigmoid(i[u]) * math::tanh(g[u]);
    }
    for u in 0..units {
        h[u] = math::sigmoid(o[u]) * math::tanh(c[u]);
    }
}

#[cfg(test)]
mod tests;
