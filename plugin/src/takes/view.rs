//! One take with its notes, and its notes at their song positions. Plain values, of no thread.

use super::start::Pass;
use super::{EARLY_TICKS, Start, TakeNote};

/// A take.
#[derive(Clone, Copy, Debug)]
pub struct TakeView<'a> {
    /// Its start.
    pub start: &'a Start,
    /// Its notes, in order of starts.
    pub notes: &'a [TakeNote],
}

impl TakeView<'_> {
    /// The indices of the bars, from 0. If a long take has lost its first bars, the range begins later.
    pub fn bars(&self) -> std::ops::Range<i64> {
        let first = self.start.kept_from_ticks.map_or(0, |ticks| self.start.bar_of(ticks).max(0));
        let end = self.notes.iter().map(TakeNote::end).max().unwrap_or(self.start.bar_start_ticks);
        first..self.start.bar_of((end - 1).max(self.start.bar_start_ticks)).max(first) + 1
    }

    /// The generated notes in some bars (by index), at their song positions. Where a loop wrapped, the last pass that
    /// has generated notes counts. `at_ticks` is the current position of a take that still runs: its last pass may be
    /// incomplete.
    pub fn in_song(&self, bars: std::ops::Range<i64>, at_ticks: i64) -> Vec<TakeNote> {
        let mut song: Vec<TakeNote> = Vec::new();
        let from = self.start.bar_start(bars.start);
        let last_end = self.notes.iter().map(TakeNote::end).max().unwrap_or(from);
        let to = self.start.bar_start(bars.end).min(self.start.ended_ticks.unwrap_or(at_ticks).max(last_end));
        for pass in self.start.passes() {
            let Pass { from, to, shift } = Pass { from: pass.from.max(from), to: pass.to.min(to), ..pass };
            let generated = || self.notes.iter().filter(|note| note.generated);
            if from >= to || !generated().any(|note| note.start < to && note.end() > from) {
                continue;
            }
            // This pass replaces earlier ones.
            song.retain_mut(|note| {
                let over = (from + shift)..to.saturating_add(shift);
                if note.start < over.start {
                    note.cut_at(over.start);
                }
                !over.contains(&note.start)
            });
            for mut note in generated().copied() {
                // The note already sounds when the pass begins: it is held over, or answers a note that was played
                // early.
                if note.start < from && note.end() > from.saturating_add(EARLY_TICKS) {
                    note.begin_at(from);
                }
                let late = (to.saturating_sub(EARLY_TICKS)..to).contains(&note.start)
                    && note.end() > to.saturating_add(EARLY_TICKS);
                if (from..to).contains(&note.start) && !late {
                    note.cut_at(to);
                    note.move_by(shift);
                    song.push(note);
                }
            }
        }
        song
    }
}
