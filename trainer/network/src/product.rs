//! Matrix products on plain slices, for the operations that bring their own gradients.

use candle_core::{CpuStorage, Layout, Result, Storage, Tensor, bail};
use gemm::Parallelism;

/// A matrix in a slice, with its strides in elements.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: isize,
    col_stride: isize,
}

impl<'a> Matrix<'a> {
    /// The first `rows * cols` numbers of `data`, row by row.
    pub fn rows(data: &'a [f32], rows: usize, cols: usize) -> Self {
        assert!(data.len() >= rows * cols);
        Self { data, rows, cols, row_stride: cols as isize, col_stride: 1 }
    }

    /// The same numbers, columns for rows.
    pub fn transposed(self) -> Self {
        Self { rows: self.cols, cols: self.rows, row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }
}

/// What happens to the numbers that are in the output already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// They are overwritten.
    Overwrite,
    /// The product is added to them.
    Add,
}

/// Writes or adds `a * b`, (a.rows, b.cols), to the front of `out`.
pub fn multiply(a: Matrix, b: Matrix, out: &mut [f32], output: Output) {
    assert_eq!(a.cols, b.rows);
    assert!(out.len() >= a.rows * b.cols);
    let threads = rayon_threads();
    let work = a.rows * a.cols * b.cols;
    let parallelism = if threads > 1 && work > 1 << 22 { Parallelism::Rayon(threads) } else { Parallelism::None };
    // SAFETY: `Matrix::rows` and the assertions above have checked that every element that these sizes and
    // strides reach lies inside its slice, and `out` is borrowed mutably, so nothing overlaps it.
    unsafe {
        gemm::gemm(
            a.rows,
            b.cols,
            a.cols,
            out.as_mut_ptr(),
            1,
            b.cols as isize,
            output == Output::Add,
            a.data.as_ptr(),
            a.col_stride,
            a.row_stride,
            b.data.as_ptr(),
            b.col_stride,
            b.row_stride,
            1.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

fn rayon_threads() -> usize {
    static THREADS: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    *THREADS.get_or_init(candle_core::utils::get_num_threads)
}

/// The numbers of a tensor that an operation was handed, which must lie in a row.
pub fn contiguous<'a>(op: &str, storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!("{op}: expected a contiguous tensor, got strides {:?}", layout.stride()),
    }
}

/// Hands on a CPU tensor's numbers, row by row, without a copy where they lie in a row.
pub fn with_numbers<T>(tensor: &Tensor, work: impl FnOnce(&[f32]) -> Result<T>) -> Result<T> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => work(contiguous("numbers", storage, layout)?),
        _ => bail!("numbers: expected a tensor on the CPU"),
    }
}

/// A tensor's numbers, row by row.
pub fn flat(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}
