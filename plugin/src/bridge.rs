//! The only file that both threads use: what the audio thread asks, what the worker answers, and the counters that
//! anyone may read. Neither end ever waits for the other here.

mod saving;
pub mod snapshot;
mod told;

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::thread::Thread;
use std::time::Instant;

use atomic_float::AtomicF32;
use continuo_model::decision::Decision;
use continuo_model::generate::Step;
use crossbeam::utils::CachePadded;

use crate::frozen::FrozenPart;
pub use saving::SavingEnd;
use snapshot::Snapshot;
pub use told::{Beginning, Changed, Looped, Played, Told};

/// Requests under way at the most: some 16 s of music at 16 steps of lookahead and 120 beats a minute, however
/// late the worker is.
pub const CAPACITY: usize = 1024;
/// Notes that went out and have not been taken down yet, at the most.
const PLAYED_CAPACITY: usize = 16_384;

/// Frozen parts under way at the most.
const NUM_FROZEN: usize = 4;

/// What a row goes on from; of two, the later one is the stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum From {
    /// What was decided before it.
    Here,
    /// What was decided for the song's steps before it, as far as that is remembered.
    Elsewhere,
    /// Nothing: it is the first of a piece, and what was decided before is forgotten.
    Nothing,
}

/// One row of the grid to decide.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Counts up, given by [`AudioEnd::ask`]; the answer carries it.
    pub id: u64,
    /// What it goes on from.
    pub from: From,
    /// Which row it is, counted on through loops and jumps.
    pub count: i64,
    /// What was decided for this row or later ones is undone first: the row itself, or an earlier one that was never
    /// played.
    pub undo_from: i64,
    /// What to decide; its step is the song's.
    pub step: Step,
    /// The step begins a bar.
    pub begins_bar: bool,
    /// When it was asked, if it answers a note: for the figures.
    pub asked: Option<Instant>,
}

/// A decided step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// The request's.
    pub id: u64,
    /// What starts and ends, and what sounds then, as the model heard it.
    pub decision: Decision,
}

/// When a worker of this process finished a step last, microseconds as [`microseconds`] counts them.
static LAST_PROGRESS: AtomicU64 = AtomicU64::new(0);

/// Microseconds from a fixed moment of this process to `now`, at least 1. Call it once before audio runs: the first
/// call fixes the moment.
pub fn microseconds(now: Instant) -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    now.saturating_duration_since(*START.get_or_init(|| now)).as_micros() as u64 + 1
}

/// When a worker of this process finished a step last, or 0.
pub fn last_progress() -> u64 {
    LAST_PROGRESS.load(Ordering::Acquire)
}

/// Counters and flags, written by one thread, read by any.
#[derive(Default)]
pub struct Shared {
    /// The worker's thread has begun and not ended: what is asked will be answered. It is read in a waiting loop, so it
    /// has a cache line of its own.
    pub worker_runs: CachePadded<AtomicBool>,
    /// The host's transport runs without a tempo that is one, or without a position that moves.
    pub host_without_time: AtomicBool,
    /// Decisions that have been due, whether or not they were there.
    pub due: AtomicU64,
    /// Decisions that came after they were due and were played at once.
    pub late: AtomicU64,
    /// The most by which a decision was late, milliseconds.
    pub latest_ms: AtomicF32,
    /// The longest block of late, milliseconds.
    pub block_ms: AtomicF32,
    /// Decisions that came too late to be played, or never.
    pub misses: AtomicU64,
    /// Time runs, the host's or the plugin's own.
    pub time_runs: AtomicBool,
    /// The player plays all four voices of Harmonise, so that nothing is added.
    pub plays_all_voices: AtomicBool,
    /// `process` has panicked: notes are passed through.
    pub has_failed: AtomicBool,
    /// A render was given up: no worker of the process finished a step for two seconds.
    pub render_failed: AtomicBool,
    /// What has been told for the takes, and how much of it has been taken down.
    pub told: AtomicU64,
    /// See `told`.
    pub taken_down: AtomicU64,
    /// Events that the host's output queue would not take.
    pub refused: AtomicU64,
    /// Median time to decide a row, microseconds.
    pub step_p50_us: AtomicF32,
    /// 99th percentile of the time from a played note to its decided answer, microseconds.
    pub reply_p99_us: AtomicF32,
    /// The lanes that the weights may play, as bits.
    pub lanes: AtomicU16,
    /// Asks the worker to end.
    pub stop: AtomicBool,
}

/// The audio thread's end.
pub struct AudioEnd {
    requests: rtrb::Producer<Request>,
    answers: rtrb::Consumer<Answer>,
    told: rtrb::Producer<Told>,
    frozen: rtrb::Consumer<Box<FrozenPart>>,
    spent: rtrb::Producer<Box<FrozenPart>>,
    snapshots: triple_buffer::Input<Snapshot>,
    /// Number of the last request that was taken; they count up from 1.
    last_asked: u64,
    /// Number of the last request that has been answered.
    last_answered: u64,
    worker: Arc<OnceLock<Thread>>,
    /// Something has been asked since the worker was woken last.
    wakes: bool,
    /// Counters and flags.
    pub shared: Arc<Shared>,
}

