//! A key that the player has struck. It is kept until nothing depends on it. Audio thread.

use nice_plug::midi::{Channel, Key, VoiceID};

use super::in_take::InTake;
use crate::audio_thread::positions::{CountedStep, Sample, StepPosition};

/// An incoming note-on.
#[derive(Clone, Copy, Debug)]
pub struct Struck {
    /// The input channel, from 0.
    pub channel: u8,
    /// MIDI key.
    pub key: u8,
    /// The host's handle of the note.
    pub voice_id: VoiceID,
    /// 0 to 1.
    pub velocity: f32,
    /// Whether it passes the input filter, so that the plugin responds to it.
    pub heard: bool,
}

/// Where a note goes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Out {
    /// The output channel, even if the note is not sent.
    pub channel: u8,
    /// Whether the note is sent.
    pub sent: bool,
}

/// A key of the player's.
#[derive(Clone, Copy, Debug)]
pub struct PlayedKey {
    /// The input channel, from 0.
    pub channel: u8,
    /// MIDI key.
    pub key: u8,
    /// The host's handle of the note.
    pub voice_id: VoiceID,
    /// 0 to 1.
    pub velocity: f32,
    /// Whether the plugin responds to it.
    pub heard: bool,
    /// The sample at which it was struck.
    pub at: Sample,
    /// Where it was struck.
    pub position: StepPosition,
    /// Whether a finger holds it.
    pub hand: bool,
    /// Whether only the pedal holds it.
    pub pedal: bool,
    /// The sample at which a finger or the pedal last released it.
    pub lifted: Sample,
    /// The step on which it starts.
    pub onset: CountedStep,
    /// The first step that it no longer belongs to, once released.
    pub end: Option<CountedStep>,
    /// Where it ended, once released.
    pub ended: Option<StepPosition>,
    /// The serial number; it counts up with each key struck.
    pub serial: u32,
    /// The number of its chord.
    pub chord: u32,
    /// The serial number of the key whose line it continues.
    pub continues: Option<u32>,
    /// The voice that it was dealt last.
    pub dealt: Option<usize>,
    /// The voice that it had when the last chord closed.
    pub settled: Option<usize>,
    /// Its voice in requested steps, and the first step in that voice.
    pub voice: Option<(usize, CountedStep)>,
    /// Where it goes out.
    pub out: Out,
    /// What the take contains of it.
    pub in_take: InTake,
}

impl PlayedKey {
    /// A key struck at sample `at` that starts on step `onset`.
    pub fn new(
        struck: Struck,
        (at, position): (Sample, StepPosition),
        onset: CountedStep,
        serial: u32,
        chord: u32,
    ) -> Self {
        let Struck { channel, key, voice_id, velocity, heard } = struck;
        Self {
            channel,
            key,
            voice_id,
            velocity,
            heard,
            at,
            position,
            hand: true,
            pedal: false,
            lifted: at,
            onset,
            end: None,
            ended: None,
            serial,
            chord,
            continues: None,
            dealt: None,
            settled: None,
            voice: None,
            out: Out::default(),
            in_take: InTake::default(),
        }
    }

    /// The velocity as MIDI has it, 1 to 127.
    pub fn midi_velocity(&self) -> u8 {
        (self.velocity * 127.0).round().clamp(1.0, 127.0) as u8
    }

    /// Whether a finger or the pedal holds it.
    pub fn is_held(&self) -> bool {
        self.hand || self.pedal
    }

    /// Whether an address, which may contain wildcards, matches this note.
    pub fn is_meant(&self, channel: Channel, key: Key, voice_id: VoiceID) -> bool {
        let handle = match (voice_id, self.voice_id) {
            (VoiceID::ID(named), VoiceID::ID(of_note)) => named == of_note,
            _ => true,
        };
        handle && channel.number().is_none_or(|c| c == self.channel) && key.number().is_none_or(|k| k == self.key)
    }

    /// Sets the end. Even a very short note fills the step on which it starts.
    pub fn end_at(&mut self, position: StepPosition) {
        self.end = Some(position.nearest_step().max(self.onset + 1));
        self.ended = Some(position);
    }
}

/// Whether a key belongs to `step`.
pub fn belongs_to(key: &PlayedKey, step: CountedStep) -> bool {
    key.onset <= step && key.end.is_none_or(|end| end > step)
}
