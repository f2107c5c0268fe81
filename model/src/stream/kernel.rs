//! Inner loops of matrix products, one per instruction set. All give the same bits: each output is a chain of fused
//! multiply-adds from the first input to the last.

use std::fmt::{self, Display, Formatter};
use std::sync::atomic::{AtomicUsize, Ordering};

use half::f16;

/// How many outputs are computed together. Their sums stay in vector registers.
pub(super) const PANEL: usize = 64;
/// How many rows ahead of the sums weights are fetched: 2 KB. From the third-level cache this makes a product a sixth
/// faster than the processor's own guesses; more or less than this changes little.
const FETCHED_ROWS: usize = 16;
/// How many vectors are multiplied together, so that each weight is read once for all of them.
pub(super) const ROWS: usize = 4;
/// The index of the chosen kernel in [`Kernel::ALL`], or more than any.
static CHOSEN: AtomicUsize = AtomicUsize::new(usize::MAX);

/// An instruction set that computes products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// AVX-512 (x86-64).
    Avx512,
    /// AVX2 with FMA and F16C (x86-64).
    Avx2,
    /// NEON (aarch64).
    Neon,
    /// Any processor. It emulates the fused multiply-add where there is none, and reads weights as 32-bit floats.
    Portable,
}

impl Kernel {
    /// Every kernel, fastest first.
    pub const ALL: [Self; 4] = [Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];

    /// The kernel for networks that are packed now: the fastest that the processor has, unless [`Self::choose`] chose
    /// another.
    pub fn chosen() -> Self {
        let chosen = CHOSEN.load(Ordering::Relaxed);
        let mut available = Self::ALL.into_iter().filter(|kernel| kernel.is_available());
        Self::ALL.get(chosen).copied().or_else(|| available.next()).unwrap_or(Self::Portable)
    }

    /// Makes this the kernel for all networks that the process packs from now on. For tests and measurements: each
    /// kernel computes the same bits.
    ///
    /// # Panics
    /// If the processor does not have it.
    pub fn choose(self) {
        assert!(self.is_available(), "this processor does not have the kernel {self}");
        CHOSEN.store(self as usize, Ordering::Relaxed);
    }

    /// Whether this processor has it.
    pub fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => std::is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                std::is_x86_feature_detected!("avx2")
                    && std::is_x86_feature_detected!("fma")
                    && std::is_x86_feature_detected!("f16c")
            }
            #[cfg(target_arch = "aarch64")]
            Self::Neon => true,
            Self::Portable => true,
            #[allow(unreachable_patterns, reason = "which kernels exist depends on the architecture")]
            _ => false,
        }
    }
}

impl Display for Kernel {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Portable => "portable",
        })
    }
}

/// Adds `x * weights` to the sums of a panel. `weights` has a row of [`PANEL`] for every entry of `x`.
pub(super) fn portable(x: &[f32], weights: &[f32], sums: &mut [f32; PANEL]) {
    for (&x, row) in x.iter().zip(weights.chunks_exact(PANEL)) {
        for (sum, &w) in sums.iter_mut().zip(row) {
            *sum = fused(x, w, *sum);
        }
    }
}

/// `a * b + c` with one rounding, on processors without an instruction for it. `f32::mul_add` gives the same, but calls
/// a function of the C library for each.
///
/// The product is exact in 64 bits. The sum is rounded to odd there, so that rounding to 32 bits is right (Boldo and
/// Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd", 2008).
#[inline(always)]
fn fused(a: f32, b: f32, c: f32) -> f32 {
    let (product, c) = (f64::from(a) * f64::from(b), f64::from(c));
    let sum = product + c;
    // The rounding error of the sum, exactly (Knuth, TwoSum).
    let of_c = sum - product;
    let error = (product - (sum - of_c)) + (c - of_c);
    let bits = sum.to_bits();
    // The neighbour of `sum` on the other side of the exact value has a bit pattern one higher or lower.
    let is_above = (error > 0.0) == (sum > 0.0);
    let towards_exact = if is_above { bits.wrapping_add(1) } else { bits.wrapping_sub(1) };
    let is_odd = bits & 1 == 1;
    f64::from_bits(if error == 0.0 || is_odd || !sum.is_finite() { bits } else { towards_exact }) as f32
}

