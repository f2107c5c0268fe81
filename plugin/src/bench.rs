//! The program behind `cargo xtask bench --stages`: it plays a tune through the audio thread as a host does, and
//! measures the time of each stage. Not part of the bundles.

use std::time::{Duration, Instant};

use continuo_model::decision::Lanes;
use continuo_model::generate::{StepSettings, decision_of};
use continuo_model::vocabulary::Symbol;
use nice_plug::midi::{Channel, Key, VoiceID};
use nice_plug::prelude::NoteEvent;

use crate::audio_thread::process::AudioThread;
use crate::audio_thread::settings::{Block, Settings};
use crate::audio_thread::stages::{Stage, StageClock};
use crate::audio_thread::transport::HostTime;
use crate::bridge::{self, Answer, WorkerEnd};
use crate::frozen::FrozenTake;
use crate::params::{Feel, Input, Mode, Tonality};

const SAMPLE_RATE: f64 = 48_000.0;
/// Samples in a block.
const FRAMES: usize = 512;
const TEMPO_BPM: f64 = 120.0;
const SAMPLES_PER_BEAT: f64 = SAMPLE_RATE * 60.0 / TEMPO_BPM;
const NUM_BARS: usize = 32;
/// The number of runs of each piece, of which the median counts.
const NUM_RUNS: usize = 41;

/// Two bars for two hands: beat, length in beats, key. The hands play early, late and legato.
const TUNE: [(f64, f64, u8); 14] = [
    (0.00, 1.05, 72),
    (0.02, 1.90, 48),
    (0.99, 0.55, 74),
    (1.51, 0.50, 76),
    (2.01, 1.02, 77),
    (1.98, 2.00, 53),
    (3.00, 0.98, 76),
    (4.01, 0.52, 74),
    (4.00, 2.00, 55),
    (4.50, 0.49, 76),
    (4.99, 1.03, 74),
    (6.02, 1.80, 72),
    (6.00, 1.90, 48),
    (6.03, 1.80, 64),
];

/// A way to play the tune.
struct Piece {
    name: &'static str,
    mode: Mode,
    /// Whether the bass plays a frozen take.
    has_frozen_bass: bool,
}

const PIECES: [Piece; 3] = [
    Piece { name: "Harmonise", mode: Mode::Harmonise, has_frozen_bass: false },
    Piece { name: "Respond", mode: Mode::Respond, has_frozen_bass: false },
    Piece { name: "frozen bass", mode: Mode::Harmonise, has_frozen_bass: true },
];

/// Plays all pieces, and prints the time of each stage per block and its share of the block's time.
pub fn print_stages() {
    println!("audio thread, blocks of {FRAMES} samples at 48 kHz: mean time per block, us, and share of the block");
    let figures = PIECES.map(|piece| median(&piece));
    println!("{:<16}{}", "", PIECES.map(|piece| format!("{:>18}", piece.name)).concat());
    for stage in Stage::ALL {
        let cells = figures.map(|stages| cell(stages[stage as usize], stages.iter().sum()));
        println!("{:<16}{}", stage.name(), cells.concat());
    }
    let whole = figures.map(|stages| stages.iter().sum::<f64>());
    println!("{:<16}{}", "whole block", whole.map(|us| cell(us, us)).concat());
}

fn cell(us: f64, whole_us: f64) -> String {
    format!("{us:>10.2} {:>5.1} %", 100.0 * us / whole_us)
}

/// Microseconds per block for each stage, the median of the runs.
fn median(piece: &Piece) -> [f64; Stage::ALL.len()] {
    let runs: Vec<_> = (0..NUM_RUNS).map(|_| run(piece, NUM_BARS).us_per_block()).collect();
    std::array::from_fn(|stage| {
        let mut times: Vec<f64> = runs.iter().map(|run| run[stage]).collect();
        times.sort_unstable_by(f64::total_cmp);
        times[times.len() / 2]
    })
}

