//! The interface of a framework's network, and the memory of a convolution.

use anyhow::Result;

/// A network that runs one step at a time and keeps its recurrent state.
pub trait Peer {
    /// The framework's name.
    fn name(&self) -> &'static str;

    /// Runs the trunk on its input.
    fn run_trunk(&mut self, x: &[f32]) -> Result<()>;

    /// The output of the trunk.
    fn trunk_out(&self) -> Result<Vec<f32>>;

    /// Runs a head on the trunk's last output and the sum `e` of its embeddings.
    fn run_head(&mut self, head: usize, e: &[f32]) -> Result<Vec<f32>>;
}

/// The last inputs of a convolution.
pub struct History {
    /// The oldest first.
    inputs: Vec<Vec<f32>>,
    dilation: usize,
}

impl History {
    pub fn new(inputs: usize, kernel: usize, dilation: usize) -> Self {
        Self { inputs: vec![vec![0.0; inputs]; (kernel - 1) * dilation], dilation }
    }

    /// The inputs before the next that the convolution sees, the oldest first.
    pub fn taps(&self) -> Vec<f32> {
        self.inputs.iter().step_by(self.dilation).flatten().copied().collect()
    }

    /// The inputs that the convolution sees at `x`, the oldest first. Remembers `x`.
    pub fn with(&mut self, x: &[f32]) -> Vec<f32> {
        let taps = [&self.taps(), x].concat();
        if let Some(oldest) = self.inputs.first_mut() {
            oldest.copy_from_slice(x);
            self.inputs.rotate_left(1);
        }
        taps
    }
}
