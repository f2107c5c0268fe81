//! Embedding tables in 16-bit floats, as weights files store them.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::kernel::{self, Kernel};
use crate::tokeniser::step_reader::NO_INDEX;

/// An embedding table, (rows, width).
pub(super) struct Table {
    /// Which this processor has.
    kernel: Kernel,
    values: Vec<f16>,
    width: usize,
}

impl Table {
    /// Packs `values`, which are in row-major order.
    pub fn new(values: &[f32], width: usize) -> Self {
        Self { kernel: Kernel::chosen(), values: values.iter().map(|&x| f16::from_f32(x)).collect(), width }
    }

    /// The length of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All rows, in order.
    pub fn rows(&self) -> &[f16] {
        &self.values
    }

    /// Writes table row `n` to `out`, (width).
    pub fn look_up(&self, n: usize, out: &mut [f32]) {
        self.values[n * self.width..(n + 1) * self.width].convert_to_f32_slice(out);
    }

    /// Writes the sum of the table rows at `indices` to `out`, (width).
    pub fn sum(&self, indices: &[u32], out: &mut [f32]) {
        out.fill(0.0);
        self.add(indices, out);
    }

    /// Adds the table rows at `indices` to `sums`, (width), one after the other.
    pub fn add(&self, indices: &[u32], sums: &mut [f32]) {
        for n in indices.iter().filter(|n| **n != NO_INDEX).map(|n| *n as usize) {
            // SAFETY: `Kernel::chosen` is one that this processor has.
            unsafe { kernel::add_row(self.kernel, &self.values[n * self.width..(n + 1) * self.width], sums) };
        }
    }
}
