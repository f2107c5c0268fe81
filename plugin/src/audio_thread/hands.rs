//! The player's hands: keys, chords, lines and the pedal, and what of it belongs to each step of the grid. Audio
//! thread.
//!
//! Keys struck within the chord window of the first are one chord, whatever their order. A key continues the nearest
//! line: legato overlaps and fast notes are one voice. Only after two keys have been held together for a tenth of a
//! second are they two.

mod chord;
mod dealing;
mod in_take;
mod keys;
mod lines;
mod played_step;

use continuo_model::tokeniser::grid::NUM_VOICES;
use nice_plug::midi::VoiceID;

use chord::Chord;
use keys::belongs_to;
pub use keys::{Out, PlayedKey, Struck};
use lines::LINE_SECONDS;
pub use played_step::ByVoice;

use super::positions::{CountedStep, Sample, StepPosition};

/// Keys that are remembered at once.
const MAX_KEYS: usize = 256;
/// Notes of one key and channel that sound at once, at the most.
const MAX_OF_ONE_KEY: usize = 8;
/// How loud generated notes are before anything has been played, 0 to 1.
const FIRST_VELOCITY: f32 = 0.63;

/// The player's hands and pedals.
pub struct Hands {
    keys: [Option<PlayedKey>; MAX_KEYS],
    /// Sustain pedals by input channel.
    pedals: [bool; 16],
    chord: Chord,
    /// Counts keys.
    last_serial: u32,
    /// How keys become voices.
    by: ByVoice,
    /// The key that the player sounded last in each voice, and the sample of its chord, as of the last closed chord.
    last: [Option<(u8, Sample)>; NUM_VOICES],
    /// Velocity of what was played lately, 0 to 1.
    velocity: f32,
    samples_per_second: f64,
    /// The sample at which time alone changes something next.
    timer: Option<Sample>,
}

impl Hands {
    /// Nothing has been played.
    pub fn new(sample_rate: f64) -> Self {
        Self {
            keys: [None; MAX_KEYS],
            pedals: [false; 16],
            chord: Chord::default(),
            last_serial: 0,
            by: ByVoice::Dealt(0),
            last: [None; NUM_VOICES],
            velocity: FIRST_VELOCITY,
            samples_per_second: sample_rate,
            timer: None,
        }
    }

    /// Forgets what was played, but not which pedals are down.
    pub fn clear(&mut self) {
        *self = Self { pedals: self.pedals, by: self.by, ..Self::new(self.samples_per_second) };
    }

    /// Forgets what is not held.
    pub fn forget_released(&mut self) {
        for slot in &mut self.keys {
            slot.take_if(|key| !key.is_held());
        }
        self.velocity = FIRST_VELOCITY;
    }

    /// Takes how keys become voices.
    pub fn set_by(&mut self, by: ByVoice) {
        self.by = by;
    }

    /// The velocity that generated notes take, 0 to 1: an average of what was played lately.
    pub fn velocity(&self) -> f32 {
        self.velocity
    }

    fn samples(&self, seconds: f64) -> u64 {
        (seconds * self.samples_per_second).round() as u64
    }

    /// A key goes down at sample `at`. Opens a chord with this window unless one is open that it belongs to; a chord
    /// starts no earlier than step `earliest`. Returns the key's slot, and a key that had to give way.
    pub fn strike(
        &mut self,
        struck: Struck,
        (at, position): (Sample, StepPosition),
        window: u64,
        earliest: Option<CountedStep>,
    ) -> (usize, Option<PlayedKey>) {
        if struck.heard {
            self.velocity += (struck.velocity - self.velocity) * 0.3;
            if !self.chord.takes(at) {
                self.chord = self.chord.next(at, position, window, earliest);
            }
        }
        self.last_serial = self.last_serial.wrapping_add(1);
        let onset = if struck.heard { self.chord.onset } else { position.nearest_step() };
        let key = PlayedKey::new(struck, at, onset, self.last_serial, self.chord.number);
        let slot = self.free_slot(&key);
        let gone = self.keys[slot].replace(key).filter(|gone| gone.hand);
        self.find_lines(at);
        self.set_timer();
        (slot, gone)
    }

    /// Where a key can be put: nobody's slot, else that of a note of the same key where there are too many, of one that
    /// is over, or the oldest.
    fn free_slot(&self, key: &PlayedKey) -> usize {
        let twins = || self.held().filter(|(_, held)| held.hand && (held.channel, held.key) == (key.channel, key.key));
        if twins().count() >= MAX_OF_ONE_KEY
            && let Some((slot, _)) = twins().min_by_key(|(_, held)| held.serial)
        {
            return slot;
        }
        let order = |slot: &usize| self.keys[*slot].map(|key| (key.is_held(), key.serial));
        (0..MAX_KEYS).min_by_key(order).unwrap_or(0)
    }

    /// The keys that are remembered, each with its slot.
    pub fn keys(&self) -> impl Iterator<Item = (usize, &PlayedKey)> {
        self.keys.iter().enumerate().filter_map(|(slot, key)| Some((slot, key.as_ref()?)))
    }

