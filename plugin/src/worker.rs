//! The worker thread of an instance. It owns the network, decides steps in the order of requests, and sleeps in
//! between.

mod device;
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

use continuo_model::generate::{Capabilities, Checkpoint as State, Hearing, Network, Performer};

use crate::bridge::{Answer, CAPACITY, Origin, Request, Shared, Told, WorkerEnd};
use crate::frozen::FrozenTake;
use crate::params::Mode;
use crate::state::ChosenWeights;
use crate::takes::Takes;
pub use device::ChosenDevice;
use device::Devices;
use fault::Fault;
use figures::Durations;
pub use shipped::{SHIPPED, Shipped};
use song_memory::SongMemory;
pub use weights::is_weights_file;
use weights::{Loaded, NextWeights, load};

/// How many steps can be undone: more than the longest lookahead and the step by which a note may be late.
const NUM_CHECKPOINTS: usize = 64;
/// The longest sleep.
const IDLE: Duration = Duration::from_millis(200);

/// What the worker reports to the player. The editor reads it, the audio thread never does.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// The name of the weights that play; empty if none do.
    pub style: String,
    /// Their path in the form of [`ChosenWeights::path`]. It differs from the chosen path until the next bar, or if the
    /// chosen file cannot be used.
    pub path: String,
    /// The last problem; empty if there is none.
    pub problem: String,
    /// A hint for the player; empty if there is none.
    pub notice: String,
    /// Whether the weights cannot harmonise, but only take turns with the player.
    pub plays_alone: bool,
    /// The device on which the network runs; empty if none does.
    pub device: String,
    /// Why it is not the chosen one; empty if it is.
    pub device_notice: String,
}

impl Status {
    /// The last problem, or else why the weights cannot play in this mode; empty if they can.
    pub fn problem_in(&self, mode: Mode) -> String {
        if self.problem.is_empty() && self.plays_alone && mode.plays_along() {
            let style = &self.style;
            return format!(
                "{style}: plays Continue, Respond and Free, and cannot harmonise or accompany; choose another mode or \
                 style"
            );
        }
        self.problem.clone()
    }
}

/// What the worker shares with the host's main thread and the editor, behind locks. The audio thread has no access.
#[derive(Clone, Default)]
pub struct WorkerShared {
    /// The chosen weights. The worker loads a new choice and plays it from the next bar.
    pub weights: Arc<Mutex<ChosenWeights>>,
    /// The recorded notes.
    pub takes: Arc<Mutex<Takes>>,
    /// The take that frozen voices play.
    pub frozen: Arc<Mutex<FrozenTake>>,
    /// What the worker reports to the player.
    pub status: Arc<Mutex<Status>>,
    /// The device on which the network should run.
    pub device: ChosenDevice,
}

impl WorkerShared {
    fn set_notice(&self, notice: String) {
        if let Ok(mut status) = self.status.lock() {
            status.notice = notice;
        }
    }

    fn set_device(&self, device: &str, notice: String) {
        if let Ok(mut status) = self.status.lock() {
            (status.device, status.device_notice) = (device.into(), notice);
        }
    }

    fn set_problem(&self, problem: String) {
        if let Ok(mut status) = self.status.lock() {
            status.problem = problem;
        }
    }

    /// Reports what plays now. No host holds the lock of the status for long, as the status is not saved.
    fn set_playing(&self, loaded: &Loaded) {
        if let Ok(mut status) = self.status.lock() {
            status.style.clone_from(&loaded.name);
            status.path.clone_from(&loaded.path);
            status.problem.clone_from(&loaded.problem);
            status.plays_alone = !loaded.performance.capabilities.harmonises;
        }
    }

    /// Adds the hash of the file to the project's choice. `false` if another thread holds the lock.
    fn keep_hash(&self, read: &ChosenWeights) -> bool {
        let Ok(mut weights) = self.weights.try_lock() else { return false };
        if weights.path == read.path {
            weights.hash.clone_from(&read.hash);
        }
        true
    }

