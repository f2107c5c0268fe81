//! What became of the music: how many pieces were read, left out, held out, and why.

use std::collections::BTreeMap;
use std::fmt;

use super::song::Song;
use crate::corpus::folder;

/// As many held-out songs as are named.
const NAMED: usize = 20;

/// What became of the music.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Pieces that were read.
    pub pieces: usize,
    /// Files and pieces that could not be read: source and reason.
    pub unreadable: Vec<(String, String)>,
    /// How many pieces were left out, by reason.
    pub left_out: BTreeMap<String, usize>,
    /// Notes that found no place on the grid, in pieces that stay.
    pub notes_left_out: usize,
    /// Families of near-duplicates, single pieces counted.
    pub families: usize,
    /// Pieces beyond the first of their families.
    pub near_duplicates: usize,
    /// Of those, pieces that were left out.
    pub copies_left_out: usize,
    /// Songs and events to learn from.
    pub train: (usize, usize),
    /// Songs and events that are held out.
    pub valid: (usize, usize),
    /// The names of the songs that are held out.
    pub held_out: Vec<String>,
}

impl Report {
    pub(super) fn count(&mut self, train: &[Song], valid: &[Song]) {
        let count = |songs: &[Song]| (songs.len(), songs.iter().map(|song| song.events.len()).sum());
        (self.train, self.valid) = (count(train), count(valid));
        self.held_out = valid.iter().map(|song| song.name.clone()).collect();
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pieces read, {}", self.pieces, folder::skipped_in_words(&self.unreadable))?;
        for (reason, count) in &self.left_out {
            write!(f, "\n  left out: {count} ({reason})")?;
        }
        if self.notes_left_out > 0 {
            write!(f, "\n  {} notes left out, faster than 16ths", self.notes_left_out)?;
        }
        write!(
            f,
            "\n{} near-duplicates ({} of them left out), {} families\n{} songs with {} events to learn from, {} with \
             {} held out",
            self.near_duplicates,
            self.copies_left_out,
            self.families,
            self.train.0,
            self.train.1,
            self.valid.0,
            self.valid.1
        )?;
        if self.held_out.len() <= NAMED {
            write!(f, ": {}", self.held_out.join(", "))?;
        }
        Ok(())
    }
}
