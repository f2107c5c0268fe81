//! Random numbers: a seeded stream for training, and counter-based numbers for playing.

/// How far the state moves with each number: 2^64 divided by the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of random numbers (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// The stream that `rng_seed` selects.
    pub const fn new(rng_seed: u64) -> Self {
        Self(rng_seed)
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// Passes over `count` numbers of 64 bits, as if they had been drawn.
    pub fn skip(&mut self, count: usize) {
        self.0 = self.0.wrapping_add(STEP.wrapping_mul(count as u64));
    }

    /// Uniform in [0, 1).
    pub fn next_f32(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 / (1_u64 << 24) as f32
    }

    /// Uniform in 0..bound, for a `bound` from 1 up to 2^32. The bias is below `bound` / 2^32.
    pub fn next_below(&mut self, bound: usize) -> usize {
        (((self.next_u64() >> 32) * bound as u64) >> 32) as usize
    }

    /// Puts `items` in random order, each order equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.next_below(i + 1));
        }
    }

    /// The state of the stream: `SplitMix64::new(state)` continues from here.
    pub const fn state(&self) -> u64 {
        self.0
    }
}

const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The random number of one draw, uniform in [0, 1).
///
/// It depends on the arguments alone and not on earlier draws: deciding a step again, in another order or on another
/// thread, gives the same number. `draw` numbers the draws within a step.
pub(crate) fn coin(rng_seed: u64, pass: u64, step_idx: i64, draw: u64) -> f64 {
    let mut bits = mix(rng_seed.wrapping_add(0x9e37_79b9_7f4a_7c15));
    for word in [pass, step_idx as u64, draw] {
        bits = mix(bits.wrapping_add(word).wrapping_add(0x9e37_79b9_7f4a_7c15));
    }
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coins_are_uniform_and_depend_on_every_argument() {
        let mut histogram = [0_u32; 10];
        for step in 0..10_000 {
            histogram[(coin(1, 0, step - 5_000, 2) * 10.0) as usize] += 1;
        }
        // Ten thousand draws in ten classes: three standard deviations are 90.
        assert!(histogram.iter().all(|n| n.abs_diff(1000) < 120), "{histogram:?}");
        let base = coin(1, 2, 3, 4);
        assert!([coin(0, 2, 3, 4), coin(1, 0, 3, 4), coin(1, 2, 0, 4), coin(1, 2, 3, 0)].iter().all(|c| *c != base));
        assert_eq!(base, coin(1, 2, 3, 4));
    }

    #[test]
    fn a_stream_is_skipped_as_if_it_had_been_drawn() {
        let [mut drawn, mut skipped] = [SplitMix64::new(9), SplitMix64::new(9)];
        (0..1000).for_each(|_| _ = drawn.next_u64());
        skipped.skip(1000);
        assert_eq!(skipped.next_u64(), drawn.next_u64());
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<_> = (0..100).collect();
        SplitMix64::new(7).shuffle(&mut items);
        assert_ne!(items[..5], [0, 1, 2, 3, 4]);
        items.sort_unstable();
        assert!(items.into_iter().eq(0..100));
    }
}
