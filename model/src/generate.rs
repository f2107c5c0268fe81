//! Playing: steps decided one after the other, each lane given by the player or left to the model.
//!
//! [`Network`] is a model's packed weights, which any number of performances share; a [`Performer`] is one
//! performance. Both are object-safe: nothing outside of a kind's own files knows which kind plays.

mod grid;
mod line;
mod rows;
#[cfg(test)]
mod testing;

use std::any::Any;
use std::sync::Arc;

pub use grid::GridPerformer;
pub use line::LinePerformer;
pub use rows::{decision_of, symbols_of};

use crate::decision::{Decision, Given, Lanes};
use crate::sampling::Sampler;
use crate::tokeniser::step_reader::Controls;
use crate::weights_file::{Description, Weights};

/// Every pitch class.
const ALL_CLASSES: u16 = 0xfff;

/// What a step depends on beside what went before.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StepSettings {
    /// How adventurous the choice is.
    pub sampler: Sampler,
    /// Chooses one performance out of all that are possible.
    pub rng_seed: u64,
    /// Counts the rounds of a loop where each round shall differ; else 0.
    pub pass: u64,
    /// Whether parallel fifths and octaves, and notes outside of a voice's range, are ruled out where there is another
    /// choice.
    pub strict: bool,
    /// What the player asks for; followed by networks that were trained to follow it.
    pub controls: Controls,
    /// Whether pitches outside of the key's scale are ruled out where there is another choice. The key is that of
    /// `controls`, else the one that is heard, if any is.
    pub snap: bool,
}

/// One step to decide: what the decision depends on beside what went before.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Step {
    /// Which step it is, 16ths; random numbers belong to it.
    pub step_idx: i64,
    /// Which 16th of the beat it is, counted from the start of the bar.
    pub step_in_beat: usize,
    /// What the player does in it.
    pub given: Given,
    /// Every free lane starts a note; none holds or rests. For the first step after a silence.
    pub attack: bool,
    /// How to choose.
    pub settings: StepSettings,
}

/// What a model can do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Capabilities {
    /// It adds lanes to those that are given. A model that does not plays alone, in turn with the player.
    pub harmonises: bool,
    /// The lanes that it may play.
    pub lanes: Lanes,
    /// Which controls it was trained to follow.
    pub controls: FollowedControls,
    /// It decides how loud notes are; else whoever plays its notes does.
    pub decides_velocity: bool,
    /// It decides positions within a step; else its notes stand at the start of theirs.
    pub decides_timing: bool,
    /// How it is meant to be sampled.
    pub sampler: Sampler,
}

/// The [`Controls`] that a network was trained to follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FollowedControls {
    /// The key.
    pub key: bool,
    /// The distance to the next fermata.
    pub fermata: bool,
    /// How busy the coming bar is.
    pub density: bool,
    /// How high the coming bar lies.
    pub register: bool,
}

/// A model ready to play: packed weights that do not change, shared by all performances of a process.
pub trait Network: Send + Sync {
    /// What the weights file says of itself.
    fn description(&self) -> &Description;

    /// What the model can do.
    fn capabilities(&self) -> Capabilities;

    /// A performance at the start of a piece. All that it ever allocates is allocated here.
    fn performer(self: Arc<Self>) -> Box<dyn Performer>;
}

/// Packs checked weights, of whatever kind.
///
/// # Errors
/// If the network needs more than a stream carries.
pub fn network(weights: &Weights) -> Result<Arc<dyn Network>, String> {
    weights.description.config.kind().network(weights)
}

/// One performance of a model. Only [`Performer::checkpoint`] allocates.
pub trait Performer: Send {
    /// What it plays.
    fn network(&self) -> &dyn Network;

    /// Back to the start of a piece.
    fn reset(&mut self);

    /// Decides what happens in a step, and moves on. The decision is a function of the network, what was decided before,
    /// and `step`. What is given is part of the decision, as the model heard it.
    fn decide(&mut self, step: &Step) -> Decision;

    /// Goes through a step again that was decided before with this outcome. From the state that it was decided from, the
    /// performance comes to where it was then; from another, it hears the outcome as if the player had given it.
    fn replay(&mut self, step: &Step, decision: &Decision) {
        self.decide(&Step { given: Given::all(*decision), ..*step });
    }

    /// A copy of the state.
    fn checkpoint(&self) -> Checkpoint;

    /// Copies the state into a checkpoint of this network, without allocating.
    ///
    /// # Panics
    /// If the checkpoint is another kind's.
    fn save(&self, checkpoint: &mut Checkpoint);

    /// Goes back to where the performance was when the checkpoint was saved, without allocating.
    ///
    /// # Panics
    /// If the checkpoint is another kind's.
    fn restore(&mut self, checkpoint: &Checkpoint);
}

/// A performance's state at one step.
pub struct Checkpoint(Box<dyn Any + Send>);

impl Checkpoint {
    /// Wraps a kind's own state.
    pub fn new(state: impl Any + Send) -> Self {
        Self(Box::new(state))
    }

    fn state<S: Any>(&self) -> &S {
        self.0.downcast_ref().expect("a checkpoint belongs to a performer of its own kind")
    }

    fn state_mut<S: Any>(&mut self) -> &mut S {
        self.0.downcast_mut().expect("a checkpoint belongs to a performer of its own kind")
    }
}
