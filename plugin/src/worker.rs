//! The worker's thread: it owns the network, decides rows in the order they are asked for, and sleeps between.

mod fault;
mod figures;
mod priority;
mod shipped;
mod song_memory;
mod weights;

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use continuo_model::generate::{Capabilities, Checkpoint as State, Network, Performer};

use crate::bridge::{Answer, CAPACITY, From, Request, Shared, Told, WorkerEnd};
use crate::frozen::FrozenTake;
use crate::params::Mode;
use crate::state::ChosenWeights;
use crate::takes::Takes;
use fault::Fault;
use figures::Durations;
pub use shipped::{SHIPPED, Shipped};
use song_memory::SongMemory;
pub use weights::EXTENSION;
use weights::{Loaded, NextWeights, load};

/// Rows that can be undone: more than the longest lookahead and the step that a note may be late by.
const NUM_CHECKPOINTS: usize = 64;
/// How long it sleeps at the most.
const IDLE: Duration = Duration::from_millis(200);
/// What the worker has to say, for people: read by the editor, never by the audio thread.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// The name of the weights that play, or empty.
    pub style: String,
    /// Their path as a project names it; another one than is chosen until the next bar, or where that is no use.
    pub path: String,
    /// What went wrong, in words, or empty.
    pub problem: String,
    /// What a player may want to know once, or empty.
    pub notice: String,
    /// What plays cannot harmonise: it plays alone, in turn with the player.
    pub plays_alone: bool,
}

impl Status {
    /// What went wrong or does not go in this mode, in words, or empty.
    pub fn problem_in(&self, mode: Mode) -> String {
        if self.problem.is_empty() && self.plays_alone && mode == Mode::Harmonise {
            let style = &self.style;
            return format!(
                "{style}: plays Continue, Respond and Free, and cannot harmonise; choose another mode or style"
            );
        }
        self.problem.clone()
    }
}

/// What the worker shares with the host's main thread and the editor; the audio thread touches none of it.
#[derive(Clone, Default)]
pub struct Desk {
    /// Which weights shall play. Another path here is followed at the next bar.
    pub weights: Arc<Mutex<ChosenWeights>>,
    /// What has gone out.
    pub takes: Arc<Mutex<Takes>>,
    /// The take that frozen voices play.
    pub frozen: Arc<Mutex<FrozenTake>>,
    /// What there is to say.
    pub status: Arc<Mutex<Status>>,
}

impl Desk {
    fn notice(&self, notice: String) {
        if let Ok(mut status) = self.status.lock() {
            status.notice = notice;
        }
    }

    fn say(&self, problem: String) {
        if let Ok(mut status) = self.status.lock() {
            status.problem = problem;
        }
    }

    /// Puts down what plays now. The status is never saved: no host holds its lock.
    fn put_down(&self, loaded: &Loaded) {
        if let Ok(mut status) = self.status.lock() {
            status.style.clone_from(&loaded.name);
            status.path.clone_from(&loaded.path);
            status.problem.clone_from(&loaded.problem);
            status.plays_alone = !loaded.performance.capabilities().harmonises;
        }
    }

    /// Completes the project's choice by the hash of what was read; `false` where the host holds it just now.
    fn keep_hash(&self, read: &ChosenWeights) -> bool {
        let Ok(mut weights) = self.weights.try_lock() else { return false };
        if weights.path == read.path {
            weights.hash.clone_from(&read.hash);
        }
        true
    }

    /// Hands another frozen take than the `last` to the audio thread.
    fn hand_over_frozen(&self, end: &mut WorkerEnd, last: &mut FrozenTake) {
        let Ok(frozen) = self.frozen.try_lock() else { return };
        if *frozen != *last && end.freeze(frozen.part()) {
            last.clone_from(&frozen);
        }
    }

    fn chosen(&self) -> ChosenWeights {
        self.weights.lock().map(|chosen| chosen.clone()).unwrap_or_default()
    }

    /// Writes what went out into the takes; later, where the host reads it just now.
    fn take_down(&self, end: &mut WorkerEnd) {
        let Ok(mut takes) = self.takes.try_lock() else { return };
        let mut count = 0;
        while let Some(told) = end.told() {
            count += 1;
            match told {
                Told::Began(beginning) => takes.begin(&beginning),
                Told::Changed(changed) => takes.change(&changed),
                Told::Looped(looped) => takes.come_round(&looped),
                Told::Played(played) => takes.add(&played),
                Told::Incomplete => takes.mark_incomplete(),
            }
        }
        drop(takes);
        end.took_down(count);
    }
}

