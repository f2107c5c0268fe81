//! The audio outputs of a block. Where the host leaves out a channel, a buffer of our own takes its place. The host's
//! main thread allocates them, the audio thread uses them.

/// Substitutes for missing channels, and the list of channels that nice-plug gets.
#[derive(Default)]
pub struct Outputs {
    own: Vec<Vec<f32>>,
    /// The channels of the current block.
    pointers: Vec<*mut f32>,
}

// SAFETY: the thread that uses the pointers writes them before each use.
unsafe impl Send for Outputs {}

impl Outputs {
    /// Buffers for `num_channels` channels and blocks of up to `max_frames` samples.
    pub fn new(num_channels: usize, max_frames: usize) -> Self {
        Self { own: vec![vec![0.0; max_frames]; num_channels], pointers: vec![std::ptr::null_mut(); num_channels] }
    }

    /// A list with a pointer for each channel of the plugin: the host's, or one of ours. `None` if a channel is missing
    /// and the block is longer than `max_frames`.
    ///
    /// # Safety
    /// `host` is null, or points to `num_host` channels, each null or at least as long as the block.
    pub unsafe fn channels(&mut self, host: *mut *mut f32, num_host: usize, frames: usize) -> Option<*mut *mut f32> {
        for (index, (pointer, own)) in self.pointers.iter_mut().zip(&mut self.own).enumerate() {
            *pointer = if host.is_null() || index >= num_host {
                std::ptr::null_mut()
            } else {
                // SAFETY: `host` points to `num_host` pointers.
                unsafe { *host.add(index) }
            };
            if pointer.is_null() {
                *pointer = own.get_mut(..frames)?.as_mut_ptr();
            }
        }
        Some(self.pointers.as_mut_ptr())
    }

    /// The number of the plugin's channels.
    pub fn num_channels(&self) -> usize {
        self.own.len()
    }
}