    /// Sends the frozen take to the audio thread if it is not the `last` one. If another thread holds the lock, the
    /// next call does.
    fn send_frozen(&self, end: &mut WorkerEnd, last: &mut FrozenTake) {
        let Ok(frozen) = self.frozen.try_lock() else { return };
        if *frozen != *last && end.freeze(frozen.part()) {
            last.clone_from(&frozen);
        }
    }

    fn chosen_weights(&self) -> ChosenWeights {
        self.weights.lock().map(|chosen| chosen.clone()).unwrap_or_default()
    }

    /// Records the audio thread's events in the takes. If another thread holds the lock, the next call does.
    fn record_takes(&self, end: &mut WorkerEnd) {
        let Ok(mut takes) = self.takes.try_lock() else { return };
        let mut count = 0;
        while let Some(told) = end.told() {
            count += 1;
            match told {
                Told::Began(beginning) => takes.begin(&beginning),
                Told::Changed(changed) => takes.change(&changed),
                Told::Looped(looped) => takes.wrap_loop(&looped),
                Told::Played(played) => takes.add(&played),
                Told::Incomplete => takes.mark_incomplete(),
            }
        }
        drop(takes);
        end.add_recorded(count);
    }
}

/// A running worker. Dropping it ends the thread.
pub struct Worker {
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

impl Worker {
    /// Loads the weights, which takes some ten milliseconds, and starts the thread. If the chosen weights cannot be
    /// used, the first shipped ones play. When it returns, requests get answers.
    pub fn start(mut end: WorkerEnd, worker_shared: WorkerShared) -> Self {
        let shared = end.shared.clone();
        // A project's frozen take plays from the first block on.
        let mut frozen = FrozenTake::default();
        worker_shared.send_frozen(&mut end, &mut frozen);
        let chosen = worker_shared.chosen_weights();
        let loaded = load(&chosen).or_else(|problem| {
            let shipped = load(&ChosenWeights::default())?;
            Ok(Loaded { problem, chosen, ..shipped })
        });
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(problem) => {
                worker_shared.set_problem(problem);
                return Self { thread: None, shared };
            }
        };
        loaded.performance.publish_lanes(&shared);
        shared.worker_runs.store(true, Ordering::Release);
        let spawned = std::thread::Builder::new().name("continuo worker".into()).spawn({
            let worker_shared = worker_shared.clone();
            move || run(end, loaded, &worker_shared, frozen)
        });
        let thread = match spawned {
            Ok(thread) => Some(thread),
            Err(error) => {
                shared.worker_runs.store(false, Ordering::Release);
                worker_shared.set_problem(format!("cannot start the network's thread ({error}); notes pass through"));
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
            // If the thread panicked, `Farewell` has reported it.
            let _ = thread.join();
        }
    }
}

/// Marks the worker as ended when its thread ends, even in a panic.
struct Farewell<'a> {
    shared: Arc<Shared>,
    worker_shared: &'a WorkerShared,
}

impl Drop for Farewell<'_> {
    fn drop(&mut self) {
        self.shared.worker_runs.store(false, Ordering::Release);
        if std::thread::panicking() {
            self.worker_shared.set_problem("the network's thread has failed; notes pass through".into());
        }
    }
}

