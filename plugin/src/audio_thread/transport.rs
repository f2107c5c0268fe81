//! The host's musical time, checked and made gapless: where the block lies in steps, and whether it goes on from the
//! last one. Audio thread.

mod bars;

use bars::Bars;

/// Steps in a beat; musical time is decided in steps.
pub const STEPS_PER_BEAT: f64 = 4.0;
/// Tempi outside this range are not music; a host that reports one is treated as if it had reported none.
const TEMPO_RANGE_BPM: std::ops::RangeInclusive<f64> = 1.0..=999.0;
const DEFAULT_TEMPO_BPM: f64 = 120.0;
/// By how much the count of steps leaps at a jump: more than the longest lookahead.
const JUMP_STEPS: i64 = 64;
/// Two places in time that are nearer than this, in samples, are one: hosts round positions.
const ROUNDING_SAMPLES: f64 = 0.01;
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

/// A block's place in musical time.
///
/// Steps are counted on while time runs, through loops and jumps: a count never comes back. [`Self::place`] says which
/// step of the song a count is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlockTime {
    /// How it goes on.
    pub motion: Motion,
    /// Position of the first sample, counted steps.
    pub pos_steps: f64,
    /// Length of a step, samples.
    pub samples_per_step: f64,
    /// Song step less counted step.
    offset: i64,
    /// The song step on which the bar began.
    bar_start_step: i64,
    /// Steps in a bar.
    bar_steps: i64,
    /// The number of the bar, from 0.
    bar: i64,
    /// The metre is another one than in the block before.
    pub new_metre: bool,
    /// The host's transport ran in the block before, and stands.
    pub host_stops: bool,
    /// First song step of the host's loop, and the one after its last.
    loop_steps: Option<(i64, i64)>,
    /// How often the loop has come round.
    pass: u64,
    /// The counted step on which it came round last.
    last_seam: Option<i64>,
}

/// Where a counted step is in the song.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The song's step, 16ths from its start.
    pub song_step: i64,
    /// How often the loop has come round by then.
    pub pass: u64,
    /// The step before it in the song is not the one that sounds before it: a loop comes round here.
    pub is_seam: bool,
}

impl BlockTime {
    /// Whether time goes by.
    pub fn runs(&self) -> bool {
        matches!(self.motion, Motion::Started | Motion::Jumped | Motion::Continued)
    }

    /// The first sample of the block that lies at or after `step`; negative if it was before the block.
    pub fn sample_of(&self, step: f64) -> i64 {
        ((step - self.pos_steps) * self.samples_per_step - ROUNDING_SAMPLES).ceil() as i64
    }

    /// Where `sample` of the block lies, counted steps.
    pub fn step_at(&self, sample: u32) -> f64 {
        self.pos_steps + f64::from(sample) / self.samples_per_step
    }

    /// Where in the song counted step `step` is. Past the end of the host's loop it is in the next time round: so the
    /// first steps after the seam are decided before it.
    pub fn place(&self, step: i64) -> Place {
        let song_step = step + self.offset;
        let plain = Place { song_step, pass: self.pass, is_seam: self.last_seam == Some(step) };
        match self.loop_steps {
            Some((start, end)) if song_step >= end && self.pos_steps + (self.offset as f64) < end as f64 => {
                let (rounds, within) = ((song_step - start) / (end - start), (song_step - start) % (end - start));
                Place { song_step: start + within, pass: self.pass + rounds as u64, is_seam: within == 0 }
            }
            _ => plain,
        }
    }

    /// Where in the song a sample of the block is, beats.
    pub fn beats_at(&self, sample: u32) -> f64 {
        (self.step_at(sample) + self.offset as f64) / STEPS_PER_BEAT
    }

    /// Which 16th of the beat a song step is, counted from the start of its bar.
    pub fn step_in_beat(&self, song_step: i64) -> usize {
        (self.step_in_bar(song_step) % STEPS_PER_BEAT as i64) as usize
    }

    /// As if all bars were as long as this one: which bar the host has named does not matter then.
    fn step_in_bar(&self, song_step: i64) -> i64 {
        (song_step - self.bar_start_step).rem_euclid(self.bar_steps)
    }

    /// Which bar a song step is in, from 0, as if the metre did not change from here on.
    pub fn bar_of(&self, song_step: i64) -> i64 {
        self.bar + (song_step - self.bar_start_step).div_euclid(self.bar_steps)
    }

    /// Whether a phrase can end on a song step: on the first beat of a bar, and in the middle of one of whole notes.
    pub fn is_strong(&self, song_step: i64) -> bool {
        let step = self.step_in_bar(song_step);
        step == 0 || (self.bar_steps % 16 == 0 && step % 8 == 0)
    }

    /// Where the song's bar began, beats.
    pub fn bar_start_beats(&self) -> f64 {
        self.bar_start_step as f64 / STEPS_PER_BEAT
    }

