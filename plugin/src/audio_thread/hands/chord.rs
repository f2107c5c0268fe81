//! Chords: keys struck together, and what time alone makes of keys that are held. Audio thread.

use continuo_model::tokeniser::grid::NUM_VOICES;

use super::Hands;
use crate::audio_thread::positions::{CountedStep, Sample, StepPosition};

/// A key from before counts as a voice of its own once both have been held for this long, seconds.
const TOGETHER_SECONDS: f64 = 0.1;
/// The last key of a voice is forgotten after this time, seconds.
const VOICE_SECONDS: f64 = 4.0;

/// The keys struck together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chord {
    pub(super) number: u32,
    /// Sample of its first note.
    at: Sample,
    /// Samples for which it takes notes.
    window: u64,
    /// The step that all its notes start on.
    pub(super) onset: CountedStep,
    pub(super) is_open: bool,
    /// It starts on a later step than the nearest.
    is_deferred: bool,
}

impl Chord {
    /// Whether a key struck at sample `at` belongs to it.
    pub(super) fn takes(&self, at: Sample) -> bool {
        self.is_open && (at < self.at + self.window || at == self.at)
    }

    /// The chord after it, open for so many samples: it starts no earlier than step `earliest`.
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

    /// Whether the last chord starts on a later step than the nearest, as that has been answered.
    pub fn chord_is_deferred(&self) -> bool {
        self.chord.is_deferred
    }

    /// The sample of the last chord's first note.
    pub fn chord_at(&self) -> Sample {
        self.chord.at
    }

    /// The sample at which time alone changes something next: a chord is complete, or two keys have been held for long
    /// enough.
    pub fn timer(&self) -> Option<Sample> {
        self.timer
    }

    pub(super) fn set_timer(&mut self) {
        let together = self.samples(TOGETHER_SECONDS);
        let closes = self.chord.is_open.then_some(self.chord.at + self.chord.window);
        let parts = self.overlaps().map(|(_, at)| at + together);
        self.timer = closes.into_iter().chain(parts).min();
    }

    /// Keys under a finger that continue a line whose key is under a finger too, each with the sample at which the
    /// later was struck.
    fn overlaps(&self) -> impl Iterator<Item = (usize, Sample)> {
        // One key on two channels stays one voice.
        let down = |serial, key| self.heard().any(|(_, old)| old.serial == serial && old.hand && old.key != key);
        self.heard()
            .filter(move |(_, key)| key.hand && key.continues.is_some_and(|serial| down(serial, key.key)))
            .map(|(slot, key)| (slot, key.at))
    }

    /// The timer goes off at sample `at`: whether keys have become voices of their own.
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

    /// No note belongs to the chord any more: what it was dealt is what later chords go by.
    pub fn close_chord(&mut self) {
        if std::mem::take(&mut self.chord.is_open) {
            self.deal_held();
            // From here on no key is of the open chord.
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

    /// The key that the player sounded last in each voice, where that was lately.
    pub(super) fn last(&self) -> [Option<u8>; NUM_VOICES] {
        let lately = self.samples(VOICE_SECONDS);
        self.last.map(|last| last.filter(|(_, at)| self.chord.at < *at + lately).map(|(key, _)| key))
    }
}
