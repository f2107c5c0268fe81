//! Measures whether the host plays in real time or renders faster, because hosts do not report it reliably. Audio
//! thread.

use std::time::{Duration, Instant};

/// A host counts as fast if its audio stays this far ahead of the clock, in blocks and in seconds. A host that fills
/// its buffers at the start is two or three blocks ahead.
const FAST_BLOCKS: f64 = 4.0;
const FAST_SECONDS: f64 = 0.02;
/// A host that counts as fast must keep this share of that lead to remain so.
const KEPT: f64 = 0.67;
/// No device buffers this many seconds, so a host that is this far ahead is rendering.
const SURE_SECONDS: f64 = 0.3;
/// Lead and lag are clamped to this many seconds, so that a change of pace shows soon.
const MAX_LEAD_SECONDS: f64 = 0.5;
/// The lead decays over this many seconds: a host that renders ahead once and then plays in real time is live.
const FORGET_SECONDS: f64 = 1.0;
/// A live host fills a device's buffer in one burst of blocks and is then ahead of the clock. Only the lead that it
/// keeps for this many seconds counts.
const WINDOW_SECONDS: f64 = 0.25;
/// A host that is ahead of the clock by more than this many seconds has audio in store, more than a live host buffers
/// when it starts. A block may then spend a share of the lead on waiting, too.
const AHEAD_SECONDS: f64 = 0.1;
/// The lead counts for this many times its length when the budget takes its share of a block.
const LEAD_SHARE: f64 = 2.0;

/// Follows how far the audio that the host has requested is ahead of the clock.
pub struct Pace {
    last: Option<(Instant, f64)>,
    lead_seconds: f64,
    /// The smallest lead in this window and in the previous one.
    least: (f64, Option<f64>),
    /// How much of the host's own time this window covers, in seconds.
    window_seconds: f64,
    /// The longest recent block, in seconds: a host may split its blocks.
    usual_block_seconds: f64,
    /// How long our waits have delayed the host, less what it may have caught up since, in seconds.
    held_up_seconds: f64,
    /// How long we have waited since the last block began.
    waited: Duration,
    is_fast: bool,
}

impl Pace {
    /// No measurements yet.
    pub const fn new() -> Self {
        Self {
            last: None,
            lead_seconds: 0.0,
            least: (f64::INFINITY, None),
            window_seconds: 0.0,
            usual_block_seconds: 0.0,
            held_up_seconds: 0.0,
            waited: Duration::ZERO,
            is_fast: false,
        }
    }

    /// Measures the time at which a block of this length begins.
    pub fn begin_block(&mut self, now: Instant, block_seconds: f64) {
        self.usual_block_seconds = block_seconds.max(self.usual_block_seconds * (1.0 - block_seconds).max(0.0));
        let waited = std::mem::take(&mut self.waited).as_secs_f64();
        if let Some((then, seconds)) = self.last.replace((now, block_seconds)) {
            let passed = now.saturating_duration_since(then).as_secs_f64();
            self.measure(seconds, passed, waited);
        }
        if self.window_seconds >= WINDOW_SECONDS.max(4.0 * block_seconds) {
            (self.least, self.window_seconds) = ((f64::INFINITY, Some(self.least.0)), 0.0);
        }
        let enough = (FAST_BLOCKS * block_seconds).clamp(FAST_SECONDS, 0.8 * MAX_LEAD_SECONDS);
        // One slow block does not end a fast host's status: with long blocks the lead is clamped just above the
        // threshold.
        let enough = if self.is_fast { KEPT * enough } else { enough };
        let kept = self.least.1.map(|before| before.min(self.least.0));
        self.is_fast = kept.is_some_and(|lead| lead > enough) || self.lead_seconds > SURE_SECONDS;
    }

    /// Measures the last block, `seconds` long: `passed` seconds have gone by since it began, and we waited for
    /// `waited` of them.
    fn measure(&mut self, seconds: f64, passed: f64, waited: f64) {
        let kept = (1.0 - seconds / FORGET_SECONDS).max(0.5);
        // A block in which we waited for longer than it lasts shows nothing about the host: we delayed a fast host, and
        // a live host also returns at once and hurries until it has caught up. A shorter wait costs a live host
        // nothing.
        if waited >= seconds {
            self.held_up_seconds += waited;
            return;
        }
        let gained = seconds - passed;
        let caught_up = gained.clamp(0.0, self.held_up_seconds);
        self.held_up_seconds -= caught_up;
        if caught_up > 0.0 && caught_up == gained {
            return;
        }
        // After a stall the host catches up in a burst. Only audio requested beyond that counts as lead.
        let lead = self.lead_seconds + gained - caught_up;
        self.lead_seconds = lead.clamp(-MAX_LEAD_SECONDS, MAX_LEAD_SECONDS) * kept;
        self.least.0 = self.least.0.min(self.lead_seconds);
        self.window_seconds += passed;
    }

    /// Adds the time that this block has waited for a decision.
    pub fn waited(&mut self, time: Duration) {
        self.waited += time;
    }

    /// Whether the host renders, so that every step needs its decision: the host reports it, or runs faster than real
    /// time.
    pub fn renders(&self, says_offline: bool) -> bool {
        says_offline || self.is_fast
    }

