//! The network one token at a time, with its state kept: what plays. Allocates only when it is built.
//!
//! Batch normalisation is folded into the convolutions, all gates of an LSTM are one matrix-vector product, and
//! weights are kept in 16-bit floats, which halves the memory that every step has to read.

mod adaptation;
mod layers;
mod line;
mod matrix;
mod split;
mod stack;

use multiversion::multiversion;

use crate::config::{LineConfig, NetworkConfig};
use crate::key::Lately;
use crate::lexicon::Lexicon;
use crate::line_memory::LineMemory;
use crate::math;
use crate::repetition::{Repetition, Stuck};
use crate::sampling;
use crate::tokeniser::grid::{CellReader, NUM_VOICES};
use crate::tokeniser::line_reader::LineReader;
use crate::tokeniser::step_reader::{Controls, StepReader};
use crate::weights_file::Weights;
use adaptation::Adaptation;
pub use adaptation::Rates;
use line::StreamingLine;
use split::StreamingSplit;
use stack::StreamingStack;

/// How long a performance that was stuck is deaf to echoes: two bars of four beats.
const DEAF_STEPS: usize = 32;
/// Numbers looked up at once at the most; a network that looks up more is refused.
const MAX_SLOTS: usize = 64;

/// A network ready to play. It does not change; what does is in [`State`].
pub struct StreamingNetwork {
    weights: Weights,
    kind: Kind,
}

enum Kind {
    Stack(StreamingStack),
    /// One split network, or the members of an ensemble.
    Split(Vec<StreamingSplit>),
    Line(StreamingLine),
}

/// All that a network remembers between two tokens.
///
/// Copying one onto another of the same network ([`State::copy_from`]) is how a performance goes back to an
/// earlier step.
#[derive(Clone, Debug)]
pub struct State {
    reader: Reader,
    values: Vec<f32>,
    tokens_fed: usize,
    /// The tokens of the step that is under way, and how many they are.
    row: [u16; NUM_VOICES],
    row_len: usize,
    repetition: Repetition,
    lately: Lately,
    /// An ensemble's that adapts.
    adaptation: Option<Adaptation>,
    /// A line model's.
    pub(crate) line: Option<Box<LineMemory>>,
}

/// What is known of the cell that comes next.
#[derive(Clone, Debug)]
enum Reader {
    Cells(CellReader),
    Steps(Box<StepReader>),
    Words(LineReader),
}

impl State {
    /// Makes this state the same as `other`, a state of the same network. Does not allocate.
    pub fn copy_from(&mut self, other: &Self) {
        match (&mut self.reader, &other.reader) {
            (Reader::Cells(to), Reader::Cells(from)) => *to = *from,
            (Reader::Steps(to), Reader::Steps(from)) => to.copy_from(from),
            (Reader::Words(to), Reader::Words(from)) => to.copy_from(from),
            _ => unreachable!("both are states of one network"),
        }
        self.values.copy_from_slice(&other.values);
        self.tokens_fed = other.tokens_fed;
        (self.row, self.row_len) = (other.row, other.row_len);
        self.repetition = other.repetition;
        self.lately = other.lately;
        if let (Some(to), Some(from)) = (&mut self.adaptation, &other.adaptation) {
            to.copy_from(from);
        }
        if let (Some(to), Some(from)) = (&mut self.line, &other.line) {
            // All of it lies in place: nothing is allocated.
            to.as_mut().clone_from(from);
        }
    }

    /// Back to the start of a piece.
    pub fn reset(&mut self) {
        match &mut self.reader {
            Reader::Cells(reader) => *reader = CellReader::new(),
            Reader::Steps(reader) => reader.reset(),
            Reader::Words(reader) => reader.reset(),
        }
        self.values.fill(0.0);
        self.tokens_fed = 0;
        self.row_len = 0;
        self.repetition = Repetition::new();
        self.lately = Lately::default();
        if let Some(adaptation) = &mut self.adaptation {
            adaptation.reset();
        }
        if let Some(line) = &mut self.line {
            **line = LineMemory::new();
        }
    }

    /// A line model begins a piece; what has sounded stays known.
    pub(crate) fn begin_line(&mut self) {
        if let Reader::Words(reader) = &mut self.reader {
            reader.reset();
        }
        self.values.fill(0.0);
    }

    /// The key of what has sounded lately, if enough has; see [`crate::key`].
    pub fn key(&self) -> Option<u8> {
        self.lately.key()
    }

