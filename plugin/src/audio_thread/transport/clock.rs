//! Follows the host's musical time, checks it and closes its gaps: gives each block its position in steps, and whether
//! it continues the previous one. Audio thread.

use super::bars::Bars;
use super::block_time::BlockTime;
use crate::audio_thread::positions::{
    CountedStep, STEPS_IN_A_BEAT, Sample, SongBeats, SongOffset, SongStep, StepPosition,
};
use crate::bridge::TEMPO_RANGE_BPM;

const DEFAULT_TEMPO_BPM: f64 = 120.0;
/// How many counted steps a jump skips: more than the longest lookahead.
const JUMP_STEPS: i64 = 64;
/// If the position stands still for more than this many seconds, the transport does not run. For shorter times, a host
/// reports one position for several blocks.
const STILL_SECONDS: f64 = 0.1;

/// The most parts of a split host block for which [`Clock::is_told_twice`] recognises the host's positions.
const NUM_LENGTHS: usize = 32;

/// The host's report at the start of a block; `None` for missing values.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HostTime {
    /// Whether the transport runs.
    pub playing: bool,
    /// Quarter notes per minute.
    pub tempo_bpm: Option<f64>,
    /// The position in beats.
    pub pos_beats: Option<f64>,
    /// The position in samples from the song's start.
    pub pos_samples: Option<i64>,
    /// The position of the bar's start in beats.
    pub bar_start_beats: Option<f64>,
    /// The beats in a bar, and the note value of a beat.
    pub time_signature: Option<(i32, i32)>,
    /// The loop in beats.
    pub loop_range_beats: Option<(f64, f64)>,
}

impl HostTime {
    /// The tempo, if it is in range.
    fn tempo_bpm(&self) -> Option<f64> {
        self.tempo_bpm.filter(|tempo| TEMPO_RANGE_BPM.contains(tempo))
    }

    /// Whether the host's transport runs and reports its position. Without a tempo the position means nothing.
    fn runs(&self) -> bool {
        self.playing && self.pos_beats.is_some_and(f64::is_finite) && self.tempo_bpm().is_some()
    }
}

/// How a block follows the previous one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    /// Time stood still and still does.
    Stopped,
    /// The transport starts; time stood still or ran freely before.
    Started,
    /// Time runs on at another position.
    Jumped,
    /// Time runs on, perhaps from the end of a loop to its start.
    Continued,
    /// Time ran and stops here.
    Halted,
}

/// Follows the host's transport from block to block.
pub struct Clock {
    sample_rate: f64,
    was_running: bool,
    /// The position and length, in samples, of the last block.
    last_block: (StepPosition, usize),
    /// The next block's position if time continues.
    expected: StepPosition,
    /// For how many samples the host has reported the same position.
    still_samples: usize,
    /// The longest block that the host may request, in samples.
    max_frames: usize,
    /// The lengths of the last blocks, in samples, the latest first.
    lengths: [usize; NUM_LENGTHS],
    /// Whether the host's transport ran in the last block.
    host_ran: bool,
    /// Whether free-running time runs, without the host's transport.
    free_running: bool,
    /// The host's position in the last block, if the transport ran.
    last_pos_beats: Option<f64>,
    /// The song step on which the last block's bar began, and the steps in that bar.
    last_bar: Option<(SongStep, i64)>,
    bars: Bars,
    /// The host's tempo and position in samples in the last block.
    last_tempo_bpm: Option<f64>,
    last_pos_samples: Option<i64>,
    offset: SongOffset,
    pass: u64,
    last_loop_start: Option<CountedStep>,
    /// The host's loop in the last block, and the step on which it would have wrapped next.
    last_loop: (Option<Loop>, Option<CountedStep>),
}

/// The first song step of a loop, and the step after its last.
type Loop = (SongStep, SongStep);

impl Clock {
    /// `sample_rate` is in Hz; blocks have at most `max_frames` samples.
    pub fn new(sample_rate: f64, max_frames: usize) -> Self {
        Self {
            sample_rate,
            was_running: false,
            last_block: (StepPosition::default(), 0),
            expected: StepPosition::default(),
            still_samples: 0,
            max_frames,
            lengths: [0; NUM_LENGTHS],
            host_ran: false,
            free_running: false,
            last_pos_beats: None,
            last_bar: None,
            bars: Bars::new(),
            last_tempo_bpm: None,
            last_pos_samples: None,
            offset: SongOffset::default(),
            pass: 0,
            last_loop_start: None,
            last_loop: (None, None),
        }
    }

    /// Starts free-running time at sample `timing` of the coming block.
    pub fn start_free_running(&mut self, timing: u32, host: &HostTime) {
        self.free_running = true;
        // This is a new start, whatever ran before.
        self.was_running = false;
        self.expected = StepPosition::new(-f64::from(timing) / self.samples_per_step(host));
    }

