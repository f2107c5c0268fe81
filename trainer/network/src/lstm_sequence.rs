//! An LSTM layer over a whole sequence as one differentiable operation on the CPU.
//!
//! candle runs an LSTM step by step: the graph gets a dozen small tensors for each step, and the gradient of the sliced
//! input costs O(steps^2). Here a step is one matrix product and one pass over the gates.

use std::sync::Mutex;

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use continuo_model::math::{sigmoid, tanh};
use multiversion::multiversion;

use super::product::{Matrix, Output, contiguous, flat, in_parallel, multiply, multiply_alone, rayon_threads};

/// The fewest sequences that are worth a thread: with fewer, most of a product's time goes into reading its weights.
const LEAST_ROWS: usize = 4;

/// Runs the recurrence. `gates`, (steps, batch, 4 * units), is the input times its weights plus the bias, with gates in
/// the order input, forget, cell, output; `w_hh` is (units, 4 * units). The state starts at zero. Returns the hidden
/// states, (steps, batch, units).
///
/// # Errors
/// If the shapes do not fit.
pub(crate) fn lstm_sequence(gates: &Tensor, w_hh: &Tensor) -> Result<Tensor> {
    if gates.device().is_cpu() {
        gates.contiguous()?.apply_op2(&w_hh.contiguous()?, LstmSequence::default())
    } else {
        lstm_step_by_step(gates, w_hh)
    }
}

/// The same in candle's own operations: for other devices, and as reference for tests.
pub(crate) fn lstm_step_by_step(gates: &Tensor, w_hh: &Tensor) -> Result<Tensor> {
    let (steps, batch, width) = gates.dims3()?;
    let units = width / 4;
    let mut h = Tensor::zeros((batch, units), gates.dtype(), gates.device())?;
    let mut c = h.clone();
    let mut out = Vec::with_capacity(steps);
    for gates in gates.chunk(steps, 0)? {
        let z = (gates.squeeze(0)? + h.matmul(w_hh)?)?;
        let gate = |i: usize| z.narrow(1, i * units, units);
        let (i, f, g, o) = (
            candle_nn::ops::sigmoid(&gate(0)?)?,
            candle_nn::ops::sigmoid(&gate(1)?)?,
            gate(2)?.tanh()?,
            candle_nn::ops::sigmoid(&gate(3)?)?,
        );
        c = ((f * c)? + (i * g)?)?;
        h = (o * c.tanh()?)?;
        out.push(h.clone());
    }
    Tensor::stack(&out, 0)
}

/// Values that the forward pass keeps for the backward pass.
#[derive(Default)]
struct Trace {
    /// (steps, batch, 4 * units), after sigmoid and tanh.
    activations: Vec<f32>,
    /// (steps, batch, units).
    cells: Vec<f32>,
}

#[derive(Default)]
struct LstmSequence {
    trace: Mutex<Trace>,
}

