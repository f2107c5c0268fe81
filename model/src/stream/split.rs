//! Split networks, one step and voice at a time: the trunk runs once a step, the head once a voice.

use super::cuda::{Gpu, NoGpu};
use super::head::Head;
use super::matrix::PackedMatrix;
use super::table::Table;
use super::trunk::Trunk;
use super::{GridLayers, MAX_SLOTS, Rates, Scratch};
use crate::config::{EnsembleConfig, SplitConfig};
use crate::tokeniser::GridReader;
use crate::tokeniser::step_reader::{Controls, HEAD_SLOTS, INTERVALS, StepReader, relative_columns};
use crate::weights_file::Weights;
use crate::{math, sampling};

/// A split network, or several whose predictions are averaged.
pub struct SplitLayers {
    /// At least one; all have the same shape.
    members: Vec<Member>,
    rates: Option<Rates>,
}

impl SplitLayers {
    /// Packs the checked weights of one split network.
    ///
    /// # Errors
    /// If the network looks up more table rows at once than [`crate::stream`] supports.
    pub fn single(weights: &Weights, config: &SplitConfig) -> Result<Self, String> {
        Ok(Self { members: vec![Member::new(weights, config, "")?], rates: None })
    }

    /// Packs the checked weights of an ensemble.
    ///
    /// # Errors
    /// If a member looks up more table rows at once than [`crate::stream`] supports.
    pub fn ensemble(weights: &Weights, config: &EnsembleConfig) -> Result<Self, String> {
        let member = |n: usize| Member::new(weights, &config.member, &format!("{n}."));
        Ok(Self { members: (0..config.members).map(member).collect::<Result<_, _>>()?, rates: config.adaptation })
    }
}

impl GridLayers for SplitLayers {
    type Reader = StepReader;
    const ANY_ORDER: bool = true;

    fn state_len(&self) -> usize {
        self.members.iter().map(|member| member.trunk.state_len).sum()
    }

    fn scratch(&self) -> Scratch {
        let Member { config, trunk, head, .. } = &self.members[0];
        let widest = config.head.max(config.vocab_size + INTERVALS);
        Scratch::new(trunk.widest, widest, self.members.len() * head.width())
    }

    fn adaptation(&self) -> Option<Rates> {
        self.rates
    }

    fn read_step(&self, reader: &StepReader, controls: Controls, scratch: &mut Scratch) {
        reader.trunk_indices(&self.members[0].config.features, controls, scratch.wait());
    }

    fn open_gpu(&self) -> Result<Gpu, NoGpu> {
        Gpu::new(self.members.iter().map(|member| member.trunk.gpu_weights()))
    }

    fn run(&self, values: &mut [f32], _: usize, scratch: &mut Scratch) {
        let Scratch { x, y, waiting, accelerator, trunk, .. } = scratch;
        let seen = self.members.iter().zip(trunk.chunks_exact_mut(self.members[0].head.width()));
        if let Some(gpu) = accelerator.run(waiting, values) {
            seen.enumerate().for_each(|(n, (member, seen))| member.head.see(gpu.output(n), seen));
            return;
        }
        for ((member, seen), values) in seen.zip(values.chunks_exact_mut(self.members[0].trunk.state_len)) {
            member.trunk.run(waiting, values, x, y);
            member.head.see(&x[..member.trunk.width], seen);
        }
    }

    /// Writes the logits of a single network, or for several the logarithms of their mean probabilities.
    fn predict(&self, reader: &StepReader, voice: usize, scratch: &mut Scratch) {
        let Scratch { x, y, trunk, mix, .. } = scratch;
        let count = self.members.len();
        mix.fill(0.0);
        for (member, trunk) in self.members.iter().zip(trunk.chunks_exact(self.members[0].head.width())) {
            member.run_head(reader, voice, (x, y), trunk);
            if count > 1 {
                let logits = &mut x[..mix.len()];
                sampling::log_softmax(logits);
                mix.iter_mut().zip(logits).for_each(|(sum, x)| *sum += math::exp(*x));
            }
        }
        if count > 1 {
            x.iter_mut().zip(&*mix).for_each(|(x, sum)| *x = libm::logf(sum / count as f32));
        }
    }
}

/// One split network.
struct Member {
    config: SplitConfig,
    trunk: Trunk,
    head: Head,
    out: PackedMatrix, // (head, vocab_size + INTERVALS)
}

impl Member {
    /// Packs the tensors whose names start with `prefix`.
    fn new(weights: &Weights, config: &SplitConfig, prefix: &str) -> Result<Self, String> {
        if config.trunk_slots() > MAX_SLOTS {
            return Err(format!("expected at most {MAX_SLOTS} trunk slots, got {}", config.trunk_slots()));
        }
        let tensor = |name: &str| weights.tensor(&format!("{prefix}{name}"));
        let table = Table::new(tensor("trunk.table"), config.embedding);
        let trunk = Trunk::new(weights, prefix, table, &config.lstm, true);
        Ok(Self {
            head: Head::new(weights, prefix, trunk.width, config.head, config.head_layers),
            out: packed_output(tensor, config),
            trunk,
            config: config.clone(),
        })
    }

    /// Runs the head for `voice` and writes its logits, (vocab_size), to the front of `x`. `seen` is the output of
    /// the trunk, `y` scratch space.
    fn run_head(&self, reader: &StepReader, voice: usize, (x, y): (&mut [f32], &mut [f32]), seen: &[f32]) {
        let mut indices = [0; HEAD_SLOTS];
        reader.head_indices(voice, self.config.sees_echo(), &mut indices);
        self.head.run(&indices, seen, x, y);
        self.out.multiply(&x[..self.head.width()], y);
        let (vocab_size, relative) = (self.config.vocab_size, &y[self.config.vocab_size..]);
        let mut columns = [0; crate::vocabulary::Vocabulary::GRID.size()];
        relative_columns(reader.sounding(voice), &mut columns);
        x[..vocab_size].copy_from_slice(&y[..vocab_size]);
        for (logit, &column) in x.iter_mut().zip(&columns) {
            *logit += if (column as usize) < INTERVALS { relative[column as usize] } else { 0.0 };
        }
    }
}

/// The output layer, (head, vocab_size + [`INTERVALS`]): scores by token and, beside them, scores by interval from the
/// voice's previous pitch.
fn packed_output<'a>(tensor: impl Fn(&str) -> &'a [f32], config: &SplitConfig) -> PackedMatrix {
    let (by_token, relative) = (tensor("head.out.weight"), tensor("head.relative"));
    let rows = by_token.chunks_exact(config.vocab_size).zip(relative.chunks_exact(INTERVALS));
    let both: Vec<f32> = rows.flat_map(|(a, b)| a.iter().chain(b)).copied().collect();
    let bias = [tensor("head.out.bias"), &[0.0; INTERVALS]].concat();
    PackedMatrix::new(&both, &bias, config.head)
}
