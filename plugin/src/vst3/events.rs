//! The event lists between host and nice-plug: SysEx passes by nice-plug, and what comes in a block of 0 samples waits for the
//! next. Belongs to the audio thread.

use std::cell::{Cell, RefCell};
use std::ptr::null_mut;

use nice_plug::wrapper::vst3::vst3::Steinberg::Vst::Event_::EventTypes_::kDataEvent;
use nice_plug::wrapper::vst3::vst3::Steinberg::Vst::{Event, IEventList, IEventListTrait};
use nice_plug::wrapper::vst3::vst3::Steinberg::{kInvalidArgument, kResultFalse, kResultOk, tresult};
use nice_plug::wrapper::vst3::vst3::{Class, ComRef};

/// Events that blocks of 0 samples may leave for the next block.
const MAX_HELD: usize = 1024;
/// No event has this type; nice-plug passes over it.
const NOTHING: u16 = u16::MAX;

/// One object for both directions: nice-plug reads the host's events from it and sends its own to it.
///
/// A SysEx message goes out as the host's own event, which points to the host's bytes: nothing is copied, however long it is. It goes
/// out at its sample, before what the plugin sends there.
pub(super) struct EventRelay {
    /// The host's lists, for the length of a block.
    input: Cell<*mut IEventList>,
    output: Cell<*mut IEventList>,
    num_samples: Cell<i32>,
    /// The host's next event to look at for SysEx.
    next_sysex: Cell<i32>,
    /// Where the last event went out, samples.
    last_offset: Cell<i32>,
    /// Of earlier blocks of 0 samples, to be read first. Never grows beyond its capacity.
    held: RefCell<Vec<Event>>,
}

impl EventRelay {
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

    /// A block begins.
    ///
    /// # Safety
    /// The lists are null or the host keeps them until [`Self::end`].
    pub(super) unsafe fn begin(&self, input: *mut IEventList, output: *mut IEventList, num_samples: i32) {
        self.input.set(input);
        self.output.set(output);
        self.num_samples.set(num_samples);
        self.next_sysex.set(0);
        self.last_offset.set(0);
    }

    /// A block ends: the SysEx after the plugin's last event goes out. If the block had samples, what was held has been read.
    pub(super) fn end(&self) {
        self.send_sysex(i32::MAX);
        if self.num_samples.get() > 0 {
            self.held.borrow_mut().clear();
        }
        self.input.set(null_mut());
        self.output.set(null_mut());
    }

    /// Keeps the events of a block of 0 samples for the next block.
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

    /// Forgets what is held: processing starts anew.
    pub(super) fn clear(&self) {
        self.held.borrow_mut().clear();
    }

    fn num_given(&self) -> i32 {
        // SAFETY: the host keeps the list until the block ends.
        unsafe { ComRef::from_raw(self.input.get()).map_or(0, |input| input.getEventCount()) }
    }

    /// An event of the host's, its offset put inside of the block.
    fn given(&self, index: i32) -> Option<Event> {
        // SAFETY: the host keeps the list until the block ends. An event is plain data, and zeros are a valid one.
        unsafe {
            let mut event: Event = std::mem::zeroed();
            let result = ComRef::from_raw(self.input.get())?.getEvent(index, &mut event);
            event.sampleOffset = event.sampleOffset.clamp(0, (self.num_samples.get() - 1).max(0));
            (result == kResultOk).then_some(event)
        }
    }

    /// Sends the host's SysEx up to this sample on.
    fn send_sysex(&self, up_to: i32) {
        let count = self.num_given();
        while self.next_sysex.get() < count {
            let event = self.given(self.next_sysex.get());
            if event.is_some_and(|event| event.sampleOffset > up_to) {
                return;
            }
            self.next_sysex.set(self.next_sysex.get() + 1);
            if let Some(event) = event.filter(is_sound_sysex) {
                // A host whose queue is full loses it: its bytes are not ours to keep.
                self.send(event);
            }
        }
    }

    fn send(&self, mut event: Event) -> tresult {
        event.sampleOffset = event.sampleOffset.max(self.last_offset.get());
        // SAFETY: the host keeps the list until the block ends, and takes a copy of the event.
        let result =
            unsafe { ComRef::from_raw(self.output.get()).map_or(kResultFalse, |output| output.addEvent(&mut event)) };
        if result == kResultOk {
            self.last_offset.set(event.sampleOffset);
        }
        result
    }
}

/// Whether it is a SysEx message with bytes to read.
fn is_sound_sysex(event: &Event) -> bool {
    // SAFETY: the type says which field is set.
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
            // nice-plug uses what is here without a look at the result.
            None => {
                self.given((index - held.len()) as i32).filter(|event| u32::from(event.r#type) != kDataEvent).unwrap_or(
                    // SAFETY: an event is plain data, and zeros are a valid one.
                    Event { r#type: NOTHING, ..unsafe { std::mem::zeroed() } },
                )
            }
        };
        // SAFETY: not null, and nice-plug gives room for one event.
        unsafe { event.write(found) };
        kResultOk
    }

    unsafe fn addEvent(&self, event: *mut Event) -> tresult {
        if event.is_null() {
            return kInvalidArgument;
        }
        // SAFETY: not null; an event is plain data and is copied.
        let event = unsafe { *event };
        self.send_sysex(event.sampleOffset);
        self.send(event)
    }
}
