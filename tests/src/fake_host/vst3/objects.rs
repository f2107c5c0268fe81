//! The COM objects that a VST3 host hands to a plugin: one block's events and parameter changes, a stream, the host
//! itself. The plugin calls them on whichever thread it was called on, and the handler from its editor's thread too.

use std::ffi::c_void;
use std::sync::Mutex;

use vst3::Class;
use vst3::Steinberg::Vst::{
    Event as Vst3Event, IComponentHandler, IComponentHandlerTrait, IEventList, IEventListTrait, IHostApplication,
    IHostApplicationTrait, IParamValueQueue, IParamValueQueueTrait, IParameterChanges, IParameterChangesTrait, ParamID,
    ParamValue, String128,
};
use vst3::Steinberg::{
    IBStream, IBStreamTrait, TUID, int32, int64, kInvalidArgument, kNotImplemented, kResultFalse, kResultOk, tresult,
};
use vst3::{ComPtr, ComWrapper};

use super::events::{outgoing, voice_id};
use crate::fake_host::{Edit, Event};

/// The host, as the plugin's `initialize` gets it.
pub(super) struct HostApplication;

impl Class for HostApplication {
    type Interfaces = (IHostApplication,);
}

impl IHostApplicationTrait for HostApplication {
    unsafe fn getName(&self, name: *mut String128) -> tresult {
        if name.is_null() {
            return kInvalidArgument;
        }
        let mut text = [0; 128];
        for (unit, letter) in text.iter_mut().zip("Continuo fake host".encode_utf16()) {
            *unit = letter;
        }
        // SAFETY: not null; the caller provides a whole String128.
        unsafe { *name = text };
        kResultOk
    }

    unsafe fn createInstance(&self, _cid: *mut TUID, _iid: *mut TUID, _obj: *mut *mut c_void) -> tresult {
        kNotImplemented
    }
}

/// Records the plugin's own parameter edits.
#[derive(Default)]
pub(super) struct ComponentHandler {
    /// For the test to read.
    pub(super) edits: Mutex<Vec<Edit>>,
    /// (id, value 0 to 1), to be given back to the plugin in the next block: in VST3 only the host sets parameters.
    pub(super) to_give_back: Mutex<Vec<(u32, f64)>>,
}

impl ComponentHandler {
    fn record(&self, edit: Edit) -> tresult {
        self.edits.lock().expect("no panic while recording").push(edit);
        kResultOk
    }
}

impl Class for ComponentHandler {
    type Interfaces = (IComponentHandler,);
}

impl IComponentHandlerTrait for ComponentHandler {
    unsafe fn beginEdit(&self, id: ParamID) -> tresult {
        self.record(Edit::Begin { id })
    }

    unsafe fn performEdit(&self, id: ParamID, value: ParamValue) -> tresult {
        self.to_give_back.lock().expect("no panic while recording").push((id, value));
        self.record(Edit::Set { id, value })
    }

    unsafe fn endEdit(&self, id: ParamID) -> tresult {
        self.record(Edit::End { id })
    }

    unsafe fn restartComponent(&self, _flags: int32) -> tresult {
        kResultOk
    }
}

/// The events that go into a block.
pub(super) struct InputEvents(pub(super) Vec<Vst3Event>);

impl Class for InputEvents {
    type Interfaces = (IEventList,);
}

impl IEventListTrait for InputEvents {
    unsafe fn getEventCount(&self) -> int32 {
        self.0.len() as int32
    }

    unsafe fn getEvent(&self, index: int32, event: *mut Vst3Event) -> tresult {
        match usize::try_from(index).ok().and_then(|index| self.0.get(index)) {
            Some(found) if !event.is_null() => {
                // SAFETY: not null; the caller provides an event.
                unsafe { *event = *found };
                kResultOk
            }
            _ => kInvalidArgument,
        }
    }

    unsafe fn addEvent(&self, _event: *mut Vst3Event) -> tresult {
        kResultFalse
    }
}

/// An event with its note's id.
type NamedEvent = (Event, Option<i32>);

/// The events that come out of a block, in the order in which the plugin sends them.
#[derive(Default)]
pub(super) struct OutputEvents {
    /// Refuses every event, as a full queue does.
    pub(super) refuse: bool,
    /// The accepted events, each with its note's id, and the number of refused ones. Events are read during the call,
    /// as what they point to belongs to the plugin.
    pub(super) taken: Mutex<(Vec<NamedEvent>, usize)>,
}

impl Class for OutputEvents {
    type Interfaces = (IEventList,);
}

impl IEventListTrait for OutputEvents {
    unsafe fn getEventCount(&self) -> int32 {
        self.taken.lock().map_or(0, |taken| taken.0.len() as int32)
    }

    unsafe fn getEvent(&self, _index: int32, _event: *mut Vst3Event) -> tresult {
        kResultFalse
    }

    unsafe fn addEvent(&self, event: *mut Vst3Event) -> tresult {
        if event.is_null() {
            return kInvalidArgument;
        }
        let mut taken = self.taken.lock().expect("no panic while taking an event");
        if self.refuse {
            taken.1 += 1;
            return kResultFalse;
        }
        // SAFETY: not null; an event is plain data.
        let event = unsafe { *event };
        taken.0.push((outgoing(&event), voice_id(&event)));
        kResultOk
    }
}

