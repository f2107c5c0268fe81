//! Controllers, pressure, wheels and expressions follow the player's notes to the channels that these go out on. Audio
//! thread.

use nice_plug::midi::{Channel, Key, VoiceID};
use nice_plug::prelude::NoteEvent;

use super::events::OutEvents;
use crate::audio_thread::hands::{Hands, PlayedKey};
use crate::audio_thread::settings::Settings;
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
struct WheelState {
    bend: f32,
    pressure: f32,
    /// By [`SHAPING`].
    shaping: [f32; SHAPING.len()],
}

impl WheelState {
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
    input: [WheelState; NUM_CHANNELS],
    /// By output channel.
    sent: [WheelState; NUM_CHANNELS],
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
            input: [WheelState::REST; NUM_CHANNELS],
            sent: [WheelState::REST; NUM_CHANNELS],
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

impl Wheels {
    /// Passes on what is no note: to the channels of the notes that it is meant for.
    pub fn pass(
        &mut self,
        out: &mut OutEvents,
        hands: &Hands,
        settings: &Settings,
        timing: u32,
        event: &NoteEvent<()>,
    ) {
        match *event {
            NoteEvent::NoteOn { .. } | NoteEvent::NoteOff { .. } | NoteEvent::Choke { .. } => {}
            NoteEvent::VoiceTerminated { .. } => {}
            other => match (address_of(&other), channel_of(&other)) {
                (Some(address), _) => pass_of_note(out, hands, other, address),
                (None, Some(channel)) => {
                    self.pass_of_channel(out, hands, settings, timing, (usize::from(channel & 15), other));
                }
                (None, None) => out.pass(other),
            },
        }
    }

    fn pass_of_channel(
        &mut self,
        out: &mut OutEvents,
        hands: &Hands,
        settings: &Settings,
        timing: u32,
        (channel, event): (usize, NoteEvent<()>),
    ) {
        self.input[channel].follow(&event);
        let is_heard = !settings.bypass && settings.hears(channel as u8, None);
        if let NoteEvent::MidiCC { cc: SUSTAIN_PEDAL, value, .. } = event {
            let own = if is_heard && settings.input != Input::AsItIs { 0 } else { 1 << channel };
            let to = if is_heard { own | voices(settings) } else { own };
            return self.pass_pedal(out, timing, channel, to, (event, value));
        }
        if !is_heard || settings.input == Input::AsItIs {
            return self.send_to(out, 1 << channel, timing, event);
        }
        if let NoteEvent::MidiCC { cc: ALL_NOTES_OFF..=127, .. } = event {
            // Its notes' ends go out; on their channels it would end the network's too.
            return;
        }
        let now = channels_of(hands, channel as u8);
        if now != 0 {
            self.last_out[channel] = now;
        }
        // Of a channel on which no note has come nobody knows a voice; before any note it is the player's.
        let nothing_yet = self.last_out == [0; NUM_CHANNELS];
        let is_program = matches!(event, NoteEvent::MidiProgramChange { .. } | NoteEvent::MidiCC { cc: 0 | 32, .. });
        let fallback = if nothing_yet && !is_program { 1 << settings.voice } else { 1 << channel };
        let notes = [now, self.last_out[channel]].into_iter().find(|set| *set != 0).unwrap_or(fallback);
        if notes != 1 << channel || now != 0 {
            self.followed |= notes;
        }
        if let NoteEvent::MidiCC { cc: RESET_CONTROLLERS, .. } = event {
            let pedals = std::mem::take(&mut self.pedal_out[channel]);
            self.send_to(out, notes | pedals, timing, event);
        } else if settings.input != Input::Drop {
            self.send_to(out, notes, timing, event);
        }
    }

    /// The sustain pedal holds the answer too, on these channels. It comes up wherever it went down.
    fn pass_pedal(
        &mut self,
        out: &mut OutEvents,
        timing: u32,
        channel: usize,
        to: u16,
        (event, value): (NoteEvent<()>, f32),
    ) {
        let down = &mut self.pedal_out[channel];
        let to = if value >= 0.5 {
            *down |= to;
            to
        } else {
            to | std::mem::take(down)
        };
        self.send_to(out, to, timing, event);
    }

