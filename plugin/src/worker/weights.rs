//! From a weights file to an ensemble that can play, beside the worker's thread, so that reading a file never makes a row late.

use std::path::Path;
use std::thread::JoinHandle;

use continuo_model::generate::Performer;
use continuo_model::stream::StreamingNetwork;
use continuo_model::weights_file::Weights;

use super::shipped::Shipped;
use super::{Desk, Ensemble};
use crate::state::ChosenWeights;

/// Weights that are ready to play.
pub struct Loaded {
    /// What the choice has come to: its path, and the hash of what was read.
    pub chosen: ChosenWeights,
    /// What was read, in the end.
    pub path: String,
    /// What a menu calls them.
    pub name: String,
    /// What there is to say of them, or empty.
    pub problem: String,
    /// They, at the start of a piece, with all the room that they need.
    pub ensemble: Ensemble,
}

/// Reads the chosen weights, or says what is wrong.
pub fn load(chosen: &ChosenWeights) -> Result<Loaded, String> {
    let read;
    let (name, bytes) = if let Some(shipped) = Shipped::of_path(&chosen.path)? {
        (shipped.source(), shipped.bytes)
    } else {
        read = std::fs::read(Path::new(&chosen.path))
            .map_err(|error| format!("{}: cannot be opened ({error}); check the path", chosen.path))?;
        (chosen.path.clone(), read.as_slice())
    };
    let weights = Weights::parse(&name, bytes).map_err(|error| error.to_string())?;
    let hash = format!("{:016x}", fingerprint(bytes));
    let problem = if chosen.hash.is_empty() || chosen.hash == hash {
        String::new()
    } else {
        format!(
            "{name}: expected the file that the project was saved with ({}), got another ({hash}); it plays",
            chosen.hash
        )
    };
    let description_name = weights.description.name.clone();
    let network = StreamingNetwork::new(weights).map_err(|problem| format!("{name}: {problem}"))?;
    let chosen = ChosenWeights { path: chosen.path.clone(), hash };
    Ok(Loaded {
        path: chosen.path.clone(),
        chosen,
        name: description_name,
        problem,
        ensemble: Ensemble::new(Performer::new(network)),
    })
}

/// FNV-1a, 64 bits.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Weights that have been chosen and do not play yet.
pub struct NextWeights {
    /// The path that was read or is being read; another one on the desk is a new choice.
    path: String,
    loading: Option<JoinHandle<Result<Loaded, String>>>,
}

/// The plugin's code may be unloaded once the worker has ended: nothing may run in it then.
impl Drop for NextWeights {
    fn drop(&mut self) {
        if let Some(loading) = self.loading.take() {
            // What it has read is not wanted any more.
            let _ = loading.join();
        }
    }
}

impl NextWeights {
    /// Nothing is chosen but what plays.
    pub fn after(loaded: &Loaded) -> Self {
        Self { path: loaded.chosen.path.clone(), loading: None }
    }

    /// Looks whether there is a new choice, and starts to read it.
    pub fn look(&mut self, desk: &Desk) {
        let chosen = desk.chosen();
        if self.loading.is_none() && chosen.path != self.path {
            self.path.clone_from(&chosen.path);
            let reading = std::thread::Builder::new().name("continuo weights".into()).spawn(move || {
                super::priority::lower();
                load(&chosen)
            });
            match reading {
                Ok(reading) => self.loading = Some(reading),
                Err(error) => desk.say(format!("{}: no thread to read it ({error})", self.path)),
            }
        }
    }

    /// The new weights, once they are there. A file that is no use is said so, and what plays goes on.
    pub fn take(&mut self, desk: &Desk) -> Option<Loaded> {
        self.look(desk);
        let loading = self.loading.take_if(|loading| loading.is_finished())?;
        let loaded = loading.join().unwrap_or_else(|_| Err(format!("{}: reading it has failed", self.path)));
        match loaded {
            Ok(loaded) => {
                desk.put_down(&loaded);
                Some(loaded)
            }
            Err(problem) => {
                desk.say(problem);
                None
            }
        }
    }
}
