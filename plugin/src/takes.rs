//! The takes: the last 64 bars that went out, and where each start of the transport lies in them. Locked by the worker, the editor
//! and the host's main thread, never by the audio thread.

mod forgetting;
mod merging;
mod note;
mod saved;

use serde::{Deserialize, Serialize};

use crate::bridge::{Beginning, Changed, Looped, Played};
pub use note::TakeNote;

/// Version of what is saved; a later one is left alone until something is played.
const VERSION: u32 = 3;
/// Resolution of saved times.
pub const TICKS_PER_BEAT: f64 = 960.0;
/// How much of the music is kept, ticks: 64 bars of 4/4.
const KEPT_TICKS: i64 = 256 * 960;
/// Notes that are kept at the most, and bytes that they take in a project: with them all it grows by less than 256 KB.
const MAX_NOTES: usize = 8192;
const MAX_NOTE_BYTES: usize = 200_000;
/// Changes of tempo and metre that are kept at the most, over all takes.
const MAX_CHANGES: usize = 512;
/// Takes that are kept at the most.
const MAX_STARTS: usize = 200;
/// Rounds of loops that are told apart at the most, over all takes.
const MAX_LOOP_ENDS: usize = 512;
/// A generated note that starts so little before a loop end and lasts beyond it, ticks, belongs to what comes: its player was early.
const EARLY_TICKS: i64 = 120;

/// All takes that are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "saved::SavedTakes")]
pub struct Takes {
    version: u32,
    /// In order of time. Notes before the first one's are from a project that knew no takes.
    starts: Vec<Start>,
    /// By take, then in order of their starts as they sounded.
    notes: Vec<TakeNote>,
    /// Notes that sound, as indices into `notes`.
    #[serde(skip)]
    open: Vec<usize>,
}

/// Where a take begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The first of its notes, as an index.
    first_note: usize,
    /// Counts up from 1 and never comes again in a project.
    pub number: u32,
    /// Where in the song its first bar begins, ticks: at its beginning or before it.
    pub bar_start_ticks: i64,
    /// Quarter notes a minute.
    pub tempo_bpm: f64,
    /// Beats in a bar and which note is one.
    pub time_signature: (u8, u8),
    /// Which performance.
    pub rng_seed: u32,
    /// Tempi and metres that follow within it, in order of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    changes: Vec<Change>,
    /// Where the host's loop came round, in order of time.
    #[serde(rename = "seams", default, skip_serializing_if = "Vec::is_empty")]
    loop_ends: Vec<LoopEnd>,
    /// There were more than are kept: nobody knows where in the song the music before the first one was.
    #[serde(rename = "lost_seams", default, skip_serializing_if = "std::ops::Not::not")]
    lost_loop_ends: bool,
    /// Where the first note that is still kept starts, if earlier ones have been forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kept_from_ticks: Option<i64>,
    /// A render went on without a decision: notes are missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
    /// Where it was left, once another one has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended_ticks: Option<i64>,
}

/// Where the host's loop came round, ticks. Saved as a list of three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(i64, i64, i64)", into = "(i64, i64, i64)")]
struct LoopEnd {
    /// The position in the take.
    at: i64,
    /// The song's position from there on.
    song: i64,
    /// Where in the take the round before ended: `at`, or earlier if nothing was played in between.
    round_end: i64,
}

impl From<(i64, i64, i64)> for LoopEnd {
    fn from((at, song, round_end): (i64, i64, i64)) -> Self {
        Self { at, song, round_end }
    }
}

impl From<LoopEnd> for (i64, i64, i64) {
    fn from(end: LoopEnd) -> Self {
        (end.at, end.song, end.round_end)
    }
}

/// A stretch of a take in which the song goes straight on, ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Round {
    from: i64,
    to: i64,
    /// The song's place less the take's.
    shift: i64,
}

