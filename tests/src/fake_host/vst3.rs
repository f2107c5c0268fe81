//! The VST3 side of the fake host, on the `vst3` bindings; every call runs on the caller's thread.

mod editor;
mod events;
mod module;
mod objects;
mod params;

use std::path::Path;
use std::ptr::null_mut;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use vst3::Steinberg::Vst::BusDirections_::{kInput, kOutput};
use vst3::Steinberg::Vst::MediaTypes_::{kAudio, kEvent};
use vst3::Steinberg::Vst::ParameterInfo_::ParameterFlags_::kIsHidden;
use vst3::Steinberg::Vst::ProcessModes_::{kOffline, kRealtime};
use vst3::Steinberg::Vst::SymbolicSampleSizes_::kSample32;
use vst3::Steinberg::Vst::{
    AudioBusBuffers, AudioBusBuffers__type0, BusInfo, IAudioProcessor, IAudioProcessorTrait, IComponent,
    IComponentHandler, IComponentTrait, IEditController, IEditControllerTrait, IEventList, IHostApplication,
    IMidiMapping, IMidiMappingTrait, IParameterChanges, ProcessData, ProcessSetup, SpeakerArr::kStereo,
};
use vst3::Steinberg::{FUnknown, IBStream, IPluginBaseTrait, kResultOk, tresult};
use vst3::{ComPtr, ComWrapper};

use super::editor::EditorHost;
use super::{Block, BlockInput, Class, Edit, HostConfig, Instance, ParamInfo};
use editor::View;
use events::{Incoming, incoming, process_context};
use module::Module;
use objects::{ComponentHandler, HostApplication, InputEvents, MemoryStream, OutputEvents, ParamChanges};
use params::{param_infos, read_params, read_string};

/// One instance of a class of a `.vst3` folder. nice-plug's component and controller are one object.
///
/// `Send` by its parts: the bindings' pointers are, and a VST3 host may call from any one thread at a time.
pub(super) struct Vst3Instance {
    view: Option<View>,
    controller: ComPtr<IEditController>,
    processor: ComPtr<IAudioProcessor>,
    midi_mapping: Option<ComPtr<IMidiMapping>>,
    component: ComPtr<IComponent>,
    handler: ComWrapper<ComponentHandler>,
    _host: ComPtr<IHostApplication>,
    params: Vec<ParamInfo>,
    /// 0 or 2.
    num_channels: usize,
    config: Option<HostConfig>,
    /// Samples processed since the activation.
    samples_run: i64,
    /// Last, so that the library is left after its objects are released.
    _module: Arc<Module>,
}

impl Vst3Instance {
    pub(super) fn load(bundle: &Path, class: Class) -> Result<Self> {
        let module = Module::load(bundle)?;
        let component = module.create_component(class)?;
        let host = ComWrapper::new(HostApplication).to_com_ptr::<IHostApplication>().context("our own object")?;
        // SAFETY: the context outlives the component, it is a field of the instance.
        let result = unsafe { component.initialize(host.as_ptr().cast::<FUnknown>()) };
        expect_ok("IPluginBase::initialize", result)?;
        let controller = component.cast::<IEditController>().context("expected an IEditController, got none")?;
        let processor = component.cast::<IAudioProcessor>().context("expected an IAudioProcessor, got none")?;
        let midi_mapping = component.cast::<IMidiMapping>();
        let handler = ComWrapper::new(ComponentHandler::default());
        let handler_pointer = handler.to_com_ptr::<IComponentHandler>().context("our own object")?;
        // SAFETY: the plugin takes its own reference to the handler.
        let result = unsafe { controller.setComponentHandler(handler_pointer.as_ptr()) };
        expect_ok("IEditController::setComponentHandler", result)?;
        let params = read_params(&controller);
        let num_channels = count_channels(&component)?;
        Ok(Self {
            view: None,
            controller,
            processor,
            midi_mapping,
            component,
            handler,
            _host: host,
            params,
            num_channels,
            config: None,
            samples_run: 0,
            _module: module,
        })
    }

    /// Turns the block's events and parameter changes into VST3's two lists.
    fn sort_input(&self, input: &BlockInput<'_>) -> Result<(InputEvents, ParamChanges)> {
        let mut to_give_back = self.handler.to_give_back.lock().expect("no panic while recording");
        let mut changes: Vec<_> = to_give_back.drain(..).map(|(id, value)| (0, id, value)).collect();
        changes.extend_from_slice(input.params);
        let mut notes = Vec::with_capacity(input.events.len());
        for event in input.events {
            match incoming(event)? {
                Incoming::Note(note) => notes.push(note),
                Incoming::Controller { channel, number, value } => {
                    // A host drops the controllers that the plugin does not map to a parameter.
                    if let Some(id) = self.mapped_param(channel, number) {
                        changes.push((event.timing, id, value));
                    }
                }
            }
        }
        Ok((InputEvents(notes), ParamChanges::new(&changes)))
    }

