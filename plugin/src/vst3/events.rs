//! The event lists between host and nice-plug. SysEx bypasses nice-plug, and events of a block of 0 samples wait for
//! the next block. Belongs to the audio thread.

use std::cell::{Cell, RefCell};
use std::ptr::null_mut;

use nice_plug::wrapper::vst3::vst3::Steinberg::Vst::Event_::EventTypes_::kDataEvent;
use nice_plug::wrapper::vst3::vst3::Steinberg::Vst::{Event, IEventList, IEventListTrait};
use nice_plug::wrapper::vst3::vst3::Steinberg::{kInvalidArgument, kResultFalse, kResultOk, tresult};
use nice_plug::wrapper::vst3::vst3::{Class, ComRef};

/// How many events of blocks of 0 samples can wait for the next block.
const MAX_HELD: usize = 1024;
/// An unused event type. nice-plug ignores events of it.
const NOTHING: u16 = u16::MAX;

/// One object for both directions: nice-plug reads the host's events from it, and sends its own to it.
///
/// SysEx goes out as the host's own events, which point to the host's bytes, of any length, uncopied. Each goes out at
/// its sample, before the plugin's events of that sample.
pub(super) struct EventRelay {
    /// The host's list of input events; null between blocks.
    input: Cell<*mut IEventList>,
    /// The host's list of output events; null between blocks.
    output: Cell<*mut IEventList>,
    num_samples: Cell<i32>,
    /// The index of the next input event to check for SysEx.
    next_sysex: Cell<i32>,
    /// The sample of the last output event.
    last_offset: Cell<i32>,
    /// The events of earlier blocks of 0 samples, which come first. Never grows beyond its capacity.
    held: RefCell<Vec<Event>>,
}

impl EventRelay {
    /// A relay without held events.
    pub(super) fn new() -> Self {
        Self {
            input: Cell::new(null_mut()),
            output: Cell::new(null_mut()),
            num_samples: Cell::new(0),
            next_sysex: Cell::new(0),
            last_offset: Cell::new(0),
            held: RefCell::new(Vec::with_capacity(MAX_HELD)),
        }
    }

    /// Begins a block.
    ///
    /// # Safety
    /// The lists are null, or valid until [`Self::end`].
    pub(super) unsafe fn begin(&self, input: *mut IEventList, output: *mut IEventList, num_samples: i32) {
        self.input.set(input);
        self.output.set(output);
        self.num_samples.set(num_samples);
        self.next_sysex.set(0);
        self.last_offset.set(0);
    }

    /// Ends a block: sends the SysEx after the plugin's last event. If the block had samples, nice-plug has read the
    /// held events.
    pub(super) fn end(&self) {
        self.send_sysex(i32::MAX);
        if self.num_samples.get() > 0 {
            self.held.borrow_mut().clear();
        }
        self.input.set(null_mut());
        self.output.set(null_mut());
    }

    /// Holds the events of a block of 0 samples for the next block.
    pub(super) fn hold(&self) {
        let mut held = self.held.borrow_mut();
        for index in 0..self.num_given() {
            if let Some(event) = self.given(index)
                && u32::from(event.r#type) != kDataEvent
                && held.len() < MAX_HELD
            {
                held.push(Event { sampleOffset: 0, ..event });
            }
        }
    }

    /// Discards held events, because processing starts anew.
    pub(super) fn clear(&self) {
        self.held.borrow_mut().clear();
    }

    fn num_given(&self) -> i32 {
        // SAFETY: the host's list is valid until the block ends.
        unsafe { ComRef::from_raw(self.input.get()).map_or(0, |input| input.getEventCount()) }
    }

    /// An event of the host, with its offset limited to the block.
    fn given(&self, index: i32) -> Option<Event> {
        // SAFETY: the host's list is valid until the block ends. An event is plain data, for which zeros are valid.
        unsafe {
            let mut event: Event = std::mem::zeroed();
            let result = ComRef::from_raw(self.input.get())?.getEvent(index, &mut event);
            event.sampleOffset = event.sampleOffset.clamp(0, (self.num_samples.get() - 1).max(0));
            (result == kResultOk).then_some(event)
        }
    }

    /// Sends the host's SysEx messages up to and including this sample.
    fn send_sysex(&self, up_to: i32) {
        let count = self.num_given();
        while self.next_sysex.get() < count {
            let event = self.given(self.next_sysex.get());
            if event.is_some_and(|event| event.sampleOffset > up_to) {
                return;
            }
            self.next_sysex.set(self.next_sysex.get() + 1);
            if let Some(event) = event.filter(is_sysex_with_bytes) {
                // If the host's queue is full, the message is lost: its bytes cannot be kept beyond the block.
                self.send(event);
            }
        }
    }

    fn send(&self, mut event: Event) -> tresult {
        event.sampleOffset = event.sampleOffset.max(self.last_offset.get());
        // SAFETY: the host's list is valid until the block ends, and the host copies the event.
        let result =
            unsafe { ComRef::from_raw(self.output.get()).map_or(kResultFalse, |output| output.addEvent(&mut event)) };
        if result == kResultOk {
            self.last_offset.set(event.sampleOffset);
        }
        result
    }
}

/// Whether the event is a SysEx message with bytes.
fn is_sysex_with_bytes(event: &Event) -> bool {
    // SAFETY: the type tells which field of the union is set.
    u32::from(event.r#type) == kDataEvent && unsafe { !event.__field0.data.bytes.is_null() }
}

impl Class for EventRelay {
    type Interfaces = (IEventList,);
}

#[allow(non_snake_case, reason = "the SDK's names")]
impl IEventListTrait for EventRelay {
    unsafe fn getEventCount(&self) -> i32 {
        self.held.borrow().len() as i32 + self.num_given()
    }

    unsafe fn getEvent(&self, index: i32, event: *mut Event) -> tresult {
        let Ok(index) = usize::try_from(index) else { return kInvalidArgument };
        if event.is_null() {
            return kInvalidArgument;
        }
        let held = self.held.borrow();
        let found = match held.get(index) {
            Some(found) => *found,
            // nice-plug ignores the result and uses the event in any case, so it must be one.
            None => {
                self.given((index - held.len()) as i32).filter(|event| u32::from(event.r#type) != kDataEvent).unwrap_or(
                    // SAFETY: an event is plain data, for which zeros are valid.
                    Event { r#type: NOTHING, ..unsafe { std::mem::zeroed() } },
                )
            }
        };
        // SAFETY: not null; nice-plug passes a valid pointer.
        unsafe { event.write(found) };
        kResultOk
    }

    unsafe fn addEvent(&self, event: *mut Event) -> tresult {
        if event.is_null() {
            return kInvalidArgument;
        }
        // SAFETY: not null; an event is plain data.
        let event = unsafe { *event };
        self.send_sysex(event.sampleOffset);
        self.send(event)
    }
}
