//! Sums of embeddings (bags) as one differentiable operation on the CPU.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor};
use continuo_model::tokeniser::step_reader::NO_INDEX;
use multiversion::multiversion;

use super::product::{contiguous, flat};

/// Sums of rows of `table`, (rows, width). `indices`, (bags * slots), are row numbers; [`NO_INDEX`] adds nothing.
/// Returns (bags, width).
///
/// # Errors
/// If `table` is not a matrix of 32-bit floats.
pub(crate) fn bag(table: &Tensor, indices: &Arc<[u32]>, slots: usize) -> Result<Tensor> {
    if table.device().is_cpu() {
        table.contiguous()?.apply_op1(Bag { indices: indices.clone(), slots })
    } else {
        bag_plainly(table, indices, slots)
    }
}

/// The same in candle's own operations: for other devices, and as reference for tests.
pub(crate) fn bag_plainly(table: &Tensor, indices: &[u32], slots: usize) -> Result<Tensor> {
    let (rows, width) = table.dims2()?;
    let table = Tensor::cat(&[table, &Tensor::zeros((1, width), DType::F32, table.device())?], 0)?;
    let indices: Vec<u32> = indices.iter().map(|&row| row.min(rows as u32)).collect();
    let bags = indices.len() / slots;
    let indices = Tensor::from_vec(indices, bags * slots, table.device())?;
    table.index_select(&indices, 0)?.reshape((bags, slots, width))?.sum(1)
}

struct Bag {
    indices: Arc<[u32]>,
    slots: usize,
}

impl CustomOp1 for Bag {
    fn name(&self) -> &'static str {
        "bag"
    }

    fn cpu_fwd(&self, table: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, width) = layout.shape().dims2()?;
        let table = contiguous(self.name(), table, layout)?;
        let bags = self.indices.len() / self.slots;
        let mut out = vec![0.0; bags * width];
        for (indices, out) in self.indices.chunks_exact(self.slots).zip(out.chunks_exact_mut(width)) {
            for row in indices.iter().map(|&row| row as usize).filter(|&row| row < rows) {
                add(out, &table[row * width..(row + 1) * width]);
            }
        }
        Ok((CpuStorage::F32(out), (bags, width).into()))
    }

    fn bwd(&self, table: &Tensor, _out: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (rows, width) = table.dims2()?;
        let grad = flat(grad)?;
        let mut grad_table = vec![0.0; rows * width];
        for (indices, grad) in self.indices.chunks_exact(self.slots).zip(grad.chunks_exact(width)) {
            for row in indices.iter().map(|&row| row as usize).filter(|&row| row < rows) {
                add(&mut grad_table[row * width..(row + 1) * width], grad);
            }
        }
        Ok(Some(Tensor::from_vec(grad_table, (rows, width), table.device())?))
    }
}

const _: () = assert!(NO_INDEX == u32::MAX, "NO_INDEX must be past the end of every table");

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn add(sum: &mut [f32], row: &[f32]) {
    sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
}
