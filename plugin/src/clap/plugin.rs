//! The plugin that a CLAP host gets: nice-plug's with `process` and related functions replaced. The audio thread calls
//! `process`, `start_processing` and `reset`, the host's main thread the rest.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::sync::Arc;

use clap_sys::audio_buffer::clap_audio_buffer;
use clap_sys::ext::params::{CLAP_EXT_PARAMS, clap_plugin_params};
use clap_sys::host::clap_host;
use clap_sys::plugin::clap_plugin;
use clap_sys::process::{CLAP_PROCESS_CONTINUE, CLAP_PROCESS_ERROR, clap_process, clap_process_status};
use nice_plug::prelude::ClapPlugin;
use nice_plug::wrapper::clap::Wrapper;

use super::output::Output;
use crate::outputs::Outputs;

/// Wraps nice-plug's plugin.
#[repr(C)]
struct Shell {
    /// The first field, so that the host's pointer to it is a pointer to the shell. Its data pointer is nice-plug's.
    plugin: clap_plugin,
    /// nice-plug's functions.
    inner: clap_plugin,
    num_channels: usize,
    /// Replaced only while inactive, used only while active.
    outputs: RefCell<Outputs>,
    is_active: Cell<bool>,
    /// Belongs to the audio thread.
    events: Output,
}

/// Creates a plugin.
///
/// # Safety
/// The host outlives the plugin.
pub(super) unsafe fn new_plugin<P: ClapPlugin>(host: *const clap_host) -> *const clap_plugin {
    // SAFETY: as the caller promises.
    let wrapper = Arc::into_raw(unsafe { Wrapper::<P>::new(host) });
    // SAFETY: alive; its `destroy` releases this reference.
    let inner = unsafe { *(*wrapper).clap_plugin.as_ptr() };
    let plugin = clap_plugin {
        destroy: Some(destroy),
        activate: Some(activate),
        deactivate: Some(deactivate),
        start_processing: Some(start_processing),
        reset: Some(reset),
        process: Some(process),
        ..inner
    };
    let layout = P::AUDIO_IO_LAYOUTS.first().and_then(|layout| layout.main_output_channels);
    let shell = Shell {
        plugin,
        inner,
        num_channels: layout.map_or(0, |count| count.get() as usize),
        outputs: RefCell::default(),
        is_active: Cell::new(false),
        events: Output::new(),
    };
    Box::into_raw(Box::new(shell)).cast()
}

/// The shell of a plugin.
///
/// # Safety
/// `plugin` comes from [`new_plugin`] and has not been destroyed.
unsafe fn shell<'a>(plugin: *const clap_plugin) -> &'a Shell {
    // SAFETY: as the caller promises; the plugin is the shell's first field.
    unsafe { &*plugin.cast::<Shell>() }
}

unsafe extern "C" fn destroy(plugin: *const clap_plugin) {
    if plugin.is_null() {
        return;
    }
    // SAFETY: the host destroys each plugin of `new_plugin` once.
    unsafe {
        if let Some(destroy) = shell(plugin).inner.destroy {
            destroy(plugin);
        }
        drop(Box::from_raw(plugin.cast_mut().cast::<Shell>()));
    }
}

unsafe extern "C" fn activate(plugin: *const clap_plugin, sample_rate: f64, min_frames: u32, max_frames: u32) -> bool {
    if plugin.is_null() {
        return false;
    }
    // SAFETY: the host calls it on a live plugin that does not process.
    unsafe {
        let shell = shell(plugin);
        shell.outputs.replace(Outputs::new(shell.num_channels, max_frames as usize));
        shell.events.clear();
        shell.events.input().clear();
        let activate = shell.inner.activate;
        shell.is_active.set(activate.is_some_and(|activate| activate(plugin, sample_rate, min_frames, max_frames)));
        shell.is_active.get()
    }
}

unsafe extern "C" fn deactivate(plugin: *const clap_plugin) {
    if plugin.is_null() {
        return;
    }
    // SAFETY: the host calls it on a live plugin that does not process.
    unsafe {
        let shell = shell(plugin);
        shell.is_active.set(false);
        if let Some(deactivate) = shell.inner.deactivate {
            deactivate(plugin);
        }
    }
}

