//! A key that was struck, until nothing depends on it any more. Audio thread.

use nice_plug::midi::{Channel, Key, VoiceID};

use super::in_take::InTake;
use crate::audio_thread::positions::{CountedStep, Sample, StepPosition};

/// A note-on as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Struck {
    /// Input channel, from 0.
    pub channel: u8,
    /// MIDI key.
    pub key: u8,
    /// The host's handle.
    pub voice_id: VoiceID,
    /// 0 to 1.
    pub velocity: f32,
    /// It is meant for us: within the input filter.
    pub heard: bool,
}

/// Where a note went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Out {
    /// The channel that it went out on, or would have.
    pub channel: u8,
    /// It went out.
    pub sent: bool,
}

/// A key of the player's.
#[derive(Clone, Copy, Debug)]
pub struct PlayedKey {
    /// Input channel, from 0.
    pub channel: u8,
    /// MIDI key.
    pub key: u8,
    /// The host's handle.
    pub voice_id: VoiceID,
    /// 0 to 1.
    pub velocity: f32,
    /// It is meant for us.
    pub heard: bool,
    /// The sample at which it was struck.
    pub at: Sample,
    /// A finger holds it.
    pub hand: bool,
    /// No finger, but the pedal does.
    pub pedal: bool,
    /// The sample at which it was let go of last.
    pub lifted: Sample,
    /// The step that it starts on: the nearest.
    pub onset: CountedStep,
    /// The step that it no longer belongs to, once it has been released.
    pub end: Option<CountedStep>,
    /// Counts up with each key struck.
    pub serial: u32,
    /// The chord that it belongs to.
    pub chord: u32,
    /// The serial of the key whose line it continues.
    pub continues: Option<u32>,
    /// The voice that it was dealt last, and the same as of the last closed chord.
    pub dealt: Option<usize>,
    /// See `dealt`.
    pub settled: Option<usize>,
    /// In rows: its voice, and the step from which it has been in it.
    pub voice: Option<(usize, CountedStep)>,
    /// Where it went.
    pub out: Out,
    /// What the take knows of it.
    pub in_take: InTake,
}

impl PlayedKey {
    /// Struck at sample `at`, to start on step `onset`.
    pub fn new(struck: Struck, at: Sample, onset: CountedStep, serial: u32, chord: u32) -> Self {
        let Struck { channel, key, voice_id, velocity, heard } = struck;
        Self {
            channel,
            key,
            voice_id,
            velocity,
            heard,
            at,
            hand: true,
            pedal: false,
            lifted: at,
            onset,
            end: None,
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

    /// By hand or by pedal.
    pub fn is_held(&self) -> bool {
        self.hand || self.pedal
    }

    /// Whether an address that may leave parts open means this note.
    pub fn is_meant(&self, channel: Channel, key: Key, voice_id: VoiceID) -> bool {
        let handle = match (voice_id, self.voice_id) {
            (VoiceID::ID(named), VoiceID::ID(of_note)) => named == of_note,
            _ => true,
        };
        handle && channel.number().is_none_or(|c| c == self.channel) && key.number().is_none_or(|k| k == self.key)
    }

    /// However short, a note fills the step that it starts on.
    pub fn end_at(&mut self, position: StepPosition) {
        self.end = Some(position.nearest_step().max(self.onset + 1));
    }
}

/// Whether a key belongs to `step`.
pub fn belongs_to(key: &PlayedKey, step: CountedStep) -> bool {
    key.onset <= step && key.end.is_none_or(|end| end > step)
}
