//! The input events of a block as nice-plug gets them: those of earlier blocks of 0 samples, then the host's without
//! SysEx. Belongs to the audio thread.

use std::cell::{Cell, RefCell};

use clap_sys::events::{
    CLAP_CORE_EVENT_SPACE_ID, CLAP_EVENT_MIDI, CLAP_EVENT_MIDI_SYSEX, CLAP_EVENT_NOTE_CHOKE,
    CLAP_EVENT_NOTE_EXPRESSION, CLAP_EVENT_NOTE_OFF, CLAP_EVENT_NOTE_ON, clap_event_header, clap_event_midi,
    clap_event_note, clap_event_note_expression, clap_input_events,
};

/// How many events of blocks of 0 samples can wait for the next block.
const MAX_HELD: usize = 1024;
/// An unused event space. nice-plug ignores events in it.
const NOTHING: u16 = u16::MAX;

/// A copy of a host's event.
enum Held {
    Note(clap_event_note),
    Expression(clap_event_note_expression),
    Midi(clap_event_midi),
}

impl Held {
    /// A copy of a note or controller event at sample 0; `None` for other events.
    ///
    /// # Safety
    /// `event` is the header of an event of the type in the header.
    unsafe fn copy(event: *const clap_event_header) -> Option<Self> {
        // SAFETY: as the caller promises, the type in the header is right.
        unsafe {
            let header = clap_event_header { time: 0, ..*event };
            match header.type_ {
                _ if header.space_id != CLAP_CORE_EVENT_SPACE_ID => None,
                CLAP_EVENT_NOTE_ON | CLAP_EVENT_NOTE_OFF | CLAP_EVENT_NOTE_CHOKE => {
                    Some(Self::Note(clap_event_note { header, ..*event.cast() }))
                }
                CLAP_EVENT_NOTE_EXPRESSION => {
                    Some(Self::Expression(clap_event_note_expression { header, ..*event.cast() }))
                }
                CLAP_EVENT_MIDI => Some(Self::Midi(clap_event_midi { header, ..*event.cast() })),
                _ => None,
            }
        }
    }

    fn as_ptr(&self) -> *const clap_event_header {
        match self {
            Self::Note(event) => (&raw const *event).cast(),
            Self::Expression(event) => (&raw const *event).cast(),
            Self::Midi(event) => (&raw const *event).cast(),
        }
    }
}

/// The list of input events for nice-plug, which wraps the host's.
pub(super) struct Input {
    /// The host's list; null between blocks.
    host: Cell<*const clap_input_events>,
    num_frames: Cell<u32>,
    /// The events of earlier blocks of 0 samples, which come first. Never grows beyond its capacity.
    held: RefCell<Vec<Held>>,
    /// The placeholder for an event that is hidden from nice-plug.
    nothing: Cell<clap_event_header>,
}

impl Input {
    pub(super) fn new() -> Self {
        let nothing = clap_event_header {
            size: size_of::<clap_event_header>() as u32,
            time: 0,
            space_id: NOTHING,
            type_: 0,
            flags: 0,
        };
        Self {
            host: Cell::new(std::ptr::null()),
            num_frames: Cell::new(0),
            held: RefCell::new(Vec::with_capacity(MAX_HELD)),
            nothing: Cell::new(nothing),
        }
    }

    /// Begins a block.
    ///
    /// # Safety
    /// The list is null, or valid until [`Self::end`].
    pub(super) unsafe fn begin(&self, host: *const clap_input_events, num_frames: u32) {
        self.host.set(host);
        self.num_frames.set(num_frames);
    }

    /// Ends a block. If it had samples, nice-plug has read the held events. Otherwise the events of this block are
    /// held.
    pub(super) fn end(&self) {
        let mut held = self.held.borrow_mut();
        if self.num_frames.get() > 0 {
            held.clear();
        } else {
            for index in 0..self.num_given() {
                let event = self.given(index);
                // SAFETY: the host's events are valid until the block ends.
                if let Some(copy) = unsafe { event.and_then(|event| Held::copy(event)) }
                    && held.len() < MAX_HELD
                {
                    held.push(copy);
                }
            }
        }
        self.host.set(std::ptr::null());
    }

    /// Discards held events, because processing starts anew.
    pub(super) fn clear(&self) {
        self.held.borrow_mut().clear();
    }

    /// The list for nice-plug, valid until `self` moves.
    pub(super) fn list(&self) -> clap_input_events {
        clap_input_events { ctx: (&raw const *self).cast_mut().cast(), size: Some(size), get: Some(get) }
    }

    /// The number of the host's events in this block.
    pub(super) fn num_given(&self) -> u32 {
        // SAFETY: the host keeps its list until the block ends.
        unsafe {
            let size = self.host.get().as_ref().and_then(|host| host.size);
            size.map_or(0, |size| size(self.host.get()))
        }
    }

    /// An event of the host.
    pub(super) fn given(&self, index: u32) -> Option<*const clap_event_header> {
        // SAFETY: the host keeps its list until the block ends.
        let event = unsafe {
            let get = self.host.get().as_ref().and_then(|host| host.get);
            get.map_or(std::ptr::null(), |get| get(self.host.get(), index))
        };
        (!event.is_null()).then_some(event)
    }

    /// An event of the host as nice-plug sees it. SysEx is hidden, and so are notes and MIDI in a block of 0 samples.
    fn visible(&self, index: u32) -> *const clap_event_header {
        let Some(event) = self.given(index) else { return self.nothing_at(0) };
        // SAFETY: the host's events are valid until the block ends.
        let header = unsafe { &*event };
        // SAFETY: as above.
        let waits = self.num_frames.get() == 0 && unsafe { Held::copy(event) }.is_some();
        if waits || is_sysex(header) { self.nothing_at(header.time) } else { event }
    }

    fn nothing_at(&self, time: u32) -> *const clap_event_header {
        self.nothing.set(clap_event_header { time, ..self.nothing.get() });
        self.nothing.as_ptr()
    }
}

/// Whether an event is SysEx.
pub(super) fn is_sysex(header: &clap_event_header) -> bool {
    header.space_id == CLAP_CORE_EVENT_SPACE_ID && header.type_ == CLAP_EVENT_MIDI_SYSEX
}

unsafe extern "C" fn size(list: *const clap_input_events) -> u32 {
    // SAFETY: nice-plug passes the list of `Input::list`, whose `ctx` is alive.
    let input = unsafe { &*(*list).ctx.cast::<Input>() };
    let num_held = if input.num_frames.get() > 0 { input.held.borrow().len() as u32 } else { 0 };
    num_held + input.num_given()
}

unsafe extern "C" fn get(list: *const clap_input_events, index: u32) -> *const clap_event_header {
    // SAFETY: nice-plug passes the list of `Input::list`, whose `ctx` is alive.
    let input = unsafe { &*(*list).ctx.cast::<Input>() };
    if input.num_frames.get() == 0 {
        return input.visible(index);
    }
    let held = input.held.borrow();
    match held.get(index as usize) {
        // The vector does not change until the block ends.
        Some(event) => event.as_ptr(),
        None => input.visible(index - held.len() as u32),
    }
}
