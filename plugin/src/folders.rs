//! Where the player's own files are. Read by any thread but the audio thread.

use std::path::PathBuf;

/// Names the folder for clips and weights, in place of the user's.
const FOLDER_VARIABLE: &str = "CONTINUO_CLIPS";

/// The folder that clips go to: `Continuo` in the user's music folder, documents or home.
pub fn clips() -> Option<PathBuf> {
    let named = std::env::var_os(FOLDER_VARIABLE).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let own = || dirs::audio_dir().or_else(dirs::document_dir).or_else(dirs::home_dir);
    named.or_else(|| own().map(|folder| folder.join("Continuo")))
}

/// The player's own weights: `Weights` in the folder for clips.
pub fn weights() -> Option<PathBuf> {
    clips().map(|folder| folder.join("Weights"))
}
