//! A block in musical time: its steps, their samples and their positions in the song. Audio thread.

use continuo_model::phrasing::TurnStep;
use continuo_model::tokeniser::step_reader::BarPosition;

use super::Motion;
use crate::audio_thread::positions::{
    CountedStep, STEPS_IN_A_BEAT, Sample, SongBeats, SongOffset, SongStep, StepPosition,
};

/// Positions closer than this, in samples, are equal: hosts round.
const ROUNDING_SAMPLES: f64 = 0.01;

/// A block in musical time.
///
/// The count of steps runs on through loops and jumps while time runs: no step number repeats. [`Self::song_position`]
/// converts a counted step to a step of the song.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlockTime {
    /// How it follows the previous block.
    pub motion: Motion,
    /// The first sample.
    pub begin: Sample,
    /// The position of the first sample.
    pub position: StepPosition,
    /// The length of a step in samples.
    pub samples_per_step: f64,
    /// In Hz.
    pub sample_rate: f64,
    /// Whether free-running time runs, without the host's transport.
    pub is_free_running: bool,
    pub(super) offset: SongOffset,
    /// The song step on which the bar began.
    pub(super) bar_start_step: SongStep,
    /// The steps in a bar.
    pub(super) bar_steps: i64,
    /// The number of the bar, from 0.
    pub(super) bar: i64,
    /// Whether the metre has changed since the previous block.
    pub new_metre: bool,
    /// Whether the host's transport has stopped since the previous block.
    pub host_stops: bool,
    /// The first song step of the host's loop, and the step after its last.
    pub(super) loop_steps: Option<(SongStep, SongStep)>,
    /// How often the loop has wrapped.
    pub(super) pass: u64,
    /// The counted step on which the loop last wrapped to its start.
    pub(super) last_loop_start: Option<CountedStep>,
    /// If the host's loop has changed since the previous block, the step from which the song continues differently.
    pub loop_changes_from: Option<CountedStep>,
}

/// The position of a counted step in the song.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SongPosition {
    /// The song step.
    pub song_step: SongStep,
    /// How often the loop has wrapped by then.
    pub pass: u64,
    /// Whether the loop wraps to its start here, so that the previous step is not the one before it in the song.
    pub is_loop_start: bool,
}

/// Where in the song a turn begins. The bar is numbered in the metre of that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnStart {
    song_step: SongStep,
    bar: i64,
}

impl TurnStart {
    /// Steps from the start of the turn to a song step; negative before it.
    pub fn steps_to(self, song_step: SongStep) -> i64 {
        song_step - self.song_step
    }
}

impl BlockTime {
    /// Whether time runs, with the host's transport or free-running.
    pub fn runs(&self) -> bool {
        matches!(self.motion, Motion::Started | Motion::Jumped | Motion::Continued)
    }

    /// The first sample at or after a position, counted from the start of the block; negative before the block.
    pub fn timing_of(&self, position: StepPosition) -> i64 {
        ((position - self.position) * self.samples_per_step - ROUNDING_SAMPLES).ceil() as i64
    }

    /// The first sample at or after a position.
    pub fn sample_of(&self, position: StepPosition) -> Sample {
        self.begin + self.timing_of(position)
    }

    /// The offset of sample `at` in the block.
    pub fn timing(&self, at: Sample) -> u32 {
        at.since(self.begin) as u32
    }

    /// The position of a sample.
    pub fn position_at(&self, at: Sample) -> StepPosition {
        self.position + f64::from(self.timing(at)) / self.samples_per_step
    }

    /// The position of a counted step in the song. Steps past the end of the host's loop belong to the next pass, so
    /// that the first steps of a pass are decided before it begins.
    pub fn song_position(&self, step: CountedStep) -> SongPosition {
        let song_step = self.offset.song_step(step);
        match self.loop_steps {
            Some((start, end)) if song_step >= end && self.position < self.offset.count(end).position() => {
                let (rounds, within) = ((song_step - start) / (end - start), (song_step - start) % (end - start));
                SongPosition { song_step: start + within, pass: self.pass + rounds as u64, is_loop_start: within == 0 }
            }
            _ => SongPosition { song_step, pass: self.pass, is_loop_start: self.last_loop_start == Some(step) },
        }
    }

