//! An LSTM layer, for one step or for several whose inputs are known.

use multiversion::multiversion;

use super::cuda::LayerWeights;
use super::matrix::PackedMatrix;
use crate::math;
use crate::weights_file::Weights;

/// An LSTM layer.
pub(super) struct Lstm {
    matrix: PackedMatrix, // (inputs + units, 4 * units)
    /// The width of its input.
    pub inputs: usize,
    /// The width of its output.
    pub units: usize,
}

impl Lstm {
    /// Packs layer `n` from the tensors whose names start with `prefix`.
    pub fn new(weights: &Weights, prefix: &str, n: usize, inputs: usize, units: usize) -> Self {
        let part = |part: &str| weights.tensor(&format!("{prefix}lstm.{n}.{part}"));
        let both = [part("w_ih"), part("w_hh")].concat();
        Self { matrix: PackedMatrix::new(&both, part("bias"), inputs + units), inputs, units }
    }

    /// The length of the hidden and the cell vector together.
    pub fn state_len(&self) -> usize {
        2 * self.units
    }

    /// The weights, for a GPU.
    pub fn weights(&self, residual: bool) -> LayerWeights {
        let (matrix, bias) = (self.matrix.unpacked(), self.matrix.bias().to_vec());
        LayerWeights { inputs: self.inputs, units: self.units, residual, matrix, bias }
    }

    /// Runs `count` steps. The front of `x`, (count, inputs), becomes the outputs, (count, units): the hidden vectors,
    /// and in a residual layer, which is as wide as its input, the input is added to them. `state` is the hidden and
    /// the cell vector; `gates` is scratch space of (count, 4 * units).
    ///
    /// The products of all inputs come first, in which each weight is read once for several steps. The order of each
    /// sum stays the same, so the outputs are those of `count` single steps, to the bit.
    pub fn run(&self, count: usize, residual: bool, state: &mut [f32], x: &mut [f32], gates: &mut [f32]) {
        let Self { matrix, inputs, units } = self;
        let (h, c) = state.split_at_mut(*units);
        if count > 1 {
            matrix.begin(count, gates);
            matrix.add(0, *inputs, &x[..count * inputs], gates);
        }
        for (n, gates) in gates[..count * 4 * units].chunks_exact_mut(4 * units).enumerate() {
            if count > 1 {
                matrix.add(*inputs, *units, h, gates);
            } else {
                matrix.multiply_parts([&x[..*inputs], h], gates);
            }
            update_cell(gates, c, h);
            let out = &mut x[n * units..(n + 1) * units];
            if residual {
                out.iter_mut().zip(&*h).for_each(|(x, h)| *x += h);
            } else {
                out.copy_from_slice(h);
            }
        }
    }
}

/// Updates an LSTM's cell state `c` and hidden state `h`, both (units), from `gates`, (4 * units) in the order input,
/// forget, cell, output.
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
