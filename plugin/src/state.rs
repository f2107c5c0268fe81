//! The part of a project that is neither parameters nor takes: chosen weights and the look of the editor. The worker,
//! the editor and the host's main thread lock it; the audio thread never does.

mod project;

use serde::{Deserialize, Serialize};

pub use project::Project;

/// The weights that a project has chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChosenWeights {
    /// The path of the file, or `shipped:NAME` for shipped weights; empty for the first of those.
    pub path: String,
    /// Hash of the file's bytes when it was last read, sixteen hexadecimal digits; empty until the worker has read it.
    pub hash: String,
}

impl ChosenWeights {
    /// A new choice. The worker adds the hash when it reads the file.
    pub fn new(path: impl Into<String>) -> Self {
        Self { path: path.into(), hash: String::new() }
    }
}

/// The look of the editor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// Whether the theme is dark: light text on a dark background.
    pub dark: bool,
    /// The zoom of the whole editor, percent.
    pub size_percent: u16,
    /// Width and height of the window, points. A point scales with `size_percent`.
    #[serde(default = "default_window")]
    pub window: (f32, f32),
}

/// The window's initial size, points.
pub const WINDOW: (f32, f32) = (1120.0, 800.0);

const fn default_window() -> (f32, f32) {
    WINDOW
}

impl Default for Look {
    fn default() -> Self {
        Self { dark: true, size_percent: 100, window: WINDOW }
    }
}
