//! Controllers, pressure, wheels and expressions follow the player's notes to the channels that these go out on. Audio
//! thread.

use nice_plug::midi::{Channel, Key, VoiceID};
use nice_plug::prelude::NoteEvent;

use super::hands::{Hands, PlayedKey};
use super::process::AudioThread;
use super::settings::Block;
use crate::params::Input;

/// MIDI's numbers of the controllers that end what sounds.
pub const SUSTAIN_PEDAL: u8 = 64;
const ALL_SOUND_OFF: u8 = 120;
const RESET_CONTROLLERS: u8 = 121;
pub const ALL_NOTES_OFF: u8 = 123;
const NUM_CHANNELS: usize = 16;

/// The effect of a controller on notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// The sustain pedal is down or up.
    Pedal(bool),
    /// The keys of the channel are released, the sound with them if at once.
    AllOff {
        /// Whatever the pedal holds, too.
        at_once: bool,
    },
    /// Nothing.
    Other,
}

impl Controller {
    /// By its number and its value, 0 to 1. MIDI's mode messages, 124 to 127, release keys too.
    pub fn of(cc: u8, value: f32) -> Self {
        match cc {
            SUSTAIN_PEDAL => Self::Pedal(value >= 0.5),
            RESET_CONTROLLERS => Self::Pedal(false),
            ALL_SOUND_OFF => Self::AllOff { at_once: true },
            ALL_NOTES_OFF..=127 => Self::AllOff { at_once: false },
            _ => Self::Other,
        }
    }
}

/// Continuous controllers that shape a note, and where they rest: the modulation wheel, expression, timbre.
const SHAPING: [(u8, f32); 3] = [(1, 0.0), (11, 1.0), (74, 64.0 / 127.0)];

/// Where a channel's wheels stand, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stand {
    bend: f32,
    pressure: f32,
    /// By [`SHAPING`].
    shaping: [f32; SHAPING.len()],
}

impl Stand {
    const REST: Self = Self { bend: 0.5, pressure: 0.0, shaping: [SHAPING[0].1, SHAPING[1].1, SHAPING[2].1] };

    fn follow(&mut self, event: &NoteEvent<()>) {
        match *event {
            NoteEvent::MidiPitchBend { value, .. } => self.bend = value,
            NoteEvent::MidiChannelPressure { pressure, .. } => self.pressure = pressure,
            NoteEvent::MidiCC { cc: RESET_CONTROLLERS, .. } => *self = Self::REST,
            NoteEvent::MidiCC { cc, value, .. } => {
                if let Some(n) = SHAPING.iter().position(|(number, _)| *number == cc) {
                    self.shaping[n] = value;
                }
            }
            _ => {}
        }
    }
}

/// Where the wheels of each channel stand, and what has been sent of them.
#[derive(Clone, Copy, Debug)]
pub struct Wheels {
    /// By input channel.
    input: [Stand; NUM_CHANNELS],
    /// By output channel.
    sent: [Stand; NUM_CHANNELS],
    /// The output channels that the last notes of each input channel went to, as bits.
    last_out: [u16; NUM_CHANNELS],
    /// The output channels to which wheels have followed a note, as bits; on others they were sent by whoever meant
    /// that channel.
    followed: u16,
    /// The output channels on which the pedal of each input channel is down.
    pedal_out: [u16; NUM_CHANNELS],
    /// Nobody knows where the player's wheels are: those that were sent are to rest.
    is_lost: bool,
}

impl Wheels {
    /// All at rest.
    pub const fn new() -> Self {
        Self {
            input: [Stand::REST; NUM_CHANNELS],
            sent: [Stand::REST; NUM_CHANNELS],
            last_out: [0; NUM_CHANNELS],
            followed: 0,
            pedal_out: [0; NUM_CHANNELS],
            is_lost: false,
        }
    }

    /// The player's wheels and pedals may have moved unheard.
    pub fn forget_input(&mut self) {
        let Self { sent, followed, pedal_out, .. } = *self;
        *self = Self { sent, followed, pedal_out, is_lost: true, ..Self::new() };
    }

    /// All pedals have been let go of.
    pub fn pedals_are_up(&mut self) {
        self.pedal_out = [0; NUM_CHANNELS];
    }
}

impl AudioThread {
    /// Passes on what is no note: to the channels of the notes that it is meant for.
    pub(super) fn pass_controller(&mut self, block: &Block, timing: u32, event: &NoteEvent<()>) {
        match *event {
            NoteEvent::NoteOn { .. } | NoteEvent::NoteOff { .. } | NoteEvent::Choke { .. } => {}
            NoteEvent::VoiceTerminated { .. } => {}
            other => match (address_of(&other), channel_of(&other)) {
                (Some(address), _) => self.pass_of_note(other, address),
                (None, Some(channel)) => self.pass_of_channel(block, timing, usize::from(channel & 15), other),
                (None, None) => self.pass(other),
            },
        }
    }

