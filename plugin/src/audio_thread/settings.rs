//! The input of a block besides its events: the parameters and the host's transport. Audio thread.

use std::time::Instant;

use continuo_model::decision::Lanes;
use continuo_model::generate::StepSettings;
use continuo_model::tokeniser::grid::NUM_VOICES;
use nice_plug::prelude::NoteEvent;

use super::hands::ByVoice;
use super::transport::HostTime;
use crate::params::{Feel, Input, Mode, Tonality};

/// Notes struck within this many seconds of the first form one chord; less if the reply delay is shorter.
pub const CHORD_SECONDS: f64 = 0.025;

/// The parameters at the start of a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// The mode.
    pub mode: Mode,
    /// In Respond, the player and the network take turns of this many bars.
    pub respond_bars: i64,
    /// How incoming notes pass through.
    pub input: Input,
    /// The lowest and the highest key that the plugin responds to.
    pub hear_keys: (u8, u8),
    /// The input channel that the plugin responds to, from 0; `None` for all.
    pub hear_channel: Option<u8>,
    /// Whether the network's turn may begin on any beat, not only at a bar.
    pub enter_on_beat: bool,
    /// Whether each pass of a loop is decided anew.
    pub evolves: bool,
    /// Whether the player pressed Panic: all notes end.
    pub panic: bool,
    /// Whether input passes through unchanged and nothing is generated.
    pub bypass: bool,
    /// The player's voice, 0 = soprano.
    pub voice: usize,
    /// When this turns on, the player requests a cadence.
    pub cadence: bool,
    /// When this turns on, the player requests the last cadence.
    pub end: bool,
    /// The bars of a phrase of the network's; `None` for eight quarter notes or more.
    pub phrase_bars: Option<u8>,
    /// The lanes that go out.
    pub emit: Lanes,
    /// The lanes that play the frozen take. If all do, the network decides nothing.
    pub frozen: Lanes,
    /// How many steps ahead the network decides, 1 to 16.
    pub lookahead_steps: i64,
    /// The delay from a played note to its answer, in samples.
    pub reply_delay_samples: u64,
    /// Notes struck within this many samples form one chord.
    pub chord_window_samples: u64,
    /// The key and the scale.
    pub tonality: Tonality,
    /// How decided notes are played.
    pub feel: Feel,
    /// How the network decides steps.
    pub step: StepSettings,
}

impl Settings {
    /// Whether the plugin responds to a channel, and to this key on it.
    pub fn hears(&self, channel: u8, key: Option<u8>) -> bool {
        let (from, to) = self.hear_keys;
        let is_voice = self.input != Input::ByChannel || usize::from(channel) < NUM_VOICES;
        is_voice
            && self.hear_channel.is_none_or(|heard| heard == channel)
            && key.is_none_or(|key| (from..=to).contains(&key))
    }

    /// Whether the event starts a note that the plugin responds to.
    pub(super) fn starts_a_note(&self, event: &NoteEvent<()>) -> bool {
        match *event {
            NoteEvent::NoteOn { channel, key, velocity, .. } if velocity > 0.0 => {
                self.bypass || channel.number().is_some_and(|channel| self.hears(channel, key.number()))
            }
            _ => false,
        }
    }

    /// Whether the plugin plays along with the player.
    pub(super) fn harmonises(&self) -> bool {
        self.mode.plays_along() && !self.bypass
    }

    /// Whether the network may play in a bar of the song. In Respond it may only in its own bars.
    pub(super) fn is_networks_bar(&self, bar: i64) -> bool {
        self.mode != Mode::Respond || bar.div_euclid(self.respond_bars).rem_euclid(2) == 1
    }

    /// How the player's keys become voices, for a model that plays `lanes` and hears notes or voices.
    pub(super) fn by_voice(&self, lanes: Lanes, hears_notes: bool) -> ByVoice {
        let last = if hears_notes { lanes.iter().last().map_or(0, usize::from) } else { NUM_VOICES - 1 };
        match self.input {
            Input::ByChannel => ByVoice::Channel(last),
            _ if hears_notes => ByVoice::One(self.voice.min(last)),
            _ => ByVoice::Dealt(self.voice),
        }
    }

    /// Whether the take stores played notes by voice, not by the channel that they arrived on.
    pub(super) fn keeps_voices(&self) -> bool {
        !self.bypass && self.input != Input::AsItIs
    }
}

/// A block to process.
pub struct Block {
    /// The host's transport.
    pub host: HostTime,
    /// The length in samples.
    pub frames: usize,
    /// The parameters.
    pub settings: Settings,
    /// The clock at the start of the block. A parameter, so that tests can control time.
    pub now: Instant,
    /// Whether the host reports an offline render.
    pub says_offline: bool,
}
