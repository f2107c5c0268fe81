//! A file format: how to recognise its files and how to read them.

use std::path::Path;

use anyhow::Result;

use super::decoding;
use super::piece::Piece;

/// How many bytes are used to recognise a file.
const BEGINNING: usize = 4096;

/// A file format for music.
pub struct Format {
    /// Its name in reports.
    pub name: &'static str,
    /// Extensions of its files, without the dot.
    pub extensions: &'static [&'static str],
    /// Extensions that other files use too. They count only for files named on the command line, not in folders.
    pub shared_extensions: &'static [&'static str],
    /// Whether a file starts like one of this format, given its first bytes and the same as text.
    pub begins: fn(&[u8], &str) -> bool,
    /// Reads the pieces in a file. A piece that cannot be read becomes an error of its own.
    pub read: fn(&File) -> Result<Vec<Result<Piece>>>,
}

/// A music file.
pub struct File<'a> {
    /// Its path, to find files beside it.
    pub path: &'a Path,
    /// Its name in pieces and errors.
    pub source: &'a str,
    /// Its content.
    pub bytes: &'a [u8],
    /// Whether to play repeats instead of taking them once, as written.
    pub played: bool,
    /// Whether to read drums.
    pub drums: bool,
}

impl File<'_> {
    /// Its content as text.
    pub fn text(&self) -> String {
        decoding::text(self.bytes)
    }
}

/// Recognises the format of a file by its extension, or if that is not enough, by its first bytes.
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

/// The names of all formats: `MIDI, kern or ABC`.
pub fn names() -> String {
    let names: Vec<&str> = super::FORMATS.iter().map(|format| format.name).collect();
    match names.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => names.concat(),
    }
}
