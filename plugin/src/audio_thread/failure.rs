//! After a panic: what sounds ends, and from then on notes go through as they are. Audio thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use nice_plug::prelude::NoteEvent;

use super::process::AudioThread;
use super::settings::Block;

impl AudioThread {
    /// Processes a block as [`Self::process`] does, and never panics: if the block has failed, now or before, notes are
    /// passed through.
    pub fn process_or_pass(&mut self, block: &Block, mut send: impl FnMut(NoteEvent<()>) -> bool) -> bool {
        if !self.has_failed {
            match catch_unwind(AssertUnwindSafe(|| {
                #[cfg(debug_assertions)]
                self.fail_as_told();
                self.process(block, &mut send)
            })) {
                Ok(is_complete) => return is_complete,
                // It is never freed: this thread may not free memory, and there is one at the most.
                Err(panic) => std::mem::forget(panic),
            }
            self.has_failed = true;
            self.bridge.shared.has_failed.store(true, Ordering::Relaxed);
            let begin = self.samples;
            self.out.begin_block(begin, block.frames);
            self.ledger.end_all(None, begin, 0);
        } else {
            self.out.begin_block(self.samples, block.frames);
        }
        self.pass_all(block, &mut send);
        true
    }

    fn pass_all(&mut self, block: &Block, send: &mut impl FnMut(NoteEvent<()>) -> bool) {
        let end = self.samples + block.frames as u64;
        self.ledger.send_offs(&mut self.out, end);
        for event in self.input.iter().copied() {
            self.out.pass(event);
        }
        self.input.clear();
        self.out.sort();
        self.out.send(&mut self.ledger, |event, _| send(event));
        self.samples = end;
    }

    /// Panics in the block that a test has chosen.
    #[cfg(debug_assertions)]
    fn fail_as_told(&mut self) {
        if let Some(blocks) = &mut self.fails_in {
            if *blocks == 0 {
                nice_plug::util::permit_alloc(|| panic!("a test has told `process` to fail"));
            }
            *blocks -= 1;
        }
    }
}
