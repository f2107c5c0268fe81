//! NVIDIA's driver, opened at run time. Every function is looked up before the first is called, so a driver that is
//! absent, old or broken is an error, and nothing here panics.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::fmt::{self, Display, Formatter};
use std::sync::OnceLock;

use libloading::Library;

/// A handle of the driver, or an address in the device's memory.
pub type Handle = *mut c_void;

/// The oldest driver that reads the kernels' PTX (ISA 7.8), as it states its version: CUDA 11.8.
const OLDEST_VERSION: c_int = 11_080;
#[cfg(not(windows))]
const LIBRARY: &str = "libcuda.so.1";
#[cfg(windows)]
const LIBRARY: &str = "nvcuda.dll";

/// Why a network does not run on a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoGpu {
    /// The driver's library cannot be opened.
    #[error("no NVIDIA driver: {LIBRARY} is missing")]
    NoDriver,
    /// The driver's library lacks a function.
    #[error("NVIDIA's driver has no {0}; install a newer driver")]
    MissingFunction(&'static str),
    /// The driver is too old for the kernels.
    #[error("NVIDIA's driver is for CUDA {0}.{1}; install one for 11.8 or newer")]
    OldDriver(i32, i32),
    /// There is no GPU.
    #[error("no NVIDIA GPU")]
    NoDevice,
    /// The GPU is too old for the kernels.
    #[error("the GPU has compute capability {0}.{1}; 6.0 or newer is needed")]
    OldDevice(i32, i32),
    /// The kernels have no room for the network's layers.
    #[error("the GPU's program cannot run layers of this shape")]
    Shape,
    /// Networks of this kind have no GPU code.
    #[error("networks of this kind run on the CPU")]
    Kind,
    /// A function of the driver failed.
    #[error("{0} failed: {1}")]
    Failed(&'static str, Code),
}

/// A result code of the driver. Newer drivers have codes that no list knows, so it is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(pub c_int);

impl Display for Code {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let words = match self.0 {
            2 => "out of GPU memory",
            34 => "the library is a stub without a driver",
            46 => "the GPU is unavailable, or another program has it alone",
            100 => "no NVIDIA GPU",
            209 | 218 | 222 => "the driver cannot compile for this GPU; install a newer driver",
            700..=719 => "the GPU's program has failed",
            803 => "the driver and its library have different versions; restart the machine",
            804 => "the driver does not support this GPU",
            _ => return write!(f, "error {} of the driver", self.0),
        };
        write!(f, "{words} (error {})", self.0)
    }
}

/// Declares the table of functions: for each a method, the name of its symbol and its arguments.
macro_rules! functions {
    ($($name:ident = $symbol:ident($($arg:ident: $type:ty),*);)*) => {
        /// The driver's functions. CUDA's documentation of the driver API says what each needs.
        pub struct Driver {
            $($name: unsafe extern "system" fn($($type),*) -> c_int,)*
        }

        impl Driver {
            fn look_up(library: &Library) -> Result<Self, NoGpu> {
                Ok(Self {
                    $($name: {
                        // SAFETY: the signature is the one that cuda.h gives for the symbol.
                        let symbol = unsafe { library.get(concat!(stringify!($symbol), "\0").as_bytes()) };
                        *symbol.map_err(|_| NoGpu::MissingFunction(stringify!($symbol)))?
                    },)*
                })
            }

            $(
                /// Calls the function.
                ///
                /// # Safety
                /// The arguments must be as CUDA's documentation says.
                #[allow(clippy::too_many_arguments, reason = "as many as the function has")]
                pub unsafe fn $name(&self, $($arg: $type),*) -> Result<(), NoGpu> {
                    // SAFETY: the caller's.
                    match unsafe { (self.$name)($($arg),*) } {
                        0 => Ok(()),
                        code => Err(NoGpu::Failed(stringify!($symbol), Code(code))),
                    }
                }
            )*
        }
    };
}

