//! Controllers, pressure, wheels and expressions follow the player's notes to the channels that these go out on. Audio thread.

use nice_plug::midi::{Channel, Key};
use nice_plug::prelude::NoteEvent;

use super::process::AudioThread;
use super::settings::Block;
use crate::params::Input;

/// MIDI's numbers of the controllers that end what sounds.
pub const SUSTAIN_PEDAL: u8 = 64;
const ALL_SOUND_OFF: u8 = 120;
const RESET_CONTROLLERS: u8 = 121;
pub const ALL_NOTES_OFF: u8 = 123;
const NUM_CHANNELS: usize = 16;

/// What a controller does to notes.
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

/// Where the wheels of each channel stand, 0 to 1, and what has been sent of it.
#[derive(Clone, Copy, Debug)]
pub struct Wheels {
    /// By input channel.
    bend: [f32; NUM_CHANNELS],
    pressure: [f32; NUM_CHANNELS],
    /// By output channel.
    sent_bend: [f32; NUM_CHANNELS],
    sent_pressure: [f32; NUM_CHANNELS],
    /// The output channels that the last notes of each input channel went to, as bits.
    last_out: [u16; NUM_CHANNELS],
}

impl Wheels {
    /// All at rest.
    pub const fn new() -> Self {
        Self {
            bend: [0.5; NUM_CHANNELS],
            pressure: [0.0; NUM_CHANNELS],
            sent_bend: [0.5; NUM_CHANNELS],
            sent_pressure: [0.0; NUM_CHANNELS],
            last_out: [0; NUM_CHANNELS],
        }
    }
}

impl AudioThread {
    /// Passes on what is no note: to the channels of the notes that it is meant for.
    pub(super) fn pass_controller(&mut self, block: &Block, timing: u32, event: &NoteEvent<()>) {
        match *event {
            NoteEvent::NoteOn { .. } | NoteEvent::NoteOff { .. } | NoteEvent::Choke { .. } => {}
            NoteEvent::VoiceTerminated { .. } => {}
            NoteEvent::PolyPressure { .. }
            | NoteEvent::PolyVolume { .. }
            | NoteEvent::PolyPan { .. }
            | NoteEvent::PolyTuning { .. }
            | NoteEvent::PolyVibrato { .. }
            | NoteEvent::PolyExpression { .. }
            | NoteEvent::PolyBrightness { .. } => self.pass_of_note(*event),
            other => {
                let Some(channel) = channel_of(&other) else { return self.pass(other) };
                self.pass_of_channel(block, timing, usize::from(channel & 15), other);
            }
        }
    }

    fn pass_of_channel(&mut self, block: &Block, timing: u32, channel: usize, event: NoteEvent<()>) {
        let settings = &block.settings;
        let follows = matches!(settings.input, Input::AsVoice | Input::Drop | Input::ByChannel);
        if settings.bypass || !follows || !settings.hears(channel as u8, None) {
            if let NoteEvent::MidiCC { cc: SUSTAIN_PEDAL, .. } = event
                && !settings.bypass
                && settings.hears(channel as u8, None)
            {
                self.pass_pedal(block, timing, 1 << channel, event);
            } else {
                self.pass(event);
            }
            return;
        }
        match event {
            NoteEvent::MidiPitchBend { value, .. } => self.wheels.bend[channel] = value,
            NoteEvent::MidiChannelPressure { pressure, .. } => self.wheels.pressure[channel] = pressure,
            _ => {}
        }
        let is_pedal = matches!(event, NoteEvent::MidiCC { cc: SUSTAIN_PEDAL | RESET_CONTROLLERS, .. });
        if is_pedal {
            return self.pass_pedal(block, timing, 0, event);
        }
        if let NoteEvent::MidiCC { cc: ALL_NOTES_OFF..=127, .. } = event {
            // Its notes' ends go out; on their channels it would end the network's too.
            return;
        }
        if settings.input == Input::Drop {
            // The notes that it is meant for are not heard.
            return;
        }
        let now = self.channels_of(channel as u8);
        if now != 0 {
            self.wheels.last_out[channel] = now;
        }
        // Of a channel on which no note has come nobody knows a voice; before any note it is the player's.
        let nothing_yet = self.wheels.last_out == [0; NUM_CHANNELS];
        let is_program = matches!(event, NoteEvent::MidiProgramChange { .. });
        let fallback = if nothing_yet && !is_program { 1 << settings.voice } else { 1 << channel };
        let channels = [now, self.wheels.last_out[channel]].into_iter().find(|set| *set != 0);
        self.send_to(channels.unwrap_or(fallback), timing, event);
    }