    fn held(&self) -> impl Iterator<Item = (usize, &PlayedKey)> {
        self.keys().filter(|(_, key)| key.is_held())
    }

    fn heard(&self) -> impl Iterator<Item = (usize, &PlayedKey)> {
        self.keys().filter(|(_, key)| key.heard)
    }

    /// The slot of the note that a note-off ends: by its handle if it names one, else the oldest of that key.
    pub fn note_of(&self, channel: u8, key: u8, voice_id: VoiceID) -> Option<usize> {
        let fits = |held: &PlayedKey| match (voice_id, held.voice_id) {
            (VoiceID::ID(named), VoiceID::ID(of_note)) => named == of_note,
            _ => true,
        };
        let down =
            self.held().filter(|(_, held)| held.hand && (held.channel, held.key) == (channel, key) && fits(held));
        down.min_by_key(|(_, held)| held.serial).map(|(slot, _)| slot)
    }

    /// A finger leaves its key at sample `at`; the pedal may hold the note.
    pub fn lift(&mut self, slot: usize, (at, position): (Sample, StepPosition)) {
        let Some(key) = self.keys[slot].as_mut() else { return };
        key.hand = false;
        key.lifted = at;
        key.pedal = key.heard && self.pedals[usize::from(key.channel)];
        if !key.pedal {
            key.end_at(position);
        }
        self.set_timer();
    }

    /// Whether another finger holds what goes out on this channel and key.
    pub fn goes_out(&self, channel: u8, key: u8) -> bool {
        self.held().any(|(_, held)| held.hand && held.key == key && held.out.sent && held.out.channel == channel)
    }

    /// The voice whose channel a key of a chord goes out on: the one that it was dealt, or if another key of the chord
    /// sounds there, as it came before anyone knew better, the one that this other key was dealt.
    pub fn free_voice(&self, key: &PlayedKey, dealt: usize) -> usize {
        let mut voice = dealt;
        for _ in 0..NUM_VOICES {
            let sounds_there = |held: &PlayedKey| {
                held.serial != key.serial
                    && held.chord == key.chord
                    && held.hand
                    && held.out.sent
                    && usize::from(held.out.channel) == voice
            };
            match self.heard().find(|(_, held)| sounds_there(held)).and_then(|(_, held)| held.dealt) {
                Some(other) if other != voice => voice = other,
                _ => return voice,
            }
        }
        dealt
    }

    /// Lets all pedals go, and what they hold.
    pub fn forget_pedals(&mut self) {
        self.pedals = [false; 16];
    }

    /// The sustain pedal of an input channel moves; `true` if that ends notes.
    pub fn pedal(&mut self, channel: u8, down: bool, (at, position): (Sample, StepPosition)) -> bool {
        self.pedals[usize::from(channel & 15)] = down;
        let mut ends = false;
        if !down {
            for key in self.keys.iter_mut().flatten().filter(|key| key.pedal && key.channel == channel) {
                key.pedal = false;
                key.lifted = at;
                key.end_at(position);
                ends = true;
            }
        }
        ends
    }

    /// A slot's key.
    pub fn key(&self, slot: usize) -> Option<&PlayedKey> {
        self.keys[slot].as_ref()
    }

    /// The key in a slot goes out on this channel, or does not.
    pub fn send(&mut self, slot: usize, out: Out) {
        if let Some(key) = &mut self.keys[slot] {
            key.out = out;
        }
    }

    /// The serial that the next key gets.
    pub fn next_serial(&self) -> u32 {
        self.last_serial.wrapping_add(1)
    }

    /// How many slots there are.
    pub const fn num_slots() -> usize {
        MAX_KEYS
    }

    /// Whether a note belongs to `step`.
    pub fn sounds_in(&self, step: CountedStep) -> bool {
        self.heard().any(|(_, key)| belongs_to(key, step))
    }

    /// Whether a key that is heard is down, or its pedal.
    pub fn is_holding(&self) -> bool {
        self.held().any(|(_, key)| key.heard)
    }

    /// Time is elsewhere: what is held starts at `step`, what is over is forgotten.
    pub fn go_to(&mut self, step: CountedStep) {
        self.close_chord();
        for slot in &mut self.keys {
            slot.take_if(|key| !key.is_held());
            if let Some(key) = slot {
                (key.onset, key.voice, key.continues) = (step, None, None);
            }
        }
        self.set_timer();
    }

    /// Forgets notes that ended at or before `step` and whose lines are over at sample `now`.
    pub fn forget_before(&mut self, step: CountedStep, now: Sample) {
        let (number, line) = (self.chord.number, self.samples(LINE_SECONDS));
        let open = self.chord.is_open;
        for slot in &mut self.keys {
            let is_over = |key: &mut PlayedKey| {
                let closed = !(open && key.chord == number);
                closed && key.end.is_some_and(|end| end <= step) && now >= key.lifted + line
            };
            slot.take_if(is_over);
        }
    }
}

#[cfg(test)]
mod tests;
