//! A take that plays again in place of what the network would: how the project keeps it, and how the audio thread reads it.

use std::ops::Range;

use continuo_model::decision::{Decision, Edge};
use continuo_model::tokeniser::grid::STEPS_PER_BEAT;
use serde::{Deserialize, Serialize};

use crate::takes::{TICKS_PER_BEAT, TakeNote, TakeView};

/// Version of what is saved; a later one is not played.
const VERSION: u32 = 1;
/// Steps that a frozen part holds at the most: 128 bars of 4/4.
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
        notes.sort_by_key(|note| (note.start, note.lane, note.key));
        Self { version: VERSION, number: take.start.number, notes }
    }

    /// Its notes, in order of their starts.
    pub fn notes(&self) -> &[TakeNote] {
        if self.version == VERSION { &self.notes } else { &[] }
    }

    /// As the audio thread plays it: as it was heard, and for the network on the grid.
    pub fn part(&self) -> FrozenPart {
        // A project may hold what no MIDI key is.
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

/// A note of a frozen part; times are beats of the song.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrozenNote {
    /// The lane that it goes out on.
    pub lane: u8,
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
pub struct FrozenPart {
    /// In order of their starts.
    pub notes: Box<[FrozenNote]>,
    first_step: i64,
    steps: Box<[Decision]>,
}

impl FrozenPart {
    /// What happens in a step of the song; `None` where the take holds nothing.
    pub fn step(&self, song_step: i64) -> Option<&Decision> {
        let n = usize::try_from(song_step.saturating_sub(self.first_step)).ok()?;
        self.steps.get(n)
    }
}

/// The notes on the grid of 16ths, from the first one's step on.
fn steps(notes: &[FrozenNote]) -> (i64, Vec<Decision>) {
    let step = |beats: f64| (beats * STEPS_PER_BEAT as f64).round() as i64;
    let first = notes.iter().map(|note| step(note.start_beats)).min().unwrap_or(0);
    let last = notes.iter().map(|note| step(note.end_beats)).max().unwrap_or(first);
    // Whatever a project says.
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
    fn a_project_that_makes_no_sense_does_no_harm() {
        let text = r#"{"version":1,"number":1,"notes":[[17,60,100,9223372036854775807,4294967295],
            [17,62,100,-9223372036854775808,4294967295],[255,255,255,0,0]]}"#;
        let part = serde_json::from_str::<FrozenTake>(text).unwrap().part();
        let known = [i64::MIN, i64::MAX].map(|step| part.step(step).is_some());
        assert_eq!((part.notes.len(), known), (2, [false; 2]));
    }

    #[test]
    fn it_plays_as_heard_and_the_network_hears_it_on_the_grid() {
        // Half a beat late, as no delay is: a whole step would be a wrong one.
        let text = r#"{"version":1,"number":1,"notes":[[17,60,100,3840,960,480,24]]}"#;
        let part = serde_json::from_str::<FrozenTake>(text).unwrap().part();
        assert_eq!((part.notes[0].start_beats, part.notes[0].end_beats), (4.5, 5.525));
        let steps: Vec<i64> = (10..26).filter(|step| part.step(*step).is_some()).collect();
        assert_eq!(steps, [16, 17, 18, 19]);
    }

    #[test]
    fn a_part_is_on_the_grid_and_holds_nothing_outside() {
        let note =
            |lane, key, start_beats: f64, end_beats| FrozenNote { lane, key, velocity: 0.5, start_beats, end_beats };
        // The second begins a reply delay behind its step; the third is a fifth lane's.
        let (first, steps) = steps(&[note(3, 48, 4.0, 4.75), note(1, 60, 4.26, 4.5), note(9, 36, 4.5, 4.75)]);
        let part = FrozenPart { notes: Box::new([]), first_step: first, steps: steps.into() };
        // `*` a start, `!` an end, then what sounds: lane and key.
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
