//! The object that a VST3 host gets: it wraps nice-plug's and corrects it. The audio thread calls `process`, the host's
//! main thread the rest.

use std::mem::ManuallyDrop;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use nice_plug::prelude::Vst3Plugin;
use nice_plug::wrapper::vst3::Wrapper;
use nice_plug::wrapper::vst3::vst3::Steinberg::Vst::ProcessModes_::kOffline;
use nice_plug::wrapper::vst3::vst3::Steinberg::Vst::SymbolicSampleSizes_::kSample32;
use nice_plug::wrapper::vst3::vst3::Steinberg::Vst::{
    AudioBusBuffers, AudioBusBuffers__type0, IAudioProcessorTrait, IComponentTrait, IEditControllerTrait, IEventList,
    IParameterChanges, ParamID, ParamValue, ParameterInfo, ProcessData, ProcessSetup,
};
use nice_plug::wrapper::vst3::vst3::Steinberg::{
    IBStream, TBool, kInvalidArgument, kNotInitialized, kResultFalse, kResultOk, tresult,
};
use nice_plug::wrapper::vst3::vst3::{ComWrapper, Interface};

use super::BLOCK_IS_OFFLINE;
use super::background::{Post, drain, new_instance, post_of};
use super::controllers::{ControllerRelay, MIDI_START, NUM_OF_CHANNEL};
use super::edits::Edits;
use super::events::EventRelay;
use crate::outputs::Outputs;

/// The number of pitch bend among the MIDI parameters of a channel.
const PITCH_BEND: ParamID = 129;

/// One instance of the plugin.
pub(super) struct Component<P: Vst3Plugin> {
    /// Dropped once its background tasks are done; see [`super::background`].
    pub(super) inner: ManuallyDrop<Wrapper<P>>,
    post: Post,
    edits: Edits,
    events: ComWrapper<EventRelay>,
    controllers: ComWrapper<ControllerRelay>,
    /// While the plugin is active, only `process` locks it.
    outputs: Mutex<Outputs>,
    is_set_up: AtomicBool,
    is_active: AtomicBool,
}

impl<P: Vst3Plugin> Component<P> {
    /// Creates an instance.
    pub(super) fn new() -> Self {
        let post = post_of::<P>();
        let (inner, newborn) = new_instance::<P>();
        let ids = (0..).map_while(|index| {
            // SAFETY: plain data, for which zeros are valid, and it outlives the call.
            let mut info: ParameterInfo = unsafe { std::mem::zeroed() };
            // SAFETY: as above.
            let result = unsafe { IEditControllerTrait::getParameterInfo(&inner, index, &mut info) };
            (result == kResultOk && info.id < MIDI_START).then_some(info.id)
        });
        let edits = Edits::new(newborn.params, ids);
        Self {
            edits,
            inner: ManuallyDrop::new(inner),
            post,
            events: ComWrapper::new(EventRelay::new()),
            controllers: ControllerRelay::new(),
            outputs: Mutex::default(),
            is_set_up: AtomicBool::new(false),
            is_active: AtomicBool::new(false),
        }
    }

    /// Handles `setupProcessing`. nice-plug builds its configuration before it stores the process mode, so only a
    /// second call builds one with the new mode.
    ///
    /// # Safety
    /// As in VST3.
    pub(super) unsafe fn set_up(&self, setup: *mut ProcessSetup) -> tresult {
        // SAFETY: null or a setup.
        let Some(given) = (unsafe { setup.as_ref() }) else { return kInvalidArgument };
        let Ok(max_frames) = usize::try_from(given.maxSamplesPerBlock) else { return kInvalidArgument };
        if given.symbolicSampleSize != kSample32 as i32 {
            return kResultFalse;
        }
        let Ok(mut outputs) = self.outputs.try_lock() else { return kResultFalse };
        let layout = P::AUDIO_IO_LAYOUTS.first().and_then(|layout| layout.main_output_channels);
        *outputs = Outputs::new(layout.map_or(0, |count| count.get() as usize), max_frames);
        self.is_set_up.store(true, Ordering::SeqCst);
        // SAFETY: as the caller promises.
        unsafe {
            IAudioProcessorTrait::setupProcessing(&*self.inner, setup);
            IAudioProcessorTrait::setupProcessing(&*self.inner, setup)
        }
    }