/// Starts processing. nice-plug resets the plugin.
unsafe extern "C" fn start_processing(plugin: *const clap_plugin) -> bool {
    if plugin.is_null() {
        return false;
    }
    // SAFETY: the host calls it on a live plugin.
    unsafe {
        let shell = shell(plugin);
        shell.events.input().clear();
        shell.inner.start_processing.is_some_and(|start| start(plugin))
    }
}

unsafe extern "C" fn reset(plugin: *const clap_plugin) {
    if plugin.is_null() {
        return;
    }
    // SAFETY: the host calls it on a live plugin.
    unsafe {
        let shell = shell(plugin);
        shell.events.input().clear();
        if let Some(reset) = shell.inner.reset {
            reset(plugin);
        }
    }
}

unsafe extern "C" fn process(plugin: *const clap_plugin, process: *const clap_process) -> clap_process_status {
    if plugin.is_null() || process.is_null() {
        return CLAP_PROCESS_ERROR;
    }
    // SAFETY: the host calls it on a live plugin, with a block that is valid during the call.
    unsafe {
        let (shell, block) = (shell(plugin), &*process);
        if !shell.is_active.get() {
            return CLAP_PROCESS_ERROR;
        }
        shell.events.begin(block.out_events);
        shell.events.input().begin(block.in_events, block.frames_count);
        let status = match block.frames_count {
            0 => shell.process_nothing(plugin, block),
            _ => shell.process_samples(plugin, block),
        };
        shell.events.end();
        shell.events.input().end();
        status
    }
}

impl Shell {
    /// Processes a block of 0 samples: applies its parameters. Its notes and controllers wait for the next block.
    ///
    /// # Safety
    /// As for [`process`], with the shell's own plugin.
    unsafe fn process_nothing(&self, plugin: *const clap_plugin, block: &clap_process) -> clap_process_status {
        let (input, output) = (self.events.input().list(), self.events.list());
        let output = if block.out_events.is_null() { std::ptr::null() } else { &raw const output };
        // SAFETY: nice-plug's extension is valid as long as the plugin; the lists outlive the call.
        unsafe {
            let extension = self
                .inner
                .get_extension
                .map_or(std::ptr::null::<c_void>(), |get_extension| get_extension(plugin, CLAP_EXT_PARAMS.as_ptr()));
            let flush = extension.cast::<clap_plugin_params>().as_ref().and_then(|params| params.flush);
            if let Some(flush) = flush {
                flush(plugin, &input, output);
            }
        }
        CLAP_PROCESS_CONTINUE
    }

    /// Processes a block with samples.
    ///
    /// # Safety
    /// As for [`process`], with the shell's own plugin.
    unsafe fn process_samples(&self, plugin: *const clap_plugin, block: &clap_process) -> clap_process_status {
        let Ok(mut outputs) = self.outputs.try_borrow_mut() else { return CLAP_PROCESS_ERROR };
        let host_port = if block.audio_outputs_count > 0 { block.audio_outputs } else { std::ptr::null_mut() };
        // SAFETY: the host's first port has `channel_count` channels, each null or as long as the block.
        let (channels, latency) = unsafe {
            let host_port = host_port.as_ref();
            let count = host_port.map_or(0, |port| port.channel_count as usize);
            let pointers = host_port.map_or(std::ptr::null_mut(), |port| port.data32);
            let channels = outputs.channels(pointers, count, block.frames_count as usize);
            (channels, host_port.map_or(0, |port| port.latency))
        };
        let Some(channels) = channels else { return CLAP_PROCESS_ERROR };
        let mut port = clap_audio_buffer {
            data32: channels,
            data64: std::ptr::null_mut(),
            channel_count: self.num_channels as u32,
            latency,
            constant_mask: 0,
        };
        let (input, output) = (self.events.input().list(), self.events.list());
        let has_audio = self.num_channels > 0;
        let own = clap_process {
            audio_inputs: std::ptr::null(),
            audio_inputs_count: 0,
            audio_outputs: if has_audio { &mut port } else { std::ptr::null_mut() },
            audio_outputs_count: u32::from(has_audio),
            in_events: &input,
            out_events: if block.out_events.is_null() { std::ptr::null() } else { &output },
            ..*block
        };
        let process = self.inner.process;
        // SAFETY: everything that `own` points to outlives the call.
        process.map_or(CLAP_PROCESS_ERROR, |process| unsafe { process(plugin, &own) })
    }
}
