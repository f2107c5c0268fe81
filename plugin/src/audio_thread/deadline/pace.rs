//! Whether the host runs in real time or renders faster, measured: what hosts say of it cannot be trusted. Audio
//! thread.

use std::time::{Duration, Instant};

/// By how many blocks, and by how many seconds, audio must stay ahead of the clock to count as fast. A host that fills
/// its buffers at the start is ahead by two or three blocks.
const FAST_BLOCKS: f64 = 4.0;
const FAST_SECONDS: f64 = 0.02;
/// The share of that which a fast host must keep to go on counting as fast.
const KEPT: f64 = 0.67;
/// So far ahead no device's buffer reaches, seconds: whoever asks for this much at once renders.
const SURE_SECONDS: f64 = 0.3;
/// Lead and debt are not counted further than this, seconds: so soon is it noticed that a host has changed its pace.
const MAX_LEAD_SECONDS: f64 = 0.5;
/// A lead is forgotten over this time, seconds: a host that renders ahead once and then goes on in real time is live.
const FORGET_SECONDS: f64 = 1.0;
/// A live host asks for a device's buffer in one burst of blocks, and is ahead of the clock at its end; only what it
/// keeps over this long, seconds, is a pace.
const WINDOW_SECONDS: f64 = 0.25;
/// A host that is ahead of the clock by more than this has sound in store, more than a live one fills its buffers with
/// at its start: a share of its lead may be waited, too. Seconds.
const AHEAD_SECONDS: f64 = 0.1;
/// That share, in terms of the share of a block.
const LEAD_SHARE: f64 = 2.0;

/// Follows how far the audio that the host has requested is ahead of the clock.
pub struct Pace {
    last: Option<(Instant, f64)>,
    lead_seconds: f64,
    /// The least lead of this window, and of the one before it.
    least: (f64, Option<f64>),
    /// How much of the host's own time this window has seen, seconds.
    window_seconds: f64,
    /// The longest block of late, seconds: a host's blocks may come in pieces.
    usual_block_seconds: f64,
    /// How long we have held the host up, less what it may have caught up since, seconds.
    held_up_seconds: f64,
    /// How long we have waited ourselves since the last block began.
    waited: Duration,
    is_fast: bool,
}

impl Pace {
    /// Nothing has been measured.
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

    /// Takes the time at which a block of this length begins.
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
        // A verdict is not given up for one slow block: long ones reach little more than the bound.
        let enough = if self.is_fast { KEPT * enough } else { enough };
        let kept = self.least.1.map(|before| before.min(self.least.0));
        self.is_fast = kept.is_some_and(|lead| lead > enough) || self.lead_seconds > SURE_SECONDS;
    }

    /// Takes a block of this length in which so much time has passed, and for so much of it we ourselves have waited.
    fn measure(&mut self, seconds: f64, passed: f64, waited: f64) {
        let kept = (1.0 - seconds / FORGET_SECONDS).max(0.5);
        // A block in which we have waited for longer than it lasts says nothing of the host: a fast one has been held
        // up by us, and a live one comes back at once as well, and hurries until it has caught up. In a shorter wait a
        // live host loses nothing.
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

    /// Takes how long this block has waited for a result.
    pub fn waited(&mut self, time: Duration) {
        self.waited += time;
    }

    /// Whether the host renders and is to have complete answers: it says so, or runs faster than real time.
    pub fn renders(&self, says_offline: bool) -> bool {
        says_offline || self.is_fast
    }

    /// The length of the host's blocks, of which a share may be waited; where a host is well ahead of the clock, with
    /// its lead.
    pub fn block(&self) -> Duration {
        let ahead = self.lead_seconds.max(0.0);
        let lead = if ahead > AHEAD_SECONDS { ahead } else { 0.0 };
        Duration::from_secs_f64(self.usual_block_seconds + LEAD_SHARE * lead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pace that is told of blocks of 10 ms.
    struct Host {
        pace: Pace,
        now: Instant,
    }

    impl Host {
        fn new() -> Self {
            Self { pace: Pace::new(), now: Instant::now() }
        }

        /// Blocks that begin this many milliseconds after each other: whether they are fast, one by one.
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
            verdicts.push(pace.is_fast);
            let wait = Duration::from_millis(if n > 50 && n % 5 == 0 { 300 } else { 0 });
            pace.waited(wait);
            now += wait + Duration::from_millis(1);
        }
        assert!(verdicts[50..].iter().all(|fast| *fast), "{verdicts:?}");
        // A live host in which every block waits for a quarter of its length, and one that comes in pairs.
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
            // A block begins when the last one has been heard, or at once if we have held it up.
            now = now.max(began + Duration::from_millis(10) * n);
            pace.begin_block(now, 0.01);
            assert!(!pace.renders(false), "block {n}");
            if n % 12 == 3 {
                // A row that never comes is waited for as long as it may be.
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
        // A host that renders 200 ms ahead once is live again after two seconds.
        assert!(!check(&[&[0; 20][..], &[10; 300]].concat())[220..].contains(&true));
        // One that is hardly faster than the clock is found out in the end.
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
        // A host that says it renders is believed; a fast one is found out.
        assert_eq!([&[0][..], &[10; 100], &[30; 100]].map(|gaps| wait(gaps, true).0), [true; 3]);
        assert_eq!((wait(&[1; 100], false).0, wait(&[30; 100], false)), (true, (false, 10)));
        // At the end of a burst of blocks there is time for the whole burst.
        let burst = [&[240][..], &[0; 23]].concat();
        let (renders, block_ms) = wait(&burst.repeat(40), false);
        assert!(!renders && (210..500).contains(&block_ms), "{block_ms}");
    }
}
