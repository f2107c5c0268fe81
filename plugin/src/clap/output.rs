//! The events from nice-plug to the host, with the host's SysEx passed through. A host that accepts only MIDI gets
//! MIDI. Belongs to the audio thread.

use std::cell::Cell;

use clap_sys::events::{
    CLAP_CORE_EVENT_SPACE_ID, CLAP_EVENT_MIDI, clap_event_header, clap_event_midi, clap_event_midi_sysex,
    clap_output_events,
};

use super::input::{Input, is_sysex};
use super::midi::{InMidi, in_midi};

/// The form in which the host accepts notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    /// Not known yet.
    Unknown,
    /// It has accepted a CLAP event.
    Clap,
    /// It has refused a CLAP event as the first of a block, and accepted the same event as MIDI.
    Midi,
}

/// The list of output events for nice-plug, which wraps the host's.
pub(super) struct Output {
    /// The host's list; null between blocks.
    host: Cell<*const clap_output_events>,
    dialect: Cell<Dialect>,
    /// Whether the host has got an event in this block, so that its queue may be full.
    has_offered: Cell<bool>,
    /// The index of the next input event to check for SysEx.
    next_sysex: Cell<u32>,
    /// The block's input events.
    input: Input,
}

impl Output {
    pub(super) fn new() -> Self {
        Self {
            host: Cell::new(std::ptr::null()),
            dialect: Cell::new(Dialect::Unknown),
            has_offered: Cell::new(false),
            next_sysex: Cell::new(0),
            input: Input::new(),
        }
    }

    /// The block's input events.
    pub(super) fn input(&self) -> &Input {
        &self.input
    }

    /// Begins a block.
    ///
    /// # Safety
    /// The list is null, or valid until [`Self::end`].
    pub(super) unsafe fn begin(&self, host: *const clap_output_events) {
        self.host.set(host);
        self.has_offered.set(false);
        self.next_sysex.set(0);
    }

    /// Ends a block: sends the SysEx after the plugin's last event.
    pub(super) fn end(&self) {
        self.send_sysex(u32::MAX);
        self.host.set(std::ptr::null());
    }

    /// Forgets the form in which the host accepts notes.
    pub(super) fn clear(&self) {
        self.dialect.set(Dialect::Unknown);
    }

    /// The list for nice-plug, valid until `self` moves.
    pub(super) fn list(&self) -> clap_output_events {
        clap_output_events { ctx: (&raw const *self).cast_mut().cast(), try_push: Some(try_push) }
    }

    /// Sends the host's SysEx messages up to and including this sample. They are the host's own events, of any length,
    /// uncopied.
    fn send_sysex(&self, up_to: u32) {
        let count = self.input.num_given();
        while self.next_sysex.get() < count {
            let event = self.input.given(self.next_sysex.get());
            // SAFETY: the host's events are valid until the block ends.
            let header = event.map(|event| unsafe { &*event });
            if header.is_some_and(|header| header.time > up_to) {
                return;
            }
            self.next_sysex.set(self.next_sysex.get() + 1);
            if let Some(event) = event.zip(header).filter(|(_, header)| is_sysex(header)).map(|(event, _)| event) {
                // SAFETY: the type in the header is right.
                let has_bytes = unsafe { !(*event.cast::<clap_event_midi_sysex>()).buffer.is_null() };
                if has_bytes {
                    // If the host's queue is full, the message is lost: its bytes cannot be kept beyond the block.
                    self.offer(event);
                }
            }
        }
    }

    /// Sends an event in the form that the host accepts. Returns whether the host has accepted it.
    ///
    /// # Safety
    /// `event` is the header of an event of the type in the header.
    unsafe fn send(&self, event: *const clap_event_header) -> bool {
        // SAFETY: as the caller promises.
        let (time, in_midi) = unsafe { ((*event).time, in_midi(event)) };
        self.send_sysex(time);
        if in_midi == InMidi::Same {
            return self.offer(event);
        }
        let is_first = !self.has_offered.get();
        if self.dialect.get() != Dialect::Midi && self.offer(event) {
            self.dialect.set(Dialect::Clap);
            return true;
        }
        match (self.dialect.get(), in_midi) {
            (Dialect::Clap, _) | (Dialect::Unknown, InMidi::Nothing) => false,
            // Counts as sent, as the host has no use for it.
            (Dialect::Midi, InMidi::Nothing) => true,
            (_, InMidi::Message(data)) => {
                let taken = self.offer_midi(time, data);
                // Only the first event of a block shows the dialect. Later ones may be refused because the queue is
                // nearly full.
                if taken && is_first {
                    self.dialect.set(Dialect::Midi);
                }
                taken
            }
            (_, InMidi::Same) => false,
        }
    }

    fn offer_midi(&self, time: u32, data: [u8; 3]) -> bool {
        let header = clap_event_header {
            size: size_of::<clap_event_midi>() as u32,
            time,
            space_id: CLAP_CORE_EVENT_SPACE_ID,
            type_: CLAP_EVENT_MIDI,
            flags: 0,
        };
        let event = clap_event_midi { header, port_index: 0, data };
        self.offer((&raw const event).cast())
    }

    fn offer(&self, event: *const clap_event_header) -> bool {
        self.has_offered.set(true);
        // SAFETY: the host keeps its list until the block ends, and takes a copy of the event.
        unsafe {
            let try_push = self.host.get().as_ref().and_then(|host| host.try_push);
            try_push.is_some_and(|try_push| try_push(self.host.get(), event))
        }
    }
}

unsafe extern "C" fn try_push(list: *const clap_output_events, event: *const clap_event_header) -> bool {
    // SAFETY: nice-plug passes the list of `Output::list`, whose `ctx` is alive, and an event.
    unsafe { (*(*list).ctx.cast::<Output>()).send(event) }
}