/// The time spent in each stage.
struct Laps {
    times: [Duration; Stage::ALL.len()],
    /// How many times each stage was entered.
    counts: [u32; Stage::ALL.len()],
    num_blocks: u32,
    at_work: Option<(Stage, Instant)>,
}

impl Laps {
    fn new() -> Self {
        Self { times: Default::default(), counts: Default::default(), num_blocks: 0, at_work: None }
    }

    /// Ends a block.
    fn stop(&mut self) {
        if let Some((stage, since)) = self.at_work.take() {
            self.times[stage as usize] += since.elapsed();
        }
        self.num_blocks += 1;
    }

    /// Microseconds per block for each stage, without the time for reading the clock.
    fn us_per_block(&self) -> [f64; Stage::ALL.len()] {
        let mut empty = Self::new();
        const NUM_LOOKS: u32 = 10_000;
        (0..NUM_LOOKS).for_each(|_| empty.enter(Stage::Time));
        let look_us = empty.times[Stage::Time as usize].as_secs_f64() * 1e6 / f64::from(NUM_LOOKS);
        std::array::from_fn(|stage| {
            let us = self.times[stage].as_secs_f64() * 1e6 - f64::from(self.counts[stage]) * look_us;
            us.max(0.0) / f64::from(self.num_blocks)
        })
    }
}

impl StageClock for Laps {
    fn enter(&mut self, stage: Stage) {
        let now = Instant::now();
        if let Some((before, since)) = self.at_work.replace((stage, now)) {
            self.times[before as usize] += now - since;
        }
        self.counts[stage as usize] += 1;
    }
}

/// Plays the tune through `num_bars` bars.
fn run(piece: &Piece, num_bars: usize) -> Laps {
    let (audio_end, mut worker, _editor_end) = bridge::new();
    audio_end.shared.worker_runs.store(true, std::sync::atomic::Ordering::Release);
    let mut audio = AudioThread::new(audio_end, SAMPLE_RATE, FRAMES, Instant::now);
    if piece.has_frozen_bass {
        worker.freeze(frozen_bass(num_bars).part());
    }
    let (mut laps, mut events) = (Laps::new(), tune(piece, num_bars).into_iter().peekable());
    let num_blocks = (num_bars as f64 * 4.0 * SAMPLES_PER_BEAT / FRAMES as f64) as usize;
    let began = Instant::now();
    for n in 0..num_blocks {
        let begin = n * FRAMES;
        while let Some((at, event)) = events.next_if(|(at, _)| *at < begin + FRAMES) {
            audio.hear(at_timing(event, (at - begin) as u32));
        }
        // A live host processes a block when the previous one has sounded.
        let now = began + Duration::from_secs_f64(begin as f64 / SAMPLE_RATE);
        let block =
            Block { host: host_time(begin), frames: FRAMES, settings: settings(piece), now, says_offline: false };
        audio.process(&block, &mut laps, |_| true);
        laps.stop();
        answer_all(&mut worker);
        while worker.told().is_some() {}
    }
    laps
}

fn host_time(begin: usize) -> HostTime {
    let pos_beats = begin as f64 / SAMPLES_PER_BEAT;
    HostTime {
        playing: true,
        tempo_bpm: Some(TEMPO_BPM),
        pos_beats: Some(pos_beats),
        pos_samples: Some(begin as i64),
        bar_start_beats: Some((pos_beats / 4.0).floor() * 4.0),
        time_signature: Some((4, 4)),
        loop_range_beats: None,
    }
}

fn settings(piece: &Piece) -> Settings {
    Settings {
        mode: piece.mode,
        respond_bars: 2,
        input: Input::AsVoice,
        hear_keys: (0, 127),
        hear_channel: None,
        enter_on_beat: false,
        evolves: false,
        panic: false,
        bypass: false,
        voice: 0,
        cadence: false,
        end: false,
        phrase_bars: None,
        emit: Lanes::first(4),
        frozen: Lanes::from_fn(|lane| piece.has_frozen_bass && lane == 3),
        lookahead_steps: 2,
        reply_delay_samples: 1200,
        chord_window_samples: 1200,
        tonality: Tonality::default(),
        feel: Feel::default(),
        step: StepSettings { rng_seed: 1, strict: true, ..StepSettings::default() },
    }
}

