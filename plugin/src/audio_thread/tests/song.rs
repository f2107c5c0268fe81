//! A host that plays a song while buttons are pressed, and a worker whose answers are known.

use std::collections::BTreeMap;

use continuo_model::generate::Step;
use continuo_model::tokeniser::step_reader::Controls;

use super::parts::{CLOCK, watch};
use super::*;

/// Samples in a beat at 120 bpm.
pub(super) const BEAT: f64 = 24_000.0;

/// What happens at a beat of the song.
#[derive(Clone, Copy)]
pub(super) enum Act {
    /// A key goes down.
    Down(u8),
    /// A key comes up.
    Up(u8),
    Cadence,
    End,
    Panic,
    Mode(Mode),
}

pub(super) type Acts = &'static [(f64, Act)];

/// A host that plays, and a worker that plays D minor on each beat and C major where the music closes.
pub(super) struct Song {
    pub(super) audio: AudioThread,
    pub(super) worker: WorkerEnd,
    pub(super) settings: Settings,
    /// The longest block, in samples.
    pub(super) frames: usize,
    pub(super) beats_in_bar: i32,
    pub(super) loop_range_beats: Option<(f64, f64)>,
    pub(super) host_plays: bool,
    /// The time of the next block: a live host plays each block when it is due.
    pub(super) now: Instant,
    /// The decided steps, by count.
    pub(super) requested: BTreeMap<i64, Step>,
    /// The song position in beats of each generated note-on or note-off, its key, and whether it is a note-on.
    pub(super) sent: Vec<(f64, u8, bool)>,
}

impl Song {
    pub(super) fn new(mode: Mode, frames: usize) -> Self {
        let (audio_end, worker, _) = bridge::new();
        audio_end.shared.worker_runs.store(true, Ordering::Release);
        let now = Instant::now();
        CLOCK.set(Some(now));
        Self {
            audio: AudioThread::new(audio_end, SAMPLE_RATE, 4096, watch).with_own_budget(),
            worker,
            settings: settings(mode),
            frames,
            beats_in_bar: 4,
            loop_range_beats: None,
            host_plays: true,
            now,
            requested: BTreeMap::new(),
            sent: Vec::new(),
        }
    }

    /// Plays from beat to beat. The acts are at song positions in beats, in order; a block ends at each, as the wrapper
    /// splits blocks at parameters.
    pub(super) fn play(&mut self, from: f64, to: f64, acts: &[(f64, Act)]) {
        let [mut at, end] = [from, to].map(|beats| (beats * BEAT).round() as i64);
        while at < end {
            let act_at = |(beats, _): &(f64, Act)| (beats * BEAT).round() as i64;
            let next_act = acts.iter().map(act_at).find(|act| *act > at).unwrap_or(end);
            let frames = (self.frames as i64).min(end - at).min(next_act - at) as usize;
            let mut settings = self.settings;
            for (_, act) in acts.iter().filter(|act| act_at(act) == at) {
                match *act {
                    Act::Down(key) => self.audio.hear(note(0, key, true)),
                    Act::Up(key) => self.audio.hear(note(0, key, false)),
                    Act::Cadence => settings.cadence = true,
                    Act::End => settings.end = true,
                    Act::Panic => settings.panic = true,
                    Act::Mode(mode) => (settings.mode, self.settings.mode) = (mode, mode),
                }
            }
            self.block(at as f64 / BEAT, frames, settings);
            at += frames as i64;
        }
    }

    pub(super) fn block(&mut self, pos_beats: f64, frames: usize, settings: Settings) {
        let bar_beats = f64::from(self.beats_in_bar);
        let host = HostTime {
            playing: self.host_plays,
            tempo_bpm: Some(120.0),
            pos_beats: Some(pos_beats),
            time_signature: Some((self.beats_in_bar, 4)),
            bar_start_beats: Some((pos_beats / bar_beats).floor() * bar_beats),
            loop_range_beats: self.loop_range_beats,
            pos_samples: None,
        };
        let block = Block { host, frames, settings, now: self.now, says_offline: false };
        CLOCK.set(Some(self.now));
        self.now += Duration::from_secs_f64(frames as f64 / SAMPLE_RATE);
        let sent = &mut self.sent;
        self.audio.process(&block, &mut (), |event| {
            let (timing, on, channel, key) = match event {
                NoteEvent::NoteOn { timing, channel, key, .. } => (timing, true, channel, key),
                NoteEvent::NoteOff { timing, channel, key, .. } => (timing, false, channel, key),
                _ => return true,
            };
            if channel != Channel::Number(0) {
                sent.push((pos_beats + f64::from(timing) / BEAT, key.number().unwrap(), on));
            }
            true
        });
        while let Some(request) = self.worker.request() {
            self.requested.retain(|count, _| *count < request.undo_from);
            self.requested.insert(request.count, request.step);
            let closes = request.step.settings.closes;
            let keys = if closes { [72, 67, 64, 48] } else { [74, 69, 65, 50] };
            let starts = closes || request.step.attack || request.step.step_in_beat == 0;
            let symbols = keys.map(|key| if starts { Symbol::Pitch(key) } else { Symbol::Hold });
            let before = if starts { [None; 4] } else { keys.map(Some) };
            self.worker.answer(Answer { id: request.id, decision: decision_of(symbols, before, keys.map(Some)) });
        }
    }

    pub(super) fn steps(&self) -> impl Iterator<Item = &Step> {
        self.requested.values()
    }

    /// The controls on each beat, as text.
    pub(super) fn beats(&self) -> String {
        let on_beats = self.steps().filter(|step| step.step_in_beat == 0);
        on_beats.map(|step| form(&step.settings.controls)).collect::<Vec<_>>().join(" ")
    }

    /// The song steps on which a fermata begins.
    pub(super) fn fermatas(&self) -> Vec<i64> {
        let under = |step: &&Step| step.settings.controls.fermata_in == Some(0);
        let mut steps: Vec<_> = self.steps().filter(under).map(|step| step.step_idx).collect();
        let all = steps.clone();
        steps.retain(|step| !all.contains(&(step - 1)));
        steps
    }

    /// The song steps on which the music closes.
    pub(super) fn closes(&self) -> Vec<i64> {
        self.steps().filter(|step| step.settings.closes).map(|step| step.step_idx).collect()
    }

    pub(super) fn last_requested(&self) -> i64 {
        *self.requested.keys().next_back().expect("a step is requested")
    }

    /// The keys of the generated notes that start from beat `from` to `to`, without repetitions.
    pub(super) fn starts(&self, from: f64, to: f64) -> Vec<u8> {
        let mut keys: Vec<_> =
            self.sent.iter().filter(|(at, _, on)| *on && (from..to).contains(at)).map(|(_, key, _)| *key).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// How many generated notes sound after beat `at`.
    pub(super) fn num_sounding(&self, at: f64) -> i32 {
        let until = self.sent.iter().filter(|(when, ..)| *when <= at);
        until.map(|(_, _, on)| if *on { 1 } else { -1 }).sum()
    }
}

/// The position in the phrase, as whole beats since its start and to its close; `-` without a phrase; and the distance
/// to a fermata in reach.
pub(super) fn form(controls: &Controls) -> String {
    let phrase = controls.phrase.map_or("-".into(), |phrase| format!("{}/{}", phrase.beats_since, phrase.beats_left));
    phrase + &controls.fermata_in.map_or(String::new(), |steps| format!(":{steps}"))
}
