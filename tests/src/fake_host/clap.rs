//! The CLAP side of the fake host, on clack-host. Every call runs on the caller's thread, in the role that CLAP asks
//! for.

mod editor;
mod events;
mod handlers;

use std::cell::RefCell;
use std::io::Cursor;
use std::path::Path;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, ensure};
use clack_extensions::audio_ports::{AudioPortInfoBuffer, PluginAudioPorts};
use clack_extensions::params::{ParamInfoBuffer, ParamInfoFlags, PluginParams};
use clack_extensions::render::{PluginRender, RenderMode};
use clack_extensions::state::PluginState;
use clack_host::events::event_types::ParamValueEvent;
use clack_host::prelude::*;

use super::editor::EditorHost;
use super::{Block, BlockInput, Class, Edit, HostConfig, Instance, ParamInfo, keep_loaded};
use events::{Outbox, push_event, transport_event};
use handlers::{Host, MainThread, Role, Shared, in_role};

/// One instance of a class of a `.clap` file.
pub(super) struct ClapInstance {
    /// Present while active; goes back to `instance` before that is dropped, or clack would leak it.
    processor: Option<PluginAudioProcessor<Host>>,
    /// In a cell because clack asks for `&mut` even to read.
    instance: RefCell<PluginInstance<Host>>,
    param_extension: PluginParams,
    state_extension: PluginState,
    render_extension: Option<PluginRender>,
    params: Vec<ParamInfo>,
    /// 0 or 2.
    num_channels: usize,
    sample_rate: f64,
    edits: Vec<Edit>,
}

// SAFETY: clack's `PluginInstance` is not `Send` because CLAP binds its functions to one main thread. The host decides
// which thread that is, and announces it through the thread-check extension: in this host, whichever thread calls has
// the role during the call. `&mut` (and the absence of `Sync`) keeps calls one at a time, and the handlers own no
// thread-bound data.
unsafe impl Send for ClapInstance {}

impl ClapInstance {
    pub(super) fn load(bundle: &Path, class: Class) -> Result<Self> {
        in_role(Role::Main, || Self::load_on_main_thread(bundle, class))
    }

    fn load_on_main_thread(bundle: &Path, class: Class) -> Result<Self> {
        keep_loaded(bundle).context("expected a CLAP library")?;
        // SAFETY: loading a library runs its code; the file is our own build.
        let entry = unsafe { PluginEntry::load(bundle) }.context("expected a CLAP library")?;
        let factory = entry.get_plugin_factory().context("expected a plugin factory, got none")?;
        let descriptor = factory.plugin_descriptor(class.index()).with_context(|| {
            format!("expected class number {}, got {} classes", class.index() + 1, factory.plugin_count())
        })?;
        let id = descriptor.id().context("expected a class with an id, got none")?;
        let info = HostInfo::new("Continuo fake host", "Continuo", "", env!("CARGO_PKG_VERSION"))?;
        let mut instance = PluginInstance::<Host>::new(|()| Shared::default(), |_| MainThread, &entry, id, &info)?;
        let mut handle = instance.plugin_handle();
        let param_extension =
            handle.get_extension::<PluginParams>().context("expected the params extension, got none")?;
        let state_extension =
            handle.get_extension::<PluginState>().context("expected the state extension, got none")?;
        let render_extension = handle.get_extension::<PluginRender>();
        let params = read_params(&mut handle, &param_extension);
        let num_channels = count_channels(&mut handle)?;
        Ok(Self {
            processor: None,
            instance: RefCell::new(instance),
            param_extension,
            state_extension,
            render_extension,
            params,
            num_channels,
            sample_rate: 0.0,
            edits: Vec::new(),
        })
    }

    /// nice-plug's CLAP values run from 0 to the number of steps, or to 1 if there are none.
    fn scale(&self, id: u32) -> f64 {
        let param = self.params.iter().find(|param| param.id == id);
        param.map_or(1.0, |param| f64::from(param.num_steps.max(1)))
    }

    fn param_event(&self, timing: u32, id: u32, normalised: f64) -> ParamValueEvent {
        ParamValueEvent::new(timing, ClapId::new(id), Pckn::match_all(), normalised * self.scale(id))
    }

