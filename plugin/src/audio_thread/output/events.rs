//! The events that go out in a block: collects them, sorts them and offers them to the host. Audio thread.

use nice_plug::midi::{Channel, Key, VoiceID};
use nice_plug::prelude::NoteEvent;

use super::held_notes::{Ending, HeldNotes, Owner};
use super::wheels::{SUSTAIN_PEDAL, address_of};
use crate::audio_thread::positions::Sample;

/// The most events in a block, for input and for output. Further events are lost and counted.
pub const MAX_EVENTS: usize = 16_384;

/// The start or end of a note.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NoteMessage {
    On { owner: Owner, channel: u8, key: u8, touch: Touch, lag: Lag, at: Sample },
    Off { channel: u8, key: u8, ending: Ending },
}

/// How late an event goes out, in samples; negative if early.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// After its position on the grid.
    pub grid: i64,
    /// After the sample at which it was due.
    pub due: i64,
}

/// The parts of a note-on or note-off other than channel, key and time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Touch {
    /// The host's handle of the note; generated notes have none.
    pub voice_id: VoiceID,
    /// The velocity of the press or release, 0 to 1.
    pub velocity: f32,
}

/// The block's events, in a buffer that never grows.
pub struct OutEvents {
    events: Vec<Outgoing>,
    block_start: Sample,
    frames: usize,
    /// Events lost because the block was full or the host refused them; reset when read.
    lost: u64,
}

#[derive(Clone, Copy)]
struct Outgoing {
    timing: u32,
    rank: u8,
    /// A note's channel and key, so that the order does not depend on the block size; 0 for other events.
    channel_key: u16,
    order: u32,
    /// Whether the event is a note's start or end, whose note it is, and the note-off to owe if the host refuses it.
    note: Note,
    event: NoteEvent<()>,
    /// Whether the host has accepted the event.
    taken: bool,
}

#[derive(Clone, Copy)]
enum Note {
    None,
    Start(Owner, Lag),
    End(Ending),
}

/// The order of events at one sample: a pedal that goes down, so that it holds the notes that end there; note-offs;
/// other controllers; note-ons; expressions of single notes.
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
    /// A buffer for a block's events.
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

    /// Adds a note-on or note-off; `false` if the block is full.
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

    /// Adds an event that passes through unchanged. A host that puts an event after the block's end means the last
    /// sample; moving it there keeps the order.
    pub fn pass(&mut self, mut event: NoteEvent<()>) {
        let last = self.frames.saturating_sub(1) as u32;
        event.subtract_timing(event.timing().saturating_sub(last));
        if !self.add(event.timing(), Note::None, event) {
            self.lost += 1;
        }
    }

    /// Counts an event as lost.
    pub fn lose(&mut self) {
        self.lost += 1;
    }

    /// How many events have been lost since the last call.
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

    /// Sorts the events by time, and by kind at one sample.
    pub fn sort(&mut self) {
        self.events.sort_unstable_by_key(|e| (e.timing, e.rank, e.channel_key, e.order));
    }

    /// The events, sorted once [`Self::sort`] has been called.
    pub fn iter(&self) -> impl Iterator<Item = &NoteEvent<()>> {
        self.events.iter().map(|e| &e.event)
    }

    /// Offers the sorted events to the host; `send` returns whether it accepts an event. If the host refuses a
    /// note-off, the ledger owes it again. If the host refuses a note-on, the ledger forgets the note.
    ///
    /// After a refusal this offers no further events of that key in the block: otherwise a note-off could go out
    /// without its note-on.
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

    /// The note-ons and note-offs of generated notes that the host has accepted, with their lag.
    pub fn generated(&self) -> impl Iterator<Item = (&NoteEvent<()>, Lag)> {
        self.events.iter().filter(|event| event.taken).filter_map(|Outgoing { event, note, .. }| match note {
            Note::Start(owner, lag) if owner.is_generated() => Some((event, *lag)),
            Note::End(ending) if ending.owner.is_generated() => Some((event, ending.lag)),
            Note::Start(..) | Note::End(_) | Note::None => None,
        })
    }
}
