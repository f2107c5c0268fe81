//! The start of a take, and the time in it: tempi, time signatures, bars and loop ends. Plain values, of no thread.

use serde::{Deserialize, Serialize};

use super::TICKS_PER_BEAT;

/// The start of a take, with all that changes in time within it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The index of the first note.
    pub(super) first_note: usize,
    /// The number of the take: counts up from 1 and is unique in a project.
    pub number: u32,
    /// Where in the song the first bar begins, ticks: where the take begins, or earlier.
    pub bar_start_ticks: i64,
    /// The initial tempo, quarter notes per minute.
    pub tempo_bpm: f64,
    /// The initial time signature: 6/8 is `(6, 8)`.
    pub time_signature: (u8, u8),
    /// The rng seed that the take was played with.
    pub rng_seed: u32,
    /// Changes of tempo and time signature, in order of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) changes: Vec<Change>,
    /// Wraps of the host's loop, in order of time.
    #[serde(rename = "seams", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) loop_ends: Vec<LoopEnd>,
    /// Whether earlier loop ends were forgotten, so that song positions before the first one are unknown.
    #[serde(rename = "lost_seams", default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) lost_loop_ends: bool,
    /// If the first notes were forgotten, where the first remaining note starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) kept_from_ticks: Option<i64>,
    /// Whether notes are missing, because a render went on without a decision.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
    /// Where the take ended; `None` for the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ended_ticks: Option<i64>,
}

/// A wrap of the host's loop. Times are ticks. Saved as a list of three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(i64, i64, i64)", into = "(i64, i64, i64)")]
pub(super) struct LoopEnd {
    /// Position in the take.
    pub(super) at: i64,
    /// Position in the song to which the loop wraps.
    pub(super) song: i64,
    /// Position in the take at which the pass before ended: `at`, or earlier if passes without notes lay between.
    pub(super) pass_end: i64,
}

impl From<(i64, i64, i64)> for LoopEnd {
    fn from((at, song, pass_end): (i64, i64, i64)) -> Self {
        Self { at, song, pass_end }
    }
}

impl From<LoopEnd> for (i64, i64, i64) {
    fn from(end: LoopEnd) -> Self {
        (end.at, end.song, end.pass_end)
    }
}

/// A pass: a section of a take without a loop end in it. Times are ticks of the take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    pub(super) from: i64,
    pub(super) to: i64,
    /// Song position minus take position.
    pub(super) shift: i64,
}

/// A change of tempo or time signature. Saved as a list of four numbers, as a project may hold hundreds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(i64, u32, u8, u8)", into = "(i64, u32, u8, u8)")]
pub struct Change {
    /// Position in the take, ticks.
    pub at: i64,
    pub(super) us_per_beat: u32,
    pub(super) time_signature: (u8, u8),
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
    /// The tempo from here on, quarter notes per minute.
    pub fn tempo_bpm(&self) -> f64 {
        60e6 / f64::from(self.us_per_beat.max(1))
    }

    /// The time signature from here on.
    pub fn time_signature(&self) -> (u8, u8) {
        let (beats, unit) = self.time_signature;
        (beats.max(1), unit.max(1))
    }
}

/// Length of a bar, ticks.
pub(super) fn bar_ticks((beats, unit): (u8, u8)) -> i64 {
    ((f64::from(beats) * 4.0 / f64::from(unit) * TICKS_PER_BEAT) as i64).max(1)
}

impl Start {
    /// The number of the first bar as a host shows it, from 1, if the song has this time signature from its beginning.
    pub fn first_bar(&self) -> i64 {
        (self.bar_start_ticks as f64 / bar_ticks(self.time_signature) as f64).round() as i64 + 1
    }

    /// The changes between two positions, ticks, without those at either.
    pub fn changes_within(&self, from: i64, to: i64) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| (from + 1..to).contains(&change.at))
    }

    /// Tempo and time signature at a position.
    pub fn time_at(&self, ticks: i64) -> (f64, (u8, u8)) {
        let last = self.changes.iter().rev().find(|change| change.at <= ticks);
        last.map_or((self.tempo_bpm, self.time_signature), |change| (change.tempo_bpm(), change.time_signature()))
    }

    /// The sections of one time signature: where each begins, the index of its first bar, and the time signature. A bar
    /// that a change cuts short counts as a bar.
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

    /// The passes whose song positions are known.
    pub(super) fn passes(&self) -> impl Iterator<Item = Pass> {
        let first = (!self.lost_loop_ends).then_some((i64::MIN, 0));
        let begun = first.into_iter().chain(self.loop_ends.iter().map(|end| (end.at, end.song - end.at)));
        let ends =
            self.loop_ends.iter().skip(usize::from(self.lost_loop_ends)).map(|end| end.pass_end).chain([i64::MAX]);
        begun.zip(ends).map(|((from, shift), to)| Pass { from, to, shift })
    }

    /// Whether the time signature changes within the take.
    pub fn changes_metre(&self) -> bool {
        self.stretches().nth(1).is_some()
    }

    /// The index of the bar at a position, ticks.
    pub fn bar_of(&self, ticks: i64) -> i64 {
        let (start, bar, metre) =
            self.stretches().filter(|(start, ..)| *start <= ticks).last().unwrap_or(self.first_stretch());
        bar + (ticks - start).div_euclid(bar_ticks(metre))
    }

    /// The position at which a bar begins, ticks.
    pub fn bar_start(&self, bar: i64) -> i64 {
        let (start, first, metre) =
            self.stretches().filter(|(_, first, _)| *first <= bar).last().unwrap_or(self.first_stretch());
        start + (bar - first) * bar_ticks(metre)
    }

    fn first_stretch(&self) -> (i64, i64, (u8, u8)) {
        (self.bar_start_ticks, 0, self.time_signature)
    }
}
