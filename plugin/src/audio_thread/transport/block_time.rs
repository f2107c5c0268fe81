//! A block in musical time: which steps lie in it, at which samples, and where in the song. Audio thread.

use super::Motion;
use crate::audio_thread::positions::{
    CountedStep, STEPS_IN_A_BEAT, Sample, SongBeats, SongOffset, SongStep, StepPosition,
};

/// Two positions that are nearer than this, in samples, are one: hosts round.
const ROUNDING_SAMPLES: f64 = 0.01;

/// A block in musical time.
///
/// Steps are counted on while time runs, through loops and jumps: a count never comes back. [`Self::place`] says which
/// step of the song a count is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlockTime {
    /// How it goes on from the block before.
    pub motion: Motion,
    /// The first sample.
    pub begin: Sample,
    /// Position of the first sample.
    pub position: StepPosition,
    /// Length of a step, samples.
    pub samples_per_step: f64,
    /// Samples a second.
    pub sample_rate: f64,
    /// Time runs on its own, without the host's transport.
    pub is_free_running: bool,
    pub(super) offset: SongOffset,
    /// The song step on which the bar began.
    pub(super) bar_start_step: SongStep,
    /// Steps in a bar.
    pub(super) bar_steps: i64,
    /// The number of the bar, from 0.
    pub(super) bar: i64,
    /// The metre is another one than in the block before.
    pub new_metre: bool,
    /// The host's transport ran in the block before, and stands.
    pub host_stops: bool,
    /// First song step of the host's loop, and the one after its last.
    pub(super) loop_steps: Option<(SongStep, SongStep)>,
    /// How often the loop has come round.
    pub(super) pass: u64,
    /// The counted step on which it came round last.
    pub(super) last_loop_start: Option<CountedStep>,
    /// The host loops over something else than in the block before: from this step on the song goes on otherwise.
    pub other_loop_from: Option<CountedStep>,
}

/// Where a counted step is in the song.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SongPosition {
    /// The song's step.
    pub song_step: SongStep,
    /// How often the loop has come round by then.
    pub pass: u64,
    /// The loop comes round here: the step before it in the song is not the one that sounds before it.
    pub is_loop_start: bool,
}

impl BlockTime {
    /// Whether time runs, be it the host's or the plugin's own.
    pub fn runs(&self) -> bool {
        matches!(self.motion, Motion::Started | Motion::Jumped | Motion::Continued)
    }

    /// Which sample of the block is the first at or after a position; negative if it was before the block.
    pub fn timing_of(&self, position: StepPosition) -> i64 {
        ((position - self.position) * self.samples_per_step - ROUNDING_SAMPLES).ceil() as i64
    }

    /// The first sample at or after a position.
    pub fn sample_of(&self, position: StepPosition) -> Sample {
        self.begin + self.timing_of(position)
    }

    /// Which sample of the block `at` is.
    pub fn timing(&self, at: Sample) -> u32 {
        at.since(self.begin) as u32
    }

    /// Where a sample of the block lies.
    pub fn position_at(&self, at: Sample) -> StepPosition {
        self.position + f64::from(self.timing(at)) / self.samples_per_step
    }

    /// Where in the song a counted step is. Past the end of the host's loop it is in the next round: so the first steps
    /// of a round are decided before it begins.
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

    /// Where in the song a sample of the block is.
    pub fn song_beats_at(&self, at: Sample) -> SongBeats {
        self.offset.song_beats(self.position_at(at))
    }

    /// Which 16th of the beat a song step is, counted from the start of its bar.
    pub fn step_in_beat(&self, song_step: SongStep) -> usize {
        (self.step_in_bar(song_step) % STEPS_IN_A_BEAT as i64) as usize
    }

    /// As if all bars were as long as this one: which bar the host has named does not matter then.
    fn step_in_bar(&self, song_step: SongStep) -> i64 {
        (song_step - self.bar_start_step).rem_euclid(self.bar_steps)
    }

    /// Which bar a song step is in, from 0, as if the metre did not change from here on.
    pub fn bar_of(&self, song_step: SongStep) -> i64 {
        self.bar + (song_step - self.bar_start_step).div_euclid(self.bar_steps)
    }

    /// Whether a phrase can end on a song step: on the first beat of a bar, and in the middle of one of whole notes.
    pub fn is_strong(&self, song_step: SongStep) -> bool {
        let step = self.step_in_bar(song_step);
        step == 0 || (self.bar_steps % 16 == 0 && step % 8 == 0)
    }

    /// Whether a song step begins a bar.
    pub fn begins_bar(&self, song_step: SongStep) -> bool {
        self.step_in_bar(song_step) == 0
    }

    /// Where the song's bar began.
    pub fn bar_start(&self) -> SongBeats {
        self.bar_start_step.beats()
    }

    /// Length of a bar, beats.
    pub fn bar_beats(&self) -> f64 {
        self.bar_steps as f64 / STEPS_IN_A_BEAT
    }

    /// Beats from the block's start to a step.
    pub fn beats_to(&self, step: CountedStep) -> f64 {
        (step.position() - self.position) / STEPS_IN_A_BEAT
    }

    /// Length of a beat, samples.
    pub fn samples_per_beat(&self) -> f64 {
        self.samples_per_step * STEPS_IN_A_BEAT
    }

    /// Quarter notes a minute.
    pub fn tempo_bpm(&self) -> f64 {
        self.sample_rate * 60.0 / self.samples_per_beat()
    }

    /// What the host loops over, song beats, and how often it has come round.
    pub fn loop_and_pass(&self) -> (Option<(f64, f64)>, u64) {
        (self.loop_steps.map(|(start, end)| (start.beats().beats(), end.beats().beats())), self.pass)
    }

    /// The counted step on which the loop comes round next, if it lies ahead.
    pub(super) fn next_loop_start(&self) -> Option<CountedStep> {
        let (_, end) = self.loop_steps?;
        Some(self.offset.count(end)).filter(|round| round.position() > self.position)
    }
}
