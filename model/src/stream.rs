//! Inference: networks that process one token at a time and keep their state. Only constructors of networks, states and
//! scratch space allocate.
//!
//! Batch normalisation is folded into the convolutions, all gates of an LSTM are one matrix-vector product, and weights
//! are 16-bit floats, which halves the memory that every step reads.
//!
//! Table look-ups wait in the scratch space until the network's output is needed. So a recurrent network reads a phrase
//! that is known in batches, which multiply each weight by several steps at once; the outcome is the same, to the bit.

mod adaptation;
pub mod cuda;
mod head;
mod kernel;
mod layers;
mod line;
mod lstm;
mod matrix;
mod performance;
mod split;
mod stack;
mod table;
mod trunk;

use crate::key::KeyEstimator;
use crate::repetition::{Repetition, Stuck};
use crate::tokeniser::GridReader;
use crate::tokeniser::grid::{NUM_VOICES, STEPS_PER_BEAT};
use crate::tokeniser::step_reader::{Controls, NO_INDEX};
use crate::vocabulary::Vocabulary;
use crate::weights_file::Description;
use adaptation::Adaptation;
pub use adaptation::Rates;
use cuda::{Accelerator, Gpu, NoGpu};
pub use kernel::Kernel;
pub use line::{LineNetwork, LineState};
pub use performance::{PerformanceNetwork, TrunkState};
pub use split::SplitLayers;
pub use stack::StackLayers;

/// For how many steps the echo is hidden after the music was stuck: two bars of four beats.
const HIDDEN_STEPS: usize = 8 * STEPS_PER_BEAT;
/// The most table rows that a network may look up at once.
const MAX_SLOTS: usize = 64;
/// How many lookups a network reads at once: with more, each weight is read from memory less often, but the vectors
/// between layers take more of the cache.
const BATCH: usize = 16;

/// The layers of a network that predicts four voices on a grid. They are immutable: the caller keeps their recurrent
/// state in `values`, (state_len).
pub trait GridLayers: Send + Sync + 'static {
    /// Reads the voices and yields the network's inputs.
    type Reader: GridReader;
    /// Whether the voices of a step can come in any order. Otherwise they come from the top.
    const ANY_ORDER: bool;

    /// The length of the recurrent state.
    fn state_len(&self) -> usize;
    /// Scratch space that fits the layers.
    fn scratch(&self) -> Scratch;
    /// How fast the network adapts to the piece that it plays; `None` if it does not.
    fn adaptation(&self) -> Option<Rates> {
        None
    }
    /// Opens a GPU for the trunks of a performance.
    ///
    /// # Errors
    /// If there is no GPU that can run them.
    fn open_gpu(&self) -> Result<Gpu, NoGpu> {
        Err(NoGpu::Kind)
    }
    /// Appends what the network reads once before each step, if anything, to what waits in `scratch`.
    fn read_step(&self, _: &Self::Reader, _: Controls, _scratch: &mut Scratch) {}
    /// Appends what the network reads before the token of each voice, if anything, to what waits in `scratch`.
    fn read_voice(&self, _: &Self::Reader, _scratch: &mut Scratch) {}
    /// Runs the recurrent layers on all that waits in `scratch`. `read_before` says how much they have read before.
    fn run(&self, values: &mut [f32], read_before: usize, scratch: &mut Scratch);
    /// Writes the logits of the token of `voice`, (vocab_size), to the front of `scratch.x`, after all that waited has
    /// been read.
    fn predict(&self, reader: &Self::Reader, voice: usize, scratch: &mut Scratch);
}

/// A network that predicts four voices on a grid, ready to play. It is immutable; [`GridState`] holds the state.
pub struct GridNetwork<L> {
    description: Description,
    layers: L,
}

