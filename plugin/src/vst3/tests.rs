//! The VST3 layer around a plugin that only records its calls. One thread plays all roles.

use std::cell::{Cell, RefCell};
use std::ptr::null_mut;
use std::sync::Arc;

use nice_plug::prelude::*;
use nice_plug::wrapper::vst3::vst3::Steinberg::Vst::Event_::EventTypes_::{kDataEvent, kNoteOnEvent};
use nice_plug::wrapper::vst3::vst3::Steinberg::Vst::ProcessModes_::{kOffline, kRealtime};
use nice_plug::wrapper::vst3::vst3::Steinberg::Vst::{
    DataEvent, Event, IAudioProcessorTrait, IComponentTrait, IEditControllerTrait, IEventList, IEventListTrait,
    IParamValueQueue, IParamValueQueueTrait, IParameterChanges, IParameterChangesTrait, NoteOnEvent, ParamID,
    ParamValue, ParameterInfo, ProcessData, ProcessSetup, SymbolicSampleSizes_::kSample32,
};
use nice_plug::wrapper::vst3::vst3::Steinberg::{
    IPluginFactory3Trait, IPluginFactoryTrait, PClassInfo, PClassInfoW, kInvalidArgument, kResultOk, tresult,
};
use nice_plug::wrapper::vst3::vst3::{Class, ComPtr, ComWrapper};

use super::background::{drain, post_of};
use super::component::Component;
use super::factory::Factory;
use super::{Fence, block_is_offline, introduce};
use crate::editor::EditorWindow;

/// The calls that the plugin of this thread has got.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Seen {
    resets: usize,
    blocks: usize,
    /// Key and sample of the last note.
    last_note: Option<(u8, u32)>,
    /// Whether the configuration is offline.
    is_offline: bool,
    /// Whether the last block was offline.
    block_is_offline: bool,
}

thread_local! {
    static SEEN: Cell<Seen> = const {
        Cell::new(Seen { resets: 0, blocks: 0, last_note: None, is_offline: false, block_is_offline: false })
    };
}

fn see(change: impl FnOnce(&mut Seen)) {
    let mut seen = SEEN.get();
    change(&mut seen);
    SEEN.set(seen);
}

#[derive(Params)]
struct ProbeParams {
    #[id = "level"]
    level: FloatParam,
}

/// `process` fails at a note of this key.
const FAILS: u8 = 99;

struct Probe(Arc<ProbeParams>);

impl Default for Probe {
    fn default() -> Self {
        let level = FloatParam::new("Level", 0.5, FloatRange::Linear { min: 0.0, max: 1.0 });
        Self(Arc::new(ProbeParams { level }))
    }
}

impl Plugin for Probe {
    const NAME: &'static str = "Probe";
    const VENDOR: &'static str = "";
    const URL: &'static str = "";
    const EMAIL: &'static str = "";
    const VERSION: &'static str = "";
    const AUDIO_IO_LAYOUTS: &'static [AudioIOLayout] = &[];
    const MIDI_INPUT: MidiConfig = MidiConfig::MidiCCs;
    const MIDI_OUTPUT: MidiConfig = MidiConfig::MidiCCs;
    type Editor = EditorWindow;
    type SysExMessage = ();
    type BackgroundTask = Fence;

    fn task_executor(&mut self) -> TaskExecutor<Self> {
        Box::new(Fence::reach)
    }

    fn params(&self) -> Arc<dyn Params> {
        self.0.clone()
    }

    fn editor(&mut self, executor: AsyncExecutor<Self>) -> Option<Self::Editor> {
        introduce(self.0.clone(), move |fence| executor.execute_background(fence));
        None
    }

    fn activate(&mut self, _: &AudioIOLayout, config: &BufferConfig, _: &mut impl ActivateContext<Self>) -> bool {
        see(|seen| seen.is_offline = config.process_mode == ProcessMode::Offline);
        true
    }

    fn reset(&mut self) {
        see(|seen| seen.resets += 1);
    }

    fn process(
        &mut self,
        _: &mut Buffer,
        _: &mut AuxiliaryBuffers,
        context: &mut impl ProcessContext<Self>,
    ) -> ProcessStatus {
        see(|seen| {
            seen.blocks += 1;
            seen.block_is_offline = block_is_offline();
        });
        while let Some(event) = context.next_event() {
            if let NoteEvent::NoteOn { timing, key, .. } = event {
                let key = key.number().unwrap_or_default();
                see(|seen| seen.last_note = Some((key, timing)));
                if key == FAILS {
                    return ProcessStatus::Error("asked to fail");
                }
            }
        }
        ProcessStatus::Normal
    }
}