    /// Ends free-running time.
    pub fn stop_free_running(&mut self) {
        self.free_running = false;
    }

    /// Whether free-running time runs.
    pub fn is_free_running(&self) -> bool {
        self.free_running
    }

    fn samples_per_step(&self, host: &HostTime) -> f64 {
        let tempo_bpm = host.tempo_bpm().unwrap_or(DEFAULT_TEMPO_BPM);
        self.sample_rate * 60.0 / tempo_bpm / STEPS_IN_A_BEAT
    }

    /// Whether the host's transport can be followed in this block. Called once before each block. Some hosts claim to
    /// play while their position stands still: that counts as stopped.
    pub fn host_runs(&mut self, host: &HostTime) -> bool {
        let pos_beats = host.pos_beats.filter(|_| host.runs());
        let is_repeated = pos_beats.is_some() && pos_beats == self.last_pos_beats;
        self.last_pos_beats = pos_beats;
        // The previous block has passed since the last report.
        self.still_samples = if is_repeated { self.still_samples + self.last_block.1 } else { 0 };
        pos_beats.is_some() && self.still_samples as f64 <= STILL_SECONDS * self.sample_rate
    }

    /// Follows the host's report for a block of `frames` samples.
    pub fn begin_block(&mut self, host: &HostTime, host_runs: bool, frames: usize) -> BlockTime {
        let samples_per_step = self.samples_per_step(host);
        if host_runs && std::mem::take(&mut self.free_running) {
            // The host's time starts here, even if free-running time ran before.
            self.was_running = false;
        }
        let runs = host_runs || self.free_running;
        // A repeated position adds nothing: time continues from where it was.
        let is_news = host_runs && !(self.was_running && self.still_samples > 0);
        let song = host.pos_beats.filter(|_| is_news).map(SongBeats::new);
        let loop_steps = host.loop_range_beats.filter(|_| host_runs).and_then(whole_steps);
        let pass = self.pass;
        let (motion, position) = match (self.was_running, runs) {
            (false, false) => (Motion::Stopped, None),
            (true, false) => (Motion::Halted, None),
            (false, true) => {
                (self.offset, self.pass, self.last_loop_start) = (SongOffset::default(), 0, None);
                (Motion::Started, song.map(|song| self.offset.position(song)))
            }
            (true, true) => self.follow(host, song, loop_steps, frames as f64 / samples_per_step),
        };
        (self.last_tempo_bpm, self.last_pos_samples) = (host.tempo_bpm(), host.pos_samples);
        let position = position.unwrap_or(self.expected);
        self.lengths.rotate_right(1);
        self.lengths[0] = frames;
        self.was_running = runs;
        self.last_block = (position, frames);
        self.expected = position + frames as f64 / samples_per_step;
        let metre_before = self.last_bar.map(|(_, steps)| steps);
        let goes_straight_on = motion == Motion::Continued && self.pass == pass;
        let (bar_start_step, bar_steps) = self.bar(host, host_runs, goes_straight_on, position);
        let time = BlockTime {
            motion,
            begin: Sample::default(),
            position,
            samples_per_step,
            sample_rate: self.sample_rate,
            is_free_running: self.free_running,
            offset: self.offset,
            bar_start_step,
            bar_steps,
            bar: self.bars.number(bar_start_step, bar_steps),
            host_stops: std::mem::replace(&mut self.host_ran, host_runs) && !host_runs && !host.playing,
            new_metre: metre_before.is_some_and(|before| before != bar_steps),
            loop_steps,
            pass: self.pass,
            last_loop_start: self.last_loop_start,
            loop_changes_from: None,
        };
        BlockTime { loop_changes_from: self.loop_changes_from(&time), ..time }
    }

    /// The song step on which the bar began, and its length in steps.
    fn bar(
        &mut self,
        host: &HostTime,
        host_runs: bool,
        goes_straight_on: bool,
        position: StepPosition,
    ) -> (SongStep, i64) {
        let metre = host.time_signature.filter(|(beats, unit)| *beats > 0 && *unit > 0);
        let bar_start = host.bar_start_beats.filter(|beats| host_runs && metre.is_some() && beats.is_finite());
        let bar_steps = metre.map_or(16, |(beats, unit)| 16 * i64::from(beats) / i64::from(unit)).max(1);
        let told = SongStep::new(bar_start.map_or(0, |beats| (beats * STEPS_IN_A_BEAT).round() as i64));
        let bar_start_step = match self.last_bar {
            // While time runs on in one metre, bars do not shift. A report that shifts them is wrong: the plugin
            // framework makes one up where it splits a block.
            Some((last, length)) if goes_straight_on && length == bar_steps && (told - last) % length != 0 => {
                let song_step = self.offset.song_step(position.step());
                last + (song_step - last).div_euclid(length) * length
            }
            _ => told,
        };
        self.last_bar = Some((bar_start_step, bar_steps));
        (bar_start_step, bar_steps)
    }

