//! Percentiles of durations from a histogram whose bins grow by a twelfth: no sorting, no allocation. Worker.

use std::time::Duration;

/// Bins for each doubling of the duration.
const PER_OCTAVE: f32 = 8.0;
/// The number of bins: from a microsecond to over a minute.
const NUM_BINS: usize = 210;

/// A histogram of durations.
pub struct Durations {
    bins: [u32; NUM_BINS],
    count: u32,
}

impl Durations {
    /// An empty histogram.
    pub const fn new() -> Self {
        Self { bins: [0; NUM_BINS], count: 0 }
    }

    /// Counts a duration.
    pub fn add(&mut self, duration: Duration) {
        let us = duration.as_secs_f32() * 1e6;
        let bin = (us.max(1.0).log2() * PER_OCTAVE) as usize;
        self.bins[bin.min(NUM_BINS - 1)] += 1;
        self.count += 1;
    }

    /// The `p` quantile (0.5 is the median), microseconds, to within a twelfth; 0 without durations.
    pub fn percentile_us(&self, p: f32) -> f32 {
        let wanted = (self.count as f32 * p).ceil().max(1.0) as u32;
        let mut seen = 0;
        for (bin, count) in self.bins.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return ((bin as f32 + 0.5) / PER_OCTAVE).exp2();
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_near_the_truth() {
        let mut durations = Durations::new();
        assert_eq!(durations.percentile_us(0.5), 0.0);
        (1..=1000).for_each(|us| durations.add(Duration::from_micros(us)));
        let near = |p, us: f32| (durations.percentile_us(p) / us - 1.0).abs() < 0.09;
        assert!(
            near(0.5, 500.0) && near(0.99, 990.0),
            "{} {}",
            durations.percentile_us(0.5),
            durations.percentile_us(0.99)
        );
    }
}
