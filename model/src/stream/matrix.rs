//! Matrices with 16-bit weights in panels, and their products. A step spends most of its time here.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::kernel::{self, Kernel, PANEL, ROWS};

/// A matrix, (inputs, outputs), and a bias, (outputs), packed for `x * matrix + bias`.
///
/// Each output is a chain of fused multiply-adds: the bias, then the inputs from first to last. Every kernel keeps to
/// this order, so every machine computes the same bits.
pub(super) struct PackedMatrix {
    inputs: usize,
    outputs: usize,
    bias: Vec<f32>,
    weights: Panels,
}

/// Panels of `PANEL` outputs, each with a row of `PANEL` weights for every input. Zeros fill the last panel.
enum Panels {
    /// For a kernel that converts 16-bit floats in hardware, and that this processor has. Never `Portable`.
    Half(Kernel, Vec<f16>),
    /// For the portable kernel: the same values as 32-bit floats.
    Single(Vec<f32>),
}

impl PackedMatrix {
    /// Packs `matrix`, (inputs, outputs) in row-major order, and `bias`, (outputs).
    pub fn new(matrix: &[f32], bias: &[f32], inputs: usize) -> Self {
        Self::for_kernel(Kernel::chosen(), matrix, bias, inputs)
    }

    /// # Panics
    /// If this processor does not have the kernel.
    fn for_kernel(kernel: Kernel, matrix: &[f32], bias: &[f32], inputs: usize) -> Self {
        assert!(kernel.is_available(), "this processor does not have the kernel {kernel}");
        let outputs = bias.len();
        assert_eq!(matrix.len(), inputs * outputs, "a matrix must have inputs * outputs entries");
        let num_panels = outputs.div_ceil(PANEL);
        let mut packed = vec![f16::ZERO; num_panels * inputs * PANEL];
        for (n, &weight) in matrix.iter().enumerate() {
            packed[position(n, inputs, outputs)] = f16::from_f32(weight);
        }
        let weights = match kernel {
            Kernel::Portable => Panels::Single(packed.to_f32_vec()),
            kernel => Panels::Half(kernel, packed),
        };
        Self { inputs, outputs, bias: bias.to_vec(), weights }
    }

    /// The length of the output.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The bias, (outputs).
    pub fn bias(&self) -> &[f32] {
        &self.bias
    }

    /// The matrix in row-major order, (inputs, outputs).
    pub fn unpacked(&self) -> Vec<f16> {
        let positions = (0..self.inputs * self.outputs).map(|n| position(n, self.inputs, self.outputs));
        match &self.weights {
            Panels::Half(_, packed) => positions.map(|n| packed[n]).collect(),
            Panels::Single(packed) => positions.map(|n| f16::from_f32(packed[n])).collect(),
        }
    }

    /// Writes `x * matrix + bias`, (outputs), to the front of `out`. `x` is (inputs).
    pub fn multiply(&self, x: &[f32], out: &mut [f32]) {
        self.multiply_parts([x], out);
    }

    /// As [`Self::multiply`], for an `x` in parts.
    pub fn multiply_parts<const N: usize>(&self, parts: [&[f32]; N], out: &mut [f32]) {
        assert_eq!(parts.iter().map(|x| x.len()).sum::<usize>(), self.inputs);
        self.begin(1, out);
        // Panel by panel, as the weights lie.
        for panel in 0..self.outputs.div_ceil(PANEL) {
            let mut first = 0;
            for x in parts.into_iter().filter(|x| !x.is_empty()) {
                self.add_panel::<1>(panel, first, x, out);
                first += x.len();
            }
        }
    }

    /// Writes the bias to each of `count` rows at the front of `out`, (count, outputs).
    pub fn begin(&self, count: usize, out: &mut [f32]) {
        out[..count * self.outputs].chunks_exact_mut(self.outputs).for_each(|row| row.copy_from_slice(&self.bias));
    }

    /// Adds the products of `width` inputs, from input `first`, to the sums. `x` is (count, width); the front of
    /// `sums`, (count, outputs), has the products of all inputs before.
    pub fn add(&self, first: usize, width: usize, x: &[f32], sums: &mut [f32]) {
        assert!(first + width <= self.inputs);
        if width == 0 {
            return;
        }
        for panel in 0..self.outputs.div_ceil(PANEL) {
            let groups = x.chunks(ROWS * width).zip(sums.chunks_mut(ROWS * self.outputs));
            for (x, sums) in groups {
                if x.len() == ROWS * width {
                    self.add_panel::<ROWS>(panel, first, x, sums);
                } else {
                    let rows = x.chunks_exact(width).zip(sums.chunks_exact_mut(self.outputs));
                    rows.for_each(|(x, sums)| self.add_panel::<1>(panel, first, x, sums));
                }
            }
        }
    }

