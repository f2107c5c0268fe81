//! The network of a line model, one word at a time.

use std::sync::Arc;

use super::cuda::{Gpu, NoGpu};
use super::layers::Layers;
use super::table::Table;
use super::trunk::Trunk;
use super::{MAX_SLOTS, Scratch};
use crate::config::LineConfig;
use crate::lexicon::Lexicon;
use crate::line_memory::LineMemory;
use crate::tokeniser::Reader;
use crate::tokeniser::line_reader::LineReader;
use crate::weights_file::{Description, Weights};

/// The network of a line model, ready to play. It is immutable; [`LineState`] holds the state.
pub struct LineNetwork {
    description: Description,
    config: LineConfig,
    lexicon: Arc<Lexicon>,
    trunk: Trunk,
    /// Dense layers.
    layers: Layers,
}

/// The state of a line model between two words.
#[derive(Clone, Debug)]
pub struct LineState {
    reader: LineReader,
    values: Vec<f32>,
    /// The latest events, which the network reads when it takes over from the player.
    pub(crate) memory: Box<LineMemory>,
}

impl LineState {
    /// Copies `other`, a state of the same network. Does not allocate.
    pub fn copy_from(&mut self, other: &Self) {
        self.reader.copy_from(&other.reader);
        self.values.copy_from_slice(&other.values);
        // `LineMemory` owns no heap data.
        self.memory.as_mut().clone_from(&other.memory);
    }

    /// Returns to the start of a piece and forgets all events.
    pub fn reset(&mut self) {
        self.begin_piece();
        *self.memory = LineMemory::new();
    }

    /// Lets the network start a new piece. The memory keeps its events.
    pub fn begin_piece(&mut self) {
        self.reader.reset();
        self.values.fill(0.0);
    }

    /// Sets on which 16th of the beat the next word starts.
    pub fn set_step_in_beat(&mut self, step_in_beat: usize) {
        self.reader.set_step_in_beat(step_in_beat);
    }

    /// Reads the next word.
    pub fn feed(&mut self, word: u16) {
        self.reader.feed(0, word);
    }
}

impl LineNetwork {
    /// Packs checked weights.
    ///
    /// # Errors
    /// If the network looks up more table rows at once than [`crate::stream`] supports, or if its lexicon is unusable.
    pub fn new(weights: &Weights, config: &LineConfig) -> Result<Self, String> {
        if config.slots() > MAX_SLOTS {
            return Err(format!("expected at most {MAX_SLOTS} slots, got {}", config.slots()));
        }
        let table = Table::new(weights.tensor("line.table"), config.embedding);
        let trunk = Trunk::new(weights, "", table, &config.lstm, false);
        Ok(Self {
            lexicon: Arc::new(weights.description.words()?),
            layers: Layers::new(trunk.width).dense(weights, &config.dense, config.vocab_size),
            trunk,
            config: config.clone(),
            description: weights.description.clone(),
        })
    }

    /// The description in the weights file.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The network's shape.
    pub fn config(&self) -> &LineConfig {
        &self.config
    }

    /// The lexicon.
    pub fn lexicon(&self) -> &Lexicon {
        &self.lexicon
    }

    /// Opens a GPU for the trunk of a performance.
    ///
    /// # Errors
    /// If there is no GPU that can run it.
    pub fn open_gpu(&self) -> Result<Gpu, NoGpu> {
        Gpu::new(std::iter::once(self.trunk.gpu_weights()))
    }

    /// A state at the start of a piece.
    pub fn state(&self) -> LineState {
        LineState {
            reader: LineReader::new(self.lexicon.clone()),
            values: vec![0.0; self.trunk.state_len],
            memory: Box::default(),
        }
    }

    /// Scratch space for this network.
    pub fn scratch(&self) -> Scratch {
        Scratch::new(self.trunk.widest, self.layers.widest, 0)
    }

    /// The logits of the next word, (vocab_size). The caller passes the word that it draws or gives to
    /// [`LineState::feed`].
    pub fn logits<'a>(&self, state: &mut LineState, scratch: &'a mut Scratch) -> &'a mut [f32] {
        self.skip(state, scratch);
        self.settle(state, scratch);
        self.layers.run(1, self.trunk.width, &mut [], 0, scratch);
        &mut scratch.x[..self.config.vocab_size]
    }

    /// Takes the place of [`Self::logits`] for a word that is known.
    pub(crate) fn skip(&self, state: &mut LineState, scratch: &mut Scratch) {
        if scratch.is_full() {
            self.settle(state, scratch);
        }
        state.reader.indices(&self.config.features, scratch.wait());
    }

    /// Reads all that waits in `scratch`. The state can only be copied when nothing waits.
    pub fn settle(&self, state: &mut LineState, scratch: &mut Scratch) {
        let Scratch { x, y, waiting, accelerator, .. } = scratch;
        if waiting.is_empty() {
            return;
        }
        match accelerator.run(waiting, &mut state.values) {
            Some(gpu) => x[..self.trunk.width].copy_from_slice(gpu.output(0)),
            None => self.trunk.run(waiting, &mut state.values, x, y),
        }
        waiting.clear();
    }
}
