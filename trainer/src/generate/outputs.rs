//! Writes the files of a generated piece.

use std::path::Path;

use anyhow::{Context, Result};
use continuo_model::midi_file;
use continuo_model::phrase::Phrase;
use continuo_pictures::piano_roll;

use super::{musicxml, sound};
use crate::GenerateArgs;

/// Writes NAME.mid to the folder, and on request NAME.musicxml, NAME.png and NAME.wav.
pub fn write(folder: &Path, name: &str, phrase: &Phrase, args: &GenerateArgs) -> Result<()> {
    midi_file::write(&folder.join(format!("{name}.mid")), phrase)?;
    let keep = |extension: &str, bytes: Result<Vec<u8>>| -> Result<()> {
        let path = folder.join(format!("{name}.{extension}"));
        let cannot = || format!("{}: cannot be written", path.display());
        std::fs::write(&path, bytes.with_context(cannot)?).with_context(cannot)
    };
    if args.musicxml {
        keep("musicxml", musicxml::text(phrase, name).map(String::into_bytes))?;
    }
    if args.png {
        let num_bars = (phrase.end_beats() / phrase.bar_beats()).ceil().max(1.0) as u32;
        keep("png", piano_roll::png(phrase, num_bars))?;
    }
    if args.wav {
        keep("wav", sound::wav(phrase))?;
    }
    Ok(())
}