/// The state of a grid network between two tokens. Copying an earlier state back ([`GridState::copy_from`]) returns a
/// performance to an earlier step.
#[derive(Clone, Debug)]
pub struct GridState<R> {
    reader: R,
    values: Vec<f32>,
    /// How much the recurrent layers have read.
    read: usize,
    /// The tokens of the current step so far, by voice.
    row: [u16; NUM_VOICES],
    /// How many voices of `row` are set.
    row_len: usize,
    repetition: Repetition,
    key: KeyEstimator,
    /// The pitches of the voices on the last beat.
    on_beat: [Option<u8>; NUM_VOICES],
    /// For networks that adapt.
    adaptation: Option<Adaptation>,
}

impl<R: GridReader> GridState<R> {
    /// Copies `other`, a state of the same network, for which nothing waits in scratch space
    /// ([`GridNetwork::settle`]). Does not allocate.
    pub fn copy_from(&mut self, other: &Self) {
        self.reader.copy_from(&other.reader);
        self.values.copy_from_slice(&other.values);
        self.read = other.read;
        (self.row, self.row_len) = (other.row, other.row_len);
        self.repetition = other.repetition;
        self.key = other.key;
        self.on_beat = other.on_beat;
        if let (Some(to), Some(from)) = (&mut self.adaptation, &other.adaptation) {
            to.copy_from(from);
        }
    }

    /// Returns to the start of a piece.
    pub fn reset(&mut self) {
        self.reader.reset();
        self.values.fill(0.0);
        self.read = 0;
        self.row_len = 0;
        self.repetition = Repetition::new();
        self.key = KeyEstimator::default();
        self.on_beat = [None; NUM_VOICES];
        if let Some(adaptation) = &mut self.adaptation {
            adaptation.reset();
        }
    }

    /// The estimated key of the recent music, once enough has sounded; see [`crate::key`].
    pub fn key(&self) -> Option<u8> {
        self.key.key()
    }

    /// The pitch of `voice` before its next token.
    pub fn sounding(&self, voice: usize) -> Option<u8> {
        self.reader.sounding(voice)
    }

    /// The pitches of the voices on the last beat.
    pub fn on_beat(&self) -> [Option<u8>; NUM_VOICES] {
        self.on_beat
    }

    /// Sets which 16th of the beat the next step is. Callers do so only between two steps.
    pub fn set_step_in_beat(&mut self, step_in_beat: usize) {
        self.reader.set_step_in_beat(step_in_beat);
    }

    /// Whether the music is stuck, and how. If it is, this hides the echo for two bars: it would lead the network back
    /// into the loop.
    pub(crate) fn stuck(&mut self) -> Option<Stuck> {
        let stuck = self.repetition.stuck();
        if stuck.is_some() {
            self.reader.hide_echo(HIDDEN_STEPS);
        }
        stuck
    }

    /// Sets the token of `voice` in this step, whether drawn or given.
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
            let sounding = std::array::from_fn(|voice| self.sounding(voice));
            self.key.push(sounding);
            // The reader counts the next step already.
            if self.reader.step_in_beat() == 1 {
                self.on_beat = sounding;
            }
        }
    }
}

/// The indices of the table rows that a recurrent network looks up at once; [`NO_INDEX`] stands for no row.
type Lookup = [u32; MAX_SLOTS];

/// Scratch space for the vectors between layers, what a network has still to read, and what runs its trunks.
pub struct Scratch {
    x: Vec<f32>,
    y: Vec<f32>,
    /// At most [`BATCH`].
    waiting: Vec<Lookup>,
    accelerator: Accelerator,
    /// The outputs of the members' trunks, for their heads.
    trunk: Vec<f32>,
    /// The sum of the members' probabilities, (vocab_size).
    mix: Vec<f32>,
}

impl Scratch {
    /// Space for recurrent layers whose vectors have up to `recurrent` numbers, for heads with up to `head`, and for
    /// `trunk` outputs of all trunks together.
    fn new(recurrent: usize, head: usize, trunk: usize) -> Self {
        let widest = (BATCH * recurrent).max(2 * head);
        Self {
            x: vec![0.0; widest],
            y: vec![0.0; widest],
            waiting: Vec::with_capacity(BATCH),
            accelerator: Accelerator::default(),
            trunk: vec![0.0; trunk],
            mix: vec![0.0; Vocabulary::GRID.size()],
        }
    }

