//! The output of each step, with a worker whose answers the tests spell out.

use continuo_model::decision::Decision;

use super::*;
use crate::bridge::Told;

/// A step at 120 bpm, in samples.
const STEP: usize = 6000;

/// Plays step after step, with a worker that answers from text.
pub struct Parts {
    audio: AudioThread,
    end: WorkerEnd,
    shared: Arc<Shared>,
    pub settings: Settings,
    loop_range_beats: Option<(f64, f64)>,
    step: usize,
}

impl Parts {
    pub fn new(mode: Mode) -> Self {
        let (audio_end, end, _) = bridge::new();
        let shared = audio_end.shared.clone();
        shared.worker_runs.store(true, Ordering::Release);
        let audio = AudioThread::new(audio_end, SAMPLE_RATE, 4096, Instant::now);
        let settings = Settings { lookahead_steps: 1, ..settings(mode) };
        Self { audio, end, shared, settings, loop_range_beats: None, step: 0 }
    }

    /// Plays a step that starts with the events `input`. `answer` gives the alto, tenor and bass of a song step as
    /// text: a key, `rest`, or `-60` to hold 60; `None` leaves the step without an answer. A request in the first 100
    /// samples is answered before it is due, at sample 240. Returns the output without the soprano's.
    fn step<'a>(&mut self, input: &[NoteEvent<()>], answer: impl Fn(i64) -> Option<&'a str>) -> String {
        self.step_with(input, |step| answer(step).map(worded))
    }

    /// The same with decisions.
    pub fn step_with(&mut self, input: &[NoteEvent<()>], decide: impl Fn(i64) -> Option<Decision>) -> String {
        let mut sent = Vec::new();
        for (from, frames) in [(0, 100), (100, STEP - 100)] {
            let mut block = block(Mode::Harmonise, 0, Instant::now());
            (block.frames, block.now, block.settings) = (frames, Instant::now(), self.settings);
            block.host.pos_beats = Some((self.step * STEP + from) as f64 / 24_000.0);
            block.host.bar_start_beats = Some((self.step / 16 * 4) as f64);
            block.host.loop_range_beats = self.loop_range_beats;
            // Panic is pressed during one block.
            block.settings.panic &= from == 0;
            if from == 0 {
                input.iter().for_each(|event| self.audio.hear(*event));
            }
            self.audio.process(&block, &mut (), |event| {
                sent.extend(word(&event));
                true
            });
            // Panic is pressed during one block.
            self.settings.panic = false;
            while let Some(request) = self.end.request() {
                if let Some(decision) = decide(request.step.step_idx) {
                    self.end.answer(Answer { id: request.id, decision });
                }
            }
        }
        self.step += 1;
        sent.join(", ")
    }

    /// The note-ons and note-offs for the take since the last call.
    fn taken(&mut self) -> Vec<(f64, u8, bool, bool)> {
        let told = std::iter::from_fn(|| self.end.told());
        let played = told.filter_map(|told| match told {
            Told::Played(p) => Some((p.take_beats, p.key, p.velocity > 0.0, p.generated)),
            Told::Began(_) | Told::Changed(_) | Told::Looped(_) | Told::Incomplete => None,
        });
        played.collect()
    }
}

/// An event as text, unless it is the soprano's.
fn word(event: &NoteEvent<()>) -> Option<String> {
    let (word, channel, key) = match event {
        NoteEvent::NoteOn { channel, key, .. } => ("on", channel, key),
        NoteEvent::NoteOff { channel, key, .. } => ("off", channel, key),
        NoteEvent::MidiCC { channel, cc, .. } => return Some(format!("cc {cc} of {channel}")),
        other => panic!("unexpected event {other:?}"),
    };
    (*channel != Channel::Number(0)).then(|| format!("{word} {}", key.number().unwrap()))
}

/// A decision from text.
fn worded(words: &str) -> Decision {
    let (mut symbols, mut sounding) = ([Symbol::Hold; 4], [None; 4]);
    for (voice, word) in words.split_whitespace().enumerate() {
        let key = word.trim_start_matches('-').parse().ok();
        sounding[voice + 1] = key;
        symbols[voice + 1] = match key {
            None => Symbol::Rest,
            Some(_) if word.starts_with('-') => Symbol::Hold,
            Some(key) => Symbol::Pitch(key),
        };
    }
    decision_of(symbols, [None; 4], sounding)
}

