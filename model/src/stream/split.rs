//! Split networks, one step and voice at a time: the trunk runs once a step, the head once a voice.

use super::matrix::PackedMatrix;
use super::table::Table;
use super::{GridLayers, MAX_SLOTS, Rates, Scratch, update_cell};
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
        self.members.iter().map(|member| member.state_len).sum()
    }

    fn scratch(&self) -> Scratch {
        Scratch::new(self.members[0].widest, self.members.iter().map(|member| member.trunk_len).sum())
    }

    fn adaptation(&self) -> Option<Rates> {
        self.rates
    }

    fn begin_step(&self, reader: &StepReader, controls: Controls, values: &mut [f32], scratch: &mut Scratch) {
        let Scratch { x, y, trunk, .. } = scratch;
        let parts = self.members.iter().zip(values.chunks_exact_mut(self.members[0].state_len));
        for ((member, values), trunk) in parts.zip(trunk.chunks_exact_mut(self.members[0].trunk_len)) {
            member.run_trunk(reader, controls, values, (x, y), trunk);
        }
    }

    /// Writes the logits of a single network, or for several the logarithms of their mean probabilities.
    fn run(&self, reader: &StepReader, voice: usize, _: &mut [f32], _: usize, scratch: &mut Scratch) {
        let Scratch { x, y, trunk, mix } = scratch;
        let count = self.members.len();
        mix.fill(0.0);
        for (member, trunk) in self.members.iter().zip(trunk.chunks_exact(self.members[0].trunk_len)) {
            member.run_head(reader, voice, (x, y), trunk);
            if count > 1 {
                let logits = &mut x[..mix.len()];
                sampling::log_softmax(logits);
                mix.iter_mut().zip(logits).for_each(|(sum, x)| *sum += math::exp(*x));
            }
        }
        if count > 1 {
            x.iter_mut().zip(&*mix).for_each(|(x, sum)| *x = (sum / count as f32).ln());
        }
    }
}

/// One split network.
struct Member {
    config: SplitConfig,
    trunk_table: Table,
    lstm: Vec<PackedMatrix>,  // (inputs + units, 4 * units)
    head_trunk: PackedMatrix, // (units, head)
    head_table: Table,
    head_layers: Vec<PackedMatrix>, // (head, head)
    out: PackedMatrix,              // (head, vocab_size + INTERVALS)
    /// The width of the widest vector between layers.
    widest: usize,
    trunk_len: usize,
    state_len: usize,
}

impl Member {
    /// Packs the tensors whose names start with `prefix`.
    fn new(weights: &Weights, config: &SplitConfig, prefix: &str) -> Result<Self, String> {
        if config.trunk_slots() > MAX_SLOTS {
            return Err(format!("expected at most {MAX_SLOTS} trunk slots, got {}", config.trunk_slots()));
        }
        let tensor = |name: &str| weights.tensor(&format!("{prefix}{name}"));
        let mut width = config.embedding;
        let mut widest = width.max(config.head).max(config.vocab_size + INTERVALS);
        let mut lstm = Vec::new();
        for (i, &units) in config.lstm.iter().enumerate() {
            let part = |part: &str| tensor(&format!("lstm.{i}.{part}"));
            let both = [part("w_ih"), part("w_hh")].concat();
            lstm.push(PackedMatrix::new(&both, part("bias"), width + units));
            widest = widest.max(width + units).max(4 * units);
            width = units;
        }
        let head_layer = |i: usize| {
            let part = |part: &str| tensor(&format!("head.{i}.{part}"));
            PackedMatrix::new(part("weight"), part("bias"), config.head)
        };
        Ok(Self {
            trunk_table: Table::new(tensor("trunk.table"), config.embedding),
            head_trunk: PackedMatrix::new(tensor("head.trunk"), &vec![0.0; config.head], width),
            head_table: Table::new(tensor("head.table"), config.head),
            head_layers: (0..config.head_layers).map(head_layer).collect(),
            out: packed_output(tensor, config),
            lstm,
            widest,
            trunk_len: config.head,
            state_len: 2 * config.lstm.iter().sum::<usize>(),
            config: config.clone(),
        })
    }

    /// Runs the trunk for a step and writes its output for the head, (head), to `trunk`. `values` is its recurrent
    /// state; `x` and `y` are scratch space.
    fn run_trunk(
        &self,
        reader: &StepReader,
        controls: Controls,
        values: &mut [f32],
        (x, y): (&mut [f32], &mut [f32]),
        trunk: &mut [f32],
    ) {
        let mut indices = [0; MAX_SLOTS];
        let count = reader.trunk_indices(&self.config.features, controls, &mut indices);
        let mut width = self.config.embedding;
        x[..width].fill(0.0);
        self.trunk_table.add_up(&indices[..count], &mut x[..width], &mut y[..width]);
        let mut values = values;
        for (matrix, &units) in self.lstm.iter().zip(&self.config.lstm) {
            let (h, rest) = values.split_at_mut(units);
            let (c, rest) = rest.split_at_mut(units);
            values = rest;
            x[width..width + units].copy_from_slice(h);
            matrix.multiply(&x[..width + units], y);
            update_cell(&mut y[..4 * units], c, h);
            if width == units {
                x.iter_mut().zip(&*h).for_each(|(x, h)| *x += h);
            } else {
                x[..units].copy_from_slice(h);
            }
            width = units;
        }
        self.head_trunk.multiply(&x[..width], trunk);
    }

    /// Runs the head for `voice` and writes its logits, (vocab_size), to the front of `x`. `trunk` is the output of
    /// [`Self::run_trunk`], `y` scratch space.
    fn run_head(&self, reader: &StepReader, voice: usize, (x, y): (&mut [f32], &mut [f32]), trunk: &[f32]) {
        let width = self.config.head;
        let mut indices = [0; HEAD_SLOTS];
        reader.head_indices(voice, self.config.sees_echo(), &mut indices);
        // The residual stream z and the output of a layer share y; x holds the input of a layer.
        let (z, room) = y.split_at_mut(width);
        z.copy_from_slice(trunk);
        self.head_table.add_up(&indices, z, &mut x[..width]);
        for layer in &self.head_layers {
            rectify(z, x);
            layer.multiply(&x[..width], room);
            z.iter_mut().zip(&*room).for_each(|(z, y)| *z += y);
        }
        rectify(z, x);
        self.out.multiply(&x[..width], room);
        let (vocab_size, relative) = (self.config.vocab_size, &room[self.config.vocab_size..]);
        let mut columns = [0; crate::vocabulary::Vocabulary::GRID.size()];
        relative_columns(reader.sounding(voice), &mut columns);
        x[..vocab_size].copy_from_slice(&room[..vocab_size]);
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

/// Writes ReLU of `z` to the front of `out`.
fn rectify(z: &[f32], out: &mut [f32]) {
    out.iter_mut().zip(z).for_each(|(out, &z)| *out = z.max(0.0));
}
