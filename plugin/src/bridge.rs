//! The bridge between the threads of an instance: requests and answers, events for the takes, frozen parts, snapshots,
//! and counters. No other file is shared by two threads. No end waits for another, except [`SavingEnd`].

mod saving;
mod shared;
pub mod snapshot;
mod told;

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::thread::Thread;
use std::time::Instant;

use continuo_model::decision::Decision;
use continuo_model::expression::Expression;
use continuo_model::generate::Step;

use crate::frozen::FrozenPart;
pub use saving::SavingEnd;
pub use shared::{Shared, last_progress, microseconds};
use snapshot::Snapshot;
pub use told::{Beginning, Changed, Looped, Played, TEMPO_RANGE_BPM, Told};

/// The most requests without an answer: about 128 s of 16ths at 120 beats a minute.
pub const CAPACITY: usize = 1024;
/// The most events for the takes that the worker has not recorded yet.
const TOLD_CAPACITY: usize = 16_384;

/// The most frozen parts on their way to the audio thread.
const NUM_FROZEN: usize = 4;

/// Which state a step continues from. If two are requested, the later variant wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The state after the previous decision.
    PreviousStep,
    /// The state before this step of the song, as far as the worker remembers it.
    SongMemory,
    /// The state at the start of a piece. The worker forgets all earlier decisions.
    PieceStart,
}

/// A step to decide.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Set by [`AudioEnd::ask`], which counts up. The answer has the same id.
    pub id: u64,
    /// Which state the step continues from.
    pub origin: Origin,
    /// The counted step: it counts on through loops and jumps.
    pub count: i64,
    /// The worker first undoes its decisions from this counted step on: `count`, or an earlier step that was decided
    /// and never played.
    pub undo_from: i64,
    /// The step to decide, with its position in the song.
    pub step: Step,
    /// How its notes are played. The performer never hears that.
    pub expression: Expression,
    /// Whether the step begins a bar.
    pub begins_bar: bool,
    /// If the step answers a played note, when the request was sent; for the figures of the status line.
    pub requested_at: Option<Instant>,
}

/// A decided step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// The id of the request.
    pub id: u64,
    /// The notes that start and end, as they play, and those that sound afterwards, as the model heard them.
    pub decision: Decision,
}