/// Holds a soprano's key, and another one from step 3 on. `answers` are the answers to the steps; `late` is never sent.
/// Returns the output of each step without the player's.
fn parts_sent(answers: &[&str]) -> Vec<String> {
    let mut parts = Parts::new(Mode::Harmonise);
    let answer = |step: i64| answers.get(step as usize).copied().filter(|words| *words != "late");
    let played = |step: usize| match step {
        0 => vec![note(0, 72, true)],
        3 => vec![note(0, 72, false), note(0, 74, true)],
        _ => Vec::new(),
    };
    (0..answers.len()).map(|step| parts.step(&played(step), answer)).collect()
}

#[test]
fn after_a_miss_a_voice_goes_on_until_its_next_attack_or_rest() {
    let sent = parts_sent(&["67 60 48", "late", "-65 rest -50", "64 rest -50", "-64 62 -50", "-64 -62 52"]);
    let expected = [
        "on 67, on 60, on 48",
        // The notes of the late decision never start: not when it arrives, not later, and not with the answer to a
        // note.
        "",
        "off 60",
        "off 67, on 64",
        "on 62",
        "off 48, on 52",
    ];
    assert_eq!(sent, expected);
    // Without a miss, the answer to a note starts its held notes: it continues from an earlier state than what sounds.
    let sent = parts_sent(&["67 60 48", "-67 -60 -48", "-67 rest -48", "64 -60 -50"]);
    assert_eq!(sent[3], "off 67, off 48, on 64, on 60, on 50");
}

#[test]
fn what_sounds_ends_when_the_worker_is_gone() {
    for mode in [Mode::Harmonise, Mode::Free] {
        let mut parts = Parts::new(mode);
        let answer = |_| Some("67 60 48");
        let input = if mode == Mode::Harmonise { vec![note(0, 72, true)] } else { Vec::new() };
        let mut sounds = parts.step(&input, answer);
        while parts.step < 8 && !sounds.contains("on 48") {
            sounds = parts.step(&[], answer);
        }
        assert!(sounds.contains("on 48"), "{mode:?}: {sounds}");
        parts.shared.worker_runs.store(false, Ordering::Release);
        // The earlier answers still play; then the notes end.
        let sent = [(); 3].map(|()| parts.step(&[], answer)).join(", ");
        for key in [67, 60, 48] {
            let count = |word: &str| sent.matches(&format!("{word} {key}")).count();
            assert_eq!(count("off"), count("on") + 1, "{mode:?}: {sent}");
        }
        let after: Vec<_> = (0..200).map(|_| parts.step(&[], answer)).filter(|sent| !sent.is_empty()).collect();
        assert!(after.is_empty(), "{mode:?}: {after:?}");
    }
}

#[test]
fn what_sounds_is_held_for_a_bar_of_misses_at_most() {
    let mut parts = Parts::new(Mode::Harmonise);
    let late = |step: i64| (step == 0).then_some("67 60 48");
    let sent: Vec<_> = (0..24).map(|n| parts.step(&[note(0, 72, true)][..usize::from(n == 0)], late)).collect();
    let ends: Vec<_> = (1..24).filter(|step| !sent[*step].is_empty()).collect();
    assert_eq!((ends, sent[16].as_str()), (vec![16], "off 67, off 60, off 48"));
    assert_eq!(parts.shared.misses.load(Ordering::Relaxed), 23);
}

#[test]
fn more_requests_than_the_bridge_holds_leave_the_plan_in_step() {
    let mut parts = Parts::new(Mode::Harmonise);
    // Nothing reads the bridge: it fills up, and one thousand requests are refused.
    parts.settings.lookahead_steps = 16;
    let mut block = block(Mode::Harmonise, 0, Instant::now());
    block.settings = parts.settings;
    for step in 0..bridge::CAPACITY + 1000 {
        block.host.pos_beats = Some(step as f64 * 0.25);
        (block.frames, block.now) = (STEP, Instant::now() - Duration::from_secs(9));
        if step == 0 {
            parts.audio.hear(note(0, 72, true));
        }
        parts.audio.process(&block, &mut (), |_| true);
    }
    assert!(parts.shared.misses.load(Ordering::Relaxed) > bridge::CAPACITY as u64 + 900, "misses went uncounted");
    while parts.end.request().is_some() {}
    parts.step = bridge::CAPACITY + 1000;
    // The player releases the key. That needs no worker, and empties the plan.
    parts.step(&[note(0, 72, false)], |_| None);
    assert_eq!(parts.audio.num_planned(), 0);
}

