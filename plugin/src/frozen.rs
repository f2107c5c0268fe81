//! A take that plays again in place of what the network would: how the project keeps it, and how the audio thread reads it.

use std::ops::Range;

use continuo_model::generate::Given;
use continuo_model::tokeniser::grid::{NUM_VOICES, STEPS_PER_BEAT};
use continuo_model::vocabulary::Symbol;
use serde::{Deserialize, Serialize};

use crate::takes::{TICKS_PER_BEAT, TakeNote, TakeView};

/// Version of what is saved; a later one is not played.
const VERSION: u32 = 1;
/// Steps that a score holds at the most: 128 bars of 4/4.
const MAX_STEPS: i64 = 2048;

/// The generated notes of a take, at their places in the song. What the player played comes from the player again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrozenTake {
    version: u32,
    /// The take's number, for people; 0 if nothing is frozen.
    pub number: u32,
    /// In order of their starts.
    notes: Vec<TakeNote>,
}

impl Default for FrozenTake {
    fn default() -> Self {
        Self { version: VERSION, number: 0, notes: Vec::new() }
    }
}

impl FrozenTake {
    /// What the network played in some bars of a take, as [`TakeView::in_song`] has it.
    pub fn of(take: &TakeView, bars: Range<i64>, at_ticks: i64) -> Self {
        let mut notes = take.in_song(bars, at_ticks);
        notes.retain(|note| usize::from(note.channel()) < NUM_VOICES);
        notes.sort_by_key(|note| (note.start, note.channel(), note.key));
        Self { version: VERSION, number: take.start.number, notes }
    }

    /// Its notes, in order of their starts.
    pub fn notes(&self) -> &[TakeNote] {
        if self.version == VERSION { &self.notes } else { &[] }
    }

    /// As the audio thread plays it: as it was heard, and for the network on the grid.
    pub fn score(&self) -> Score {
        let voices = || self.notes().iter().filter(|note| usize::from(note.channel()) < NUM_VOICES);
        let mut notes: Vec<ScoreNote> =
            voices().map(|note| score_note(note, note.heard_start(), note.heard_end())).collect();
        notes.sort_by(|a, b| a.start_beats.total_cmp(&b.start_beats));
        let on_grid: Vec<ScoreNote> = voices().map(|note| score_note(note, note.start, note.end())).collect();
        let (first_step, rows) = rows(&on_grid);
        Score { notes: notes.into(), first_step, rows: rows.into() }
    }
}

fn score_note(note: &TakeNote, start: i64, end: i64) -> ScoreNote {
    let beats = |ticks: i64| ticks as f64 / TICKS_PER_BEAT;
    ScoreNote {
        voice: note.channel(),
        key: note.key.min(127),
        velocity: f32::from(note.velocity.clamp(1, 127)) / 127.0,
        start_beats: beats(start),
        end_beats: beats(end),
    }
}

/// A note of a score; times are beats of the song.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreNote {
    /// 0 = soprano.
    pub voice: u8,
    /// MIDI key.
    pub key: u8,
    /// 0 to 1.
    pub velocity: f32,
    /// Where it starts.
    pub start_beats: f64,
    /// Where it ends.
    pub end_beats: f64,
}

/// A frozen take as the audio thread plays it.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// In order of their starts.
    pub notes: Box<[ScoreNote]>,
    first_step: i64,
    rows: Box<[[Given; NUM_VOICES]]>,
}

impl Score {
    /// What the voices do in a step of the song; where the take holds nothing they are free.
    pub fn row(&self, song_step: i64) -> [Given; NUM_VOICES] {
        let row = usize::try_from(song_step.saturating_sub(self.first_step)).ok().and_then(|row| self.rows.get(row));
        row.copied().unwrap_or([Given::Free; NUM_VOICES])
    }
}

/// The notes on the grid of 16ths, from the first one's step on.
fn rows(notes: &[ScoreNote]) -> (i64, Vec<[Given; NUM_VOICES]>) {
    let step = |beats: f64| (beats * STEPS_PER_BEAT as f64).round() as i64;
    let first = notes.iter().map(|note| step(note.start_beats)).min().unwrap_or(0);
    let last = notes.iter().map(|note| step(note.end_beats)).max().unwrap_or(first);
    // Whatever a project says.
    let length = last.saturating_sub(first).clamp(0, MAX_STEPS) as usize;
    let mut rows = vec![[Given::Symbol(Symbol::Rest); NUM_VOICES]; length];
    for note in notes {
        let start = step(note.start_beats).saturating_sub(first) as usize;
        let end = (step(note.end_beats).saturating_sub(first) as usize).max(start + 1);
        for (n, row) in rows.iter_mut().enumerate().take(end).skip(start) {
            let symbol = if n == start { Symbol::Pitch(note.key) } else { Symbol::Hold };
            row[usize::from(note.voice)] = Given::Symbol(symbol);
        }
    }
    (first, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_that_makes_no_sense_does_no_harm() {
        let text = r#"{"version":1,"number":1,"notes":[[17,60,100,9223372036854775807,4294967295],
            [17,62,100,-9223372036854775808,4294967295],[255,255,255,0,0]]}"#;
        let score = serde_json::from_str::<FrozenTake>(text).unwrap().score();
        let rows = [i64::MIN, 0, i64::MAX].map(|step| score.row(step).len());
        assert_eq!((score.notes.len(), rows), (2, [NUM_VOICES; 3]));
    }

    #[test]
    fn it_plays_as_heard_and_the_network_hears_it_on_the_grid() {
        // Half a beat late, as no delay is: a whole step would be a wrong one.
        let text = r#"{"version":1,"number":1,"notes":[[17,60,100,3840,960,480,24]]}"#;
        let score = serde_json::from_str::<FrozenTake>(text).unwrap().score();
        assert_eq!((score.notes[0].start_beats, score.notes[0].end_beats), (4.5, 5.525));
        let steps: Vec<i64> = (10..26).filter(|step| score.row(*step) != [Given::Free; NUM_VOICES]).collect();
        assert_eq!(steps, [16, 17, 18, 19]);
    }

    #[test]
    fn a_score_is_on_the_grid_and_free_outside() {
        let note =
            |voice, key, start_beats: f64, end_beats| ScoreNote { voice, key, velocity: 0.5, start_beats, end_beats };
        // The second begins a reply delay behind its step.
        let (first, rows) = rows(&[note(3, 48, 4.0, 4.75), note(1, 60, 4.26, 4.5)]);
        let words = |row: &[Given; 4]| {
            row.map(|given| match given {
                Given::Free => ".".to_string(),
                Given::Symbol(Symbol::Rest) => "r".into(),
                Given::Symbol(Symbol::Hold) => "-".into(),
                Given::Symbol(Symbol::Pitch(pitch)) => pitch.to_string(),
            })
            .join(" ")
        };
        let got: Vec<_> = rows.iter().map(words).collect();
        assert_eq!((first, got), (16, ["r r r 48", "r 60 r -", "r r r -"].map(String::from).to_vec()));
        let score = Score { notes: Box::new([]), first_step: first, rows: rows.into() };
        assert_eq!([15, 17, 19].map(|step| words(&score.row(step))), [". . . .", "r 60 r -", ". . . ."]);
    }
}
