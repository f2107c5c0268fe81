//! The player's notes: passes them through, sends them to the take and answers them. Audio thread.

use continuo_model::tokeniser::grid::NUM_VOICES;
use nice_plug::midi::{Channel, Key, VoiceID};

use super::*;
use crate::audio_thread::hands::{Out, PlayedKey, Struck};
use crate::audio_thread::output::{Controller, Lag, Owner, Touch};
use crate::audio_thread::positions::{Sample, StepPosition};
use crate::params::{Input as PassedAs, SwingSource};

/// The player's events at one sample.
struct Happened {
    at: Sample,
    position: StepPosition,
    /// The same without the player's swing: where it counts.
    straight: StepPosition,
    /// The serial number of the first key struck at this sample.
    first_serial: u32,
    strikes: bool,
    /// The released keys: slot and release velocity.
    lifted: [(usize, f32); Hands::num_slots()],
    num_lifted: usize,
    /// Whether a pedal released notes.
    pedals: bool,
    /// Whether sounding notes end at once (CC 120).
    at_once: bool,
}

impl Happened {
    fn new(hands: &Hands, at: Sample, position: StepPosition, straight: StepPosition) -> Self {
        Self {
            at,
            position,
            straight,
            first_serial: hands.next_serial(),
            strikes: false,
            lifted: [(0, 0.0); Hands::num_slots()],
            num_lifted: 0,
            pedals: false,
            at_once: false,
        }
    }

    fn when(&self) -> (Sample, StepPosition) {
        (self.at, self.straight)
    }

    /// Whether a key was struck at this sample.
    fn struck(&self, key: &PlayedKey) -> bool {
        key.serial.wrapping_sub(self.first_serial) < u32::MAX / 2
    }
}

impl AudioThread {
    /// Handles all events at one sample together, so that the order of a chord's notes does not matter. If an event
    /// restarts free-running time, `time` changes from here on.
    pub(super) fn on_input(&mut self, block: &Block, time: &mut BlockTime, stages: &mut impl StageClock) {
        let events = self.input.take_next();
        let timing = self.input.all()[events.start].timing();
        let starts = |event: &NoteEvent<()>| block.settings.starts_a_note(event);
        if self.transport.free_run_is_over() && self.input.all()[events.clone()].iter().any(starts) {
            self.turns.restart_free_run();
            *time = self.transport.restart_free_run(block, timing);
            self.take.follow(block, time, &mut self.bridge);
        }
        let at = time.begin + u64::from(timing);
        let position = time.position_at(at);
        let hears_swing = block.settings.feel.swing != SwingSource::Off;
        let straight = if hears_swing { self.listener.straightened(time, position) } else { position };
        let mut happened = Happened::new(&self.hands, at, position, straight);
        for event in events.clone() {
            let event = self.input.all()[event];
            self.take_note(block, time, &event, &mut happened);
        }
        let hears = happened.strikes && self.on_strikes(block, time, &happened);
        if hears && block.settings.harmonises() && !self.frozen.is_all() {
            stages.enter(Stage::Plan);
            let requested_at = self.deadline.now();
            let (plan, _, mut context) = self.request_context(block, time);
            plan.answer(&mut context, happened.position.step(), requested_at);
            stages.enter(Stage::Hands);
        }
        for n in 0..happened.num_lifted {
            let (slot, velocity) = happened.lifted[n];
            self.end_passed(time, slot, velocity, at);
        }
        for event in events {
            let event = self.input.all()[event];
            self.output.pass_controller(&self.hands, &block.settings, timing, &event);
        }
        if (happened.num_lifted > 0 || happened.pedals) && !(hears && self.hands.is_holding()) {
            self.on_release(block, time, &happened);
        }
    }

    /// Handles a note-on, a note-off or a controller that ends notes.
    fn take_note(&mut self, block: &Block, time: &BlockTime, event: &NoteEvent<()>, happened: &mut Happened) {
        match *event {
            NoteEvent::NoteOn {
                voice_id, channel: Channel::Number(channel), key: Key::Number(key), velocity, ..
            } if velocity > 0.0 && channel < 16 && key < 128 => {
                let heard = block.settings.hears(channel, Some(key));
                self.strike(block, time, Struck { channel, key, voice_id, velocity, heard }, happened);
            }
            NoteEvent::NoteOff { voice_id, channel, key, velocity, .. } => {
                self.lift(time, (channel, key), Touch { voice_id, velocity }, happened);
            }
            NoteEvent::NoteOn { voice_id, channel, key, .. } | NoteEvent::Choke { voice_id, channel, key, .. } => {
                self.lift(time, (channel, key), Touch { voice_id, velocity: 0.0 }, happened);
            }
            NoteEvent::MidiCC { channel, cc, value, .. } => match Controller::of(cc, value) {
                Controller::Pedal(down) => happened.pedals |= self.hands.pedal(channel, down, happened.when()),
                Controller::AllOff { at_once } => {
                    let touch = Touch { voice_id: VoiceID::Wildcard, velocity: 0.0 };
                    self.lift(time, (Channel::Number(channel), Key::Wildcard), touch, happened);
                    if at_once {
                        happened.at_once = true;
                        happened.pedals |= self.hands.pedal(channel, false, happened.when());
                    }
                }
                Controller::Other => {}
            },
            _ => {}
        }
    }