    /// How time that was running goes on: continuously, around the loop, or with a jump. Returns the new position, too,
    /// if the host reports one.
    ///
    /// The expected position depends on where in the last block the tempo changed, which hosts do not report. It lies
    /// between the positions that the old and the new tempo lead to.
    fn follow(
        &mut self,
        host: &HostTime,
        song: Option<SongBeats>,
        loop_steps: Option<Loop>,
        frames_steps: f64,
    ) -> (Motion, Option<StepPosition>) {
        let Some(song) = song else { return (Motion::Continued, None) };
        let samples_per_step = self.samples_per_step(host);
        // A tempo ramp drifts within a block; a larger difference is a jump.
        let tolerance = 0.08_f64.max(0.1 * frames_steps);
        let (last, last_frames) = self.last_block;
        let by_new_tempo = last.steps() + last_frames as f64 / samples_per_step;
        let earliest = StepPosition::new(self.expected.steps().min(by_new_tempo) - tolerance);
        let latest = StepPosition::new(self.expected.steps().max(by_new_tempo) + tolerance);
        let is_expected = |position: StepPosition| (earliest..=latest).contains(&position);
        if let Some((start, end)) = loop_steps {
            let length = end - start;
            // Past the end, the loop continues at its start, whether the host wraps the position itself or splits a
            // block that crosses the loop end.
            let is_behind = song >= end.beats();
            let wrapped = if is_behind { song - length as f64 / STEPS_IN_A_BEAT } else { song };
            let round = self.offset.count(end);
            let next_offset = self.offset.back(length);
            if last < round.position() && latest > round.position() && is_expected(next_offset.position(wrapped)) {
                self.offset = next_offset;
                self.pass += 1;
                self.last_loop_start = Some(round);
                return (Motion::Continued, Some(next_offset.position(wrapped)));
            }
            if is_expected(self.offset.position(wrapped)) {
                return (Motion::Continued, Some(self.offset.position(wrapped)));
            }
        }
        let told = self.offset.position(song);
        if is_expected(told) {
            return (Motion::Continued, Some(told));
        }
        if self.is_told_twice(told - self.expected, samples_per_step) {
            return (Motion::Continued, None);
        }
        if self.time_continues(host) {
            // The song's tempo map has changed, so this moment has another song position. The count goes on from here,
            // aligned to the host's beats.
            self.offset = SongOffset::nearest(self.expected, song);
            return (Motion::Continued, Some(self.offset.position(song)));
        }
        // The count continues after all planned steps.
        let count = self.expected.next_step() + JUMP_STEPS;
        self.offset = SongOffset::between(count, song.step());
        (self.pass, self.last_loop_start) = (0, None);
        (Motion::Jumped, Some(self.offset.position(song)))
    }

    /// If the loop has changed since the previous block, the step on which the old or the new loop would wrap first.
    /// From that step on the song continues differently.
    fn loop_changes_from(&mut self, time: &BlockTime) -> Option<CountedStep> {
        let now = (time.loop_steps, time.next_loop_start());
        let before = std::mem::replace(&mut self.last_loop, now);
        [before.1, now.1].into_iter().flatten().min().filter(|_| before.0 != now.0)
    }

    /// Whether the tempo has changed but the position in samples is the expected one: then the host has changed its
    /// tempo map and has not jumped. For hosts that report no beats, the plugin framework computes them from the time
    /// and the current tempo.
    fn time_continues(&self, host: &HostTime) -> bool {
        let other_tempo = host.tempo_bpm() != self.last_tempo_bpm;
        let expected = self.last_pos_samples.map(|last| last + self.last_block.1 as i64);
        other_tempo && host.pos_samples.zip(expected).is_some_and(|(now, expected)| (now - expected).abs() <= 2)
    }

    /// Whether a position is ahead by exactly the length of the parts of the host's block that have passed. If a host
    /// reports its time within a block, the plugin framework adds the distance from the block's start twice.
    fn is_told_twice(&self, ahead_steps: f64, samples_per_step: f64) -> bool {
        let ahead = ahead_steps * samples_per_step;
        let gone_by = self.lengths.iter().scan(0, |sum, length| {
            *sum += length;
            Some(*sum)
        });
        gone_by.take_while(|sum| *sum < self.max_frames).any(|sum| (ahead - sum as f64).abs() < 2.0)
    }
}

/// A loop that starts and ends on steps. Any other loop cannot be predicted step by step, so each wrap is a jump.
fn whole_steps((start, end): (f64, f64)) -> Option<Loop> {
    let step = |beats: f64| {
        let steps = beats * STEPS_IN_A_BEAT;
        ((steps - steps.round()).abs() < 1e-4).then(|| SongStep::new(steps.round() as i64))
    };
    Some((step(start)?, step(end)?)).filter(|(start, end)| start < end)
}
