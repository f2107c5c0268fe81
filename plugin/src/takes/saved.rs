//! The saved form of the takes, and its repair: a project may be damaged, or written by another program. Plain values,
//! of no thread.

use continuo_model::midi_file;
use serde::Deserialize;

use super::{Start, TakeNote, Takes};
use crate::bridge::TEMPO_RANGE_BPM;

/// The limit of saved positions, ticks: longer than any song.
const FARTHEST: i64 = 1 << 40;

/// The saved form, before its repair.
#[derive(Deserialize)]
pub(super) struct SavedTakes {
    version: u32,
    #[serde(default)]
    starts: Vec<Start>,
    notes: Vec<TakeNote>,
}

impl From<SavedTakes> for Takes {
    /// Repairs indices, positions, tempi and time signatures, so that later code can rely on them.
    fn from(saved: SavedTakes) -> Self {
        let SavedTakes { version, mut starts, mut notes } = saved;
        let limit = |ticks: &mut i64| *ticks = (*ticks).clamp(-FARTHEST, FARTHEST);
        notes.iter_mut().for_each(|note| limit(&mut note.start));
        let mut first = 0;
        for start in &mut starts {
            first = start.first_note.clamp(first, notes.len());
            start.first_note = first;
            start.time_signature = valid_or_common(start.time_signature);
            if !TEMPO_RANGE_BPM.contains(&start.tempo_bpm) {
                start.tempo_bpm = 120.0;
            }
            limit(&mut start.bar_start_ticks);
            start.kept_from_ticks.iter_mut().chain(&mut start.ended_ticks).for_each(limit);
            start.number = start.number.min(u32::MAX / 2);
            start.changes.iter_mut().for_each(|change| {
                limit(&mut change.at);
                change.time_signature = valid_or_common(change.time_signature);
            });
            start.changes.sort_by_key(|change| change.at);
            start.loop_ends.iter_mut().for_each(|end| {
                limit(&mut end.at);
                limit(&mut end.song);
                limit(&mut end.pass_end);
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

/// The time signature if it is valid, else common time.
fn valid_or_common((beats, unit): (u8, u8)) -> (u8, u8) {
    midi_file::time_signature(beats.into(), unit.into()).unwrap_or((4, 4))
}