    fn pass_of_channel(&mut self, block: &Block, timing: u32, channel: usize, event: NoteEvent<()>) {
        let settings = &block.settings;
        self.wheels.input[channel].follow(&event);
        let is_heard = !settings.bypass && settings.hears(channel as u8, None);
        if let NoteEvent::MidiCC { cc: SUSTAIN_PEDAL, value, .. } = event {
            let own = if is_heard && settings.input != Input::AsItIs { 0 } else { 1 << channel };
            return self.pass_pedal(timing, channel, if is_heard { own | voices(block) } else { own }, (event, value));
        }
        if !is_heard || settings.input == Input::AsItIs {
            return self.send_to(1 << channel, timing, event);
        }
        if let NoteEvent::MidiCC { cc: ALL_NOTES_OFF..=127, .. } = event {
            // Its notes' ends go out; on their channels it would end the network's too.
            return;
        }
        let now = self.channels_of(channel as u8);
        if now != 0 {
            self.wheels.last_out[channel] = now;
        }
        // Of a channel on which no note has come nobody knows a voice; before any note it is the player's.
        let nothing_yet = self.wheels.last_out == [0; NUM_CHANNELS];
        let is_program = matches!(event, NoteEvent::MidiProgramChange { .. } | NoteEvent::MidiCC { cc: 0 | 32, .. });
        let fallback = if nothing_yet && !is_program { 1 << settings.voice } else { 1 << channel };
        let notes = [now, self.wheels.last_out[channel]].into_iter().find(|set| *set != 0).unwrap_or(fallback);
        if notes != 1 << channel || now != 0 {
            self.wheels.followed |= notes;
        }
        if let NoteEvent::MidiCC { cc: RESET_CONTROLLERS, .. } = event {
            let pedals = std::mem::take(&mut self.wheels.pedal_out[channel]);
            self.send_to(notes | pedals, timing, event);
        } else if settings.input != Input::Drop {
            self.send_to(notes, timing, event);
        }
    }

    /// The sustain pedal holds the answer too, on these channels. It comes up wherever it went down.
    fn pass_pedal(&mut self, timing: u32, channel: usize, to: u16, (event, value): (NoteEvent<()>, f32)) {
        let down = &mut self.wheels.pedal_out[channel];
        let to = if value >= 0.5 {
            *down |= to;
            to
        } else {
            to | std::mem::take(down)
        };
        self.send_to(to, timing, event);
    }

    /// After what the player did has been lost: nothing stays bent or held.
    pub(super) fn settle_wheels(&mut self) {
        if !std::mem::take(&mut self.wheels.is_lost) {
            return;
        }
        let down = std::mem::take(&mut self.wheels.pedal_out).iter().fold(0, |all, set| all | set);
        self.send_to(down, 0, NoteEvent::MidiCC { timing: 0, channel: 0, cc: SUSTAIN_PEDAL, value: 0.0 });
        let followed = std::mem::take(&mut self.wheels.followed);
        let channels = (0..NUM_CHANNELS as u8).filter(|channel| followed >> channel & 1 == 1);
        channels.for_each(|channel| self.bring(channel, Stand::REST, 0));
    }

    fn send_to(&mut self, channels: u16, timing: u32, event: NoteEvent<()>) {
        for channel in (0..NUM_CHANNELS as u8).filter(|channel| channels >> channel & 1 == 1) {
            self.wheels.sent[usize::from(channel)].follow(&event);
            self.pass(on_channel(event, channel, timing));
        }
    }

    /// Brings an output channel's wheels to where they should be.
    fn bring(&mut self, channel: u8, to: Stand, timing: u32) {
        let sent = std::mem::replace(&mut self.wheels.sent[usize::from(channel)], to);
        if sent.bend != to.bend {
            self.pass(NoteEvent::MidiPitchBend { timing, channel, value: to.bend });
        }
        if sent.pressure != to.pressure {
            self.pass(NoteEvent::MidiChannelPressure { timing, channel, pressure: to.pressure });
        }
        for (n, (cc, _)) in SHAPING.into_iter().enumerate() {
            if sent.shaping[n] != to.shaping[n] {
                self.pass(NoteEvent::MidiCC { timing, channel, cc, value: to.shaping[n] });
            }
        }
    }