impl CustomOp2 for LstmSequence {
    fn name(&self) -> &'static str {
        "lstm-sequence"
    }

    fn cpu_fwd(
        &self,
        gates: &CpuStorage,
        gates_layout: &Layout,
        w_hh: &CpuStorage,
        w_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (steps, batch, width) = gates_layout.shape().dims3()?;
        let units = width / 4;
        if w_layout.dims() != [units, width] {
            bail!("lstm-sequence: expected w_hh of [{units}, {width}], got {:?}", w_layout.dims());
        }
        let gates = contiguous(self.name(), gates, gates_layout)?;
        let w_hh = contiguous(self.name(), w_hh, w_layout)?;
        let mut activations = gates.to_vec();
        let mut cells = vec![0.0; steps * batch * units];
        let mut hidden = vec![0.0; steps * batch * units];
        let rows = rows_of_thread(batch);
        std::thread::scope(|scope| {
            let shards = shards(&mut activations, batch * width, rows * width)
                .zip(shards(&mut cells, batch * units, rows * units))
                .zip(shards(&mut hidden, batch * units, rows * units));
            for ((activations, cells), hidden) in shards {
                in_parallel(scope, batch > rows, move || forward(activations, cells, hidden, w_hh, units));
            }
        });
        *self.trace.lock().expect("no thread panics with the trace") = Trace { activations, cells };
        Ok((CpuStorage::F32(hidden), (steps, batch, units).into()))
    }

    fn bwd(
        &self,
        gates: &Tensor,
        w_hh: &Tensor,
        hidden: &Tensor,
        grad_hidden: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (steps, batch, width) = gates.dims3()?;
        let units = width / 4;
        let trace = std::mem::take(&mut *self.trace.lock().expect("no thread panics with the trace"));
        let grad_hidden = flat(grad_hidden)?;
        let hidden = flat(hidden)?;
        // Transposed once: a product with a transposed view copies it, and there is one for each step.
        let w = flat(&w_hh.t()?)?; // (4 * units, units)
        let slab = batch * units;
        let mut grad_gates = trace.activations;
        let mut grad_h = vec![0.0_f32; slab];
        let mut grad_c = vec![0.0_f32; slab];
        let rows = rows_of_thread(batch);
        std::thread::scope(|scope| {
            let shards = shards(&mut grad_gates, batch * width, rows * width)
                .zip(shards_of(&trace.cells, slab, rows * units))
                .zip(shards_of(&grad_hidden, slab, rows * units))
                .zip(grad_h.chunks_mut(rows * units).zip(grad_c.chunks_mut(rows * units)));
            for (((gates, cells), grad_hidden), (grad_h, grad_c)) in shards {
                let w = &w;
                in_parallel(scope, batch > rows, move || backward(gates, &cells, &grad_hidden, grad_h, grad_c, w));
            }
        });
        let mut grad_w = vec![0.0; units * width];
        if steps > 1 {
            let rows = (steps - 1) * batch;
            let h = Matrix::rows(&hidden[..rows * units], rows, units).transposed();
            multiply(h, Matrix::rows(&grad_gates[batch * width..], rows, width), &mut grad_w, Output::Overwrite);
        }
        Ok((
            Some(Tensor::from_vec(grad_gates, gates.shape(), gates.device())?),
            Some(Tensor::from_vec(grad_w, w_hh.shape(), w_hh.device())?),
        ))
    }
}

/// How many sequences of a batch a thread takes: all, unless there is more than one thread and enough for each.
fn rows_of_thread(batch: usize) -> usize {
    let threads = rayon_threads().min(batch / LEAST_ROWS).max(1);
    batch.div_ceil(threads)
}

/// The parts of each step's numbers, (batch * width): for each thread a list with its part of every step.
fn shards(numbers: &mut [f32], step: usize, part: usize) -> std::vec::IntoIter<Vec<&mut [f32]>> {
    let mut shards: Vec<Vec<&mut [f32]>> = (0..step.div_ceil(part)).map(|_| Vec::new()).collect();
    for numbers in numbers.chunks_exact_mut(step) {
        numbers.chunks_mut(part).zip(&mut shards).for_each(|(part, shard)| shard.push(part));
    }
    shards.into_iter()
}

/// As [`shards`], for numbers that are only read.
fn shards_of(numbers: &[f32], step: usize, part: usize) -> std::vec::IntoIter<Vec<&[f32]>> {
    let mut shards: Vec<Vec<&[f32]>> = (0..step.div_ceil(part)).map(|_| Vec::new()).collect();
    for numbers in numbers.chunks_exact(step) {
        numbers.chunks(part).zip(&mut shards).for_each(|(part, shard)| shard.push(part));
    }
    shards.into_iter()
}

/// Runs the recurrence on some sequences. For each step: the gates, (rows, 4 * units), which receive their activations;
/// the cells and the hidden states, both (rows, units).
fn forward(gates: Vec<&mut [f32]>, cells: Vec<&mut [f32]>, hidden: Vec<&mut [f32]>, w_hh: &[f32], units: usize) {
    let width = 4 * units;
    let mut before: Option<(&[f32], &[f32])> = None;
    for ((z, c), h) in gates.into_iter().zip(cells).zip(hidden) {
        if let Some((_, h)) = before {
            multiply_alone(Matrix::rows(h, h.len() / units, units), Matrix::rows(w_hh, units, width), z, Output::Add);
        }
        let rows = z.chunks_exact_mut(width).zip(c.chunks_exact_mut(units).zip(h.chunks_exact_mut(units)));
        for (row, (z, (c, h))) in rows.enumerate() {
            forward_row(z, before.map(|(c, _)| &c[row * units..(row + 1) * units]), c, h);
        }
        before = Some((c, h));
    }
}

