//! Predicts several tokens from one output of a trunk: embeddings and residual dense layers.

use super::matrix::PackedMatrix;
use super::table::Table;
use crate::weights_file::Weights;

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
        self.table.add(indices, z);
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
