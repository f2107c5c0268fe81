//! How the player plays reaches the requests: level, accents and swing, and the steps on which swung notes count. The
//! test plays the worker.

use continuo_model::expression::{Expression, SwungNotes};
use continuo_model::generate::Step;

use super::parts::{CLOCK, watch};
use super::*;

/// A beat at 120 bpm, in samples.
const BEAT: f64 = 24_000.0;

/// A note of the player's: start in beats, end in beats, velocity.
type Played = (f64, f64, f32);

/// A host in 4/4 whose worker answers every request with a chord.
struct Host {
    audio: AudioThread,
    end: WorkerEnd,
    settings: Settings,
    loop_beats: Option<f64>,
    /// The time of the next block: a live host plays each block when it is due.
    now: Instant,
    /// Samples played.
    position: u64,
    /// What was requested last for each round and song step.
    requested: Vec<(u64, Step, Expression)>,
}

impl Host {
    fn new(mode: Mode) -> Self {
        let (audio_end, end, _) = bridge::new();
        audio_end.shared.worker_runs.store(true, Ordering::Release);
        let now = Instant::now();
        CLOCK.set(Some(now));
        let feel = Feel { dynamics: 1.0, humanise: 1.0, swing: SwingSource::Player };
        Self {
            audio: AudioThread::new(audio_end, SAMPLE_RATE, 4096, watch).with_own_budget(),
            end,
            settings: Settings { feel, ..settings(mode) },
            loop_beats: None,
            now,
            position: 0,
            requested: Vec::new(),
        }
    }

    /// Plays up to a beat, counted through loops, in blocks of at most `frames`.
    fn play(&mut self, to_beats: f64, frames: u64, played: &[Played]) {
        let sample = |beats: f64| (beats * BEAT).round() as u64;
        let round_samples = self.loop_beats.map(sample);
        while self.position < sample(to_beats) {
            let to_round = round_samples.map_or(u64::MAX, |round| round - self.position % round);
            let block_frames = frames.min(sample(to_beats) - self.position).min(to_round);
            let inside = self.position..self.position + block_frames;
            let mut events = Vec::new();
            for (n, (start, end, velocity)) in (0_u8..).zip(played) {
                let mut add = |beats: f64, on: bool| {
                    let at = sample(beats);
                    if inside.contains(&at) {
                        events.push((at, on, 60 + n % 12, *velocity));
                    }
                };
                add(*start, true);
                add(*end, false);
            }
            events.sort_by_key(|(at, on, ..)| (*at, *on));
            for (at, on, key, velocity) in events {
                self.audio.hear(with_velocity(note((at - inside.start) as u32, key, on), velocity));
            }
            self.block(block_frames, true);
        }
    }

    fn block(&mut self, frames: u64, playing: bool) {
        let round = self.loop_beats.map_or(f64::MAX, |beats| beats * BEAT);
        let pos_beats = (self.position as f64 % round) / BEAT;
        let host = HostTime {
            playing,
            tempo_bpm: Some(120.0),
            pos_beats: Some(pos_beats),
            time_signature: Some((4, 4)),
            bar_start_beats: Some((pos_beats / 4.0).floor() * 4.0),
            loop_range_beats: self.loop_beats.map(|beats| (0.0, beats)),
            pos_samples: None,
        };
        let (settings, now) = (self.settings, self.now);
        CLOCK.set(Some(now));
        self.now += Duration::from_secs_f64(frames as f64 / SAMPLE_RATE);
        let block = Block { host, frames: frames as usize, settings, now, says_offline: false };
        self.audio.process(&block, &mut (), |_| true);
        let steps_in_round = self.loop_beats.map_or(i64::MAX, |beats| (beats * 4.0) as i64);
        while let Some(request) = self.end.request() {
            let keys = [72, 67, 60, 48];
            self.end.answer(Answer {
                id: request.id,
                decision: decision_of(keys.map(Symbol::Pitch), [None; 4], keys.map(Some)),
            });
            let round = request.count.div_euclid(steps_in_round) as u64;
            self.requested.retain(|(of, step, _)| (*of, step.step_idx) != (round, request.step.step_idx));
            self.requested.push((round, request.step, request.expression));
        }
        self.position += frames;
    }