/// Goes back through the recurrence on some sequences. For each step: the activations, (rows, 4 * units), which become
/// the gradients of the gates; the cells, and the gradients of the hidden states that come from outside, both (rows,
/// units). `grad_h` and `grad_c`, (rows, units), begin with zeros; `w`, (4 * units, units), is transposed.
fn backward(
    gates: Vec<&mut [f32]>,
    cells: &[&[f32]],
    grad_hidden: &[&[f32]],
    grad_h: &mut [f32],
    grad_c: &mut [f32],
    w: &[f32],
) {
    // `w` has 4 * units^2 numbers.
    let units = (w.len() / 4).isqrt();
    let rows = grad_h.len() / units;
    for (step, dz) in gates.into_iter().enumerate().rev() {
        grad_h.iter_mut().zip(grad_hidden[step]).for_each(|(a, b)| *a += b);
        let before = step.checked_sub(1).map(|step| cells[step]);
        for (row, dz) in dz.chunks_exact_mut(4 * units).enumerate() {
            let state = row * units..(row + 1) * units;
            let c_before = before.map(|c| &c[state.clone()]);
            backward_row(dz, &cells[step][state.clone()], c_before, &grad_h[state.clone()], &mut grad_c[state]);
        }
        multiply_alone(Matrix::rows(dz, rows, 4 * units), Matrix::rows(w, 4 * units, units), grad_h, Output::Overwrite);
    }
}

/// One sequence of the batch in one step. `z`, (4 * units), holds the gates and receives their activations; `c` and
/// `h`, (units), receive the new state.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn forward_row(z: &mut [f32], c_before: Option<&[f32]>, c: &mut [f32], h: &mut [f32]) {
    let units = c.len();
    let (i, rest) = z.split_at_mut(units);
    let (f, rest) = rest.split_at_mut(units);
    let (g, o) = rest.split_at_mut(units);
    for gate in [&mut *i, &mut *f, &mut *o] {
        gate.iter_mut().for_each(|x| *x = sigmoid(*x));
    }
    g.iter_mut().for_each(|x| *x = tanh(*x));
    for u in 0..units {
        c[u] = i[u] * g[u];
    }
    if let Some(before) = c_before {
        for u in 0..units {
            c[u] += f[u] * before[u];
        }
    }
    for u in 0..units {
        h[u] = o[u] * tanh(c[u]);
    }
}

/// Turns the activations `z`, (4 * units), into the gradient of the gates. `grad_c`, (units), holds the gradient of
/// this step's cell state and receives that of the previous step's.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn backward_row(z: &mut [f32], c: &[f32], c_before: Option<&[f32]>, grad_h: &[f32], grad_c: &mut [f32]) {
    let units = c.len();
    let (zi, rest) = z.split_at_mut(units);
    let (zf, rest) = rest.split_at_mut(units);
    let (zg, zo) = rest.split_at_mut(units);
    let (zo, grad_h, grad_c) = (&mut zo[..units], &grad_h[..units], &mut grad_c[..units]);
    for u in 0..units {
        let (i, f, g, o) = (zi[u], zf[u], zg[u], zo[u]);
        let tanh_c = tanh(c[u]);
        let dc = grad_c[u] + grad_h[u] * o * (1.0 - tanh_c * tanh_c);
        zo[u] = grad_h[u] * tanh_c * o * (1.0 - o);
        zi[u] = dc * g * i * (1.0 - i);
        zf[u] = dc * c_before.map_or(0.0, |c| c[u]) * f * (1.0 - f);
        zg[u] = dc * i * (1.0 - g * g);
        grad_c[u] = dc * f;
    }
}
