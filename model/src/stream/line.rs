//! A line model, one word at a time.

use std::sync::Arc;

use super::layers::Layers;
use super::table::Table;
use super::{MAX_SLOTS, Scratch};
use crate::config::LineConfig;
use crate::lexicon::Lexicon;
use crate::line_memory::LineMemory;
use crate::tokeniser::Reader;
use crate::tokeniser::line_reader::LineReader;
use crate::tokeniser::step_reader::NO_ROW;
use crate::weights_file::{Description, Weights};

/// A line model ready to play. It does not change; what does is in [`LineState`].
pub struct LineNetwork {
    description: Description,
    config: LineConfig,
    lexicon: Arc<Lexicon>,
    table: Table,
    layers: Layers,
}

/// All that a line model remembers between two words.
#[derive(Clone, Debug)]
pub struct LineState {
    reader: LineReader,
    values: Vec<f32>,
    /// What has sounded, which a performance is shown when it takes over.
    pub(crate) memory: Box<LineMemory>,
}

impl LineState {
    /// Makes this state the same as `other`, a state of the same network. Does not allocate.
    pub fn copy_from(&mut self, other: &Self) {
        self.reader.copy_from(&other.reader);
        self.values.copy_from_slice(&other.values);
        // All of it lies in place: nothing is allocated.
        self.memory.as_mut().clone_from(&other.memory);
    }

    /// Back to the start of a piece; nothing has sounded.
    pub fn reset(&mut self) {
        self.begin_piece();
        *self.memory = LineMemory::new();
    }

    /// The network begins a piece; what has sounded stays known.
    pub fn begin_piece(&mut self) {
        self.reader.reset();
        self.values.fill(0.0);
    }

    /// Sets which 16th of the beat the coming word is on.
    pub fn set_step_in_beat(&mut self, step_in_beat: usize) {
        self.reader.set_step_in_beat(step_in_beat);
    }

    /// Takes the next word.
    pub fn feed(&mut self, word: u16) {
        self.reader.feed(0, word);
    }
}

impl LineNetwork {
    /// Packs checked weights.
    ///
    /// # Errors
    /// If the network looks up more numbers at once than a stream carries, or its lexicon does not fit.
    pub fn new(weights: &Weights, config: &LineConfig) -> Result<Self, String> {
        if config.slots() > MAX_SLOTS {
            return Err(format!("expected at most {MAX_SLOTS} slots, got {}", config.slots()));
        }
        let layers =
            Layers::new(config.embedding).lstm(weights, &config.lstm).dense(weights, &config.dense, config.vocab_size);
        Ok(Self {
            lexicon: Arc::new(weights.description.words()?),
            table: Table::new(weights.tensor("line.table"), config.embedding),
            layers,
            config: config.clone(),
            description: weights.description.clone(),
        })
    }

    /// What the weights file says of itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The network's shape.
    pub fn config(&self) -> &LineConfig {
        &self.config
    }

    /// The words.
    pub fn lexicon(&self) -> &Lexicon {
        &self.lexicon
    }

    /// A state at the start of a piece.
    pub fn state(&self) -> LineState {
        LineState {
            reader: LineReader::new(self.lexicon.clone()),
            values: vec![0.0; self.layers.state_len],
            memory: Box::default(),
        }
    }

    /// Room to work in.
    pub fn scratch(&self) -> Scratch {
        Scratch::new(self.layers.widest.max(self.table.width()), 0)
    }

    /// The logits of the next word, (vocab_size). The word that is then drawn or given goes to [`LineState::feed`].
    pub fn logits<'a>(&self, state: &mut LineState, scratch: &'a mut Scratch) -> &'a mut [f32] {
        let width = self.table.width();
        let mut rows = [NO_ROW; MAX_SLOTS];
        let count = state.reader.rows(&self.config.features, &mut rows);
        let Scratch { x, y, .. } = scratch;
        x[..width].fill(0.0);
        self.table.add_up(&rows[..count], &mut x[..width], &mut y[..width]);
        self.layers.run(width, &mut state.values, 0, scratch);
        &mut scratch.x[..self.config.vocab_size]
    }
}