/// The audio thread's end.
pub struct AudioEnd {
    requests: rtrb::Producer<Request>,
    answers: rtrb::Consumer<Answer>,
    told: rtrb::Producer<Told>,
    frozen: rtrb::Consumer<Box<FrozenPart>>,
    spent: rtrb::Producer<Box<FrozenPart>>,
    snapshots: triple_buffer::Input<Snapshot>,
    /// The id of the last request; the first is 1.
    last_asked: u64,
    /// The id of the last answer that was read.
    last_answered: u64,
    worker: Arc<OnceLock<Thread>>,
    /// Whether there is a new request since the last wake-up of the worker.
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

/// A new bridge: its three ends.
pub fn new() -> (AudioEnd, WorkerEnd, EditorEnd) {
    let (ask, asked) = rtrb::RingBuffer::new(CAPACITY);
    let (answer, answered) = rtrb::RingBuffer::new(CAPACITY);
    let (tell, told) = rtrb::RingBuffer::new(TOLD_CAPACITY);
    let (freeze, frozen) = rtrb::RingBuffer::new(NUM_FROZEN);
    // One more: the audio thread keeps a part until it has the next one.
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
    /// Sends a request and returns its id; `None` if no worker runs, or if [`CAPACITY`] requests have no answer yet.
    /// Read the available answers first: that makes room.
    pub fn ask(&mut self, mut request: Request) -> Option<u64> {
        if !self.can_answer() {
            return None;
        }
        // Answers come in the order of requests, though not every request gets one. So the answers in the ring are at
        // most as many as the ids after `last_answered`: this limit keeps room for every answer.
        if self.last_asked - self.last_answered >= CAPACITY as u64 {
            return None;
        }
        request.id = self.last_asked + 1;
        self.requests.push(request).ok()?;
        self.last_asked = request.id;
        self.wakes = true;
        Some(request.id)
    }

    /// Wakes the worker if there is a new request. The audio thread calls it before a wait and at the end of a block,
    /// not for each request.
    pub fn wake(&mut self) {
        if std::mem::take(&mut self.wakes)
            && let Some(worker) = self.worker.get()
        {
            // A futex wake on Linux and the equivalent elsewhere: no lock.
            worker.unpark();
        }
    }

    /// The next answer, if there is one.
    pub fn answer(&mut self) -> Option<Answer> {
        let answer = self.answers.pop().ok()?;
        self.last_answered = answer.id;
        Some(answer)
    }

    /// Sends the worker an event for the takes. If the ring is full, the event is lost: the take lacks it.
    pub fn tell(&mut self, told: Told) {
        if self.told.push(told).is_ok() {
            self.shared.told.fetch_add(1, Ordering::Release);
        }
    }

    /// The next frozen part to play, if the worker has sent one.
    pub fn frozen_part(&mut self) -> Option<Box<FrozenPart>> {
        self.frozen.pop().ok()
    }

    /// Returns a frozen part to the worker, which frees it.
    pub fn give_back(&mut self, part: Box<FrozenPart>) {
        if let Err(rtrb::PushError::Full(part)) = self.spent.push(part) {
            // This ring holds as many parts as the worker can send.
            debug_assert!(false, "no room to return a frozen part");
            std::mem::forget(part);
        }
    }

    /// Publishes a snapshot for the editor, which reads the last complete one. Neither side waits.
    pub fn show(&mut self, fill: impl FnOnce(&mut Snapshot)) {
        fill(self.snapshots.input_buffer_mut());
        self.snapshots.publish();
    }

    /// Whether a worker runs, so that requests get answers.
    pub fn can_answer(&self) -> bool {
        self.shared.worker_runs.load(Ordering::Acquire)
    }
}

impl WorkerEnd {
    /// Makes the current thread the one that [`AudioEnd::wake`] wakes. The worker calls it once.
    pub fn register(&self) {
        self.worker.set(std::thread::current()).expect("a bridge has one worker");
    }

    /// The next request, if there is one.
    pub fn request(&mut self) -> Option<Request> {
        self.requests.pop().ok()
    }

    /// The next event for the takes, if there is one.
    pub fn told(&mut self) -> Option<Told> {
        self.told.pop().ok()
    }

    /// Counts events as recorded in the takes; [`SavingEnd`] waits for that.
    pub fn add_recorded(&self, count: u64) {
        self.shared.recorded.fetch_add(count, Ordering::Release);
    }

    /// Sends a frozen part to the audio thread and frees returned ones. `false` if the ring is full.
    pub fn freeze(&mut self, part: FrozenPart) -> bool {
        while self.spent.pop().is_ok() {}
        self.frozen.push(Box::new(part)).is_ok()
    }

    /// Answers a request, in the order of requests. [`AudioEnd::ask`] ensures that there is room.
    pub fn answer(&mut self, answer: Answer) {
        shared::note_progress();
        let has_room = self.answers.push(answer).is_ok();
        debug_assert!(has_room, "answer {}: no room", answer.id);
    }
}

impl EditorEnd {
    /// The snapshot of the last block.
    pub fn snapshot(&mut self) -> &Snapshot {
        self.snapshots.read()
    }

    /// Wakes the worker; see [`SavingEnd::wake_worker`].
    pub fn wake_worker(&self) {
        self.saving_end().wake_worker();
    }

    /// A new end for the host's main thread, which saves and loads the project.
    pub fn saving_end(&self) -> SavingEnd {
        SavingEnd::new(self.worker.clone(), self.shared.clone())
    }
}

#[cfg(test)]
mod tests;