impl Vst3Plugin for Probe {
    const VST3_CLASS_ID: [u8; 16] = *b"ContinuoTestOnly";
    const VST3_SUBCATEGORIES: &'static [Vst3SubCategory] = &[Vst3SubCategory::Fx];
}

/// A host's list of events, for either direction.
#[derive(Default)]
struct List {
    given: Vec<Event>,
    taken: RefCell<Vec<Event>>,
}

impl Class for List {
    type Interfaces = (IEventList,);
}

#[allow(non_snake_case, reason = "the SDK's names")]
impl IEventListTrait for List {
    unsafe fn getEventCount(&self) -> i32 {
        // One too many: reading the last is an error.
        self.given.len() as i32 + 1
    }

    unsafe fn getEvent(&self, index: i32, event: *mut Event) -> tresult {
        let Some(found) = self.given.get(index as usize) else { return kInvalidArgument };
        // SAFETY: the caller passes a valid pointer.
        unsafe { event.write(*found) };
        kResultOk
    }

    unsafe fn addEvent(&self, event: *mut Event) -> tresult {
        // SAFETY: the caller passes an event.
        self.taken.borrow_mut().push(unsafe { *event });
        kResultOk
    }
}

/// The changes of one parameter in a block, one for each sample.
struct Ramp(ParamID);

impl Class for Ramp {
    type Interfaces = (IParameterChanges, IParamValueQueue);
}

#[allow(non_snake_case, reason = "the SDK's names")]
impl IParameterChangesTrait for Ramp {
    unsafe fn getParameterCount(&self) -> i32 {
        1
    }

    unsafe fn getParameterData(&self, _: i32) -> *mut IParamValueQueue {
        RAMP.get()
    }

    unsafe fn addParameterData(&self, _: *const ParamID, _: *mut i32) -> *mut IParamValueQueue {
        null_mut()
    }
}

#[allow(non_snake_case, reason = "the SDK's names")]
impl IParamValueQueueTrait for Ramp {
    unsafe fn getParameterId(&self) -> ParamID {
        self.0
    }

    unsafe fn getPointCount(&self) -> i32 {
        64
    }

    unsafe fn getPoint(&self, index: i32, offset: *mut i32, value: *mut ParamValue) -> tresult {
        // SAFETY: the caller passes valid pointers.
        unsafe {
            offset.write(index);
            value.write(f64::from(index) / 64.0);
        }
        kResultOk
    }

    unsafe fn addPoint(&self, _: i32, _: ParamValue, _: *mut i32) -> tresult {
        kInvalidArgument
    }
}

thread_local! {
    /// The ramp of this thread as a queue.
    static RAMP: Cell<*mut IParamValueQueue> = const { Cell::new(null_mut()) };
}

