//! A frozen take, which plays again in place of new music: `FrozenTake` as the project saves it, `FrozenPart` as the
//! audio thread reads it.

use std::ops::Range;

use continuo_model::decision::{Decision, Edge};
use continuo_model::tokeniser::grid::STEPS_PER_BEAT;
use serde::{Deserialize, Serialize};

use crate::takes::{TICKS_PER_BEAT, TakeNote, TakeView};

/// Version of the saved form. A frozen take of a later version does not play.
const VERSION: u32 = 1;
/// The longest frozen part, steps: 128 bars of 4/4.
const MAX_STEPS: i64 = 2048;

/// The generated notes of a take, at their song positions. The player's notes are left out: the player plays again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrozenTake {
    version: u32,
    /// The number of the take, which the editor shows; 0 if nothing is frozen.
    pub number: u32,
    /// In order of starts.
    notes: Vec<TakeNote>,
}

impl Default for FrozenTake {
    fn default() -> Self {
        Self { version: VERSION, number: 0, notes: Vec::new() }
    }
}

impl FrozenTake {
    /// Freezes the generated notes in some bars of a take; see [`TakeView::in_song`].
    pub fn of(take: &TakeView, bars: Range<i64>, at_ticks: i64) -> Self {
        let mut notes = take.in_song(bars, at_ticks);
        notes.sort_by_key(|note| (note.start, note.lane, note.key));
        Self { version: VERSION, number: take.start.number, notes }
    }

    /// The notes, in order of starts; none if a later version saved them.
    pub fn notes(&self) -> &[TakeNote] {
        if self.version == VERSION { &self.notes } else { &[] }
    }

    /// The form for the audio thread: notes as they sounded, to play, and on the grid, for the network to hear.
    pub fn part(&self) -> FrozenPart {
        // A damaged project may hold keys beyond 127.
        let lanes = || self.notes().iter().filter(|note| note.key < 128);
        let mut notes: Vec<FrozenNote> =
            lanes().map(|note| frozen_note(note, note.heard_start(), note.heard_end())).collect();
        notes.sort_by(|a, b| a.start_beats.total_cmp(&b.start_beats));
        let on_grid: Vec<FrozenNote> = lanes().map(|note| frozen_note(note, note.start, note.end())).collect();
        let (first_step, steps) = steps(&on_grid);
        FrozenPart { notes: notes.into(), first_step, steps: steps.into() }
    }
}

fn frozen_note(note: &TakeNote, start: i64, end: i64) -> FrozenNote {
    let beats = |ticks: i64| ticks as f64 / TICKS_PER_BEAT;
    FrozenNote {
        lane: note.lane,
        key: note.key,
        velocity: f32::from(note.velocity.clamp(1, 127)) / 127.0,
        start_beats: beats(start),
        end_beats: beats(end),
    }
}

/// A note of a frozen part. Times are song positions in beats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrozenNote {
    /// The lane that sends it.
    pub lane: u8,
    /// MIDI key.
    pub key: u8,
    /// 0 to 1.
    pub velocity: f32,
    /// When it starts.
    pub start_beats: f64,
    /// When it ends.
    pub end_beats: f64,
}

/// A frozen take in the form that the audio thread plays.
#[derive(Clone, Debug, PartialEq)]
pub struct FrozenPart {
    /// In order of starts.
    pub notes: Box<[FrozenNote]>,
    first_step: i64,
    steps: Box<[Decision]>,
}

impl FrozenPart {
    /// The frozen decision for a step of the song; `None` outside the frozen bars.
    pub fn step(&self, song_step: i64) -> Option<&Decision> {
        let n = usize::try_from(song_step.saturating_sub(self.first_step)).ok()?;
        self.steps.get(n)
    }
}

