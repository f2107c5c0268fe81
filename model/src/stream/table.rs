//! Embedding tables in 16-bit floats, as weights files store them.

use half::f16;
use half::slice::HalfFloatSliceExt;

use crate::tokeniser::step_reader::NO_INDEX;

/// An embedding table, (rows, width).
pub(super) struct Table {
    values: Vec<f16>,
    width: usize,
}

impl Table {
    /// Packs `values`, which are in row-major order.
    pub fn new(values: &[f32], width: usize) -> Self {
        Self { values: values.iter().map(|&x| f16::from_f32(x)).collect(), width }
    }

    /// The length of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Writes table row `n` to `out`, (width).
    pub fn look_up(&self, n: usize, out: &mut [f32]) {
        self.values[n * self.width..(n + 1) * self.width].convert_to_f32_slice(out);
    }

    /// Writes the sum of the table rows at `indices` to `out`, (width). `scratch` has the same length.
    pub fn sum(&self, indices: &[u32], out: &mut [f32], scratch: &mut [f32]) {
        out.fill(0.0);
        self.add(indices, out, scratch);
    }

    /// Adds the table rows at `indices` to `sum`, (width). `scratch` has the same length.
    pub fn add(&self, indices: &[u32], sum: &mut [f32], scratch: &mut [f32]) {
        for &n in indices.iter().filter(|&&n| n != NO_INDEX) {
            self.look_up(n as usize, scratch);
            sum.iter_mut().zip(&*scratch).for_each(|(sum, x)| *sum += x);
        }
    }
}
