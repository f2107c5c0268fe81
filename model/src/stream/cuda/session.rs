//! A network's weights in the GPU's memory, and what each performance needs beside them.

use std::ffi::{CStr, c_int, c_void};
use std::ptr::null_mut;
use std::sync::Arc;

use half::f16;

use super::driver::{Driver, Handle, NoGpu, driver};
use crate::stream::{BATCH, Lookup, MAX_SLOTS};

/// The kernels, with the zero that ends a C string.
const KERNELS: &str = concat!(include_str!("trunk.ptx"), "\0");
/// The constants of `trunk.cu`.
const PANEL: usize = 64;
const UNITS: usize = 16;
const MAX_WIDTH: usize = 4096;
/// As many threads add up the rows of a lookup.
const LOOKUP_THREADS: usize = 256;
/// The oldest compute capability that the kernels are compiled for.
const OLDEST: (c_int, c_int) = (6, 0);
/// CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR.
const COMPUTE_CAPABILITY: [c_int; 2] = [75, 76];
/// CU_STREAM_NON_BLOCKING: does not wait for what other parts of the process do on the GPU.
const NON_BLOCKING: u32 = 1;
/// CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads may use the GPU during the capture.
const CAPTURE_THREAD_LOCAL: c_int = 1;

/// The first GPU and the process's context on it, with the kernels loaded.
struct Device {
    driver: &'static Driver,
    ordinal: c_int,
    context: Handle,
    /// Null until it is loaded.
    module: Handle,
    name: String,
}

impl Device {
    fn open() -> Result<Self, NoGpu> {
        let driver = driver()?;
        let (mut count, mut ordinal, mut capability) = (0, 0, (0, 0));
        let mut name = [0; 256];
        let mut device = Self { driver, ordinal, context: null_mut(), module: null_mut(), name: String::new() };
        // SAFETY: every pointer is to a local that outlives the call, `name` with its length.
        unsafe {
            driver.device_count(&mut count)?;
            if count == 0 {
                return Err(NoGpu::NoDevice);
            }
            driver.device(&mut ordinal, 0)?;
            driver.device_attribute(&mut capability.0, COMPUTE_CAPABILITY[0], ordinal)?;
            driver.device_attribute(&mut capability.1, COMPUTE_CAPABILITY[1], ordinal)?;
            if capability < OLDEST {
                return Err(NoGpu::OldDevice(capability.0, capability.1));
            }
            driver.device_name(name.as_mut_ptr(), name.len() as c_int - 1, ordinal)?;
            device.name = CStr::from_ptr(name.as_ptr()).to_string_lossy().into_owned();
            device.ordinal = ordinal;
            driver.retain_context(&mut device.context, ordinal)?;
            driver.set_context(device.context)?;
            driver.load_module(&mut device.module, KERNELS.as_ptr().cast())?;
        }
        Ok(device)
    }

    /// Makes the context current on this thread, which every use needs first.
    fn enter(&self) -> Result<(), NoGpu> {
        // SAFETY: the context is retained until `drop`.
        unsafe { self.driver.set_context(self.context) }
    }

    fn kernel(&self, name: &CStr) -> Result<Handle, NoGpu> {
        let mut kernel = null_mut();
        // SAFETY: the module is loaded, and `kernel` outlives the call.
        unsafe { self.driver.function(&mut kernel, self.module, name.as_ptr())? };
        Ok(kernel)
    }
}

impl Drop for Device {
    /// Errors are of no interest: a lost GPU has nothing to give back.
    fn drop(&mut self) {
        if self.context.is_null() {
            return;
        }
        // SAFETY: the context is retained once and the module loaded once; nothing uses them any more.
        unsafe {
            let _ = self.driver.set_context(self.context);
            if !self.module.is_null() {
                let _ = self.driver.unload_module(self.module);
            }
            let _ = self.driver.set_context(null_mut());
            let _ = self.driver.release_context(self.ordinal);
        }
    }
}

/// Memory of the GPU, or memory of the CPU that the GPU reads and writes. Its owner frees it.
#[derive(Default)]
struct Allocations {
    device: Vec<Handle>,
    pinned: Vec<Handle>,
}

impl Allocations {
    fn device(&mut self, driver: &Driver, bytes: usize) -> Result<Handle, NoGpu> {
        let mut memory = null_mut();
        // SAFETY: `memory` outlives the call.
        unsafe { driver.allocate(&mut memory, bytes)? };
        self.device.push(memory);
        Ok(memory)
    }