    /// Length of a bar, beats.
    pub fn bar_beats(&self) -> f64 {
        self.bar_steps as f64 / STEPS_PER_BEAT
    }

    /// What the host loops over, song beats, and how often it has come round.
    pub fn rounds(&self) -> (Option<(f64, f64)>, u64) {
        let beats = |step: i64| step as f64 / STEPS_PER_BEAT;
        (self.loop_steps.map(|(start, end)| (beats(start), beats(end))), self.pass)
    }

    /// What the host loops over, song steps.
    pub fn loop_steps(&self) -> Option<(i64, i64)> {
        self.loop_steps
    }

    /// The counted step on which the loop comes round next, if it lies ahead.
    pub fn next_seam(&self) -> Option<i64> {
        let (_, end) = self.loop_steps?;
        Some(end - self.offset).filter(|seam| *seam as f64 > self.pos_steps)
    }

    /// Whether a song step begins a bar.
    pub fn begins_bar(&self, song_step: i64) -> bool {
        self.step_in_bar(song_step) == 0
    }
}

/// Follows the host from block to block.
pub struct Clock {
    sample_rate: f64,
    was_running: bool,
    /// Where the last block began and how long it was: steps, samples.
    last_block: (f64, usize),
    /// Where the next block should begin if time goes on, steps.
    expected_steps: f64,
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
    /// Where the bar of the last block began, and its length: song steps.
    last_bar: Option<(i64, i64)>,
    bars: Bars,
    /// The host's tempo and its position in samples in the last block.
    last_tempo_bpm: Option<f64>,
    last_pos_samples: Option<i64>,
    /// Song step less counted step.
    offset: i64,
    pass: u64,
    last_seam: Option<i64>,
}

impl Clock {
    /// For a sample rate in Hertz, and blocks of at most `max_frames` samples.
    pub fn new(sample_rate: f64, max_frames: usize) -> Self {
        Self {
            sample_rate,
            was_running: false,
            last_block: (0.0, 0),
            expected_steps: 0.0,
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
            offset: 0,
            pass: 0,
            last_seam: None,
        }
    }

    /// Lets time run although the host's stands still; the sample `timing` of the coming block is its beginning.
    pub fn start_free_running(&mut self, timing: u32, host: &HostTime) {
        self.free_running = true;
        // Whatever ran before, this is a new start.
        self.was_running = false;
        self.expected_steps = -f64::from(timing) / self.samples_per_step(host);
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
        self.sample_rate * 60.0 / tempo_bpm / STEPS_PER_BEAT
    }

    /// Whether the host's transport can be followed in this block; to be asked once a block, before the block begins.
    /// Some hosts say that they play, and report a position that stands still: that is no transport.
    pub fn host_runs(&mut self, host: &HostTime) -> bool {
        let pos_beats = host.pos_beats.filter(|_| host.runs());
        let told_again = pos_beats.is_some() && pos_beats == self.last_pos_beats;
        self.last_pos_beats = pos_beats;
        // The block before this one is what went by since.
        self.still_samples = if told_again { self.still_samples + self.last_block.1 } else { 0 };
        pos_beats.is_some() && self.still_samples as f64 <= STILL_SECONDS * self.sample_rate
    }

    /// Takes the host's word for a block of `frames` samples.
    pub fn begin_block(&mut self, host: &HostTime, host_runs: bool, frames: usize) -> BlockTime {
        let samples_per_step = self.samples_per_step(host);
        let frames_steps = frames as f64 / samples_per_step;
        if host_runs && std::mem::take(&mut self.free_running) {
            // Whatever ran on its own, the host's time starts here.
            self.was_running = false;
        }
        let runs = host_runs || self.free_running;
        // A position that is told again says nothing new: time goes on from where it was.
        let is_news = host_runs && !(self.was_running && self.still_samples > 0);
        let song_steps = host.pos_beats.filter(|_| is_news).map(|beats| beats * STEPS_PER_BEAT);
        let loop_steps = host.loop_range_beats.filter(|_| host_runs).and_then(whole_steps);
        // A tempo ramp drifts within a block; anything more is a jump.
        let tolerance = 0.08_f64.max(0.1 * frames_steps);
        let pass = self.pass;
        let (motion, pos_steps) = match (self.was_running, runs) {
            (false, false) => (Motion::Stopped, None),
            (true, false) => (Motion::Halted, None),
            (false, true) => {
                (self.offset, self.pass, self.last_seam) = (0, 0, None);
                (Motion::Started, song_steps)
            }
            (true, true) => {
                let time_goes_on = self.time_goes_on(host);
                self.follow(song_steps, loop_steps, samples_per_step, tolerance, time_goes_on)
            }
        };
        (self.last_tempo_bpm, self.last_pos_samples) = (host.tempo_bpm(), host.pos_samples);
        let pos_steps = pos_steps.unwrap_or(self.expected_steps);
        self.lengths.rotate_right(1);
        self.lengths[0] = frames;
        self.was_running = runs;
        self.last_block = (pos_steps, frames);
        self.expected_steps = pos_steps + frames_steps;
        let metre = host.time_signature.filter(|(beats, unit)| *beats > 0 && *unit > 0);
        let bar_start = host.bar_start_beats.filter(|beats| host_runs && metre.is_some() && beats.is_finite());
        let bar_steps = metre.map_or(16, |(beats, unit)| 16 * i64::from(beats) / i64::from(unit)).max(1);
        let bar_start_step = bar_start.map_or(0, |beats| (beats * STEPS_PER_BEAT).round() as i64);
        let goes_straight_on = motion == Motion::Continued && self.pass == pass;
        let metre_before = self.last_bar.map(|(_, steps)| steps);
        let bar_start_step = self.bar_start(bar_start_step, bar_steps, goes_straight_on, pos_steps);
        BlockTime {
            motion,
            pos_steps,
            samples_per_step,
            offset: self.offset,
            bar_start_step,
            bar_steps,
            bar: self.bars.number(bar_start_step, bar_steps),
            host_stops: std::mem::replace(&mut self.host_ran, host_runs) && !host_runs && !host.playing,
            new_metre: metre_before.is_some_and(|before| before != bar_steps),
            loop_steps,
            pass: self.pass,
            last_seam: self.last_seam,
        }
    }