functions! {
    init = cuInit(flags: c_uint);
    driver_version = cuDriverGetVersion(version: *mut c_int);
    device_count = cuDeviceGetCount(count: *mut c_int);
    device = cuDeviceGet(device: *mut c_int, ordinal: c_int);
    device_name = cuDeviceGetName(name: *mut c_char, len: c_int, device: c_int);
    device_attribute = cuDeviceGetAttribute(value: *mut c_int, attribute: c_int, device: c_int);
    retain_context = cuDevicePrimaryCtxRetain(context: *mut Handle, device: c_int);
    release_context = cuDevicePrimaryCtxRelease_v2(device: c_int);
    set_context = cuCtxSetCurrent(context: Handle);
    load_module = cuModuleLoadData(module: *mut Handle, image: *const c_void);
    unload_module = cuModuleUnload(module: Handle);
    function = cuModuleGetFunction(function: *mut Handle, module: Handle, name: *const c_char);
    allocate = cuMemAlloc_v2(memory: *mut Handle, bytes: usize);
    free = cuMemFree_v2(memory: Handle);
    allocate_pinned = cuMemHostAlloc(memory: *mut Handle, bytes: usize, flags: c_uint);
    free_pinned = cuMemFreeHost(memory: Handle);
    upload = cuMemcpyHtoD_v2(to: Handle, from: *const c_void, bytes: usize);
    upload_later = cuMemcpyHtoDAsync_v2(to: Handle, from: *const c_void, bytes: usize, stream: Handle);
    download_later = cuMemcpyDtoHAsync_v2(to: *mut c_void, from: Handle, bytes: usize, stream: Handle);
    create_stream = cuStreamCreate(stream: *mut Handle, flags: c_uint);
    destroy_stream = cuStreamDestroy_v2(stream: Handle);
    synchronise = cuStreamSynchronize(stream: Handle);
    launch = cuLaunchKernel(
        function: Handle, grid_x: c_uint, grid_y: c_uint, grid_z: c_uint, block_x: c_uint, block_y: c_uint,
        block_z: c_uint, shared_bytes: c_uint, stream: Handle, arguments: *mut Handle, extra: *mut Handle
    );
    begin_capture = cuStreamBeginCapture_v2(stream: Handle, mode: c_int);
    end_capture = cuStreamEndCapture(stream: Handle, graph: *mut Handle);
    instantiate = cuGraphInstantiateWithFlags(executable: *mut Handle, graph: Handle, flags: u64);
    launch_graph = cuGraphLaunch(executable: Handle, stream: Handle);
    destroy_executable = cuGraphExecDestroy(executable: Handle);
    destroy_graph = cuGraphDestroy(graph: Handle);
}

/// The driver of this process, initialised. The first outcome stands: a driver does not appear while a host runs.
///
/// # Errors
/// If there is no driver that can run the kernels.
pub fn driver() -> Result<&'static Driver, NoGpu> {
    static DRIVER: OnceLock<Result<Driver, NoGpu>> = OnceLock::new();
    DRIVER.get_or_init(open).as_ref().map_err(|error| *error)
}

fn open() -> Result<Driver, NoGpu> {
    // SAFETY: loading the driver's library runs its initialisers, which are made for any process.
    let library = unsafe { open_library() }.map_err(|_| NoGpu::NoDriver)?;
    // It starts threads of its own, so it is never closed.
    let library: &'static Library = Box::leak(Box::new(library));
    let driver = Driver::look_up(library)?;
    let mut version = 0;
    // SAFETY: `version` is a number that outlives the call.
    unsafe {
        driver.init(0)?;
        driver.driver_version(&mut version)?;
    }
    if version < OLDEST_VERSION {
        return Err(NoGpu::OldDriver(version / 1000, version % 1000 / 10));
    }
    Ok(driver)
}

#[cfg(not(windows))]
unsafe fn open_library() -> Result<Library, libloading::Error> {
    // SAFETY: the caller's.
    unsafe { Library::new(LIBRARY) }
}

/// From the system's folder alone: nobody else's library of this name is loaded.
#[cfg(windows)]
unsafe fn open_library() -> Result<Library, libloading::Error> {
    use libloading::os::windows::{LOAD_LIBRARY_SEARCH_SYSTEM32, Library as Windows};
    // SAFETY: the caller's.
    unsafe { Windows::load_with_flags(LIBRARY, LOAD_LIBRARY_SEARCH_SYSTEM32) }.map(Library::from)
}
