//! The takes: the notes of the last 64 bars, divided at each start and jump of the transport. The worker, the editor
//! and the host's main thread lock them; the audio thread never does.

mod forgetting;
mod merging;
mod note;
mod saved;
mod start;
mod view;

use continuo_model::midi_file;
use serde::{Deserialize, Serialize};

use crate::bridge::{Beginning, Changed, Looped, Played};
pub use note::TakeNote;
pub use start::{Change, Start};
use start::{LoopEnd, bar_ticks};
pub use view::TakeView;

/// Version of the saved form. Takes of a later version stay unchanged until something is played.
const VERSION: u32 = 3;
/// Resolution of saved times. Clips use the same, so they keep every position. Projects depend on the value.
pub const TICKS_PER_BEAT: f64 = midi_file::TICKS_PER_BEAT as f64;
/// How much music to keep, ticks: 64 bars of 4/4.
const KEPT_TICKS: i64 = 256 * midi_file::TICKS_PER_BEAT as i64;
/// How many notes to keep.
const MAX_NOTES: usize = 8192;
/// How many bytes of notes to keep, as saved: a project grows by less than 256 KB.
const MAX_NOTE_BYTES: usize = 200_000;
/// How many changes of tempo and time signature to keep, over all takes.
const MAX_CHANGES: usize = 512;
/// How many takes to keep.
const MAX_STARTS: usize = 200;
/// How many loop ends to keep, over all takes.
const MAX_LOOP_ENDS: usize = 512;
/// A generated note that starts less than this before a loop end and sounds beyond it belongs to the next pass: it
/// answers a note that the player played early.
const EARLY_TICKS: i64 = 120;

/// All takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "saved::SavedTakes")]
pub struct Takes {
    version: u32,
    /// In order of time. Notes before the first start are from version 1, which had no takes.
    starts: Vec<Start>,
    /// Take by take, each in order of starts.
    notes: Vec<TakeNote>,
    /// Indices of the notes that have not ended.
    #[serde(skip)]
    open: Vec<usize>,
}

impl Default for Takes {
    fn default() -> Self {
        Self { version: VERSION, starts: Vec::new(), notes: Vec::new(), open: Vec::new() }
    }
}

fn ticks(beats: f64) -> i64 {
    (beats * TICKS_PER_BEAT).round() as i64
}

