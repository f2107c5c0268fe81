//! The only file that both threads use: what the audio thread asks, what the worker answers, and the counters that
//! anyone may read. Neither end ever waits for the other here.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::Thread;
use std::time::Instant;

use atomic_float::AtomicF32;
use continuo_model::generate::Step;
use continuo_model::tokeniser::grid::NUM_VOICES;
use continuo_model::vocabulary::Symbol;
use crossbeam::utils::CachePadded;

/// Requests under way at the most: some 16 s of music at 16 steps of lookahead and 120 beats a minute, however
/// late the worker is.
const CAPACITY: usize = 1024;

/// What a row goes on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// What was decided before it.
    Here,
    /// What was decided before it, but at another place in time: nothing of that can be undone by its step.
    Elsewhere,
    /// Nothing: it is the first of a piece.
    Nothing,
}

/// One row of the grid to decide.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Counts up; the answer carries it.
    pub id: u64,
    /// What it goes on from.
    pub from: From,
    /// The row. What was decided for this step or later ones is undone first.
    pub step: Step,
    /// When it was asked, if it answers a note: for the figures.
    pub asked: Option<Instant>,
}

/// A decided row.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// The request's.
    pub id: u64,
    /// What each voice does.
    pub row: [Symbol; NUM_VOICES],
    /// What each voice sounds then, as the network heard it.
    pub sounding: [Option<u8>; NUM_VOICES],
}

/// Counters and flags, written by one thread, read by any.
#[derive(Default)]
pub struct Shared {
    /// The worker's thread has ended, or never began: nothing will be answered. Spun on, so it has a cache line of its own.
    pub worker_gone: CachePadded<AtomicBool>,
    /// Rows that were not there when they were due.
    pub misses: AtomicU64,
    /// Events that the host's output queue would not take.
    pub refused: AtomicU64,
    /// Median time to decide a row, microseconds.
    pub step_p50_us: AtomicF32,
    /// 99th percentile of the time from a played note to its decided answer, microseconds.
    pub reply_p99_us: AtomicF32,
    /// Asks the worker to end.
    pub stop: AtomicBool,
}

/// The audio thread's end.
pub struct AudioEnd {
    requests: rtrb::Producer<Request>,
    answers: rtrb::Consumer<Answer>,
    worker: Arc<OnceLock<Thread>>,
    /// Counters and flags.
    pub shared: Arc<Shared>,
}

/// The worker's end.
pub struct WorkerEnd {
    requests: rtrb::Consumer<Request>,
    answers: rtrb::Producer<Answer>,
    worker: Arc<OnceLock<Thread>>,
    /// Counters and flags.
    pub shared: Arc<Shared>,
}

/// A pair of ends.
pub fn new() -> (AudioEnd, WorkerEnd) {
    let (ask, asked) = rtrb::RingBuffer::new(CAPACITY);
    let (answer, answered) = rtrb::RingBuffer::new(CAPACITY);
    let (worker, shared) = (Arc::new(OnceLock::new()), Arc::new(Shared::default()));
    (
        AudioEnd { requests: ask, answers: answered, worker: worker.clone(), shared: shared.clone() },
        WorkerEnd { requests: asked, answers: answer, worker, shared },
    )
}

impl AudioEnd {
    /// Asks; `false` if too many requests are under way.
    pub fn ask(&mut self, request: Request) -> bool {
        let taken = self.requests.push(request).is_ok();
        if let Some(worker) = self.worker.get() {
            // A futex wake on Linux, its like elsewhere: no lock.
            worker.unpark();
        }
        taken
    }

    /// The next answer, if there is one.
    pub fn answer(&mut self) -> Option<Answer> {
        self.answers.pop().ok()
    }

    /// Whether waiting for an answer makes sense.
    pub fn can_answer(&self) -> bool {
        !self.shared.worker_gone.load(Ordering::Acquire)
    }
}

impl WorkerEnd {
    /// Called once, from the worker's thread.
    pub fn register(&self) {
        self.worker.set(std::thread::current()).expect("a bridge has one worker");
    }

    /// The next request, if there is one.
    pub fn request(&mut self) -> Option<Request> {
        self.requests.pop().ok()
    }

    /// Answers. The audio thread takes answers at every block and requests are as few as answers, so there is
    /// always room; if it has stopped for good, nobody misses the answer.
    pub fn answer(&mut self, answer: Answer) {
        let _ = self.answers.push(answer);
    }
}