    fn pinned(&mut self, driver: &Driver, bytes: usize) -> Result<Handle, NoGpu> {
        let mut memory = null_mut();
        // SAFETY: `memory` outlives the call.
        unsafe { driver.allocate_pinned(&mut memory, bytes, 0)? };
        self.pinned.push(memory);
        Ok(memory)
    }

    fn uploaded<T: Copy>(&mut self, driver: &Driver, values: &[T]) -> Result<Handle, NoGpu> {
        let memory = self.device(driver, size_of_val(values))?;
        // SAFETY: both are as long as `values`.
        unsafe { driver.upload(memory, values.as_ptr().cast(), size_of_val(values))? };
        Ok(memory)
    }

    /// # Safety
    /// Nothing may use the memory any more, and the context must be current.
    unsafe fn free(&mut self, driver: &Driver) {
        for memory in self.device.drain(..) {
            // SAFETY: the driver allocated it, and it is freed once.
            let _ = unsafe { driver.free(memory) };
        }
        for memory in self.pinned.drain(..) {
            // SAFETY: as above.
            let _ = unsafe { driver.free_pinned(memory) };
        }
    }
}

/// The weights of an LSTM layer, as the CPU packs them.
pub struct LayerWeights {
    /// The width of its input.
    pub inputs: usize,
    /// The width of its output.
    pub units: usize,
    /// Whether the input is added to the output.
    pub residual: bool,
    /// (inputs + units, 4 * units), in row-major order.
    pub matrix: Vec<f16>,
    /// (4 * units).
    pub bias: Vec<f32>,
}

impl LayerWeights {
    /// The matrix and the bias in the order of the kernel: panels of 16 units with their four gates.
    fn in_panels(&self) -> (Vec<f16>, Vec<f32>) {
        let (width, outputs) = (self.inputs + self.units, 4 * self.units);
        let (mut matrix, mut bias) = (vec![f16::ZERO; width * outputs], vec![0.0; outputs]);
        for output in 0..outputs {
            let (gate, unit) = (output / self.units, output % self.units);
            let (panel, column) = (unit / UNITS, gate * UNITS + unit % UNITS);
            bias[panel * PANEL + column] = self.bias[output];
            for input in 0..width {
                matrix[(panel * width + input) * PANEL + column] = self.matrix[input * outputs + output];
            }
        }
        (matrix, bias)
    }
}

/// A layer in the GPU's memory.
struct Layer {
    weights: Handle,
    bias: Handle,
    inputs: u32,
    units: u32,
    residual: u32,
}

/// A trunk's weights in the GPU's memory, which the performances of a process share.
pub struct GpuWeights {
    table: Handle,
    /// The width of the table.
    width: usize,
    layers: Vec<Layer>,
    state_len: usize,
    outputs: usize,
    look_up: Handle,
    lstm: Handle,
    memory: Allocations,
    device: Device,
}

// SAFETY: handles are the process's, and the driver is safe to call from any thread. What is behind them never changes.
unsafe impl Send for GpuWeights {}
// SAFETY: as above.
unsafe impl Sync for GpuWeights {}

impl GpuWeights {
    /// Opens the GPU and uploads a trunk's weights: its table, (rows, width), and its layers. The driver may compile
    /// the kernels first, which takes seconds.
    ///
    /// # Errors
    /// If there is no GPU that can run the trunk.
    pub fn upload(table: &[f16], width: usize, layers: &[LayerWeights]) -> Result<Self, NoGpu> {
        let fits = |layer: &LayerWeights| layer.units.is_multiple_of(UNITS) && layer.inputs + layer.units <= MAX_WIDTH;
        let Some(last) = layers.last().filter(|_| layers.iter().all(fits)) else { return Err(NoGpu::Shape) };
        let device = Device::open()?;
        let mut weights = Self {
            table: null_mut(),
            width,
            layers: Vec::new(),
            state_len: 2 * layers.iter().map(|layer| layer.units).sum::<usize>(),
            outputs: last.units,
            look_up: device.kernel(c"look_up")?,
            lstm: device.kernel(c"lstm")?,
            memory: Allocations::default(),
            device,
        };
        let (driver, memory) = (weights.device.driver, &mut weights.memory);
        weights.table = memory.uploaded(driver, table)?;
        for layer in layers {
            let (matrix, bias) = layer.in_panels();
            weights.layers.push(Layer {
                weights: memory.uploaded(driver, &matrix)?,
                bias: memory.uploaded(driver, &bias)?,
                inputs: layer.inputs as u32,
                units: layer.units as u32,
                residual: layer.residual.into(),
            });
        }
        // Copies may still be under way, and the streams of trunks do not wait for them.
        // SAFETY: null is the stream of the copies.
        unsafe { driver.synchronise(null_mut())? };
        Ok(weights)
    }
}