    /// Parameters and events in one sorted list, parameters first at each sample.
    fn input_events(&self, input: &BlockInput<'_>) -> EventBuffer {
        let mut buffer = EventBuffer::with_capacity(input.events.len() + input.params.len());
        for &(timing, id, normalised) in input.params {
            buffer.push(&self.param_event(timing, id, normalised));
        }
        for event in input.events {
            push_event(&mut buffer, event);
        }
        buffer.sort();
        buffer
    }

    fn keep_edits(&mut self, edits: Vec<Edit>) {
        for edit in edits {
            self.edits.push(match edit {
                Edit::Set { id, value } => Edit::Set { id, value: value / self.scale(id) },
                other => other,
            });
        }
    }

    /// Passes parameters on outside of processing.
    fn flush(&mut self, input: &EventBuffer) {
        let mut outbox = Outbox::default();
        let instance = self.instance.get_mut();
        if let Some(mut handle) = instance.inactive_plugin_handle() {
            let output = &mut OutputEvents::from_buffer(&mut outbox);
            in_role(Role::Main, || self.param_extension.flush(&mut handle, &input.as_input(), output));
        }
        self.keep_edits(outbox.edits);
    }
}

impl Instance for ClapInstance {
    fn activate(&mut self, config: &HostConfig) -> Result<()> {
        let max_frames_count = u32::try_from(config.max_block_size)?;
        let audio = PluginAudioConfiguration { sample_rate: config.sample_rate, min_frames_count: 1, max_frames_count };
        let mode = if config.offline { RenderMode::Offline } else { RenderMode::Realtime };
        let instance = self.instance.get_mut();
        let stopped = in_role(Role::Main, || {
            if let Some(render) = &self.render_extension {
                render.set(&instance.plugin_handle(), mode)?;
            }
            anyhow::Ok(instance.activate(|_, _| (), audio)?)
        })?;
        let mut processor = PluginAudioProcessor::from(stopped);
        let started = in_role(Role::Audio, || processor.start_processing().map(|_| ()));
        self.processor = Some(processor);
        self.sample_rate = config.sample_rate;
        if started.is_err() {
            self.deactivate();
        }
        started.context("expected the plugin to start processing")
    }

    fn set_up(&mut self, _: &HostConfig) -> Result<()> {
        anyhow::bail!("expected a format in which a plugin is set up before it is activated, got CLAP; use VST3")
    }

    fn deactivate(&mut self) {
        if let Some(processor) = self.processor.take() {
            let stopped = in_role(Role::Audio, || processor.into_stopped());
            in_role(Role::Main, || self.instance.get_mut().deactivate(stopped));
        }
    }

    fn reset(&mut self) {
        if let Some(processor) = &mut self.processor {
            in_role(Role::Audio, || processor.reset());
        }
    }

    fn pause(&mut self) -> Result<()> {
        let processor = self.processor.as_mut().context("expected an active plugin")?;
        in_role(Role::Audio, || {
            processor.ensure_processing_stopped();
            processor.ensure_processing_started().map(|_| ())
        })
        .context("expected the plugin to start processing again")
    }

    fn process(&mut self, input: &BlockInput<'_>) -> Result<Block> {
        let input_events = self.input_events(input);
        let mut outbox = Outbox {
            refuse: input.habits.refuse_output,
            midi_alone: input.habits.takes_midi_alone,
            ..Outbox::default()
        };
        let transport = input.transport.map(|transport| transport_event(transport, self.sample_rate));
        let num_frames = if self.num_channels == 0 { 0 } else { input.frames };
        let mut audio = [(); 2].map(|()| vec![f32::NAN; num_frames]);
        let mut ports = AudioPorts::with_capacity(self.num_channels, 1);
        let mut outputs = if self.num_channels == 0 || input.habits.withholds_audio {
            // SAFETY: there is no buffer that could be too short.
            unsafe { OutputAudioBuffers::from_raw_buffers(&mut [], input.frames as u32) }
        } else {
            let channels = AudioPortBufferType::f32_output_only(audio.iter_mut().map(Vec::as_mut_slice));
            ports.with_output_buffers([AudioPortBuffer { latency: 0, channels }])
        };
        let processor = self.processor.as_mut().context("expected an active plugin")?.as_started_mut()?;
        let status = in_role(Role::Audio, || {
            processor.process(
                &InputAudioBuffers::empty(),
                &mut outputs,
                &input_events.as_input(),
                &mut OutputEvents::from_buffer(&mut outbox),
                None,
                transport.as_ref(),
            )
        })?;
        let Outbox { events, voice_ids, edits, num_refused, .. } = outbox;
        self.keep_edits(edits);
        Ok(Block { events, voice_ids, audio, keep_alive: status == ProcessStatus::Continue, num_refused })
    }