    /// The device that runs the recurrent layers.
    pub fn accelerator(&mut self) -> &mut Accelerator {
        &mut self.accelerator
    }

    fn is_full(&self) -> bool {
        self.waiting.len() == BATCH
    }

    /// Appends a lookup to what waits, for the caller to fill in. There must be room.
    fn wait(&mut self) -> &mut Lookup {
        assert!(!self.is_full(), "what waits is read before there is more than a batch");
        self.waiting.push([NO_INDEX; MAX_SLOTS]);
        self.waiting.last_mut().expect("one was just pushed")
    }
}

impl<L: GridLayers> GridNetwork<L> {
    /// A network with layers that were packed from the weights with this description.
    pub fn new(description: Description, layers: L) -> Self {
        Self { description, layers }
    }

    /// The description in the weights file.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Whether the voices of a step can come in any order. Otherwise they come from the top.
    pub fn takes_any_order(&self) -> bool {
        L::ANY_ORDER
    }

    /// Opens a GPU for the trunks of a performance.
    ///
    /// # Errors
    /// If there is no GPU that can run them.
    pub fn open_gpu(&self) -> Result<Gpu, NoGpu> {
        self.layers.open_gpu()
    }

    /// A state at the start of a piece.
    pub fn state(&self) -> GridState<L::Reader> {
        GridState {
            reader: L::Reader::default(),
            values: vec![0.0; self.layers.state_len()],
            read: 0,
            row: [0; NUM_VOICES],
            row_len: 0,
            repetition: Repetition::new(),
            key: KeyEstimator::default(),
            on_beat: [None; NUM_VOICES],
            adaptation: self.layers.adaptation().map(Adaptation::new),
        }
    }

    /// Scratch space for this network.
    pub fn scratch(&self) -> Scratch {
        self.layers.scratch()
    }

    /// Begins a step. The network follows those `controls` that it was trained to follow.
    pub fn begin_step(&self, state: &mut GridState<L::Reader>, controls: Controls, scratch: &mut Scratch) {
        self.make_room(state, scratch);
        self.layers.read_step(&state.reader, controls, scratch);
    }

    /// The logits of the token of `voice` in the current step, (vocab_size). The caller passes the token that it draws
    /// or gives to [`GridState::feed`].
    pub fn logits<'a>(
        &self,
        state: &mut GridState<L::Reader>,
        voice: usize,
        scratch: &'a mut Scratch,
    ) -> &'a mut [f32] {
        self.skip(state, scratch);
        self.settle(state, scratch);
        self.layers.predict(&state.reader, voice, scratch);
        let logits = &mut scratch.x[..Vocabulary::GRID.size()];
        if let Some(adaptation) = &mut state.adaptation {
            adaptation.apply(voice, logits);
        }
        logits
    }

    /// Takes the place of [`Self::logits`] for a voice whose token is known: the network reads what it needs for the
    /// tokens after it. The voices of a network that takes any order need not even be skipped.
    pub(crate) fn skip(&self, state: &mut GridState<L::Reader>, scratch: &mut Scratch) {
        self.make_room(state, scratch);
        self.layers.read_voice(&state.reader, scratch);
    }

    /// Reads all that waits in `scratch`. The state can only be copied when nothing waits.
    pub fn settle(&self, state: &mut GridState<L::Reader>, scratch: &mut Scratch) {
        if !scratch.waiting.is_empty() {
            self.layers.run(&mut state.values, state.read, scratch);
            state.read += scratch.waiting.len();
            scratch.waiting.clear();
        }
    }

    fn make_room(&self, state: &mut GridState<L::Reader>, scratch: &mut Scratch) {
        if scratch.is_full() {
            self.settle(state, scratch);
        }
    }
}

#[cfg(test)]
mod tests;
