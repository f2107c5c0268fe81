//! Standard MIDI Files: the one reader ([`MidiFile`]), phrases out of it, and files that any DAW opens.

mod reading;
mod writing;

use std::fmt;
use std::path::Path;

pub use reading::{Change, KeySignature, MidiFile, MidiNote, MidiPart, MidiPiece, Pedal};
pub use writing::{Conductor, TICKS_PER_BEAT, TimeChange, time_signature, to_bytes, to_bytes_with, write};

use crate::phrase::Phrase;

/// Why a MIDI file cannot be used: which file, what was expected, what was found, what to do.
#[derive(Debug, thiserror::Error)]
#[error("{source_name}: {problem}")]
pub struct MidiFileError {
    /// The file's path, or whatever the bytes came from.
    pub source_name: String,
    /// What is wrong with it.
    pub problem: MidiFileProblem,
}

/// What can be wrong with a MIDI file.
#[derive(Debug)]
pub enum MidiFileProblem {
    /// It cannot be read or written.
    Io(std::io::Error),
    /// It has no bytes.
    Empty,
    /// It does not begin as a MIDI file does, or its events make no sense.
    NotMidi(String),
    /// It ends in the middle: (bytes that it announces, bytes that are there).
    Truncated(usize, usize),
    /// Its times are in film frames, not in beats.
    Smpte,
    /// It says that a quarter note has 0 ticks.
    NoTicks,
    /// No note sounds in it.
    NoNotes,
    /// All its notes are drum strokes, on channel 10: their keys are no pitches.
    OnlyDrums,
}

impl fmt::Display for MidiFileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "cannot be opened ({error}); check the path"),
            Self::Empty => write!(f, "expected a MIDI file, got an empty one; export it again"),
            Self::NotMidi(error) => write!(f, "expected a Standard MIDI File, got something else ({error})"),
            Self::Truncated(expected, got) => {
                write!(f, "expected {expected} bytes, got {got}: the file is cut short; copy or export it again")
            }
            Self::Smpte => write!(
                f,
                "expected times in beats, got SMPTE frames, which have no bars; export it with ticks per quarter note"
            ),
            Self::NoTicks => write!(f, "expected ticks per quarter note, got 0; export it again"),
            Self::NoNotes => write!(f, "expected notes, got none; export the track that holds them"),
            Self::OnlyDrums => {
                write!(f, "expected notes, got drums only (channel 10); export a track with pitches")
            }
        }
    }
}

/// Reads a file as a phrase.
///
/// # Errors
/// If it cannot be opened, or as [`parse`].
pub fn read(path: &Path) -> Result<Phrase, MidiFileError> {
    let source_name = path.display().to_string();
    match std::fs::read(path) {
        Ok(bytes) => parse(&source_name, &bytes),
        Err(error) => Err(MidiFileError { source_name, problem: MidiFileProblem::Io(error) }),
    }
}

/// Reads a file's bytes as a phrase; `source_name` stands in errors. Tempo and time signature are the first that the
/// file gives, else 120 and 4/4. Drums are left out; of a type 2 file the phrase is the first piece with notes.
///
/// # Errors
/// As [`MidiFile::parse`], and if no note has a pitch.
pub fn parse(source_name: &str, bytes: &[u8]) -> Result<Phrase, MidiFileError> {
    let phrase = MidiFile::parse(bytes).and_then(|file| file.phrase());
    phrase.map_err(|problem| MidiFileError { source_name: source_name.to_string(), problem })
}

#[cfg(test)]
mod tests;