    fn mapped_param(&self, channel: u8, number: i16) -> Option<u32> {
        let mut id = 0;
        let mapping = self.midi_mapping.as_ref()?;
        // SAFETY: `id` outlives the call.
        let result = unsafe { mapping.getMidiControllerAssignment(0, i16::from(channel), number, &mut id) };
        (result == kResultOk).then_some(id)
    }

    /// Tells the plugin which busses are used: its events, and its stereo output if it has one.
    fn activate_busses(&self) -> Result<()> {
        let mut stereo = kStereo;
        // SAFETY: the arrangements outlive the calls. nice-plug reads the output's even without an output, hence the
        // condition.
        unsafe {
            if self.num_channels == 2 {
                let result = self.processor.setBusArrangements(&mut stereo.clone(), 0, &mut stereo, 1);
                expect_ok("IAudioProcessor::setBusArrangements", result)?;
                let result = self.component.activateBus(kAudio as i32, kOutput as i32, 0, 1);
                expect_ok("IComponent::activateBus of the audio output", result)?;
            }
            for direction in [kInput as i32, kOutput as i32] {
                if self.component.getBusCount(kEvent as i32, direction) > 0 {
                    let result = self.component.activateBus(kEvent as i32, direction, 0, 1);
                    expect_ok("IComponent::activateBus of an event bus", result)?;
                }
            }
        }
        Ok(())
    }
}

impl Instance for Vst3Instance {
    fn set_up(&mut self, config: &HostConfig) -> Result<()> {
        self.activate_busses()?;
        let mut setup = ProcessSetup {
            processMode: process_mode(config.offline),
            symbolicSampleSize: kSample32 as i32,
            maxSamplesPerBlock: i32::try_from(config.max_block_size)?,
            sampleRate: config.sample_rate,
        };
        // SAFETY: `setup` outlives the call.
        let result = unsafe { self.processor.setupProcessing(&mut setup) };
        expect_ok("IAudioProcessor::setupProcessing", result)?;
        self.config = Some(*config);
        self.samples_run = 0;
        Ok(())
    }

    fn activate(&mut self, config: &HostConfig) -> Result<()> {
        self.set_up(config)?;
        // SAFETY: the calls come in the order that VST3 demands.
        unsafe {
            expect_ok("IComponent::setActive", self.component.setActive(1))?;
            // Its result is optional in VST3.
            self.processor.setProcessing(1);
        }
        // Edits made while inactive the plugin has applied itself.
        self.handler.to_give_back.lock().expect("no panic while recording").clear();
        Ok(())
    }

    fn deactivate(&mut self) {
        if self.config.take().is_some() {
            // SAFETY: the plugin is active.
            unsafe {
                self.processor.setProcessing(0);
                self.component.setActive(0);
            }
        }
    }

    fn reset(&mut self) {
        // SAFETY: the plugin is active. VST3 has no reset: a host turns processing off and on.
        unsafe {
            self.processor.setProcessing(0);
            self.processor.setProcessing(1);
        }
    }

    fn pause(&mut self) -> Result<()> {
        self.reset();
        Ok(())
    }

    fn process(&mut self, input: &BlockInput<'_>) -> Result<Block> {
        let config = self.config.context("expected an active plugin")?;
        let (events, changes) = self.sort_input(input)?;
        let events = ComWrapper::new(events).to_com_ptr::<IEventList>().context("our own object")?;
        let changes = ComWrapper::new(changes).to_com_ptr::<IParameterChanges>().context("our own object")?;
        let output = ComWrapper::new(OutputEvents { refuse: input.habits.refuse_output, ..OutputEvents::default() });
        let output_pointer = output.to_com_ptr::<IEventList>().context("our own object")?;
        let mut context =
            input.transport.map(|transport| process_context(transport, config.sample_rate, self.samples_run));
        let num_frames = if self.num_channels == 0 { 0 } else { input.frames };
        let mut audio = [(); 2].map(|()| vec![f32::NAN; num_frames]);
        let mut channels = audio.each_mut().map(|channel| channel.as_mut_ptr());
        let mut bus = AudioBusBuffers {
            numChannels: 2,
            silenceFlags: 0,
            __field0: AudioBusBuffers__type0 { channelBuffers32: channels.as_mut_ptr() },
        };
        let has_audio = self.num_channels > 0 && !input.habits.withholds_audio;
        let mut data = ProcessData {
            processMode: process_mode(input.habits.blocks_are_offline.unwrap_or(config.offline)),
            symbolicSampleSize: kSample32 as i32,
            numSamples: input.frames as i32,
            numInputs: 0,
            numOutputs: i32::from(has_audio),
            inputs: null_mut(),
            outputs: if has_audio { &mut bus } else { null_mut() },
            inputParameterChanges: changes.as_ptr(),
            outputParameterChanges: null_mut(),
            inputEvents: events.as_ptr(),
            outputEvents: output_pointer.as_ptr(),
            processContext: context.as_mut().map_or(null_mut(), |context| context),
        };
        // SAFETY: the plugin is processing; everything that `data` points to outlives the call and has the stated
        // length.
        let result = unsafe { self.processor.process(&mut data) };
        expect_ok("IAudioProcessor::process", result)?;
        self.samples_run += input.frames as i64;
        let taken = output.taken.lock().expect("no panic while taking an event");
        // SAFETY: the plugin is active.
        let keep_alive = unsafe { self.processor.getTailSamples() } > 0;
        let (events, voice_ids) = taken.0.iter().copied().unzip();
        Ok(Block { events, voice_ids, audio, keep_alive, num_refused: taken.1 })
    }

