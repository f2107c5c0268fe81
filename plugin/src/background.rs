//! Slow work on a background thread, with files or with a GPU, so that it delays neither the host nor an answer. For
//! the editor and the worker.

use std::thread::JoinHandle;

/// A background thread that does one piece of work at a time.
pub struct Background<T> {
    thread_name: &'static str,
    working: Option<JoinHandle<T>>,
}

impl<T: Send + 'static> Background<T> {
    /// No work yet. `thread_name` is the name of the thread.
    pub const fn new(thread_name: &'static str) -> Self {
        Self { thread_name, working: None }
    }

    /// Begins work. Call it only if nothing is busy.
    ///
    /// # Errors
    /// If the system refuses a new thread.
    pub fn begin(&mut self, work: impl FnOnce() -> T + Send + 'static) -> Result<(), String> {
        debug_assert!(!self.is_busy(), "{} begins work while it is busy", self.thread_name);
        let thread = std::thread::Builder::new().name(self.thread_name.into());
        self.working = Some(thread.spawn(work).map_err(|error| format!("cannot start a thread ({error})"))?);
        Ok(())
    }

    /// The result once the work is finished, an error if it panicked. `None` while it runs, or without work.
    pub fn done(&mut self) -> Option<Result<T, String>> {
        let finished = self.working.take_if(|working| working.is_finished())?;
        Some(finished.join().map_err(|_| format!("the thread `{}` has failed", self.thread_name)))
    }

    /// Whether work is in progress, or its result has not been taken.
    pub fn is_busy(&self) -> bool {
        self.working.is_some()
    }
}

/// Waits for the work: the host may unload the plugin's code afterwards, so no thread may run in it.
impl<T> Drop for Background<T> {
    fn drop(&mut self) {
        if let Some(working) = self.working.take() {
            // Nobody needs the result any more.
            let _ = working.join();
        }
    }
}
