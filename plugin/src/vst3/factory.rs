//! The library's entry points, and the factory of the two classes. Runs on the host's main thread.

#![allow(non_snake_case, reason = "the SDK's names")]

use std::ffi::c_void;

use nice_plug::prelude::Vst3Plugin;
use nice_plug::wrapper::setup_logger;
use nice_plug::wrapper::vst3::PluginInfo;
use nice_plug::wrapper::vst3::vst3::Steinberg::{
    FIDString, FUnknown, IPluginFactory, IPluginFactory2, IPluginFactory2Trait, IPluginFactory3, IPluginFactory3Trait,
    IPluginFactoryTrait, PClassInfo, PClassInfo2, PClassInfoW, PFactoryInfo, TUID, kInvalidArgument, kResultOk,
    tresult,
};
use nice_plug::wrapper::vst3::vst3::{Class, ComPtr, ComWrapper};

use super::component::Component;
use crate::{Instrument, NoteEffect};

/// A class of the library.
struct PluginClass {
    info: PluginInfo,
    make: fn() -> Option<ComPtr<FUnknown>>,
}

impl PluginClass {
    fn of<P: Vst3Plugin>() -> Self {
        let make = || ComWrapper::new(Component::<P>::new()).to_com_ptr();
        Self { info: PluginInfo::for_plugin::<P>(), make }
    }
}

/// The factory. Its class ids must never change.
pub(super) struct Factory([PluginClass; 2]);

impl Factory {
    /// The factory of both classes.
    pub(super) fn new() -> Self {
        Self([PluginClass::of::<Instrument>(), PluginClass::of::<NoteEffect>()])
    }

    /// Writes the info of a class to the host's memory.
    ///
    /// # Safety
    /// `to` is null, or valid for writing an info.
    unsafe fn write_info<T>(&self, index: i32, to: *mut T, info: impl FnOnce(&PluginInfo) -> T) -> tresult {
        let class = usize::try_from(index).ok().and_then(|index| self.0.get(index));
        match class {
            Some(class) if !to.is_null() => {
                // SAFETY: not null, and as the caller promises.
                unsafe { to.write(info(&class.info)) };
                kResultOk
            }
            _ => kInvalidArgument,
        }
    }
}

impl Class for Factory {
    type Interfaces = (IPluginFactory, IPluginFactory2, IPluginFactory3);
}

impl IPluginFactoryTrait for Factory {
    unsafe fn getFactoryInfo(&self, info: *mut PFactoryInfo) -> tresult {
        // SAFETY: null, or valid for writing an info.
        unsafe { self.write_info(0, info, PluginInfo::create_factory_info) }
    }

    unsafe fn countClasses(&self) -> i32 {
        self.0.len() as i32
    }

    unsafe fn getClassInfo(&self, index: i32, info: *mut PClassInfo) -> tresult {
        // SAFETY: null, or valid for writing an info.
        unsafe { self.write_info(index, info, PluginInfo::create_class_info) }
    }

    unsafe fn createInstance(&self, class_id: FIDString, interface: FIDString, object: *mut *mut c_void) -> tresult {
        if class_id.is_null() || interface.is_null() || object.is_null() {
            return kInvalidArgument;
        }
        // SAFETY: not null; an id has 16 bytes, and `object` is valid for writing a pointer.
        let class_id = unsafe {
            object.write(std::ptr::null_mut());
            class_id.cast::<[u8; 16]>().read()
        };
        let class = self.0.iter().find(|class| *class.info.cid == class_id);
        let Some(instance) = class.and_then(|class| (class.make)()) else { return kInvalidArgument };
        let pointer = instance.as_ptr();
        // SAFETY: a live object, whose first word points to its table. The host gets a reference of its own, or none.
        unsafe { ((*(*pointer).vtbl).queryInterface)(pointer, interface.cast::<TUID>(), object) }
    }
}

impl IPluginFactory2Trait for Factory {
    unsafe fn getClassInfo2(&self, index: i32, info: *mut PClassInfo2) -> tresult {
        // SAFETY: null, or valid for writing an info.
        unsafe { self.write_info(index, info, PluginInfo::create_class_info_2) }
    }
}

impl IPluginFactory3Trait for Factory {
    unsafe fn getClassInfoUnicode(&self, index: i32, info: *mut PClassInfoW) -> tresult {
        // SAFETY: null, or valid for writing an info.
        unsafe { self.write_info(index, info, PluginInfo::create_class_info_unicode) }
    }

    unsafe fn setHostContext(&self, _context: *mut FUnknown) -> tresult {
        kResultOk
    }
}

/// Returns the factory. VST3 hosts look this function up.
#[unsafe(no_mangle)]
pub extern "system" fn GetPluginFactory() -> *mut c_void {
    let factory = ComWrapper::new(Factory::new()).to_com_ptr::<IPluginFactory>();
    factory.map_or(std::ptr::null_mut(), |factory| factory.into_raw().cast())
}

fn enter() -> bool {
    setup_logger::<Instrument>();
    true
}

/// The entry points on Linux and other Unix systems.
#[cfg(all(unix, not(target_os = "macos")))]
mod linux {
    use std::ffi::c_void;

    /// The host loads the library.
    #[unsafe(no_mangle)]
    pub extern "C" fn ModuleEntry(_library: *mut c_void) -> bool {
        super::enter()
    }

    /// The host unloads the library.
    #[unsafe(no_mangle)]
    pub extern "C" fn ModuleExit() -> bool {
        true
    }
}

#[cfg(target_os = "macos")]
mod macos {
    use std::ffi::c_void;

    /// The host loads the bundle.
    #[unsafe(no_mangle)]
    pub extern "C" fn bundleEntry(_bundle: *mut c_void) -> bool {
        super::enter()
    }

    /// The host unloads the bundle.
    #[unsafe(no_mangle)]
    pub extern "C" fn bundleExit() -> bool {
        true
    }
}

#[cfg(windows)]
mod windows {
    /// The host loads the library.
    #[unsafe(no_mangle)]
    pub extern "system" fn InitDll() -> bool {
        super::enter()
    }

    /// The host unloads the library.
    #[unsafe(no_mangle)]
    pub extern "system" fn ExitDll() -> bool {
        true
    }
}
