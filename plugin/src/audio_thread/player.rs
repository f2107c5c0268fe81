//! What the player plays: passed through, told for the take, answered. Audio thread.

use nice_plug::midi::{Channel, Key, VoiceID};
use nice_plug::prelude::NoteEvent;

use super::controllers::Controller;
use super::events::{Lag, Touch};
use super::hands::{Hands, Out, PlayedKey, Struck};
use super::held_notes::Owner;
use super::process::{AudioThread, Turn};
use super::settings::Block;
use super::transport::BlockTime;
use crate::bridge::{From, Played, Told};
use crate::params::{Input, Mode};

/// What has happened at one sample.
struct Happened {
    /// Keys struck from this serial on.
    first_serial: u32,
    strikes: bool,
    /// Keys that have been let go of, by slot.
    lifted: [(usize, f32); Hands::num_slots()],
    num_lifted: usize,
    /// Pedals that have let go of notes.
    pedals: bool,
    /// The sound is to end at once.
    at_once: bool,
}

impl AudioThread {
    /// All that is played at one sample of the block: a chord is one thing, whatever the order of its notes.
    pub(super) fn on_input(&mut self, block: &Block, time: &BlockTime, events: std::ops::Range<usize>) {
        let timing = self.input[events.start].timing().min((block.frames as u32).saturating_sub(1));
        let at = self.samples + u64::from(timing);
        let mut happened = Happened {
            first_serial: self.hands.next_serial(),
            strikes: false,
            lifted: [(0, 0.0); Hands::num_slots()],
            num_lifted: 0,
            pedals: false,
            at_once: false,
        };
        for event in events.clone() {
            let event = self.input[event];
            self.take_note(block, time, timing, &event, &mut happened);
        }
        let hears = happened.strikes && self.on_strikes(block, time, timing, &happened);
        for n in 0..happened.num_lifted {
            let (slot, velocity) = happened.lifted[n];
            self.end_passed(time, slot, velocity, at);
        }
        for event in events {
            let event = self.input[event];
            self.pass_controller(block, timing, &event);
        }
        if (happened.num_lifted > 0 || happened.pedals) && !(hears && self.hands.is_holding()) {
            self.on_release(block, time, at, happened.at_once);
        }
    }

    /// Takes a note's start or end, and controllers that end notes.
    fn take_note(
        &mut self,
        block: &Block,
        time: &BlockTime,
        timing: u32,
        event: &NoteEvent<()>,
        happened: &mut Happened,
    ) {
        match *event {
            NoteEvent::NoteOn {
                voice_id, channel: Channel::Number(channel), key: Key::Number(key), velocity, ..
            } if velocity > 0.0 && channel < 16 && key < 128 => {
                let heard = block.settings.hears(channel, Some(key));
                let struck = Struck { channel, key, voice_id, velocity, heard };
                self.strike(block, time, timing, struck);
                happened.strikes = true;
            }
            NoteEvent::NoteOff { voice_id, channel, key, velocity, .. } => {
                self.lift(time, timing, (channel, key), Touch { voice_id, velocity }, happened);
            }
            NoteEvent::NoteOn { voice_id, channel, key, .. } | NoteEvent::Choke { voice_id, channel, key, .. } => {
                self.lift(time, timing, (channel, key), Touch { voice_id, velocity: 0.0 }, happened);
            }
            NoteEvent::MidiCC { channel, cc, value, .. } => match Controller::of(cc, value) {
                Controller::Pedal(down) => {
                    let (at, step) = (self.samples + u64::from(timing), time.step_at(timing));
                    happened.pedals |= self.hands.pedal(channel, down, at, step);
                }
                Controller::AllOff { at_once } => {
                    let touch = Touch { voice_id: VoiceID::Wildcard, velocity: 0.0 };
                    self.lift(time, timing, (Channel::Number(channel), Key::Wildcard), touch, happened);
                    let (at, step) = (self.samples + u64::from(timing), time.step_at(timing));
                    if at_once {
                        happened.at_once = true;
                        happened.pedals |= self.hands.pedal(channel, false, at, step);
                    }
                }
                Controller::Other => {}
            },
            _ => {}
        }
    }

