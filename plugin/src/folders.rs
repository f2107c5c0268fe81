//! The folders of the player's own files. For any thread but the audio thread.

use std::path::PathBuf;

/// Environment variable that names the folder for clips and weights, in place of the one below.
const FOLDER_VARIABLE: &str = "CONTINUO_CLIPS";

/// The error if there is no folder for clips.
pub const MISSING: &str = "There is neither a music nor a home folder.";

/// The folder for clips: `Continuo` in the user's music folder, else in the documents folder, else in the home folder.
pub fn clips() -> Option<PathBuf> {
    let named = std::env::var_os(FOLDER_VARIABLE).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let own = || dirs::audio_dir().or_else(dirs::document_dir).or_else(dirs::home_dir);
    named.or_else(|| own().map(|folder| folder.join("Continuo")))
}

/// The folder for the player's own weights: `Weights` in the folder for clips.
pub fn weights() -> Option<PathBuf> {
    clips().map(|folder| folder.join("Weights"))
}