    /// Where the bar began. While time goes straight on in one metre, bars do not shift against each other: what says
    /// so is made up, as by what wraps us where it splits a block.
    fn bar_start(&mut self, told: i64, bar_steps: i64, goes_straight_on: bool, pos_steps: f64) -> i64 {
        let bar_start = match self.last_bar {
            Some((last, length)) if goes_straight_on && length == bar_steps && (told - last) % length != 0 => {
                let song_step = pos_steps.floor() as i64 + self.offset;
                last + (song_step - last).div_euclid(length) * length
            }
            _ => told,
        };
        self.last_bar = Some((bar_start, bar_steps));
        bar_start
    }

    /// Time ran and runs: does it go on, come round a loop, or jump? And where is it, counted steps, if the host says
    /// so?
    ///
    /// Where it should be depends on when in the last block the tempo changed to what it is now, which nobody says: it
    /// is anywhere between what the old tempo and the new one lead to.
    fn follow(
        &mut self,
        song_steps: Option<f64>,
        loop_steps: Option<(i64, i64)>,
        samples_per_step: f64,
        tolerance: f64,
        time_goes_on: bool,
    ) -> (Motion, Option<f64>) {
        let Some(song_steps) = song_steps else { return (Motion::Continued, None) };
        let (last_steps, last_frames) = self.last_block;
        let by_new_tempo = last_steps + last_frames as f64 / samples_per_step;
        let offset = self.offset as f64;
        let earliest = self.expected_steps.min(by_new_tempo) + offset - tolerance;
        let latest = self.expected_steps.max(by_new_tempo) + offset + tolerance;
        let expected = |steps: f64| (earliest..=latest).contains(&steps);
        if let Some((start, end)) = loop_steps {
            let length = (end - start) as f64;
            // Behind the loop's end is its beginning, be it that the host says so or that a block which runs over the
            // end is split there.
            let wrapped = if song_steps >= end as f64 { song_steps - length } else { song_steps };
            let was_before = last_steps + offset < end as f64;
            if was_before && latest > end as f64 && expected(wrapped + length) {
                self.offset -= end - start;
                self.pass += 1;
                self.last_seam = Some(start - self.offset);
                return (Motion::Continued, Some(wrapped - self.offset as f64));
            }
            if expected(wrapped) {
                return (Motion::Continued, Some(wrapped - offset));
            }
        }
        if expected(song_steps) {
            return (Motion::Continued, Some(song_steps - offset));
        }
        if self.is_told_twice(song_steps - (self.expected_steps + offset), samples_per_step) {
            return (Motion::Continued, None);
        }
        if time_goes_on {
            // The tempo of the song has changed, and with it the beat that this place in time is on. The count goes on
            // from here, and keeps to the host's beats.
            self.offset = (song_steps - self.expected_steps).round() as i64;
            return (Motion::Continued, Some(song_steps - self.offset as f64));
        }
        // The count goes on behind all that has been planned.
        self.offset = song_steps.floor() as i64 - (self.expected_steps.ceil() as i64 + JUMP_STEPS);
        (self.pass, self.last_seam) = (0, None);
        (Motion::Jumped, Some(song_steps - self.offset as f64))
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
fn whole_steps((start, end): (f64, f64)) -> Option<(i64, i64)> {
    let step =
        |beats: f64| Some(beats * STEPS_PER_BEAT).filter(|s| (s - s.round()).abs() < 1e-4).map(|s| s.round() as i64);
    Some((step(start)?, step(end)?)).filter(|(start, end)| start < end)
}

#[cfg(test)]
mod tests;