    fn strike(&mut self, block: &Block, time: &BlockTime, timing: u32, struck: Struck) {
        let (at, step) = (self.samples + u64::from(timing), time.step_at(timing));
        let harmonises = block.settings.mode == Mode::Harmonise && !block.settings.bypass;
        // A step is answered once.
        let earliest = self.answered_step.filter(|_| harmonises).map_or(i64::MIN, |answered| answered + 1);
        let window = block.settings.chord_window_samples;
        let (slot, gone) = self.hands.strike(struck, at, step, window, earliest);
        let take_beats = self.take_beats_at(time, at);
        if let Some(key) = self.hands.key_mut(slot) {
            key.untold_beats = Some(take_beats);
        }
        if let Some(gone) = gone {
            self.end_out(&gone, 0.0, at);
        }
    }

    /// Lets go of the notes that an end means: one if it names channel and key, else all that it fits.
    fn lift(
        &mut self,
        time: &BlockTime,
        timing: u32,
        (channel, key): (Channel, Key),
        touch: Touch,
        happened: &mut Happened,
    ) {
        let at = self.samples + u64::from(timing);
        let one = channel.number().zip(key.number()).map(|(c, k)| self.hands.note_of(c, k, touch.voice_id));
        for slot in 0..Hands::num_slots() {
            let is_meant = match one {
                Some(one) => one == Some(slot),
                None => {
                    self.hands.key(slot).is_some_and(|held| held.hand && held.is_meant(channel, key, touch.voice_id))
                }
            };
            if !is_meant {
                continue;
            }
            self.hands.lift(slot, at, time.step_at(timing));
            if happened.num_lifted < happened.lifted.len() {
                happened.lifted[happened.num_lifted] = (slot, touch.velocity);
                happened.num_lifted += 1;
            } else {
                self.end_passed(time, slot, touch.velocity, at);
            }
        }
    }

    /// Keys have been struck: they go out on the channels of the voices that they are, as far as anyone knows by now,
    /// and are answered. Whether one of them is heard.
    fn on_strikes(&mut self, block: &Block, time: &BlockTime, timing: u32, happened: &Happened) -> bool {
        let settings = &block.settings;
        let at = self.samples + u64::from(timing);
        let is_new = |key: &PlayedKey| key.serial.wrapping_sub(happened.first_serial) < u32::MAX / 2;
        let hears = self.hands.keys().any(|(_, key)| key.heard && is_new(key));
        if hears {
            self.last_note_step = self.hands.chord_onset();
            let network_plays = self.turn != Turn::Player || self.sequencer.has(self.next_step);
            if settings.mode != Mode::Harmonise && network_plays {
                // The player wins: what is generated ends here, and what was planned is not played.
                self.end_generated(at);
                self.drop_plans(From::Here);
            }
            self.hands.deal_held();
        }
        for slot in 0..Hands::num_slots() {
            let Some(key) = self.hands.key(slot).copied().filter(|key| is_new(key)) else { continue };
            let voice = match settings.input {
                Input::ByChannel => usize::from(key.channel).min(settings.emit.len() - 1),
                _ => self.hands.free_voice(&key, key.dealt.unwrap_or(settings.voice)),
            };
            let (channel, sent) = match settings.input {
                _ if settings.bypass || !key.heard => (key.channel, true),
                Input::AsItIs => (key.channel, true),
                Input::AsVoice | Input::ByChannel => (voice as u8, settings.emit[voice]),
                Input::Drop => (voice as u8, false),
            };
            if let Some(key) = self.hands.key_mut(slot) {
                key.out = Out { channel, sent };
            }
            if sent {
                self.follow_to(key.channel, channel, timing);
                let touch = Touch { voice_id: key.voice_id, velocity: key.velocity };
                self.start(Owner::Player, (channel, key.key), touch, Lag::default(), at);
            }
            if !key.heard {
                self.tell_start(slot);
            }
        }
        if hears && settings.mode == Mode::Harmonise && !settings.bypass && !self.frozen.is_all() {
            self.answer(block, time, time.step_at(timing).floor() as i64);
        }
        hears
    }