#[test]
fn voices_that_the_player_lets_go_of_are_played_on() {
    let mut parts = Parts::new(Mode::Harmonise);
    let chord: Vec<_> = [72, 67, 60, 48].map(|key| note(0, key, true)).to_vec();
    let lets_go: Vec<_> = [67, 60, 48].map(|key| note(0, key, false)).to_vec();
    let answer = |_| Some("-67 -60 -48");
    let sent = [&chord[..], &[], &lets_go, &[], &[]].map(|input| parts.step(input, answer));
    assert_eq!(sent[0], "on 67, on 60, on 48", "the player's");
    assert!(sent[2].contains("off 67, off 60, off 48"), "{}", sent[2]);
    let after = sent[2..].join(", ");
    assert!(["on 67", "on 60", "on 48"].iter().all(|on| after.contains(on)), "{sent:?}");
}

#[test]
fn a_key_that_is_down_where_harmonise_begins_is_answered() {
    for bypassed in [false, true] {
        let mut parts = Parts::new(if bypassed { Mode::Harmonise } else { Mode::Continue });
        parts.settings.bypass = bypassed;
        let answer = |_| Some("67 60 48");
        assert_eq!(parts.step(&[note(0, 72, true)], answer), "");
        assert_eq!(parts.step(&[], answer), "");
        parts.settings = Settings { mode: Mode::Harmonise, bypass: false, ..parts.settings };
        assert_eq!(parts.step(&[], answer), "on 67, on 60, on 48", "bypassed {bypassed}");
    }
}

#[test]
fn the_take_holds_what_was_played_though_it_does_not_go_out() {
    let mut parts = Parts::new(Mode::Continue);
    parts.settings.input = Input::Drop;
    parts.step(&[note(0, 72, true)], |_| None);
    parts.step(&[note(0, 72, false)], |_| None);
    assert_eq!(parts.taken(), [(0.0, 72, true, false), (0.25, 72, false, false)]);
    // The player's voice does not go out.
    parts.settings = Settings { input: Input::AsVoice, emit: !Lanes::first(1), ..parts.settings };
    parts.step(&[note(0, 74, true)], |_| None);
    assert_eq!(parts.taken(), [(0.5, 74, true, false)]);
}

#[test]
fn panic_lets_go_of_pedals_too() {
    let mut parts = Parts::new(Mode::Harmonise);
    parts.step(&[note(0, 72, true)], |_| Some("67 60 48"));
    parts.settings.panic = true;
    let sent = parts.step(&[], |_| None);
    let controllers: Vec<_> = (0..16).flat_map(|c| [64, 123].map(|cc| format!("cc {cc} of {c}"))).collect();
    assert_eq!(sent, format!("off 67, off 60, off 48, {}", controllers.join(", ")));
}

#[test]
fn a_loop_that_is_turned_off_before_its_end_is_planned_on_straight() {
    let mut parts = Parts::new(Mode::Free);
    parts.settings.lookahead_steps = 8;
    parts.loop_range_beats = Some((0.0, 4.0));
    // The bass of each step is the number of the song step.
    let names: Vec<String> = (0..40).map(|step| format!("67 60 {}", 20 + step)).collect();
    let answer = |step: i64| names.get(step as usize).map(String::as_str);
    for _ in 0..14 {
        parts.step(&[], answer);
    }
    parts.loop_range_beats = None;
    let sent: Vec<_> = (14..20).map(|_| parts.step(&[], answer)).collect();
    for (n, sent) in sent.iter().enumerate() {
        assert!(sent.contains(&format!("on {}", 34 + n)), "step {}: {sent}", 14 + n);
    }
}

#[test]
fn an_event_on_the_sample_where_a_block_is_split_is_the_next_ones() {
    let mut parts = Parts::new(Mode::Continue);
    let mut timings = Vec::new();
    for frames in [100_usize, 380] {
        let mut block = block(Mode::Continue, 0, Instant::now());
        block.frames = frames;
        block.host.pos_beats = Some(if frames == 100 { 0.0 } else { 100.0 / 24_000.0 });
        if frames == 100 {
            parts.audio.hear(note(100, 60, true));
            parts.audio.hear(note(500, 62, true));
        }
        parts.audio.process(&block, &mut (), |event| {
            timings.push((frames, event.timing()));
            true
        });
    }
    assert_eq!(timings, [(380, 0), (380, 0)]);
}

thread_local! {
    pub static CLOCK: std::cell::Cell<Option<Instant>> = const { std::cell::Cell::new(None) };
}

/// A clock that advances by 10 us with each reading.
pub fn watch() -> Instant {
    let now = CLOCK.get().expect("a test sets it") + Duration::from_micros(10);
    CLOCK.set(Some(now));
    now
}

