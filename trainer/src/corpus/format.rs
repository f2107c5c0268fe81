//! What a format is: how its files are known, and how they are read.

use std::path::Path;

use anyhow::Result;

use super::decoding;
use super::piece::Piece;

/// Bytes by which a file is known.
const BEGINNING: usize = 4096;

/// A format that music comes in.
pub struct Format {
    /// What it is called in reports.
    pub name: &'static str,
    /// The endings of its files' names, without the dot.
    pub extensions: &'static [&'static str],
    /// Endings that files without music have too: they count only where a file is named, not in folders.
    pub shared_extensions: &'static [&'static str],
    /// Whether a file begins like one of these, whatever its name: its bytes, and the same as text.
    pub begins: fn(&[u8], &str) -> bool,
    /// Reads the pieces of a file. A piece that cannot be read is an error of its own.
    pub read: fn(&File) -> Result<Vec<Result<Piece>>>,
}

/// A file of music.
pub struct File<'a> {
    /// Where it is, for what lies beside it.
    pub path: &'a Path,
    /// What pieces and errors call it.
    pub source: &'a str,
    /// All of it.
    pub bytes: &'a [u8],
    /// Whether repeats are played, instead of taken once as written.
    pub played: bool,
}

impl File<'_> {
    /// All of it as text.
    pub fn text(&self) -> String {
        decoding::text(self.bytes)
    }
}

/// The format of a file by its name's ending, or if that says too little by how it begins.
pub fn of(path: &Path, bytes: &[u8], in_folder: bool) -> Option<&'static Format> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_lowercase();
    let text = decoding::text(&bytes[..bytes.len().min(BEGINNING)]);
    let formats = || super::FORMATS.iter().copied();
    let ends = |list: &[&str]| list.contains(&extension.as_str());
    formats()
        .find(|format| ends(format.extensions))
        .or_else(|| formats().find(|format| (format.begins)(bytes, &text)))
        .or_else(|| formats().find(|format| !in_folder && ends(format.shared_extensions)))
}

/// All formats by name: `MIDI, kern or ABC`.
pub fn names() -> String {
    let names: Vec<&str> = super::FORMATS.iter().map(|format| format.name).collect();
    match names.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => names.concat(),
    }
}
