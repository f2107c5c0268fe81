//! What goes out: notes and controllers of a block, and the ledger of what sounds. Audio thread.

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

/// Everything that is sent to the host.
pub struct Output {
    events: OutEvents,
    ledger: HeldNotes,
    wheels: Wheels,
}

impl Output {
    /// Nothing sounds. Everything is allocated here.
    pub fn new() -> Self {
        Self { events: OutEvents::new(), ledger: HeldNotes::new(), wheels: Wheels::new() }
    }

    /// Begins a block of `frames` samples at sample `begin`.
    pub fn begin_block(&mut self, begin: Sample, frames: usize) {
        self.events.begin_block(begin, frames);
    }

    /// The block's events; in order once they have been sent.
    pub fn events(&self) -> &OutEvents {
        &self.events
    }

    /// Starts a note, by (channel, key), at sample `at`; one too many in a block is lost.
    pub fn start(&mut self, owner: Owner, note: (u8, u8), touch: Touch, lag: Lag, at: Sample) {
        if !self.ledger.start(&mut self.events, owner, note, touch, lag, at) {
            self.events.lose();
        }
    }

    /// Ends a note at sample `at`, if it sounds and is the owner's, but not before it has sounded for `least` samples.
    pub fn end(&mut self, owner: Owner, note: (u8, u8), at: Sample, least: u64, lag: Lag) {
        self.ledger.end(owner, note, at, least, lag);
    }

    /// Ends everything of `owner`, or of all, once it has sounded for `least` samples.
    pub fn end_all(&mut self, owner: Option<Owner>, at: Sample, least: u64) {
        self.ledger.end_all(owner, at, least);
    }

    /// Ends a note of the player's as it was let go, with this velocity.
    pub fn release(&mut self, (channel, key): (u8, u8), velocity: f32, at: Sample) {
        self.ledger.release(channel, key, velocity, at);
    }

    /// A note that sounds becomes another owner's.
    pub fn hand_over(&mut self, (channel, key): (u8, u8), to: Owner) {
        self.ledger.hand_over(channel, key, to);
    }

    /// Passes an event through as it is.
    pub fn pass(&mut self, event: NoteEvent<()>) {
        self.events.pass(event);
    }

    /// Passes on what is no note: to the channels of the notes that it is meant for.
    pub fn pass_controller(&mut self, hands: &Hands, settings: &Settings, timing: u32, event: &NoteEvent<()>) {
        self.wheels.pass(&mut self.events, hands, settings, timing, event);
    }

    /// A note of an input channel goes out on another: the wheels go with it, before it starts.
    pub fn follow_to(&mut self, from: u8, to: u8, timing: u32) {
        self.wheels.follow_to(&mut self.events, from, to, timing);
    }

    /// A generated note starts on a channel: what the player's last note left there does not bend it.
    pub fn rest_wheels(&mut self, hands: &Hands, channel: u8, timing: u32) {
        self.wheels.rest(&mut self.events, hands, channel, timing);
    }

    /// The player's wheels and pedals may have moved unheard.
    pub fn forget_wheels(&mut self) {
        self.wheels.forget_input();
    }

    /// After what the player did has been lost: nothing stays bent or held.
    pub fn settle_wheels(&mut self) {
        self.wheels.settle(&mut self.events);
    }

    /// Tells instruments to let go of what a pedal or they themselves hold.
    pub fn silence_channels(&mut self) {
        self.wheels.pedals_are_up();
        for channel in 0..16 {
            for cc in [SUSTAIN_PEDAL, ALL_NOTES_OFF] {
                self.pass(NoteEvent::MidiCC { timing: 0, channel, cc, value: 0.0 });
            }
        }
    }

    /// Puts the block's events in order, with the note-offs that are owed before sample `end`, and offers them to the
    /// host, which takes one if `send` returns `true`.
    pub fn send(&mut self, end: Sample, send: impl FnMut(NoteEvent<()>) -> bool) {
        self.ledger.send_offs(&mut self.events, end);
        self.events.sort();
        self.events.send(&mut self.ledger, send);
    }

    /// The generated notes' starts and ends that the host has taken, each with how far behind its positions it went
    /// out.
    pub fn generated(&self) -> impl Iterator<Item = (&NoteEvent<()>, Lag)> {
        self.events.generated()
    }

    /// How many events have been lost since this was called last: there was no room, or the host refused them.
    pub fn take_lost(&mut self) -> u64 {
        self.events.take_lost()
    }
}
