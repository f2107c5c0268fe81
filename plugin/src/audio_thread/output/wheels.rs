//! Sends controllers, pressure, wheels and expressions to the output channels of the player's notes that they apply to.
//! Audio thread.

use nice_plug::midi::{Channel, Key, VoiceID};
use nice_plug::prelude::NoteEvent;

use super::events::OutEvents;
use crate::audio_thread::hands::{Hands, PlayedKey};
use crate::audio_thread::settings::Settings;
use crate::params::Input;

/// MIDI controller numbers that end notes.
pub const SUSTAIN_PEDAL: u8 = 64;
const ALL_SOUND_OFF: u8 = 120;
const RESET_CONTROLLERS: u8 = 121;
pub const ALL_NOTES_OFF: u8 = 123;
const NUM_CHANNELS: usize = 16;

/// The effect of a controller on notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// The sustain pedal goes down or up.
    Pedal(bool),
    /// All keys of the channel are released.
    AllOff {
        /// Whether the sound ends at once, even if the pedal holds it.
        at_once: bool,
    },
    /// No effect.
    Other,
}

impl Controller {
    /// Classifies a controller by its number and value, 0 to 1. The MIDI mode messages 124 to 127 release all keys,
    /// too.
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

/// The continuous controllers that shape notes (modulation wheel, expression, timbre), with their values at rest.
const SHAPING: [(u8, f32); 3] = [(1, 0.0), (11, 1.0), (74, 64.0 / 127.0)];

/// The positions of a channel's wheels, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
struct WheelState {
    bend: f32,
    pressure: f32,
    /// In the order of [`SHAPING`].
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

/// The positions of each channel's wheels, as received and as sent.
#[derive(Clone, Copy, Debug)]
pub struct Wheels {
    /// By input channel.
    input: [WheelState; NUM_CHANNELS],
    /// By output channel.
    sent: [WheelState; NUM_CHANNELS],
    /// The output channels of each input channel's last notes, as bits.
    last_out: [u16; NUM_CHANNELS],
    /// The output channels to which wheels followed a note, as bits. On other channels the host addressed the wheels to
    /// the channel itself.
    followed: u16,
    /// The output channels on which each input channel's pedal is down, as bits.
    pedal_out: [u16; NUM_CHANNELS],
    /// Whether the player's wheel positions are unknown, so that those sent must go back to rest.
    is_lost: bool,
}

impl Wheels {
    /// All wheels at rest, all pedals up.
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

    /// Forgets the player's wheels and pedals, which may have moved unheard.
    pub fn forget_input(&mut self) {
        let Self { sent, followed, pedal_out, .. } = *self;
        *self = Self { sent, followed, pedal_out, is_lost: true, ..Self::new() };
    }

    /// Records that all pedals are up.
    pub fn pedals_are_up(&mut self) {
        self.pedal_out = [0; NUM_CHANNELS];
    }
}

impl Wheels {
    /// Passes an event other than a note on to the output channels of the notes that it applies to.
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
            // The note-offs of this channel's notes go out instead. On their output channels this controller would also
            // end generated notes.
            return;
        }
        let now = channels_of(hands, channel as u8);
        if now != 0 {
            self.last_out[channel] = now;
        }
        // A channel without notes has no known output channel. Before the first note, its events go to the player's
        // voice.
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

    /// Sends the sustain pedal to the channels `to`, where it holds the answer too. It goes up on all channels where it
    /// went down.
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

    /// After [`Self::forget_input`], releases the pedals and resets the wheels that were sent.
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

    /// Moves an output channel's wheels to these positions.
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

    /// Resets the wheels that the player's last note left on a channel, before a generated note starts there.
    pub fn rest(&mut self, out: &mut OutEvents, hands: &Hands, channel: u8, timing: u32) {
        let sounds = |key: &PlayedKey| key.is_held() && key.out.sent && key.out.channel == channel;
        let is_bent = self.followed >> channel & 1 == 1 && self.sent[usize::from(channel)] != WheelState::REST;
        if is_bent && !hands.keys().any(|(_, key)| sounds(key)) {
            self.bring(out, channel, WheelState::REST, timing);
        }
    }

    /// Copies the wheels of input channel `from` to output channel `to`, where a note of the player's is about to
    /// start.
    pub fn follow_to(&mut self, out: &mut OutEvents, from: u8, to: u8, timing: u32) {
        let from = usize::from(from & 15);
        self.last_out[from] = 1 << (to & 15);
        self.followed |= 1 << (to & 15);
        self.bring(out, to & 15, self.input[from], timing);
    }
}

/// The output channels on which an input channel's notes sound, as bits.
fn channels_of(hands: &Hands, channel: u8) -> u16 {
    let sounds = |key: &PlayedKey| key.channel == channel && key.is_held() && key.out.sent;
    let sounding = hands.keys().filter(|(_, key)| sounds(key));
    sounding.fold(0, |set, (_, key)| set | 1 << (key.out.channel & 15))
}

/// The channels in a set of bits, in order.
fn channels_in(set: u16) -> impl Iterator<Item = u8> {
    (0..NUM_CHANNELS as u8).filter(move |channel| set >> channel & 1 == 1)
}

/// Sends an expression of one note to the channel that the note went out on.
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

/// The channels of the emitted lanes, as bits.
fn voices(settings: &Settings) -> u16 {
    settings.emit.bits()
}

/// The address of the note that an expression applies to: pressure, tuning and the like.
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

/// The same event on another channel and at another sample.
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
