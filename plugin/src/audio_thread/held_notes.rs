//! The ledger: every note-on that went out, until the host has taken its note-off. Audio thread.

use nice_plug::midi::VoiceID;

use super::events::{NoteMessage, OutEvents, Touch};

const NUM_CHANNELS: usize = 16;
const NUM_KEYS: usize = 128;

/// Whose note it is: its owner alone may end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The player's, passed through.
    Player,
    /// A generated one.
    Generated,
    /// One of a frozen take.
    Frozen,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Entry {
    #[default]
    Silent,
    /// Sounding since this sample, and the host's handle of it, which its end must carry too.
    Sounding(Owner, VoiceID, u64),
    /// Ended by us, but the host has not taken the note-off yet; to be sent at this sample or as soon as it can.
    Ending(Touch, u64),
}

/// What sounds, by channel and key.
pub struct HeldNotes {
    entries: [[Entry; NUM_KEYS]; NUM_CHANNELS],
    /// Entries that are not silent.
    count: usize,
}

impl HeldNotes {
    /// Nothing sounds.
    pub const fn new() -> Self {
        Self { entries: [[Entry::Silent; NUM_KEYS]; NUM_CHANNELS], count: 0 }
    }

    /// Starts a note, by (channel, key), at sample `now`. One that sounds there already is ended first. `false` if there was
    /// no room for it in the block.
    pub fn start(
        &mut self,
        out: &mut OutEvents,
        owner: Owner,
        (channel, key): (u8, u8),
        touch: Touch,
        now: u64,
    ) -> bool {
        let entry = &mut self.entries[usize::from(channel)][usize::from(key)];
        let ended = match *entry {
            Entry::Silent => None,
            // A note lasts at least one sample: struck twice at one, it is one note.
            Entry::Sounding(_, voice_id, since) if since == now => {
                *entry = Entry::Sounding(owner, voice_id, since);
                return true;
            }
            // The off that is owed comes after `now` (or has been refused): the note goes on as the new one.
            Entry::Ending(before, at) if at > now => {
                *entry = Entry::Sounding(owner, before.voice_id, now);
                return true;
            }
            Entry::Sounding(_, voice_id, _) => Some((Touch { voice_id, velocity: 0.0 }, now)),
            Entry::Ending(before, at) => Some((before, at)),
        };
        if let Some((before, at)) = ended {
            if !out.push(NoteMessage::Off { channel, key, touch: before, at }) {
                return false;
            }
            self.count -= 1;
            *entry = Entry::Silent;
        }
        let started = out.push(NoteMessage::On { owner, channel, key, touch, at: now });
        if started {
            *entry = Entry::Sounding(owner, touch.voice_id, now);
            self.count += 1;
        }
        started
    }

    /// Ends a note at sample `now`, if it sounds and is the owner's. One that started at this very sample ends at
    /// the next: no note has length zero.
    pub fn end(&mut self, owner: Owner, channel: u8, key: u8, now: u64) {
        self.let_go(owner, channel, key, 0.0, now);
    }

    /// Ends a note of the player's as it was let go, with this velocity.
    pub fn release(&mut self, channel: u8, key: u8, velocity: f32, now: u64) {
        self.let_go(Owner::Player, channel, key, velocity, now);
    }

    fn let_go(&mut self, owner: Owner, channel: u8, key: u8, velocity: f32, now: u64) {
        let entry = &mut self.entries[usize::from(channel)][usize::from(key)];
        if let Entry::Sounding(whose, voice_id, since) = *entry
            && whose == owner
        {
            *entry = Entry::Ending(Touch { voice_id, velocity }, now.max(since + 1));
        }
    }

    /// Ends everything of `owner`, or of both.
    pub fn end_all(&mut self, owner: Option<Owner>, now: u64) {
        if self.count == 0 {
            return;
        }
        for entry in self.entries.as_flattened_mut() {
            if let Entry::Sounding(whose, voice_id, since) = *entry
                && owner.is_none_or(|owner| owner == whose)
            {
                *entry = Entry::Ending(Touch { voice_id, velocity: 0.0 }, now.max(since + 1));
            }
        }
    }

    /// Sends the note-offs that are owed before sample `block_end`.
    pub fn send_offs(&mut self, out: &mut OutEvents, block_end: u64) {
        if self.count == 0 {
            return;
        }
        for channel in 0..NUM_CHANNELS as u8 {
            for key in 0..NUM_KEYS as u8 {
                let entry = &mut self.entries[usize::from(channel)][usize::from(key)];
                if let Entry::Ending(touch, at) = *entry
                    && at < block_end
                    && out.push(NoteMessage::Off { channel, key, touch, at })
                {
                    *entry = Entry::Silent;
                    self.count -= 1;
                }
            }
        }
    }

    /// The host refused this note's off: it still sounds there, and the off is owed again.
    pub fn owe(&mut self, channel: u8, key: u8, touch: Touch, at: u64) {
        self.set(channel, key, Entry::Ending(touch, at));
    }

    /// The host refused this note's on: it never sounded.
    pub fn forget(&mut self, channel: u8, key: u8) {
        self.set(channel, key, Entry::Silent);
    }

    fn set(&mut self, channel: u8, key: u8, entry: Entry) {
        let place = &mut self.entries[usize::from(channel)][usize::from(key)];
        self.count -= usize::from(*place != Entry::Silent);
        self.count += usize::from(entry != Entry::Silent);
        *place = entry;
    }
}
