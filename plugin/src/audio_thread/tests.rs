//! The audio thread without a host: it does not allocate, and it copes with a worker that is late or gone.

mod accompany;
mod edges;
mod expression;
mod form;
mod late;
mod parts;
mod phrases;
mod song;
mod starts;
mod tempo;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use continuo_model::decision::Lanes;
use continuo_model::generate::StepSettings;
use continuo_model::generate::{decision_of, symbols_of};
use continuo_model::random::SplitMix64;
use continuo_model::vocabulary::Symbol;
use nice_plug::midi::{Channel, Key, VoiceID};
use nice_plug::prelude::NoteEvent;

use super::process::AudioThread;
use super::settings::{Block, Settings};
use super::transport::HostTime;
use crate::bridge::{self, Answer, Shared, WorkerEnd};
use crate::params::{Feel, Input, Mode, SwingSource, Tonality};
use crate::worker::{Worker, WorkerShared};

const SAMPLE_RATE: f64 = 48_000.0;
const FRAMES: usize = 480;

fn settings(mode: Mode) -> Settings {
    Settings {
        mode,
        respond_bars: 1,
        input: Input::AsVoice,
        hear_keys: (0, 127),
        hear_channel: None,
        enter_on_beat: false,
        evolves: false,
        panic: false,
        bypass: false,
        cadence: false,
        end: false,
        phrase_bars: None,
        voice: 0,
        emit: Lanes::ALL,
        frozen: Lanes::NONE,
        lookahead_steps: 2,
        reply_delay_samples: 240,
        chord_window_samples: 240,
        tonality: Tonality::default(),
        feel: Feel::default(),
        step: StepSettings { rng_seed: 1, ..StepSettings::default() },
    }
}

fn note(timing: u32, key: u8, on: bool) -> NoteEvent<()> {
    let (voice_id, channel, key) = (VoiceID::Wildcard, Channel::Number(0), Key::Number(key));
    if on {
        NoteEvent::NoteOn { timing, voice_id, channel, key, velocity: 0.7 }
    } else {
        NoteEvent::NoteOff { timing, voice_id, channel, key, velocity: 0.0 }
    }
}

/// A live block of 10 ms at 120 bpm, number `n` since the transport started.
fn block(mode: Mode, n: u64, began: Instant) -> Block {
    let host = HostTime {
        playing: true,
        tempo_bpm: Some(120.0),
        pos_beats: Some(n as f64 * FRAMES as f64 / 24_000.0),
        time_signature: Some((4, 4)),
        bar_start_beats: Some((n as f64 * 0.02 / 4.0).floor() * 4.0),
        loop_range_beats: None,
        pos_samples: Some((n * FRAMES as u64) as i64),
    };
    let now = began + Duration::from_millis(10 * n);
    Block { host, frames: FRAMES, settings: settings(mode), now, says_offline: false }
}