/// An empty event.
fn event(offset: i32, r#type: u32) -> Event {
    // SAFETY: plain data, for which zeros are valid.
    Event { sampleOffset: offset, r#type: r#type as u16, ..unsafe { std::mem::zeroed() } }
}

fn note_on(offset: i32, key: u8) -> Event {
    let mut note = event(offset, kNoteOnEvent);
    note.__field0.noteOn =
        NoteOnEvent { channel: 0, pitch: i16::from(key), tuning: 0.0, velocity: 1.0, length: 0, noteId: -1 };
    note
}

fn sysex(offset: i32, bytes: *const u8, size: u32) -> Event {
    let mut sysex = event(offset, kDataEvent);
    sysex.__field0.data = DataEvent { size, r#type: 0, bytes };
    sysex
}

struct Host(Component<Probe>);

impl Host {
    /// A host that has set up the plugin.
    fn new() -> Self {
        SEEN.set(Seen::default());
        let host = Self(Component::new());
        assert_eq!(host.set_up(kRealtime), kResultOk);
        host
    }

    fn set_up(&self, mode: u32) -> tresult {
        let mut setup = ProcessSetup {
            processMode: mode as i32,
            symbolicSampleSize: kSample32 as i32,
            maxSamplesPerBlock: 64,
            sampleRate: 48_000.0,
        };
        // SAFETY: `setup` outlives the call.
        unsafe { IAudioProcessorTrait::setupProcessing(&self.0, &mut setup) }
    }

    fn active(&self, active: bool) {
        // SAFETY: no block runs.
        assert_eq!(unsafe { IComponentTrait::setActive(&self.0, u8::from(active)) }, kResultOk);
    }

    fn processing(&self, processing: bool) {
        // SAFETY: no block runs.
        assert_eq!(unsafe { IAudioProcessorTrait::setProcessing(&self.0, u8::from(processing)) }, kResultOk);
    }

    /// Processes a block. Returns the result and the events that the plugin sent.
    fn block(&self, num_samples: i32, mode: u32, given: Vec<Event>) -> (tresult, Vec<Event>) {
        let (input, output) = (ComWrapper::new(List { given, ..List::default() }), ComWrapper::new(List::default()));
        let pointer = |list: &ComWrapper<List>| list.to_com_ptr::<IEventList>().expect("its interface");
        let (input, output_pointer): (ComPtr<IEventList>, _) = (pointer(&input), pointer(&output));
        // SAFETY: plain data, for which zeros are valid.
        let mut data: ProcessData = unsafe { std::mem::zeroed() };
        (data.numSamples, data.processMode, data.symbolicSampleSize) = (num_samples, mode as i32, kSample32 as i32);
        (data.inputEvents, data.outputEvents) = (input.as_ptr(), output_pointer.as_ptr());
        // SAFETY: everything that `data` points to outlives the call.
        let result = unsafe { IAudioProcessorTrait::process(&self.0, &mut data) };
        (result, output.taken.take())
    }
}

#[test]
fn the_plugin_is_reset_whenever_processing_starts() {
    let host = Host::new();
    let resets = || SEEN.get().resets;
    // Most hosts call `setProcessing`.
    host.active(true);
    host.processing(true);
    assert_eq!(resets(), 1);
    host.block(16, kRealtime, Vec::new());
    assert_eq!(resets(), 1);
    host.processing(false);
    host.processing(true);
    assert_eq!(resets(), 2);
    host.processing(false);
    host.active(false);
    // The call is optional.
    for start in 3..5 {
        host.active(true);
        host.block(0, kRealtime, Vec::new());
        assert_eq!(resets(), start - 1);
        host.block(16, kRealtime, Vec::new());
        host.block(16, kRealtime, Vec::new());
        assert_eq!(resets(), start);
        host.active(false);
    }
}

#[test]
fn the_modes_of_the_setup_and_of_the_block_both_count() {
    let host = Host::new();
    for mode in [kOffline, kRealtime, kRealtime, kOffline] {
        host.set_up(mode);
        host.active(true);
        host.processing(true);
        assert_eq!(SEEN.get().is_offline, mode == kOffline);
        for block_mode in [kRealtime, kOffline] {
            host.block(16, block_mode, Vec::new());
            assert_eq!(SEEN.get().block_is_offline, block_mode == kOffline);
            assert!(!block_is_offline(), "between blocks");
        }
        host.processing(false);
        host.active(false);
    }
}

#[test]
fn the_host_gets_the_plugin_s_errors() {
    let host = Host::new();
    host.active(true);
    host.processing(true);
    assert_eq!(host.block(16, kRealtime, vec![note_on(3, 60)]).0, kResultOk);
    assert_ne!(host.block(16, kRealtime, vec![note_on(3, FAILS)]).0, kResultOk);
    assert_eq!(host.block(16, kRealtime, vec![note_on(3, 60)]).0, kResultOk);
}

#[test]
fn sysex_goes_out_as_the_hosts_own_bytes() {
    let host = Host::new();
    host.active(true);
    host.processing(true);
    let bytes = [0xf0, 1, 2, 0xf7];
    let given = vec![sysex(5, bytes.as_ptr(), 4), sysex(6, std::ptr::null(), 4), sysex(200, bytes.as_ptr(), 4)];
    let (result, sent) = host.block(16, kRealtime, given);
    assert_eq!(result, kResultOk);
    // SAFETY: the type tells which field of the union is set.
    let sent: Vec<_> = sent.iter().map(|event| (event.sampleOffset, unsafe { event.__field0.data.bytes })).collect();
    assert_eq!(sent, [(5, bytes.as_ptr()), (15, bytes.as_ptr())]);
}

#[test]
fn offsets_outside_the_block_are_limited_to_it() {
    let host = Host::new();
    host.active(true);
    host.processing(true);
    for (offset, timing) in [(-5, 0), (3, 3), (16, 15), (i32::MAX, 15)] {
        host.block(16, kRealtime, vec![note_on(offset, 60)]);
        assert_eq!(SEEN.get().last_note, Some((60, timing)));
    }
}

#[test]
fn a_note_of_a_block_without_samples_does_not_outlive_a_stop() {
    let host = Host::new();
    host.active(true);
    host.processing(true);
    host.block(0, kRealtime, vec![note_on(0, 60)]);
    host.processing(false);
    host.processing(true);
    host.block(16, kRealtime, Vec::new());
    assert_eq!((SEEN.get().blocks, SEEN.get().last_note), (1, None));
}

/// Moves a value to another thread.
struct OnAnyThread<T>(T);

// SAFETY: a host may call the plugin on any thread, one at a time, as the test does.
unsafe impl<T> Send for OnAnyThread<T> {}

#[test]
fn an_instance_that_ends_leaves_the_background_thread_alive() {
    for _ in 0..100 {
        let host = OnAnyThread(Host::new());
        host.0.active(true);
        host.0.processing(true);
        // SAFETY: plain data, for which zeros are valid, and it outlives the call.
        let id = unsafe {
            let mut info: ParameterInfo = std::mem::zeroed();
            IEditControllerTrait::getParameterInfo(&host.0.0, 0, &mut info);
            info.id
        };
        let play = move || {
            let host = host;
            let ramp = ComWrapper::new(Ramp(id));
            RAMP.set(ramp.as_com_ref::<IParamValueQueue>().expect("its interface").as_ptr());
            let changes = ramp.to_com_ptr::<IParameterChanges>().expect("its interface");
            // SAFETY: plain data, for which zeros are valid.
            let mut data: ProcessData = unsafe { std::mem::zeroed() };
            (data.numSamples, data.symbolicSampleSize) = (64, kSample32 as i32);
            data.inputParameterChanges = changes.as_ptr();
            for _ in 0..4 {
                // SAFETY: everything that `data` points to outlives the call.
                assert_eq!(unsafe { IAudioProcessorTrait::process(&host.0.0, &mut data) }, kResultOk);
            }
            host
        };
        // Each change is a task for the background thread. The host releases the instance at once.
        drop(std::thread::spawn(play).join().expect("no panic"));
    }
    assert!(drain(&post_of::<Probe>()), "the background thread has ended");
}

#[test]
fn null_pointers_and_calls_out_of_order_are_refused() {
    let component = Component::<Probe>::new();
    let factory = Factory::new();
    // SAFETY: the test passes null on purpose; the rest outlives the calls.
    unsafe {
        assert_ne!(IAudioProcessorTrait::process(&component, null_mut()), kResultOk);
        let mut data: ProcessData = std::mem::zeroed();
        data.numSamples = 16;
        assert_ne!(IAudioProcessorTrait::process(&component, &mut data), kResultOk, "not set up");
        assert_ne!(IAudioProcessorTrait::setupProcessing(&component, null_mut()), kResultOk);
        assert_ne!(IEditControllerTrait::getParameterInfo(&component, 0, null_mut()), kResultOk);
        let mut info: ParameterInfo = std::mem::zeroed();
        let count = IEditControllerTrait::getParameterCount(&component);
        for index in [-1, count] {
            assert_ne!(IEditControllerTrait::getParameterInfo(&component, index, &mut info), kResultOk, "{index}");
        }
        assert_eq!(IEditControllerTrait::getParameterInfo(&component, count - 1, &mut info), kResultOk);
        assert_ne!(IComponentTrait::getState(&component, null_mut()), kResultOk);
        assert_ne!(IComponentTrait::setState(&component, null_mut()), kResultOk);
        assert_ne!(factory.getFactoryInfo(null_mut()), kResultOk);
        assert_ne!(factory.getClassInfo(0, null_mut()), kResultOk);
        let mut class: PClassInfo = std::mem::zeroed();
        for index in [-1, 2] {
            assert_ne!(factory.getClassInfo(index, &mut class), kResultOk, "{index}");
        }
        let mut object = null_mut();
        let id = [0_i8; 16].as_ptr().cast();
        for (class_id, interface) in [(std::ptr::null(), id), (id, std::ptr::null()), (id, id)] {
            assert_ne!(factory.createInstance(class_id, interface, &mut object), kResultOk);
        }
        assert_ne!(factory.createInstance(id, id, null_mut()), kResultOk);
    }
}

#[test]
fn classes_keep_their_ids() {
    let factory = Factory::new();
    for (index, id, name) in [(0, b"ContinuoInstrumt", "Continuo"), (1, b"ContinuoNoteEffc", "Continuo Notes")] {
        // SAFETY: plain data, for which zeros are valid, and it outlives the call.
        let class = unsafe {
            let mut class: PClassInfoW = std::mem::zeroed();
            assert_eq!(factory.getClassInfoUnicode(index, &mut class), kResultOk);
            class
        };
        let letters: Vec<u16> = class.name.iter().copied().take_while(|letter| *letter != 0).collect();
        assert_eq!(String::from_utf16_lossy(&letters), name);
        if cfg!(not(windows)) {
            assert_eq!(class.cid.map(|byte| byte as u8), *id);
        }
    }
}
