//! The takes: the last 64 bars that went out, and where each start of the transport lies in them. Locked by the worker, the editor
//! and the host's main thread, never by the audio thread.

use serde::{Deserialize, Serialize};

use crate::bridge::{Beginning, Played};

/// Version of what is saved; a later one is left alone until something is played.
const VERSION: u32 = 2;
/// Resolution of saved times.
pub const TICKS_PER_BEAT: f64 = 960.0;
/// How much of the music is kept, ticks: 64 bars of 4/4.
const KEPT_TICKS: i64 = 256 * 960;
/// Notes that are kept at the most: with them all a project grows by less than 256 KB.
const MAX_NOTES: usize = 8192;
/// In a saved note this is added to the channel of what was generated.
const GENERATED: u8 = 16;

/// All takes that are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Takes {
    version: u32,
    /// In order of time. Notes before the first one's are from a project that knew no takes.
    #[serde(default)]
    starts: Vec<Start>,
    /// By take, then in order of their starts as they sounded.
    notes: Vec<TakeNote>,
    /// Notes that sound, as indices into `notes`.
    #[serde(skip)]
    open: Vec<usize>,
}

/// Where a take begins.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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
}

impl Start {
    /// Length of a bar, ticks.
    pub fn bar_ticks(&self) -> i64 {
        let (beats, unit) = self.time_signature;
        (f64::from(beats) * 4.0 / f64::from(unit) * TICKS_PER_BEAT) as i64
    }

    /// The number of its first bar as a host shows it, from 1, as if the song had this metre all along.
    pub fn first_bar(&self) -> i64 {
        (self.bar_start_ticks as f64 / self.bar_ticks() as f64).round() as i64 + 1
    }

    /// Which bar of the take a place is in, from 0.
    pub fn bar_of(&self, ticks: i64) -> i64 {
        (ticks - self.bar_start_ticks).div_euclid(self.bar_ticks())
    }
}

/// A note of a take: channel (from 16 on it is generated), key, velocity (1 to 127), start in the take and length, in 960ths of a
/// beat. A tuple, as thousands of them are saved as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeNote(u8, pub u8, pub u8, pub i64, pub u32);

impl TakeNote {
    /// MIDI channel, from 0.
    pub fn channel(&self) -> u8 {
        self.0 % GENERATED
    }

    /// The network's, not the player's.
    pub fn is_generated(&self) -> bool {
        self.0 >= GENERATED
    }

    /// Where it ends, ticks.
    pub fn end(&self) -> i64 {
        self.3 + i64::from(self.4)
    }
}

/// One take.
#[derive(Clone, Copy, Debug)]
pub struct TakeView<'a> {
    /// Where it begins.
    pub start: Start,
    /// Its notes, in order of their starts.
    pub notes: &'a [TakeNote],
}

impl TakeView<'_> {
    /// How many bars it is long.
    pub fn num_bars(&self) -> i64 {
        let end = self.notes.iter().map(TakeNote::end).max().unwrap_or(self.start.bar_start_ticks);
        self.start.bar_of((end - 1).max(self.start.bar_start_ticks)) + 1
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
            .map(|take| TakeView { start: self.starts[take], notes: &self.notes[self.range(take)] })
            .filter(|take| !take.notes.is_empty())
    }

    /// The notes of the take that is under way, each with whether it still sounds.
    pub fn current(&self) -> impl Iterator<Item = (TakeNote, bool)> {
        let range = if self.starts.is_empty() { 0..self.notes.len() } else { self.range(self.starts.len() - 1) };
        range.map(|i| (self.notes[i], self.open.contains(&i)))
    }

    fn range(&self, take: usize) -> std::ops::Range<usize> {
        let end = self.starts.get(take + 1).map_or(self.notes.len(), |next| next.first_note);
        self.starts[take].first_note..end
    }

    /// A take begins. What still sounds ends where the one before it had got to.
    pub fn begin(&mut self, beginning: &Beginning) {
        self.begin_version();
        for open in std::mem::take(&mut self.open) {
            self.end_note(open, beginning.before_beats);
        }
        let number = self.starts.last().map_or(0, |start| start.number);
        // One in which nothing was played is none.
        let silent = self.starts.last().is_some_and(|start| start.first_note == self.notes.len());
        if silent {
            self.starts.pop();
        }
        let mut start = Start {
            first_note: self.notes.len(),
            number: if silent { number } else { number + 1 },
            bar_start_ticks: ticks(beginning.bar_start_beats),
            tempo_bpm: beginning.tempo_bpm,
            time_signature: beginning.time_signature,
            rng_seed: beginning.rng_seed,
        };
        // A host may name an earlier or a later bar than the one that the take begins in.
        let within = (ticks(beginning.song_beats) - start.bar_start_ticks).rem_euclid(start.bar_ticks());
        start.bar_start_ticks = ticks(beginning.song_beats) - within;
        self.starts.push(start);
    }

    /// Takes down a note's start or end.
    pub fn add(&mut self, played: &Played) {
        self.begin_version();
        let same = |i: &usize| (self.notes[*i].channel(), self.notes[*i].1) == (played.channel, played.key);
        if let Some(at) = self.open.iter().position(same) {
            let open = self.open.remove(at);
            self.end_note(open, played.take_beats);
        }
        if played.velocity > 0.0 {
            let velocity = (played.velocity * 127.0).round().clamp(1.0, 127.0) as u8;
            let channel = played.channel + if played.generated { GENERATED } else { 0 };
            self.open.push(self.notes.len());
            self.notes.push(TakeNote(channel, played.key, velocity, ticks(played.take_beats), 1));
            self.forget_old();
        }
    }

    /// What a later version saved is given up when something new is taken down.
    fn begin_version(&mut self) {
        if self.version > VERSION {
            *self = Self::default();
        }
        self.version = VERSION;
    }

    fn end_note(&mut self, note: usize, take_beats: f64) {
        let note = &mut self.notes[note];
        note.4 = (ticks(take_beats) - note.3).clamp(1, i64::from(u32::MAX)) as u32;
    }

    /// Keeps as much music as there is room for; silence between takes counts for nothing.
    fn forget_old(&mut self) {
        // Nothing goes while there is room, not even what is older than every take.
        let (mut room, mut keep_from) = (KEPT_TICKS, 0);
        for take in (0..self.starts.len().max(1)).rev() {
            let range = if self.starts.is_empty() { 0..self.notes.len() } else { self.range(take) };
            let [first, .., last] = self.notes[range.clone()] else {
                continue;
            };
            let oldest = last.3 - room;
            room -= last.3 - first.3;
            if room < 0 {
                keep_from = range.start + self.notes[range.clone()].partition_point(|note| note.3 < oldest);
                break;
            }
        }
        keep_from = keep_from.max(self.notes.len().saturating_sub(MAX_NOTES));
        // A note that still sounds keeps what follows it.
        let keep_from = self.open.iter().copied().fold(keep_from, usize::min);
        self.notes.drain(..keep_from);
        self.open.iter_mut().for_each(|i| *i -= keep_from);
        self.starts.iter_mut().for_each(|start| start.first_note = start.first_note.saturating_sub(keep_from));
        let gone = self.starts.windows(2).take_while(|pair| pair[1].first_note == 0).count();
        self.starts.drain(..gone);
    }
}

#[cfg(test)]
mod tests;
