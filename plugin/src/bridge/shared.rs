//! What any thread may read: the counters and flags of an instance, and the progress of all workers of the process.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::time::Instant;

use atomic_float::AtomicF32;
use crossbeam::utils::CachePadded;

/// When a worker of this process last finished a step, in the time of [`microseconds`].
static LAST_PROGRESS: AtomicU64 = AtomicU64::new(0);

/// Microseconds from a fixed moment of this process to `now`, at least 1. The first call fixes the moment, so call it
/// once before audio runs.
pub fn microseconds(now: Instant) -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    now.saturating_duration_since(*START.get_or_init(|| now)).as_micros() as u64 + 1
}

/// When a worker of this process last finished a step, in the time of [`microseconds`]; 0 if none has.
pub fn last_progress() -> u64 {
    LAST_PROGRESS.load(Ordering::Acquire)
}

/// Sets [`last_progress`] to now.
pub(super) fn note_progress() {
    LAST_PROGRESS.fetch_max(microseconds(Instant::now()), Ordering::AcqRel);
}

/// Counters and flags of an instance. One thread writes each, any thread reads it.
#[derive(Default)]
pub struct Shared {
    /// Whether the worker's thread runs, so that requests get answers. The audio thread reads it in a waiting loop, so
    /// it has its own cache line.
    pub worker_runs: CachePadded<AtomicBool>,
    /// Whether the host's transport runs without a valid tempo or without a moving position.
    pub host_without_time: AtomicBool,
    /// How many decisions have fallen due, in time or not.
    pub due: AtomicU64,
    /// How many decisions came late and were played at once.
    pub late: AtomicU64,
    /// The largest delay of a late decision, milliseconds.
    pub latest_ms: AtomicF32,
    /// The length of the longest recent block, milliseconds.
    pub block_ms: AtomicF32,
    /// How many decisions came too late to be played, or never.
    pub misses: AtomicU64,
    /// Whether time runs: the host's or free-running time.
    pub time_runs: AtomicBool,
    /// Whether the player plays all four voices in Harmonise, so that the plugin adds nothing.
    pub plays_all_voices: AtomicBool,
    /// Whether `process` has panicked, so that the plugin only passes notes through.
    pub has_failed: AtomicBool,
    /// Whether a render lacks notes, because no worker of the process finished a step for two seconds.
    pub render_failed: AtomicBool,
    /// How many events for the takes the audio thread has sent.
    pub told: AtomicU64,
    /// How many of them the worker has recorded.
    pub recorded: AtomicU64,
    /// How many events the host's output queue has refused.
    pub refused: AtomicU64,
    /// The median time to decide a step, microseconds.
    pub step_p50_us: AtomicF32,
    /// The 99th percentile of the time from a played note to its decided answer, microseconds.
    pub reply_p99_us: AtomicF32,
    /// The lanes that the weights can play, as bits.
    pub lanes: AtomicU16,
    /// Whether the weights hear notes, with ticks, instead of voices on the grid.
    pub hears_notes: AtomicBool,
    /// Set to end the worker.
    pub stop: AtomicBool,
}
