//! Decisions beyond those of the shipped models: several notes in a lane, notes within a step, velocities, high lanes.
//! The test plays the worker.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

use continuo_model::decision::{Decision, Edge};

use super::*;

/// A step at 120 bpm, in samples; a tick is 250.
const STEP: u64 = 6000;

/// An edge from text: `+lane.key` starts and `-lane.key` ends a note; `@tick` and `vVELOCITY` are optional.
fn edge(word: &str) -> Edge {
    let number = |text: &str| text.parse::<u8>().unwrap_or_else(|_| panic!("`{word}`"));
    let after = |mark: char| word.split_once(mark).map(|(_, rest)| rest.split(['@', 'v']).next().unwrap());
    let (tick, velocity) = (after('@').map_or(0, number), after('v').map_or(0, number));
    let note = word[1..].split(['@', 'v']).next().unwrap();
    let (lane, key) = note.split_once('.').unwrap_or_else(|| panic!("`{word}`"));
    let (lane, key) = (number(lane), number(key));
    if word.starts_with('+') { Edge::On { lane, key, velocity, tick } } else { Edge::Off { lane, key, tick } }
}

/// The decision of a step, from the text of all steps up to it.
fn decided(steps: &[&str], step: i64) -> Decision {
    let mut decision = Decision::SILENCE;
    for words in &steps[..(step as usize + 1).min(steps.len())] {
        decision = Decision::holding(decision.sounding);
        words.split_whitespace().for_each(|word| assert!(decision.push(edge(word)), "{words}"));
    }
    if step as usize >= steps.len() { Decision::holding(decision.sounding) } else { decision }
}

/// A host that renders Free, with a worker that decides `steps`.
struct Render {
    audio: AudioThread,
    settings: Settings,
    playing: bool,
    position: u64,
    /// As text: sample, `on` or `off`, lane, key, and for a start the velocity out of 127.
    sent: Vec<String>,
    processed: u64,
}

impl Render {
    /// Processes blocks of these lengths in turn. `interrupt` may change the host before each block.
    fn run(
        steps: &[&str],
        total: u64,
        mut frames: impl FnMut() -> u64,
        mut interrupt: impl FnMut(u64, &mut Self),
    ) -> Vec<String> {
        let (audio_end, mut end, _) = bridge::new();
        audio_end.shared.worker_runs.store(true, Ordering::Release);
        let mut render = Self {
            audio: AudioThread::new(audio_end, SAMPLE_RATE, 4096, Instant::now),
            settings: Settings { lookahead_steps: 1, ..settings(Mode::Free) },
            playing: true,
            position: 0,
            sent: Vec::new(),
            processed: 0,
        };
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                end.register();
                while !stop.load(Ordering::Relaxed) {
                    while let Some(request) = end.request() {
                        end.answer(Answer { id: request.id, decision: decided(steps, request.step.step_idx) });
                    }
                    std::thread::park_timeout(Duration::from_millis(1));
                }
            });
            while render.processed < total {
                interrupt(render.processed, &mut render);
                let frames = frames().min(total - render.processed);
                render.block(frames);
            }
            // A stop ends sounding notes, even if edges wait.
            render.playing = false;
            render.block(512);
            stop.store(true, Ordering::Relaxed);
        });
        render.sent
    }

    fn block(&mut self, frames: u64) {
        let host = HostTime {
            playing: self.playing,
            tempo_bpm: Some(120.0),
            pos_beats: Some(self.position as f64 / 24_000.0),
            time_signature: Some((4, 4)),
            bar_start_beats: Some((self.position / 96_000 * 4) as f64),
            loop_range_beats: None,
            pos_samples: Some(self.position as i64),
        };
        let block =
            Block { host, frames: frames as usize, settings: self.settings, now: Instant::now(), says_offline: true };
        let (sent, processed) = (&mut self.sent, self.processed);
        self.audio.process(&block, &mut (), |event| {
            let (word, channel, key, velocity) = match event {
                NoteEvent::NoteOn { channel, key, velocity, .. } => ("on", channel, key, velocity),
                NoteEvent::NoteOff { channel, key, .. } => ("off", channel, key, 0.0),
                _ => return true,
            };
            let at = processed + u64::from(event.timing());
            let (lane, key) = (channel.number().unwrap(), key.number().unwrap());
            let velocity = if word == "on" { format!(" v{:.0}", velocity * 127.0) } else { String::new() };
            sent.push(format!("{at} {word} {lane}.{key}{velocity}"));
            true
        });
        self.processed += frames;
        self.position += if self.playing { frames } else { 0 };
        self.settings.panic = false;
    }
}

/// Checks the output for blocks of every size.
fn check(steps: &[&str], expect: &[&str]) {
    let total = steps.len() as u64 * STEP;
    for frames in [1, 17, 64, 512, 4096] {
        assert_eq!(Render::run(steps, total, || frames, |_, _| ()), expect, "blocks of {frames}");
    }
    let mut rng = SplitMix64::new(3);
    let random = || 1 + rng.next_below(700) as u64;
    assert_eq!(Render::run(steps, total, random, |_, _| ()), expect, "random blocks");
}

