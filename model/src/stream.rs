//! Networks one token at a time, with their state kept: what plays. Allocates only when a network or a state is made.
//!
//! Batch normalisation is folded into the convolutions, all gates of an LSTM are one matrix-vector product, and
//! weights are kept in 16-bit floats, which halves the memory that every step has to read.

mod adaptation;
mod layers;
mod line;
mod matrix;
mod split;
mod stack;
mod table;

use multiversion::multiversion;

use crate::key::Lately;
use crate::math;
use crate::repetition::{Repetition, Stuck};
use crate::tokeniser::GridReader;
use crate::tokeniser::grid::NUM_VOICES;
use crate::tokeniser::step_reader::Controls;
use crate::vocabulary::Vocabulary;
use crate::weights_file::Description;
use adaptation::Adaptation;
pub use adaptation::Rates;
pub use line::{LineNetwork, LineState};
pub use split::SplitLayers;
pub use stack::StackLayers;

/// How many steps a performance that was stuck hears no echoes: two bars of four beats.
const DEAF_STEPS: usize = 32;
/// Numbers looked up at once at the most; a network that looks up more is refused.
const MAX_SLOTS: usize = 64;

/// The layers of a network that decides four voices on a grid. They do not change while they play: what a layer
/// remembers between two tokens are `values`, numbers that the caller keeps.
pub trait GridLayers: Send + Sync + 'static {
    /// Reads the voices, and says what the network is shown.
    type Reader: GridReader;
    /// Whether the voices of a step may be decided in any order; else they are decided from the top.
    const ANY_ORDER: bool;

    /// How many numbers the layers remember between two tokens.
    fn state_len(&self) -> usize;
    /// Room for the vectors between layers.
    fn scratch(&self) -> Scratch;
    /// How the network adapts to the piece that it plays, if it does.
    fn adaptation(&self) -> Option<Rates> {
        None
    }
    /// Computes what does not depend on the voices of the step that begins.
    fn begin_step(&self, _: &Self::Reader, _: Controls, _values: &mut [f32], _: &mut Scratch) {}
    /// Writes the logits of `voice`'s token to the front of `scratch.x`. `tokens` have been fed before.
    fn run(&self, reader: &Self::Reader, voice: usize, values: &mut [f32], tokens: usize, scratch: &mut Scratch);
}

/// A network that decides four voices on a grid, ready to play. It does not change; what does is in [`GridState`].
pub struct GridNetwork<L> {
    description: Description,
    layers: L,
}

/// All that a grid network remembers between two tokens.
///
/// Copying one onto another of the same network ([`GridState::copy_from`]) is how a performance goes back to an
/// earlier step.
#[derive(Clone, Debug)]
pub struct GridState<R> {
    reader: R,
    values: Vec<f32>,
    tokens_fed: usize,
    /// The tokens of the step that is under way, and how many they are.
    row: [u16; NUM_VOICES],
    row_len: usize,
    repetition: Repetition,
    lately: Lately,
    /// Only an ensemble that adapts has one.
    adaptation: Option<Adaptation>,
}

impl<R: GridReader> GridState<R> {
    /// Makes this state the same as `other`, a state of the same network. Does not allocate.
    pub fn copy_from(&mut self, other: &Self) {
        self.reader.copy_from(&other.reader);
        self.values.copy_from_slice(&other.values);
        self.tokens_fed = other.tokens_fed;
        (self.row, self.row_len) = (other.row, other.row_len);
        self.repetition = other.repetition;
        self.lately = other.lately;
        if let (Some(to), Some(from)) = (&mut self.adaptation, &other.adaptation) {
            to.copy_from(from);
        }
    }

    /// Back to the start of a piece.
    pub fn reset(&mut self) {
        self.reader.reset();
        self.values.fill(0.0);
        self.tokens_fed = 0;
        self.row_len = 0;
        self.repetition = Repetition::new();
        self.lately = Lately::default();
        if let Some(adaptation) = &mut self.adaptation {
            adaptation.reset();
        }
    }

    /// The key of what has sounded lately, if enough has; see [`crate::key`].
    pub fn key(&self) -> Option<u8> {
        self.lately.key()
    }

    /// What `voice` sounded before its coming token.
    pub fn sounding(&self, voice: usize) -> Option<u8> {
        self.reader.sounding(voice)
    }

    /// Sets which 16th of the beat the coming step is; at a step's start only.
    pub fn set_step_in_beat(&mut self, step_in_beat: usize) {
        self.reader.set_step_in_beat(step_in_beat);
    }

    /// Whether the music goes round in circles, and how. If it does, a network that hears echoes hears none for two
    /// bars: they would lead it back.
    pub fn stuck(&mut self) -> Option<Stuck> {
        let stuck = self.repetition.stuck();
        if stuck.is_some() {
            self.reader.hide_echo(DEAF_STEPS);
        }
        stuck
    }

    /// Decides `voice`'s token in this step.
    pub fn feed(&mut self, voice: usize, token: u16) {
        self.reader.feed(voice, token);
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
    /// What each member's trunk hands to its heads.
    trunk: Vec<f32>,
    /// The sum of the members' probabilities.
    mix: Vec<f32>,
}

impl Scratch {
    /// Room for vectors of `widest` numbers and for trunks of `trunk` numbers together.
    fn new(widest: usize, trunk: usize) -> Self {
        let mix = vec![0.0; Vocabulary::GRID.size()];
        Self { x: vec![0.0; widest], y: vec![0.0; 2 * widest], trunk: vec![0.0; trunk], mix }
    }
}

impl<L: GridLayers> GridNetwork<L> {
    /// Layers that were packed from the weights with this description.
    pub fn new(description: Description, layers: L) -> Self {
        Self { description, layers }
    }

    /// What the weights file says of itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Whether a step's voices may be decided in any order; else they are decided from the top.
    pub fn takes_any_order(&self) -> bool {
        L::ANY_ORDER
    }

    /// A state at the start of a piece.
    pub fn state(&self) -> GridState<L::Reader> {
        GridState {
            reader: L::Reader::default(),
            values: vec![0.0; self.layers.state_len()],
            tokens_fed: 0,
            row: [0; NUM_VOICES],
            row_len: 0,
            repetition: Repetition::new(),
            lately: Lately::default(),
            adaptation: self.layers.adaptation().map(Adaptation::new),
        }
    }

    /// Room to work in.
    pub fn scratch(&self) -> Scratch {
        self.layers.scratch()
    }

    /// Begins a step: computes all that does not depend on what its voices do. A network that was trained to follow
    /// `controls` does.
    pub fn begin_step(&self, state: &mut GridState<L::Reader>, controls: Controls, scratch: &mut Scratch) {
        self.layers.begin_step(&state.reader, controls, &mut state.values, scratch);
    }

    /// The logits of `voice`'s token in the step that was begun, (vocab_size). The token that is then drawn or given
    /// goes to [`GridState::feed`].
    pub fn logits<'a>(
        &self,
        state: &mut GridState<L::Reader>,
        voice: usize,
        scratch: &'a mut Scratch,
    ) -> &'a mut [f32] {
        self.layers.run(&state.reader, voice, &mut state.values, state.tokens_fed, scratch);
        state.tokens_fed += 1;
        let logits = &mut scratch.x[..Vocabulary::GRID.size()];
        if let Some(adaptation) = &mut state.adaptation {
            adaptation.apply(voice, logits);
        }
        logits
    }
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
