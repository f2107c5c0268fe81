//! The output of a block: notes and controllers, and the ledger of sounding notes. Audio thread.

mod events;
mod held_notes;
mod wheels;

use nice_plug::prelude::NoteEvent;

pub use events::{Lag, MAX_EVENTS, OutEvents, Touch};
use held_notes::HeldNotes;
pub use held_notes::Owner;
pub use wheels::Controller;
use wheels::{ALL_NOTES_OFF, SUSTAIN_PEDAL, Wheels};

use super::hands::Hands;
use super::positions::Sample;
use super::settings::Settings;

/// Everything that the plugin sends to the host.
pub struct Output {
    events: OutEvents,
    ledger: HeldNotes,
    wheels: Wheels,
}

impl Output {
    /// An output on which nothing sounds. It allocates all its memory here.
    pub fn new() -> Self {
        Self { events: OutEvents::new(), ledger: HeldNotes::new(), wheels: Wheels::new() }
    }

    /// Starts a block of `frames` samples at sample `begin`.
    pub fn begin_block(&mut self, begin: Sample, frames: usize) {
        self.events.begin_block(begin, frames);
    }

    /// The block's events; sorted once they have been sent.
    pub fn events(&self) -> &OutEvents {
        &self.events
    }

    /// Starts a note, given as (channel, key), at sample `at`. If the block is full, the note is lost.
    pub fn start(&mut self, owner: Owner, note: (u8, u8), touch: Touch, lag: Lag, at: Sample) {
        if !self.ledger.start(&mut self.events, owner, note, touch, lag, at) {
            self.events.lose();
        }
    }

    /// Ends a note at sample `at` if it sounds and belongs to `owner`, but not before it has sounded for `least`
    /// samples.
    pub fn end(&mut self, owner: Owner, note: (u8, u8), at: Sample, least: u64, lag: Lag) {
        self.ledger.end(owner, note, at, least, lag);
    }

    /// Ends all notes of `owner`, or all notes, once they have sounded for `least` samples.
    pub fn end_all(&mut self, owner: Option<Owner>, at: Sample, least: u64) {
        self.ledger.end_all(owner, at, least);
    }

    /// Ends a note of the player's with the velocity of its release.
    pub fn release(&mut self, (channel, key): (u8, u8), velocity: f32, at: Sample) {
        self.ledger.release(channel, key, velocity, at);
    }

    /// Gives a sounding note to another owner.
    pub fn hand_over(&mut self, (channel, key): (u8, u8), to: Owner) {
        self.ledger.hand_over(channel, key, to);
    }

    /// Passes an event through unchanged.
    pub fn pass(&mut self, event: NoteEvent<()>) {
        self.events.pass(event);
    }

    /// Passes an event other than a note on to the output channels of the notes that it applies to.
    pub fn pass_controller(&mut self, hands: &Hands, settings: &Settings, timing: u32, event: &NoteEvent<()>) {
        self.wheels.pass(&mut self.events, hands, settings, timing, event);
    }

    /// Copies the wheels of input channel `from` to output channel `to`, where a note of the player's is about to
    /// start.
    pub fn follow_to(&mut self, from: u8, to: u8, timing: u32) {
        self.wheels.follow_to(&mut self.events, from, to, timing);
    }

    /// Resets the wheels that the player's last note left on a channel, before a generated note starts there.
    pub fn rest_wheels(&mut self, hands: &Hands, channel: u8, timing: u32) {
        self.wheels.rest(&mut self.events, hands, channel, timing);
    }

    /// Forgets the player's wheels and pedals, which may have moved unheard.
    pub fn forget_wheels(&mut self) {
        self.wheels.forget_input();
    }

    /// After [`Self::forget_wheels`], releases the pedals and resets the wheels that were sent.
    pub fn settle_wheels(&mut self) {
        self.wheels.settle(&mut self.events);
    }

    /// Releases the sustain pedal and all notes on every channel, for instruments that hold notes on their own.
    pub fn silence_channels(&mut self) {
        self.wheels.pedals_are_up();
        for channel in 0..16 {
            for cc in [SUSTAIN_PEDAL, ALL_NOTES_OFF] {
                self.pass(NoteEvent::MidiCC { timing: 0, channel, cc, value: 0.0 });
            }
        }
    }

    /// Adds the note-offs due before sample `end`, sorts the block's events and offers them to the host. `send` returns
    /// whether the host accepts an event.
    pub fn send(&mut self, end: Sample, send: impl FnMut(NoteEvent<()>) -> bool) {
        self.ledger.send_offs(&mut self.events, end);
        self.events.sort();
        self.events.send(&mut self.ledger, send);
    }

    /// The note-ons and note-offs of generated notes that the host has accepted, with their lag.
    pub fn generated(&self) -> impl Iterator<Item = (&NoteEvent<()>, Lag)> {
        self.events.generated()
    }

    /// How many events have been lost since the last call, because the block was full or the host refused them.
    pub fn take_lost(&mut self) -> u64 {
        self.events.take_lost()
    }
}
