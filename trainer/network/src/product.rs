//! Matrix products on slices, for the operations with custom gradients.

use candle_core::{CpuStorage, Layout, Result, Storage, Tensor, bail};
use gemm::Parallelism;

/// A matrix in a slice, with strides in elements.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: isize,
    col_stride: isize,
}

impl<'a> Matrix<'a> {
    /// A matrix of the first `rows * cols` numbers of `data`, in row-major order.
    pub fn rows(data: &'a [f32], rows: usize, cols: usize) -> Self {
        assert!(data.len() >= rows * cols);
        Self { data, rows, cols, row_stride: cols as isize, col_stride: 1 }
    }

    /// The transposed matrix, on the same numbers.
    pub fn transposed(self) -> Self {
        Self { rows: self.cols, cols: self.rows, row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }
}

/// How a product is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// The product replaces the numbers in the output.
    Overwrite,
    /// The product is added to the numbers in the output.
    Add,
}

/// Writes `a * b`, (a.rows, b.cols), to the front of `out`, or adds it.
pub(crate) fn multiply(a: Matrix, b: Matrix, out: &mut [f32], output: Output) {
    let threads = rayon_threads();
    let is_large = a.rows * a.cols * b.cols > 1 << 22;
    let parallelism = if threads > 1 && is_large { Parallelism::Rayon(threads) } else { Parallelism::None };
    multiply_with(parallelism, a, b, out, output);
}

/// As [`multiply`], on this thread alone.
pub(crate) fn multiply_alone(a: Matrix, b: Matrix, out: &mut [f32], output: Output) {
    multiply_with(Parallelism::None, a, b, out, output);
}

fn multiply_with(parallelism: Parallelism, a: Matrix, b: Matrix, out: &mut [f32], output: Output) {
    assert_eq!(a.cols, b.rows);
    assert!(out.len() >= a.rows * b.cols);
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

/// How many threads compute.
pub(crate) fn rayon_threads() -> usize {
    static THREADS: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    *THREADS.get_or_init(candle_core::utils::get_num_threads)
}

/// Runs `work` on a thread of its own, or here.
pub(crate) fn in_parallel<'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    apart: bool,
    work: impl FnOnce() + Send + 'scope,
) {
    if apart {
        scope.spawn(work);
    } else {
        work();
    }
}

/// The numbers of a contiguous tensor, an argument of operation `op`.
///
/// # Errors
/// If the tensor is not contiguous or does not hold 32-bit floats.
pub(crate) fn contiguous<'a>(op: &str, storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!("{op}: expected a contiguous tensor, got strides {:?}", layout.stride()),
    }
}

/// Calls `work` with the numbers of a CPU tensor in row-major order; copies them only if the tensor is not contiguous.
///
/// # Errors
/// If the tensor is not on the CPU, or if `work` fails.
pub(crate) fn with_numbers<T>(tensor: &Tensor, work: impl FnOnce(&[f32]) -> Result<T>) -> Result<T> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => work(contiguous("numbers", storage, layout)?),
        _ => bail!("numbers: expected a tensor on the CPU"),
    }
}

/// The numbers of a tensor in row-major order.
///
/// # Errors
/// If they are not 32-bit floats.
pub(crate) fn flat(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}
