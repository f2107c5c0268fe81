//! The ledger: keeps every note-on that went out until the host has accepted its note-off. Audio thread.

use nice_plug::midi::VoiceID;

use super::events::{Lag, NoteMessage, OutEvents, Touch};
use crate::audio_thread::positions::Sample;

const NUM_CHANNELS: usize = 16;
const NUM_KEYS: usize = 128;

/// Whose note it is. Only its owner may end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The player's note, passed through.
    Player,
    /// A note that the network decided.
    Generated,
    /// A note of a frozen take.
    Frozen,
}

impl Owner {
    /// Whether the plugin, not the player, plays the note.
    pub fn is_generated(self) -> bool {
        matches!(self, Self::Generated | Self::Frozen)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Entry {
    #[default]
    Silent,
    /// Sounds since this sample. The note-off must carry the host's handle, too.
    Sounding(Owner, VoiceID, Sample),
    /// The plugin has ended it, but the host has not accepted the note-off yet.
    Ending(Ending),
}

/// A note-off that has yet to go out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ending {
    /// Whose note it is.
    pub owner: Owner,
    /// The handle and velocity of the note-off.
    pub touch: Touch,
    /// How late the note-off goes out.
    pub lag: Lag,
    /// The sample at which the note started.
    pub since: Sample,
    /// The earliest sample at which to send the note-off.
    pub at: Sample,
}

/// The sounding notes, by channel and key.
pub struct HeldNotes {
    entries: [[Entry; NUM_KEYS]; NUM_CHANNELS],
    /// The keys of each channel whose entries are not silent, as bits.
    active: [u128; NUM_CHANNELS],
}

impl HeldNotes {
    /// An empty ledger.
    pub const fn new() -> Self {
        Self { entries: [[Entry::Silent; NUM_KEYS]; NUM_CHANNELS], active: [0; NUM_CHANNELS] }
    }

    fn get(&self, channel: u8, key: u8) -> Entry {
        self.entries[usize::from(channel)][usize::from(key)]
    }

    fn set(&mut self, channel: u8, key: u8, entry: Entry) {
        self.entries[usize::from(channel)][usize::from(key)] = entry;
        let (keys, bit) = (&mut self.active[usize::from(channel)], 1 << key);
        *keys = if entry == Entry::Silent { *keys & !bit } else { *keys | bit };
    }

    /// The channel and key of all entries that are not silent, in order.
    fn active(&self) -> impl Iterator<Item = (u8, u8)> + use<> {
        let active = self.active;
        (0..NUM_CHANNELS as u8).flat_map(move |channel| {
            let mut left = active[usize::from(channel)];
            std::iter::from_fn(move || {
                let key = (left != 0).then(|| left.trailing_zeros() as u8)?;
                left &= left - 1;
                Some((channel, key))
            })
        })
    }

    /// Starts a note, given as (channel, key), at sample `now`. A note that already sounds there ends first. `false` if
    /// the block is full.
    pub fn start(
        &mut self,
        out: &mut OutEvents,
        owner: Owner,
        (channel, key): (u8, u8),
        touch: Touch,
        lag: Lag,
        now: Sample,
    ) -> bool {
        let ended = match self.get(channel, key) {
            Entry::Silent => None,
            // A note lasts at least one sample, so two note-ons at one sample are one note.
            Entry::Sounding(_, voice_id, since) if since == now => {
                self.set(channel, key, Entry::Sounding(owner, voice_id, since));
                return true;
            }
            // A note-on, note-off and note-on at one sample are one note, too.
            Entry::Ending(before) if before.since == now => {
                self.set(channel, key, Entry::Sounding(owner, before.touch.voice_id, now));
                return true;
            }
            Entry::Sounding(owner, voice_id, since) => {
                Some(Ending { owner, touch: Touch { voice_id, velocity: 0.0 }, lag, since, at: now })
            }
            Entry::Ending(before) => Some(Ending { at: before.at.min(now), ..before }),
        };
        if let Some(before) = ended {
            if !out.push(NoteMessage::Off { channel, key, ending: before }) {
                return false;
            }
            self.set(channel, key, Entry::Silent);
        }
        let started = out.push(NoteMessage::On { owner, channel, key, touch, lag, at: now });
        if started {
            self.set(channel, key, Entry::Sounding(owner, touch.voice_id, now));
        }
        started
    }

    /// Ends a note at sample `now` if it sounds and belongs to `owner`, but not before it has sounded for `least`
    /// samples. Every note lasts at least one sample.
    pub fn end(&mut self, owner: Owner, (channel, key): (u8, u8), now: Sample, least: u64, lag: Lag) {
        self.set(channel, key, ended(self.get(channel, key), Some(owner), 0.0, now, least, lag));
    }

    /// Gives a sounding note to another owner.
    pub fn hand_over(&mut self, channel: u8, key: u8, to: Owner) {
        if let Entry::Sounding(_, voice_id, since) = self.get(channel, key) {
            self.set(channel, key, Entry::Sounding(to, voice_id, since));
        }
    }

    /// Ends a note of the player's with the velocity of its release.
    pub fn release(&mut self, channel: u8, key: u8, velocity: f32, now: Sample) {
        let entry = self.get(channel, key);
        self.set(channel, key, ended(entry, Some(Owner::Player), velocity, now, 1, Lag::default()));
    }

    /// Ends all notes of `owner`, or all notes, once they have sounded for `least` samples.
    pub fn end_all(&mut self, owner: Option<Owner>, now: Sample, least: u64) {
        for (channel, key) in self.active() {
            self.set(channel, key, ended(self.get(channel, key), owner, 0.0, now, least, Lag::default()));
        }
    }

    /// Sends the note-offs due before sample `block_end`.
    pub fn send_offs(&mut self, out: &mut OutEvents, block_end: Sample) {
        for (channel, key) in self.active() {
            if let Entry::Ending(ending) = self.get(channel, key)
                && ending.at < block_end
                && out.push(NoteMessage::Off { channel, key, ending })
            {
                self.set(channel, key, Entry::Silent);
            }
        }
    }

    /// Records that the host refused a note-off: the note still sounds, and the note-off remains owed.
    pub fn owe(&mut self, channel: u8, key: u8, ending: Ending) {
        self.set(channel, key, Entry::Ending(ending));
    }

    /// Records that the host refused a note-on: the note never sounded.
    pub fn forget(&mut self, channel: u8, key: u8) {
        self.set(channel, key, Entry::Silent);
    }
}

/// The entry after ending its note, if the note sounds and belongs to `owner`. A note that is already ending does not
/// end later.
fn ended(entry: Entry, owner: Option<Owner>, velocity: f32, now: Sample, least: u64, lag: Lag) -> Entry {
    let is_meant = |whose: Owner| owner.is_none_or(|owner| owner == whose);
    match entry {
        Entry::Sounding(owner, voice_id, since) if is_meant(owner) => {
            let at = now.max(since + least.max(1));
            Entry::Ending(Ending { owner, touch: Touch { voice_id, velocity }, lag, since, at })
        }
        Entry::Ending(ending) if is_meant(ending.owner) => {
            let at = ending.at.min(now.max(ending.since + least.max(1)));
            Entry::Ending(Ending { at, ..ending })
        }
        _ => entry,
    }
}