    /// The expression of a step in which the network plays alone.
    fn expression(&self, round: u64, step_idx: i64) -> Expression {
        let found = self.requested.iter().find(|(of, step, _)| (*of, step.step_idx) == (round, step_idx));
        let (_, step, expression) = found.expect("the step is requested");
        assert!(step.given.lanes.is_empty(), "the network's step");
        *expression
    }

    /// The steps on which the network hears the player's notes start.
    fn heard_starts(&self) -> Vec<i64> {
        let starts = |step: &Step| step.given.notes.starts(step.given.lanes.iter().next().unwrap_or(0)).count() > 0;
        self.requested.iter().filter(|(_, step, _)| starts(step)).map(|(_, step, _)| step.step_idx).collect()
    }
}

fn with_velocity(event: NoteEvent<()>, velocity: f32) -> NoteEvent<()> {
    match event {
        NoteEvent::NoteOn { timing, voice_id, channel, key, .. } => {
            NoteEvent::NoteOn { timing, voice_id, channel, key, velocity }
        }
        other => other,
    }
}

/// A bar and three quarters of eighths with this ratio, played by hands: each note up to 10 ms early or late.
fn eighths(ratio: f64, velocity: f32) -> Vec<Played> {
    let mut rng = SplitMix64::new(11);
    (0..7)
        .flat_map(|beat| {
            let mut at = |part: f64| f64::from(beat) + 0.05 + part + 0.02 * f64::from(rng.next_f32() - rng.next_f32());
            let (on, off, next) = (at(-0.05), at(ratio - 0.05), at(0.9));
            [(on, off, velocity), (off, next, velocity)]
        })
        .map(|(start, end, velocity)| (start.max(0.0), end, velocity))
        .collect()
}

#[test]
fn the_level_and_the_accents_are_the_players() {
    let levels = [0.2, 0.4, 0.6, 0.8, 1.0].map(|velocity| {
        let mut host = Host::new(Mode::Continue);
        host.play(12.0, 480, &eighths(0.5, velocity));
        let expression = host.expression(0, 40);
        assert!((expression.level - velocity).abs() < 0.01, "{expression:?}");
        expression.level
    });
    assert!(levels.is_sorted_by(|a, b| a < b));
    let accented: Vec<Played> =
        (0..7).map(|n| (f64::from(n), f64::from(n) + 0.8, if n % 4 == 1 { 0.9 } else { 0.5 })).collect();
    let mut host = Host::new(Mode::Continue);
    host.play(16.0, 480, &accented);
    let accents = [32, 36, 40].map(|step| host.expression(0, step).accent);
    assert!(accents[1] > 0.1 && accents[0] <= 0.0 && accents[2] <= 0.0, "{accents:?}");
}

#[test]
fn a_swung_phrase_is_heard_as_eighths_and_answered_swung() {
    for (ratio, swings) in [(0.5, false), (0.6, true), (0.667, true), (0.71, true)] {
        let mut host = Host::new(Mode::Continue);
        host.play(16.0, 480, &eighths(ratio, 0.7));
        // Near a dotted rhythm the first notes may be taken for one.
        let heard = host.heard_starts();
        let on_eighths = heard.iter().filter(|step| *step % 2 == 0).count();
        assert!(on_eighths >= if ratio < 0.7 { 14 } else { 11 }, "{ratio}: {heard:?}");
        assert!(heard.iter().all(|step| *step < 16 || *step % 2 == 0), "{ratio}: {heard:?}");
        let swing = host.expression(0, 40).swing;
        assert_eq!(swing.is_some(), swings, "{ratio}: {swing:?}");
        if let Some(swing) = swing {
            assert!((swing.ratio() - ratio).abs() < 0.03 && swing.notes() == SwungNotes::Eighths, "{ratio}: {swing:?}");
        }
    }
    // With Swing off, notes are heard where they are played.
    let mut host = Host::new(Mode::Continue);
    host.settings.feel.swing = SwingSource::Off;
    host.play(16.0, 480, &eighths(0.71, 0.7));
    assert!(host.heard_starts().iter().filter(|step| *step % 4 == 3).count() >= 6, "{:?}", host.heard_starts());
    assert_eq!(host.expression(0, 40).swing, None);
}