    /// Handles `setActive`.
    ///
    /// # Safety
    /// As in VST3.
    pub(super) unsafe fn set_active(&self, state: TBool) -> tresult {
        if state == 0 && self.edits.is_processing() {
            // SAFETY: as the caller promises. Not every host stops processing first.
            unsafe { self.set_processing(0) };
        }
        // SAFETY: as the caller promises.
        let result = unsafe { IComponentTrait::setActive(&*self.inner, state) };
        self.is_active.store(state != 0 && result == kResultOk, Ordering::SeqCst);
        result
    }

    /// Handles `setProcessing`. nice-plug resets the plugin when processing starts.
    ///
    /// # Safety
    /// As in VST3.
    pub(super) unsafe fn set_processing(&self, state: TBool) -> tresult {
        self.edits.set_processing(state != 0);
        self.events.clear();
        self.controllers.end();
        // SAFETY: as the caller promises.
        let result = unsafe { IAudioProcessorTrait::setProcessing(&*self.inner, state) };
        if state == 0 {
            self.edits.apply();
        }
        result
    }

    /// Handles `process`.
    ///
    /// # Safety
    /// As in VST3.
    pub(super) unsafe fn process_block(&self, data: *mut ProcessData) -> tresult {
        // SAFETY: null or a block.
        let Some(data) = (unsafe { data.as_ref() }) else { return kInvalidArgument };
        if !self.is_set_up.load(Ordering::SeqCst) {
            return kNotInitialized;
        }
        let Ok(num_samples) = usize::try_from(data.numSamples) else { return kInvalidArgument };
        if num_samples > 0 && self.is_active.load(Ordering::SeqCst) && !self.edits.is_processing() {
            // The host may omit this call, but the plugin needs its reset.
            // SAFETY: as the caller promises.
            unsafe { self.set_processing(1) };
        }
        BLOCK_IS_OFFLINE.set(data.processMode == kOffline as i32);
        // SAFETY: the lists are null, or valid during the call.
        let result = unsafe {
            self.edits.begin_block(data.inputParameterChanges);
            self.events.begin(data.inputEvents, data.outputEvents, data.numSamples);
            let result = match num_samples {
                0 => self.process_nothing(data),
                _ => self.process_samples(data, num_samples),
            };
            self.events.end();
            result
        };
        BLOCK_IS_OFFLINE.set(false);
        result
    }

    /// Processes a block of 0 samples: applies its parameters. Its notes and controllers wait for the next block.
    ///
    /// # Safety
    /// As for [`Self::process_block`].
    unsafe fn process_nothing(&self, data: &ProcessData) -> tresult {
        self.events.hold();
        let mut own = ProcessData { numInputs: 0, numOutputs: 0, ..*data };
        (own.inputs, own.outputs) = (std::ptr::null_mut(), std::ptr::null_mut());
        (own.inputEvents, own.outputEvents) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: the lists are null, or valid during the call.
        unsafe {
            self.controllers.hold(data.inputParameterChanges);
            IAudioProcessorTrait::process(&*self.inner, &mut own)
        }
    }

    /// Processes a block with samples.
    ///
    /// # Safety
    /// As for [`Self::process_block`].
    unsafe fn process_samples(&self, data: &ProcessData, num_samples: usize) -> tresult {
        let Ok(mut outputs) = self.outputs.try_lock() else { return kResultFalse };
        let host_bus = if data.numOutputs > 0 { data.outputs } else { std::ptr::null_mut() };
        // SAFETY: the host's first bus has `numChannels` channels, each null or as long as the block.
        let (channels, silence_flags) = unsafe {
            let host_bus = host_bus.as_ref();
            let count = host_bus.map_or(0, |bus| usize::try_from(bus.numChannels).unwrap_or(0));
            let pointers = host_bus.map_or(std::ptr::null_mut(), |bus| bus.__field0.channelBuffers32);
            (outputs.channels(pointers, count, num_samples), host_bus.map_or(0, |bus| bus.silenceFlags))
        };
        let Some(channels) = channels else { return kInvalidArgument };
        let num_channels = outputs.num_channels();
        let mut bus = AudioBusBuffers {
            numChannels: num_channels as i32,
            silenceFlags: silence_flags,
            __field0: AudioBusBuffers__type0 { channelBuffers32: channels },
        };
        let mut own = ProcessData { numInputs: 0, inputs: std::ptr::null_mut(), ..*data };
        // nice-plug has a list of channels only while it is active.
        let has_audio = num_channels > 0 && self.is_active.load(Ordering::SeqCst);
        own.numOutputs = i32::from(has_audio);
        own.outputs = if has_audio { &mut bus } else { std::ptr::null_mut() };
        own.inputEvents = pointer_to::<_, IEventList>(&self.events);
        if !data.outputEvents.is_null() {
            own.outputEvents = own.inputEvents;
        }
        if self.controllers.holds_any() {
            // SAFETY: the list is valid during the call.
            unsafe { self.controllers.begin(data.inputParameterChanges) };
            own.inputParameterChanges = pointer_to::<_, IParameterChanges>(&self.controllers);
        }
        // SAFETY: everything that `own` points to outlives the call.
        let result = unsafe { IAudioProcessorTrait::process(&*self.inner, &mut own) };
        self.controllers.end();
        result
    }

