//! Follows the host's musical time, checks it and makes it gapless: where each block lies in steps, and whether it goes
//! on from the last one. Audio thread.

use super::bars::Bars;
use super::block_time::BlockTime;
use crate::audio_thread::positions::{
    CountedStep, STEPS_IN_A_BEAT, Sample, SongBeats, SongOffset, SongStep, StepPosition,
};
use crate::bridge::TEMPO_RANGE_BPM;

const DEFAULT_TEMPO_BPM: f64 = 120.0;
/// By how much the count of steps leaps at a jump: more than the longest lookahead.
const JUMP_STEPS: i64 = 64;
/// A position that has stood still for longer than this is no transport, seconds. For less, a host tells it once for
/// several blocks.
const STILL_SECONDS: f64 = 0.1;

/// Parts that a host's block is split into, at the most, for a position within it to be known for what it is.
const NUM_LENGTHS: usize = 32;

/// What a host says at the start of a block; what it leaves out is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HostTime {
    /// The transport runs.
    pub playing: bool,
    /// Quarter notes a minute.
    pub tempo_bpm: Option<f64>,
    /// Position, beats.
    pub pos_beats: Option<f64>,
    /// Position, samples from the song's start.
    pub pos_samples: Option<i64>,
    /// Where the bar began, beats.
    pub bar_start_beats: Option<f64>,
    /// Beats in a bar and which note is one.
    pub time_signature: Option<(i32, i32)>,
    /// What the host loops over, beats.
    pub loop_range_beats: Option<(f64, f64)>,
}

impl HostTime {
    /// The tempo, if it is one.
    fn tempo_bpm(&self) -> Option<f64> {
        self.tempo_bpm.filter(|tempo| TEMPO_RANGE_BPM.contains(tempo))
    }

    /// Whether the host's transport runs and says where it is. Without a tempo its position means nothing.
    fn runs(&self) -> bool {
        self.playing && self.pos_beats.is_some_and(f64::is_finite) && self.tempo_bpm().is_some()
    }
}

/// How a block goes on from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    /// Nothing moves.
    Stopped,
    /// Time stood still, or ran freely, and the transport starts here.
    Started,
    /// Time moved elsewhere while running.
    Jumped,
    /// Time goes on, be it from a loop's end to its start.
    Continued,
    /// Time ran, and stops here.
    Halted,
}

/// Follows the host from block to block.
pub struct Clock {
    sample_rate: f64,
    was_running: bool,
    /// Where the last block began and how long it was, samples.
    last_block: (StepPosition, usize),
    /// Where the next block should begin if time goes on.
    expected: StepPosition,
    /// For how many samples the host has told the same position.
    still_samples: usize,
    /// The longest block that the host may ask for, samples.
    max_frames: usize,
    /// How long the last blocks were, samples, the latest first.
    lengths: [usize; NUM_LENGTHS],
    /// The host's transport ran in the last block.
    host_ran: bool,
    /// Time runs on its own, without the host's transport.
    free_running: bool,
    /// The position in the last block, if the transport ran.
    last_pos_beats: Option<f64>,
    /// Where the bar of the last block began, and its length in steps.
    last_bar: Option<(SongStep, i64)>,
    bars: Bars,
    /// The host's tempo and its position in samples in the last block.
    last_tempo_bpm: Option<f64>,
    last_pos_samples: Option<i64>,
    offset: SongOffset,
    pass: u64,
    last_loop_start: Option<CountedStep>,
    /// What the host looped over in the last block, and the step on which it would have come round next.
    last_loop: (Option<Loop>, Option<CountedStep>),
}

/// First song step of a loop, and the one after its last.
type Loop = (SongStep, SongStep);

impl Clock {
    /// For a sample rate in Hertz, and blocks of at most `max_frames` samples.
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

    /// Lets time run although the host's stands still; the sample `timing` of the coming block is its beginning.
    pub fn start_free_running(&mut self, timing: u32, host: &HostTime) {
        self.free_running = true;
        // Whatever ran before, this is a new start.
        self.was_running = false;
        self.expected = StepPosition::new(-f64::from(timing) / self.samples_per_step(host));
    }

    /// Lets time stand still again when the host's does.
    pub fn stop_free_running(&mut self) {
        self.free_running = false;
    }

    /// Whether time runs on its own.
    pub fn is_free_running(&self) -> bool {
        self.free_running
    }

    fn samples_per_step(&self, host: &HostTime) -> f64 {
        let tempo_bpm = host.tempo_bpm().unwrap_or(DEFAULT_TEMPO_BPM);
        self.sample_rate * 60.0 / tempo_bpm / STEPS_IN_A_BEAT
    }

    /// Whether the host's transport can be followed in this block; called once a block, before the block begins. Some
    /// hosts say that they play, and report a position that stands still: that is no transport.
    pub fn host_runs(&mut self, host: &HostTime) -> bool {
        let pos_beats = host.pos_beats.filter(|_| host.runs());
        let told_again = pos_beats.is_some() && pos_beats == self.last_pos_beats;
        self.last_pos_beats = pos_beats;
        // The block before this one is what went by since.
        self.still_samples = if told_again { self.still_samples + self.last_block.1 } else { 0 };
        pos_beats.is_some() && self.still_samples as f64 <= STILL_SECONDS * self.sample_rate
    }

