//! The events that go out in a block: collected, put in order, offered to the host. Audio thread.

use nice_plug::midi::{Channel, Key, VoiceID};
use nice_plug::prelude::NoteEvent;

use super::held_notes::{Ending, HeldNotes, Owner};
use super::wheels::{SUSTAIN_PEDAL, address_of};
use crate::audio_thread::positions::Sample;

/// Events in a block at the most, in and out; a host that sends more loses what is over, and it is counted.
pub const MAX_EVENTS: usize = 16_384;

/// A note's start or end at a sample of the host's time since the plugin was activated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NoteMessage {
    On { owner: Owner, channel: u8, key: u8, touch: Touch, lag: Lag, at: Sample },
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
    block_start: Sample,
    frames: usize,
    /// Events for which there was no room, and those that the host refused, until they are counted.
    lost: u64,
}

#[derive(Clone, Copy)]
struct Outgoing {
    timing: u32,
    rank: u8,
    /// A note's place, so that the order does not depend on where blocks end; 0 for all else.
    channel_key: u16,
    order: u32,
    /// Whose note it is, if it is one; and if it is an end, what is owed if the host refuses it.
    note: Note,
    event: NoteEvent<()>,
    /// The host has taken it.
    taken: bool,
}

#[derive(Clone, Copy)]
enum Note {
    None,
    Start(Owner, Lag),
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

fn channel_key(event: &NoteEvent<()>) -> u16 {
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
        Self { events: Vec::with_capacity(MAX_EVENTS), block_start: Sample::default(), frames: 0, lost: 0 }
    }

    /// Empties the buffer for a block of `frames` samples that starts at sample `block_start`.
    pub fn begin_block(&mut self, block_start: Sample, frames: usize) {
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
                self.add(timing, Note::Start(owner, lag), event)
            }
            NoteMessage::Off { channel, key, ending } => {
                let timing = self.timing(ending.at);
                let (channel, key) = number(channel, key);
                let Touch { voice_id, velocity } = ending.touch;
                self.add(timing, Note::End(ending), NoteEvent::NoteOff { timing, voice_id, channel, key, velocity })
            }
        }
    }

    /// Adds an event that is passed through as it is. Behind the block's end it would go out in the wrong order: a host
    /// that sends one there meant the last sample.
    pub fn pass(&mut self, mut event: NoteEvent<()>) {
        let last = self.frames.saturating_sub(1) as u32;
        event.subtract_timing(event.timing().saturating_sub(last));
        if !self.add(event.timing(), Note::None, event) {
            self.lost += 1;
        }
    }

    /// An event is lost.
    pub fn lose(&mut self) {
        self.lost += 1;
    }

    /// How many events have been lost since this was called last.
    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    fn timing(&self, at: Sample) -> u32 {
        at.since(self.block_start) as u32
    }

    fn add(&mut self, timing: u32, note: Note, event: NoteEvent<()>) -> bool {
        let room = self.events.len() < MAX_EVENTS;
        if room {
            let (rank, channel_key, order) = (rank(&event), channel_key(&event), self.events.len() as u32);
            self.events.push(Outgoing { timing, rank, channel_key, order, note, event, taken: false });
        }
        room
    }

    /// Puts the events in order.
    pub fn sort(&mut self) {
        self.events.sort_unstable_by_key(|e| (e.timing, e.rank, e.channel_key, e.order));
    }

    /// The events, in order once [`Self::sort`] has been called.
    pub fn iter(&self) -> impl Iterator<Item = &NoteEvent<()>> {
        self.events.iter().map(|e| &e.event)
    }

    /// Offers the sorted events to the host, which takes one if `send` returns `true`. What the host refuses is put
    /// right in the ledger: an end is owed again, a start never was.
    ///
    /// After a first refusal nothing more of that key is offered in this block, or an end without a start could
    /// go out.
    pub fn send(&mut self, ledger: &mut HeldNotes, mut send: impl FnMut(NoteEvent<()>) -> bool) {
        let mut blocked = [0_u128; 16];
        for Outgoing { event, note, taken, .. } in &mut self.events {
            let (NoteEvent::NoteOn { channel: Channel::Number(channel), key: Key::Number(key), .. }
            | NoteEvent::NoteOff { channel: Channel::Number(channel), key: Key::Number(key), .. }) = *event
            else {
                *taken = send(*event);
                self.lost += u64::from(!*taken);
                continue;
            };
            let (bits, bit) = (&mut blocked[usize::from(channel)], 1_u128 << key);
            if *bits & bit != 0 {
                self.lost += 1;
                continue;
            }
            *taken = send(*event);
            if !*taken {
                self.lost += 1;
                *bits |= bit;
                match note {
                    Note::End(ending) => ledger.owe(channel, key, Ending { at: self.block_start, ..*ending }),
                    Note::Start(..) | Note::None => ledger.forget(channel, key),
                }
            }
        }
    }

    /// The generated notes' starts and ends that the host has taken, each with how far behind its positions it went
    /// out.
    pub fn generated(&self) -> impl Iterator<Item = (&NoteEvent<()>, Lag)> {
        self.events.iter().filter(|event| event.taken).filter_map(|Outgoing { event, note, .. }| match note {
            Note::Start(owner, lag) if owner.is_generated() => Some((event, *lag)),
            Note::End(ending) if ending.owner.is_generated() => Some((event, ending.lag)),
            Note::Start(..) | Note::End(_) | Note::None => None,
        })
    }
}
