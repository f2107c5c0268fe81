//! The network of a performance model: the trunk runs once a note, the head once for each attribute of the next.

use super::Scratch;
use super::cuda::{Gpu, NoGpu};
use super::head::Head;
use super::matrix::PackedMatrix;
use super::table::Table;
use super::trunk::Trunk;
use crate::config::PerformanceConfig;
use crate::note_tokens::{Attribute, NUM_KEYS};
use crate::tokeniser::note_reader::{Draft, HEAD_SLOTS, INTERVALS, NoteReader, TRUNK_SLOTS, relative_columns};
use crate::weights_file::{Description, NoteSampling, Weights};

/// The network of a performance model, ready to play. It is immutable.
pub struct PerformanceNetwork {
    description: Description,
    sampling: NoteSampling,
    config: PerformanceConfig,
    trunk: Trunk,
    head: Head,
    out: [PackedMatrix; Attribute::ALL.len()], // (head, vocabulary); for keys (head, keys + INTERVALS)
}

/// The recurrent state, and what the head sees of it.
#[derive(Clone, Debug)]
pub struct TrunkState {
    values: Vec<f32>,
    seen: Vec<f32>,
}

impl TrunkState {
    /// Copies `other`, a state of the same network. Does not allocate.
    pub fn copy_from(&mut self, other: &Self) {
        self.values.copy_from_slice(&other.values);
        self.seen.copy_from_slice(&other.seen);
    }

    /// Returns to the start of a piece.
    pub fn reset(&mut self) {
        self.values.fill(0.0);
        self.seen.fill(0.0);
    }
}

impl PerformanceNetwork {
    /// Packs checked weights.
    pub fn new(weights: &Weights, config: &PerformanceConfig) -> Self {
        let trunk =
            Trunk::new(weights, "", Table::new(weights.tensor("trunk.table"), config.embedding), &config.lstm, true);
        let out = Attribute::ALL.map(|attribute| {
            let part = |part: &str| weights.tensor(&format!("out.{}.{part}", attribute.name()));
            if attribute != Attribute::Key {
                return PackedMatrix::new(part("weight"), part("bias"), config.head);
            }
            let rows = part("weight").chunks_exact(NUM_KEYS);
            let rows = rows.zip(weights.tensor("out.relative").chunks_exact(INTERVALS));
            let both: Vec<f32> = rows.flat_map(|(by_key, relative)| by_key.iter().chain(relative)).copied().collect();
            PackedMatrix::new(&both, &[part("bias"), &[0.0; INTERVALS]].concat(), config.head)
        });
        Self {
            head: Head::new(weights, "", trunk.width, config.head, config.head_layers),
            trunk,
            out,
            config: config.clone(),
            sampling: weights.description.note_sampling(),
            description: weights.description.clone(),
        }
    }

    /// The description in the weights file.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// How what is not a pitch is drawn.
    pub fn sampling(&self) -> NoteSampling {
        self.sampling
    }

    /// The network's shape.
    pub fn config(&self) -> &PerformanceConfig {
        &self.config
    }

    /// Opens a GPU for the trunk of a performance.
    ///
    /// # Errors
    /// If there is no GPU that can run it.
    pub fn open_gpu(&self) -> Result<Gpu, NoGpu> {
        Gpu::new(std::iter::once(self.trunk.gpu_weights()))
    }

    /// A state at the start of a piece.
    pub fn trunk_state(&self) -> TrunkState {
        TrunkState { values: vec![0.0; self.trunk.state_len], seen: vec![0.0; self.head.width()] }
    }

    /// Scratch space for this network.
    pub fn scratch(&self) -> Scratch {
        Scratch::new(self.trunk.widest, self.config.head.max(NUM_KEYS + INTERVALS), 0)
    }

    /// Lets the trunk read a note after the reader has read it, or begun. The trunk runs when its output is needed.
    pub fn advance(&self, state: &mut TrunkState, reader: &NoteReader, scratch: &mut Scratch) {
        if scratch.is_full() {
            self.settle(state, scratch);
        }
        let (slots, _) = scratch.wait().split_first_chunk_mut::<TRUNK_SLOTS>().expect("a lookup has as many slots");
        reader.trunk_indices(slots);
    }

    /// Runs the trunk on all notes that wait in `scratch`. The state can only be copied when none waits.
    pub fn settle(&self, state: &mut TrunkState, scratch: &mut Scratch) {
        let Scratch { x, y, waiting, accelerator, .. } = scratch;
        if waiting.is_empty() {
            return;
        }
        if let Some(gpu) = accelerator.run(waiting, &mut state.values) {
            self.head.see(gpu.output(0), &mut state.seen);
        } else {
            self.trunk.run(waiting, &mut state.values, x, y);
            self.head.see(&x[..self.trunk.width], &mut state.seen);
        }
        waiting.clear();
    }

    /// The logits of an attribute of the next note, (vocabulary). `draft` has the attributes before it.
    pub fn logits<'a>(
        &self,
        state: &mut TrunkState,
        reader: &NoteReader,
        attribute: Attribute,
        draft: &Draft,
        scratch: &'a mut Scratch,
    ) -> &'a mut [f32] {
        self.settle(state, scratch);
        let mut indices = [0; HEAD_SLOTS];
        reader.head_indices(attribute, draft, &mut indices);
        let Scratch { x, y, .. } = scratch;
        self.head.run(&indices, &state.seen, x, y);
        self.out[attribute as usize].multiply(&x[..self.head.width()], y);
        if attribute == Attribute::Key {
            let (by_key, relative) = y.split_at_mut(NUM_KEYS);
            let columns = relative_columns(reader.reference(draft.token(Attribute::Lane)));
            for (logit, column) in by_key.iter_mut().zip(columns) {
                *logit += relative[..INTERVALS].get(column as usize).unwrap_or(&0.0);
            }
        }
        &mut y[..attribute.vocabulary()]
    }
}