    fn params(&self) -> &[ParamInfo] {
        &self.params
    }

    fn param_value(&self, id: u32) -> Result<f64> {
        // SAFETY: the controller is initialised.
        Ok(unsafe { self.controller.getParamNormalized(id) })
    }

    fn param_text(&self, id: u32, normalised: f64) -> Result<String> {
        let mut text = [0; 128];
        // SAFETY: `text` outlives the call.
        let result = unsafe { self.controller.getParamStringByValue(id, normalised, &mut text) };
        expect_ok("IEditController::getParamStringByValue", result)?;
        // In VST3 the host appends the unit, and a space before it.
        let unit = param_infos(&self.controller).find(|info| info.id == id).map(|info| read_string(&info.units));
        let unit = unit.filter(|unit| !unit.is_empty()).map(|unit| format!(" {unit}"));
        Ok(read_string(&text) + &unit.unwrap_or_default())
    }

    fn set_param(&mut self, id: u32, normalised: f64) -> Result<()> {
        // SAFETY: the controller is initialised.
        expect_ok("IEditController::setParamNormalized", unsafe { self.controller.setParamNormalized(id, normalised) })
    }

    fn save_state(&mut self) -> Result<Vec<u8>> {
        let stream = ComWrapper::new(MemoryStream::default());
        let pointer = stream.to_com_ptr::<IBStream>().context("our own object")?;
        // SAFETY: the stream outlives the call.
        expect_ok("IComponent::getState", unsafe { IComponentTrait::getState(&self.component, pointer.as_ptr()) })?;
        let bytes = std::mem::take(&mut stream.0.lock().expect("no panic in a stream").0);
        Ok(bytes)
    }

    fn load_state(&mut self, state: &[u8]) -> Result<()> {
        let stream =
            |bytes: &[u8]| ComWrapper::new(MemoryStream::new(bytes)).to_com_ptr::<IBStream>().context("our own object");
        let (for_component, for_controller) = (stream(state)?, stream(state)?);
        // SAFETY: the streams outlive the calls.
        unsafe {
            let result = IComponentTrait::setState(&self.component, for_component.as_ptr());
            expect_ok("IComponent::setState", result)?;
            let result = self.controller.setComponentState(for_controller.as_ptr());
            expect_ok("IEditController::setComponentState", result)
        }
    }

    fn take_edits(&mut self) -> Vec<Edit> {
        std::mem::take(&mut self.handler.edits.lock().expect("no panic while recording"))
    }

    fn hidden_params(&self) -> Vec<String> {
        let hidden = param_infos(&self.controller).filter(|info| info.flags & kIsHidden != 0);
        hidden.map(|info| read_string(&info.title)).collect()
    }

    /// nice-plug runs a thread of its own where the host offers no run loop, which is with the editor alone.
    fn run_main_thread(&mut self) {
        if let Some(view) = &self.view {
            view.turn();
        }
    }

    fn editor(&mut self) -> Option<&mut dyn EditorHost> {
        Some(self)
    }
}

impl Drop for Vst3Instance {
    fn drop(&mut self) {
        self.deactivate();
        // SAFETY: the plugin is inactive; this ends what `load` began.
        unsafe {
            self.controller.setComponentHandler(null_mut());
            self.component.terminate();
        }
    }
}

/// # Errors
/// If the plugin's answer to the call is not kResultOk.
fn expect_ok(call: &str, result: tresult) -> Result<()> {
    ensure!(result == kResultOk, "{call}: expected kResultOk, got {result}");
    Ok(())
}

fn process_mode(offline: bool) -> i32 {
    if offline { kOffline as i32 } else { kRealtime as i32 }
}

/// The number of output channels: 2 or 0. This host has no other layout to give.
fn count_channels(component: &ComPtr<IComponent>) -> Result<usize> {
    // SAFETY: plain data, for which zeros are valid, and it outlives the call.
    unsafe {
        let num_inputs = component.getBusCount(kAudio as i32, kInput as i32);
        let num_outputs = component.getBusCount(kAudio as i32, kOutput as i32);
        let mut bus: BusInfo = std::mem::zeroed();
        if num_outputs > 0 {
            expect_ok("IComponent::getBusInfo", component.getBusInfo(kAudio as i32, kOutput as i32, 0, &mut bus))?;
        }
        let channels = bus.channelCount;
        ensure!(
            num_inputs == 0 && matches!((num_outputs, channels), (0, 0) | (1, 2)),
            "expected no audio input and at most one stereo output, got {num_inputs} inputs and {num_outputs} outputs, \
             the first with {channels} channels"
        );
        Ok(channels as usize)
    }
}
