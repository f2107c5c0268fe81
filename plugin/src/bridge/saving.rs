//! The bridge's end for the host's main thread, which saves and loads the project.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::{Duration, Instant};

use super::Shared;

/// Wakes the worker, and waits until it has recorded the takes.
#[derive(Clone)]
pub struct SavingEnd {
    worker: Arc<OnceLock<Thread>>,
    shared: Arc<Shared>,
}

impl SavingEnd {
    pub(super) fn new(worker: Arc<OnceLock<Thread>>, shared: Arc<Shared>) -> Self {
        Self { worker, shared }
    }

    /// Wakes the worker, which records events in the takes, and looks for newly chosen weights and a new frozen take.
    pub fn wake_worker(&self) {
        if let Some(worker) = self.worker.get() {
            worker.unpark();
        }
    }

    /// Waits until the worker has recorded all events sent before this call, for `patience` at most, and not at all if
    /// no worker runs. The caller must hold no lock that the worker needs.
    pub fn wait_until_recorded(&self, patience: Duration) {
        let told = self.shared.told.load(Ordering::Acquire);
        let start = Instant::now();
        while self.shared.recorded.load(Ordering::Acquire) < told
            && self.shared.worker_runs.load(Ordering::Acquire)
            && start.elapsed() < patience
        {
            // On an earlier wake-up it may have been busy, or the editor may have held the lock of the takes.
            self.wake_worker();
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::{Told, new};

    #[test]
    fn saving_waits_until_all_events_are_recorded() {
        let (mut audio, mut worker, editor) = new();
        worker.shared.worker_runs.store(true, Ordering::Release);
        let saving = editor.saving_end();
        (0..3).for_each(|_| audio.tell(Told::Incomplete));
        let taking = std::thread::spawn(move || {
            worker.register();
            // The worker sleeps until it is woken.
            std::thread::park();
            for _ in 0..3 {
                assert!(worker.told().is_some());
                worker.add_recorded(1);
            }
            worker
        });
        saving.wait_until_recorded(Duration::from_secs(60));
        assert_eq!(saving.shared.recorded.load(Ordering::Relaxed), 3);
        let worker = taking.join().unwrap();
        audio.tell(Told::Incomplete);
        // Once the worker has ended, saving does not wait.
        worker.shared.worker_runs.store(false, Ordering::Release);
        saving.wait_until_recorded(Duration::MAX);
        assert_eq!(saving.shared.recorded.load(Ordering::Relaxed), 3);
    }
}