impl Takes {
    /// The takes with notes, the oldest first.
    pub fn list(&self) -> impl DoubleEndedIterator<Item = TakeView<'_>> {
        (0..self.starts.len())
            .map(|take| TakeView { start: &self.starts[take], notes: &self.notes[self.range(take)] })
            .filter(|take| !take.notes.is_empty())
    }

    /// The notes of the current take, each with whether it still sounds.
    pub fn current(&self) -> impl Iterator<Item = (TakeNote, bool)> {
        let range = if self.starts.is_empty() { 0..self.notes.len() } else { self.range(self.starts.len() - 1) };
        range.map(|i| (self.notes[i], self.open.contains(&i)))
    }

    /// The start of the current take.
    pub fn current_start(&self) -> Option<&Start> {
        self.starts.last()
    }

    fn range(&self, take: usize) -> std::ops::Range<usize> {
        let end = self.starts.get(take + 1).map_or(self.notes.len(), |next| next.first_note);
        self.starts[take].first_note..end
    }

    /// Begins a take. Notes that still sound end at the end of the take before.
    pub fn begin(&mut self, beginning: &Beginning) {
        self.replace_later_version();
        let before = ticks(beginning.before_beats);
        self.forget_long_held(before);
        for open in std::mem::take(&mut self.open) {
            self.notes[open].end_at(before, before);
        }
        if let Some(last) = self.starts.last_mut() {
            let last_end = self.notes[last.first_note..].iter().map(TakeNote::end).max();
            last.ended_ticks = Some(before).max(last_end);
        }
        // A take without notes is removed.
        let silent = self.starts.last().is_some_and(|start| start.first_note == self.notes.len());
        if silent {
            self.starts.pop();
        }
        let mut start = Start {
            first_note: self.notes.len(),
            number: self.starts.iter().map(|start| start.number).max().unwrap_or(0) + 1,
            bar_start_ticks: ticks(beginning.bar_start_beats),
            tempo_bpm: beginning.tempo_bpm,
            time_signature: beginning.time_signature,
            rng_seed: beginning.rng_seed,
            changes: Vec::new(),
            loop_ends: Vec::new(),
            lost_loop_ends: false,
            kept_from_ticks: None,
            incomplete: false,
            ended_ticks: None,
        };
        // A host may report an earlier or a later bar than the one in which the take begins.
        let length = bar_ticks(start.time_signature);
        let within = (ticks(beginning.song_beats) - start.bar_start_ticks).rem_euclid(length);
        start.bar_start_ticks = ticks(beginning.song_beats) - within;
        self.starts.push(start);
        self.forget_oldest_starts();
    }

    fn forget_oldest_starts(&mut self) {
        while self.starts.len() > MAX_STARTS {
            let gone = self.starts[1].first_note;
            self.forget(gone, i64::MIN);
        }
    }

    /// Records that the host's loop wraps.
    pub fn wrap_loop(&mut self, looped: &Looped) {
        self.replace_later_version();
        let Some(start) = self.starts.last_mut() else { return };
        let at = ticks(looped.take_beats);
        let last_note = self.notes[start.first_note..].last().map_or(i64::MIN, |note| note.start);
        // A pass without notes is removed.
        let silent = start.loop_ends.pop_if(|end| last_note < end.at - EARLY_TICKS && self.open.is_empty());
        let pass_end = silent.map_or(at, |end| end.pass_end);
        start.loop_ends.push(LoopEnd { at, song: ticks(looped.song_beats), pass_end });
        self.thin_loop_ends();
    }

    /// Removes the oldest loop end if there are too many.
    fn thin_loop_ends(&mut self) {
        let too_many = self.starts.iter().map(|start| start.loop_ends.len()).sum::<usize>() > MAX_LOOP_ENDS;
        if let Some(start) = self.starts.iter_mut().find(|start| too_many && !start.loop_ends.is_empty()) {
            start.loop_ends.remove(0);
            start.lost_loop_ends = true;
        }
    }

    /// Records a change of tempo or time signature.
    pub fn change(&mut self, changed: &Changed) {
        self.replace_later_version();
        let Some(start) = self.starts.last_mut() else { return };
        let us_per_beat = (60e6 / changed.tempo_bpm).round().clamp(1.0, f64::from(u32::MAX)) as u32;
        let at = ticks(changed.take_beats).max(start.changes.last().map_or(start.bar_start_ticks, |last| last.at));
        start.changes.retain(|earlier| earlier.at != at);
        start.changes.push(Change { at, us_per_beat, time_signature: changed.time_signature });
        self.thin_changes();
    }

    /// Removes a change if there are too many: the oldest that changes only the tempo, as that moves no bar line.
    fn thin_changes(&mut self) {
        if self.starts.iter().map(|start| start.changes.len()).sum::<usize>() <= MAX_CHANGES {
            return;
        }
        for start in &mut self.starts {
            let metre_before = |n: usize| match n {
                0 => start.time_signature,
                n => start.changes[n - 1].time_signature(),
            };
            let tempo_alone = |n: &usize| start.changes[*n].time_signature() == metre_before(*n);
            if let Some(n) = (0..start.changes.len()).find(tempo_alone) {
                start.changes.remove(n);
                return;
            }
        }
        // There are hundreds of changes of the time signature: remove the oldest.
        if let Some(start) = self.starts.iter_mut().find(|start| !start.changes.is_empty()) {
            start.changes.remove(0);
        }
    }

    /// The take with this number. Notes that still sound end at the position `at_beats` of the take.
    pub fn ended_at(&self, number: u32, at_beats: f64) -> Option<(&Start, Vec<TakeNote>)> {
        let take = self.starts.iter().position(|start| start.number == number)?;
        let range = self.range(take);
        let mut notes = self.notes[range.clone()].to_vec();
        for open in self.open.iter().filter(|open| range.contains(*open)) {
            notes[open - range.start].end_at(ticks(at_beats), ticks(at_beats));
        }
        Some((&self.starts[take], notes))
    }

    /// Marks the current take as incomplete: a render went on without a decision.
    pub fn mark_incomplete(&mut self) {
        self.replace_later_version();
        if let Some(start) = self.starts.last_mut() {
            start.incomplete = true;
        }
    }

    /// Records a note-on or a note-off. A note-on may arrive a little late, after notes that start later.
    pub fn add(&mut self, played: &Played) {
        self.replace_later_version();
        let (at, heard) = (ticks(played.take_beats), ticks(played.heard_beats));
        self.forget_long_held(at);
        let same = |i: &usize| (self.notes[*i].lane, self.notes[*i].key) == (played.channel, played.key);
        let own = |i: &usize| same(i) && self.notes[*i].generated == played.generated;
        // The player and the network may both sound this key on this lane. A note-off of either ends the other's note
        // only if there is no note of its own.
        let open = self.open.iter().position(own);
        let open = open.or_else(|| self.open.iter().position(same).filter(|_| played.velocity == 0.0));
        if let Some(open) = open {
            let note = self.open.remove(open);
            self.notes[note].end_at(at, heard);
        }
        if played.velocity > 0.0 {
            let velocity = (played.velocity * 127.0).round().clamp(1.0, 127.0) as u8;
            let note = TakeNote::new(played.channel, played.generated, played.key, velocity, at, heard);
            let first = self.starts.last().map_or(0, |start| start.first_note);
            let index = first + self.notes[first..].partition_point(|earlier| earlier.start <= at);
            self.notes.insert(index, note);
            self.open.iter_mut().filter(|open| **open >= index).for_each(|open| *open += 1);
            self.open.push(index);
            self.forget_old(at);
        }
    }

    /// Discards takes of a later version: called before something new is recorded.
    fn replace_later_version(&mut self) {
        if self.version > VERSION {
            *self = Self::default();
        }
        self.version = VERSION;
    }
}

#[cfg(test)]
mod tests;
