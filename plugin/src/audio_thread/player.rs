//! What the player plays: passed through, taken down, answered. Audio thread.

use nice_plug::midi::{Channel, Key, VoiceID};
use nice_plug::prelude::NoteEvent;

use super::events::Touch;
use super::held_notes::Owner;
use super::process::{AudioThread, Block, Turn};
use super::transport::BlockTime;
use crate::bridge::{From, Played, Told};
use crate::params::{Input, Mode};

/// A note of the player's.
#[derive(Clone, Copy, Debug)]
pub struct Passed {
    /// The channel that it went out on, or would have.
    channel: u8,
    /// It went out.
    sent: bool,
    voice_id: VoiceID,
}

impl AudioThread {
    pub(super) fn on_input(&mut self, block: &Block, time: &BlockTime, event: NoteEvent<()>) {
        let timing = event.timing().min((block.frames as u32).saturating_sub(1));
        match event {
            NoteEvent::NoteOn {
                voice_id, channel: Channel::Number(channel), key: Key::Number(key), velocity, ..
            } if velocity > 0.0 && channel < 16 && key < 128 => {
                self.on_note_on(block, time, timing, (channel, key), Touch { voice_id, velocity });
            }
            NoteEvent::NoteOff { voice_id, channel, key, velocity, .. } => {
                self.on_note_off(time, timing, (channel, key), Touch { voice_id, velocity });
            }
            NoteEvent::NoteOn { voice_id, channel, key, .. } | NoteEvent::Choke { voice_id, channel, key, .. } => {
                self.on_note_off(time, timing, (channel, key), Touch { voice_id, velocity: 0.0 });
            }
            NoteEvent::VoiceTerminated { .. } => {}
            other => self.pass(other),
        }
    }

    fn on_note_on(&mut self, block: &Block, time: &BlockTime, timing: u32, (channel, key): (u8, u8), touch: Touch) {
        let settings = &block.settings;
        let at = self.samples + u64::from(timing);
        let step = time.step_at(timing);
        let onset = self.capture.note_on(channel, key, touch.velocity, step);
        self.last_note_step = onset;
        let network_plays = self.turn != Turn::Player || self.sequencer.has(self.next_step);
        if settings.mode != Mode::Harmonise && network_plays {
            // The player wins: what is generated ends here, and what was planned is not played.
            self.ledger.end_all(Some(Owner::Generated), at);
            self.drop_plans(From::Here);
        }
        let row = self.capture.row(onset, settings.voice);
        let voice = row.and_then(|row| row.voice_of(key)).unwrap_or(settings.voice);
        let (out, sent) = match settings.input {
            _ if settings.bypass => (channel, true),
            Input::AsItIs => (channel, true),
            Input::AsVoice | Input::ByChannel => (voice as u8, settings.emit[voice]),
            Input::Drop => (voice as u8, false),
        };
        let passed_to = &mut self.passed_to[usize::from(channel)][usize::from(key)];
        let passed = Passed { channel: out, sent, voice_id: touch.voice_id };
        if let Some(before) = passed_to.replace(passed) {
            self.end_passed(time, before, key, 0.0, at);
        }
        if sent {
            self.start(Owner::Player, (out, key), touch, at);
        } else {
            self.take_down(time, (out, key), touch.velocity, at);
        }
        if settings.mode == Mode::Harmonise && !settings.bypass && !self.frozen.is_all() {
            self.answer(block, time, onset, step.floor() as i64, at);
        }
    }

    fn on_note_off(&mut self, time: &BlockTime, timing: u32, (channel, key): (Channel, Key), touch: Touch) {
        let at = self.samples + u64::from(timing);
        let names_one = channel.number().is_none() || key.number().is_none();
        let names_another = |of_note: VoiceID| match (touch.voice_id, of_note) {
            (VoiceID::ID(named), VoiceID::ID(of_note)) => names_one && named != of_note,
            _ => false,
        };
        for channel in matching(channel.number(), 16) {
            for key in matching(key.number(), 128) {
                let passed = self.passed_to[usize::from(channel)][usize::from(key)];
                // An end for one note of many names it by its id alone.
                if passed.is_some_and(|passed| names_another(passed.voice_id)) {
                    continue;
                }
                self.capture.note_off(channel, key, time.step_at(timing));
                if let Some(passed) = self.passed_to[usize::from(channel)][usize::from(key)].take() {
                    self.end_passed(time, passed, key, touch.velocity, at);
                }
            }
        }
    }

    fn end_passed(&mut self, time: &BlockTime, passed: Passed, key: u8, velocity: f32, at: u64) {
        if passed.sent {
            self.ledger.release(passed.channel, key, velocity, at);
        } else {
            self.take_down(time, (passed.channel, key), 0.0, at);
        }
    }

    /// Starts a note; one too many in a block is counted.
    pub(super) fn start(&mut self, owner: Owner, note: (u8, u8), touch: Touch, at: u64) {
        if !self.ledger.start(&mut self.out, owner, note, touch, at) {
            self.count_refused(1);
        }
    }

    /// What the player plays is in the take, although it does not go out.
    fn take_down(&mut self, time: &BlockTime, (channel, key): (u8, u8), velocity: f32, at: u64) {
        let take_beats = self.take_beats_at(time, at);
        let heard_beats = take_beats;
        self.bridge.tell(Told::Played(Played { take_beats, heard_beats, channel, key, velocity, generated: false }));
    }
}

/// The number itself, or all below `end` where the host means any.
fn matching(number: Option<u8>, end: u8) -> std::ops::Range<u8> {
    match number {
        Some(n) if n < end => n..n + 1,
        Some(_) => 0..0,
        None => 0..end,
    }
}