    /// What `voice` sounded before its coming token.
    pub fn sounding(&self, voice: usize) -> Option<u8> {
        match &self.reader {
            Reader::Cells(reader) => reader.sounding(voice),
            Reader::Steps(reader) => reader.sounding(voice),
            Reader::Words(_) => self.line.as_ref().and_then(|line| line.sounding[voice]),
        }
    }

    /// Says which 16th of the beat the coming step is; at a step's start only.
    pub fn set_step_in_beat(&mut self, step_in_beat: usize) {
        match &mut self.reader {
            Reader::Cells(reader) => reader.set_step_in_beat(step_in_beat),
            Reader::Steps(reader) => reader.set_step_in_beat(step_in_beat),
            Reader::Words(reader) => reader.set_step_in_beat(step_in_beat),
        }
    }

    /// Whether the music goes round in circles, and how. If it does, a network that hears echoes is deaf to them for two
    /// bars: they would lead it back.
    pub fn stuck(&mut self) -> Option<Stuck> {
        let stuck = self.repetition.stuck();
        if let (Some(_), Reader::Steps(reader)) = (stuck, &mut self.reader) {
            reader.hide_echo(DEAF_STEPS);
        }
        stuck
    }

    /// Decides `voice`'s token in this step; of a line model the next word, whatever the voice.
    pub fn feed(&mut self, voice: usize, token: u16) {
        match &mut self.reader {
            Reader::Cells(reader) => {
                debug_assert_eq!(reader.voice(), voice, "a stack reads voices from the top");
                reader.feed(token);
            }
            Reader::Steps(reader) => reader.feed(voice, token),
            Reader::Words(reader) => return reader.feed(token),
        }
        self.row[voice] = token;
        self.row_len += 1;
        if let Some(adaptation) = &mut self.adaptation {
            adaptation.feed(voice, token, self.row_len == NUM_VOICES);
        }
        if self.row_len == NUM_VOICES {
            self.repetition.push(self.row);
            self.row_len = 0;
            self.lately.push(std::array::from_fn(|voice| self.sounding(voice)));
        }
    }
}

/// Room for the vectors between layers.
#[derive(Clone, Debug)]
pub struct Scratch {
    x: Vec<f32>,
    y: Vec<f32>,
    /// What each member's trunk says to its heads.
    trunk: Vec<f32>,
    /// The sum of the members' probabilities.
    mix: Vec<f32>,
}

impl StreamingNetwork {
    /// Packs checked weights.
    ///
    /// # Errors
    /// If the network looks up more numbers at once than a stream carries.
    pub fn new(weights: Weights) -> Result<Self, String> {
        let kind = match &weights.description.config {
            NetworkConfig::Stack(config) => Kind::Stack(StreamingStack::new(&weights, config)?),
            NetworkConfig::Split(config) => Kind::Split(vec![StreamingSplit::new(&weights, config, "")?]),
            NetworkConfig::Ensemble(config) => {
                let member = |n: usize| StreamingSplit::new(&weights, &config.member, &format!("{n}."));
                Kind::Split((0..config.members).map(member).collect::<Result<_, _>>()?)
            }
            NetworkConfig::Line(config) => Kind::Line(StreamingLine::new(&weights, config)?),
        };
        Ok(Self { weights, kind })
    }

    /// The weights that it was made of.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Whether a step's voices may be decided in any order; else they are from the top.
    pub fn takes_any_order(&self) -> bool {
        matches!(self.kind, Kind::Split(_))
    }

    /// A line model's words and shape.
    pub fn line(&self) -> Option<(&Lexicon, &LineConfig)> {
        match &self.kind {
            Kind::Line(line) => Some((&*line.lexicon, &line.config)),
            Kind::Stack(_) | Kind::Split(_) => None,
        }
    }

    /// A state at the start of a piece.
    pub fn state(&self) -> State {
        let (reader, len) = match &self.kind {
            Kind::Stack(stack) => (Reader::Cells(CellReader::new()), stack.layers.state_len),
            Kind::Split(members) => {
                (Reader::Steps(Box::default()), members.iter().map(|member| member.state_len).sum())
            }
            Kind::Line(line) => (Reader::Words(LineReader::new(line.lexicon.clone())), line.layers.state_len),
        };
        State {
            reader,
            values: vec![0.0; len],
            tokens_fed: 0,
            row: [0; NUM_VOICES],
            row_len: 0,
            repetition: Repetition::new(),
            lately: Lately::default(),
            adaptation: match &self.weights.description.config {
                NetworkConfig::Ensemble(config) => config.adaptation.map(Adaptation::new),
                _ => None,
            },
            line: self.line().map(|_| Box::default()),
        }
    }

