//! The controllers of a block of 0 samples, which nice-plug would lose. They wait for the next block. Belongs to the
//! audio thread.

use std::cell::{Cell, RefCell};
use std::ptr::null_mut;

use nice_plug::wrapper::vst3::vst3::Steinberg::Vst::{
    IParamValueQueue, IParamValueQueueTrait, IParameterChanges, IParameterChangesTrait, ParamID, ParamValue,
};
use nice_plug::wrapper::vst3::vst3::Steinberg::{kInvalidArgument, kResultFalse, kResultOk, tresult};
use nice_plug::wrapper::vst3::vst3::{Class, ComRef, ComWrapper};

use super::edits::last_values;

/// The first of nice-plug's MIDI parameters. They have the last ids below 2^31, as VST3 reserves the rest for hosts.
pub(super) const MIDI_START: ParamID = (1 << 31) - NUM_OF_CHANNEL * 16;
/// The MIDI parameters of a channel: 128 controllers, channel pressure, pitch bend.
pub(super) const NUM_OF_CHANNEL: ParamID = 130;

/// How many controllers of blocks of 0 samples can wait for the next block.
const MAX_HELD: usize = 256;

/// The parameter changes of a block: a queue for each held controller, with one point at sample 0, then the host's
/// queues.
///
/// As nice-plug reads one queue at a time, this object is also the queue of each held controller.
pub(super) struct ControllerRelay {
    /// The host's list; null between blocks.
    host: Cell<*mut IParameterChanges>,
    /// Each parameter at most once. Never grows beyond its capacity.
    held: RefCell<Vec<(ParamID, ParamValue)>>,
    /// The held controller whose queue nice-plug reads.
    current: Cell<(ParamID, ParamValue)>,
    /// This object as a queue.
    queue: Cell<*mut IParamValueQueue>,
}

impl ControllerRelay {
    /// A relay without held controllers.
    pub(super) fn new() -> ComWrapper<Self> {
        let relay = ComWrapper::new(Self {
            host: Cell::new(null_mut()),
            held: RefCell::new(Vec::with_capacity(MAX_HELD)),
            current: Cell::default(),
            queue: Cell::new(null_mut()),
        });
        // Not a counted reference, or the object would keep itself alive.
        relay.queue.set(relay.as_com_ref().map_or(null_mut(), |queue| queue.as_ptr()));
        relay
    }

    /// Holds the controllers of a block of 0 samples for the next block.
    ///
    /// # Safety
    /// `changes` is null, or valid during the call.
    pub(super) unsafe fn hold(&self, changes: *mut IParameterChanges) {
        let mut held = self.held.borrow_mut();
        let keep = |id, value| {
            if id < MIDI_START {
                return;
            }
            if let Some(held) = held.iter_mut().find(|held| held.0 == id) {
                held.1 = value;
            } else if held.len() < MAX_HELD {
                held.push((id, value));
            }
        };
        // SAFETY: as the caller promises.
        unsafe { last_values(changes, keep) };
    }

    /// Whether any controllers are held.
    pub(super) fn holds_any(&self) -> bool {
        !self.held.borrow().is_empty()
    }

    /// Begins a block.
    ///
    /// # Safety
    /// The list is null, or valid until [`Self::end`].
    pub(super) unsafe fn begin(&self, host: *mut IParameterChanges) {
        self.host.set(host);
    }

    /// Ends a block: nice-plug has read the held controllers.
    pub(super) fn end(&self) {
        self.host.set(null_mut());
        self.held.borrow_mut().clear();
    }
}

impl Class for ControllerRelay {
    type Interfaces = (IParameterChanges, IParamValueQueue);
}

#[allow(non_snake_case, reason = "the SDK's names")]
impl IParameterChangesTrait for ControllerRelay {
    unsafe fn getParameterCount(&self) -> i32 {
        // SAFETY: the host's list is valid until the block ends.
        let from_host = unsafe { ComRef::from_raw(self.host.get()).map_or(0, |host| host.getParameterCount()) };
        self.held.borrow().len() as i32 + from_host
    }

    unsafe fn getParameterData(&self, index: i32) -> *mut IParamValueQueue {
        let Ok(index) = usize::try_from(index) else { return null_mut() };
        let held = self.held.borrow();
        if let Some(found) = held.get(index) {
            self.current.set(*found);
            return self.queue.get();
        }
        let index = (index - held.len()) as i32;
        // SAFETY: the host's list is valid until the block ends.
        unsafe { ComRef::from_raw(self.host.get()).map_or(null_mut(), |host| host.getParameterData(index)) }
    }

    unsafe fn addParameterData(&self, _id: *const ParamID, _index: *mut i32) -> *mut IParamValueQueue {
        null_mut()
    }
}

#[allow(non_snake_case, reason = "the SDK's names")]
impl IParamValueQueueTrait for ControllerRelay {
    unsafe fn getParameterId(&self) -> ParamID {
        self.current.get().0
    }

    unsafe fn getPointCount(&self) -> i32 {
        1
    }

    unsafe fn getPoint(&self, index: i32, offset: *mut i32, value: *mut ParamValue) -> tresult {
        if index != 0 || offset.is_null() || value.is_null() {
            return kInvalidArgument;
        }
        // SAFETY: not null; the caller passes valid pointers.
        unsafe {
            offset.write(0);
            value.write(self.current.get().1);
        }
        kResultOk
    }

    unsafe fn addPoint(&self, _offset: i32, _value: ParamValue, _index: *mut i32) -> tresult {
        kResultFalse
    }
}
