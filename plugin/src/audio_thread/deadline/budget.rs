//! How long all instances of the process may wait together: a quarter of a block. Audio thread; shared by all of them,
//! without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The share of a block that may be spent on waiting.
const SHARE: f64 = 0.25;
/// A wait that begins this share of a block after the first one belongs to another block: hosts call all instances at
/// its start.
const NEXT_BLOCK: f64 = 0.75;
/// Microseconds spent are the low bits of the state, the start of the block the high ones: a second, and half a year.
const SPENT_BITS: u32 = 20;
const SPENT_MASK: u64 = (1 << SPENT_BITS) - 1;

/// The wait that is left in a block, over all instances.
#[derive(Debug, Default)]
pub struct Budget {
    /// When the block's first wait began, microseconds, and how much has been waited since: one word, so that nobody
    /// needs a lock.
    state: AtomicU64,
}

/// The budget of this process.
pub static BUDGET: Budget = Budget { state: AtomicU64::new(0) };

impl Budget {
    /// How long an instance may wait at `now_us` in a block of this length, all counted in microseconds from one
    /// start.
    pub fn left_us(&self, now_us: u64, block: Duration) -> u64 {
        let block_us = block.as_micros() as f64;
        let allowed = (block_us * SHARE) as u64;
        let state = self.state.load(Ordering::Acquire);
        let (start, spent) = (state >> SPENT_BITS, state & SPENT_MASK);
        let is_same_block = now_us < start + (block_us * NEXT_BLOCK) as u64 && state != 0;
        if is_same_block { allowed.saturating_sub(spent) } else { allowed }
    }

    /// Takes down a wait of `waited_us` that began at `began_us`.
    pub fn spend(&self, began_us: u64, waited_us: u64, block: Duration) {
        let next_block = (block.as_micros() as f64 * NEXT_BLOCK) as u64;
        let add = |state: u64| {
            let (start, spent) = (state >> SPENT_BITS, state & SPENT_MASK);
            let is_same_block = began_us < start + next_block && state != 0;
            let (start, spent) = if is_same_block { (start, spent + waited_us) } else { (began_us, waited_us) };
            Some(start << SPENT_BITS | spent.min(SPENT_MASK))
        };
        // It tries again only if another instance has just got through.
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
        // A host may be a little early.
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