#[test]
fn requests_are_the_same_at_any_block_size() {
    for mode in [Mode::Continue, Mode::Harmonise, Mode::Free] {
        let requested = |frames: u64| {
            let mut host = Host::new(mode);
            host.play(12.0, frames, &eighths(0.66, 0.7));
            host.requested.sort_by_key(|(_, step, _)| step.step_idx);
            host.requested.into_iter().filter(|(_, step, _)| step.step_idx < 40).collect::<Vec<_>>()
        };
        let at_480 = requested(480);
        assert!(at_480.len() > 25, "{mode:?}: {}", at_480.len());
        for frames in [17, 64, 4096] {
            assert_eq!(requested(frames), at_480, "{mode:?}, blocks of {frames}");
        }
    }
}

#[test]
fn each_round_of_a_loop_has_the_same_expression() {
    let mut host = Host::new(Mode::Continue);
    host.loop_beats = Some(16.0);
    host.play(64.0, 480, &eighths(0.66, 0.4));
    for step in 34..64 {
        let first = host.expression(0, step);
        assert!(first.level < 0.45 && first.swing.is_some());
        for round in 1..3 {
            assert_eq!(host.expression(round, step), first, "round {round}, step {step}");
        }
    }
    // Where the player played in the first round, the network plays as the player did last.
    assert_eq!(host.expression(1, 8), host.expression(2, 8));
    assert_eq!(host.expression(1, 8).swing, host.expression(0, 60).swing);
    // The first step of the loop starts alike in every round.
    let mut host = Host::new(Mode::Free);
    host.loop_beats = Some(16.0);
    host.play(40.0, 480, &[]);
    assert_eq!([0, 1].map(|round| host.expression(round, 0).on_grid), [Lanes::ALL; 2]);
    assert_eq!([0, 1].map(|round| host.expression(round, 1).on_grid), [Lanes::NONE; 2]);
}

#[test]
fn the_same_notes_in_each_round_have_the_same_expression() {
    // The first note falls on the loop's start.
    let mut phrase = eighths(0.66, 0.7);
    phrase[0].0 = 0.0;
    let rounds = [0.0, 16.0, 32.0, 48.0];
    let all: Vec<Played> =
        rounds.iter().flat_map(|at| phrase.iter().map(move |(start, end, v)| (start + at, end + at, *v))).collect();
    let mut host = Host::new(Mode::Harmonise);
    host.loop_beats = Some(16.0);
    host.play(64.0, 480, &all);
    let in_round = |round: u64| -> Vec<(i64, Expression)> {
        let of_round = host.requested.iter().filter(|(of, step, _)| *of == round && step.step_idx < 60);
        of_round.map(|(_, step, expression)| (step.step_idx, *expression)).collect()
    };
    assert!(in_round(1).len() > 20);
    assert_eq!(in_round(0), in_round(1));
    assert_eq!(in_round(2), in_round(1));
    assert_eq!(in_round(3), in_round(1));
}

#[test]
fn a_stop_forgets_how_the_player_played() {
    let fresh = {
        let mut host = Host::new(Mode::Free);
        host.play(4.0, 480, &[]);
        host.expression(0, 10)
    };
    let mut host = Host::new(Mode::Free);
    host.play(12.0, 480, &eighths(0.66, 0.3));
    assert_ne!(host.expression(0, 40), fresh);
    host.block(480, false);
    (host.position, host.requested) = (0, Vec::new());
    host.play(4.0, 480, &[]);
    assert_eq!(host.expression(0, 10), fresh);
}

#[test]
fn an_answer_starts_with_its_note_and_is_as_loud() {
    let mut host = Host::new(Mode::Harmonise);
    host.play(0.2, 480, &[(0.02, 3.0, 0.35)]);
    let (_, step, expression) = host.requested.first().unwrap();
    assert!(!step.given.lanes.is_empty());
    assert_eq!((expression.on_grid, expression.level), (Lanes::ALL, 0.35));
    let (_, _, later) = host.requested.iter().find(|(_, step, _)| step.step_idx == 2).unwrap();
    assert_eq!(later.on_grid, Lanes::NONE);
}