#[test]
fn ten_thousand_blocks_of_every_mode_neither_allocate_nor_free() {
    for mode in [Mode::Harmonise, Mode::Continue, Mode::Respond, Mode::Free, Mode::Accompany] {
        let (audio_end, worker_end, _) = bridge::new();
        let worker_shared = WorkerShared::default();
        *worker_shared.frozen.lock().unwrap() = parts::frozen_take();
        let _worker = Worker::start(worker_end, worker_shared);
        let mut audio = AudioThread::new(audio_end, SAMPLE_RATE, 4096, Instant::now);
        let (mut rng, began, mut sent) = (SplitMix64::new(1), Instant::now(), 0);
        for n in 0..10_000 {
            let mut block = block(mode, n, began);
            // Sometimes a frozen take, key snap, panic or bypass; any input mode.
            block.settings.frozen =
                Lanes::from_fn(|lane| n / 300 % 4 == 3 && !(n / 1200 + u64::from(lane)).is_multiple_of(3));
            block.settings.step.snap = n / 500 % 2 == 1;
            if n / 450 % 2 == 1 {
                block.settings.feel = Feel { dynamics: 1.0, humanise: 1.0, swing: SwingSource::Player };
            }
            block.settings.panic = n % 1000 == 999;
            block.settings.bypass = n / 250 % 9 == 8;
            block.settings.cadence = n / 400 % 2 == 1;
            block.settings.input =
                [Input::AsVoice, Input::AsItIs, Input::Drop, Input::ByChannel][(n / 600 % 4) as usize];
            block.settings.hear_keys = if n / 800 % 2 == 1 { (55, 70) } else { (0, 127) };
            // Sometimes the transport stops or jumps.
            block.host.playing = n / 700 % 5 != 4;
            block.host.loop_range_beats = (n / 900 % 2 == 1).then_some((4.0, 12.0));
            nice_assert_no_alloc::assert_no_alloc(|| {
                if n % 40 < 20 && n % 4 == 0 {
                    let key = 50 + rng.next_below(30) as u8;
                    audio.hear(note(rng.next_below(FRAMES) as u32, key, rng.next_below(2) == 0));
                    if n % 12 == 0 {
                        let (cc, value) = ([64, 1, 120, 121, 123][rng.next_below(5)], rng.next_f32());
                        audio.hear(NoteEvent::MidiCC { timing: 0, channel: 0, cc, value });
                        audio.hear(NoteEvent::MidiPitchBend { timing: 0, channel: 0, value });
                    }
                }
                audio.process(&block, &mut (), |_| {
                    sent += 1;
                    sent % 50 != 0
                });
            });
        }
        assert!(sent > 1000, "{mode:?}: only {sent} events were sent");
    }
}

/// If this variable is set, allocates where that is forbidden: the guard must end the process.
#[cfg(debug_assertions)]
#[test]
fn the_allocation_guard_trips() {
    const TRIP: &str = "CONTINUO_TRIP_THE_GUARD";
    if std::env::var_os(TRIP).is_some() {
        nice_assert_no_alloc::assert_no_alloc(|| drop(std::hint::black_box(Box::new(1))));
        return;
    }
    let this = std::env::current_exe().unwrap();
    let name = "audio_thread::tests::the_allocation_guard_trips";
    let output = std::process::Command::new(&this).args([name, "--exact"]).env(TRIP, "1").output().unwrap();
    assert!(!output.status.success(), "an allocation went unnoticed: {}", String::from_utf8_lossy(&output.stdout));
}

/// Answers all requests in the worker's place, with a chord that rises a semitone with each id.
fn answer_all(end: &mut WorkerEnd) -> u64 {
    let mut answered = 0;
    while let Some(request) = end.request() {
        let root = 40 + (request.id % 12) as u8;
        let keys = [root + 24, root + 19, root + 12, root];
        end.answer(Answer {
            id: request.id,
            decision: decision_of(keys.map(Symbol::Pitch), [None; 4], keys.map(Some)),
        });
        answered += 1;
    }
    answered
}

thread_local! {
    /// Where the clock of a [`Starved`] stands, if it does.
    static STANDS_AT: std::cell::Cell<Option<Instant>> = const { std::cell::Cell::new(None) };
}

fn patient_clock() -> Instant {
    STANDS_AT.get().unwrap_or_else(Instant::now)
}

struct Starved {
    audio: AudioThread,
    end: Option<WorkerEnd>,
    shared: Arc<Shared>,
    began: Instant,
    n: u64,
}

impl Starved {
    fn new() -> Self {
        let (audio_end, end, _) = bridge::new();
        let shared = audio_end.shared.clone();
        shared.worker_runs.store(true, Ordering::Release);
        Self {
            audio: AudioThread::new(audio_end, SAMPLE_RATE, 4096, patient_clock).with_own_budget(),
            end: Some(end),
            shared,
            began: Instant::now(),
            n: 0,
        }
    }

    /// Plays a block of Harmonise in real time. Returns the notes sent, as (is on, channel, key), and how long it took.
    fn block(&mut self, input: &[NoteEvent<()>]) -> (Vec<(bool, u8, u8)>, Duration) {
        let began = Instant::now();
        let mut block = block(Mode::Harmonise, self.n, self.began);
        block.now = patient_clock();
        input.iter().for_each(|event| self.audio.hear(*event));
        let mut sent = Vec::new();
        self.audio.process(&block, &mut (), |event| {
            let (on, channel, key) = match event {
                NoteEvent::NoteOn { channel, key, .. } => (true, channel, key),
                NoteEvent::NoteOff { channel, key, .. } => (false, channel, key),
                other => panic!("unexpected event {other:?}"),
            };
            sent.push((on, channel.number().unwrap(), key.number().unwrap()));
            true
        });
        let took = began.elapsed();
        self.n += 1;
        // A live host requests the next block when this one has been played.
        std::thread::sleep(Duration::from_millis(10).saturating_sub(took));
        (sent, took)
    }
}

