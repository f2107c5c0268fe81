//! CLAP: entry and factory, and a thin plugin around nice-plug's, which corrects nice-plug 0.4.2.
//!
//! nice-plug creates a `clap_plugin`, a table of functions. [`plugin::Shell`] wraps it and keeps its data pointer, so
//! that nice-plug's functions and extensions work unchanged. The shell replaces `process`:
//!
//! - a host that accepts only MIDI gets MIDI ([`output`], [`midi`]);
//! - SysEx passes through ([`output`]);
//! - events of a block of 0 samples wait for the next block ([`input`]);
//! - substitutes replace missing audio buffers ([`plugin`]).

mod input;
mod midi;
mod output;
mod plugin;

#[cfg(test)]
mod tests;

use std::ffi::{CStr, c_char, c_void};
use std::sync::OnceLock;

use clap_sys::entry::clap_plugin_entry;
use clap_sys::factory::plugin_factory::{CLAP_PLUGIN_FACTORY_ID, clap_plugin_factory};
use clap_sys::host::clap_host;
use clap_sys::plugin::{clap_plugin, clap_plugin_descriptor};
use clap_sys::version::CLAP_VERSION;
use nice_plug::prelude::ClapPlugin;
use nice_plug::wrapper::clap::PluginDescriptor;
use nice_plug::wrapper::setup_logger;

use crate::{Instrument, NoteEffect};
use plugin::new_plugin;

/// A class of the library.
struct PluginClass {
    descriptor: PluginDescriptor,
    make: unsafe fn(*const clap_host) -> *const clap_plugin,
}

impl PluginClass {
    fn of<P: ClapPlugin>() -> Self {
        Self { descriptor: PluginDescriptor::for_plugin::<P>(), make: new_plugin::<P> }
    }
}

fn classes() -> &'static [PluginClass; 2] {
    static CLASSES: OnceLock<[PluginClass; 2]> = OnceLock::new();
    CLASSES.get_or_init(|| [PluginClass::of::<Instrument>(), PluginClass::of::<NoteEffect>()])
}

static FACTORY: clap_plugin_factory = clap_plugin_factory {
    get_plugin_count: Some(get_plugin_count),
    get_plugin_descriptor: Some(get_plugin_descriptor),
    create_plugin: Some(create_plugin),
};

unsafe extern "C" fn get_plugin_count(_: *const clap_plugin_factory) -> u32 {
    classes().len() as u32
}

unsafe extern "C" fn get_plugin_descriptor(_: *const clap_plugin_factory, index: u32) -> *const clap_plugin_descriptor {
    let class = classes().get(index as usize);
    class.map_or(std::ptr::null(), |class| class.descriptor.clap_plugin_descriptor())
}

unsafe extern "C" fn create_plugin(
    _: *const clap_plugin_factory,
    host: *const clap_host,
    id: *const c_char,
) -> *const clap_plugin {
    if host.is_null() || id.is_null() {
        return std::ptr::null();
    }
    // SAFETY: not null, and a C string by CLAP's rules.
    let id = unsafe { CStr::from_ptr(id) };
    let class = classes().iter().find(|class| class.descriptor.clap_id() == id);
    // SAFETY: the host outlives its plugins by CLAP's rules.
    class.map_or(std::ptr::null(), |class| unsafe { (class.make)(host) })
}

unsafe extern "C" fn init(_path: *const c_char) -> bool {
    setup_logger::<Instrument>();
    true
}

unsafe extern "C" fn deinit() {}

unsafe extern "C" fn get_factory(id: *const c_char) -> *const c_void {
    // SAFETY: not null, and a C string by CLAP's rules.
    if !id.is_null() && unsafe { CStr::from_ptr(id) } == CLAP_PLUGIN_FACTORY_ID {
        (&raw const FACTORY).cast()
    } else {
        std::ptr::null()
    }
}

/// The entry point that CLAP hosts look up.
#[unsafe(no_mangle)]
#[used]
pub static clap_entry: clap_plugin_entry = clap_plugin_entry {
    clap_version: CLAP_VERSION,
    init: Some(init),
    deinit: Some(deinit),
    get_factory: Some(get_factory),
};
