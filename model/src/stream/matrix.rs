//! Matrix-vector products with 16-bit weights in panels. A step spends most of its time here.

use half::f16;
use half::slice::HalfFloatSliceExt;

/// How many outputs are computed together. Their sums stay in vector registers.
const PANEL: usize = 64;

/// A matrix, (inputs, outputs), and a bias, (outputs), packed for `x * matrix + bias`.
pub(super) struct PackedMatrix {
    inputs: usize,
    outputs: usize,
    bias: Vec<f32>,
    weights: Panels,
}

/// Panels of `PANEL` outputs, each with a row of `PANEL` weights for every input. Zeros fill the last panel.
enum Panels {
    /// For processors that convert 16-bit floats in hardware.
    #[cfg(target_arch = "x86_64")]
    Half(Vec<f16>),
    /// For all others: the same values, rounded to 16 bits so that every machine plays the same, as 32-bit floats.
    Single(Vec<f32>),
}

impl Panels {
    #[cfg(target_arch = "x86_64")]
    fn new(packed: Vec<f16>) -> Self {
        if converts_in_hardware() { Self::Half(packed) } else { Self::Single(packed.to_f32_vec()) }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn new(packed: Vec<f16>) -> Self {
        Self::Single(packed.to_f32_vec())
    }
}

impl PackedMatrix {
    /// Packs `matrix`, (inputs, outputs) in row-major order, and `bias`, (outputs).
    pub fn new(matrix: &[f32], bias: &[f32], inputs: usize) -> Self {
        let outputs = bias.len();
        assert_eq!(matrix.len(), inputs * outputs, "a matrix must have inputs * outputs entries");
        let num_panels = outputs.div_ceil(PANEL);
        let mut packed = vec![f16::ZERO; num_panels * inputs * PANEL];
        for (n, &weight) in matrix.iter().enumerate() {
            let (input, output) = (n / outputs, n % outputs);
            let panel = output / PANEL;
            packed[(panel * inputs + input) * PANEL + output % PANEL] = f16::from_f32(weight);
        }
        let mut padded = bias.to_vec();
        padded.resize(num_panels * PANEL, 0.0);
        Self { inputs, outputs, bias: padded, weights: Panels::new(packed) }
    }