/// The tune's notes, a wheel that moves on every quarter and a pedal in each bar, in order of samples. In Respond the
/// network plays every other two bars.
fn tune(piece: &Piece, num_bars: usize) -> Vec<(usize, NoteEvent<()>)> {
    let sample = |beats: f64| (beats * SAMPLES_PER_BEAT) as usize;
    let mut events = Vec::new();
    for turn in (0..num_bars / 2).step_by(if piece.mode == Mode::Respond { 2 } else { 1 }) {
        let start = turn as f64 * 8.0;
        for (beat, length, key) in TUNE {
            let (voice_id, channel, key) = (VoiceID::Wildcard, Channel::Number(0), Key::Number(key));
            let (timing, velocity) = (0, 0.7);
            let (on, off) = (start + beat, start + beat + length);
            events.push((sample(on), NoteEvent::NoteOn { timing, voice_id, channel, key, velocity }));
            events.push((sample(off), NoteEvent::NoteOff { timing, voice_id, channel, key, velocity }));
        }
        for quarter in 0..8 {
            let value = quarter as f32 / 8.0;
            let wheel = NoteEvent::MidiCC { timing: 0, channel: 0, cc: 1, value };
            events.push((sample(start + f64::from(quarter) + 0.3), wheel));
        }
        for (beat, value) in [(0.1, 1.0), (3.8, 0.0), (4.1, 1.0), (7.8, 0.0)] {
            events.push((sample(start + beat), NoteEvent::MidiCC { timing: 0, channel: 0, cc: 64, value }));
        }
    }
    events.sort_by_key(|(at, _)| *at);
    events
}

fn at_timing(mut event: NoteEvent<()>, at: u32) -> NoteEvent<()> {
    if let NoteEvent::NoteOn { timing, .. } | NoteEvent::NoteOff { timing, .. } | NoteEvent::MidiCC { timing, .. } =
        &mut event
    {
        *timing = at;
    }
    event
}

/// A frozen take whose bass moves every half bar.
fn frozen_bass(num_bars: usize) -> FrozenTake {
    const GENERATED_BASS: u8 = 16 + 3;
    const HALF_BAR_TICKS: usize = 1920;
    let note =
        |n: usize| format!("[{GENERATED_BASS},{},90,{},{HALF_BAR_TICKS}]", [48, 53, 55, 48][n % 4], n * HALF_BAR_TICKS);
    let notes: Vec<_> = (0..num_bars * 2).map(note).collect();
    let text = format!(r#"{{"version":1,"number":1,"notes":[{}]}}"#, notes.join(","));
    serde_json::from_str(&text).expect("a frozen take")
}

/// Answers all requests in place of the worker: a chord on each beat, held in between.
fn answer_all(worker: &mut WorkerEnd) {
    while let Some(request) = worker.request() {
        let beat = request.step.step_idx.div_euclid(4);
        let keys = [76, 67, 60, 48].map(|key| key - (beat % 3) as u8);
        let row = if request.step.step_in_beat == 0 || request.step.attack {
            keys.map(Symbol::Pitch)
        } else {
            [Symbol::Hold; 4]
        };
        worker.answer(Answer { id: request.id, decision: decision_of(row, keys.map(Some), keys.map(Some)) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_piece_enters_exactly_the_stages_that_it_needs() {
        let entered = |piece: &Piece| {
            let counts = run(piece, 8).counts;
            Stage::ALL.map(|stage| counts[stage as usize] > 0)
        };
        let [harmonise, respond, frozen] = PIECES.map(|piece| entered(&piece));
        let without = |missing: &[Stage]| Stage::ALL.map(|stage| !missing.contains(&stage));
        assert_eq!(harmonise, without(&[Stage::Frozen]));
        assert_eq!(respond, without(&[Stage::Plan, Stage::Frozen]));
        assert_eq!(frozen, without(&[]));
    }
}