    /// Handles `setParamNormalized`.
    ///
    /// # Safety
    /// As in VST3.
    pub(super) unsafe fn set_param(&self, id: ParamID, value: ParamValue) -> tresult {
        self.edits.set(id, value);
        // SAFETY: as the caller promises.
        unsafe { IEditControllerTrait::setParamNormalized(&*self.inner, id, value) }
    }

    /// Handles `getParamNormalized`.
    ///
    /// # Safety
    /// As in VST3.
    pub(super) unsafe fn param(&self, id: ParamID) -> ParamValue {
        if id >= MIDI_START {
            return neutral(id);
        }
        // SAFETY: as the caller promises.
        let from_inner = || unsafe { IEditControllerTrait::getParamNormalized(&*self.inner, id) };
        self.edits.waiting_value(id).unwrap_or_else(from_inner)
    }

    /// Handles `getParameterInfo`.
    ///
    /// # Safety
    /// As in VST3.
    pub(super) unsafe fn param_info(&self, index: i32, info: *mut ParameterInfo) -> tresult {
        // SAFETY: as the caller promises. nice-plug accepts an index one too large, so it is checked here.
        let result = unsafe {
            if info.is_null() || !(0..IEditControllerTrait::getParameterCount(&*self.inner)).contains(&index) {
                return kInvalidArgument;
            }
            IEditControllerTrait::getParameterInfo(&*self.inner, index, info)
        };
        // SAFETY: not null, and nice-plug has filled it.
        let info = unsafe { &mut *info };
        if result == kResultOk {
            amend(info);
        }
        result
    }

    /// Handles `getState`.
    ///
    /// # Safety
    /// As in VST3.
    pub(super) unsafe fn save(&self, state: *mut IBStream) -> tresult {
        self.edits.apply();
        // SAFETY: as the caller promises.
        unsafe { IComponentTrait::getState(&*self.inner, state) }
    }

    /// Handles `setState`.
    ///
    /// # Safety
    /// As in VST3.
    pub(super) unsafe fn load(&self, state: *mut IBStream) -> tresult {
        self.edits.clear();
        // SAFETY: as the caller promises.
        unsafe { IComponentTrait::setState(&*self.inner, state) }
    }
}

impl<P: Vst3Plugin> Drop for Component<P> {
    fn drop(&mut self) {
        if drain(&self.post) {
            // SAFETY: not used any more.
            unsafe { ManuallyDrop::drop(&mut self.inner) };
        }
        // Otherwise the background thread may still use the instance. A leak is better than a crash of the host.
    }
}

fn pointer_to<C: nice_plug::wrapper::vst3::vst3::Class, I: Interface>(object: &ComWrapper<C>) -> *mut I {
    object.as_com_ref().map_or(std::ptr::null_mut(), |interface| interface.as_ptr())
}

/// Corrects names and units. MIDI parameters get JUCE's names, so that JUCE hosts skip them; otherwise those hosts
/// would read a million texts of values.
fn amend(info: &mut ParameterInfo) {
    if info.id >= MIDI_START {
        let (channel, number) = ((info.id - MIDI_START) / NUM_OF_CHANNEL, (info.id - MIDI_START) % NUM_OF_CHANNEL);
        let name = format!("MIDI CC {channel}|{number}");
        write_text(&mut info.title, &name);
        write_text(&mut info.shortTitle, &name);
        info.defaultNormalizedValue = neutral(info.id);
    }
    let units: Vec<u16> = info.units.into_iter().take_while(|unit| *unit != 0).collect();
    // The host adds a space before the unit.
    write_text(&mut info.units, String::from_utf16_lossy(&units).trim());
}

/// The neutral value of a MIDI parameter.
fn neutral(id: ParamID) -> ParamValue {
    if (id - MIDI_START) % NUM_OF_CHANNEL == PITCH_BEND { 0.5 } else { 0.0 }
}

/// Writes a text and fills the rest with zeros.
fn write_text(to: &mut [u16], text: &str) {
    let mut letters = text.encode_utf16().take(to.len() - 1);
    to.fill_with(|| letters.next().unwrap_or(0));
}