    /// A generated note starts on a channel: what the player's last note left there does not bend it.
    pub(super) fn rest_wheels(&mut self, channel: u8, timing: u32) {
        let sounds = |key: &PlayedKey| key.is_held() && key.out.sent && key.out.channel == channel;
        let is_bent = self.wheels.followed >> channel & 1 == 1 && self.wheels.sent[usize::from(channel)] != Stand::REST;
        if is_bent && !self.hands.keys().any(|(_, key)| sounds(key)) {
            self.bring(channel, Stand::REST, timing);
        }
    }

    /// Where notes of an input channel sound, as bits.
    fn channels_of(&self, channel: u8) -> u16 {
        let sounds = |key: &PlayedKey| key.channel == channel && key.is_held() && key.out.sent;
        let sounding = self.hands.keys().filter(|(_, key)| sounds(key));
        sounding.fold(0, |set, (_, key)| set | 1 << (key.out.channel & 15))
    }

    /// A note of an input channel goes out on another: the wheels go with it, before it starts.
    pub(super) fn follow_to(&mut self, channel: u8, out: u8, timing: u32) {
        let from = usize::from(channel & 15);
        self.wheels.last_out[from] = 1 << (out & 15);
        self.wheels.followed |= 1 << (out & 15);
        self.bring(out & 15, self.wheels.input[from], timing);
    }

    /// An expression of one note goes to the channel that the note went out on.
    fn pass_of_note(&mut self, event: NoteEvent<()>, (channel, key, voice_id): (Channel, Key, VoiceID)) {
        let mut found = false;
        for slot in 0..Hands::num_slots() {
            let Some(held) = self.hands.key(slot).copied().filter(PlayedKey::is_held) else { continue };
            if held.is_meant(channel, key, voice_id) {
                found = true;
                if held.out.sent {
                    self.pass(of_note(event, held.out.channel, held.key));
                }
            }
        }
        if !found {
            self.pass(event);
        }
    }
}

/// The channels of the voices that go out, as bits.
fn voices(block: &Block) -> u16 {
    let emitted = (0..block.settings.emit.len()).filter(|voice| block.settings.emit[*voice]);
    emitted.fold(0, |set, voice| set | 1 << voice)
}

/// The note that an event is about, where it is about one that sounds: its pressure, tuning or other expression.
pub fn address_of(event: &NoteEvent<()>) -> Option<(Channel, Key, VoiceID)> {
    match *event {
        NoteEvent::PolyPressure { channel, key, voice_id, .. }
        | NoteEvent::PolyVolume { channel, key, voice_id, .. }
        | NoteEvent::PolyPan { channel, key, voice_id, .. }
        | NoteEvent::PolyTuning { channel, key, voice_id, .. }
        | NoteEvent::PolyVibrato { channel, key, voice_id, .. }
        | NoteEvent::PolyExpression { channel, key, voice_id, .. }
        | NoteEvent::PolyBrightness { channel, key, voice_id, .. } => Some((channel, key, voice_id)),
        _ => None,
    }
}

fn channel_of(event: &NoteEvent<()>) -> Option<u8> {
    match *event {
        NoteEvent::MidiCC { channel, .. }
        | NoteEvent::MidiPitchBend { channel, .. }
        | NoteEvent::MidiChannelPressure { channel, .. }
        | NoteEvent::MidiProgramChange { channel, .. } => Some(channel),
        _ => None,
    }
}

/// The same at a channel and sample.
fn on_channel(mut event: NoteEvent<()>, to: u8, at: u32) -> NoteEvent<()> {
    match &mut event {
        NoteEvent::MidiCC { timing, channel, .. }
        | NoteEvent::MidiPitchBend { timing, channel, .. }
        | NoteEvent::MidiChannelPressure { timing, channel, .. }
        | NoteEvent::MidiProgramChange { timing, channel, .. } => (*timing, *channel) = (at, to),
        _ => {}
    }
    event
}

fn of_note(mut event: NoteEvent<()>, to: u8, of: u8) -> NoteEvent<()> {
    match &mut event {
        NoteEvent::PolyPressure { channel, key, .. }
        | NoteEvent::PolyVolume { channel, key, .. }
        | NoteEvent::PolyPan { channel, key, .. }
        | NoteEvent::PolyTuning { channel, key, .. }
        | NoteEvent::PolyVibrato { channel, key, .. }
        | NoteEvent::PolyExpression { channel, key, .. }
        | NoteEvent::PolyBrightness { channel, key, .. } => {
            (*channel, *key) = (Channel::Number(to), Key::Number(of));
        }
        _ => {}
    }
    event
}
