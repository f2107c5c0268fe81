//! The audio outputs of a block, whatever the host gives: each channel that is missing is replaced by one of our own. Belongs to
//! the audio thread; made on the host's main thread.

/// Channels that nobody hears.
#[derive(Default)]
pub struct Outputs {
    own: Vec<Vec<f32>>,
    /// The channels of a block, handed to nice-plug.
    pointers: Vec<*mut f32>,
}

// SAFETY: the pointers are written before each use, by the thread that uses them.
unsafe impl Send for Outputs {}

impl Outputs {
    /// For blocks of up to `max_frames` samples.
    pub fn new(num_channels: usize, max_frames: usize) -> Self {
        Self { own: vec![vec![0.0; max_frames]; num_channels], pointers: vec![std::ptr::null_mut(); num_channels] }
    }

    /// As many channels as the plugin has; `None` if one is missing and the block is longer than was promised.
    ///
    /// # Safety
    /// `host` is null, or holds `num_host` channels, each null or as long as the block.
    pub unsafe fn channels(&mut self, host: *mut *mut f32, num_host: usize, frames: usize) -> Option<*mut *mut f32> {
        for (index, (pointer, own)) in self.pointers.iter_mut().zip(&mut self.own).enumerate() {
            *pointer = if host.is_null() || index >= num_host {
                std::ptr::null_mut()
            } else {
                // SAFETY: `host` holds `num_host` pointers.
                unsafe { *host.add(index) }
            };
            if pointer.is_null() {
                *pointer = own.get_mut(..frames)?.as_mut_ptr();
            }
        }
        Some(self.pointers.as_mut_ptr())
    }

    /// How many channels the plugin has.
    pub fn num_channels(&self) -> usize {
        self.own.len()
    }
}
