//! Work with files on a thread of its own: a slow disk shall hold up no host. Started and asked for on the host's window thread.

use std::thread::JoinHandle;

/// At most one piece of work at a time.
pub struct Background<T> {
    working: Option<JoinHandle<T>>,
}

impl<T> Default for Background<T> {
    fn default() -> Self {
        Self { working: None }
    }
}

impl<T: Send + 'static> Background<T> {
    /// Begins.
    ///
    /// # Errors
    /// In words, if something is being done, or there is no thread to be had.
    pub fn begin(&mut self, work: impl FnOnce() -> T + Send + 'static) -> Result<(), String> {
        if self.is_busy() {
            return Err(
                "the disk is slow: expected it to be done with the last files, got no word of it; try again".into()
            );
        }
        let thread = std::thread::Builder::new().name("continuo files".into());
        self.working = Some(thread.spawn(work).map_err(|error| format!("no thread for files ({error})"))?);
        Ok(())
    }

    /// What has been done since it was last asked; `None` too if it panicked.
    pub fn done(&mut self) -> Option<T> {
        self.working.take_if(|working| working.is_finished())?.join().ok()
    }

    /// Whether something is being done.
    pub fn is_busy(&self) -> bool {
        self.working.is_some()
    }
}

/// The plugin's code may be unloaded once the editor is gone: nothing may run in it then.
impl<T> Drop for Background<T> {
    fn drop(&mut self) {
        if let Some(working) = self.working.take() {
            let _ = working.join();
        }
    }
}