#[test]
fn a_live_block_waits_for_a_quarter_of_its_length_and_no_longer() {
    let (audio_end, _end, _) = bridge::new();
    audio_end.shared.worker_runs.store(true, Ordering::Release);
    let began = Instant::now();
    CLOCK.set(Some(began));
    let mut audio = AudioThread::new(audio_end, SAMPLE_RATE, 4096, watch).with_own_budget();
    let mut waits = Vec::new();
    for n in 0..100 {
        let block = block(Mode::Harmonise, n, began);
        CLOCK.set(Some(block.now));
        if n == 60 {
            audio.hear(note(0, 72, true));
        }
        audio.process(&block, &mut (), |_| true);
        let took = watch() - block.now;
        if took > Duration::from_micros(500) {
            waits.push((n, took.as_micros()));
        }
    }
    // The answer is due in the block of the note, and the steps after it every 12.5 blocks.
    assert!(waits.len() >= 3 && waits[0].0 == 60, "{waits:?}");
    assert!(waits.iter().all(|(_, us)| (2500..2600).contains(us)), "{waits:?}");
}

/// A take in which the network played alto, tenor and bass; the alto changes on beat 2.
pub fn frozen_take() -> crate::frozen::FrozenTake {
    let mut takes = crate::takes::Takes::default();
    let time_signature = (4, 4);
    takes.begin(&bridge::Beginning { tempo_bpm: 120.0, time_signature, ..Default::default() });
    for (from, to, channel, key) in
        [(0.0, 2.0, 1, 67), (2.0, 4.0, 1, 65), (0.0, 4.0, 2, 60), (0.0, 4.0, 3, 48), (0.0, 4.0, 0, 72)]
    {
        for (take_beats, velocity) in [(from, 0.5), (to, 0.0)] {
            takes.add(&bridge::Played {
                take_beats,
                heard_beats: take_beats,
                channel,
                key,
                velocity,
                generated: channel > 0,
            });
        }
    }
    crate::frozen::FrozenTake::of(&takes.list().next().expect("it holds notes"), 0..1, 4 * 960)
}

#[test]
fn a_frozen_take_plays_wherever_the_transport_goes() {
    let mut parts = Parts::new(Mode::Free);
    assert!(parts.end.freeze(frozen_take().part()));
    parts.settings.frozen = Lanes::ALL;
    let no_answer = |_| panic!("everything is frozen: nothing is requested");
    let sent: Vec<_> = (0..17).map(|_| parts.step(&[], no_answer)).collect();
    assert_eq!((sent[0].as_str(), sent[8].as_str()), ("on 67, on 60, on 48", "off 67, on 65"));
    assert_eq!(sent[16], "off 65, off 60, off 48");
    // After a jump into the middle, the notes there start, except in a lane that is not frozen.
    parts.step = 4;
    parts.settings.frozen = Lanes::first(4) & !Lanes::NONE.with(1);
    parts.settings.mode = Mode::Continue;
    assert_eq!(parts.step(&[], |_| None), "on 60, on 48");
    parts.settings.frozen = Lanes::ALL;
    assert_eq!(parts.step(&[], |_| None), "off 60, off 48, on 67, on 60, on 48");
    // Notes that are over by then stay silent.
    parts.step = 10;
    assert_eq!(parts.step(&[], |_| None), "off 67, off 60, off 48, on 65, on 60, on 48");
    parts.step = 6;
    assert_eq!(parts.step(&[], |_| None), "off 65, off 60, off 48, on 67, on 60, on 48");
    // Only the emitted lanes go out, and bypass adds nothing.
    parts.settings.emit = Lanes::NONE.with(1);
    parts.step = 0;
    assert_eq!(parts.step(&[], |_| None), "off 67, off 60, off 48, on 67");
    parts.settings.bypass = true;
    assert_eq!(parts.step(&[], |_| None), "off 67");
}