    /// The song position of a sample.
    pub fn song_beats_at(&self, at: Sample) -> SongBeats {
        self.offset.song_beats(self.position_at(at))
    }

    /// The 16th of the beat that a song step falls on, counted from the start of its bar.
    pub fn step_in_beat(&self, song_step: SongStep) -> usize {
        (self.step_in_bar(song_step) % STEPS_IN_A_BEAT as i64) as usize
    }

    /// Treats all bars as equally long, so that it does not matter which bar the host reports.
    fn step_in_bar(&self, song_step: SongStep) -> i64 {
        (song_step - self.bar_start_step).rem_euclid(self.bar_steps)
    }

    /// The position of a song step in its bar; `None` for bars of more than 255 steps, and if time runs without the
    /// host's bars.
    pub fn bar_position(&self, song_step: SongStep) -> Option<BarPosition> {
        let bar_steps = u8::try_from(self.bar_steps).ok()?;
        let known = BarPosition { step_in_bar: self.step_in_bar(song_step) as u8, bar_steps };
        Some(known).filter(|_| !self.is_free_running)
    }

    /// Where a turn that begins on a song step begins.
    pub fn turn_start(&self, song_step: SongStep) -> TurnStart {
        TurnStart { song_step, bar: self.bar_of(song_step) }
    }

    /// A song step in the host's bars, of the turn that began at `start`.
    pub fn turn_step(&self, start: TurnStart, step: SongStep) -> TurnStep {
        TurnStep {
            bar: self.bar_of(step) - start.bar,
            step_in_bar: self.step_in_bar(step),
            bar_steps: self.bar_steps,
            since_turn: start.steps_to(step),
        }
    }

    /// The number of the bar that contains a song step, from 0, if the metre does not change from here on.
    pub fn bar_of(&self, song_step: SongStep) -> i64 {
        self.bar + (song_step - self.bar_start_step).div_euclid(self.bar_steps)
    }

    /// Whether a phrase can end on a song step: at the start of a bar, or in the middle of a bar that lasts a whole
    /// number of whole notes.
    pub fn is_strong(&self, song_step: SongStep) -> bool {
        let step = self.step_in_bar(song_step);
        step == 0 || (self.bar_steps % 16 == 0 && step % 8 == 0)
    }

    /// Whether the host's loop starts on a song step, in the first round or a later one.
    pub fn starts_loop(&self, song_step: SongStep) -> bool {
        self.loop_steps.is_some_and(|(start, _)| start == song_step)
    }

    /// Whether a song step begins a bar.
    pub fn begins_bar(&self, song_step: SongStep) -> bool {
        self.step_in_bar(song_step) == 0
    }

    /// The song position of the bar's start.
    pub fn bar_start(&self) -> SongBeats {
        self.bar_start_step.beats()
    }

    /// The length of a bar in beats.
    pub fn bar_beats(&self) -> f64 {
        self.bar_steps as f64 / STEPS_IN_A_BEAT
    }

    /// Beats from the start of the block to a step.
    pub fn beats_to(&self, step: CountedStep) -> f64 {
        (step.position() - self.position) / STEPS_IN_A_BEAT
    }

    /// The length of a beat in samples.
    pub fn samples_per_beat(&self) -> f64 {
        self.samples_per_step * STEPS_IN_A_BEAT
    }

    /// Quarter notes per minute.
    pub fn tempo_bpm(&self) -> f64 {
        self.sample_rate * 60.0 / self.samples_per_beat()
    }

    /// The host's loop in song beats, and how often it has wrapped.
    pub fn loop_and_pass(&self) -> (Option<(f64, f64)>, u64) {
        (self.loop_steps.map(|(start, end)| (start.beats().beats(), end.beats().beats())), self.pass)
    }

    /// The counted step on which the loop next wraps to its start, if that is ahead.
    pub(super) fn next_loop_start(&self) -> Option<CountedStep> {
        let (_, end) = self.loop_steps?;
        Some(self.offset.count(end)).filter(|round| round.position() > self.position)
    }
}
