//! The takes as a project holds them, and made sound: a project may be damaged, or another program's. Plain values, of no thread.

use serde::Deserialize;

use super::{Start, TakeNote, Takes};

/// No song is longer, ticks.
const FARTHEST: i64 = 1 << 40;

/// As a project says, be it right or not.
#[derive(Deserialize)]
pub(super) struct SavedTakes {
    version: u32,
    #[serde(default)]
    starts: Vec<Start>,
    notes: Vec<TakeNote>,
}

impl From<SavedTakes> for Takes {
    /// Whatever a project says, nothing later meets an index or a number that it cannot use.
    fn from(saved: SavedTakes) -> Self {
        let SavedTakes { version, mut starts, mut notes } = saved;
        let place = |ticks: &mut i64| *ticks = (*ticks).clamp(-FARTHEST, FARTHEST);
        notes.iter_mut().for_each(|note| place(&mut note.start));
        let mut first = 0;
        for start in &mut starts {
            first = start.first_note.clamp(first, notes.len());
            start.first_note = first;
            start.time_signature = sound_metre(start.time_signature);
            if !(1.0..=1e6).contains(&start.tempo_bpm) {
                start.tempo_bpm = 120.0;
            }
            place(&mut start.bar_start_ticks);
            start.kept_from_ticks.iter_mut().chain(&mut start.ended_ticks).for_each(place);
            start.number = start.number.min(u32::MAX / 2);
            start.changes.iter_mut().for_each(|change| {
                place(&mut change.at);
                change.time_signature = sound_metre(change.time_signature);
            });
            start.changes.sort_by_key(|change| change.at);
            start.loop_ends.iter_mut().for_each(|end| {
                place(&mut end.at);
                place(&mut end.song);
                place(&mut end.round_end);
            });
            start.loop_ends.sort_by_key(|end| end.at);
        }
        let firsts: Vec<usize> = std::iter::once(0).chain(starts.iter().map(|start| start.first_note)).collect();
        let ends = firsts.iter().copied().skip(1).chain([notes.len()]);
        for (first, end) in firsts.iter().copied().zip(ends) {
            notes[first..end].sort_by_key(|note| note.start);
        }
        Self { version, starts, notes, open: Vec::new() }
    }
}

/// A metre that a MIDI file can hold; else common time.
fn sound_metre((beats, unit): (u8, u8)) -> (u8, u8) {
    if beats > 0 && unit.is_power_of_two() && unit <= 64 { (beats, unit) } else { (4, 4) }
}
