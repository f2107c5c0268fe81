//! The player's hands: keys, chords, lines and the sustain pedal, and which of the notes belong to each step. Audio
//! thread.
//!
//! Keys struck within the chord window of the first key form one chord, in any order. A key continues the nearest line,
//! so that legato overlaps and fast notes stay in one voice. Two keys become two voices once they have been held
//! together for a tenth of a second.

mod chord;
mod dealing;
mod in_take;
mod keys;
mod lines;
mod notes;
mod played_step;

use continuo_model::tokeniser::grid::NUM_VOICES;
use nice_plug::midi::VoiceID;

use chord::Chord;
use keys::belongs_to;
pub use keys::{Out, PlayedKey, Struck};
use lines::LINE_SECONDS;
pub use played_step::ByVoice;

use super::positions::{CountedStep, Sample, StepPosition};

/// The most keys remembered at once.
const MAX_KEYS: usize = 256;
/// The most notes of one key and channel that sound at once.
const MAX_OF_ONE_KEY: usize = 8;
/// The velocity of generated notes before the player has played, 0 to 1.
const FIRST_VELOCITY: f32 = 0.63;

/// The player's hands and pedals.
pub struct Hands {
    keys: [Option<PlayedKey>; MAX_KEYS],
    /// Whether the sustain pedal is down, by input channel.
    pedals: [bool; 16],
    chord: Chord,
    /// The serial number of the last key struck.
    last_serial: u32,
    /// How keys become voices.
    by: ByVoice,
    /// The last key that the player sounded in each voice, and the sample of its chord; set when a chord closes.
    last: [Option<(u8, Sample)>; NUM_VOICES],
    /// The average velocity of recent notes, 0 to 1.
    velocity: f32,
    samples_per_second: f64,
    /// The sample at which the state next changes without an event.
    timer: Option<Sample>,
}

impl Hands {
    /// No keys yet.
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

    /// Forgets all keys, but not which pedals are down.
    pub fn clear(&mut self) {
        *self = Self { pedals: self.pedals, by: self.by, ..Self::new(self.samples_per_second) };
    }

    /// Forgets the keys that are not held.
    pub fn forget_released(&mut self) {
        for slot in &mut self.keys {
            slot.take_if(|key| !key.is_held());
        }
        self.velocity = FIRST_VELOCITY;
    }

    /// Sets how keys become voices.
    pub fn set_by(&mut self, by: ByVoice) {
        if std::mem::replace(&mut self.by, by) == by {
            return;
        }
        // The voices of before mean nothing now.
        self.last = [None; NUM_VOICES];
        self.keys.iter_mut().flatten().for_each(|key| (key.voice, key.dealt, key.settled) = (None, None, None));
        self.deal_held();
    }

    /// The velocity for generated notes, 0 to 1: an average of recent notes.
    pub fn velocity(&self) -> f32 {
        self.velocity
    }

    fn samples(&self, seconds: f64) -> u64 {
        (seconds * self.samples_per_second).round() as u64
    }

    /// Records a key struck at sample `at`. The key joins the open chord, or opens a new one with this window that
    /// starts no earlier than step `earliest`. Returns the key's slot, and the held key that it replaced, if any.
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
        let key = PlayedKey::new(struck, (at, position), onset, self.last_serial, self.chord.number);
        let slot = self.free_slot(&key);
        let gone = self.keys[slot].replace(key).filter(|gone| gone.hand);
        self.find_lines(at);
        self.set_timer();
        (slot, gone)
    }

    /// The slot for a key: the oldest note of the same key if there are too many of them; else a free slot, the oldest
    /// released key's, or the oldest key's.
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

    /// The remembered keys with their slots.
    pub fn keys(&self) -> impl Iterator<Item = (usize, &PlayedKey)> {
        self.keys.iter().enumerate().filter_map(|(slot, key)| Some((slot, key.as_ref()?)))
    }

    fn held(&self) -> impl Iterator<Item = (usize, &PlayedKey)> {
        self.keys().filter(|(_, key)| key.is_held())
    }

    fn heard(&self) -> impl Iterator<Item = (usize, &PlayedKey)> {
        self.keys().filter(|(_, key)| key.heard)
    }

    /// The slot of the note that a note-off ends: the note with its handle if it has one, else the oldest note of that
    /// key.
    pub fn note_of(&self, channel: u8, key: u8, voice_id: VoiceID) -> Option<usize> {
        let fits = |held: &PlayedKey| match (voice_id, held.voice_id) {
            (VoiceID::ID(named), VoiceID::ID(of_note)) => named == of_note,
            _ => true,
        };
        let down =
            self.held().filter(|(_, held)| held.hand && (held.channel, held.key) == (channel, key) && fits(held));
        down.min_by_key(|(_, held)| held.serial).map(|(slot, _)| slot)
    }

    /// Records that a finger releases a key at sample `at`. The pedal may go on holding the note.
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

    /// Whether a finger holds a note that goes out on this channel and key.
    pub fn goes_out(&self, channel: u8, key: u8) -> bool {
        self.held().any(|(_, held)| held.hand && held.key == key && held.out.sent && held.out.channel == channel)
    }

    /// The voice whose channel a key of a chord goes out on. This is the voice it was dealt, unless an earlier key of
    /// the chord already sounds there: then it is the voice that this other key has been dealt since.
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

    /// Forgets that pedals are down.
    pub fn forget_pedals(&mut self) {
        self.pedals = [false; 16];
    }

    /// Records a move of an input channel's sustain pedal. Returns whether that ends notes.
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

    /// The key in a slot.
    pub fn key(&self, slot: usize) -> Option<&PlayedKey> {
        self.keys[slot].as_ref()
    }

    /// Sets where the key in a slot goes out.
    pub fn send(&mut self, slot: usize, out: Out) {
        if let Some(key) = &mut self.keys[slot] {
            key.out = out;
        }
    }

    /// The serial number that the next key gets.
    pub fn next_serial(&self) -> u32 {
        self.last_serial.wrapping_add(1)
    }

    /// The number of slots.
    pub const fn num_slots() -> usize {
        MAX_KEYS
    }

    /// Whether a note belongs to `step`.
    pub fn sounds_in(&self, step: CountedStep) -> bool {
        self.heard().any(|(_, key)| belongs_to(key, step))
    }

    /// The heard keys that belong to `step`.
    pub fn keys_in(&self, step: CountedStep) -> impl Iterator<Item = u8> {
        self.heard().filter(move |(_, key)| belongs_to(key, step)).map(|(_, key)| key.key)
    }

    /// Whether the player's fingers or pedals hold a heard key.
    pub fn is_holding(&self) -> bool {
        self.held().any(|(_, key)| key.heard)
    }

    /// After a start or jump: held keys start at `step`, and released keys are forgotten.
    pub fn go_to(&mut self, step: CountedStep) {
        self.close_chord();
        for slot in &mut self.keys {
            slot.take_if(|key| !key.is_held());
            if let Some(key) = slot {
                (key.onset, key.position, key.voice, key.continues) = (step, step.position(), None, None);
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