#[test]
fn a_frozen_voice_is_given_to_the_network_and_plays_beside_it() {
    let mut parts = Parts::new(Mode::Harmonise);
    assert!(parts.end.freeze(frozen_take().part()));
    parts.settings.frozen = Lanes::NONE.with(3);
    parts.settings.lookahead_steps = 2;
    let mut given = Vec::new();
    let mut sent = Vec::new();
    for n in 0..4 {
        let mut block = block(Mode::Harmonise, 0, Instant::now());
        (block.frames, block.now, block.settings) = (STEP, Instant::now() + Duration::from_secs(9), parts.settings);
        block.host.pos_beats = Some(n as f64 * 0.25);
        if n == 0 {
            parts.audio.hear(note(0, 72, true));
        }
        let Parts { audio, end, .. } = &mut parts;
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    while let Some(request) = end.request() {
                        given.push((request.count, symbols_of(&request.step.given)[3]));
                        end.answer(Answer { id: request.id, decision: worded("67 60 -48") });
                    }
                    std::thread::yield_now();
                }
            });
            audio.process(&block, &mut (), |event| {
                sent.extend(word(&event));
                true
            });
            stop.store(true, Ordering::Relaxed);
        });
    }
    let bass = |step| given.iter().rev().find(|(count, _)| *count == step).map(|(_, given)| *given);
    assert_eq!(bass(0), Some(Some(Symbol::Pitch(48))));
    assert_eq!(bass(1), Some(Some(Symbol::Hold)));
    assert_eq!(sent.iter().filter(|word| *word == "on 48").count(), 1, "{sent:?}");
    assert!(sent.contains(&"on 67".to_string()), "{sent:?}");
}

#[test]
fn a_frozen_take_comes_round_with_the_hosts_loop() {
    let mut parts = Parts::new(Mode::Free);
    assert!(parts.end.freeze(frozen_take().part()));
    parts.settings.frozen = Lanes::ALL;
    parts.loop_range_beats = Some((1.0, 3.0));
    let mut round = Vec::new();
    for n in 0..28 {
        // A loop from beat 1 to beat 3.
        parts.step = 4 + n % 8;
        round.push(parts.step(&[], |_| None));
    }
    assert_eq!(round[0], "on 67, on 60, on 48");
    let sounding = ["off 65, off 60, off 48, on 67, on 60, on 48", "off 60, off 48, off 65, on 67, on 60, on 48"];
    assert!(sounding.contains(&round[8].as_str()), "{round:?}");
    assert_eq!((&round[8..16], round[4].as_str()), (&round[16..24], "off 67, on 65"));
}

#[test]
fn the_take_knows_where_the_loop_came_round() {
    // No one plays, and nothing is requested.
    let mut parts = Parts::new(Mode::Harmonise);
    parts.loop_range_beats = Some((1.0, 3.0));
    for n in 0..20 {
        parts.step = 4 + n % 8;
        parts.step(&[], |_| None);
    }
    let told = std::iter::from_fn(|| parts.end.told());
    let rounds: Vec<_> = told
        .filter_map(|told| match told {
            Told::Looped(looped) => Some((looped.take_beats, looped.song_beats)),
            _ => None,
        })
        .collect();
    assert_eq!(rounds, [(3.0, 1.0), (5.0, 1.0)]);
}

#[test]
fn an_early_note_at_a_loops_end_keeps_its_harmony() {
    let mut parts = Parts::new(Mode::Harmonise);
    parts.loop_range_beats = Some((1.0, 2.0));
    let answer = |_| Some("67 60 48");
    parts.step = 4;
    for _ in 0..3 {
        parts.step(&[], answer);
    }
    // 20 ms before the loop end: the note is answered at once, for the loop's first step, which is in the next block.
    assert_eq!(parts.step(&[note(STEP as u32 - 960, 72, true)], answer), "");
    parts.step = 4;
    let held = |_| Some("-67 -60 -48");
    let sent = [(); 3].map(|()| parts.step(&[], held)).join(", ");
    let sounding = |key: u8| {
        sent.matches(&format!("on {key}")).count() as i32 - sent.matches(&format!("off {key}")).count() as i32
    };
    assert_eq!([67, 60, 48].map(sounding), [1; 3], "{sent}");
}

#[test]
fn a_key_goes_on_where_a_host_turns_out_to_be_without_time() {
    let mut parts = Parts::new(Mode::Harmonise);
    let mut sent = Vec::new();
    for n in 0..40 {
        // The host claims to play but stands on beat 3.
        let mut block = block(Mode::Harmonise, 0, Instant::now());
        block.host.pos_beats = Some(3.0);
        if n == 8 {
            parts.audio.hear(note(0, 72, true));
        }
        parts.audio.process(&block, &mut (), |event| {
            sent.extend(word(&event).map(|word| (n, word)));
            true
        });
        while let Some(request) = parts.end.request() {
            parts.end.answer(Answer { id: request.id, decision: worded("67 60 48") });
        }
    }
    // The plugin notices after a tenth of a second, in the eleventh block. The player's notes go on.
    let last = |key: &str| sent.iter().rev().find(|(_, word)| word.ends_with(key)).cloned();
    assert!(
        ["67", "60", "48"].iter().all(|key| last(key).is_some_and(|(n, word)| n > 8 && word.starts_with("on"))),
        "{sent:?}"
    );
    assert!(parts.audio.is_holding());
}