    /// Takes what the host says for a block of `frames` samples, which begins at sample 0.
    pub fn begin_block(&mut self, host: &HostTime, host_runs: bool, frames: usize) -> BlockTime {
        let samples_per_step = self.samples_per_step(host);
        if host_runs && std::mem::take(&mut self.free_running) {
            // Whatever ran on its own, the host's time starts here.
            self.was_running = false;
        }
        let runs = host_runs || self.free_running;
        // A position that is told again says nothing new: time goes on from where it was.
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
            other_loop_from: None,
        };
        BlockTime { other_loop_from: self.other_loop_from(&time), ..time }
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
            // While time goes straight on in one metre, bars do not shift against each other: what says so is made up,
            // as by what wraps us where it splits a block.
            Some((last, length)) if goes_straight_on && length == bar_steps && (told - last) % length != 0 => {
                let song_step = self.offset.song_step(position.step());
                last + (song_step - last).div_euclid(length) * length
            }
            _ => told,
        };
        self.last_bar = Some((bar_start_step, bar_steps));
        (bar_start_step, bar_steps)
    }

    /// Time ran and runs: does it go on, come round a loop, or jump? And where is it, if the host says so?
    ///
    /// Where it should be depends on when in the last block the tempo changed to what it is now, which nobody says: it
    /// is anywhere between what the old tempo and the new one lead to.
    fn follow(
        &mut self,
        host: &HostTime,
        song: Option<SongBeats>,
        loop_steps: Option<Loop>,
        frames_steps: f64,
    ) -> (Motion, Option<StepPosition>) {
        let Some(song) = song else { return (Motion::Continued, None) };
        let samples_per_step = self.samples_per_step(host);
        // A tempo ramp drifts within a block; anything more is a jump.
        let tolerance = 0.08_f64.max(0.1 * frames_steps);
        let (last, last_frames) = self.last_block;
        let by_new_tempo = last.steps() + last_frames as f64 / samples_per_step;
        let earliest = StepPosition::new(self.expected.steps().min(by_new_tempo) - tolerance);
        let latest = StepPosition::new(self.expected.steps().max(by_new_tempo) + tolerance);
        let is_expected = |position: StepPosition| (earliest..=latest).contains(&position);
        if let Some((start, end)) = loop_steps {
            let length = end - start;
            // Behind the loop's end is its beginning, be it that the host says so or that a block which runs over the
            // end is split there.
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
        if self.time_goes_on(host) {
            // The tempo of the song has changed, and with it the beat that this moment is on. The count goes on from
            // here, and keeps to the host's beats.
            self.offset = SongOffset::nearest(self.expected, song);
            return (Motion::Continued, Some(self.offset.position(song)));
        }
        // The count goes on behind all that has been planned.
        let count = self.expected.next_step() + JUMP_STEPS;
        self.offset = SongOffset::between(count, song.step());
        (self.pass, self.last_loop_start) = (0, None);
        (Motion::Jumped, Some(self.offset.position(song)))
    }

    /// The host loops over something else than in the block before, or over nothing any more: the step on which the
    /// old loop or the new one would have come round, whichever is first. From there on the song goes on otherwise.
    fn other_loop_from(&mut self, time: &BlockTime) -> Option<CountedStep> {
        let now = (time.loop_steps, time.next_loop_start());
        let before = std::mem::replace(&mut self.last_loop, now);
        [before.1, now.1].into_iter().flatten().min().filter(|_| before.0 != now.0)
    }

    /// Whether the host is at another tempo but where it was to be in time: it has changed its tempo map, and has not
    /// gone elsewhere. Some hosts tell no beats, and what wraps us makes them from the time and the present tempo.
    fn time_goes_on(&self, host: &HostTime) -> bool {
        let other_tempo = host.tempo_bpm() != self.last_tempo_bpm;
        let expected = self.last_pos_samples.map(|last| last + self.last_block.1 as i64);
        other_tempo && host.pos_samples.zip(expected).is_some_and(|(now, expected)| (now - expected).abs() <= 2)
    }

    /// Whether a position lies ahead by exactly what has gone by of the host's block. Where a host tells its time
    /// within a block, what wraps us adds the distance from the block's start to the position a second time.
    fn is_told_twice(&self, ahead_steps: f64, samples_per_step: f64) -> bool {
        let ahead = ahead_steps * samples_per_step;
        let gone_by = self.lengths.iter().scan(0, |sum, length| {
            *sum += length;
            Some(*sum)
        });
        gone_by.take_while(|sum| *sum < self.max_frames).any(|sum| (ahead - sum as f64).abs() < 2.0)
    }
}

/// A loop that begins and ends on steps; others cannot be foreseen step by step and are jumps.
fn whole_steps((start, end): (f64, f64)) -> Option<Loop> {
    let step = |beats: f64| {
        let steps = beats * STEPS_IN_A_BEAT;
        ((steps - steps.round()).abs() < 1e-4).then(|| SongStep::new(steps.round() as i64))
    };
    Some((step(start)?, step(end)?)).filter(|(start, end)| start < end)
}
