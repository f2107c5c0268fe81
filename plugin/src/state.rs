//! What a host's project saves beside the parameters and the takes. Locked by the worker, the editor and the host's main thread,
//! never by the audio thread.

mod project;

use serde::{Deserialize, Serialize};

pub use project::Project;

/// The weights that a project plays with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChosenWeights {
    /// The file; empty for the first of the shipped weights, `shipped:NAME` for the others.
    pub path: String,
    /// Fingerprint of the file's bytes when it was last read, sixteen hexadecimal digits; empty for a new choice.
    pub hash: String,
}

impl ChosenWeights {
    /// Another choice, whose bytes nobody has seen yet.
    pub fn new(path: impl Into<String>) -> Self {
        Self { path: path.into(), hash: String::new() }
    }
}

/// How the editor looks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// Light letters on a dark ground.
    pub dark: bool,
    /// Size of everything, percent.
    pub size_percent: u16,
    /// Width and height of the window in points, which are as large as `size_percent` says.
    #[serde(default = "default_window")]
    pub window: (f32, f32),
}

/// The window's size until somebody resizes it, points.
pub const WINDOW: (f32, f32) = (1120.0, 800.0);

const fn default_window() -> (f32, f32) {
    WINDOW
}

impl Default for Look {
    fn default() -> Self {
        Self { dark: true, size_percent: 100, window: WINDOW }
    }
}