/// Adds products to the sums of a panel, for each of `N` vectors `x` of equal length. `weights` has a row of [`PANEL`]
/// for every entry of a vector.
///
/// # Safety
/// The processor must have the kernel, which must not be `Portable`.
#[inline]
pub(super) unsafe fn add_products<const N: usize>(
    kernel: Kernel,
    x: [&[f32]; N],
    weights: &[f16],
    sums: [&mut [f32; PANEL]; N],
) {
    let width = x[0].len();
    assert!(weights.len() >= width * PANEL && x.iter().all(|x| x.len() == width));
    let _ = (kernel, &sums);
    // SAFETY: the processor has the kernel, and the assertion above is what each of them needs.
    unsafe {
        match kernel {
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => x86::with_avx512(x, weights, sums),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => x86::with_avx2(x, weights, sums),
            #[cfg(target_arch = "aarch64")]
            Kernel::Neon => neon::with_neon(x, weights, sums),
            _ => unreachable!("the portable kernel has no 16-bit weights"),
        }
    }
}

/// Adds a row of 16-bit floats to as many sums.
///
/// # Safety
/// The processor must have the kernel.
#[inline]
pub(super) unsafe fn add_row(kernel: Kernel, row: &[f16], sums: &mut [f32]) {
    assert_eq!(row.len(), sums.len());
    // SAFETY: the processor has the kernel, and both are of one length.
    unsafe {
        match kernel {
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => x86::add_with_avx512(row, sums),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => x86::add_with_avx2(row, sums),
            #[cfg(target_arch = "aarch64")]
            Kernel::Neon => neon::add_with_neon(row, sums),
            _ => sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x.to_f32()),
        }
    }
}

