//! The player's hands: keys, chords, lines and the pedal, and what of it belongs to each step of the grid. Audio
//! thread.
//!
//! Keys struck within the chord window of the first are one chord, whatever their order. A key continues the nearest
//! line: legato overlaps and fast notes are one voice. Only after two keys have been held together for
//! [`TOGETHER_SECONDS`] are they two.

mod keys;
mod row;

use nice_plug::midi::VoiceID;

pub use keys::{Out, PlayedKey, Struck};
use keys::{belongs_to, nearest};
pub use row::ByVoice;

use continuo_model::tokeniser::grid::NUM_VOICES;

/// Keys that are remembered at once.
const MAX_KEYS: usize = 256;
/// Notes of one key and channel that sound at once, at the most.
const MAX_OF_ONE_KEY: usize = 8;
/// A key from before counts as a voice of its own once both have been held for this long, seconds.
const TOGETHER_SECONDS: f64 = 0.1;
/// For this long after its key is released a line can be continued, seconds.
const LINE_SECONDS: f64 = 1.0;
/// A key that sounds from before is the same line as a new one within an octave.
const SAME_LINE: u8 = 12;
/// A line whose key has been released is continued from twice as far.
const SAME_LINE_RELEASED: u8 = 24;
/// The last key of a voice is forgotten after this time, seconds.
const VOICE_SECONDS: f64 = 4.0;
/// With more keys down than this nobody plays lines.
const MAX_FINGERS: usize = 24;
/// How loud generated notes are before anything has been played, 0 to 1.
const FIRST_VELOCITY: f32 = 0.63;

/// The keys struck together.
#[derive(Clone, Copy, Debug)]
struct Chord {
    number: u32,
    /// Sample of its first note.
    at: u64,
    /// Samples for which it takes notes.
    window: u64,
    /// The step that all its notes start on.
    onset: i64,
    is_open: bool,
    /// It starts on a later step than the nearest.
    is_deferred: bool,
}

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
    last: [Option<(u8, u64)>; NUM_VOICES],
    /// Velocity of what was played lately, 0 to 1.
    velocity: f32,
    samples_per_second: f64,
    /// The sample at which time alone changes something next.
    timer: Option<u64>,
}

