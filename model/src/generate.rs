//! Generation: decides one step after another. In each step the player gives some lanes and the model decides the
//! others.
//!
//! A [`Network`] is a model's packed weights, which any number of performances share; a [`Performer`] is one
//! performance. Both are object-safe: code outside a kind's own files never depends on the kind.

mod grid;
mod last_chord;
mod line;
mod performance;
mod rows;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::sync::Arc;

pub use rows::{decision_of, given_of, symbols_of};

use crate::decision::{Decision, Given, Lanes};
use crate::key::{self, ALL_CLASSES};
use crate::sampling::Sampler;
use crate::stream::cuda::{Accelerator, Gpu, NoGpu};
use crate::tokeniser::step_reader::Controls;
use crate::weights_file::{Description, Weights};

/// Settings of a step: sampling, random numbers, rules and controls.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StepSettings {
    /// How tokens are sampled.
    pub sampler: Sampler,
    /// Selects one of all possible performances.
    pub rng_seed: u64,
    /// The number of the loop's pass if every pass is to differ, else 0.
    pub pass: u64,
    /// Whether to avoid parallel fifths and octaves, and notes outside a voice's range, wherever another choice
    /// remains.
    pub strict: bool,
    /// The player's controls. A network follows those that it was trained to follow.
    pub controls: Controls,
    /// The pitch classes of the scale, bit n for class n (0 = C); `None` for the scale of the key. The key is
    /// `controls.key`, or else estimated from the music, once enough has sounded.
    pub scale: Option<u16>,
    /// Whether to avoid pitches outside the scale, wherever another choice remains.
    pub snap: bool,
    /// Whether the music closes with this step: all drawn voices start a note of the last chord, the tonic triad with
    /// the tonic in the bass, wherever another choice remains; of notes that `snap` rules out, none. The key is
    /// `controls.key`, or else estimated from the music.
    pub closes: bool,
    /// Whether pitches outside the scale are rare. Ignored if `snap` is set.
    pub favours_scale: bool,
    /// Line models: whether the sampler's temperature and top-p also apply to rests, holds, durations and the number of
    /// notes, and only exact repetition counts as stuck. So it was up to behaviour version 3 of projects. Otherwise all
    /// these are drawn with the probabilities that the network learnt.
    pub cools_rhythm: bool,
}

impl StepSettings {
    /// The pitch classes to prefer, all of them if it does not matter. `estimated_key` stands in for the key control.
    fn preferred_classes(&self, estimated_key: impl FnOnce() -> Option<u8>) -> u16 {
        if !self.snap && !self.favours_scale {
            return ALL_CLASSES;
        }
        let of_key = || self.controls.key.or_else(estimated_key).map(key::scale);
        self.scale.or_else(of_key).unwrap_or(ALL_CLASSES)
    }
}

/// A step to decide.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Step {
    /// The number of the step, in 16ths. The step's random numbers depend on it.
    pub step_idx: i64,
    /// Which 16th of the beat the step is, counted from the start of the bar.
    pub step_in_beat: usize,
    /// The player's part.
    pub given: Given,
    /// Whether the model must start a note on every lane that it decides, with no holds or rests. Set for the first
    /// step after a silence.
    pub attack: bool,
    /// How the model decides.
    pub settings: StepSettings,
}

/// What a model can do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Capabilities {
    /// Whether it adds lanes to the player's. Otherwise it plays alone, in turn with the player.
    pub harmonises: bool,
    /// How it hears the player.
    pub hears: Hearing,
    /// The lanes on which it can play.
    pub lanes: Lanes,
    /// The controls that it was trained to follow.
    pub controls: FollowedControls,
    /// Whether it decides velocities. Otherwise its caller does.
    pub decides_velocity: bool,
    /// Whether it decides positions within a step. Otherwise its notes start and end at the beginning of a step.
    pub decides_timing: bool,
    /// The sampler to use by default.
    pub sampler: Sampler,
}

/// How a model hears the player.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hearing {
    /// As up to four voices, whose notes start on steps.
    #[default]
    Voices,
    /// As the notes that are played, with their ticks and velocities.
    Notes,
}

/// Which [`Controls`] a network was trained to follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FollowedControls {
    /// The key.
    pub key: bool,
    /// The distance to the next fermata.
    pub fermata: bool,
    /// How many notes start in the coming bar.
    pub density: bool,
    /// How high the coming bar is.
    pub register: bool,
    /// The position in the phrase.
    pub phrase: bool,
}

/// A model ready to play: packed weights, immutable and shared by all performances in a process.
pub trait Network: Send + Sync {
    /// The description in the weights file.
    fn description(&self) -> &Description;

    /// What the model can do.
    fn capabilities(&self) -> Capabilities {
        let description = self.description();
        Capabilities { sampler: description.sampler(), ..description.config.kind().capabilities() }
    }

    /// Opens a GPU for a performance, which takes it by [`Performer::accelerator`]. May take seconds. The performance
    /// then decides the same as on the CPU.
    ///
    /// # Errors
    /// If there is no GPU that can run the network.
    fn open_gpu(&self) -> Result<Gpu, NoGpu>;

    /// A performance at the start of a piece. Allocates all memory that the performance needs.
    fn performer(self: Arc<Self>) -> Box<dyn Performer>;
}

/// Packs checked weights of any kind.
///
/// # Errors
/// If the network looks up more table rows at once than [`crate::stream`] supports.
pub fn network(weights: &Weights) -> Result<Arc<dyn Network>, String> {
    weights.description.config.kind().network(weights)
}

/// A performance of a model. Of its methods only [`Performer::checkpoint`] allocates.
pub trait Performer: Send {
    /// The network that it plays.
    fn network(&self) -> &dyn Network;

    /// Returns to the start of a piece.
    fn reset(&mut self);

    /// Decides a step and advances to the next. The decision depends only on the network, the earlier decisions and
    /// `step`. It includes the given notes, as the model represents them.
    fn decide(&mut self, step: &Step) -> Decision;

    /// Repeats steps that had these outcomes before. From the state before the first, the performance reaches the same
    /// state as then; from any other state, it treats the outcomes as given by the player. What is known is read in
    /// batches, so this takes less time than deciding the steps.
    fn replay(&mut self, past: &mut dyn Iterator<Item = (Step, Decision)>);

    /// The device that runs the recurrent layers.
    fn accelerator(&mut self) -> &mut Accelerator;

    /// Copies the state into a new checkpoint.
    fn checkpoint(&self) -> Checkpoint;

    /// Copies the state into a checkpoint of the same network.
    ///
    /// # Panics
    /// If a performer of another kind made the checkpoint.
    fn save(&self, checkpoint: &mut Checkpoint);

    /// Returns to the state in the checkpoint.
    ///
    /// # Panics
    /// If a performer of another kind made the checkpoint.
    fn restore(&mut self, checkpoint: &Checkpoint);
}

/// A copy of a performer's state between two steps.
pub struct Checkpoint(Box<dyn Any + Send>);

const OTHER_KIND: &str = "expected a checkpoint from a performer of the same kind, got one from another kind";

impl Checkpoint {
    /// Wraps the state of a performer.
    pub fn new(state: impl Any + Send) -> Self {
        Self(Box::new(state))
    }

    fn state<S: Any>(&self) -> &S {
        self.0.downcast_ref().expect(OTHER_KIND)
    }

    fn state_mut<S: Any>(&mut self) -> &mut S {
        self.0.downcast_mut().expect(OTHER_KIND)
    }
}
