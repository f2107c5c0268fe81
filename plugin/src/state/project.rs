//! What a project holds beside the parameters: settings, which a preset or a host's undo replaces, and recordings, which it does
//! not. Used by the host's main thread, the worker and the editor, never by the audio thread.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use nice_plug::nice_error;
use nice_plug::prelude::{ParamPtr, Params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{ChosenWeights, Look};
use crate::bridge::SavingEnd;
use crate::frozen::FrozenTake;
use crate::takes::Takes;

/// How the plugin plays what it is given. Counts up where the same settings come to play other music; projects of version 0.1.0
/// have no number and count as 1.
const BEHAVIOUR: u32 = 2;
/// How long saving waits for the worker to take down what has gone out.
const SAVING_PATIENCE: Duration = Duration::from_secs(1);

/// The persisted part of the parameters.
pub struct Project {
    /// The last 64 bars that went out.
    pub takes: Arc<Mutex<Takes>>,
    /// The rng seeds that there were, the latest last.
    pub seeds: Arc<Mutex<Vec<i32>>>,
    /// The take that frozen voices play.
    pub frozen: Arc<Mutex<FrozenTake>>,
    /// How the editor looks.
    pub look: Arc<Mutex<Look>>,
    /// The weights that it plays with: a setting.
    pub weights: Arc<Mutex<ChosenWeights>>,
    /// Which recording the takes belong to. Instances that a host makes from one project share it.
    recording: Mutex<String>,
    /// The [`BEHAVIOUR`] that the project was made with.
    behaviour: AtomicU32,
    worker: OnceLock<SavingEnd>,
}

impl Default for Project {
    fn default() -> Self {
        Self {
            takes: Arc::default(),
            seeds: Arc::default(),
            frozen: Arc::default(),
            look: Arc::default(),
            weights: Arc::default(),
            recording: Mutex::new(format!("{:016x}", RandomState::new().hash_one(SystemTime::now()))),
            behaviour: AtomicU32::new(BEHAVIOUR),
            worker: OnceLock::new(),
        }
    }
}

/// A lock that a panic elsewhere does not spoil.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Project {
    /// From now on saving waits for this worker to take down what has gone out.
    pub fn connect(&self, worker: SavingEnd) {
        // Once for each instance; a second worker would be another instance's.
        let _ = self.worker.set(worker);
    }

    /// Whether anything would be lost if the recordings were replaced. The editor notes the rng seed that plays, so the first seed
    /// is not yet a history.
    fn has_recordings(&self) -> bool {
        !lock(&self.takes).is_empty() || lock(&self.frozen).number > 0 || lock(&self.seeds).len() > 1
    }

    fn load_settings(&self, saved: &Saved) {
        *lock(&self.weights) = saved.read("weights").unwrap_or_default();
        self.behaviour.store(saved.read("behaviour").unwrap_or(1), Ordering::Relaxed);
    }

    /// An instance that has recorded nothing takes all that was saved. Another keeps what it has; takes that were saved with its own
    /// recording come back to it.
    fn load_recordings(&self, saved: &Saved) {
        let recording: Option<String> = saved.read("recording").filter(|id: &String| !id.is_empty());
        let is_new = !self.has_recordings();
        let is_own = recording.as_ref() == Some(&*lock(&self.recording));
        if let Some(takes) = saved.read::<Takes>("take").filter(|_| is_new || is_own) {
            lock(&self.takes).add_missing(takes);
        }
        if is_new {
            *lock(&self.seeds) = saved.read("seeds").unwrap_or_default();
            *lock(&self.frozen) = saved.read("frozen").unwrap_or_default();
            *lock(&self.look) = saved.read("look").unwrap_or_default();
            // What holds no recording, a factory preset say, names none: two instances may load it.
            if let Some(recording) = recording.filter(|_| self.has_recordings()) {
                *lock(&self.recording) = recording;
            }
        }
    }
}

// SAFETY: it gives out no pointer.
unsafe impl Params for Project {
    fn param_map(&self) -> Vec<(String, ParamPtr, String)> {
        Vec::new()
    }

    fn serialize_fields(&self) -> BTreeMap<String, String> {
        if let Some(worker) = self.worker.get() {
            // What it has not written by then is missing, as it would be if the host had saved a little earlier.
            worker.wait_until_taken_down(SAVING_PATIENCE);
        }
        let mut fields = BTreeMap::new();
        write(&mut fields, "take", &*lock(&self.takes));
        write(&mut fields, "seeds", &*lock(&self.seeds));
        write(&mut fields, "frozen", &*lock(&self.frozen));
        write(&mut fields, "look", &*lock(&self.look));
        write(&mut fields, "weights", &*lock(&self.weights));
        if self.has_recordings() {
            // Nothing recorded has no name: an instance that has just been made saves what any other does.
            write(&mut fields, "recording", &*lock(&self.recording));
        }
        write(&mut fields, "behaviour", &self.behaviour.load(Ordering::Relaxed));
        fields
    }

    fn deserialize_fields(&self, serialized: &BTreeMap<String, String>) {
        let saved = Saved(serialized);
        self.load_settings(&saved);
        self.load_recordings(&saved);
        if let Some(worker) = self.worker.get() {
            // It looks for other weights and another frozen take.
            worker.wake_worker();
        }
    }
}

fn write<T: Serialize>(fields: &mut BTreeMap<String, String>, key: &str, value: &T) {
    match serde_json::to_string(value) {
        Ok(text) => _ = fields.insert(key.into(), text),
        Err(error) => nice_error!("project: `{key}` cannot be saved ({error})"),
    }
}

/// The fields of a state.
struct Saved<'a>(&'a BTreeMap<String, String>);

impl Saved<'_> {
    /// A field, if it is there and makes sense.
    fn read<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let text = self.0.get(key)?;
        serde_json::from_str(text)
            .map_err(|error| {
                nice_error!("project: expected `{key}` as this plugin saves it, got something else ({error})")
            })
            .ok()
    }
}

#[cfg(test)]
mod tests;
