//! Trunks on an NVIDIA GPU, through the driver alone: no CUDA toolkit, no linking. The kernels (`cuda/trunk.cu`) keep
//! the order and the rounding of the CPU's sums, so the outcome has the same bits.
//!
//! A GPU remembers nothing between two runs. The recurrent state is with the performance as ever; it goes up with what
//! is to be read, and comes back with the output. So if the GPU is lost in the middle of a song, the CPU reads the same
//! once more, and nothing is missing.

mod driver;
mod session;

use super::Lookup;
pub use driver::{Code, NoGpu};
use session::GpuTrunk;
pub(super) use session::{GpuWeights, LayerWeights};

/// An open GPU that runs the trunks of one performance.
pub struct Gpu {
    /// At least one, in the order of the network's members.
    trunks: Vec<GpuTrunk>,
}

impl Gpu {
    /// Makes a performance's own trunks of weights that all performances share.
    pub(super) fn new(weights: impl Iterator<Item = Result<std::sync::Arc<GpuWeights>, NoGpu>>) -> Result<Self, NoGpu> {
        Ok(Self { trunks: weights.map(|weights| GpuTrunk::new(weights?)).collect::<Result<_, _>>()? })
    }

    /// The GPU's name, as its driver gives it.
    pub fn name(&self) -> &str {
        self.trunks[0].name()
    }

    /// The output of a member's trunk for the last lookup, (width).
    pub(super) fn output(&self, member: usize) -> &[f32] {
        self.trunks[member].output()
    }

    /// Lets each trunk read `lookups`, at most a batch of them. `values` has the recurrent states of all trunks side by
    /// side. After an error they are as before.
    fn run(&mut self, lookups: &[Lookup], values: &mut [f32]) -> Result<(), NoGpu> {
        let lengths: usize = self.trunks.iter().map(GpuTrunk::state_len).sum();
        assert_eq!(values.len(), lengths, "the states of all trunks");
        // All trunks run at once.
        let mut rest = &*values;
        for trunk in &mut self.trunks {
            let (state, after) = rest.split_at(trunk.state_len());
            trunk.start(lookups, state)?;
            rest = after;
        }
        self.trunks.iter_mut().try_for_each(GpuTrunk::finish)?;
        let mut rest = values;
        for trunk in &self.trunks {
            let (state, after) = rest.split_at_mut(trunk.state_len());
            state.copy_from_slice(trunk.state());
            rest = after;
        }
        Ok(())
    }
}

/// Runs a performance's trunks on a GPU, if one is attached.
#[derive(Default)]
pub struct Accelerator {
    gpu: Option<Gpu>,
    /// Why the GPU no longer runs.
    lost: Option<NoGpu>,
}

impl Accelerator {
    /// Lets a GPU run the trunks from now on, or the CPU. Call it between two decisions.
    pub fn attach(&mut self, gpu: Option<Gpu>) {
        (self.gpu, self.lost) = (gpu, None);
    }

    /// The name of the attached GPU.
    pub fn name(&self) -> Option<&str> {
        self.gpu.as_ref().filter(|_| self.lost.is_none()).map(Gpu::name)
    }

    /// Closes the GPU if it was lost, and returns why. The CPU has run the trunks since. Not for the middle of a
    /// decision: a driver may take its time to close a GPU.
    pub fn take_loss(&mut self) -> Option<NoGpu> {
        let loss = self.lost.take()?;
        self.gpu = None;
        Some(loss)
    }

    /// Lets the GPU read `lookups`. Without one, or if it is lost in doing so, `values` stays as it is, and the CPU has
    /// to read them. Returns the GPU, which has the outputs.
    pub(super) fn run(&mut self, lookups: &[Lookup], values: &mut [f32]) -> Option<&Gpu> {
        if self.lost.is_none() {
            self.lost = self.gpu.as_mut()?.run(lookups, values).err();
        }
        self.gpu.as_ref().filter(|_| self.lost.is_none())
    }
}