    fn strike(&mut self, block: &Block, time: &BlockTime, struck: Struck, happened: &mut Happened) {
        happened.strikes = true;
        // Each step has one answer, so a chord after it belongs to the next step.
        let earliest = self.plan.answered().filter(|_| block.settings.harmonises()).map(|answered| answered + 1);
        let window = block.settings.chord_window_samples;
        let (slot, gone) = self.hands.strike(struck, happened.when(), window, earliest);
        if struck.heard {
            self.listener.strike(time, happened.position, happened.straight.nearest_step(), struck.velocity);
        }
        self.hands.start_in_take(slot, self.take.at(time, happened.at));
        if let Some(gone) = gone {
            self.end_out(&gone, 0.0, happened.at);
        }
    }

    /// Releases the keys that a note-off means: one key if it names channel and key, else all that match.
    fn lift(&mut self, time: &BlockTime, (channel, key): (Channel, Key), touch: Touch, happened: &mut Happened) {
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
            self.hands.lift(slot, happened.when());
            if happened.num_lifted < happened.lifted.len() {
                happened.lifted[happened.num_lifted] = (slot, touch.velocity);
                happened.num_lifted += 1;
            } else {
                self.end_passed(time, slot, touch.velocity, happened.at);
            }
        }
    }

    /// Sends struck keys out on the channels of the voices that they have so far. Returns whether the plugin responds
    /// to any of them.
    fn on_strikes(&mut self, block: &Block, time: &BlockTime, happened: &Happened) -> bool {
        let hears = self.hands.keys().any(|(_, key)| key.heard && happened.struck(key));
        if hears {
            self.turns.note_played(self.hands.chord_onset());
            let network_plays = self.turns.is_networks() || self.plan.has(self.turns.next_step());
            if !block.settings.mode.plays_along() && network_plays {
                // The player takes or keeps the turn: generated notes end and the plan is dropped.
                self.voices.end_all(&mut self.output, time, happened.at);
                self.drop_turn();
            }
            if !block.settings.mode.plays_along() {
                self.plan.reopen();
            }
            self.hands.deal_held();
        }
        for slot in 0..Hands::num_slots() {
            let Some(key) = self.hands.key(slot).copied().filter(|key| happened.struck(key)) else { continue };
            let out = self.out_of(block, &key);
            self.hands.send(slot, out);
            if out.sent {
                self.output.follow_to(key.channel, out.channel, time.timing(happened.at));
                let touch = Touch { voice_id: key.voice_id, velocity: key.velocity };
                self.output.start(Owner::Player, (out.channel, key.key), touch, Lag::default(), happened.at);
            }
            if !key.heard {
                self.hands.tell_start(slot, &mut self.bridge);
            }
        }
        hears
    }

    /// Where a key goes out.
    fn out_of(&self, block: &Block, key: &PlayedKey) -> Out {
        let settings = &block.settings;
        let voice = match settings.input {
            PassedAs::ByChannel => usize::from(key.channel).min(NUM_VOICES - 1),
            _ => self.hands.free_voice(key, key.dealt.unwrap_or(self.hands.part())),
        };
        let (channel, sent) = match settings.input {
            _ if settings.bypass || !key.heard => (key.channel, true),
            PassedAs::AsItIs => (key.channel, true),
            PassedAs::AsVoice | PassedAs::ByChannel => (voice as u8, settings.emit.contains(voice as u8)),
            PassedAs::Drop => (voice as u8, false),
        };
        Out { channel, sent }
    }

    /// Handles released keys if no key was struck.
    fn on_release(&mut self, block: &Block, time: &BlockTime, happened: &Happened) {
        if !block.settings.harmonises() {
            return;
        }
        let goes_on = self.plan.accompanies() && !happened.at_once && !self.frozen.is_all();
        if self.hands.is_holding() || goes_on {
            let (plan, _, mut context) = self.request_context(block, time);
            plan.replan(&mut context);
            return;
        }
        // With the last key released, generated notes end and no planned note starts.
        if happened.at_once {
            self.output.end_all(Some(Owner::Generated), happened.at, 1);
        }
        self.end_harmony(time, happened.at);
    }

    /// Ends the generated notes; no planned note starts.
    pub(super) fn end_harmony(&mut self, time: &BlockTime, at: Sample) {
        self.plan.stop_accompanying();
        self.voices.end_all(&mut self.output, time, at);
        self.voices.forget_later();
        self.plan.drop_steps();
        self.plan.reopen();
    }

    /// Ends a key's note in the output and in the take.
    fn end_passed(&mut self, time: &BlockTime, slot: usize, velocity: f32, at: Sample) {
        let Some(key) = self.hands.key(slot).copied() else { return };
        self.end_out(&key, velocity, at);
        self.hands.end_in_take(slot, self.take.at(time, at), &mut self.bridge);
    }

    fn end_out(&mut self, key: &PlayedKey, velocity: f32, at: Sample) {
        let Out { channel, sent } = key.out;
        if !sent || self.hands.goes_out(channel, key.key) {
            return;
        }
        if self.voices.doubles(channel, key.key) && (self.hands.is_holding() || self.plan.accompanies()) {
            // A generated note sounds on the same channel and key: it goes on.
            self.output.hand_over((channel, key.key), Owner::Generated);
        } else {
            self.output.release((channel, key.key), velocity, at);
        }
    }
}