    /// Adds products to the columns of `panel`, for `N` rows: `x` is (N, width), `sums` begins with (N, outputs).
    #[inline]
    fn add_panel<const N: usize>(&self, panel: usize, first: usize, x: &[f32], sums: &mut [f32]) {
        let columns = panel * PANEL..self.outputs.min((panel + 1) * PANEL);
        let mut rows = sums.chunks_exact_mut(self.outputs);
        let sums: [&mut [f32]; N] = std::array::from_fn(|_| &mut rows.next().expect("N rows")[columns.clone()]);
        if columns.len() == PANEL {
            self.add_to_panel(panel, first, x, sums.map(|sums| sums.try_into().expect("a whole panel")));
        } else {
            let mut padded = [[0.0; PANEL]; N];
            padded.iter_mut().zip(&sums).for_each(|(padded, sums)| padded[..sums.len()].copy_from_slice(sums));
            self.add_to_panel(panel, first, x, padded.each_mut());
            padded.iter().zip(sums).for_each(|(padded, sums)| sums.copy_from_slice(&padded[..sums.len()]));
        }
    }

    #[inline]
    fn add_to_panel<const N: usize>(&self, panel: usize, first: usize, x: &[f32], sums: [&mut [f32; PANEL]; N]) {
        let width = x.len() / N;
        let start = (panel * self.inputs + first) * PANEL;
        let weights = start..start + width * PANEL;
        let mut x = x.chunks_exact(width);
        let x: [&[f32]; N] = std::array::from_fn(|_| x.next().expect("N rows"));
        match &self.weights {
            // SAFETY: `for_kernel` checked that the processor has the kernel, which is not `Portable`.
            Panels::Half(kernel, packed) => unsafe { kernel::add_products(*kernel, x, &packed[weights], sums) },
            Panels::Single(packed) => {
                x.iter().zip(sums).for_each(|(x, sums)| kernel::portable(x, &packed[weights.clone()], sums));
            }
        }
    }
}

/// Where the panels hold entry `n` of a matrix in row-major order.
fn position(n: usize, inputs: usize, outputs: usize) -> usize {
    let (input, output) = (n / outputs, n % outputs);
    (output / PANEL * inputs + input) * PANEL + output % PANEL
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::fnv1a;
    use crate::random::SplitMix64;

    const INPUTS: usize = 37;
    const OUTPUTS: usize = 100;
    const COUNT: usize = 7;
    /// The hash of the bits of the product below. Every kernel on every machine must give it.
    const STORED: u64 = 0xb16e_65e6_1949_4f72;

    /// A matrix, a bias and vectors. The same on every machine.
    fn numbers() -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let mut rng = SplitMix64::new(2);
        let mut numbers = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.next_f32() - 0.5).collect() };
        (numbers(INPUTS * OUTPUTS), numbers(OUTPUTS), numbers(COUNT * INPUTS))
    }

    #[test]
    fn products_are_right() {
        let (matrix, bias, x) = numbers();
        let mut out = vec![f32::NAN; OUTPUTS + 3];
        PackedMatrix::new(&matrix, &bias, INPUTS).multiply(&x[..INPUTS], &mut out);
        for o in 0..OUTPUTS {
            let products =
                (0..INPUTS).map(|i| f64::from(x[i]) * f64::from(f16::from_f32(matrix[i * OUTPUTS + o]).to_f32()));
            let exact = f64::from(bias[o]) + products.sum::<f64>();
            assert!((f64::from(out[o]) - exact).abs() < 1e-6, "output {o}");
        }
        assert!(out[OUTPUTS..].iter().all(|v| v.is_nan()), "nothing is written past the outputs");
    }

    #[test]
    fn every_kernel_gives_the_stored_product() {
        let (matrix, bias, x) = numbers();
        for kernel in Kernel::ALL.into_iter().filter(|kernel| kernel.is_available()) {
            let packed = PackedMatrix::for_kernel(kernel, &matrix, &bias, INPUTS);
            let mut one_by_one = vec![0.0; COUNT * OUTPUTS];
            for (x, out) in x.chunks_exact(INPUTS).zip(one_by_one.chunks_exact_mut(OUTPUTS)) {
                packed.multiply(x, out);
            }
            let hash = fnv1a(one_by_one.iter().flat_map(|sum| sum.to_bits().to_le_bytes()));
            assert_eq!(hash, STORED, "{kernel}: {hash:#x}");
            // Several vectors together, in two parts.
            let mut together = vec![f32::NAN; COUNT * OUTPUTS];
            packed.begin(COUNT, &mut together);
            for (first, width) in [(0, 20), (20, INPUTS - 20)] {
                let part: Vec<f32> = x.chunks_exact(INPUTS).flat_map(|x| &x[first..first + width]).copied().collect();
                packed.add(first, width, &part, &mut together);
            }
            assert_eq!(together, one_by_one, "{kernel}");
        }
    }
}