/// The notes as decisions on the grid of 16ths. Returns the song step of the first note, and a decision for each step
/// from there.
fn steps(notes: &[FrozenNote]) -> (i64, Vec<Decision>) {
    // A swung note belongs to the step that it starts in, however late. The addend is larger than rounding errors and
    // smaller than a tick.
    let step = |beats: f64| (beats * STEPS_PER_BEAT as f64 + 0.02).floor() as i64;
    let first = notes.iter().map(|note| step(note.start_beats)).min().unwrap_or(0);
    let last = notes.iter().map(|note| step(note.end_beats)).max().unwrap_or(first);
    // A damaged project may hold notes of any length.
    let length = last.saturating_sub(first).clamp(0, MAX_STEPS) as usize;
    let mut steps = vec![Decision::SILENCE; length];
    for note in notes {
        let FrozenNote { lane, key, .. } = *note;
        let start = step(note.start_beats).saturating_sub(first) as usize;
        let end = (step(note.end_beats).saturating_sub(first) as usize).max(start + 1);
        let sounds = start..end.min(length);
        if let Some(first) = steps.get_mut(start) {
            let velocity = (note.velocity * 127.0).round() as u8;
            first.push(Edge::On { lane, key, velocity, tick: 0 });
        }
        steps.iter_mut().take(sounds.end).skip(start).for_each(|step| step.sounding.insert(lane, key));
        if let Some(after) = steps.get_mut(end) {
            after.push(Edge::Off { lane, key, tick: 0 });
        }
    }
    (first, steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_project_does_no_harm() {
        let text = r#"{"version":1,"number":1,"notes":[[17,60,100,9223372036854775807,4294967295],
            [17,62,100,-9223372036854775808,4294967295],[255,255,255,0,0]]}"#;
        let part = serde_json::from_str::<FrozenTake>(text).unwrap().part();
        let known = [i64::MIN, i64::MAX].map(|step| part.step(step).is_some());
        assert_eq!((part.notes.len(), known), (2, [false; 2]));
    }

    #[test]
    fn it_plays_as_heard_and_the_network_hears_it_on_the_grid() {
        // The note sounds half a beat late, more than any delay, so steps taken from the sounding times would be wrong.
        let text = r#"{"version":1,"number":1,"notes":[[17,60,100,3840,960,480,24]]}"#;
        let part = serde_json::from_str::<FrozenTake>(text).unwrap().part();
        assert_eq!((part.notes[0].start_beats, part.notes[0].end_beats), (4.5, 5.525));
        let steps: Vec<i64> = (10..26).filter(|step| part.step(*step).is_some()).collect();
        assert_eq!(steps, [16, 17, 18, 19]);
    }

    #[test]
    fn a_swung_note_belongs_to_the_step_that_it_starts_in() {
        // Half a beat and two thirds of a step later, a rounding error before a step, and a step and a half.
        let note = |start_beats: f64| FrozenNote {
            lane: 1,
            key: 60,
            velocity: 0.5,
            start_beats,
            end_beats: start_beats + 1.0,
        };
        let first_step = |start_beats: f64| steps(&[note(start_beats)]).0;
        assert_eq!([4.667, 4.999, 4.375].map(first_step), [18, 20, 17]);
    }

    #[test]
    fn a_part_is_on_the_grid_and_has_no_steps_outside_its_notes() {
        let note =
            |lane, key, start_beats: f64, end_beats| FrozenNote { lane, key, velocity: 0.5, start_beats, end_beats };
        // The second note starts a reply delay after its step. The third is on a lane beyond the four voices.
        let (first, steps) = steps(&[note(3, 48, 4.0, 4.75), note(1, 60, 4.26, 4.5), note(9, 36, 4.5, 4.75)]);
        let part = FrozenPart { notes: Box::new([]), first_step: first, steps: steps.into() };
        // `*` a start, `!` an end, then the sounding notes, each as lane and key.
        let words = |step: i64| {
            let Some(decision) = part.step(step) else { return "nothing".to_string() };
            let edges = decision.edges().iter().map(|edge| match edge {
                Edge::On { lane, key, .. } => format!("*{lane}.{key}"),
                Edge::Off { lane, key, .. } => format!("!{lane}.{key}"),
            });
            let sounding = decision.sounding.iter().map(|(lane, key)| format!("{lane}.{key}"));
            edges.chain(sounding).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            [15, 16, 17, 18, 19].map(words),
            ["nothing", "*3.48 3.48", "*1.60 1.60 3.48", "!1.60 *9.36 3.48 9.36", "nothing"].map(String::from)
        );
    }
}
