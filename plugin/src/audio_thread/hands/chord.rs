//! Chords: keys struck together, and how long-held keys become voices of their own. Audio thread.

use continuo_model::tokeniser::grid::NUM_VOICES;

use super::Hands;
use crate::audio_thread::positions::{CountedStep, Sample, StepPosition};

/// An earlier key counts as a voice of its own once it has been held together with the new key for this many seconds.
const TOGETHER_SECONDS: f64 = 0.1;
/// The last key of a voice is forgotten after this many seconds.
const VOICE_SECONDS: f64 = 4.0;

/// Keys struck together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chord {
    pub(super) number: u32,
    /// The sample of its first note.
    at: Sample,
    /// How long it accepts notes, in samples.
    window: u64,
    /// The step on which all its notes start.
    pub(super) onset: CountedStep,
    pub(super) is_open: bool,
    /// Whether it starts later than on its nearest step.
    is_deferred: bool,
}

impl Chord {
    /// Whether a key struck at sample `at` belongs to the chord.
    pub(super) fn takes(&self, at: Sample) -> bool {
        self.is_open && (at < self.at + self.window || at == self.at)
    }

    /// The next chord. It accepts notes for `window` samples and starts no earlier than step `earliest`.
    pub(super) fn next(&self, at: Sample, position: StepPosition, window: u64, earliest: Option<CountedStep>) -> Self {
        let nearest = position.nearest_step();
        let onset = earliest.map_or(nearest, |earliest| nearest.max(earliest));
        Self { number: self.number.wrapping_add(1), at, window, onset, is_open: true, is_deferred: onset > nearest }
    }
}

impl Hands {
    /// The step on which the last chord starts.
    pub fn chord_onset(&self) -> CountedStep {
        self.chord.onset
    }

    /// Whether the last chord starts later than on its nearest step because that step already has an answer.
    pub fn chord_is_deferred(&self) -> bool {
        self.chord.is_deferred
    }

    /// The sample of the last chord's first note.
    pub fn chord_at(&self) -> Sample {
        self.chord.at
    }

    /// The sample at which the state next changes without an event: a chord closes, or two keys have been held together
    /// for long enough.
    pub fn timer(&self) -> Option<Sample> {
        self.timer
    }

    pub(super) fn set_timer(&mut self) {
        let together = self.samples(TOGETHER_SECONDS);
        let closes = self.chord.is_open.then_some(self.chord.at + self.chord.window);
        let parts = self.overlaps().map(|(_, at)| at + together);
        self.timer = closes.into_iter().chain(parts).min();
    }

    /// The held keys that continue the line of another held key, each with the sample at which it was struck.
    fn overlaps(&self) -> impl Iterator<Item = (usize, Sample)> {
        // The same key on two channels stays one voice.
        let down = |serial, key| self.heard().any(|(_, old)| old.serial == serial && old.hand && old.key != key);
        self.heard()
            .filter(move |(_, key)| key.hand && key.continues.is_some_and(|serial| down(serial, key.key)))
            .map(|(slot, key)| (slot, key.at))
    }

    /// Handles the timer at sample `at`. Returns whether keys have become voices of their own.
    pub fn on_timer(&mut self, at: Sample) -> bool {
        if self.chord.is_open && at >= self.chord.at + self.chord.window {
            self.close_chord();
        }
        let together = self.samples(TOGETHER_SECONDS);
        let mut changed = false;
        loop {
            let parted = self.overlaps().find(|(_, struck)| *struck + together <= at).map(|(slot, _)| slot);
            let Some(slot) = parted else { break };
            if let Some(key) = &mut self.keys[slot] {
                key.continues = None;
            }
            changed = true;
        }
        if changed {
            self.deal_held();
            self.settle();
        }
        self.set_timer();
        changed
    }

    /// Closes the open chord. Its voices now guide the dealing of later chords.
    pub fn close_chord(&mut self) {
        if std::mem::take(&mut self.chord.is_open) {
            self.deal_held();
            // The open chord has no keys from here on.
            self.settle();
            self.set_timer();
        }
    }

    fn settle(&mut self) {
        let Self { keys, chord, last, .. } = self;
        for key in keys.iter_mut().flatten().filter(|key| key.heard && (key.is_held() || key.chord == chord.number)) {
            key.settled = key.dealt;
            if let Some(voice) = key.dealt {
                last[voice] = Some((key.key, chord.at));
            }
        }
    }

    /// The key that the player sounded last in each voice, if that was recent.
    pub(super) fn last(&self) -> [Option<u8>; NUM_VOICES] {
        let lately = self.samples(VOICE_SECONDS);
        self.last.map(|last| last.filter(|(_, at)| self.chord.at < *at + lately).map(|(key, _)| key))
    }
}
