//! Lines: which key continues which, by distance and time. Audio thread.

use super::{ByVoice, Hands, PlayedKey};
use crate::audio_thread::positions::Sample;

/// A key can continue a line for this many seconds after the line's last key is released.
pub(super) const LINE_SECONDS: f64 = 1.0;
/// A new key continues the line of a held key within this many semitones.
const SAME_LINE: u8 = 12;
/// A new key continues the line of a released key within this many semitones.
const SAME_LINE_RELEASED: u8 = 24;
/// With more keys down than this, no key continues a line.
const MAX_FINGERS: usize = 24;

impl Hands {
    /// Finds the line that each key of the open chord continues: the nearest one. Only one key continues each line.
    pub(super) fn find_lines(&mut self, at: Sample) {
        let number = self.chord.number;
        for key in self.keys.iter_mut().flatten().filter(|key| key.heard && key.chord == number) {
            key.continues = None;
        }
        // The slots of the new keys, and of the keys that they can continue.
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

    /// The slots of the new key and the line that are nearest to each other, if any are near enough.
    fn nearest_pair(&self, new: &List, old: &List) -> Option<(usize, usize)> {
        let pairs = new.slots().flat_map(|new_slot| old.slots().map(move |old_slot| (new_slot, old_slot)));
        let near = pairs.filter_map(|(new_slot, old_slot)| {
            let (new, old) = (self.keys[new_slot].as_ref()?, self.keys[old_slot].as_ref()?);
            let distance = new.key.abs_diff(old.key);
            let reach = match (self.by, old.is_held()) {
                (ByVoice::Channel(_), _) => {
                    if new.channel == old.channel {
                        u8::MAX
                    } else {
                        return None;
                    }
                }
                (_, true) => SAME_LINE,
                (_, false) => SAME_LINE_RELEASED,
            };
            // This order makes the pairs independent of the order in which the keys were struck.
            let order = (distance, old.is_held(), u8::MAX - new.key, u8::MAX - old.key);
            (distance <= reach).then_some((order, new_slot, old_slot))
        });
        near.min().map(|(_, new_slot, old_slot)| (new_slot, old_slot))
    }

    /// Whether an earlier key ends a line that can still be continued.
    fn can_be_continued(&self, old: &PlayedKey, at: Sample) -> bool {
        let lately = old.is_held() || at < old.lifted + self.samples(LINE_SECONDS);
        lately
            && !self
                .heard()
                .any(|(_, later)| later.continues == Some(old.serial) && (later.is_held() || !old.is_held()))
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

    /// Adds a slot; `false` if the list is full.
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
