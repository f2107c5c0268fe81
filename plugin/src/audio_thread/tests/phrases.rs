//! What the network is told about bars, phrases and cadences, and the end of the music. The test plays the worker.

use std::collections::BTreeMap;

use continuo_model::generate::Step;

use super::*;

/// A step at 120 bpm, in samples.
const STEP: u64 = 6000;
const CHORD: [Symbol; 4] = [Symbol::Pitch(72), Symbol::Pitch(64), Symbol::Pitch(55), Symbol::Pitch(48)];

/// A host in 4/4 whose worker answers every request with a chord.
struct Host {
    audio: AudioThread,
    end: WorkerEnd,
    settings: Settings,
    position: u64,
    loop_steps: Option<(u64, u64)>,
    /// The requested steps in order.
    requested: Vec<Step>,
    /// The generated notes that sound, by channel.
    sounding: Vec<u8>,
}

impl Host {
    fn new(mode: Mode) -> Self {
        let (audio_end, end, _) = bridge::new();
        audio_end.shared.worker_runs.store(true, Ordering::Release);
        Self {
            audio: AudioThread::new(audio_end, SAMPLE_RATE, 4096, Instant::now),
            end,
            settings: settings(mode),
            position: 0,
            loop_steps: None,
            requested: Vec::new(),
            sounding: Vec::new(),
        }
    }

    fn block(&mut self, frames: u64, input: &[NoteEvent<()>]) {
        let beats = |samples: u64| samples as f64 / (4 * STEP) as f64;
        let host = HostTime {
            playing: true,
            tempo_bpm: Some(120.0),
            pos_beats: Some(beats(self.position)),
            time_signature: Some((4, 4)),
            bar_start_beats: Some((beats(self.position) / 4.0).floor() * 4.0),
            loop_range_beats: self.loop_steps.map(|(from, to)| (from as f64 / 4.0, to as f64 / 4.0)),
            pos_samples: Some(self.position as i64),
        };
        let block =
            Block { host, frames: frames as usize, settings: self.settings, now: Instant::now(), says_offline: false };
        input.iter().for_each(|event| self.audio.hear(*event));
        let sounding = &mut self.sounding;
        self.audio.process(&block, &mut (), |event| {
            match event {
                NoteEvent::NoteOn { channel: Channel::Number(channel), .. } => sounding.push(channel),
                NoteEvent::NoteOff { channel: Channel::Number(channel), .. } => {
                    let at = sounding.iter().position(|sounds| *sounds == channel);
                    at.map(|at| sounding.swap_remove(at));
                }
                _ => {}
            }
            true
        });
        self.position += frames;
        if let Some((from, to)) = self.loop_steps.filter(|(_, to)| self.position >= to * STEP) {
            self.position -= (to - from) * STEP;
        }
        while let Some(request) = self.end.request() {
            let decision = decision_of(CHORD, [None; 4], [Some(72), Some(64), Some(55), Some(48)]);
            self.requested.push(request.step);
            self.end.answer(Answer { id: request.id, decision });
        }
        // A button is on in one call.
        (self.settings.end, self.settings.cadence) = (false, false);
    }

    fn run_to(&mut self, step: u64, frames: u64) {
        while self.position < step * STEP {
            self.block(frames.min(step * STEP - self.position), &[]);
        }
    }

    /// What was told last about each step: its position in the bar, beats since the phrase began and to its last chord,
    /// and steps to that.
    fn told(&self) -> BTreeMap<i64, String> {
        let number = |number: Option<u8>| number.map_or("-".into(), |number| number.to_string());
        let words = |step: &Step| {
            let controls = step.settings.controls;
            let bar = controls.bar.map(|bar| bar.step_in_bar);
            let phrase = controls.phrase.map_or("-".into(), |p| format!("{}/{}", p.beats_since, p.beats_left));
            (step.step_idx, format!("{} {phrase} {}", number(bar), number(controls.fermata_in)))
        };
        self.requested.iter().map(words).collect()
    }
}

