//! Keeps takes bounded in duration, number of notes and bytes, even while notes are held. Plain values, of no thread.

use super::{KEPT_TICKS, MAX_NOTE_BYTES, MAX_NOTES, TakeNote, Takes};

impl Takes {
    /// Cuts the beginnings of notes that are held for longer than the takes keep music. `at` is the current position.
    pub(super) fn forget_long_held(&mut self, at: i64) {
        let kept_from = at.saturating_sub(KEPT_TICKS);
        if self.open.iter().any(|open| self.notes[*open].start < kept_from) {
            self.forget_old(at);
        }
    }

    /// Forgets the oldest notes beyond the bounds. `at` is the current position. Silence between takes does not count.
    pub(super) fn forget_old(&mut self, at: i64) {
        // While there is room, everything stays, even notes older than the first take.
        let (mut room, mut keep_from, mut oldest) = (KEPT_TICKS, 0, i64::MIN);
        let current = self.starts.len().max(1) - 1;
        for take in (0..=current).rev() {
            let range = if self.starts.is_empty() { 0..self.notes.len() } else { self.range(take) };
            let notes = &self.notes[range.clone()];
            let (Some(first), Some(last)) = (notes.first(), notes.last()) else { continue };
            // Sounding notes last until `at`.
            let sounds = take == current && !self.open.is_empty();
            let end = if sounds { last.start.max(at) } else { last.start };
            if end.saturating_sub(first.start) > room {
                oldest = end.saturating_sub(room);
                keep_from = range.start + notes.partition_point(|note| note.start < oldest);
                break;
            }
            room -= end - first.start;
        }
        let with_room = self.with_room(keep_from);
        if with_room > keep_from {
            oldest = self.notes.get(with_room).map_or(oldest, |note| note.start);
        }
        if with_room > 0 {
            self.forget(with_room, oldest);
        }
    }

    /// The first note, from `keep_from` on, from which all notes fit into a project.
    fn with_room(&self, mut keep_from: usize) -> usize {
        if self.notes.len() > MAX_NOTE_BYTES / TakeNote::MAX_SAVED_BYTES {
            let mut bytes = 0;
            let fits = |note: &&TakeNote| {
                bytes += note.saved_bytes();
                bytes <= MAX_NOTE_BYTES
            };
            let fitting = self.notes.iter().rev().take_while(fits).count();
            keep_from = keep_from.max(self.notes.len() - fitting);
        }
        // Sounding notes stay in any case.
        let sounding = |keep_from| self.open.iter().filter(|open| **open < keep_from).count();
        while self.notes.len() - keep_from + sounding(keep_from) > MAX_NOTES {
            keep_from += 1;
        }
        keep_from
    }

    /// Forgets the first `num_notes` notes, and takes that have none left. Notes among them that still sound stay, but
    /// start at `oldest` at the earliest.
    pub(super) fn forget(&mut self, num_notes: usize, oldest: i64) {
        let mut held: Vec<usize> = self.open.iter().copied().filter(|open| *open < num_notes).collect();
        held.sort_unstable();
        let num_forgotten = num_notes - held.len();
        for (target, &note) in (num_forgotten..num_notes).zip(&held).rev() {
            self.notes[note..=target].rotate_left(1);
            self.notes[target].begin_at(oldest);
        }
        for open in &mut self.open {
            *open = held.binary_search(open).unwrap_or_else(|_| *open - num_forgotten);
        }
        self.notes.drain(..num_forgotten);
        let gone = self.starts.windows(2).take_while(|pair| pair[1].first_note <= num_forgotten).count();
        self.starts.drain(..gone);
        for (n, start) in self.starts.iter_mut().enumerate() {
            if n == 0 && (start.first_note < num_forgotten || !held.is_empty()) {
                start.kept_from_ticks = self.notes.first().map(|note| note.start);
                // The last loop end before the first note gives its song position. Earlier ones are not needed.
                let first = self.notes.first().map_or(i64::MAX, |note| note.start);
                let gone = start.loop_ends.partition_point(|end| end.at <= first).saturating_sub(1);
                start.loop_ends.drain(..gone);
                start.lost_loop_ends |= gone > 0;
            }
            start.first_note = start.first_note.saturating_sub(num_forgotten);
        }
    }
}