/// The worker's end.
pub struct WorkerEnd {
    requests: rtrb::Consumer<Request>,
    answers: rtrb::Producer<Answer>,
    told: rtrb::Consumer<Told>,
    frozen: rtrb::Producer<Box<FrozenPart>>,
    spent: rtrb::Consumer<Box<FrozenPart>>,
    worker: Arc<OnceLock<Thread>>,
    /// Counters and flags.
    pub shared: Arc<Shared>,
}

/// The editor's end.
pub struct EditorEnd {
    snapshots: triple_buffer::Output<Snapshot>,
    worker: Arc<OnceLock<Thread>>,
    /// Counters and flags.
    pub shared: Arc<Shared>,
}

/// The three ends.
pub fn new() -> (AudioEnd, WorkerEnd, EditorEnd) {
    let (ask, asked) = rtrb::RingBuffer::new(CAPACITY);
    let (answer, answered) = rtrb::RingBuffer::new(CAPACITY);
    let (tell, told) = rtrb::RingBuffer::new(PLAYED_CAPACITY);
    let (freeze, frozen) = rtrb::RingBuffer::new(NUM_FROZEN);
    // One is kept by the audio thread, and another comes in its place before it goes back.
    let (give_back, given_back) = rtrb::RingBuffer::new(NUM_FROZEN + 1);
    let (snap, snapped) = triple_buffer::triple_buffer(&Snapshot::default());
    let (worker, shared) = (Arc::new(OnceLock::new()), Arc::new(Shared::default()));
    (
        AudioEnd {
            requests: ask,
            answers: answered,
            told: tell,
            frozen,
            spent: give_back,
            snapshots: snap,
            last_asked: 0,
            last_answered: 0,
            wakes: false,
            worker: worker.clone(),
            shared: shared.clone(),
        },
        WorkerEnd {
            requests: asked,
            answers: answer,
            told,
            frozen: freeze,
            spent: given_back,
            worker: worker.clone(),
            shared: shared.clone(),
        },
        EditorEnd { snapshots: snapped, worker, shared },
    )
}

impl AudioEnd {
    /// Asks, and returns the number that the request was given; `None` if there is nobody to answer or too many are
    /// under way. Take the answers that are there first: they make room.
    pub fn ask(&mut self, mut request: Request) -> Option<u64> {
        if !self.can_answer() {
            return None;
        }
        // Answers come in the order of requests, and not every request has one: so no more answers are in their ring
        // than numbers lie behind the last that was taken out of it, and these never are more than it has room for.
        if self.last_asked - self.last_answered >= CAPACITY as u64 {
            return None;
        }
        request.id = self.last_asked + 1;
        self.requests.push(request).ok()?;
        self.last_asked = request.id;
        self.wakes = true;
        Some(request.id)
    }

    /// Wakes the worker if something has been asked since the last time. Called before a wait and at a block's end: not
    /// for each of many requests.
    pub fn wake(&mut self) {
        if std::mem::take(&mut self.wakes)
            && let Some(worker) = self.worker.get()
        {
            // A futex wake on Linux, its like elsewhere: no lock.
            worker.unpark();
        }
    }

    /// The next answer, if there is one.
    pub fn answer(&mut self) -> Option<Answer> {
        let answer = self.answers.pop().ok()?;
        self.last_answered = answer.id;
        Some(answer)
    }

    /// Tells what went out. Where the worker is too late to take it, it is missing from the take.
    pub fn tell(&mut self, told: Told) {
        if self.told.push(told).is_ok() {
            self.shared.told.fetch_add(1, Ordering::Release);
        }
    }

    /// The next frozen part to play, if there is one.
    pub fn frozen_part(&mut self) -> Option<Box<FrozenPart>> {
        self.frozen.pop().ok()
    }

    /// Gives a frozen part back to be freed.
    pub fn give_back(&mut self, part: Box<FrozenPart>) {
        if let Err(rtrb::PushError::Full(part)) = self.spent.push(part) {
            // The worker hands out no more than it has room to take back.
            debug_assert!(false, "expected room for a spent part, got none");
            std::mem::forget(part);
        }
    }

    /// Shows the editor where the music stands. Neither waits: it sees the last one that was finished.
    pub fn show(&mut self, fill: impl FnOnce(&mut Snapshot)) {
        fill(self.snapshots.input_buffer_mut());
        self.snapshots.publish();
    }

