//! The host's musical time, checked and made gapless: where the block lies in steps, and whether it goes on from the
//! last one. Audio thread.

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

/// What a host says at the start of a block; what it leaves out is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HostTime {
    /// The transport runs.
    pub playing: bool,
    /// Quarter notes a minute.
    pub tempo_bpm: Option<f64>,
    /// Position, beats.
    pub pos_beats: Option<f64>,
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

    /// Which bar a song step is in, counted from the song's start as if it had this bar's metre all along.
    pub fn bar_of(&self, song_step: i64) -> i64 {
        let bar = (self.bar_start_step as f64 / self.bar_steps as f64).round() as i64;
        bar + (song_step - self.bar_start_step).div_euclid(self.bar_steps)
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
    /// For how many samples positions have lain a little ahead, and were not believed.
    doubted_samples: usize,
    /// Time runs on its own, without the host's transport.
    free_running: bool,
    /// The position in the last block, if the transport ran.
    last_pos_beats: Option<f64>,
    /// Where the bar of the last block began, and its length: song steps.
    last_bar: Option<(i64, i64)>,
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
            doubted_samples: 0,
            free_running: false,
            last_pos_beats: None,
            last_bar: None,
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
        if host_runs {
            self.free_running = false;
        }
        let runs = host_runs || self.free_running;
        // A position that is told again says nothing new: time goes on from where it was.
        let is_news = host_runs && !(self.was_running && self.still_samples > 0);
        let song_steps = host.pos_beats.filter(|_| is_news).map(|beats| beats * STEPS_PER_BEAT);
        let loop_steps = host.loop_range_beats.filter(|_| host_runs).and_then(whole_steps);
        // A tempo ramp drifts within a block; anything more is a jump.
        let tolerance = 0.08_f64.max(0.1 * frames_steps);
        let pass = self.pass;
        let motion = match (self.was_running, runs) {
            (false, false) => Motion::Stopped,
            (true, false) => Motion::Halted,
            (false, true) => {
                (self.offset, self.pass, self.last_seam) = (0, 0, None);
                Motion::Started
            }
            (true, true) => self.follow(song_steps, loop_steps, samples_per_step, tolerance),
        };
        let doubted = motion == Motion::Continued && self.doubted_samples > 0;
        let pos_steps = song_steps.filter(|_| !doubted).map_or(self.expected_steps, |steps| steps - self.offset as f64);
        self.doubted_samples += if doubted { frames } else { 0 };
        self.was_running = runs;
        self.last_block = (pos_steps, frames);
        self.expected_steps = pos_steps + frames_steps;
        let metre = host.time_signature.filter(|(beats, unit)| *beats > 0 && *unit > 0);
        let bar_start = host.bar_start_beats.filter(|beats| host_runs && metre.is_some() && beats.is_finite());
        let bar_steps = metre.map_or(16, |(beats, unit)| 16 * i64::from(beats) / i64::from(unit)).max(1);
        let bar_start_step = bar_start.map_or(0, |beats| (beats * STEPS_PER_BEAT).round() as i64);
        let goes_straight_on = motion == Motion::Continued && self.pass == pass;
        let bar_start_step = self.bar_start(bar_start_step, bar_steps, goes_straight_on, pos_steps);
        BlockTime {
            motion,
            pos_steps,
            samples_per_step,
            offset: self.offset,
            bar_start_step,
            bar_steps,
            loop_steps,
            pass: self.pass,
            last_seam: self.last_seam,
        }
    }

    /// Where the bar began. While time goes straight on in one metre, bars do not shift against each other: what says so is
    /// made up, as by what wraps us where it splits a block.
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

    /// Time ran and runs: does it go on, come round a loop, or jump?
    ///
    /// Where it should be depends on when in the last block the tempo changed to what it is now, which nobody says: it is
    /// anywhere between what the old tempo and the new one lead to.
    fn follow(
        &mut self,
        song_steps: Option<f64>,
        loop_steps: Option<(i64, i64)>,
        samples_per_step: f64,
        tolerance: f64,
    ) -> Motion {
        let Some(song_steps) = song_steps else { return Motion::Continued };
        let (last_steps, last_frames) = self.last_block;
        let by_new_tempo = last_steps + last_frames as f64 / samples_per_step;
        let offset = self.offset as f64;
        let earliest = self.expected_steps.min(by_new_tempo) + offset - tolerance;
        let latest = self.expected_steps.max(by_new_tempo) + offset + tolerance;
        let doubted = std::mem::take(&mut self.doubted_samples);
        if (earliest..=latest).contains(&song_steps) {
            return Motion::Continued;
        }
        if let Some((start, end)) = loop_steps {
            let length = end - start;
            if latest > end as f64 && (earliest..=latest).contains(&(song_steps + length as f64)) {
                self.offset -= length;
                self.pass += 1;
                self.last_seam = Some(start - self.offset);
                return Motion::Continued;
            }
        }
        // Where a host's news of time lies within a block, what wraps us adds the distance from the block's start to its
        // position a second time. Nobody locates by less than a block: such a position is doubted for a block's length.
        let ahead = (song_steps - latest) * samples_per_step;
        if (0.0..=self.max_frames as f64).contains(&ahead) && doubted < self.max_frames {
            self.doubted_samples = doubted.max(1);
            return Motion::Continued;
        }
        // The count goes on behind all that has been planned.
        self.offset = song_steps.floor() as i64 - (self.expected_steps.ceil() as i64 + JUMP_STEPS);
        (self.pass, self.last_seam) = (0, None);
        Motion::Jumped
    }
}

