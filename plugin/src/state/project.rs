//! The part of a project beside the parameters: settings, which a preset or a host's undo replaces, and recordings,
//! which they leave alone. For the host's main thread, the worker and the editor. The audio thread reads the behaviour
//! version alone.

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

/// The version of the plugin's behaviour. It counts up when the same settings come to give different music. Projects of
/// version 0.1.0 have no such number and count as 1.
const BEHAVIOUR: u32 = 4;
/// How long saving waits for the worker to record the latest notes in the takes.
const SAVING_PATIENCE: Duration = Duration::from_secs(1);

/// What the host's project saves beside the values of parameters.
pub struct Project {
    /// The last 64 bars that were played.
    pub takes: Arc<Mutex<Takes>>,
    /// The history of rng seeds, the latest last.
    pub seeds: Arc<Mutex<Vec<i32>>>,
    /// The take that frozen voices play.
    pub frozen: Arc<Mutex<FrozenTake>>,
    /// The look of the editor.
    pub look: Arc<Mutex<Look>>,
    /// The chosen weights: a setting.
    pub weights: Arc<Mutex<ChosenWeights>>,
    /// The id of the recording that the takes belong to. Instances loaded from one project share it.
    recording: Mutex<String>,
    /// The [`BEHAVIOUR`] with which the project began.
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

/// Locks, even if another thread panicked while it held the lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Project {
    /// Connects the worker: from now on saving waits until it has recorded the latest notes.
    pub fn connect(&self, worker: SavingEnd) {
        // Each instance has one worker, so this is called once.
        let _ = self.worker.set(worker);
    }

    /// The version of the plugin's behaviour with which the project began. Any thread.
    pub fn behaviour(&self) -> u32 {
        self.behaviour.load(Ordering::Relaxed)
    }

    /// Whether there is a recording to lose. A single rng seed is none: the editor adds the current one to the history
    /// when it opens.
    fn has_recordings(&self) -> bool {
        !lock(&self.takes).is_empty() || lock(&self.frozen).number > 0 || lock(&self.seeds).len() > 1
    }

    fn load_settings(&self, saved: &Saved) {
        *lock(&self.weights) = saved.read("weights").unwrap_or_default();
        self.behaviour.store(saved.read("behaviour").unwrap_or(1), Ordering::Relaxed);
    }

    /// Loads all saved recordings into an instance that has none. Another instance keeps its own, and adds takes only
    /// if they were saved from its own recording.
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
            // A state without recordings, such as a factory preset, has no id, as several instances may load it.
            if let Some(recording) = recording.filter(|_| self.has_recordings()) {
                *lock(&self.recording) = recording;
            }
        }
    }
}

// SAFETY: it hands out no pointer.
unsafe impl Params for Project {
    fn param_map(&self) -> Vec<(String, ParamPtr, String)> {
        Vec::new()
    }

    fn serialize_fields(&self) -> BTreeMap<String, String> {
        if let Some(worker) = self.worker.get() {
            // Notes that the worker has not recorded by then are missing, as if the host had saved a little earlier.
            worker.wait_until_recorded(SAVING_PATIENCE);
        }
        let mut fields = BTreeMap::new();
        write(&mut fields, "take", &*lock(&self.takes));
        write(&mut fields, "seeds", &*lock(&self.seeds));
        write(&mut fields, "frozen", &*lock(&self.frozen));
        write(&mut fields, "look", &*lock(&self.look));
        write(&mut fields, "weights", &*lock(&self.weights));
        if self.has_recordings() {
            // Without recordings no id is saved, so new instances all save the same.
            write(&mut fields, "recording", &*lock(&self.recording));
        }
        write(&mut fields, "behaviour", &self.behaviour());
        fields
    }

    fn deserialize_fields(&self, serialized: &BTreeMap<String, String>) {
        let saved = Saved(serialized);
        self.load_settings(&saved);
        self.load_recordings(&saved);
        if let Some(worker) = self.worker.get() {
            // The worker looks for new weights and a new frozen take.
            worker.wake_worker();
        }
    }
}

fn write<T: Serialize>(fields: &mut BTreeMap<String, String>, key: &str, value: &T) {
    match serde_json::to_string(value) {
        Ok(text) => _ = fields.insert(key.into(), text),
        Err(error) => nice_error!("project: cannot save `{key}` ({error})"),
    }
}

/// The fields of a state.
struct Saved<'a>(&'a BTreeMap<String, String>);

impl Saved<'_> {
    /// Reads a field; `None` if it is missing or damaged.
    fn read<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let text = self.0.get(key)?;
        serde_json::from_str(text)
            .map_err(|error| {
                nice_error!("project: cannot read `{key}`, which this plugin did not save in this form ({error})")
            })
            .ok()
    }
}

#[cfg(test)]
mod tests;