#[test]
fn a_late_worker_holds_what_sounds_and_is_never_played_late() {
    let mut starved = Starved::new();
    starved.block(&[]);
    // For the first note the worker runs, until the block is over: the block may request several steps.
    let is_over = Arc::new(AtomicBool::new(false));
    let answering = {
        let (mut end, is_over) = (starved.end.take().unwrap(), is_over.clone());
        std::thread::spawn(move || {
            while !is_over.load(Ordering::Acquire) {
                answer_all(&mut end);
                std::hint::spin_loop();
            }
            end
        })
    };
    // The clock stands, so the worker gets the time that it needs, however slow the machine.
    STANDS_AT.set(Some(Instant::now()));
    let (chord, _) = starved.block(&[note(0, 72, true)]);
    STANDS_AT.set(None);
    is_over.store(true, Ordering::Release);
    let mut end = answering.join().unwrap();
    assert_eq!(chord.len(), 4, "the note and its answer: {chord:?}");
    answer_all(&mut end);
    let misses = || starved.shared.misses.load(Ordering::Relaxed);
    let before = misses();

    // For the next note it does not run: it answers 300 ms later.
    let mut all_sent = Vec::new();
    let (sent, took) = starved.block(&[note(0, 72, false), note(0, 74, true)]);
    all_sent.extend(sent);
    // A block of 10 ms allows a wait of 2.5 ms. The rest of the second allows for a machine that others share.
    assert!(took < Duration::from_secs(1), "the block waited for {took:?}");
    for _ in 0..29 {
        all_sent.extend(starved.block(&[]).0);
    }
    assert!(starved.shared.misses.load(Ordering::Relaxed) > before, "a miss was not counted");
    let generated: Vec<_> = all_sent.iter().filter(|(_, channel, _)| *channel != 0).collect();
    assert!(generated.is_empty(), "what sounds is held: {generated:?}");
    assert_eq!(all_sent, [(false, 0, 72), (true, 0, 74)], "the player's notes go through");

    // The late answers arrive. None of them plays, and the next note is answered as usual.
    assert!(answer_all(&mut end) > 0);
    let (sent, _) = starved.block(&[]);
    assert!(sent.is_empty(), "a late answer was played: {sent:?}");
    starved.end = Some(end);
}

#[test]
fn a_host_without_a_tempo_is_noticed() {
    let mut starved = Starved::new();
    let mut noticed = |tempo_bpm: Option<f64>| {
        let mut block = block(Mode::Harmonise, starved.n, starved.began);
        starved.n += 1;
        block.host.tempo_bpm = tempo_bpm;
        starved.audio.process(&block, &mut (), |_| true);
        starved.shared.host_without_time.load(Ordering::Relaxed)
    };
    assert_eq!([Some(0.0), None, Some(120.0)].map(&mut noticed), [true, true, false]);
}

#[test]
fn without_a_worker_notes_go_through_at_once() {
    // The worker may be gone, or not there yet: a host may process before it activates.
    let (audio_end, end, _) = bridge::new();
    assert!(!audio_end.can_answer());
    let mut starved = Starved::new();
    starved.shared = audio_end.shared.clone();
    (starved.audio, starved.end) = (AudioThread::new(audio_end, SAMPLE_RATE, 4096, Instant::now), Some(end));
    let mut sent = Vec::new();
    for n in 0..200_u8 {
        let input = match n % 20 {
            0 => vec![note(3, 60 + n / 20, true)],
            10 => vec![note(3, 60 + n / 20, false)],
            _ => Vec::new(),
        };
        sent.extend(starved.block(&input).0);
    }
    let expected: Vec<_> = (60..70).flat_map(|key| [(true, 0, key), (false, 0, key)]).collect();
    assert_eq!(sent, expected);
}