/// A loop that begins and ends on steps; others cannot be foreseen step by step and are jumps.
fn whole_steps((start, end): (f64, f64)) -> Option<(i64, i64)> {
    let step =
        |beats: f64| Some(beats * STEPS_PER_BEAT).filter(|s| (s - s.round()).abs() < 1e-4).map(|s| s.round() as i64);
    Some((step(start)?, step(end)?)).filter(|(start, end)| start < end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(playing: bool, pos_beats: f64) -> HostTime {
        HostTime { playing, tempo_bpm: Some(120.0), pos_beats: Some(pos_beats), ..Default::default() }
    }

    fn begin(clock: &mut Clock, host: &HostTime, frames: usize) -> BlockTime {
        let host_runs = clock.host_runs(host);
        clock.begin_block(host, host_runs, frames)
    }

    #[test]
    fn motions_are_told_apart() {
        let mut clock = Clock::new(48_000.0, 4096);
        let beats = 480.0 / 24_000.0;
        let script =
            [(false, 0.0), (true, 0.0), (true, beats), (true, 7.0), (true, 7.0 + beats), (false, 9.0), (false, 9.0)];
        let motions = script.map(|(playing, pos)| begin(&mut clock, &host(playing, pos), 480).motion);
        use Motion::*;
        assert_eq!(motions, [Stopped, Started, Continued, Jumped, Continued, Halted, Stopped]);
    }

    #[test]
    fn a_position_that_stands_still_is_no_transport() {
        let mut clock = Clock::new(48_000.0, 4096);
        let mut motion = || begin(&mut clock, &host(true, 3.0), 480).motion;
        assert_eq!(motion(), Motion::Started);
        // For a tenth of a second it may be that the host tells its position once for several blocks.
        assert_eq!([(); 10].map(|()| motion()), [Motion::Continued; 10]);
        assert_eq!([(); 3].map(|()| motion()), [Motion::Halted, Motion::Stopped, Motion::Stopped]);
    }

    #[test]
    fn a_position_told_once_for_several_blocks_goes_on_between() {
        let mut clock = Clock::new(48_000.0, 4096);
        for n in 0..40_usize {
            let told = (n / 4 * 4) as f64 * 480.0 / 24_000.0;
            let block = begin(&mut clock, &host(true, told), 480);
            assert_eq!(block.motion, if n == 0 { Motion::Started } else { Motion::Continued });
            assert!((block.pos_steps - n as f64 * 0.08).abs() < 1e-9, "block {n}: {}", block.pos_steps);
        }
    }

    #[test]
    fn a_tempo_that_changes_anywhere_in_a_block_is_no_jump() {
        for (before, after) in [(60.0, 240.0), (240.0, 60.0), (120.0, 121.0)] {
            for changed_at in 0..=4096 {
                let mut clock = Clock::new(48_000.0, 4096);
                let beats = |tempo: f64, samples: usize| samples as f64 * tempo / 60.0 / 48_000.0;
                let at = |tempo, pos| HostTime { tempo_bpm: Some(tempo), ..host(true, pos) };
                begin(&mut clock, &at(before, 0.0), 4096);
                let pos = beats(before, changed_at) + beats(after, 4096 - changed_at);
                let motions =
                    [pos, pos + beats(after, 4096)].map(|pos| begin(&mut clock, &at(after, pos), 4096).motion);
                assert_eq!(motions, [Motion::Continued; 2], "from {before} to {after} at sample {changed_at}");
            }
        }
    }

    #[test]
    fn a_position_slightly_ahead_within_a_block_is_not_believed_at_once() {
        let mut clock = Clock::new(48_000.0, 4096);
        let beats = |samples: f64| samples / 24_000.0;
        // A block of 4096 in three parts; the last two carry news of time, whose positions lie as far ahead as the parts
        // lie behind the block's start.
        let told = [0.0, 2.0 * 1000.0, 2.0 * 3000.0, 4096.0].map(beats);
        let blocks: Vec<_> = told
            .into_iter()
            .zip([1000, 2000, 1096, 4096])
            .map(|(pos, frames)| begin(&mut clock, &host(true, pos), frames))
            .collect();
        let places: Vec<_> = blocks.iter().map(|block| (block.pos_steps * 6000.0).round()).collect();
        assert_eq!(places, [0.0, 1000.0, 3000.0, 4096.0]);
        assert!(blocks[1..].iter().all(|block| block.motion == Motion::Continued));
        // Where it stays ahead, it is a jump after all.
        let ahead = |n: usize| host(true, beats(2.0 * 4096.0 + 3500.0 + 480.0 * n as f64));
        let motions: Vec<_> = (0..12).map(|n| begin(&mut clock, &ahead(n), 480).motion).collect();
        assert_eq!(motions.iter().position(|motion| *motion == Motion::Jumped), Some(9), "{motions:?}");
    }

    #[test]
    fn bars_do_not_shift_while_time_goes_straight_on() {
        let mut clock = Clock::new(48_000.0, 4096);
        let at = |pos, bar_start| HostTime {
            time_signature: Some((7, 8)),
            bar_start_beats: Some(bar_start),
            ..host(true, pos)
        };
        // Bars of 3.5 beats that began at 1: one told as if they had begun at 0 is not believed.
        let bars = [(1.0, 1.0), (1.02, 0.0), (1.04, 1.0)];
        let starts = bars.map(|(pos, bar_start)| begin(&mut clock, &at(pos, bar_start), 480).bar_start_beats());
        assert_eq!(starts, [1.0, 1.0, 1.0]);
        // After a jump it is.
        assert_eq!(begin(&mut clock, &at(9.0, 7.0), 480).bar_start_beats(), 7.0);
    }

    #[test]
    fn a_tempo_of_nothing_is_120() {
        for tempo_bpm in [None, Some(0.0), Some(-5.0), Some(f64::NAN), Some(1e9)] {
            let time = HostTime { tempo_bpm, ..host(true, 1.0) };
            let block = begin(&mut Clock::new(48_000.0, 4096), &time, 64);
            assert_eq!((block.samples_per_step, block.motion), (6000.0, Motion::Stopped), "{tempo_bpm:?}");
        }
    }

    #[test]
    fn steps_fall_on_the_same_sample_whatever_the_rounding() {
        let mut clock = Clock::new(48_000.0, 4096);
        let exact = begin(&mut clock, &host(true, 0.0), 64);
        assert_eq!(exact.sample_of(1.0), 6000);
        for rounding in [-2e-9, 2e-9] {
            let near = BlockTime { pos_steps: 0.5 + rounding, ..exact };
            assert_eq!(near.sample_of(1.0), 3000);
        }
        assert_eq!(exact.step_at(3000), 0.5);
        let seven_eights = BlockTime { bar_start_step: 14, bar_steps: 14, ..exact };
        assert_eq!([13, 14, 17, 27, 28].map(|step| seven_eights.step_in_beat(step)), [1, 0, 3, 1, 0]);
        assert_eq!([13, 14, 28].map(|step| seven_eights.bar_of(step)), [0, 1, 2]);
    }

    #[test]
    fn free_running_time_starts_at_nought_and_yields_to_the_host() {
        let mut clock = Clock::new(48_000.0, 4096);
        clock.start_free_running(600, &host(false, 3.0));
        assert_eq!(begin(&mut clock, &host(false, 3.0), 6600).sample_of(0.0), 600);
        let second = begin(&mut clock, &host(false, 3.0), 6000);
        assert_eq!((second.pos_steps, second.motion), (1.0, Motion::Continued));
        assert_eq!(begin(&mut clock, &host(true, 3.0), 6000).motion, Motion::Jumped);
        assert!(!clock.is_free_running());
    }

    #[test]
    fn a_loop_is_foreseen_and_counted_through() {
        let mut clock = Clock::new(48_000.0, 4096);
        let at = |pos_beats| HostTime { loop_range_beats: Some((2.0, 4.0)), ..host(true, pos_beats) };
        let place = |block: &BlockTime, step| {
            let place = block.place(step);
            (place.song_step, place.pass, place.is_seam)
        };
        let first = begin(&mut clock, &at(3.0), 24_000);
        assert_eq!(place(&first, 15), (15, 0, false));
        assert_eq!(place(&first, 16), (8, 1, true));
        assert_eq!(place(&first, 25), (9, 2, false));
        let second = begin(&mut clock, &at(2.0), 24_000);
        assert_eq!((second.motion, second.pos_steps), (Motion::Continued, 16.0));
        assert_eq!(place(&second, 16), (8, 1, true));
        assert_eq!(place(&second, 17), (9, 1, false));
        assert_eq!(place(&second, 24), (8, 2, true));
        assert_eq!(second.beats_at(12_000), 2.5);
        let jumped = begin(&mut clock, &at(0.5), 24_000);
        assert_eq!(jumped.motion, Motion::Jumped);
        assert!(jumped.pos_steps > 64.0, "a count never comes back");
        assert_eq!(jumped.place(jumped.pos_steps as i64).song_step, 2);
    }
}
