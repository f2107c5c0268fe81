//! A loaded `.vst3` library, whose entry function runs once for all its instances. On the thread that loads it or drops
//! its last instance.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};

use anyhow::{Context, Result, ensure};
use libloading::Library;
use vst3::Steinberg::Vst::IComponent;
use vst3::Steinberg::{IPluginFactory, IPluginFactoryTrait, PClassInfo};
use vst3::{ComPtr, Interface};

use super::expect_ok;
use crate::fake_host::{Class, keep_loaded};

type GetPluginFactory = unsafe extern "system" fn() -> *mut IPluginFactory;

/// The modules in use, by the path of their library.
static MODULES: Mutex<BTreeMap<PathBuf, Weak<Module>>> = Mutex::new(BTreeMap::new());

/// Keeps a library entered.
pub(super) struct Module {
    library: Library,
}

impl Module {
    /// Opens the library of a `.vst3` folder and calls its entry, unless that has been done.
    pub(super) fn load(bundle: &Path) -> Result<Arc<Self>> {
        ensure!(cfg!(target_os = "linux"), "expected Linux, the fake host opens VST3 folders nowhere else");
        let stem = bundle.file_stem().context("expected a folder NAME.vst3")?;
        let folder = format!("Contents/{}-linux", std::env::consts::ARCH);
        let path = bundle.join(folder).join(stem).with_extension("so");
        let path = path.canonicalize().with_context(|| format!("{}: expected the plugin's library", path.display()))?;
        let mut modules = MODULES.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(module) = modules.get(&path).and_then(Weak::upgrade) {
            return Ok(module);
        }
        keep_loaded(&path)?;
        // SAFETY: the file is our own build; loading a library runs its code, which is what is wanted.
        let library = unsafe { Library::new(&path) }?;
        // SAFETY: the signature is the VST3 SDK's for Linux. nice-plug ignores the handle.
        let entered = unsafe {
            let entry = library.get::<unsafe extern "C" fn(*mut c_void) -> bool>(b"ModuleEntry")?;
            entry(std::ptr::null_mut())
        };
        ensure!(entered, "expected ModuleEntry to return true");
        let module = Arc::new(Self { library });
        modules.insert(path, Arc::downgrade(&module));
        Ok(module)
    }

    /// A new object of the class, to be released before the module is dropped.
    pub(super) fn create_component(&self, class: Class) -> Result<ComPtr<IComponent>> {
        // SAFETY: the signature is the SDK's, all arguments outlive their call, and we own what comes back.
        unsafe {
            let get = self.library.get::<GetPluginFactory>(b"GetPluginFactory")?;
            let factory = ComPtr::from_raw(get()).context("expected a plugin factory, got none")?;
            let num_classes = factory.countClasses();
            let index = class.index() as i32;
            ensure!(index < num_classes, "expected class number {}, got {num_classes} classes", index + 1);
            let mut info: PClassInfo = std::mem::zeroed();
            expect_ok("IPluginFactory::getClassInfo", factory.getClassInfo(index, &mut info))?;
            let mut object = std::ptr::null_mut();
            let iid = IComponent::IID;
            let result = factory.createInstance(info.cid.as_ptr(), iid.as_ptr().cast(), &mut object);
            expect_ok("IPluginFactory::createInstance", result)?;
            ComPtr::from_raw(object.cast::<IComponent>()).context("expected an IComponent, got nothing")
        }
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // Held so that nobody enters the library again while it is being left.
        let _modules = MODULES.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        // SAFETY: the signature is the SDK's; every object of the library is released, as instances drop the module
        // last.
        unsafe {
            if let Ok(exit) = self.library.get::<unsafe extern "C" fn() -> bool>(b"ModuleExit") {
                exit();
            }
        }
    }
}