#[test]
fn a_worker_that_fails_says_so() {
    let (audio_end, worker_end, _) = bridge::new();
    let worker = Worker::start(worker_end, WorkerShared::default());
    assert!(audio_end.can_answer());
    drop(worker);
    assert!(!audio_end.can_answer());
}

#[test]
fn a_note_that_begins_time_anew_in_the_block_of_its_end_is_not_cut() {
    let mut starved = Starved::new();
    starved.shared.worker_runs.store(false, Ordering::Release);
    let mut play = |frames: usize, input: &[NoteEvent<()>]| {
        let mut block = block(Mode::Continue, 0, Instant::now());
        (block.host.playing, block.frames) = (false, frames);
        input.iter().for_each(|event| starved.audio.hear(*event));
        let mut sent = Vec::new();
        starved.audio.process(&block, &mut (), |event| {
            sent.push((event.timing(), matches!(event, NoteEvent::NoteOn { .. })));
            true
        });
        (sent, starved.audio.is_free_running())
    };
    // Free-running time ends 65 steps after the note, in the middle of the second block.
    play(64 * 6000, &[note(0, 60, true), note(3000, 60, false)]);
    let (sent, runs) = play(12_000, &[note(9000, 62, true)]);
    assert_eq!((sent, runs), (vec![(9000, true)], true));
    assert_eq!(play(6000, &[]), (Vec::new(), true), "the note sounds on");
    assert_eq!(play(6000, &[note(5, 62, false)]).0, [(5, false)]);
    // The new free-running time ends 65 steps after its note, too.
    play(63 * 6000 - 3001, &[]);
    assert_eq!((play(1, &[]).1, play(1, &[]).1), (true, false));
}

#[test]
fn passed_events_keep_handle_and_release_and_stay_in_the_block() {
    for bypass in [false, true] {
        let mut starved = Starved::new();
        starved.shared.worker_runs.store(false, Ordering::Release);
        let mut block = block(Mode::Harmonise, 0, Instant::now());
        block.settings.bypass = bypass;
        let address = |key| (VoiceID::ID(i32::from(key) + 900), Channel::Number(2), Key::Number(key));
        let on = |timing, key| {
            let (voice_id, channel, key) = address(key);
            NoteEvent::NoteOn { timing, voice_id, channel, key, velocity: 0.7 }
        };
        let off = |timing, key, velocity| {
            let (voice_id, channel, key) = address(key);
            NoteEvent::NoteOff { timing, voice_id, channel, key, velocity }
        };
        // A note-off that names one of two notes by its handle alone, and a pitch bend after the block's end.
        let (channel, key) = (Channel::Wildcard, Key::Wildcard);
        let by_handle = NoteEvent::NoteOff { timing: 20, voice_id: VoiceID::ID(962), channel, key, velocity: 0.5 };
        let wheel = |timing| NoteEvent::MidiPitchBend { timing, channel: 2, value: 0.75 };
        // Expressions of one note.
        let (voice_id, channel, key) = address(60);
        let tuning = NoteEvent::PolyTuning { timing: 8, voice_id, channel, key, tuning: 0.3 };
        let pressure = NoteEvent::PolyPressure { timing: 9, voice_id, channel, key, pressure: 0.6 };
        let input = [on(3, 60), on(4, 62), tuning, pressure, by_handle, off(30, 60, 0.25), wheel(900)];
        input.iter().for_each(|event| starved.audio.hear(*event));
        block.settings.input = Input::AsItIs;
        let mut sent = Vec::new();
        starved.audio.process(&block, &mut (), |event| {
            sent.push(event);
            true
        });
        let expected = [on(3, 60), on(4, 62), tuning, pressure, off(20, 62, 0.5), off(30, 60, 0.25)];
        assert_eq!(sent, expected, "bypass {bypass}");
        // An event after the block's end goes out at the start of the next block.
        sent.clear();
        starved.audio.process(&block, &mut (), |event| {
            sent.push(event);
            true
        });
        assert_eq!(sent, [wheel(0)], "bypass {bypass}");
    }
}