    /// The length of the output.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Writes `x * matrix + bias`, (outputs), to the front of `out`. `x` is (inputs).
    pub fn multiply(&self, x: &[f32], out: &mut [f32]) {
        assert_eq!(x.len(), self.inputs);
        for (panel, out) in out[..self.outputs].chunks_mut(PANEL).enumerate() {
            let bias = self.bias[panel * PANEL..].first_chunk().expect("the bias is padded to whole panels");
            let rows = panel * self.inputs * PANEL..(panel + 1) * self.inputs * PANEL;
            let sums = match &self.weights {
                Panels::Single(weights) => plain(x, &weights[rows], bias),
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the guard checks AVX-512, and `Panels::new` makes 16-bit panels only with AVX2, FMA and F16C.
                Panels::Half(weights) if std::is_x86_feature_detected!("avx512f") => unsafe {
                    x86::with_avx512(x, &weights[rows], bias)
                },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: `Panels::new` makes 16-bit panels only with AVX2, FMA and F16C.
                Panels::Half(weights) => unsafe { x86::with_avx2(x, &weights[rows], bias) },
            };
            out.copy_from_slice(&sums[..out.len()]);
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn converts_in_hardware() -> bool {
    std::is_x86_feature_detected!("avx2")
        && std::is_x86_feature_detected!("fma")
        && std::is_x86_feature_detected!("f16c")
}

/// The sums of a panel in plain Rust. `weights` has a row of `PANEL` for every entry of `x`.
fn plain(x: &[f32], weights: &[f32], bias: &[f32; PANEL]) -> [f32; PANEL] {
    let mut sums = *bias;
    for (&x, row) in x.iter().zip(weights.chunks_exact(PANEL)) {
        for (sum, w) in sums.iter_mut().zip(row) {
            *sum += x * w;
        }
    }
    sums
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! The same sums with intrinsics: the compiler does not vectorise the conversion from 16 bits.

    use std::arch::x86_64::*;

    use super::PANEL;
    use half::f16;

    #[target_feature(enable = "avx512f")]
    pub(super) fn with_avx512(x: &[f32], weights: &[f16], bias: &[f32; PANEL]) -> [f32; PANEL] {
        const LANES: usize = 16;
        assert!(weights.len() >= x.len() * PANEL);
        // SAFETY: every pointer stays inside `bias`, `weights` (length asserted above) or `sums`, and all loads and
        // stores are unaligned.
        unsafe {
            let mut acc: [__m512; PANEL / LANES] =
                std::array::from_fn(|i| _mm512_loadu_ps(bias.as_ptr().add(i * LANES)));
            for (k, &x) in x.iter().enumerate() {
                let row = weights.as_ptr().add(k * PANEL);
                let x = _mm512_set1_ps(x);
                for (i, acc) in acc.iter_mut().enumerate() {
                    let w = _mm512_cvtph_ps(_mm256_loadu_si256(row.add(i * LANES).cast()));
                    *acc = _mm512_fmadd_ps(x, w, *acc);
                }
            }
            let mut sums = [0.0; PANEL];
            for (i, acc) in acc.into_iter().enumerate() {
                _mm512_storeu_ps(sums.as_mut_ptr().add(i * LANES), acc);
            }
            sums
        }
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    pub(super) fn with_avx2(x: &[f32], weights: &[f16], bias: &[f32; PANEL]) -> [f32; PANEL] {
        const LANES: usize = 8;
        assert!(weights.len() >= x.len() * PANEL);
        // SAFETY: as in `with_avx512`.
        unsafe {
            let mut acc: [__m256; PANEL / LANES] =
                std::array::from_fn(|i| _mm256_loadu_ps(bias.as_ptr().add(i * LANES)));
            for (k, &x) in x.iter().enumerate() {
                let row = weights.as_ptr().add(k * PANEL);
                let x = _mm256_set1_ps(x);
                for (i, acc) in acc.iter_mut().enumerate() {
                    let w = _mm256_cvtph_ps(_mm_loadu_si128(row.add(i * LANES).cast()));
                    *acc = _mm256_fmadd_ps(x, w, *acc);
                }
            }
            let mut sums = [0.0; PANEL];
            for (i, acc) in acc.into_iter().enumerate() {
                _mm256_storeu_ps(sums.as_mut_ptr().add(i * LANES), acc);
            }
            sums
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    #[test]
    fn every_implementation_gives_the_product() {
        let (inputs, outputs) = (37, 100);
        let mut rng = SplitMix64::new(2);
        let mut numbers = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.next_f32() - 0.5).collect() };
        let (matrix, bias, x) = (numbers(inputs * outputs), numbers(outputs), numbers(inputs));
        let rounded = |w: f32| f64::from(f16::from_f32(w).to_f32());
        let exact: Vec<f64> = (0..outputs)
            .map(|o| {
                let products = (0..inputs).map(|i| f64::from(x[i]) * rounded(matrix[i * outputs + o]));
                f64::from(bias[o]) + products.sum::<f64>()
            })
            .collect();
        let check = |packed: &PackedMatrix, path: &str| {
            let mut out = vec![f32::NAN; outputs + 3];
            packed.multiply(&x, &mut out);
            for (o, exact) in exact.iter().enumerate() {
                assert!((f64::from(out[o]) - exact).abs() < 1e-6, "{path}, output {o}");
            }
            assert!(out[outputs..].iter().all(|v| v.is_nan()), "{path} wrote past the outputs");
        };
        let packed = PackedMatrix::new(&matrix, &bias, inputs);
        check(&packed, "the implementation for this processor");
        #[cfg(target_arch = "x86_64")]
        if let Panels::Half(half) = &packed.weights {
            let bias = packed.bias.first_chunk().unwrap();
            // SAFETY: `Panels::new` makes 16-bit panels only if the processor has AVX2, FMA and F16C.
            let sums = unsafe { x86::with_avx2(&x, &half[..inputs * PANEL], bias) };
            let mut out = vec![0.0; outputs];
            packed.multiply(&x, &mut out);
            assert_eq!(sums[..], out[..PANEL], "the vector width must not change the result");
            let weights = Panels::Single(half.to_f32_vec());
            check(&PackedMatrix { weights, bias: packed.bias.clone(), ..packed }, "plain");
        }
    }
}