impl Drop for GpuWeights {
    fn drop(&mut self) {
        let _ = self.device.enter();
        // SAFETY: trunks hold their weights, so no kernel reads them any more.
        unsafe { self.memory.free(self.device.driver) };
    }
}

/// A trunk of one performance: its stream, and memory for what goes up and comes back.
///
/// The recurrent state and then the lookups go up; the state and then the output come back.
pub struct GpuTrunk {
    weights: Arc<GpuWeights>,
    stream: Handle,
    /// A single step, captured once: launching it takes one call of the driver.
    graph: Handle,
    executable: Handle,
    memory: Allocations,
    sent: Handle,
    input: Handle,
    /// The states between the steps of a phrase, (2, state_len).
    states: Handle,
    /// The vectors between layers, (2, [`MAX_WIDTH`]).
    between: Handle,
    output: Handle,
    received: Handle,
}

// SAFETY: as for `GpuWeights`; each use makes the context current on its thread.
unsafe impl Send for GpuTrunk {}

/// The address `count` 4-byte numbers behind another.
fn behind(address: Handle, count: usize) -> Handle {
    address.wrapping_byte_add(4 * count)
}

/// Pointers to a kernel's arguments.
macro_rules! arguments {
    ($($argument:expr),*) => { [$((&raw const $argument).cast_mut().cast::<c_void>()),*] };
}

impl GpuTrunk {
    /// Allocates what a performance needs, and captures a step.
    ///
    /// # Errors
    /// If the driver refuses.
    pub fn new(weights: Arc<GpuWeights>) -> Result<Self, NoGpu> {
        let null = null_mut();
        let (mut stream, mut memory) = (null, Allocations::default());
        weights.device.enter()?;
        let driver = weights.device.driver;
        // SAFETY: `stream` outlives the call.
        unsafe { driver.create_stream(&mut stream, NON_BLOCKING)? };
        let up = 4 * (weights.state_len + BATCH * MAX_SLOTS);
        let down = 4 * (weights.state_len + weights.outputs);
        let allocated = (|| {
            Ok([
                memory.pinned(driver, up)?,
                memory.device(driver, up)?,
                memory.device(driver, 2 * 4 * weights.state_len)?,
                memory.device(driver, 2 * 4 * MAX_WIDTH)?,
                memory.device(driver, down)?,
                memory.pinned(driver, down)?,
            ])
        })();
        let [sent, input, states, between, output, received] = allocated.unwrap_or([null; 6]);
        // From here on `drop` gives everything back.
        let mut trunk = Self {
            weights,
            stream,
            graph: null,
            executable: null,
            memory,
            sent,
            input,
            states,
            between,
            output,
            received,
        };
        allocated?;
        trunk.capture()?;
        Ok(trunk)
    }

    /// The GPU's name.
    pub fn name(&self) -> &str {
        &self.weights.device.name
    }

    /// The length of the recurrent state.
    pub fn state_len(&self) -> usize {
        self.weights.state_len
    }

    /// Begins to read `lookups`, at most [`BATCH`], from the recurrent state `state`. [`Self::finish`] must follow.
    pub fn start(&mut self, lookups: &[Lookup], state: &[f32]) -> Result<(), NoGpu> {
        assert!((1..=BATCH).contains(&lookups.len()) && state.len() == self.state_len());
        let driver = self.weights.device.driver;
        self.weights.device.enter()?;
        // SAFETY: `sent` has room for a state and a batch of lookups, and the GPU does not read it before the launch.
        unsafe {
            state.as_ptr().copy_to_nonoverlapping(self.sent.cast(), state.len());
            lookups.as_ptr().copy_to_nonoverlapping(behind(self.sent, state.len()).cast(), lookups.len());
            match lookups.len() {
                1 => driver.launch_graph(self.executable, self.stream),
                count => self.enqueue(count),
            }
        }
    }

    /// Waits until all is read. After an error nothing is known of [`Self::state`] and [`Self::output`].
    pub fn finish(&mut self) -> Result<(), NoGpu> {
        self.weights.device.enter()?;
        // SAFETY: the stream is open.
        unsafe { self.weights.device.driver.synchronise(self.stream) }
    }

    /// The recurrent state after [`Self::finish`].
    pub fn state(&self) -> &[f32] {
        // SAFETY: `received` begins with a state, and the GPU writes it only between `start` and `finish`.
        unsafe { std::slice::from_raw_parts(self.received.cast(), self.state_len()) }
    }