/// A tempo and a metre from a position in a take on. Saved as a list of four numbers, as a project may hold hundreds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(i64, u32, u8, u8)", into = "(i64, u32, u8, u8)")]
pub struct Change {
    /// The position in the take, ticks.
    pub at: i64,
    us_per_beat: u32,
    time_signature: (u8, u8),
}

impl From<(i64, u32, u8, u8)> for Change {
    fn from((at, us_per_beat, beats, unit): (i64, u32, u8, u8)) -> Self {
        Self { at, us_per_beat, time_signature: (beats, unit) }
    }
}

impl From<Change> for (i64, u32, u8, u8) {
    fn from(change: Change) -> Self {
        let (beats, unit) = change.time_signature;
        (change.at, change.us_per_beat, beats, unit)
    }
}

impl Change {
    /// Quarter notes a minute.
    pub fn tempo_bpm(&self) -> f64 {
        60e6 / f64::from(self.us_per_beat.max(1))
    }

    /// Beats in a bar and which note is one.
    pub fn time_signature(&self) -> (u8, u8) {
        let (beats, unit) = self.time_signature;
        (beats.max(1), unit.max(1))
    }
}

/// Length of a bar, ticks.
fn bar_ticks((beats, unit): (u8, u8)) -> i64 {
    ((f64::from(beats) * 4.0 / f64::from(unit) * TICKS_PER_BEAT) as i64).max(1)
}

impl Start {
    /// The number of its first bar as a host shows it, from 1, as if the song had this metre all along.
    pub fn first_bar(&self) -> i64 {
        (self.bar_start_ticks as f64 / bar_ticks(self.time_signature) as f64).round() as i64 + 1
    }

    /// The changes behind one place and before another, ticks.
    pub fn changes_within(&self, from: i64, to: i64) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| (from + 1..to).contains(&change.at))
    }

    /// Tempo and metre at a place.
    pub fn time_at(&self, ticks: i64) -> (f64, (u8, u8)) {
        let last = self.changes.iter().rev().find(|change| change.at <= ticks);
        last.map_or((self.tempo_bpm, self.time_signature), |change| (change.tempo_bpm(), change.time_signature()))
    }

    /// The stretches of one metre: where each begins, its first bar from 0, and the metre. A bar that a change cuts short is one.
    fn stretches(&self) -> impl Iterator<Item = (i64, i64, (u8, u8))> {
        let mut last = (self.bar_start_ticks, 0, self.time_signature);
        let begun = self.changes.iter().filter_map(move |change| {
            let (start, bar, metre) = last;
            if change.time_signature() == metre {
                return None;
            }
            let length = bar_ticks(metre);
            last = (change.at, bar + (change.at - start + length - 1).div_euclid(length), change.time_signature());
            Some(last)
        });
        std::iter::once(last).chain(begun)
    }

    /// The stretches between loop ends whose position in the song is known.
    fn rounds(&self) -> impl Iterator<Item = Round> {
        let first = (!self.lost_loop_ends).then_some((i64::MIN, 0));
        let begun = first.into_iter().chain(self.loop_ends.iter().map(|end| (end.at, end.song - end.at)));
        let ends =
            self.loop_ends.iter().skip(usize::from(self.lost_loop_ends)).map(|end| end.round_end).chain([i64::MAX]);
        begun.zip(ends).map(|((from, shift), to)| Round { from, to, shift })
    }

    /// Whether its bars are not all alike.
    pub fn changes_metre(&self) -> bool {
        self.stretches().nth(1).is_some()
    }

    /// Which bar of the take a place is in, from 0.
    pub fn bar_of(&self, ticks: i64) -> i64 {
        let (start, bar, metre) =
            self.stretches().filter(|(start, ..)| *start <= ticks).last().unwrap_or(self.first_stretch());
        bar + (ticks - start).div_euclid(bar_ticks(metre))
    }

    /// Where a bar begins, ticks.
    pub fn bar_start(&self, bar: i64) -> i64 {
        let (start, first, metre) =
            self.stretches().filter(|(_, first, _)| *first <= bar).last().unwrap_or(self.first_stretch());
        start + (bar - first) * bar_ticks(metre)
    }

    fn first_stretch(&self) -> (i64, i64, (u8, u8)) {
        (self.bar_start_ticks, 0, self.time_signature)
    }
}