    /// The sustain pedal holds the answer too: it goes to every voice, and to the channels of `more`.
    fn pass_pedal(&mut self, block: &Block, timing: u32, more: u16, event: NoteEvent<()>) {
        let emitted = (0..block.settings.emit.len()).filter(|voice| block.settings.emit[*voice]);
        let voices = emitted.fold(0, |set, voice| set | 1 << voice);
        self.send_to(voices | more, timing, event);
    }

    fn send_to(&mut self, channels: u16, timing: u32, event: NoteEvent<()>) {
        for channel in (0..NUM_CHANNELS as u8).filter(|channel| channels >> channel & 1 == 1) {
            match event {
                NoteEvent::MidiPitchBend { value, .. } => self.wheels.sent_bend[usize::from(channel)] = value,
                NoteEvent::MidiChannelPressure { pressure, .. } => {
                    self.wheels.sent_pressure[usize::from(channel)] = pressure;
                }
                _ => {}
            }
            self.pass(on_channel(event, channel, timing));
        }
    }

    /// Where notes of an input channel sound, as bits.
    fn channels_of(&self, channel: u8) -> u16 {
        let keys = (0..super::hands::Hands::num_slots()).filter_map(|slot| self.hands.key(slot));
        let sounding = keys.filter(|key| key.channel == channel && key.is_held() && key.out.sent);
        sounding.fold(0, |set, key| set | 1 << (key.out.channel & 15))
    }

    /// A note of an input channel goes out on another: the wheels go with it, before it starts.
    pub(super) fn follow_to(&mut self, channel: u8, out: u8, timing: u32) {
        let (from, to) = (usize::from(channel & 15), usize::from(out & 15));
        self.wheels.last_out[from] = 1 << to;
        let (bend, pressure) = (self.wheels.bend[from], self.wheels.pressure[from]);
        if self.wheels.sent_bend[to] != bend {
            self.wheels.sent_bend[to] = bend;
            self.pass(NoteEvent::MidiPitchBend { timing, channel: out, value: bend });
        }
        if self.wheels.sent_pressure[to] != pressure {
            self.wheels.sent_pressure[to] = pressure;
            self.pass(NoteEvent::MidiChannelPressure { timing, channel: out, pressure });
        }
    }

    /// What is said of one note goes to the channel that it went out on.
    fn pass_of_note(&mut self, event: NoteEvent<()>) {
        let (channel, key, voice_id) = match event {
            NoteEvent::PolyPressure { channel, key, voice_id, .. }
            | NoteEvent::PolyVolume { channel, key, voice_id, .. }
            | NoteEvent::PolyPan { channel, key, voice_id, .. }
            | NoteEvent::PolyTuning { channel, key, voice_id, .. }
            | NoteEvent::PolyVibrato { channel, key, voice_id, .. }
            | NoteEvent::PolyExpression { channel, key, voice_id, .. }
            | NoteEvent::PolyBrightness { channel, key, voice_id, .. } => (channel, key, voice_id),
            other => return self.pass(other),
        };
        let mut found = false;
        for slot in 0..super::hands::Hands::num_slots() {
            let Some(held) = self.hands.key(slot).copied().filter(super::hands::PlayedKey::is_held) else { continue };
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
