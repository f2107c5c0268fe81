//! Merges takes of one recording that were saved at different times. Plain values, of no thread.

use super::{MAX_CHANGES, MAX_LOOP_ENDS, Start, TakeNote, Takes, VERSION};

impl Takes {
    /// Whether there are no notes.
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    /// Adds the takes of `saved` whose numbers are missing here. The current take remains the last.
    pub fn add_missing(&mut self, saved: Self) {
        if self.version > VERSION || saved.version > VERSION {
            // Takes of a later version cannot be merged, only loaded whole.
            if self.is_empty() {
                *self = saved;
            }
            return;
        }
        let (mut oldest, mut takes) = self.parts();
        let (saved_oldest, saved_takes) = saved.parts();
        if oldest.is_empty() {
            oldest = saved_oldest;
        }
        let current = takes.pop();
        let is_new = |start: &Start| {
            let mut own = takes.iter().chain(&current).filter(|(_, notes)| !notes.is_empty());
            !own.any(|(known, _)| known.number == start.number)
        };
        let added: Vec<_> =
            saved_takes.into_iter().filter(|(start, notes)| !notes.is_empty() && is_new(start)).collect();
        takes.extend(added);
        takes.sort_by_key(|(start, _)| start.number);
        let first_note = current.as_ref().map_or(0, |(start, _)| start.first_note);
        if let Some((mut start, notes)) = current {
            if notes.is_empty() {
                // A take without notes gets its number anew.
                start.number = takes.last().map_or(0, |(last, _)| last.number) + 1;
            }
            takes.push((start, notes));
        }
        (self.starts, self.notes) = (Vec::new(), oldest);
        for (mut start, notes) in takes {
            start.first_note = self.notes.len();
            self.starts.push(start);
            self.notes.extend(notes);
        }
        let moved_to = self.starts.last().map_or(0, |start| start.first_note);
        self.open.iter_mut().for_each(|open| *open = *open - first_note + moved_to);
        self.keep_bounds();
    }

    /// The notes before the first take, and each take with its notes.
    fn parts(&self) -> (Vec<TakeNote>, Vec<(Start, Vec<TakeNote>)>) {
        let first = self.starts.first().map_or(self.notes.len(), |start| start.first_note);
        let take = |n: usize| (self.starts[n].clone(), self.notes[self.range(n)].to_vec());
        (self.notes[..first].to_vec(), (0..self.starts.len()).map(take).collect())
    }

    fn keep_bounds(&mut self) {
        for _ in 0..self.starts.iter().map(|start| start.changes.len()).sum::<usize>().saturating_sub(MAX_CHANGES) {
            self.thin_changes();
        }
        for _ in 0..self.starts.iter().map(|start| start.loop_ends.len()).sum::<usize>().saturating_sub(MAX_LOOP_ENDS) {
            self.thin_loop_ends();
        }
        self.forget_oldest_starts();
        self.forget_old(i64::MIN);
    }
}