/// A block's changes of one parameter.
struct ParamQueue {
    id: u32,
    /// (timing, value 0 to 1), sorted.
    points: Vec<(u32, f64)>,
}

impl Class for ParamQueue {
    type Interfaces = (IParamValueQueue,);
}

impl IParamValueQueueTrait for ParamQueue {
    unsafe fn getParameterId(&self) -> ParamID {
        self.id
    }

    unsafe fn getPointCount(&self) -> int32 {
        self.points.len() as int32
    }

    unsafe fn getPoint(&self, index: int32, timing: *mut int32, value: *mut ParamValue) -> tresult {
        match usize::try_from(index).ok().and_then(|index| self.points.get(index)) {
            Some(point) if !timing.is_null() && !value.is_null() => {
                // SAFETY: neither is null; the caller provides both numbers.
                unsafe {
                    *timing = point.0 as int32;
                    *value = point.1;
                }
                kResultOk
            }
            _ => kInvalidArgument,
        }
    }

    unsafe fn addPoint(&self, _timing: int32, _value: ParamValue, _index: *mut int32) -> tresult {
        kResultFalse
    }
}

/// A block's parameter changes, a queue a parameter in the order of their first change.
pub(super) struct ParamChanges(Vec<ComPtr<IParamValueQueue>>);

impl ParamChanges {
    /// From (timing, id, value 0 to 1), sorted by timing.
    pub(super) fn new(changes: &[(u32, u32, f64)]) -> Self {
        let mut queues: Vec<ParamQueue> = Vec::new();
        for &(timing, id, value) in changes {
            match queues.iter_mut().find(|queue| queue.id == id) {
                Some(queue) => queue.points.push((timing, value)),
                None => queues.push(ParamQueue { id, points: vec![(timing, value)] }),
            }
        }
        Self(queues.into_iter().filter_map(|queue| ComWrapper::new(queue).to_com_ptr()).collect())
    }
}

impl Class for ParamChanges {
    type Interfaces = (IParameterChanges,);
}

impl IParameterChangesTrait for ParamChanges {
    unsafe fn getParameterCount(&self) -> int32 {
        self.0.len() as int32
    }

    unsafe fn getParameterData(&self, index: int32) -> *mut IParamValueQueue {
        let queue = usize::try_from(index).ok().and_then(|index| self.0.get(index));
        queue.map_or(std::ptr::null_mut(), ComPtr::as_ptr)
    }

    unsafe fn addParameterData(&self, _id: *const ParamID, _index: *mut int32) -> *mut IParamValueQueue {
        std::ptr::null_mut()
    }
}

/// A state in memory, with the position of the next read or write.
#[derive(Default)]
pub(super) struct MemoryStream(pub(super) Mutex<(Vec<u8>, usize)>);

impl MemoryStream {
    /// Holds these bytes, to be read from the first one on.
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self(Mutex::new((bytes.to_vec(), 0)))
    }
}

impl Class for MemoryStream {
    type Interfaces = (IBStream,);
}

impl IBStreamTrait for MemoryStream {
    unsafe fn read(&self, buffer: *mut c_void, num_bytes: int32, num_read: *mut int32) -> tresult {
        let mut stream = self.0.lock().expect("no panic in a stream");
        let (bytes, pos) = &mut *stream;
        let count = usize::try_from(num_bytes).unwrap_or(0).min(bytes.len() - *pos);
        // SAFETY: the caller provides `num_bytes` bytes, and the stream holds `count` bytes from `pos` on.
        unsafe { std::ptr::copy_nonoverlapping(bytes[*pos..].as_ptr(), buffer.cast(), count) };
        *pos += count;
        if !num_read.is_null() {
            // SAFETY: not null; the caller provides the number.
            unsafe { *num_read = count as int32 };
        }
        kResultOk
    }

    unsafe fn write(&self, buffer: *mut c_void, num_bytes: int32, num_written: *mut int32) -> tresult {
        let Ok(count) = usize::try_from(num_bytes) else {
            return kInvalidArgument;
        };
        let mut stream = self.0.lock().expect("no panic in a stream");
        let (bytes, pos) = &mut *stream;
        // SAFETY: the caller provides `num_bytes` bytes.
        let new = unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), count) };
        let end = bytes.len().min(*pos + count);
        bytes.splice(*pos..end, new.iter().copied());
        *pos += count;
        if !num_written.is_null() {
            // SAFETY: not null; the caller provides the number.
            unsafe { *num_written = num_bytes };
        }
        kResultOk
    }

    unsafe fn seek(&self, pos: int64, mode: int32, result: *mut int64) -> tresult {
        let mut stream = self.0.lock().expect("no panic in a stream");
        let from = match mode {
            0 => 0,
            1 => stream.1 as int64,
            2 => stream.0.len() as int64,
            _ => return kInvalidArgument,
        };
        stream.1 = (from + pos).clamp(0, stream.0.len() as int64) as usize;
        if !result.is_null() {
            // SAFETY: not null; the caller provides the number.
            unsafe { *result = stream.1 as int64 };
        }
        kResultOk
    }

    unsafe fn tell(&self, pos: *mut int64) -> tresult {
        if pos.is_null() {
            return kInvalidArgument;
        }
        let stream = self.0.lock().expect("no panic in a stream");
        // SAFETY: not null; the caller provides the number.
        unsafe { *pos = stream.1 as int64 };
        kResultOk
    }
}
