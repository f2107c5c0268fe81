//! Whether the host runs in real time or renders faster, measured: what hosts say of it cannot be trusted. Audio thread.

use std::time::{Duration, Instant};

/// By how many blocks, and by how many seconds, audio must be ahead of the clock to count as fast. A host that fills
/// its buffers at the start is ahead by two or three blocks.
const FAST_BLOCKS: f64 = 4.0;
const FAST_SECONDS: f64 = 0.02;
/// The share of that which a fast host must keep to go on counting as fast.
const KEPT: f64 = 0.67;
/// Lead and debt are not counted further than this, seconds: so soon is it noticed that a host has changed its pace.
const MAX_LEAD_SECONDS: f64 = 0.5;
/// A lead is forgotten over this time, seconds: a host that renders ahead once and then goes on in real time is live.
const FORGET_SECONDS: f64 = 1.0;

/// Follows how far the audio that has been asked for is ahead of the clock.
pub struct Pace {
    last: Option<(Instant, f64)>,
    lead_seconds: f64,
    measured_blocks: u32,
    /// How long we have waited ourselves since the last block began.
    waited: Duration,
    is_fast: bool,
}

impl Pace {
    /// Nothing has been measured.
    pub const fn new() -> Self {
        Self { last: None, lead_seconds: 0.0, measured_blocks: 0, waited: Duration::ZERO, is_fast: false }
    }

    /// Takes the time at which a block of this length begins.
    pub fn begin_block(&mut self, now: Instant, block_seconds: f64) {
        let waited = std::mem::take(&mut self.waited).as_secs_f64();
        // A block in which we ourselves have waited for longer than it lasts says nothing of the host: a fast one has been
        // held up by us, and a live one comes back at once as well. In a shorter wait a live host loses nothing.
        if let Some((then, seconds)) = self.last.replace((now, block_seconds))
            && waited < seconds
        {
            let gained = seconds - now.saturating_duration_since(then).as_secs_f64();
            // A stall is a debt, which the burst that catches up pays back; only what is over is a lead.
            let lead = self.lead_seconds + gained;
            self.lead_seconds =
                lead.clamp(-MAX_LEAD_SECONDS, MAX_LEAD_SECONDS) * (1.0 - seconds / FORGET_SECONDS).max(0.5);
            self.measured_blocks = self.measured_blocks.saturating_add(1);
        }
        let enough = (FAST_BLOCKS * block_seconds).clamp(FAST_SECONDS, 0.8 * MAX_LEAD_SECONDS);
        // A verdict is not given up for one slow block: long ones reach little more than the bound.
        self.is_fast = self.lead_seconds > if self.is_fast { KEPT * enough } else { enough };
    }

    /// Takes how long this block has waited for a result.
    pub fn waited(&mut self, time: Duration) {
        self.waited += time;
    }

    /// Whether the host renders faster than real time.
    pub const fn is_fast(&self) -> bool {
        self.is_fast
    }

    /// Whether enough has been measured to know.
    pub fn is_known(&self) -> bool {
        self.measured_blocks as f64 > 2.0 * FAST_BLOCKS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether blocks of 10 ms that begin this many milliseconds after each other are fast, one by one.
    fn check(gaps_ms: &[u64]) -> Vec<bool> {
        let mut pace = Pace::new();
        let mut now = Instant::now();
        let mut verdict = |gap: &u64| {
            now += Duration::from_millis(*gap);
            pace.begin_block(now, 0.01);
            pace.is_fast()
        };
        gaps_ms.iter().map(&mut verdict).collect()
    }

    #[test]
    fn live_blocks_are_live_even_when_they_come_in_pairs() {
        assert!(!check(&[10; 500]).contains(&true));
        assert!(!check(&[0, 20].repeat(300)).contains(&true));
        assert!(!check(&[0, 0, 0, 10, 10, 10, 13, 7, 10]).contains(&true));
        // A stall of 100 ms, and the blocks that catch up with it.
        assert!(!check(&[&[10; 50][..], &[100], &[0; 9], &[10; 500]].concat()).contains(&true));
    }

    #[test]
    fn what_we_wait_ourselves_is_not_the_hosts_pace() {
        // Blocks of 10 ms, each 1 ms after the end of the last; every fifth is held up by us for 300 ms.
        let (mut pace, mut now) = (Pace::new(), Instant::now());
        let mut verdicts = Vec::new();
        for n in 0..200 {
            pace.begin_block(now, 0.01);
            verdicts.push(pace.is_fast());
            let wait = Duration::from_millis(if n > 10 && n % 5 == 0 { 300 } else { 0 });
            pace.waited(wait);
            now += wait + Duration::from_millis(1);
        }
        assert!(verdicts[10..].iter().all(|fast| *fast), "{verdicts:?}");
        // A live host in which every block waits for a quarter of its length, and one that comes in pairs.
        for gaps_ms in [[10, 10], [0, 20]] {
            let mut pace = Pace::new();
            for gap in gaps_ms.repeat(300) {
                now += Duration::from_millis(gap);
                pace.begin_block(now, 0.01);
                assert!(!pace.is_fast());
                pace.waited(Duration::from_micros(2500));
            }
        }
    }

    #[test]
    fn one_slow_block_among_long_ones_changes_nothing() {
        let (mut pace, mut now) = (Pace::new(), Instant::now());
        for n in 0..40 {
            pace.begin_block(now, 8192.0 / 48_000.0);
            assert!(n < 8 || pace.is_fast(), "block {n}");
            now += Duration::from_millis(if n % 10 == 9 { 120 } else { 5 });
        }
    }

    #[test]
    fn fast_blocks_are_found_out_and_live_ones_after_them() {
        let verdicts = check(&[&[1; 100][..], &[10; 10], &[40; 40]].concat());
        assert!(verdicts[6..110].iter().all(|fast| *fast), "{verdicts:?}");
        assert!(!verdicts[130], "{verdicts:?}");
        // A host that renders 200 ms ahead once is live again after two seconds.
        assert!(!check(&[&[0; 20][..], &[10; 300]].concat())[220..].contains(&true));
    }
}