    /// After what the player did has been lost: nothing stays bent or held.
    pub fn settle(&mut self, out: &mut OutEvents) {
        if !std::mem::take(&mut self.is_lost) {
            return;
        }
        let down = std::mem::take(&mut self.pedal_out).iter().fold(0, |all, set| all | set);
        self.send_to(out, down, 0, NoteEvent::MidiCC { timing: 0, channel: 0, cc: SUSTAIN_PEDAL, value: 0.0 });
        let followed = std::mem::take(&mut self.followed);
        channels_in(followed).for_each(|channel| self.bring(out, channel, WheelState::REST, 0));
    }

    fn send_to(&mut self, out: &mut OutEvents, channels: u16, timing: u32, event: NoteEvent<()>) {
        for channel in channels_in(channels) {
            self.sent[usize::from(channel)].follow(&event);
            out.pass(on_channel(event, channel, timing));
        }
    }

    /// Brings an output channel's wheels to where they should be.
    fn bring(&mut self, out: &mut OutEvents, channel: u8, to: WheelState, timing: u32) {
        let sent = std::mem::replace(&mut self.sent[usize::from(channel)], to);
        if sent.bend != to.bend {
            out.pass(NoteEvent::MidiPitchBend { timing, channel, value: to.bend });
        }
        if sent.pressure != to.pressure {
            out.pass(NoteEvent::MidiChannelPressure { timing, channel, pressure: to.pressure });
        }
        for (n, (cc, _)) in SHAPING.into_iter().enumerate() {
            if sent.shaping[n] != to.shaping[n] {
                out.pass(NoteEvent::MidiCC { timing, channel, cc, value: to.shaping[n] });
            }
        }
    }

    /// A generated note starts on a channel: what the player's last note left there does not bend it.
    pub fn rest(&mut self, out: &mut OutEvents, hands: &Hands, channel: u8, timing: u32) {
        let sounds = |key: &PlayedKey| key.is_held() && key.out.sent && key.out.channel == channel;
        let is_bent = self.followed >> channel & 1 == 1 && self.sent[usize::from(channel)] != WheelState::REST;
        if is_bent && !hands.keys().any(|(_, key)| sounds(key)) {
            self.bring(out, channel, WheelState::REST, timing);
        }
    }

    /// A note of an input channel goes out on another: the wheels go with it, before it starts.
    pub fn follow_to(&mut self, out: &mut OutEvents, from: u8, to: u8, timing: u32) {
        let from = usize::from(from & 15);
        self.last_out[from] = 1 << (to & 15);
        self.followed |= 1 << (to & 15);
        self.bring(out, to & 15, self.input[from], timing);
    }
}

/// Where notes of an input channel sound, as bits.
fn channels_of(hands: &Hands, channel: u8) -> u16 {
    let sounds = |key: &PlayedKey| key.channel == channel && key.is_held() && key.out.sent;
    let sounding = hands.keys().filter(|(_, key)| sounds(key));
    sounding.fold(0, |set, (_, key)| set | 1 << (key.out.channel & 15))
}

/// The channels of a set of bits, in order.
fn channels_in(set: u16) -> impl Iterator<Item = u8> {
    (0..NUM_CHANNELS as u8).filter(move |channel| set >> channel & 1 == 1)
}

/// An expression of one note goes to the channel that the note went out on.
fn pass_of_note(
    out: &mut OutEvents,
    hands: &Hands,
    event: NoteEvent<()>,
    (channel, key, voice_id): (Channel, Key, VoiceID),
) {
    let mut found = false;
    for (_, held) in hands.keys().filter(|(_, held)| held.is_held() && held.is_meant(channel, key, voice_id)) {
        found = true;
        if held.out.sent {
            out.pass(of_note(event, held.out.channel, held.key));
        }
    }
    if !found {
        out.pass(event);
    }
}

/// The channels of the lanes that go out, as bits.
fn voices(settings: &Settings) -> u16 {
    settings.emit.bits()
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
