//! What the player plays: passed through, told for the take, answered. Audio thread.

use continuo_model::tokeniser::grid::NUM_VOICES;
use nice_plug::midi::{Channel, Key, VoiceID};

use super::*;
use crate::audio_thread::hands::{Out, PlayedKey, Struck};
use crate::audio_thread::output::{Controller, Lag, Owner, Touch};
use crate::audio_thread::positions::{Sample, StepPosition};
use crate::params::Input as PassedAs;

/// What has happened at one sample.
struct Happened {
    at: Sample,
    position: StepPosition,
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

impl Happened {
    fn new(hands: &Hands, time: &BlockTime, at: Sample) -> Self {
        Self {
            at,
            position: time.position_at(at),
            first_serial: hands.next_serial(),
            strikes: false,
            lifted: [(0, 0.0); Hands::num_slots()],
            num_lifted: 0,
            pedals: false,
            at_once: false,
        }
    }

    fn when(&self) -> (Sample, StepPosition) {
        (self.at, self.position)
    }

    /// Whether a key was struck then.
    fn struck(&self, key: &PlayedKey) -> bool {
        key.serial.wrapping_sub(self.first_serial) < u32::MAX / 2
    }
}

impl AudioThread {
    /// All that is played at one sample of the block: a chord is one thing, whatever the order of its notes. If it
    /// begins time of the plugin's own anew, that is what `time` is from there on.
    pub(super) fn on_input(&mut self, block: &Block, time: &mut BlockTime, stages: &mut impl StageClock) {
        let events = self.input.take_next();
        let timing = self.input.all()[events.start].timing();
        let starts = |event: &NoteEvent<()>| block.settings.starts_a_note(event);
        if self.transport.free_run_is_over() && self.input.all()[events.clone()].iter().any(starts) {
            self.turns.free_run_again();
            *time = self.transport.free_run_again(block, timing);
            self.take.follow(block, time, &mut self.bridge);
        }
        let at = time.begin + u64::from(timing);
        let mut happened = Happened::new(&self.hands, time, at);
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

    /// Takes a note's start or end, and controllers that end notes.
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
        // A step is answered once.
        let earliest = self.plan.answered().filter(|_| block.settings.harmonises()).map(|answered| answered + 1);
        let window = block.settings.chord_window_samples;
        let (slot, gone) = self.hands.strike(struck, happened.when(), window, earliest);
        self.hands.start_in_take(slot, self.take.at(time, happened.at));
        if let Some(gone) = gone {
            self.end_out(&gone, 0.0, happened.at);
        }
    }

    /// Lets go of the notes that an end means: one if it names channel and key, else all that it fits.
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

    /// Keys have been struck: they go out on the channels of the voices that they are, as far as anyone knows by now.
    /// Whether one of them is heard.
    fn on_strikes(&mut self, block: &Block, time: &BlockTime, happened: &Happened) -> bool {
        let hears = self.hands.keys().any(|(_, key)| key.heard && happened.struck(key));
        if hears {
            self.turns.note_played(self.hands.chord_onset());
            let network_plays = self.turns.is_networks() || self.plan.has(self.turns.next_step());
            if block.settings.mode != Mode::Harmonise && network_plays {
                // The player wins: what is generated ends here, and what was planned is not played.
                self.voices.end_all(&mut self.output, time, happened.at);
                self.drop_plans(Origin::PreviousStep);
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
            _ => self.hands.free_voice(key, key.dealt.unwrap_or(settings.voice)),
        };
        let (channel, sent) = match settings.input {
            _ if settings.bypass || !key.heard => (key.channel, true),
            PassedAs::AsItIs => (key.channel, true),
            PassedAs::AsVoice | PassedAs::ByChannel => (voice as u8, settings.emit.contains(voice as u8)),
            PassedAs::Drop => (voice as u8, false),
        };
        Out { channel, sent }
    }

    /// Keys have been let go of, and none struck.
    fn on_release(&mut self, block: &Block, time: &BlockTime, happened: &Happened) {
        if !block.settings.harmonises() {
            return;
        }
        if self.hands.is_holding() {
            let (plan, _, mut context) = self.request_context(block, time);
            plan.replan(&mut context);
            return;
        }
        // No key is held any more: what is generated ends, and nothing that was planned starts.
        if happened.at_once {
            self.output.end_all(Some(Owner::Generated), happened.at, 1);
        }
        self.voices.end_all(&mut self.output, time, happened.at);
        self.voices.forget_later();
        self.plan.drop_steps();
    }

    /// Ends what a key sent out, and tells the take.
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
        if self.voices.doubles(channel, key.key) && self.hands.is_holding() {
            // The network's voice sounds it too, and goes on.
            self.output.hand_over((channel, key.key), Owner::Generated);
        } else {
            self.output.release((channel, key.key), velocity, at);
        }
    }
}