    /// The length of the host's blocks, of which the budget allows a share for waiting. It includes the lead if the
    /// host is well ahead of the clock.
    pub fn block(&self) -> Duration {
        let ahead = self.lead_seconds.max(0.0);
        let lead = if ahead > AHEAD_SECONDS { ahead } else { 0.0 };
        Duration::from_secs_f64(self.usual_block_seconds + LEAD_SHARE * lead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Measures a host whose blocks last 10 ms.
    struct Host {
        pace: Pace,
        now: Instant,
    }

    impl Host {
        fn new() -> Self {
            Self { pace: Pace::new(), now: Instant::now() }
        }

        /// Begins blocks this many milliseconds apart. Returns for each whether the host counts as fast.
        fn blocks(&mut self, gaps_ms: &[u64]) -> Vec<bool> {
            let mut verdict = |gap: &u64| {
                self.now += Duration::from_millis(*gap);
                self.pace.begin_block(self.now, 0.01);
                self.pace.is_fast
            };
            gaps_ms.iter().map(&mut verdict).collect()
        }
    }

    fn check(gaps_ms: &[u64]) -> Vec<bool> {
        Host::new().blocks(gaps_ms)
    }

    #[test]
    fn live_blocks_are_live_even_when_they_come_in_bursts() {
        assert!(!check(&[10; 500]).contains(&true));
        assert!(!check(&[0, 20].repeat(300)).contains(&true));
        assert!(!check(&[0, 0, 0, 10, 10, 10, 13, 7, 10]).contains(&true));
        // A device's buffer of 160 ms.
        let burst = [&[0; 15][..], &[160]].concat();
        assert!(!check(&burst.repeat(100)).contains(&true));
        // A stall of 100 ms, then the blocks that catch up.
        assert!(!check(&[&[10; 50][..], &[100], &[0; 9], &[10; 500]].concat()).contains(&true));
    }

    #[test]
    fn what_we_wait_ourselves_is_not_the_hosts_pace() {
        // Blocks of 10 ms, each 1 ms after the end of the last. In every fifth block we wait for 300 ms.
        let (mut pace, mut now) = (Pace::new(), Instant::now());
        let mut verdicts = Vec::new();
        for n in 0..200 {
            pace.begin_block(now, 0.01);
            verdicts.push(pace.is_fast);
            let wait = Duration::from_millis(if n > 50 && n % 5 == 0 { 300 } else { 0 });
            pace.waited(wait);
            now += wait + Duration::from_millis(1);
        }
        assert!(verdicts[50..].iter().all(|fast| *fast), "{verdicts:?}");
        // A live host whose blocks each wait for a quarter of their length, then one whose blocks come in pairs.
        for gaps_ms in [[10, 10], [0, 20]] {
            let mut pace = Pace::new();
            for gap in gaps_ms.repeat(300) {
                now += Duration::from_millis(gap);
                pace.begin_block(now, 0.01);
                assert!(!pace.is_fast);
                pace.waited(Duration::from_micros(2500));
            }
        }
    }

    #[test]
    fn a_live_host_that_we_hold_up_hurries_and_is_live() {
        let (mut pace, began) = (Pace::new(), Instant::now());
        let mut now = began;
        for n in 0..600_u32 {
            // A block begins when the last one has been played, or at once if we delayed the host.
            now = now.max(began + Duration::from_millis(10) * n);
            pace.begin_block(now, 0.01);
            assert!(!pace.renders(false), "block {n}");
            if n % 12 == 3 {
                // The block waits as long as it may for a decision that never arrives.
                let wait = pace.block() / 4;
                assert!(wait <= Duration::from_millis(6), "block {n}: {wait:?}");
                pace.waited(wait);
                now += wait;
            }
        }
    }

    #[test]
    fn one_slow_block_among_long_ones_changes_nothing() {
        let (mut pace, mut now) = (Pace::new(), Instant::now());
        for n in 0..40 {
            pace.begin_block(now, 8192.0 / 48_000.0);
            assert!(n < 8 || pace.is_fast, "block {n}");
            now += Duration::from_millis(if n % 10 == 9 { 120 } else { 5 });
        }
    }

    #[test]
    fn fast_blocks_are_found_out_and_live_ones_after_them() {
        let verdicts = check(&[&[1; 200][..], &[10; 10], &[40; 40]].concat());
        assert!(verdicts[50..200].iter().all(|fast| *fast), "{verdicts:?}");
        assert!(!verdicts[240], "{verdicts:?}");
        // A host that renders 200 ms ahead once counts as live again after two seconds.
        assert!(!check(&[&[0; 20][..], &[10; 300]].concat())[220..].contains(&true));
        // A host that is only slightly faster than the clock counts as fast in the end.
        assert!(check(&[8; 400])[300..].iter().all(|fast| *fast));
    }

    #[test]
    fn what_may_be_waited_for_goes_by_what_is_known() {
        let wait = |gaps_ms: &[u64], says_offline| {
            let mut host = Host::new();
            host.blocks(gaps_ms);
            (host.pace.renders(says_offline), host.pace.block().as_millis())
        };
        // The first block is like any other.
        assert_eq!((wait(&[0], false), wait(&[10; 100], false)), ((false, 10), (false, 10)));
        // A host that reports a render is believed, and a fast host is detected.
        assert_eq!([&[0][..], &[10; 100], &[30; 100]].map(|gaps| wait(gaps, true).0), [true; 3]);
        assert_eq!((wait(&[1; 100], false).0, wait(&[30; 100], false)), (true, (false, 10)));
        // At the end of a burst the length covers the whole burst.
        let burst = [&[240][..], &[0; 23]].concat();
        let (renders, block_ms) = wait(&burst.repeat(40), false);
        assert!(!renders && (210..500).contains(&block_ms), "{block_ms}");
    }
}
