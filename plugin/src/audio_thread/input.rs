//! The events that the host sends for a block, in sample order. Audio thread.

use std::ops::Range;

use nice_plug::prelude::NoteEvent;

use super::output::MAX_EVENTS;

/// A block's events, in a buffer that never grows.
pub struct Input {
    events: Vec<NoteEvent<()>>,
    /// How many of them have been processed.
    num_played: usize,
    /// Events dropped because the buffer was full; reset when read.
    lost: u64,
}

impl Input {
    /// A buffer for a block's events.
    #[cfg_attr(
        not(test),
        expect(clippy::disallowed_methods, reason = "made on the host's main thread, before anything plays")
    )]
    pub fn new() -> Self {
        Self { events: Vec::with_capacity(MAX_EVENTS), num_played: 0, lost: 0 }
    }

    /// Adds an event for the coming block.
    pub fn push(&mut self, event: NoteEvent<()>) {
        if self.events.len() < MAX_EVENTS {
            self.events.push(event);
        } else {
            self.lost += 1;
        }
    }

    /// All events, processed or not.
    pub fn all(&self) -> &[NoteEvent<()>] {
        &self.events
    }

    /// The timing of the next event in a block of `frames` samples.
    pub fn next_timing(&self, frames: usize) -> Option<u32> {
        self.events.get(self.num_played).map(NoteEvent::timing).filter(|timing| (*timing as usize) < frames)
    }

    /// Takes the next events that share one sample. Returns their range in [`Self::all`].
    pub fn take_next(&mut self) -> Range<usize> {
        let rest = &self.events[self.num_played..];
        let timing = rest.first().map(NoteEvent::timing);
        let count = rest.iter().take_while(|event| Some(event.timing()) == timing).count();
        let first = self.num_played;
        self.num_played += count;
        first..self.num_played
    }

    /// Drops all events.
    pub fn clear(&mut self) {
        self.events.clear();
        self.num_played = 0;
    }

    /// Ends the block. Events left over move to the first sample of the next block. When a host's block is split, an
    /// event on the split arrives with the part before it, although it belongs to the next part.
    pub fn end_block(&mut self) {
        self.events.drain(..std::mem::take(&mut self.num_played));
        self.events.iter_mut().for_each(|event| event.subtract_timing(event.timing()));
    }

    /// How many events have been dropped since the last call.
    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }
}