    fn params(&self) -> &[ParamInfo] {
        &self.params
    }

    fn param_value(&self, id: u32) -> Result<f64> {
        let mut instance = self.instance.borrow_mut();
        let handle = instance.plugin_handle();
        let value = in_role(Role::Main, || self.param_extension.get_value(&handle, ClapId::new(id)));
        Ok(value.context("expected a parameter value, got none")? / self.scale(id))
    }

    fn param_text(&self, id: u32, normalised: f64) -> Result<String> {
        let mut instance = self.instance.borrow_mut();
        let handle = instance.plugin_handle();
        let value = normalised * self.scale(id);
        let mut buffer = [0; 256];
        let text =
            in_role(Role::Main, || self.param_extension.value_to_text(&handle, ClapId::new(id), value, &mut buffer))?;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    fn set_param(&mut self, id: u32, normalised: f64) -> Result<()> {
        let mut buffer = EventBuffer::new();
        buffer.push(&self.param_event(0, id, normalised));
        self.flush(&buffer);
        Ok(())
    }

    fn save_state(&mut self) -> Result<Vec<u8>> {
        let mut state = Vec::new();
        let handle = self.instance.get_mut().plugin_handle();
        in_role(Role::Main, || self.state_extension.save(&handle, &mut state))?;
        Ok(state)
    }

    fn load_state(&mut self, state: &[u8]) -> Result<()> {
        let handle = self.instance.get_mut().plugin_handle();
        in_role(Role::Main, || self.state_extension.load(&handle, &mut Cursor::new(state)))?;
        Ok(())
    }

    fn take_edits(&mut self) -> Vec<Edit> {
        std::mem::take(&mut self.edits)
    }

    fn editor(&mut self) -> Option<&mut dyn EditorHost> {
        Some(self)
    }

    fn run_main_thread(&mut self) {
        let instance = self.instance.get_mut();
        if instance.access_shared_handler(|shared| shared.callback_requested.swap(false, Ordering::AcqRel)) {
            in_role(Role::Main, || instance.call_on_main_thread_callback());
        }
        if instance.access_shared_handler(|shared| shared.flush_requested.swap(false, Ordering::AcqRel)) {
            self.flush(&EventBuffer::new());
        }
    }
}

impl Drop for ClapInstance {
    fn drop(&mut self) {
        self.deactivate();
    }
}

fn read_params(handle: &mut PluginMainThreadHandle<'_>, extension: &PluginParams) -> Vec<ParamInfo> {
    let mut buffer = ParamInfoBuffer::new();
    let mut params = Vec::new();
    for index in 0..extension.count(handle) {
        let Some(info) = extension.get_info(handle, index, &mut buffer) else {
            continue;
        };
        if info.flags.contains(ParamInfoFlags::IS_HIDDEN) {
            continue;
        }
        let range = info.max_value - info.min_value;
        let stepped = info.flags.contains(ParamInfoFlags::IS_STEPPED);
        params.push(ParamInfo {
            id: info.id.get(),
            name: String::from_utf8_lossy(info.name).into_owned(),
            group: String::from_utf8_lossy(info.module).into_owned(),
            default_normalised: (info.default_value - info.min_value) / range,
            num_steps: if stepped { range.round() as u32 } else { 0 },
            automatable: info.flags.contains(ParamInfoFlags::IS_AUTOMATABLE),
        });
    }
    params
}

/// The number of output channels: 2 or 0. This host has no other layout to give.
fn count_channels(handle: &mut PluginMainThreadHandle<'_>) -> Result<usize> {
    let Some(extension) = handle.get_extension::<PluginAudioPorts>() else {
        return Ok(0);
    };
    let num_inputs = extension.count(handle, true);
    let num_outputs = extension.count(handle, false);
    let mut buffer = AudioPortInfoBuffer::new();
    let first = (num_outputs > 0).then(|| extension.get(handle, 0, false, &mut buffer)).flatten();
    let channels = first.map_or(0, |port| port.channel_count);
    ensure!(
        num_inputs == 0 && matches!((num_outputs, channels), (0, 0) | (1, 2)),
        "expected no audio input and at most one stereo output, got {num_inputs} inputs and {num_outputs} outputs, the \
         first with {channels} channels"
    );
    Ok(channels as usize)
}
