//! The two halves of networks that predict several tokens from one state: a trunk of residual LSTM layers, and a head
//! of residual dense layers.

use super::matrix::PackedMatrix;
use super::table::Table;
use super::update_cell;
use crate::weights_file::Weights;

/// Sums of embeddings, then LSTM layers. A layer as wide as its input is residual.
pub(super) struct Trunk {
    table: Table,
    lstm: Vec<(PackedMatrix, usize)>, // (inputs + units, 4 * units), units
    /// The width of the widest vector between layers.
    pub widest: usize,
    /// The length of the recurrent state.
    pub state_len: usize,
    /// The width of the output.
    pub width: usize,
}

impl Trunk {
    /// Packs the tensors whose names start with `prefix`.
    pub fn new(weights: &Weights, prefix: &str, embedding: usize, sizes: &[usize]) -> Self {
        let tensor = |name: &str| weights.tensor(&format!("{prefix}{name}"));
        let (mut width, mut widest, mut lstm) = (embedding, embedding, Vec::new());
        for (i, &units) in sizes.iter().enumerate() {
            let part = |part: &str| tensor(&format!("lstm.{i}.{part}"));
            let both = [part("w_ih"), part("w_hh")].concat();
            lstm.push((PackedMatrix::new(&both, part("bias"), width + units), units));
            widest = widest.max(width + units).max(4 * units);
            width = units;
        }
        let table = Table::new(tensor("trunk.table"), embedding);
        Self { table, lstm, widest, state_len: 2 * sizes.iter().sum::<usize>(), width }
    }

    /// Runs the trunk on these table rows and writes its output to the front of `x`. `values` is the recurrent state,
    /// `y` scratch space.
    pub fn run(&self, indices: &[u32], mut values: &mut [f32], x: &mut [f32], y: &mut [f32]) {
        let mut width = self.table.width();
        x[..width].fill(0.0);
        self.table.add_up(indices, &mut x[..width], &mut y[..width]);
        for (matrix, units) in &self.lstm {
            let units = *units;
            let (h, rest) = values.split_at_mut(units);
            let (c, rest) = rest.split_at_mut(units);
            values = rest;
            x[width..width + units].copy_from_slice(h);
            matrix.multiply(&x[..width + units], y);
            update_cell(&mut y[..4 * units], c, h);
            if width == units {
                x.iter_mut().zip(&*h).for_each(|(x, h)| *x += h);
            } else {
                x[..units].copy_from_slice(h);
            }
            width = units;
        }
    }
}

/// The sum of the trunk's output and of embeddings, then residual layers.
pub(super) struct Head {
    trunk: PackedMatrix, // (units, head)
    table: Table,
    layers: Vec<PackedMatrix>, // (head, head)
}

impl Head {
    /// Packs the tensors whose names start with `prefix`, for a trunk of `trunk_width`.
    pub fn new(weights: &Weights, prefix: &str, trunk_width: usize, width: usize, layers: usize) -> Self {
        let tensor = |name: &str| weights.tensor(&format!("{prefix}{name}"));
        let layer = |i: usize| {
            let part = |part: &str| tensor(&format!("head.{i}.{part}"));
            PackedMatrix::new(part("weight"), part("bias"), width)
        };
        Self {
            trunk: PackedMatrix::new(tensor("head.trunk"), &vec![0.0; width], trunk_width),
            table: Table::new(tensor("head.table"), width),
            layers: (0..layers).map(layer).collect(),
        }
    }

    /// The width of its vectors.
    pub fn width(&self) -> usize {
        self.table.width()
    }

    /// Writes what the head sees of the trunk's output, at the front of `x`, to `seen`, (head).
    pub fn see(&self, x: &[f32], seen: &mut [f32]) {
        self.trunk.multiply(x, seen);
    }

    /// Runs the head on these table rows and writes the input of the output layer, (head), to the front of `x`. `seen`
    /// is what [`Self::see`] wrote, `y` scratch space.
    pub fn run(&self, indices: &[u32], seen: &[f32], x: &mut [f32], y: &mut [f32]) {
        let width = self.width();
        // The residual stream z and the output of a layer share y; x holds the input of a layer.
        let (z, room) = y.split_at_mut(width);
        z.copy_from_slice(seen);
        self.table.add_up(indices, z, &mut x[..width]);
        for layer in &self.layers {
            rectify(z, x);
            layer.multiply(&x[..width], room);
            z.iter_mut().zip(&*room).for_each(|(z, y)| *z += y);
        }
        rectify(z, x);
    }
}

/// Writes ReLU of `z` to the front of `out`.
fn rectify(z: &[f32], out: &mut [f32]) {
    out.iter_mut().zip(z).for_each(|(out, &z)| *out = z.max(0.0));
}