/// Defines a function that multiplies `$lanes` outputs at a time and keeps the sums of each row in registers, and one
/// that adds a row to sums.
macro_rules! kernel {
    ($name:ident, $add_name:ident, $feature:literal, $vector:ty, $lanes:literal, $load:expr, $store:expr,
     $widen:expr, $fma:expr, $fetch:expr, $add:expr) => {
        /// # Safety
        /// The processor must have the features, and both slices must be of one length.
        #[target_feature(enable = $feature)]
        pub(super) unsafe fn $add_name(row: &[f16], sums: &mut [f32]) {
            let whole = sums.len() / $lanes * $lanes;
            for at in (0..whole).step_by($lanes) {
                // SAFETY: `at + lanes` is at most the length of both; loads and stores are unaligned.
                unsafe {
                    let sum = $load(sums.as_ptr().add(at));
                    $store(sums.as_mut_ptr().add(at), $add(sum, $widen(row.as_ptr().add(at))));
                }
            }
            sums[whole..].iter_mut().zip(&row[whole..]).for_each(|(sum, x)| *sum += x.to_f32());
        }

        /// # Safety
        /// The processor must have the features. `weights` must have a row of `PANEL` for every entry of a vector, and
        /// the vectors must be of one length.
        #[target_feature(enable = $feature)]
        pub(super) unsafe fn $name<const N: usize>(x: [&[f32]; N], weights: &[f16], mut sums: [&mut [f32; PANEL]; N]) {
            if N == 1 {
                // SAFETY: as this function's.
                unsafe { columns::<N, { PANEL / $lanes }>(x, weights, &mut sums, 0) }
            } else {
                // Fewer columns at a time, so that the sums of all rows fit in the registers.
                const VECTORS: usize = if $lanes == 16 { 4 } else { 16 / $lanes };
                for first in (0..PANEL).step_by(VECTORS * $lanes) {
                    // SAFETY: as this function's.
                    unsafe { columns::<N, VECTORS>(x, weights, &mut sums, first) }
                }
            }

            /// # Safety
            /// As for the function around it.
            #[target_feature(enable = $feature)]
            unsafe fn columns<const N: usize, const VECTORS: usize>(
                x: [&[f32]; N],
                weights: &[f16],
                sums: &mut [&mut [f32; PANEL]; N],
                first: usize,
            ) {
                // SAFETY: `first + VECTORS * lanes` is at most `PANEL`, so every pointer stays inside a row of `sums`
                // or of `weights`, which has one for each `k`; loads and stores are unaligned.
                unsafe {
                    let mut acc: [[$vector; VECTORS]; N] = std::array::from_fn(|n| {
                        std::array::from_fn(|i| $load(sums[n].as_ptr().add(first + i * $lanes)))
                    });
                    for k in 0..x[0].len() {
                        let row = weights.as_ptr().add(k * PANEL + first);
                        let x: [f32; N] = std::array::from_fn(|n| *x[n].get_unchecked(k));
                        // A cache line holds 32 weights. It may lie behind the last; fetching never faults.
                        for line in 0..(VECTORS * $lanes).div_ceil(32) {
                            $fetch(row.wrapping_add(FETCHED_ROWS * PANEL + 32 * line));
                        }
                        for i in 0..VECTORS {
                            let w = $widen(row.add(i * $lanes));
                            for n in 0..N {
                                acc[n][i] = $fma(acc[n][i], w, x[n]);
                            }
                        }
                    }
                    for n in 0..N {
                        for i in 0..VECTORS {
                            $store(sums[n].as_mut_ptr().add(first + i * $lanes), acc[n][i]);
                        }
                    }
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! Intrinsics, as the compiler does not vectorise the conversion from 16 bits.

    use std::arch::x86_64::*;

    use super::{FETCHED_ROWS, PANEL};
    use half::f16;

    kernel!(
        with_avx512,
        add_with_avx512,
        "avx512f",
        __m512,
        16,
        |p| _mm512_loadu_ps(p),
        |p, v| _mm512_storeu_ps(p, v),
        |p: *const f16| _mm512_cvtph_ps(_mm256_loadu_si256(p.cast())),
        |acc, w, x| _mm512_fmadd_ps(_mm512_set1_ps(x), w, acc),
        |p: *const f16| _mm_prefetch(p.cast(), _MM_HINT_T0),
        |a, b| _mm512_add_ps(a, b)
    );
    kernel!(
        with_avx2,
        add_with_avx2,
        "avx2,fma,f16c",
        __m256,
        8,
        |p| _mm256_loadu_ps(p),
        |p, v| _mm256_storeu_ps(p, v),
        |p: *const f16| _mm256_cvtph_ps(_mm_loadu_si128(p.cast())),
        |acc, w, x| _mm256_fmadd_ps(_mm256_set1_ps(x), w, acc),
        |p: *const f16| _mm_prefetch(p.cast(), _MM_HINT_T0),
        |a, b| _mm256_add_ps(a, b)
    );
}

#[cfg(target_arch = "aarch64")]
mod neon {
    //! Intrinsics, and assembly for the conversion from 16 bits, whose intrinsic older compilers lack.

    use std::arch::aarch64::*;
    use std::arch::asm;

    use super::{FETCHED_ROWS, PANEL};
    use half::f16;

    kernel!(
        with_neon,
        add_with_neon,
        "neon",
        float32x4_t,
        4,
        |p| vld1q_f32(p),
        |p, v| vst1q_f32(p, v),
        |p: *const f16| widened(p),
        |acc, w, x| vfmaq_n_f32(acc, w, x),
        |p: *const f16| asm!("prfm pldl1keep, [{}]", in(reg) p, options(readonly, nostack, preserves_flags)),
        |a, b| vaddq_f32(a, b)
    );

    /// Four 16-bit floats as 32-bit floats.
    ///
    /// # Safety
    /// `from` must point to four of them.
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn widened(from: *const f16) -> float32x4_t {
        // SAFETY: the caller's; the instruction reads and writes registers only.
        unsafe {
            let half = vld1_u16(from.cast());
            let wide: float32x4_t;
            asm!("fcvtl {0:v}.4s, {1:v}.4h", out(vreg) wide, in(vreg) half, options(pure, nomem, nostack));
            wide
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    #[test]
    fn the_emulated_multiply_add_rounds_once() {
        let mut rng = SplitMix64::new(7);
        let check = |a: f32, b: f32, c: f32| {
            let (exact, emulated) = (a.mul_add(b, c), fused(a, b, c));
            assert!(
                exact.to_bits() == emulated.to_bits() || exact.is_nan() && emulated.is_nan(),
                "{a:e} * {b:e} + {c:e}"
            );
        };
        for _ in 0..2_000_000 {
            let bits = rng.next_u64();
            // Any numbers, and sums whose parts are of one size, where rounding is hardest.
            let [a, b] = [bits as u32, (bits >> 32) as u32].map(f32::from_bits);
            let c = f32::from_bits(rng.next_u64() as u32);
            check(a, b, c);
            let [a, b] = [bits as u32, (bits >> 32) as u32].map(|n| (n as f32 - 2e9) * 1e-9);
            check(a, b, -a * b);
            check(a, b, a * b * (1.0 + f32::EPSILON * (bits % 5) as f32));
            check(a, b, c.clamp(-1.0, 1.0));
        }
        // A product half-way between two floats, and a part too small to see.
        check(1.0 + f32::EPSILON, 1.0 + f32::EPSILON * 0.5, f32::MIN_POSITIVE);
        check(1.0 + f32::EPSILON, 1.5, -f32::MIN_POSITIVE * 0.5);
    }
}
