//! The end of whoever saves and loads the project: the host's main thread.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::{Duration, Instant};

use super::Shared;

/// Wakes the worker, and waits for it where a project is saved.
#[derive(Clone)]
pub struct SavingEnd {
    worker: Arc<OnceLock<Thread>>,
    shared: Arc<Shared>,
}

impl SavingEnd {
    pub(super) fn new(worker: Arc<OnceLock<Thread>>, shared: Arc<Shared>) -> Self {
        Self { worker, shared }
    }

    /// Wakes the worker: it takes down what went out, and looks for other weights and another frozen take.
    pub fn wake_worker(&self) {
        if let Some(worker) = self.worker.get() {
            worker.unpark();
        }
    }

    /// Waits until all that has been told before this call is taken down, but no longer than `patience`, and not at all where no
    /// worker runs. The caller must hold none of the locks that the worker needs.
    pub fn wait_until_taken_down(&self, patience: Duration) {
        let told = self.shared.told.load(Ordering::Acquire);
        let start = Instant::now();
        while self.shared.taken_down.load(Ordering::Acquire) < told
            && self.shared.worker_runs.load(Ordering::Acquire)
            && start.elapsed() < patience
        {
            // It may have been busy, or have found the takes locked by the editor, when it was woken last.
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
    fn saving_waits_until_all_that_was_told_is_taken_down() {
        let (mut audio, mut worker, editor) = new();
        worker.shared.worker_runs.store(true, Ordering::Release);
        let saving = editor.saving_end();
        (0..3).for_each(|_| audio.tell(Told::Incomplete));
        let taking = std::thread::spawn(move || {
            worker.register();
            // The worker does not look until it is woken.
            std::thread::park();
            for _ in 0..3 {
                assert!(worker.told().is_some());
                worker.took_down(1);
            }
            worker
        });
        saving.wait_until_taken_down(Duration::from_secs(60));
        assert_eq!(saving.shared.taken_down.load(Ordering::Relaxed), 3);
        let worker = taking.join().unwrap();
        audio.tell(Told::Incomplete);
        // It has ended: nobody would take anything down.
        worker.shared.worker_runs.store(false, Ordering::Release);
        saving.wait_until_taken_down(Duration::MAX);
        assert_eq!(saving.shared.taken_down.load(Ordering::Relaxed), 3);
    }
}
