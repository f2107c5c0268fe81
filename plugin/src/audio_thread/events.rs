//! What goes out in a block: collected, put in order, offered to the host. Audio thread.

use nice_plug::midi::{Channel, Key, VoiceID};
use nice_plug::prelude::NoteEvent;

use super::controllers::{SUSTAIN_PEDAL, address_of};
use super::held_notes::{Ending, HeldNotes, Owner};

/// Events in a block at the most, in and out; a host that sends more loses what is over, and it is counted.
pub const MAX_EVENTS: usize = 16_384;

/// A note's start or end at a sample of the host's time since the plugin was activated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NoteMessage {
    On { owner: Owner, channel: u8, key: u8, touch: Touch, lag: Lag, at: u64 },
    Off { channel: u8, key: u8, ending: Ending },
}

/// How far behind its positions an event goes out, samples; before them where negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Behind its position on the grid.
    pub grid: i64,
    /// Behind the sample at which it was due.
    pub due: i64,
}

/// The facts of an event that went out, for the take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Not the player's.
    pub generated: bool,
    /// How far behind its positions it went out.
    pub lag: Lag,
}

/// What a note's start and end carry beside their place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Touch {
    /// The host's handle; what is generated has none.
    pub voice_id: VoiceID,
    /// How fast the key goes down or up, 0 to 1.
    pub velocity: f32,
}

/// The block's events, in a buffer that never grows.
pub struct OutEvents {
    events: Vec<Outgoing>,
    block_start: u64,
    frames: usize,
}

#[derive(Clone, Copy)]
struct Outgoing {
    timing: u32,
    rank: u8,
    /// A note's place, so that the order does not depend on where blocks end; 0 for all else.
    place: u16,
    order: u32,
    /// Whose note it is, if it is one; and if it is an end, what is owed if the host refuses it.
    note: Note,
    event: NoteEvent<()>,
}

#[derive(Clone, Copy)]
enum Note {
    None,
    Start(Taken),
    End(Ending),
}

/// At one sample a pedal that goes down holds what ends there; ends go before starts, other controllers between them,
/// and a note's expressions behind its start.
const PEDAL_DOWN: u8 = 0;
const OFF: u8 = 1;
const OTHER: u8 = 2;
const ON: u8 = 3;
const OF_A_NOTE: u8 = 4;

fn rank(event: &NoteEvent<()>) -> u8 {
    match event {
        NoteEvent::MidiCC { cc: SUSTAIN_PEDAL, value, .. } if *value >= 0.5 => PEDAL_DOWN,
        NoteEvent::NoteOff { .. } => OFF,
        NoteEvent::NoteOn { .. } => ON,
        of_a_note if address_of(of_a_note).is_some() => OF_A_NOTE,
        _ => OTHER,
    }
}

fn place(event: &NoteEvent<()>) -> u16 {
    match *event {
        NoteEvent::NoteOn { channel: Channel::Number(c), key: Key::Number(k), .. }
        | NoteEvent::NoteOff { channel: Channel::Number(c), key: Key::Number(k), .. } => {
            u16::from(c) << 7 | u16::from(k)
        }
        _ => 0,
    }
}

impl OutEvents {
    /// Room for a block's events.
    #[cfg_attr(
        not(test),
        expect(clippy::disallowed_methods, reason = "made on the host's main thread, before anything plays")
    )]
    pub fn new() -> Self {
        Self { events: Vec::with_capacity(MAX_EVENTS), block_start: 0, frames: 0 }
    }

    /// Empties the buffer for a block of `frames` samples that starts at sample `block_start`.
    pub fn begin_block(&mut self, block_start: u64, frames: usize) {
        self.events.clear();
        (self.block_start, self.frames) = (block_start, frames);
    }

    /// Adds a note message; `false` if there is no room.
    pub fn push(&mut self, message: NoteMessage) -> bool {
        let number = |channel, key| (Channel::Number(channel), Key::Number(key));
        match message {
            NoteMessage::On { owner, channel, key, touch: Touch { voice_id, velocity }, lag, at } => {
                let timing = self.timing(at);
                let (channel, key) = number(channel, key);
                let event = NoteEvent::NoteOn { timing, voice_id, channel, key, velocity };
                self.add(timing, Note::Start(Taken { generated: owner.is_generated(), lag }), event)
            }
            NoteMessage::Off { channel, key, ending } => {
                let timing = self.timing(ending.at);
                let (channel, key) = number(channel, key);
                let Touch { voice_id, velocity } = ending.touch;
                self.add(timing, Note::End(ending), NoteEvent::NoteOff { timing, voice_id, channel, key, velocity })
            }
        }
    }

    /// Adds an event that is passed through as it is; `false` if there is no room. Behind the block's end it would go
    /// out in the wrong order: a host that sends one there meant the last sample.
    pub fn pass(&mut self, mut event: NoteEvent<()>) -> bool {
        let last = self.frames.saturating_sub(1) as u32;
        event.subtract_timing(event.timing().saturating_sub(last));
        self.add(event.timing(), Note::None, event)
    }

    fn timing(&self, at: u64) -> u32 {
        at.saturating_sub(self.block_start) as u32
    }

    fn add(&mut self, timing: u32, note: Note, event: NoteEvent<()>) -> bool {
        let room = self.events.len() < MAX_EVENTS;
        if room {
            let (rank, place, order) = (rank(&event), place(&event), self.events.len() as u32);
            self.events.push(Outgoing { timing, rank, place, order, note, event });
        }
        room
    }

    /// Puts the events in order.
    pub fn sort(&mut self) {
        self.events.sort_unstable_by_key(|e| (e.timing, e.rank, e.place, e.order));
    }

    /// The events, in order once [`Self::sort`] has been called.
    pub fn iter(&self) -> impl Iterator<Item = &NoteEvent<()>> {
        self.events.iter().map(|e| &e.event)
    }

    /// Offers the sorted events to the host, which takes one if `send` returns `true`; it is told too what a take
    /// should know of the event. What the host refuses is put right in the ledger: an end is owed again, a start never
    /// was. Returns how many were refused.
    ///
    /// After a first refusal nothing more of that key is offered in this block, or an end without a start could
    /// go out.
    pub fn send(&self, ledger: &mut HeldNotes, mut send: impl FnMut(NoteEvent<()>, Option<Taken>) -> bool) -> u64 {
        let mut refused = 0;
        let mut blocked = [0_u128; 16];
        for Outgoing { event, note, .. } in &self.events {
            let taken = match note {
                Note::None => None,
                Note::Start(taken) => Some(*taken),
                Note::End(ending) => Some(Taken { generated: ending.owner.is_generated(), lag: ending.lag }),
            };
            let (NoteEvent::NoteOn { channel: Channel::Number(channel), key: Key::Number(key), .. }
            | NoteEvent::NoteOff { channel: Channel::Number(channel), key: Key::Number(key), .. }) = *event
            else {
                refused += u64::from(!send(*event, None));
                continue;
            };
            let (bits, bit) = (&mut blocked[usize::from(channel)], 1_u128 << key);
            if *bits & bit != 0 {
                refused += 1;
            } else if !send(*event, taken) {
                refused += 1;
                *bits |= bit;
                match note {
                    Note::End(ending) => ledger.owe(channel, key, Ending { at: self.block_start, ..*ending }),
                    Note::Start(_) | Note::None => ledger.forget(channel, key),
                }
            }
        }
        refused
    }
}
