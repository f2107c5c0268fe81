//! Deals the keys that belong to a step to the voices. Audio thread.

use continuo_model::decision::Given;
use continuo_model::tokeniser::grid::NUM_VOICES;

use super::dealing::{Dealt, Player, deal};
use super::keys::{PlayedKey, belongs_to};
use super::{Hands, MAX_KEYS};
use crate::audio_thread::positions::CountedStep;

/// A step as the player plays it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlayedStep {
    /// The player's lanes, one per voice.
    pub given: Given,
    /// The player's keys and their velocities, 1 to 127: by voice, or the first four if they are one part.
    pub(super) keys: [Option<(u8, u8)>; NUM_VOICES],
}

impl PlayedStep {
    /// The step for a model that has not heard its start: held keys start here.
    pub fn struck(&self) -> Given {
        let mut given = Given::NOTHING;
        for (lane, key) in self.given.notes.sounding.iter() {
            let velocity = self.keys.iter().flatten().find(|played| played.0 == key).map_or(0, |played| played.1);
            given.strike(lane, key, velocity);
        }
        given
    }

    /// Whether the player plays all four voices, which leaves nothing to add.
    pub fn is_full(&self) -> bool {
        self.keys.iter().all(Option::is_some)
    }
}

/// How the player's keys become voices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByVoice {
    /// By pitch and by line, for a player of this voice.
    Dealt(usize),
    /// By input channel: channel 1 is the first voice; the last voice is at most this one.
    Channel(usize),
    /// All of them are one part.
    One(usize),
}

/// The slots of the keys chosen for the voices, the highest first.
struct Chosen {
    slots: [usize; MAX_KEYS],
    count: usize,
}

impl Hands {
    /// The player's part: the voice of a single note.
    pub fn part(&self) -> usize {
        match self.by {
            ByVoice::Dealt(voice) | ByVoice::One(voice) => voice,
            ByVoice::Channel(_) => 0,
        }
    }

    /// What the player plays in `step`; `None` if nothing.
    pub fn played_in(&mut self, step: CountedStep) -> Option<PlayedStep> {
        let chosen = self.choose(|key| belongs_to(key, step));
        if chosen.count == 0 {
            return None;
        }
        let voices = self.voices(&chosen);
        // A key that is not chosen loses its voice, so that it starts anew if it is chosen again.
        for slot in (0..MAX_KEYS).filter(|slot| !chosen.slots[..chosen.count].contains(slot)) {
            if let Some(key) = self.keys[slot].as_mut().filter(|key| key.heard && belongs_to(key, step)) {
                key.voice = None;
            }
        }
        let one_part = matches!(self.by, ByVoice::One(_));
        let mut played = PlayedStep { given: Given::NOTHING, keys: [None; NUM_VOICES] };
        for (n, &slot) in chosen.slots[..chosen.count].iter().enumerate() {
            let voice = if let ByVoice::One(part) = self.by { Some(part) } else { voices[n] };
            let (Some(voice), Some(key)) = (voice, self.keys[slot].as_mut()) else { continue };
            if key.voice.is_none_or(|(dealt_to, _)| dealt_to != voice) {
                key.voice = Some((voice, step));
            }
            let starts = key.onset >= step || key.voice.is_some_and(|(_, since)| since >= step);
            let velocity = key.midi_velocity();
            if let Some(played) = played.keys.get_mut(if one_part { n } else { voice }) {
                *played = Some((key.key, velocity));
            }
            if starts {
                played.given.strike(voice as u8, key.key, velocity);
            } else {
                played.given.hold(voice as u8, key.key);
            }
        }
        Some(played)
    }

    /// Deals the held keys and stores each key's voice.
    pub fn deal_held(&mut self) {
        let chosen = self.choose(PlayedKey::is_held);
        let voices = self.voices(&chosen);
        for (n, &slot) in chosen.slots[..chosen.count].iter().enumerate() {
            if let Some(key) = self.keys[slot].as_mut() {
                key.dealt = if let ByVoice::One(part) = self.by { Some(part) } else { voices[n] };
            }
        }
    }

