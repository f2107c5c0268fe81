//! What a host's project saves beside the parameters and the takes. Locked by the worker, the editor and the host's main thread,
//! never by the audio thread.

use serde::{Deserialize, Serialize};

/// The weights that a project plays with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChosenWeights {
    /// The file, or empty for the shipped weights.
    pub path: String,
    /// Fingerprint of the file's bytes when it was last read, sixteen hexadecimal digits; empty for a new choice.
    pub hash: String,
}

/// How the editor looks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// Light letters on a dark ground.
    pub dark: bool,
    /// Size of everything, percent.
    pub size_percent: u16,
}

impl Default for Look {
    fn default() -> Self {
        Self { dark: true, size_percent: 100 }
    }
}
