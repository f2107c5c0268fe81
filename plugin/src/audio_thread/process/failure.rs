//! After a panic the plugin ends sounding notes and passes its input through. Audio thread.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

/// Whether `process` has panicked.
#[derive(Default)]
pub(super) struct Failure {
    has_failed: bool,
    /// The number of blocks after which a test makes `process` panic.
    #[cfg(debug_assertions)]
    fails_in: Option<u64>,
}

impl AudioThread {
    /// Processes a block like [`Self::process`], but never panics. From the first panic on, notes pass through
    /// unchanged.
    pub fn process_or_pass(&mut self, block: &Block, mut send: impl FnMut(NoteEvent<()>) -> bool) -> bool {
        let fails_now = !self.failure.has_failed;
        if fails_now {
            match catch_unwind(AssertUnwindSafe(|| {
                #[cfg(debug_assertions)]
                self.failure.fail_as_told();
                self.process(block, &mut (), &mut send)
            })) {
                Ok(is_complete) => return is_complete,
                // The panic's payload is leaked: this thread may not free memory, and there is at most one.
                Err(panic) => std::mem::forget(panic),
            }
            self.failure.has_failed = true;
            self.bridge.shared.has_failed.store(true, Ordering::Relaxed);
        }
        let begin = self.transport.begin();
        self.output.begin_block(begin, block.frames);
        if fails_now {
            self.output.end_all(None, begin, 0);
        }
        self.input.all().iter().for_each(|event| self.output.pass(*event));
        self.input.clear();
        self.output.send(begin + block.frames as u64, send);
        self.transport.end_block(block.frames);
        true
    }

    /// Makes `process` panic after this many blocks, for a test.
    #[cfg(debug_assertions)]
    pub fn fail_in(&mut self, blocks: Option<u64>) {
        self.failure.fails_in = blocks;
    }
}

#[cfg(debug_assertions)]
impl Failure {
    /// Panics in the block that the test has chosen.
    fn fail_as_told(&mut self) {
        if let Some(blocks) = &mut self.fails_in {
            if *blocks == 0 {
                nice_plug::util::permit_alloc(|| panic!("a test has told `process` to fail"));
            }
            *blocks -= 1;
        }
    }
}
