//! Embedding tables in 16-bit floats, as weights files keep them.

use half::f16;
use half::slice::HalfFloatSliceExt;

use crate::tokeniser::step_reader::NO_ROW;

/// A table of vectors to look up, (rows, width).
pub(super) struct Table {
    rows: Vec<f16>,
    width: usize,
}

impl Table {
    /// Packs `rows`, one after the other.
    pub fn new(rows: &[f32], width: usize) -> Self {
        Self { rows: rows.iter().map(|&x| f16::from_f32(x)).collect(), width }
    }

    /// The length of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Writes row `n` to `out`, (width).
    pub fn look_up(&self, n: usize, out: &mut [f32]) {
        self.rows[n * self.width..(n + 1) * self.width].convert_to_f32_slice(out);
    }

    /// Adds `rows` to `sum`, (width); `room` is room of that width.
    pub fn add_up(&self, rows: &[u32], sum: &mut [f32], room: &mut [f32]) {
        for &n in rows.iter().filter(|&&n| n != NO_ROW) {
            self.look_up(n as usize, room);
            sum.iter_mut().zip(&*room).for_each(|(sum, x)| *sum += x);
        }
    }
}