    /// Room to work in.
    pub fn scratch(&self) -> Scratch {
        let (widest, trunk) = match &self.kind {
            Kind::Stack(stack) => (stack.layers.widest, 0),
            Kind::Line(line) => (line.layers.widest, 0),
            Kind::Split(members) => (members[0].widest, members.iter().map(|member| member.trunk_len).sum()),
        };
        let mix = vec![0.0; self.weights.description.config.vocab_size()];
        Scratch { x: vec![0.0; widest], y: vec![0.0; 2 * widest], trunk: vec![0.0; trunk], mix }
    }

    /// Begins a step: all that does not depend on what its voices do. `controls` are wishes for a network that was
    /// trained to follow them.
    pub fn begin_step(&self, state: &mut State, controls: Controls, scratch: &mut Scratch) {
        if let (Kind::Split(members), Reader::Steps(reader)) = (&self.kind, &state.reader) {
            let Scratch { x, y, trunk, .. } = scratch;
            let parts = members.iter().zip(state.values.chunks_exact_mut(members[0].state_len));
            for ((member, values), trunk) in parts.zip(trunk.chunks_exact_mut(members[0].trunk_len)) {
                member.run_trunk(reader, controls, values, (x, y), trunk);
            }
        }
    }

    /// The logits of `voice`'s token in the step that was begun, of a line model those of the next word, (vocab_size). The
    /// token that is then drawn or given goes to [`State::feed`].
    pub fn logits<'a>(&self, state: &mut State, voice: usize, scratch: &'a mut Scratch) -> &'a mut [f32] {
        match (&self.kind, &state.reader) {
            (Kind::Stack(stack), Reader::Cells(reader)) => {
                debug_assert_eq!(reader.voice() % NUM_VOICES, voice, "a stack reads voices from the top");
                stack.step(&self.weights, reader, &mut state.values, state.tokens_fed, scratch);
                state.tokens_fed += 1;
            }
            (Kind::Split(members), Reader::Steps(reader)) => run_heads(members, reader, voice, scratch),
            (Kind::Line(line), Reader::Words(reader)) => line.step(&self.weights, reader, &mut state.values, scratch),
            _ => unreachable!("a state belongs to its network"),
        }
        let logits = &mut scratch.x[..self.weights.description.config.vocab_size()];
        if let Some(adaptation) = &mut state.adaptation {
            adaptation.apply(voice, logits);
        }
        logits
    }
}

/// The logits of one split network, or the logarithms of the mean of what the members of an ensemble say.
fn run_heads(members: &[StreamingSplit], reader: &StepReader, voice: usize, scratch: &mut Scratch) {
    let Scratch { x, y, trunk, mix } = scratch;
    mix.fill(0.0);
    for (member, trunk) in members.iter().zip(trunk.chunks_exact(members[0].trunk_len)) {
        member.run_head(reader, voice, (x, y), trunk);
        if members.len() > 1 {
            let logits = &mut x[..mix.len()];
            sampling::log_softmax(logits);
            mix.iter_mut().zip(logits).for_each(|(sum, x)| *sum += math::exp(*x));
        }
    }
    if members.len() > 1 {
        x.iter_mut().zip(&*mix).for_each(|(x, sum)| *x = (sum / members.len() as f32).ln());
    }
}

fn row(table: &[f32], row: usize, width: usize) -> &[f32] {
    &table[row * width..(row + 1) * width]
}

/// Gates in the order input, forget, cell, output, each of `c.len()`; updates the cell and hidden vectors.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn update_cell(gates: &mut [f32], c: &mut [f32], h: &mut [f32]) {
    let units = c.len();
    let (i, rest) = gates.split_at_mut(units);
    let (f, rest) = rest.split_at_mut(units);
    let (g, o) = rest.split_at_mut(units);
    for u in 0..units {
        c[u] = math::sigmoid(f[u]) * c[u] + math::sigmoid(i[u]) * math::tanh(g[u]);
    }
    for u in 0..units {
        h[u] = math::sigmoid(o[u]) * math::tanh(c[u]);
    }
}

#[cfg(test)]
mod tests;