#[test]
fn free_plays_phrases_of_two_bars_at_any_block_size() {
    let told = |frames: u64| {
        let mut host = Host::new(Mode::Free);
        host.run_to(64, frames);
        let mut told = host.told();
        told.retain(|step, _| (0..64).contains(step));
        told
    };
    let expect =
        [(0, "0 0/6 -"), (9, "9 2/4 15"), (24, "8 6/0 0"), (31, "15 7/0 0"), (32, "0 0/6 -"), (41, "9 2/4 15")];
    let at_480 = told(480);
    for (step, words) in expect {
        assert_eq!(at_480.get(&step).map(String::as_str), Some(words), "step {step}");
    }
    for frames in [64, 512, 4096] {
        assert_eq!(told(frames), at_480, "blocks of {frames}");
    }
}

#[test]
fn the_length_of_phrases_is_a_parameter() {
    let mut host = Host::new(Mode::Free);
    host.settings.phrase_bars = Some(4);
    host.run_to(60, 480);
    assert_eq!((host.told()[&0].as_str(), host.told()[&55].as_str()), ("0 0/14 -", "7 13/1 1"));
}

#[test]
fn in_a_loop_each_round_has_the_same_phrases() {
    // Three bars, which are no whole number of phrases.
    let mut host = Host::new(Mode::Free);
    host.loop_steps = Some((16, 64));
    host.run_to(60, 480);
    let first = host.told();
    host.run_to(63, 480);
    host.block(STEP, &[]);
    host.requested.clear();
    host.run_to(60, 480);
    let second = host.told();
    assert!((20..56).all(|step| second.contains_key(&step) && second[&step] == first[&step]), "{first:?}\n{second:?}");
}

#[test]
fn harmonise_knows_the_bar_and_leaves_phrases_to_the_player() {
    let mut host = Host::new(Mode::Harmonise);
    host.block(480, &[note(0, 72, true)]);
    host.run_to(20, 480);
    assert_eq!((host.told()[&8].as_str(), host.told()[&17].as_str()), ("8 - -", "1 - -"));
}

#[test]
fn a_cadence_closes_the_phrase_and_the_next_one_begins_after_it() {
    let mut host = Host::new(Mode::Free);
    host.run_to(2, 480);
    host.settings.cadence = true;
    host.run_to(48, 480);
    let told = host.told();
    // Its chord takes the beat from step 16 on.
    assert_eq!((told[&15].as_str(), told[&16].as_str(), told[&20].as_str()), ("15 3/1 1", "0 4/0 0", "4 0/5 -"));
}

#[test]
fn at_the_end_the_music_closes_and_falls_silent_until_the_player_plays() {
    for (mode, frames) in [(Mode::Free, 480), (Mode::Free, 4096), (Mode::Harmonise, 480)] {
        let mut host = Host::new(mode);
        if mode == Mode::Harmonise {
            host.block(480, &[note(0, 72, true)]);
        }
        host.run_to(4, 480);
        host.settings.end = true;
        host.run_to(80, frames);
        let closing: Vec<i64> = host
            .told()
            .into_keys()
            .filter(|idx| host.requested.iter().any(|s| s.step_idx == *idx && s.settings.closes))
            .collect();
        assert_eq!(closing, [24], "{mode:?}: in the middle of the bar");
        assert_eq!(host.requested.iter().map(|step| step.step_idx).max(), Some(24), "{mode:?}: nothing after it");
        let players = usize::from(mode == Mode::Harmonise);
        assert_eq!(host.sounding.len(), players, "{mode:?}: generated notes have ended");
        // In Harmonise a key that is struck beside a held one changes nothing.
        if mode == Mode::Harmonise {
            host.block(480, &[note(0, 64, true)]);
            host.run_to(84, frames);
            assert_eq!(host.requested.iter().map(|step| step.step_idx).max(), Some(24));
            host.block(480, &[note(0, 64, false), note(0, 72, false)]);
        }
        host.run_to(90, frames);
        host.block(480, &[note(0, 67, true)]);
        host.block(480, &[note(0, 67, false)]);
        host.run_to(130, frames);
        assert!(host.requested.iter().any(|step| step.step_idx > 89), "{mode:?}: it plays again");
    }
}
