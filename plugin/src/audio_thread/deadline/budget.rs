//! The time that all instances in the process may wait together: a quarter of a block. Audio thread; the instances
//! share it without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The share of a block that may be spent waiting.
const SHARE: f64 = 0.25;
/// A wait that begins at least this share of a block after the first one belongs to the next block: hosts call all
/// instances at the start of a block.
const NEXT_BLOCK: f64 = 0.75;
/// The low bits of the state hold the microseconds spent (up to a second), the high bits the start of the block (half a
/// year).
const SPENT_BITS: u32 = 20;
const SPENT_MASK: u64 = (1 << SPENT_BITS) - 1;

/// How much of a block all instances together may still spend waiting.
#[derive(Debug, Default)]
pub struct Budget {
    /// When the first wait of the block began and the time waited since, in microseconds. Both fit in one word, so that
    /// no lock is needed.
    state: AtomicU64,
}

/// The budget of this process.
pub static BUDGET: Budget = Budget { state: AtomicU64::new(0) };

impl Budget {
    /// How long, in microseconds, an instance may wait at `now_us` in a block of this length. Times count from a common
    /// zero.
    pub fn left_us(&self, now_us: u64, block: Duration) -> u64 {
        let block_us = block.as_micros() as f64;
        let allowed = (block_us * SHARE) as u64;
        let state = self.state.load(Ordering::Acquire);
        let (start, spent) = (state >> SPENT_BITS, state & SPENT_MASK);
        let is_same_block = now_us < start + (block_us * NEXT_BLOCK) as u64 && state != 0;
        if is_same_block { allowed.saturating_sub(spent) } else { allowed }
    }

    /// Records a wait of `waited_us` that began at `began_us`.
    pub fn spend(&self, began_us: u64, waited_us: u64, block: Duration) {
        let next_block = (block.as_micros() as f64 * NEXT_BLOCK) as u64;
        let add = |state: u64| {
            let (start, spent) = (state >> SPENT_BITS, state & SPENT_MASK);
            let is_same_block = began_us < start + next_block && state != 0;
            let (start, spent) = if is_same_block { (start, spent + waited_us) } else { (began_us, waited_us) };
            Some(start << SPENT_BITS | spent.min(SPENT_MASK))
        };
        // This retries only if another instance has updated the state at the same moment.
        let _ = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, add);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: Duration = Duration::from_millis(8);

    #[test]
    fn sixteen_instances_wait_no_longer_than_one() {
        let budget = Budget::default();
        let (mut now, mut waited) = (1_000, 0);
        for _ in 0..16 {
            let wait = budget.left_us(now, BLOCK).min(700);
            budget.spend(now, wait, BLOCK);
            waited += wait;
            now += wait + 5;
        }
        assert_eq!(waited, 2_000);
    }

    #[test]
    fn the_next_block_has_its_own() {
        let budget = Budget::default();
        assert_eq!(budget.left_us(5, BLOCK), 2_000);
        budget.spend(5, 2_000, BLOCK);
        assert_eq!(budget.left_us(4_000, BLOCK), 0);
        // A host may call a little early.
        assert_eq!(budget.left_us(7_000, BLOCK), 2_000);
        budget.spend(7_000, 500, BLOCK);
        assert_eq!(budget.left_us(7_600, BLOCK), 1_500);
    }

    #[test]
    fn many_threads_spend_one_budget() {
        let budget = Budget::default();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..100).for_each(|_| budget.spend(10, 2, BLOCK)));
            }
        });
        assert_eq!(budget.left_us(10, BLOCK), 400);
    }
}