/// A running worker; dropping it ends the thread and waits for it.
pub struct Worker {
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

impl Worker {
    /// Reads weights and starts the thread. It plays the chosen file if there is one and it is sound, else the shipped
    /// weights. Some ten milliseconds; when it returns, what is asked will be answered.
    pub fn start(mut end: WorkerEnd, desk: Desk) -> Self {
        let shared = end.shared.clone();
        // What a project has frozen plays from the first block on.
        let mut frozen = FrozenTake::default();
        desk.hand_over_frozen(&mut end, &mut frozen);
        let chosen = desk.chosen();
        let loaded = load(&chosen).or_else(|problem| {
            let shipped = load(&ChosenWeights::default())?;
            Ok(Loaded { problem, chosen, ..shipped })
        });
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(problem) => {
                desk.say(problem);
                return Self { thread: None, shared };
            }
        };
        loaded.performance.tell_lanes(&shared);
        shared.worker_runs.store(true, Ordering::Release);
        let spawned = std::thread::Builder::new().name("continuo worker".into()).spawn({
            let desk = desk.clone();
            move || run(end, loaded, &desk, frozen)
        });
        let thread = match spawned {
            Ok(thread) => Some(thread),
            Err(error) => {
                shared.worker_runs.store(false, Ordering::Release);
                desk.say(format!("no thread for the network ({error}); notes are passed through"));
                None
            }
        };
        Self { thread, shared }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // If it panicked, it has said so in the status and there is nothing left to end.
            let _ = thread.join();
        }
    }
}

/// Says that the worker is gone, however its thread ends.
struct Farewell<'a> {
    shared: Arc<Shared>,
    desk: &'a Desk,
}

impl Drop for Farewell<'_> {
    fn drop(&mut self) {
        self.shared.worker_runs.store(false, Ordering::Release);
        if std::thread::panicking() {
            self.desk.say("the network's thread has failed; notes are passed through".into());
        }
    }
}

fn run(mut end: WorkerEnd, loaded: Loaded, desk: &Desk, mut frozen: FrozenTake) {
    let _farewell = Farewell { shared: end.shared.clone(), desk };
    end.register();
    if let Err(notice) = priority::raise() {
        desk.notice(notice);
    }
    desk.put_down(&loaded);
    let mut next_weights = NextWeights::after(&loaded);
    let mut performance = loaded.performance;
    let mut retired = None;
    let mut last_step = 0;
    let mut waiting = VecDeque::with_capacity(CAPACITY);
    let mut fault = Fault::wished_for();
    while !end.shared.stop.load(Ordering::Acquire) {
        while let Some(request) = (waiting.len() < waiting.capacity()).then(|| end.request()).flatten() {
            waiting.push_back(request);
        }
        match waiting.pop_front() {
            // A chord's notes come one by one, and each asks anew for what the last one asked for.
            Some(request) if waiting.iter().any(|later| later.undo_from <= request.count) => {
                performance.prepare(&request)
            }
            Some(request) => {
                if request.begins_bar {
                    desk.hand_over_frozen(&mut end, &mut frozen);
                    // A worker that is never idle writes the take too.
                    desk.take_down(&mut end);
                    if let Some(loaded) = next_weights.take(desk) {
                        retired = Some(performance.hand_over_to(loaded.performance, request.step.step_idx));
                        performance.tell_lanes(&end.shared);
                    }
                }
                last_step = request.step.step_idx;
                let answer = performance.decide(&request);
                fault.strike();
                end.answer(answer);
                performance.publish(&request, &end.shared);
            }
            None => {
                desk.take_down(&mut end);
                desk.hand_over_frozen(&mut end, &mut frozen);
                next_weights.look(desk);
                // While nothing plays there is no bar to wait for.
                if !end.shared.time_runs.load(Ordering::Relaxed)
                    && let Some(loaded) = next_weights.take(desk)
                {
                    retired = Some(performance.hand_over_to(loaded.performance, last_step + 1));
                    performance.tell_lanes(&end.shared);
                }
                drop(retired.take());
                // An unpark between the pop and here is kept, and this returns at once. What goes out while nothing is
                // asked for is taken down a little later.
                std::thread::park_timeout(IDLE);
            }
        }
    }
}

