//! Reports how many pieces were read, left out and held out, and why.

use std::collections::BTreeMap;
use std::fmt;

use super::song::Song;
use crate::corpus::folder;

/// How many held-out songs are listed by name.
const NAMED: usize = 20;

/// What happened to the music.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Pieces that were read.
    pub pieces: usize,
    /// Files and pieces that could not be read: source and reason.
    pub unreadable: Vec<(String, String)>,
    /// How many pieces were left out, by reason.
    pub left_out: BTreeMap<String, usize>,
    /// Notes that did not fit the grid, in pieces that were kept.
    pub notes_left_out: usize,
    /// Families of near-duplicates; a piece without duplicates is a family too.
    pub families: usize,
    /// Pieces other than the first of their family.
    pub near_duplicates: usize,
    /// How many of those were left out.
    pub copies_left_out: usize,
    /// Songs and events to train on.
    pub train: (usize, usize),
    /// Songs and events held out.
    pub valid: (usize, usize),
    /// The names of the held-out songs.
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
            write!(f, "\n  {} notes shorter than a 16th left out", self.notes_left_out)?;
        }
        write!(
            f,
            "\n{} near-duplicates ({} of them left out), {} families\n{} songs with {} events to train on, {} with \
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