    /// Chooses at most four of the matching keys. The oldest keys that only the pedal holds are dropped first; then the
    /// three highest and the lowest remain.
    fn choose(&self, is_meant: impl Fn(&PlayedKey) -> bool) -> Chosen {
        let mut chosen = Chosen { slots: [0; MAX_KEYS], count: 0 };
        let meant = || self.heard().filter(|(_, key)| is_meant(key));
        // Of the keys of a line only the last sounds.
        let goes_on = |key: &PlayedKey| meant().any(|(_, later)| later.continues == Some(key.serial));
        let any_line = meant().any(|(_, key)| key.continues.is_some());
        for (slot, _) in meant().filter(|(_, key)| !any_line || !goes_on(key)) {
            chosen.slots[chosen.count] = slot;
            chosen.count += 1;
        }
        let order = |slot: &usize| self.keys[*slot].map_or((0, 0), |key| (u8::MAX - key.key, key.serial));
        chosen.slots[..chosen.count].sort_unstable_by_key(order);
        self.drop_unisons(&mut chosen);
        // A part has room for all keys.
        while chosen.count > NUM_VOICES && !matches!(self.by, ByVoice::One(_)) {
            let under_pedal = |slot: &usize| self.keys[*slot].is_some_and(|key| key.pedal);
            let oldest = (0..chosen.count).filter(|n| under_pedal(&chosen.slots[*n]));
            let oldest = oldest.min_by_key(|n| self.keys[chosen.slots[*n]].map(|key| key.serial));
            let gives_way = oldest.unwrap_or(chosen.count - 2);
            chosen.slots.copy_within(gives_way + 1..chosen.count, gives_way);
            chosen.count -= 1;
        }
        chosen
    }

    /// The same key on several channels is one voice, unless channels are voices.
    fn drop_unisons(&self, chosen: &mut Chosen) {
        if matches!(self.by, ByVoice::Channel(_)) {
            return;
        }
        let mut kept = 0;
        for n in 0..chosen.count {
            let key = |slot: usize| self.keys[slot].map(|key| key.key);
            if kept == 0 || key(chosen.slots[n]) != key(chosen.slots[kept - 1]) {
                chosen.slots[kept] = chosen.slots[n];
                kept += 1;
            }
        }
        chosen.count = kept;
    }

    fn voices(&self, chosen: &Chosen) -> [Option<usize>; NUM_VOICES] {
        let key = |n: usize| chosen.slots[..chosen.count].get(n).and_then(|slot| self.keys[*slot].as_ref());
        let player_voice = match self.by {
            ByVoice::Channel(last) => {
                let is_voice = |channel: &usize| *channel < NUM_VOICES;
                let voice = |key: &PlayedKey| Some(usize::from(key.channel)).filter(is_voice).map(|c| c.min(last));
                return std::array::from_fn(|n| key(n).and_then(voice));
            }
            ByVoice::One(voice) => return std::array::from_fn(|n| key(n).map(|_| voice)),
            ByVoice::Dealt(voice) => voice,
        };
        let dealt: [Dealt; NUM_VOICES] = std::array::from_fn(|n| {
            let voice = |key: &PlayedKey| key.settled.filter(|_| !self.is_in_open_chord(key));
            key(n).map_or(Dealt::default(), |key| Dealt { key: key.key, voice: voice(key) })
        });
        let voices = deal(&dealt[..chosen.count], &Player { voice: player_voice, last: self.last() });
        std::array::from_fn(|n| (n < chosen.count).then_some(voices[n]))
    }

    /// Whether a key's chord is still open.
    pub fn is_in_open_chord(&self, key: &PlayedKey) -> bool {
        self.chord.is_open && key.chord == self.chord.number
    }
}
