//! Prepares pieces for line models: songs, which are sequences of events on a grid of 16ths, split by piece.

mod dealing;
mod duplicates;
pub mod four_voices;
mod groups;
mod keys;
mod options;
pub mod performed;
mod quantise;
mod report;
mod song;
mod split;
mod words;

use std::path::PathBuf;

use anyhow::Result;

use crate::corpus::folder::{self, Corpus};
use crate::corpus::piece::{Part, Piece};
use dealing::Voice;
pub use duplicates::Families;
use options::Duplicates;
#[cfg(test)]
pub use options::Modes;
pub use options::{KeyPlan, Preparation};
use quantise::GridNote;
pub use report::Report;
#[cfg(test)]
pub use song::Event;
pub use song::{Song, metre, name_of};
pub use split::{HoldOut, Identity, held_out};
pub use words::{ALL_KEYS, Spelt, lexicon, spell};

/// Prepared songs, and a report of what was left out.
#[derive(Debug, Default)]
pub struct Prepared {
    /// Songs to train on.
    pub train: Vec<Song>,
    /// Songs to validate on.
    pub valid: Vec<Song>,
    /// How many pieces were read, left out and held out.
    pub report: Report,
}

/// Reads files and folders in any mix of formats and prepares their pieces.
///
/// # Errors
/// If a path does not exist; with `strict` also at the first file or piece that cannot be read.
pub fn read(paths: &[PathBuf], options: &Preparation, strict: bool) -> Result<Prepared> {
    let corpus =
        folder::read(paths, folder::Options { as_written: options.as_written, strict, ..folder::Options::default() })?;
    Ok(prepare(corpus, options, &known_groups(paths, options.groups.as_deref())?))
}

/// The groups of pieces that belong together, if the recipe names a table of them.
///
/// # Errors
/// If the table does not exist or cannot be read.
pub fn known_groups(paths: &[PathBuf], table: Option<&str>) -> Result<Vec<Vec<String>>> {
    table.map_or_else(|| Ok(Vec::new()), |name| groups::read(paths, name))
}

/// The name of the table of groups if there is one: music to start from need not have any.
pub fn groups_if_any(paths: &[PathBuf], table: Option<String>) -> Option<String> {
    table.filter(|name| !groups::tables(paths, name).is_empty())
}

/// Prepares pieces. `known` contains groups of names of pieces that belong together.
pub fn prepare(corpus: Corpus, options: &Preparation, known: &[Vec<String>]) -> Prepared {
    let mut report = Report { pieces: corpus.pieces.len(), unreadable: corpus.skipped, ..Report::default() };
    let mut songs = Vec::with_capacity(corpus.pieces.len());
    for piece in &corpus.pieces {
        match song_of(piece, options) {
            Ok((song, left_out)) => {
                report.notes_left_out += left_out;
                songs.push(song);
            }
            Err(reason) => *report.left_out.entry(reason).or_default() += 1,
        }
    }
    let identities: Vec<Identity> = songs.iter().map(Song::identity).collect();
    let mut families = Families::of(&identities, options.shared_runs);
    families.join_named(&identities, known);
    let family_of = families.numbers();
    report.families = family_of.iter().copied().max().map_or(0, |last| last + 1);
    report.near_duplicates = songs.len() - report.families;
    let held_out = split::held_out(&identities, &family_of, options.hold_out());
    let mut seen = vec![false; report.families];
    let mut prepared = Prepared { report, ..Prepared::default() };
    for (song, family) in songs.into_iter().zip(family_of) {
        if options.duplicates == Duplicates::One && std::mem::replace(&mut seen[family], true) {
            prepared.report.copies_left_out += 1;
        } else if held_out[family] {
            prepared.valid.push(song);
        } else {
            prepared.train.push(song);
        }
    }
    prepared.report.count(&prepared.train, &prepared.valid);
    prepared
}

/// The highest notes of a piece on the grid, and how many 16ths of silence to insert so that its first step is on a
/// beat.
pub fn melody(piece: &Piece) -> (usize, Voice) {
    let on_grid = |part: &Part| quantise::part_on_grid(&part.notes, false).unwrap_or_default().notes;
    let notes: Vec<GridNote> = piece.parts.iter().flat_map(on_grid).collect();
    (four_voices::lead(piece), dealing::melody(&notes))
}

/// Converts a piece to a song in the recipe's key. Also returns how many notes did not fit the grid. The error is the
/// reason to leave the piece out.
pub fn song_of(piece: &Piece, options: &Preparation) -> Result<(Song, usize), String> {
    let notes = quantise::on_grid(piece, options)?;
    let mut song = song::from_notes(piece, &notes.notes, options);
    if song.events.len() < options.fewest_events {
        return Err(format!("fewer than {} events", options.fewest_events));
    }
    let key = piece.key().ok_or("no key")?;
    song.minor = key.mode.has_minor_third();
    if !options.modes.takes(song.minor) {
        return Err(format!("in {}", if song.minor { "minor" } else { "major" }));
    }
    if options.key == KeyPlan::Home {
        song = song.transposed(keys::shift_home(key)).ok_or("pitches outside of MIDI once transposed")?;
    }
    Ok((song, notes.left_out))
}

#[cfg(test)]
mod tests;