    /// Whether waiting for an answer makes sense.
    pub fn can_answer(&self) -> bool {
        self.shared.worker_runs.load(Ordering::Acquire)
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

    /// The next thing to take down, if there is one.
    pub fn told(&mut self) -> Option<Told> {
        self.told.pop().ok()
    }

    /// Says that this many of what was told have been taken down.
    pub fn took_down(&self, count: u64) {
        self.shared.taken_down.fetch_add(count, Ordering::Release);
    }

    /// Hands a frozen part to the audio thread, and frees those that have come back; `false` if too many are under way.
    pub fn freeze(&mut self, part: FrozenPart) -> bool {
        while self.spent.pop().is_ok() {}
        self.frozen.push(Box::new(part)).is_ok()
    }

    /// Answers a request, in the order of requests. There is always room, as [`AudioEnd::ask`] sees to.
    pub fn answer(&mut self, answer: Answer) {
        LAST_PROGRESS.fetch_max(microseconds(Instant::now()), Ordering::AcqRel);
        let taken = self.answers.push(answer).is_ok();
        debug_assert!(taken, "answer {}: expected room for it, got none", answer.id);
    }
}

impl EditorEnd {
    /// Where the music stands, as of the last block.
    pub fn snapshot(&mut self) -> &Snapshot {
        self.snapshots.read()
    }

    /// Has the worker take down now what went out, instead of when it next wakes.
    pub fn wake_worker(&self) {
        self.saving_end().wake_worker();
    }

    /// The same way to the worker for whoever saves the project.
    pub fn saving_end(&self) -> SavingEnd {
        SavingEnd::new(self.worker.clone(), self.shared.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_model::decision::Edge;
    use continuo_model::generate::StepSettings;

    fn request(id: u64) -> Request {
        let settings = StepSettings { rng_seed: id, pass: id, ..StepSettings::default() };
        let step = Step { step_idx: id as i64, settings, ..Step::default() };
        let count = id as i64;
        Request { id, from: From::Here, count, undo_from: count, step, begins_bar: false, asked: None }
    }

    /// The ends of a bridge whose worker runs.
    fn running() -> (AudioEnd, WorkerEnd, EditorEnd) {
        let ends = new();
        ends.1.shared.worker_runs.store(true, Ordering::Release);
        ends
    }

    #[test]
    fn without_a_worker_nothing_is_asked() {
        let (mut audio, mut worker, _) = new();
        assert_eq!((audio.ask(request(0)), worker.request().is_none()), (None, true));
    }

    #[test]
    fn nothing_is_lost_torn_or_out_of_order_between_two_threads() {
        const COUNT: u64 = 200_000;
        let (mut audio, mut worker, _) = running();
        let answering = std::thread::spawn(move || {
            worker.register();
            for expected in 1..=COUNT {
                let request = loop {
                    match worker.request() {
                        Some(request) => break request,
                        None => std::thread::park_timeout(std::time::Duration::from_millis(1)),
                    }
                };
                assert_eq!((request.id, request.count), (expected, expected as i64));
                assert_eq!((request.step.settings.rng_seed, request.step.settings.pass), (expected, expected));
                let key = (expected % 128) as u8;
                let mut decision = Decision::SILENCE;
                decision.push(Edge::On { lane: 3, key, velocity: 0, tick: 0 });
                worker.answer(Answer { id: expected, decision });
            }
        });
        let (mut asked, mut answered) = (0, 0);
        while answered < COUNT {
            let ended = answering.is_finished();
            // What is refused is asked again once there is room.
            if asked < COUNT && audio.ask(request(asked + 1)).is_some() {
                asked += 1;
            }
            audio.wake();
            while let Some(answer) = audio.answer() {
                answered += 1;
                let key = (answered % 128) as u8;
                let started: Vec<u8> = answer.decision.starts(3).collect();
                let sounds = answer.decision.sounding.contains(3, key);
                assert_eq!((answer.id, started, sounds), (answered, vec![key], true));
            }
            assert!(!ended || answered == COUNT, "the worker's end gave up after {answered} answers");
        }
        answering.join().unwrap();
    }

    #[test]
    fn a_full_bridge_refuses_and_keeps_what_it_has() {
        let (mut audio, mut worker, _) = running();
        let mut fill = || (0..CAPACITY as u64 + 10).filter_map(|id| audio.ask(request(id))).count();
        assert_eq!(fill(), CAPACITY);
        let requests: Vec<Request> = std::iter::from_fn(|| worker.request()).collect();
        assert_eq!(requests.len(), CAPACITY);
        for request in &requests {
            worker.answer(Answer { id: request.id, decision: Decision::SILENCE });
        }
        // All requests are gone, but their answers fill the other ring: whatever was taken now could not be answered.
        assert_eq!(fill(), 0);
        let answers: Vec<u64> = std::iter::from_fn(|| audio.answer()).map(|answer| answer.id).collect();
        assert!(answers.iter().copied().eq(1..=CAPACITY as u64), "answers were lost: {}", answers.len());
        assert_eq!(audio.ask(request(0)), Some(CAPACITY as u64 + 1));
    }

    #[test]
    fn requests_without_an_answer_take_no_room_for_good() {
        let (mut audio, mut worker, _) = running();
        for _ in 0..10 {
            while audio.ask(request(0)).is_some() {}
            // The worker answers the last of many that undo each other.
            let last = std::iter::from_fn(|| worker.request()).last().expect("it was asked");
            worker.answer(Answer { id: last.id, decision: Decision::SILENCE });
            assert!(audio.answer().is_some());
        }
    }
}
