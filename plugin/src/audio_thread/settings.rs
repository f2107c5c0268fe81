//! What a block is processed with: the parameters and what the host says. Audio thread.

use std::time::Instant;

use continuo_model::decision::Lanes;
use continuo_model::generate::StepSettings;
use continuo_model::tokeniser::grid::NUM_VOICES;
use nice_plug::prelude::NoteEvent;

use super::hands::ByVoice;
use super::transport::HostTime;
use crate::params::{Input, Mode};

/// Notes struck within this time of the first are one chord, seconds; within the reply delay, if that is shorter.
pub const CHORD_SECONDS: f64 = 0.025;

/// The parameters, as they are at a block's start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// What the plugin does.
    pub mode: Mode,
    /// Bars that the player has in Respond, and then the network.
    pub respond_bars: i64,
    /// What becomes of the notes that come in.
    pub input: Input,
    /// The lowest and the highest key that are heard.
    pub hear_keys: (u8, u8),
    /// The input channel that is heard, from 0; `None` for all.
    pub hear_channel: Option<u8>,
    /// The network may begin its turn on any beat, not on bars alone.
    pub enter_on_beat: bool,
    /// A loop plays something else each time it comes round.
    pub evolves: bool,
    /// Panic has been pressed: all notes end.
    pub panic: bool,
    /// Everything goes through as it is, and nothing is added.
    pub bypass: bool,
    /// The player's voice, 0 = soprano.
    pub voice: usize,
    /// Where this turns on the player requests a cadence.
    pub cadence: bool,
    /// The lanes that go out.
    pub emit: Lanes,
    /// The lanes that play the frozen take; all if the network has nothing to decide.
    pub frozen: Lanes,
    /// Steps that are decided ahead, 1 to 16.
    pub lookahead_steps: i64,
    /// Samples from a played note to its answer.
    pub reply_delay_samples: u64,
    /// Samples within which notes are one chord.
    pub chord_window_samples: u64,
    /// How steps are decided.
    pub step: StepSettings,
}

impl Settings {
    /// Whether a channel, and a key of it, is meant for us.
    pub fn hears(&self, channel: u8, key: Option<u8>) -> bool {
        let (from, to) = self.hear_keys;
        let is_voice = self.input != Input::ByChannel || usize::from(channel) < NUM_VOICES;
        is_voice
            && self.hear_channel.is_none_or(|heard| heard == channel)
            && key.is_none_or(|key| (from..=to).contains(&key))
    }

    /// Whether a note starts that is meant for us.
    pub(super) fn starts_a_note(&self, event: &NoteEvent<()>) -> bool {
        match *event {
            NoteEvent::NoteOn { channel, key, velocity, .. } if velocity > 0.0 => {
                self.bypass || channel.number().is_some_and(|channel| self.hears(channel, key.number()))
            }
            _ => false,
        }
    }

    /// Whether played notes are answered.
    pub(super) fn harmonises(&self) -> bool {
        self.mode == Mode::Harmonise && !self.bypass
    }

    /// How the player's keys become voices.
    pub(super) fn by_voice(&self) -> ByVoice {
        if self.input == Input::ByChannel { ByVoice::Channel } else { ByVoice::Dealt(self.voice) }
    }

    /// Whether what is played is kept as voices, not under the channel that it came on.
    pub(super) fn keeps_voices(&self) -> bool {
        !self.bypass && self.input != Input::AsItIs
    }
}

/// A block to process.
pub struct Block {
    /// What the host says of time.
    pub host: HostTime,
    /// Length, samples.
    pub frames: usize,
    /// The parameters.
    pub settings: Settings,
    /// The clock at the block's start. It is handed in so that a test decides what real time is.
    pub now: Instant,
    /// What the host says of itself; believed only until it has been measured.
    pub says_offline: bool,
}
