//! Sends the player's keys to the worker for the take. A chord is sent once it is complete, with the voices that it was
//! dealt as a whole. Audio thread.

use super::{Hands, PlayedKey};
use crate::audio_thread::positions::TakeBeats;
use crate::bridge::{AudioEnd, Played, Told};

/// What the take contains of a key.
#[derive(Clone, Copy, Debug, Default)]
pub struct InTake {
    /// When the key started, until that is sent.
    untold_start: Option<TakeBeats>,
    /// The channel that its start was sent with.
    told_as: Option<u8>,
    /// When the key ended, if that was before its start was sent.
    untold_end: Option<TakeBeats>,
}

impl Hands {
    /// Remembers when a key started, to send later.
    pub fn start_in_take(&mut self, slot: usize, at: TakeBeats) {
        if let Some(key) = &mut self.keys[slot] {
            key.in_take.untold_start = Some(at);
        }
    }

    /// Sends the end of a released key, unless another finger holds the same note of the take.
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

    /// Whether a finger holds a note of the take with this channel and key.
    fn is_told(&self, channel: u8, key: u8) -> bool {
        self.held().any(|(_, held)| held.hand && held.key == key && held.in_take.told_as == Some(channel))
    }

    /// When a finger struck the same key again, if the take does not contain that note yet.
    fn restruck(&self, key: &PlayedKey) -> Option<TakeBeats> {
        let again = |held: &PlayedKey| held.hand && held.key == key.key && held.out.channel == key.out.channel;
        let untold = self.held().find(|(_, held)| again(held) && held.in_take.told_as.is_none());
        untold.and_then(|(_, held)| held.in_take.untold_start)
    }

    /// Sends the starts of the complete chord's keys. Each goes to the channel of its voice, or to the channel that it
    /// went out on if `as_voice` is false.
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

    /// Sends a key's start, and its end if it is over.
    pub fn tell_start(&mut self, slot: usize, bridge: &mut AudioEnd) {
        let Some(key) = &mut self.keys[slot] else { return };
        let Some(start) = key.in_take.untold_start.take() else { return };
        let channel = *key.in_take.told_as.get_or_insert(key.out.channel);
        tell(bridge, channel, key.key, key.velocity, start);
        if let Some(end) = key.in_take.untold_end.take() {
            tell(bridge, channel, key.key, 0.0, end);
        }
    }

    /// Sends the ends of held keys, because the plugin has ended their notes.
    pub fn tell_held_ended(&self, at: TakeBeats, bridge: &mut AudioEnd) {
        self.told_and_held().for_each(|(channel, key)| tell(bridge, channel, key.key, 0.0, at));
    }

    /// Sends the starts of held keys again, for the take that begins here.
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
