//! How long things took: counts in boxes that grow by a twelfth, so that a percentile costs no memory and no sort.

use std::time::Duration;

/// Boxes an octave.
const PER_OCTAVE: f32 = 8.0;
/// Boxes in all: from one microsecond to over a minute.
const NUM_BOXES: usize = 210;

/// A histogram of durations.
pub struct Durations {
    boxes: [u32; NUM_BOXES],
    count: u32,
}

impl Durations {
    /// Nothing measured yet.
    pub const fn new() -> Self {
        Self { boxes: [0; NUM_BOXES], count: 0 }
    }

    /// Counts one.
    pub fn add(&mut self, duration: Duration) {
        let us = duration.as_secs_f32() * 1e6;
        let place = (us.max(1.0).log2() * PER_OCTAVE) as usize;
        self.boxes[place.min(NUM_BOXES - 1)] += 1;
        self.count += 1;
    }

    /// The duration that the share `p` of all stays below, microseconds, to within a twelfth; 0 if nothing was
    /// measured.
    pub fn percentile_us(&self, p: f32) -> f32 {
        let wanted = (self.count as f32 * p).ceil().max(1.0) as u32;
        let mut seen = 0;
        for (place, count) in self.boxes.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return ((place as f32 + 0.5) / PER_OCTAVE).exp2();
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