#[test]
fn a_lane_sounds_any_number_of_notes_and_a_bass_is_held_under_moving_ones() {
    check(
        &["+0.72 +0.67 +0.64 +0.60 +0.48 +1.36", "-0.72 +0.74", "-0.74 -0.67 -0.64 -0.60 +0.65", "-0.65"],
        &[
            "0 on 0.48 v80",
            "0 on 0.60 v80",
            "0 on 0.64 v80",
            "0 on 0.67 v80",
            "0 on 0.72 v80",
            "0 on 1.36 v80",
            "6000 off 0.72",
            "6000 on 0.74 v80",
            "12000 off 0.60",
            "12000 off 0.64",
            "12000 off 0.67",
            "12000 off 0.74",
            "12000 on 0.65 v80",
            "18000 off 0.65",
            "24000 off 0.48",
            "24000 off 1.36",
        ],
    );
}

#[test]
fn notes_start_and_end_within_a_step_at_their_samples() {
    check(
        &["+15.60v100 -15.60@12 +15.62@12v1 -15.62@18 +15.64@23v127", "", "+2.48@8v64 -15.64@8", ""],
        &[
            "0 on 15.60 v100",
            "3000 off 15.60",
            "3000 on 15.62 v1",
            "5750 on 15.64 v127",
            // The note would end 31 ms after its start; it lasts 60 ms.
            "5880 off 15.62",
            "14000 off 15.64",
            "14000 on 2.48 v64",
            "24000 off 2.48",
        ],
    );
}

/// A step that is never decided counts as missed: sounding notes go on, and nothing starts late.
#[test]
fn a_missed_step_holds_what_the_last_one_sounded_at_its_end() {
    let mut parts = parts::Parts::new(Mode::Harmonise);
    parts.settings.emit = !Lanes::first(1);
    let steps = ["+5.60 +5.64 +7.48@12", "+5.67@6 -5.64@6", "-5.60 -5.67 +5.65 -7.48@6", "+5.69 -5.65"];
    let mut sent = Vec::new();
    for step in 0..4 {
        let input = if step == 0 { vec![note(0, 90, true)] } else { Vec::new() };
        // The step after the second is never decided.
        let decide = |step: i64| (step != 2).then(|| decided(&steps, step));
        sent.push(parts.step_with(&input, decide));
    }
    assert_eq!(sent[0], "on 60, on 64, on 48");
    assert_eq!(sent[1], "off 64, on 67");
    assert_eq!(sent[2], "");
    // The model ends 65, which it believes to sound, so the lane's notes that do sound end. The end of 48 was in the
    // missed step.
    assert_eq!(sent[3], "off 60, off 67, off 48, on 69");
}

/// An answer may move a lane back to the note that it held. Not if the lane leaves that note at once.
#[test]
fn a_lane_does_not_go_to_a_note_that_it_leaves_at_once() {
    let sent = |words: &str| {
        let mut parts = parts::Parts::new(Mode::Harmonise);
        parts.settings.emit = !Lanes::first(1);
        parts.step_with(&[note(0, 90, true)], |step| Some(decided(&[words, ""], step)))
    };
    assert_eq!(sent("-5.60@4 +5.62@4"), "on 62");
    assert!(sent("-5.60@20 +5.62@20").starts_with("on 60"));
}

/// With a reply delay the last ticks of a step sound after the next step has begun.
#[test]
fn a_step_follows_at_once_on_a_note_at_the_end_of_the_step_before() {
    let mut parts = parts::Parts::new(Mode::Harmonise);
    parts.settings.emit = !Lanes::first(1);
    parts.settings.reply_delay_samples = 1200;
    let steps = ["+5.60@23", "-5.60 +5.62", ""];
    let mut sent = Vec::new();
    for step in 0..3 {
        let input = if step == 0 { vec![note(0, 90, true)] } else { Vec::new() };
        sent.push(parts.step_with(&input, |step| Some(decided(&steps, step))));
    }
    // 60 has just started, and lasts its 60 ms.
    assert_eq!(sent, ["", "on 60, on 62, off 60", ""]);
}

#[test]
fn whatever_overtakes_a_step_nothing_in_it_sounds_late_or_for_ever() {
    type Interrupt = fn(&mut Render);
    let interrupts: [(&str, Interrupt); 6] = [
        ("a stop", |render| render.playing = false),
        ("a jump", |render| render.position += 480_000),
        ("a played note", |render| render.audio.hear(note(0, 90, true))),
        ("panic", |render| render.settings.panic = true),
        ("another mode", |render| render.settings.mode = Mode::Continue),
        ("bypass", |render| render.settings.bypass = true),
    ];
    let steps = ["+0.60 +1.48@6 -0.60@18 +0.62@18", "+0.64@18 -0.62@18"];
    for (name, interrupt) in interrupts {
        let mut sent = Render::run(
            &steps,
            4 * STEP,
            || 100,
            |at, render| {
                if at == 2000 {
                    interrupt(render);
                }
            },
        );
        sent.retain(|word| !word.contains(".90"));
        let mut sounding = BTreeSet::new();
        for word in &sent {
            let mut parts = word.split(' ');
            let (at, what, note) = (parts.next().unwrap().parse::<u64>().unwrap(), parts.next(), parts.next().unwrap());
            if what == Some("on") {
                assert!(sounding.insert(note), "{name}: {sent:?}");
                // After a jump or a panic the network's turn begins again, on a beat.
                assert!(at < 2000 || name == "a jump" || name == "panic", "{name}: {word} in {sent:?}");
            } else {
                assert!(sounding.remove(note), "{name}: {sent:?}");
                assert!(name != "a stop" || at <= 2000, "{name}: {word} in {sent:?}");
            }
        }
        assert!(sounding.is_empty(), "{name}: {sounding:?} hang in {sent:?}");
        assert_eq!(&sent[..2], ["0 on 0.60 v80", "1500 on 1.48 v80"], "{name}");
    }
}