impl Hands {
    /// Nothing has been played.
    pub const fn new(sample_rate: f64) -> Self {
        Self {
            keys: [None; MAX_KEYS],
            pedals: [false; 16],
            chord: Chord { number: 0, at: 0, window: 0, onset: i64::MIN, is_open: false, is_deferred: false },
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

    /// A key goes down at sample `at`, `step` in steps with a fraction. Opens a chord with this window unless one is
    /// open that it belongs to; a chord starts no earlier than step `earliest`. Returns the key's slot, and a key that
    /// had to give way.
    pub fn strike(
        &mut self,
        struck: Struck,
        at: u64,
        step: f64,
        window: u64,
        earliest: i64,
    ) -> (usize, Option<PlayedKey>) {
        let joins = self.chord.is_open && (at < self.chord.at + self.chord.window || at == self.chord.at);
        if struck.heard {
            self.velocity += (struck.velocity - self.velocity) * 0.3;
            if !joins {
                let (number, nearest) = (self.chord.number.wrapping_add(1), nearest(step));
                let (onset, is_deferred) = (nearest.max(earliest), nearest < earliest);
                self.chord = Chord { number, at, window, onset, is_open: true, is_deferred };
            }
        }
        self.last_serial = self.last_serial.wrapping_add(1);
        let onset = if struck.heard { self.chord.onset } else { nearest(step) };
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

    /// Says which line each key of the open chord continues: the nearest, and each line is continued once.
    fn find_lines(&mut self, at: u64) {
        let number = self.chord.number;
        for key in self.keys.iter_mut().flatten().filter(|key| key.heard && key.chord == number) {
            key.continues = None;
        }
        // (slot, whether its line goes on already) of the new keys; lines that can be continued.
        let mut new = List::new();
        let mut old = List::new();
        let fits = self.heard().filter(|(_, key)| key.chord == number).all(|(slot, _)| new.push(slot))
            && self
                .heard()
                .filter(|(_, key)| key.chord != number && self.can_be_continued(key, at))
                .all(|(slot, _)| old.push(slot));
        if !fits {
            return;
        }
        while let Some((new_slot, old_slot)) = self.nearest_pair(&new, &old) {
            let serial = self.keys[old_slot].map(|key| key.serial);
            if let Some(key) = &mut self.keys[new_slot] {
                key.continues = serial;
            }
            old.remove(old_slot);
            new.remove(new_slot);
        }
    }

    /// The new key and the line that are nearest to each other, if any are near enough: their slots.
    fn nearest_pair(&self, new: &List, old: &List) -> Option<(usize, usize)> {
        let pairs = new.slots().flat_map(|new_slot| old.slots().map(move |old_slot| (new_slot, old_slot)));
        let near = pairs.filter_map(|(new_slot, old_slot)| {
            let (new, old) = (self.keys[new_slot].as_ref()?, self.keys[old_slot].as_ref()?);
            let distance = new.key.abs_diff(old.key);
            let reach = match (self.by, old.is_held()) {
                (ByVoice::Channel, _) => {
                    if new.channel == old.channel {
                        u8::MAX
                    } else {
                        return None;
                    }
                }
                (ByVoice::Dealt(_), true) => SAME_LINE,
                (ByVoice::Dealt(_), false) => SAME_LINE_RELEASED,
            };
            // Whatever the order in which keys were struck, the same pairs come out.
            let order = (distance, old.is_held(), u8::MAX - new.key, u8::MAX - old.key);
            (distance <= reach).then_some((order, new_slot, old_slot))
        });
        near.min().map(|(_, new_slot, old_slot)| (new_slot, old_slot))
    }

    fn heard(&self) -> impl Iterator<Item = (usize, &PlayedKey)> {
        self.keys().filter(|(_, key)| key.heard)
    }

    /// Whether a key from before is the end of a line that is not over.
    fn can_be_continued(&self, old: &PlayedKey, at: u64) -> bool {
        let lately = old.is_held() || at < old.lifted + self.samples(LINE_SECONDS);
        lately
            && !self
                .heard()
                .any(|(_, later)| later.continues == Some(old.serial) && (later.is_held() || !old.is_held()))
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

    /// A finger leaves its key at sample `at`, `step` in steps; the pedal may hold the note.
    pub fn lift(&mut self, slot: usize, at: u64, step: f64) {
        let Some(key) = self.keys[slot].as_mut() else { return };
        key.hand = false;
        key.lifted = at;
        key.pedal = key.heard && self.pedals[usize::from(key.channel)];
        if !key.pedal {
            key.end_at(step);
        }
        self.set_timer();
    }

    /// Whether another finger holds what goes out on this channel and key.
    pub fn goes_out(&self, channel: u8, key: u8) -> bool {
        self.held().any(|(_, held)| held.hand && held.key == key && held.out.sent && held.out.channel == channel)
    }

    /// Whether a finger holds what the take knows under this channel and key.
    pub fn is_told(&self, channel: u8, key: u8) -> bool {
        self.held().any(|(_, held)| held.hand && held.key == key && held.told_as == Some(channel))
    }

    /// Where in the take a key has been struck again by a finger of which the take does not know yet.
    pub fn restruck(&self, key: &PlayedKey) -> Option<f64> {
        let again = |held: &PlayedKey| held.hand && held.key == key.key && held.out.channel == key.out.channel;
        self.held().find(|(_, held)| again(held) && held.told_as.is_none()).and_then(|(_, held)| held.untold_beats)
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
    pub fn pedal(&mut self, channel: u8, down: bool, at: u64, step: f64) -> bool {
        self.pedals[usize::from(channel & 15)] = down;
        let mut ends = false;
        if !down {
            for key in self.keys.iter_mut().flatten().filter(|key| key.pedal && key.channel == channel) {
                key.pedal = false;
                key.lifted = at;
                key.end_at(step);
                ends = true;
            }
        }
        ends
    }

    /// A slot's key.
    pub fn key(&self, slot: usize) -> Option<&PlayedKey> {
        self.keys[slot].as_ref()
    }

    /// The same, to be changed.
    pub fn key_mut(&mut self, slot: usize) -> Option<&mut PlayedKey> {
        self.keys[slot].as_mut()
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
    pub fn sounds_in(&self, step: i64) -> bool {
        self.heard().any(|(_, key)| belongs_to(key, step))
    }

    /// Whether a key that is heard is down, or its pedal.
    pub fn is_holding(&self) -> bool {
        self.held().any(|(_, key)| key.heard)
    }

    /// The step on which the last chord starts.
    pub fn chord_onset(&self) -> i64 {
        self.chord.onset
    }

    /// Whether the last chord starts on a later step than the nearest, as that has been answered.
    pub fn chord_is_deferred(&self) -> bool {
        self.chord.is_deferred
    }

    /// The sample of the last chord's first note.
    pub fn chord_at(&self) -> u64 {
        self.chord.at
    }

    /// The sample at which time alone changes something next: a chord is complete, or two keys have been held for long
    /// enough.
    pub fn timer(&self) -> Option<u64> {
        self.timer
    }

    fn set_timer(&mut self) {
        let together = self.samples(TOGETHER_SECONDS);
        let closes = self.chord.is_open.then_some(self.chord.at + self.chord.window);
        let parts = self.overlaps().map(|(_, at)| at + together);
        self.timer = closes.into_iter().chain(parts).min();
    }

    /// Keys under a finger that continue a line whose key is under a finger too, each with the sample at which the
    /// later was struck.
    fn overlaps(&self) -> impl Iterator<Item = (usize, u64)> {
        // One key on two channels stays one voice.
        let down = |serial, key| self.heard().any(|(_, old)| old.serial == serial && old.hand && old.key != key);
        self.heard()
            .filter(move |(_, key)| key.hand && key.continues.is_some_and(|serial| down(serial, key.key)))
            .map(|(slot, key)| (slot, key.at))
    }

    /// The timer goes off at sample `at`: whether keys have become voices of their own.
    pub fn on_timer(&mut self, at: u64) -> bool {
        if self.chord.is_open && at >= self.chord.at + self.chord.window {
            self.close_chord();
        }
        let together = self.samples(TOGETHER_SECONDS);
        let mut changed = false;
        loop {
            let parted = self.overlaps().find(|(_, struck)| struck + together <= at).map(|(slot, _)| slot);
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
    fn last(&self) -> [Option<u8>; NUM_VOICES] {
        let lately = self.samples(VOICE_SECONDS);
        self.last.map(|last| last.filter(|(_, at)| self.chord.at < at + lately).map(|(key, _)| key))
    }

    /// Time is elsewhere: what is held starts at `step`, what is over is forgotten.
    pub fn go_to(&mut self, step: i64) {
        self.close_chord();
        for slot in &mut self.keys {
            slot.take_if(|key| !key.is_held());
            if let Some(key) = slot {
                (key.onset, key.voice, key.continues) = (step, None, None);
            }
        }
        self.chord.onset = i64::MIN;
        self.set_timer();
    }

    /// Forgets notes that ended at or before `step` and whose lines are over at sample `now`.
    pub fn forget_before(&mut self, step: i64, now: u64) {
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

/// A short list of slots.
struct List {
    slots: [usize; MAX_FINGERS],
    count: usize,
}

impl List {
    const fn new() -> Self {
        Self { slots: [0; MAX_FINGERS], count: 0 }
    }

    /// Adds one; `false` if there is no room.
    fn push(&mut self, slot: usize) -> bool {
        let room = self.count < MAX_FINGERS;
        if room {
            self.slots[self.count] = slot;
            self.count += 1;
        }
        room
    }

    fn remove(&mut self, slot: usize) {
        if let Some(at) = self.slots[..self.count].iter().position(|kept| *kept == slot) {
            self.slots.copy_within(at + 1..self.count, at);
            self.count -= 1;
        }
    }

    fn slots(&self) -> impl Iterator<Item = usize> + '_ {
        self.slots[..self.count].iter().copied()
    }
}

#[cfg(test)]
mod tests;