    /// The output for the last lookup after [`Self::finish`].
    pub fn output(&self) -> &[f32] {
        // SAFETY: the output follows the state; see there.
        unsafe { std::slice::from_raw_parts(behind(self.received, self.state_len()).cast(), self.weights.outputs) }
    }

    /// Records a single step as a graph.
    fn capture(&mut self) -> Result<(), NoGpu> {
        let driver = self.weights.device.driver;
        // SAFETY: all memory that the graph names is allocated, and freed after it. The capture ends even if recording
        // fails.
        unsafe {
            driver.begin_capture(self.stream, CAPTURE_THREAD_LOCAL)?;
            let recorded = self.enqueue(1);
            let ended = driver.end_capture(self.stream, &mut self.graph);
            recorded.and(ended)?;
            driver.instantiate(&mut self.executable, self.graph, 0)
        }
    }

    /// Puts the copy up, `count` steps and the copy down into the stream.
    ///
    /// # Safety
    /// The context must be current.
    unsafe fn enqueue(&self, count: usize) -> Result<(), NoGpu> {
        let GpuWeights { table, width, layers, state_len, outputs, look_up, lstm, device, .. } = &*self.weights;
        let (driver, width) = (device.driver, *width as u32);
        // SAFETY: each kernel gets the arguments that it declares, of their types, and memory of the size that it
        // reads or writes: see the fields.
        unsafe {
            let up = 4 * (state_len + count * MAX_SLOTS);
            driver.upload_later(self.input, self.sent, up, self.stream)?;
            for step in 0..count {
                let lookup = behind(self.input, state_len + step * MAX_SLOTS);
                let mut x = self.between;
                self.launch(*look_up, 1, LOOKUP_THREADS, &mut arguments![*table, lookup, width, x])?;
                let state = |step: usize| behind(self.states, step % 2 * state_len);
                let mut from = if step == 0 { self.input } else { state(step) };
                let mut to = if step + 1 == count { self.output } else { state(step + 1) };
                for (n, layer) in layers.iter().enumerate() {
                    let is_last = n + 1 == layers.len();
                    let next = behind(self.between, (n + 1) % 2 * MAX_WIDTH);
                    let out = if is_last { behind(self.output, *state_len) } else { next };
                    let Layer { weights, bias, inputs, units, residual } = layer;
                    let mut arguments = arguments![*weights, *bias, *inputs, *units, *residual, x, from, to, out];
                    self.launch(*lstm, *units as usize / UNITS, PANEL, &mut arguments)?;
                    (from, to) = (behind(from, 2 * *units as usize), behind(to, 2 * *units as usize));
                    x = out;
                }
            }
            driver.download_later(self.received, self.output, 4 * (state_len + outputs), self.stream)
        }
    }

    /// # Safety
    /// `arguments` must point to what the kernel declares, and the context must be current.
    unsafe fn launch(
        &self,
        kernel: Handle,
        blocks: usize,
        threads: usize,
        arguments: &mut [Handle],
    ) -> Result<(), NoGpu> {
        let (blocks, threads) = (blocks as u32, threads as u32);
        let (arguments, driver) = (arguments.as_mut_ptr(), self.weights.device.driver);
        // SAFETY: the caller's.
        unsafe { driver.launch(kernel, blocks, 1, 1, threads, 1, 1, 0, self.stream, arguments, null_mut()) }
    }
}

impl Drop for GpuTrunk {
    fn drop(&mut self) {
        let driver = self.weights.device.driver;
        let _ = self.weights.device.enter();
        // SAFETY: each handle came from the driver and is given back once, after what may still use it has ended.
        unsafe {
            let _ = driver.synchronise(self.stream);
            if !self.executable.is_null() {
                let _ = driver.destroy_executable(self.executable);
            }
            if !self.graph.is_null() {
                let _ = driver.destroy_graph(self.graph);
            }
            self.memory.free(driver);
            let _ = driver.destroy_stream(self.stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::hash::fnv1a;

    #[test]
    fn the_kernels_are_compiled_from_their_source() {
        let source = fnv1a(include_bytes!("trunk.cu").iter().copied());
        let stated = super::KERNELS.lines().next().unwrap_or_default();
        assert!(
            stated.ends_with(&format!("fnv1a {source:016x}.")),
            "trunk.ptx is not made from this trunk.cu ({source:016x}): `{stated}`; run make_ptx.py"
        );
    }
}