fn run(mut end: WorkerEnd, loaded: Loaded, worker_shared: &WorkerShared, mut frozen: FrozenTake) {
    let _farewell = Farewell { shared: end.shared.clone(), worker_shared };
    end.register();
    if let Err(notice) = priority::raise() {
        worker_shared.set_notice(notice);
    }
    worker_shared.set_playing(&loaded);
    let mut next_weights = NextWeights::after(&loaded);
    let mut devices = Devices::new(worker_shared.device.clone());
    let mut performance = loaded.performance;
    let mut retired = None;
    let mut last_step = 0;
    let mut waiting = VecDeque::with_capacity(CAPACITY);
    let mut fault = Fault::from_environment();
    while !end.shared.stop.load(Ordering::Acquire) {
        while let Some(request) = (waiting.len() < waiting.capacity()).then(|| end.request()).flatten() {
            waiting.push_back(request);
        }
        match waiting.pop_front() {
            // A later request undoes this step. The notes of a chord arrive one by one, and each requests the same
            // steps again.
            Some(request) if waiting.iter().any(|later| later.undo_from <= request.count) => {
                performance.prepare(&request)
            }
            Some(request) => {
                if request.begins_bar {
                    worker_shared.send_frozen(&mut end, &mut frozen);
                    // Even a worker that is never idle records takes.
                    worker_shared.record_takes(&mut end);
                    if let Some(loaded) = next_weights.take(worker_shared) {
                        retired = Some(performance.hand_over_to(loaded.performance, request.step.step_idx));
                        performance.publish_lanes(&end.shared);
                    }
                }
                last_step = request.step.step_idx;
                let answer = performance.decide(&request);
                fault.strike();
                end.answer(answer);
                performance.publish(&request, &end.shared);
            }
            None => {
                worker_shared.record_takes(&mut end);
                worker_shared.send_frozen(&mut end, &mut frozen);
                next_weights.look(worker_shared);
                // While time stands still, new weights do not wait for a bar.
                if !end.shared.time_runs.load(Ordering::Relaxed)
                    && let Some(loaded) = next_weights.take(worker_shared)
                {
                    retired = Some(performance.hand_over_to(loaded.performance, last_step + 1));
                    performance.publish_lanes(&end.shared);
                }
                devices.follow(&mut performance, worker_shared);
                drop(retired.take());
                // After an unpark since the last pop, this returns at once. Events without a request wait for the
                // timeout.
                std::thread::park_timeout(IDLE);
            }
        }
    }
}

/// A performer and the earlier states to which it can return.
struct Performance {
    network: Arc<dyn Network>,
    performer: Box<dyn Performer>,
    capabilities: Capabilities,
    song: SongMemory,
    /// In order of counted steps.
    checkpoints: Vec<Checkpoint>,
    /// Unused states: they avoid allocation while playing.
    spare: Vec<State>,
    started: Instant,
    steps: Durations,
    replies: Durations,
}

/// The performer's state before a step.
struct Checkpoint {
    count: i64,
    song_step: i64,
    state: State,
}

impl Performance {
    /// A performance at the start of a piece. Allocates everything that it needs.
    fn new(network: Arc<dyn Network>) -> Self {
        let performer = network.clone().performer();
        let spare = (0..NUM_CHECKPOINTS).map(|_| performer.checkpoint()).collect();
        Self {
            network,
            song: SongMemory::new(&*performer),
            capabilities: performer.network().capabilities(),
            performer,
            checkpoints: Vec::with_capacity(NUM_CHECKPOINTS),
            spare,
            started: Instant::now(),
            steps: Durations::new(),
            replies: Durations::new(),
        }
    }

    /// Publishes the lanes that the weights can play, for the audio thread.
    fn publish_lanes(&self, shared: &Shared) {
        shared.lanes.store(self.capabilities.lanes.bits(), Ordering::Relaxed);
        shared.hears_notes.store(self.capabilities.hears == Hearing::Notes, Ordering::Relaxed);
    }

    /// Replaces the performance by `next`, which hears the steps before `song_step` and continues from there. Returns
    /// the old one.
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
        // The performer goes on from what it decided, so expression changes no note.
        let decision = request.expression.apply(&decision, &request.step, &self.capabilities);
        Answer { id: request.id, decision }
    }

    /// Restores the state that the step continues from and saves a checkpoint. A step that a later request undoes is
    /// only prepared: the outcome is the same as if it were decided.
    fn prepare(&mut self, request: &Request) {
        self.undo_from(request.undo_from);
        match request.origin {
            Origin::PreviousStep => {}
            Origin::SongMemory => self.song.go_to(&mut *self.performer, request.step.step_idx),
            Origin::PieceStart => {
                self.song.clear();
                self.performer.reset();
            }
        }
        self.keep_checkpoint(request.count, request.step.step_idx);
    }

    /// Restores the state before the counted step `count`, if that step or a later one has been decided.
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
        if let Some(requested_at) = request.requested_at {
            self.replies.add(requested_at.elapsed());
            shared.reply_p99_us.store(self.replies.percentile_us(0.99), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
