//! The host's musical time, checked and made gapless: where the block lies in steps, and whether it goes on from the
//! last one. Audio thread.

/// Steps in a beat; musical time is decided in steps.
pub const STEPS_PER_BEAT: f64 = 4.0;
/// Tempi outside this range are not music; a host that reports one is treated as if it had reported none.
const TEMPO_RANGE_BPM: std::ops::RangeInclusive<f64> = 1.0..=999.0;
const DEFAULT_TEMPO_BPM: f64 = 120.0;
/// Two places in time that are nearer than this, in samples, are one: hosts round positions.
const ROUNDING_SAMPLES: f64 = 0.01;

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
}

impl HostTime {
    /// The tempo, if it is one.
    fn tempo_bpm(&self) -> Option<f64> {
        self.tempo_bpm.filter(|tempo| TEMPO_RANGE_BPM.contains(tempo))
    }

    /// Whether the host's transport runs and says where it is. Without a tempo its position means nothing: some hosts
    /// then report one that stands still.
    pub fn runs(&self) -> bool {
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
    /// Time goes on.
    Continued,
    /// Time ran, and stops here.
    Halted,
}

/// A block's place in musical time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlockTime {
    /// How it goes on.
    pub motion: Motion,
    /// Position of the first sample, steps.
    pub pos_steps: f64,
    /// Length of a step, samples.
    pub samples_per_step: f64,
    /// The step on which the bar began.
    pub bar_start_step: i64,
}

impl BlockTime {
    /// The first sample of the block that lies at or after `step`; negative if it was before the block.
    pub fn sample_of(&self, step: f64) -> i64 {
        ((step - self.pos_steps) * self.samples_per_step - ROUNDING_SAMPLES).ceil() as i64
    }

    /// Where `sample` of the block lies, steps.
    pub fn step_at(&self, sample: u32) -> f64 {
        self.pos_steps + f64::from(sample) / self.samples_per_step
    }

    /// Which 16th of the beat `step` is, counted from the start of the bar.
    pub fn step_in_beat(&self, step: i64) -> usize {
        (step - self.bar_start_step).rem_euclid(STEPS_PER_BEAT as i64) as usize
    }
}

/// Follows the host from block to block.
pub struct Clock {
    sample_rate: f64,
    was_running: bool,
    /// Where the next block should begin if time goes on, steps.
    expected_steps: f64,
    /// Time runs on its own, without the host's transport.
    free_running: bool,
}

impl Clock {
    /// For a sample rate in Hertz.
    pub fn new(sample_rate: f64) -> Self {
        Self { sample_rate, was_running: false, expected_steps: 0.0, free_running: false }
    }

    /// Lets time run although the host's stands still; the sample `timing` of the coming block is its beginning.
    pub fn start_free_running(&mut self, timing: u32, host: &HostTime) {
        self.free_running = true;
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

    /// Takes the host's word for a block of `frames` samples.
    pub fn begin_block(&mut self, host: &HostTime, frames: usize) -> BlockTime {
        let samples_per_step = self.samples_per_step(host);
        let frames_steps = frames as f64 / samples_per_step;
        let host_runs = host.runs();
        if host_runs {
            self.free_running = false;
        }
        let runs = host_runs || self.free_running;
        let host_steps = host.pos_beats.filter(|_| host_runs).map(|beats| beats * STEPS_PER_BEAT);
        let pos_steps = host_steps.unwrap_or(self.expected_steps);
        // A tempo ramp drifts within a block; anything more is a jump.
        let tolerance = 0.08_f64.max(0.1 * frames_steps);
        let motion = match (self.was_running, runs) {
            (false, false) => Motion::Stopped,
            (true, false) => Motion::Halted,
            (false, true) => Motion::Started,
            (true, true) if (pos_steps - self.expected_steps).abs() > tolerance => Motion::Jumped,
            (true, true) => Motion::Continued,
        };
        self.was_running = runs;
        self.expected_steps = pos_steps + frames_steps;
        let bar_start = host.bar_start_beats.filter(|_| host_runs && host.time_signature.is_some());
        let bar_start_step = bar_start.map_or(0, |beats| (beats * STEPS_PER_BEAT).round() as i64);
        BlockTime { motion, pos_steps, samples_per_step, bar_start_step }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(playing: bool, pos_beats: f64) -> HostTime {
        HostTime { playing, tempo_bpm: Some(120.0), pos_beats: Some(pos_beats), ..Default::default() }
    }

    #[test]
    fn motions_are_told_apart() {
        let mut clock = Clock::new(48_000.0);
        let beats = 480.0 / 24_000.0;
        let script =
            [(false, 0.0), (true, 0.0), (true, beats), (true, 7.0), (true, 7.0 + beats), (false, 9.0), (false, 9.0)];
        let motions = script.map(|(playing, pos)| clock.begin_block(&host(playing, pos), 480).motion);
        use Motion::*;
        assert_eq!(motions, [Stopped, Started, Continued, Jumped, Continued, Halted, Stopped]);
    }

    #[test]
    fn a_tempo_of_nothing_is_120() {
        for tempo_bpm in [None, Some(0.0), Some(-5.0), Some(f64::NAN), Some(1e9)] {
            let time = HostTime { tempo_bpm, ..host(true, 1.0) };
            let block = Clock::new(48_000.0).begin_block(&time, 64);
            assert_eq!((block.samples_per_step, block.motion), (6000.0, Motion::Stopped), "{tempo_bpm:?}");
        }
    }

    #[test]
    fn steps_fall_on_the_same_sample_whatever_the_rounding() {
        let mut clock = Clock::new(48_000.0);
        let exact = clock.begin_block(&host(true, 0.0), 64);
        assert_eq!(exact.sample_of(1.0), 6000);
        for rounding in [-2e-9, 2e-9] {
            let near = BlockTime { pos_steps: 0.5 + rounding, ..exact };
            assert_eq!(near.sample_of(1.0), 3000);
        }
        assert_eq!(exact.step_at(3000), 0.5);
        assert_eq!(BlockTime { bar_start_step: 14, ..exact }.step_in_beat(17), 3);
    }

    #[test]
    fn free_running_time_starts_at_nought_and_yields_to_the_host() {
        let mut clock = Clock::new(48_000.0);
        clock.start_free_running(600, &host(false, 3.0));
        assert_eq!(clock.begin_block(&host(false, 3.0), 6600).sample_of(0.0), 600);
        let second = clock.begin_block(&host(false, 3.0), 6000);
        assert_eq!((second.pos_steps, second.motion), (1.0, Motion::Continued));
        assert_eq!(clock.begin_block(&host(true, 3.0), 6000).motion, Motion::Jumped);
        assert!(!clock.is_free_running());
    }
}
