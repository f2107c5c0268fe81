//! A split network: its trunk once a step, its head once a voice.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::matrix::PackedMatrix;
use super::{MAX_SLOTS, update_cell};
use crate::config::SplitConfig;
use crate::tokeniser::step_reader::{Controls, HEAD_SLOTS, INTERVALS, NO_ROW, StepReader, relative_columns};
use crate::weights_file::Weights;

/// A split network ready to play.
pub(super) struct StreamingSplit {
    config: SplitConfig,
    trunk_table: Table,
    lstm: Vec<PackedMatrix>,  // (inputs + units, 4 * units)
    head_trunk: PackedMatrix, // (units, head)
    head_table: Table,
    head_layers: Vec<PackedMatrix>, // (head, head)
    out: PackedMatrix,              // (head, vocab_size + INTERVALS)
    /// Widest vector between two layers.
    pub(super) widest: usize,
    pub(super) trunk_len: usize,
    pub(super) state_len: usize,
}

/// Rows that are added up, in 16 bits.
struct Table {
    rows: Vec<f16>,
    width: usize,
}

impl Table {
    fn new(rows: &[f32], width: usize) -> Self {
        Self { rows: rows.iter().map(|&x| f16::from_f32(x)).collect(), width }
    }

    /// Adds `rows` to `sum`, (width); `row` is room of that width.
    fn add_up(&self, rows: &[u32], sum: &mut [f32], row: &mut [f32]) {
        for &n in rows.iter().filter(|&&n| n != NO_ROW) {
            let from = n as usize * self.width;
            self.rows[from..from + self.width].convert_to_f32_slice(row);
            sum.iter_mut().zip(&*row).for_each(|(sum, x)| *sum += x);
        }
    }
}

impl StreamingSplit {
    /// Packs the tensors whose names begin with `prefix`.
    pub(super) fn new(weights: &Weights, config: &SplitConfig, prefix: &str) -> Result<Self, String> {
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

    /// Advances the trunk by one step; what it says to the heads goes to `trunk`. `x` and `y` are room to work in.
    pub(super) fn run_trunk(
        &self,
        reader: &StepReader,
        controls: Controls,
        values: &mut [f32],
        (x, y): (&mut [f32], &mut [f32]),
        trunk: &mut [f32],
    ) {
        let mut rows = [0; MAX_SLOTS];
        let count = reader.trunk_rows(&self.config.features, controls, &mut rows);
        let mut width = self.config.embedding;
        x[..width].fill(0.0);
        self.trunk_table.add_up(&rows[..count], &mut x[..width], &mut y[..width]);
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

    /// Scores `voice`'s tokens; the logits are at the front of `x`. `y` is room to work in.
    pub(super) fn run_head(&self, reader: &StepReader, voice: usize, (x, y): (&mut [f32], &mut [f32]), trunk: &[f32]) {
        let width = self.config.head;
        let mut rows = [0; HEAD_SLOTS];
        reader.head_rows(voice, self.config.sees_echo(), &mut rows);
        // z, the residual stream, lives in y; x holds what goes into a layer and, behind it, what comes out.
        let (z, room) = y.split_at_mut(width);
        z.copy_from_slice(trunk);
        self.head_table.add_up(&rows, z, &mut x[..width]);
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

/// Both ways of scoring side by side: by token, and by distance from what the voice sounded before.
fn packed_output<'a>(tensor: impl Fn(&str) -> &'a [f32], config: &SplitConfig) -> PackedMatrix {
    let (by_token, relative) = (tensor("head.out.weight"), tensor("head.relative"));
    let rows = by_token.chunks_exact(config.vocab_size).zip(relative.chunks_exact(INTERVALS));
    let both: Vec<f32> = rows.flat_map(|(a, b)| a.iter().chain(b)).copied().collect();
    let bias = [tensor("head.out.bias"), &[0.0; INTERVALS]].concat();
    PackedMatrix::new(&both, &bias, config.head)
}

fn rectify(z: &[f32], out: &mut [f32]) {
    out.iter_mut().zip(z).for_each(|(out, &z)| *out = z.max(0.0));
}