    /// Keys have been let go of, and none struck.
    fn on_release(&mut self, block: &Block, time: &BlockTime, at: u64, at_once: bool) {
        if block.settings.mode != Mode::Harmonise || block.settings.bypass {
            return;
        }
        if self.hands.is_holding() {
            self.replan(block, time);
            return;
        }
        if at_once {
            self.ledger.end_all(Some(Owner::Generated), at, 1);
        }
        self.fall_silent(at);
    }

    /// Ends what a key sent out, and tells the take.
    fn end_passed(&mut self, time: &BlockTime, slot: usize, velocity: f32, at: u64) {
        let Some(key) = self.hands.key(slot).copied() else { return };
        self.end_out(&key, velocity, at);
        let take_beats = self.take_beats_at(time, at);
        match key.told_as {
            // Another finger holds what is one note in the take.
            Some(channel) if self.hands.is_told(channel, key.key) => {}
            Some(channel) => {
                let end = self.hands.restruck(&key).unwrap_or(take_beats);
                self.tell_player(channel, key.key, 0.0, end);
            }
            None => {
                if let Some(key) = self.hands.key_mut(slot) {
                    key.ended_beats = Some(take_beats);
                }
            }
        }
    }

    fn end_out(&mut self, key: &PlayedKey, velocity: f32, at: u64) {
        let Out { channel, sent } = key.out;
        if !sent || self.hands.goes_out(channel, key.key) {
            return;
        }
        if self.voices.doubles(channel, key.key) && self.hands.is_holding() {
            // The network's voice sounds it too, and goes on.
            self.ledger.hand_over(channel, key.key, Owner::Generated);
        } else {
            self.ledger.release(channel, key.key, velocity, at);
        }
    }

    /// Tells the take of the chord that is complete: under the voices that it was dealt as a whole.
    pub(super) fn tell_chord(&mut self, as_voice: bool) {
        for slot in 0..Hands::num_slots() {
            let Some(key) = self.hands.key(slot).filter(|key| key.untold_beats.is_some() && key.heard) else {
                continue;
            };
            let channel = key.settled.or(key.dealt).filter(|_| as_voice).map(|voice| voice as u8);
            if let (Some(channel), Some(key)) = (channel, self.hands.key_mut(slot)) {
                key.told_as = Some(channel);
            }
            self.tell_start(slot);
        }
    }

    fn tell_start(&mut self, slot: usize) {
        let Some(key) = self.hands.key_mut(slot) else { return };
        let Some(start) = key.untold_beats.take() else { return };
        let channel = *key.told_as.get_or_insert(key.out.channel);
        let (number, velocity, end) = (key.key, key.velocity, key.ended_beats.take());
        self.tell_player(channel, number, velocity, start);
        if let Some(end) = end {
            self.tell_player(channel, number, 0.0, end);
        }
    }

    fn tell_player(&mut self, channel: u8, key: u8, velocity: f32, take_beats: f64) {
        let heard_beats = take_beats;
        self.bridge.tell(Told::Played(Played { take_beats, heard_beats, channel, key, velocity, generated: false }));
    }

    /// What is held ends here for the take, as the plugin has ended it.
    pub(super) fn tell_held_ended(&mut self) {
        let take_beats = self.elapsed_beats + self.take_offset_beats;
        for slot in 0..Hands::num_slots() {
            if let Some(key) = self.hands.key(slot).copied().filter(|key| key.hand)
                && let Some(channel) = key.told_as
            {
                self.tell_player(channel, key.key, 0.0, take_beats);
            }
        }
    }

    /// What is held goes on into the take that begins.
    pub(super) fn tell_held_again(&mut self, take_beats: f64) {
        for slot in 0..Hands::num_slots() {
            if let Some(key) = self.hands.key(slot).copied().filter(|key| key.hand)
                && let Some(channel) = key.told_as
            {
                self.tell_player(channel, key.key, key.velocity, take_beats);
            }
        }
    }

    /// Starts a note; one too many in a block is counted.
    pub(super) fn start(&mut self, owner: Owner, note: (u8, u8), touch: Touch, lag: Lag, at: u64) {
        if !self.ledger.start(&mut self.out, owner, note, touch, lag, at) {
            self.count_refused(1);
        }
    }
}