/// One take.
#[derive(Clone, Copy, Debug)]
pub struct TakeView<'a> {
    /// Where it begins.
    pub start: &'a Start,
    /// Its notes, in order of their starts.
    pub notes: &'a [TakeNote],
}

impl TakeView<'_> {
    /// Its bars, from 0; of a long take the first ones are no longer kept.
    pub fn bars(&self) -> std::ops::Range<i64> {
        let first = self.start.kept_from_ticks.map_or(0, |ticks| self.start.bar_of(ticks).max(0));
        let end = self.notes.iter().map(TakeNote::end).max().unwrap_or(self.start.bar_start_ticks);
        first..self.start.bar_of((end - 1).max(self.start.bar_start_ticks)).max(first) + 1
    }

    /// What the network played in some bars of the take, from 0, at its places in the song: where a loop came round, its last round
    /// in which it played. The take is at `at_ticks`, if it is under way: its last round may have been left before its end.
    pub fn in_song(&self, bars: std::ops::Range<i64>, at_ticks: i64) -> Vec<TakeNote> {
        let mut song: Vec<TakeNote> = Vec::new();
        let from = self.start.bar_start(bars.start);
        let last_end = self.notes.iter().map(TakeNote::end).max().unwrap_or(from);
        let to = self.start.bar_start(bars.end).min(self.start.ended_ticks.unwrap_or(at_ticks).max(last_end));
        for round in self.start.rounds() {
            let Round { from, to, shift } = Round { from: round.from.max(from), to: round.to.min(to), ..round };
            let generated = || self.notes.iter().filter(|note| note.generated);
            if from >= to || !generated().any(|note| note.start < to && note.end() > from) {
                continue;
            }
            // What an earlier round played here is played over.
            song.retain_mut(|note| {
                let over = (from + shift)..to.saturating_add(shift);
                if note.start < over.start {
                    note.cut_at(over.start);
                }
                !over.contains(&note.start)
            });
            for mut note in generated().copied() {
                // It sounds already: held over a bar line, or an answer to a note that was early for this round.
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

impl Default for Takes {
    fn default() -> Self {
        Self { version: VERSION, starts: Vec::new(), notes: Vec::new(), open: Vec::new() }
    }
}

fn ticks(beats: f64) -> i64 {
    (beats * TICKS_PER_BEAT).round() as i64
}

impl Takes {
    /// The takes that hold notes, the oldest first.
    pub fn list(&self) -> impl DoubleEndedIterator<Item = TakeView<'_>> {
        (0..self.starts.len())
            .map(|take| TakeView { start: &self.starts[take], notes: &self.notes[self.range(take)] })
            .filter(|take| !take.notes.is_empty())
    }

    /// The notes of the take that is under way, each with whether it still sounds.
    pub fn current(&self) -> impl Iterator<Item = (TakeNote, bool)> {
        let range = if self.starts.is_empty() { 0..self.notes.len() } else { self.range(self.starts.len() - 1) };
        range.map(|i| (self.notes[i], self.open.contains(&i)))
    }

    /// Where the take that is under way begins.
    pub fn current_start(&self) -> Option<&Start> {
        self.starts.last()
    }

    fn range(&self, take: usize) -> std::ops::Range<usize> {
        let end = self.starts.get(take + 1).map_or(self.notes.len(), |next| next.first_note);
        self.starts[take].first_note..end
    }

    /// A take begins. What still sounds ends where the one before it had got to.
    pub fn begin(&mut self, beginning: &Beginning) {
        self.begin_version();
        let before = ticks(beginning.before_beats);
        self.forget_long_held(before);
        for open in std::mem::take(&mut self.open) {
            self.notes[open].end_at(before, before);
        }
        if let Some(last) = self.starts.last_mut() {
            let last_end = self.notes[last.first_note..].iter().map(TakeNote::end).max();
            last.ended_ticks = Some(before).max(last_end);
        }
        // One in which nothing was played is none.
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
        // A host may name an earlier or a later bar than the one that the take begins in.
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

    /// Takes down that the host's loop has come round.
    pub fn come_round(&mut self, looped: &Looped) {
        self.begin_version();
        let Some(start) = self.starts.last_mut() else { return };
        let at = ticks(looped.take_beats);
        let last_note = self.notes[start.first_note..].last().map_or(i64::MIN, |note| note.start);
        // A round in which nothing was played is none.
        let silent = start.loop_ends.pop_if(|end| last_note < end.at - EARLY_TICKS && self.open.is_empty());
        let round_end = silent.map_or(at, |end| end.round_end);
        start.loop_ends.push(LoopEnd { at, song: ticks(looped.song_beats), round_end });
        self.thin_loop_ends();
    }

    fn thin_loop_ends(&mut self) {
        let too_many = self.starts.iter().map(|start| start.loop_ends.len()).sum::<usize>() > MAX_LOOP_ENDS;
        if let Some(start) = self.starts.iter_mut().find(|start| too_many && !start.loop_ends.is_empty()) {
            start.loop_ends.remove(0);
            start.lost_loop_ends = true;
        }
    }

    /// Takes down another tempo or metre.
    pub fn change(&mut self, changed: &Changed) {
        self.begin_version();
        let Some(start) = self.starts.last_mut() else { return };
        let us_per_beat = (60e6 / changed.tempo_bpm).round().clamp(1.0, f64::from(u32::MAX)) as u32;
        let at = ticks(changed.take_beats).max(start.changes.last().map_or(start.bar_start_ticks, |last| last.at));
        start.changes.retain(|earlier| earlier.at != at);
        start.changes.push(Change { at, us_per_beat, time_signature: changed.time_signature });
        self.thin_changes();
    }

    /// Where there are too many changes, the oldest that changes the tempo alone goes: without it bars are where they were.
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
        // Metres alone, hundreds of them: the oldest music gives way.
        if let Some(start) = self.starts.iter_mut().find(|start| !start.changes.is_empty()) {
            start.changes.remove(0);
        }
    }

    /// A take by its number, its notes as they are at the take's place `at_beats`: what still sounds ends there.
    pub fn ended_at(&self, number: u32, at_beats: f64) -> Option<(&Start, Vec<TakeNote>)> {
        let take = self.starts.iter().position(|start| start.number == number)?;
        let range = self.range(take);
        let mut notes = self.notes[range.clone()].to_vec();
        for open in self.open.iter().filter(|open| range.contains(*open)) {
            notes[open - range.start].end_at(ticks(at_beats), ticks(at_beats));
        }
        Some((&self.starts[take], notes))
    }

    /// A render went on without a decision: the take under way lacks notes.
    pub fn mark_incomplete(&mut self) {
        self.begin_version();
        if let Some(start) = self.starts.last_mut() {
            start.incomplete = true;
        }
    }

    /// Takes down a note's start or end. A start may come a little late, after others that follow it.
    pub fn add(&mut self, played: &Played) {
        self.begin_version();
        let (at, heard) = (ticks(played.take_beats), ticks(played.heard_beats));
        self.forget_long_held(at);
        let same = |i: &usize| (self.notes[*i].lane, self.notes[*i].key) == (played.channel, played.key);
        let own = |i: &usize| same(i) && self.notes[*i].generated == played.generated;
        // The player and the network may sound one key in one voice.
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

    /// What a later version saved is given up when something new is taken down.
    fn begin_version(&mut self) {
        if self.version > VERSION {
            *self = Self::default();
        }
        self.version = VERSION;
    }
}

#[cfg(test)]
mod tests;
