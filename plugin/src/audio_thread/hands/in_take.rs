//! What the take knows of each key: a chord is told once it is complete, under the voices that it was dealt as a whole.
//! Audio thread.

use super::{Hands, PlayedKey};
use crate::audio_thread::positions::TakeBeats;
use crate::bridge::{AudioEnd, Played, Told};

/// What the take knows of a key.
#[derive(Clone, Copy, Debug, Default)]
pub struct InTake {
    /// Its start, until that has been told.
    untold_start: Option<TakeBeats>,
    /// The channel under which it was told.
    told_as: Option<u8>,
    /// Its end, if that came before its start was told.
    untold_end: Option<TakeBeats>,
}

impl Hands {
    /// The take is to be told of a key's start.
    pub fn start_in_take(&mut self, slot: usize, at: TakeBeats) {
        if let Some(key) = &mut self.keys[slot] {
            key.in_take.untold_start = Some(at);
        }
    }

    /// A finger has left a key: tells the take of its end, unless another finger holds what is one note there.
    pub fn end_in_take(&mut self, slot: usize, at: TakeBeats, bridge: &mut AudioEnd) {
        let Some(key) = self.keys[slot] else { return };
        match key.in_take.told_as {
            Some(channel) if self.is_told(channel, key.key) => {}
            Some(channel) => tell(bridge, channel, key.key, 0.0, self.restruck(&key).unwrap_or(at)),
            None => {
                if let Some(key) = &mut self.keys[slot] {
                    key.in_take.untold_end = Some(at);
                }
            }
        }
    }

    /// Whether a finger holds what the take knows under this channel and key.
    fn is_told(&self, channel: u8, key: u8) -> bool {
        self.held().any(|(_, held)| held.hand && held.key == key && held.in_take.told_as == Some(channel))
    }

    /// Where in the take a key has been struck again by a finger of which the take does not know yet.
    fn restruck(&self, key: &PlayedKey) -> Option<TakeBeats> {
        let again = |held: &PlayedKey| held.hand && held.key == key.key && held.out.channel == key.out.channel;
        let untold = self.held().find(|(_, held)| again(held) && held.in_take.told_as.is_none());
        untold.and_then(|(_, held)| held.in_take.untold_start)
    }

    /// Tells the take of the chord that is complete, under the voices that it was dealt as a whole; or where
    /// `as_voice` is false, under the channels that its notes went out on.
    pub fn tell_chord(&mut self, as_voice: bool, bridge: &mut AudioEnd) {
        for slot in 0..Self::num_slots() {
            let Some(key) = self.keys[slot].as_mut().filter(|key| key.heard && key.in_take.untold_start.is_some())
            else {
                continue;
            };
            if let Some(voice) = key.settled.or(key.dealt).filter(|_| as_voice) {
                key.in_take.told_as = Some(voice as u8);
            }
            self.tell_start(slot, bridge);
        }
    }

    /// Tells the take of a key's start; of its end too, if that is over.
    pub fn tell_start(&mut self, slot: usize, bridge: &mut AudioEnd) {
        let Some(key) = &mut self.keys[slot] else { return };
        let Some(start) = key.in_take.untold_start.take() else { return };
        let channel = *key.in_take.told_as.get_or_insert(key.out.channel);
        tell(bridge, channel, key.key, key.velocity, start);
        if let Some(end) = key.in_take.untold_end.take() {
            tell(bridge, channel, key.key, 0.0, end);
        }
    }

    /// What fingers hold ends here for the take, as the plugin has ended it.
    pub fn tell_held_ended(&self, at: TakeBeats, bridge: &mut AudioEnd) {
        self.told_and_held().for_each(|(channel, key)| tell(bridge, channel, key.key, 0.0, at));
    }

    /// What fingers hold goes on into the take that begins here.
    pub fn tell_held_again(&self, at: TakeBeats, bridge: &mut AudioEnd) {
        self.told_and_held().for_each(|(channel, key)| tell(bridge, channel, key.key, key.velocity, at));
    }

    fn told_and_held(&self) -> impl Iterator<Item = (u8, &PlayedKey)> {
        self.keys().filter_map(|(_, key)| Some((key.in_take.told_as.filter(|_| key.hand)?, key)))
    }
}

fn tell(bridge: &mut AudioEnd, channel: u8, key: u8, velocity: f32, at: TakeBeats) {
    let (take_beats, heard_beats) = (at.beats(), at.beats());
    bridge.tell(Told::Played(Played { take_beats, heard_beats, channel, key, velocity, generated: false }));
}