/// A performer with the states that it can go back to.
struct Performance {
    performer: Box<dyn Performer>,
    song: SongMemory,
    /// In order of counts.
    checkpoints: Vec<Checkpoint>,
    /// States out of use, so that none is allocated while playing.
    spare: Vec<State>,
    started: Instant,
    steps: Durations,
    replies: Durations,
}

/// Where the performer stood before a step.
struct Checkpoint {
    count: i64,
    song_step: i64,
    state: State,
}

impl Performance {
    /// A performance at the start of a piece, with all the room that it needs.
    fn new(network: Arc<dyn Network>) -> Self {
        let performer = network.performer();
        let spare = (0..NUM_CHECKPOINTS).map(|_| performer.checkpoint()).collect();
        Self {
            song: SongMemory::new(&*performer),
            performer,
            checkpoints: Vec::with_capacity(NUM_CHECKPOINTS),
            spare,
            started: Instant::now(),
            steps: Durations::new(),
            replies: Durations::new(),
        }
    }

    /// Tells the audio thread which lanes may play.
    fn tell_lanes(&self, shared: &Shared) {
        shared.lanes.store(self.capabilities().lanes.bits(), Ordering::Relaxed);
    }

    fn capabilities(&self) -> Capabilities {
        self.performer.network().capabilities()
    }

    /// Lets another network go on from what stands before `song_step`, and returns the one that played till then. It hears
    /// the steps before; all else is there already.
    fn hand_over_to(&mut self, next: Self, song_step: i64) -> Self {
        let mut before = std::mem::replace(self, next);
        std::mem::swap(&mut self.steps, &mut before.steps);
        std::mem::swap(&mut self.replies, &mut before.replies);
        self.song.hear(&mut *self.performer, &before.song, song_step);
        before
    }

    fn decide(&mut self, request: &Request) -> Answer {
        self.started = Instant::now();
        self.prepare(request);
        if request.begins_bar {
            self.song.keep_state(request.step.step_idx, &*self.performer);
        }
        let decision = self.performer.decide(&request.step);
        self.song.keep_step(&request.step, &decision);
        Answer { id: request.id, decision }
    }

    /// Goes to where the step begins, and keeps a checkpoint there. Steps that a later request undoes anyway are
    /// prepared and not decided: what is decided in the end is the same as if they had been.
    fn prepare(&mut self, request: &Request) {
        self.undo_from(request.undo_from);
        match request.from {
            From::Here => {}
            From::Elsewhere => self.song.go_to(&mut *self.performer, request.step.step_idx),
            From::Nothing => {
                self.song.clear();
                self.performer.reset();
            }
        }
        self.keep_checkpoint(request.count, request.step.step_idx);
    }

    /// Goes back to before step `count`, if that or anything later has been decided.
    fn undo_from(&mut self, count: i64) {
        let keep = self.checkpoints.partition_point(|before| before.count < count);
        if let Some(checkpoint) = self.checkpoints.get(keep) {
            self.performer.restore(&checkpoint.state);
        }
        for undone in self.checkpoints.drain(keep..) {
            self.song.forget(undone.song_step);
            self.spare.push(undone.state);
        }
    }

    fn keep_checkpoint(&mut self, count: i64, song_step: i64) {
        if self.checkpoints.len() == NUM_CHECKPOINTS {
            let oldest = self.checkpoints.remove(0);
            self.spare.push(oldest.state);
        }
        let mut state = self.spare.pop().expect("there are as many states as checkpoints");
        self.performer.save(&mut state);
        self.checkpoints.push(Checkpoint { count, song_step, state });
    }

    fn publish(&mut self, request: &Request, shared: &Shared) {
        self.steps.add(self.started.elapsed());
        shared.step_p50_us.store(self.steps.percentile_us(0.5), Ordering::Relaxed);
        if let Some(asked) = request.asked {
            self.replies.add(asked.elapsed());
            shared.reply_p99_us.store(self.replies.percentile_us(0.99), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
