//! Starts, stops, jumps and loops, and what else ends what sounds at a block's start. Audio thread.

use std::sync::atomic::Ordering;

use nice_plug::prelude::NoteEvent;

use super::controllers::{ALL_NOTES_OFF, SUSTAIN_PEDAL};
use super::held_notes::Owner;
use super::process::{AudioThread, Turn};
use super::settings::{Block, Settings};
use super::transport::{BlockTime, Motion};
use crate::bridge::From;
use crate::params::Mode;

impl AudioThread {
    /// Stage one: where are we? A note while the transport stands still starts time of its own.
    pub(super) fn begin_time(&mut self, block: &Block) -> BlockTime {
        let host_runs = self.clock.host_runs(&block.host);
        self.bridge.shared.host_without_time.store(block.host.playing && !host_runs, Ordering::Relaxed);
        if !host_runs && !self.clock.is_free_running() {
            let first_note = self.input.iter().find(|event| starts_a_note(event, &block.settings));
            if block.host.playing && self.hands.is_holding() {
                // It says that it plays, and its position does not move: what is held goes on in time of its own.
                self.clock.start_free_running(0, &block.host);
            } else if let Some(note) = first_note {
                self.clock.start_free_running(note.timing(), &block.host);
            }
        }
        self.clock.begin_block(&block.host, host_runs, block.frames)
    }

    /// Stage two: a start, a jump or a stop ends what sounds, at this very sample, and drops what was planned. So do
    /// panic and, of what is generated, another mode.
    pub(super) fn follow_motion(&mut self, block: &Block, time: &BlockTime) {
        let settings = &block.settings;
        let (mode, bypass) = std::mem::replace(&mut self.last, (settings.mode, settings.bypass));
        match time.motion {
            Motion::Started | Motion::Jumped => {
                self.heard = time.motion == Motion::Jumped && self.heard;
                if time.host_stops {
                    // And a note starts time of its own in the same block.
                    self.end_everything(From::Nothing);
                }
                // The player's notes end when the player ends them.
                self.ledger.end_all(Some(Owner::Generated), self.samples, 1);
                self.ledger.end_all(Some(Owner::Frozen), self.samples, 1);
                self.voices.clear();
                self.drop_plans(if time.motion == Motion::Jumped { From::Elsewhere } else { From::Nothing });
                // Free-running time starts at 0, at the note's sample; earlier samples of the block do not count.
                let first = if self.clock.is_free_running() { 0 } else { i64::MIN };
                self.next_step = ((time.pos_steps - 1e-6).ceil() as i64).max(first);
                self.misses_in_a_row = 0;
                self.first_step = Some(self.next_step);
                self.last_note_step = self.next_step;
                self.hands.go_to(self.next_step);
                self.tell_held_again(self.elapsed_beats + self.take_offset_beats);
            }
            Motion::Halted => {
                self.heard = false;
                self.end_everything(From::Nothing);
            }
            Motion::Continued | Motion::Stopped => {}
        }
        self.follow_loop(time);
        if settings.panic {
            self.heard = false;
            self.end_everything(From::Here);
            self.hands.forget_pedals();
            self.wheels.pedals_are_up();
            self.silence_channels();
        } else if settings.mode != mode || settings.bypass != bypass {
            self.ledger.end_all(Some(Owner::Generated), self.samples, 1);
            self.drop_plans(From::Here);
        }
        if time.new_metre
            && settings.mode == Mode::Respond
            && let Turn::Network { end, .. } = &mut self.turn
        {
            // Its bars end elsewhere now.
            *end = None;
            self.sequencer.forget_from(self.next_step);
        }
        let undecided = self.sequencer.planned_through().max(self.next_step + settings.lookahead_steps) + 1;
        self.cadence.follow(settings.cadence, time, undecided);
    }

    /// Another loop, or none: what was planned past the end of the old one or the new one is planned again.
    fn follow_loop(&mut self, time: &BlockTime) {
        let (loop_steps, next_seam) = (time.loop_steps(), time.next_seam());
        let (before, seam_before) = std::mem::replace(&mut self.last_loop, (loop_steps, next_seam));
        let seam = [seam_before, next_seam].into_iter().flatten().min().filter(|_| before != loop_steps);
        let Some(seam) = seam.map(|seam| seam.max(self.next_step)) else { return };
        if time.motion != Motion::Continued || self.sequencer.planned_through() < seam {
            return;
        }
        match self.turn {
            Turn::Network { first, .. } if first < seam => {
                self.turn = Turn::Network { first, end: None };
                self.sequencer.forget_from(seam);
            }
            Turn::Player if self.last.0 == Mode::Harmonise => self.sequencer.forget_from(seam),
            // A turn that was to begin or to end there.
            Turn::Network { .. } | Turn::Entering { .. } | Turn::Player => {
                self.ledger.end_all(Some(Owner::Generated), self.samples, 1);
                self.drop_plans(From::Here);
            }
        }
    }

    /// Tells instruments to let go of what a pedal or they themselves hold.
    fn silence_channels(&mut self) {
        for channel in 0..16 {
            for cc in [SUSTAIN_PEDAL, ALL_NOTES_OFF] {
                self.pass(NoteEvent::MidiCC { timing: 0, channel, cc, value: 0.0 });
            }
        }
    }

    fn end_everything(&mut self, from: From) {
        self.ledger.end_all(None, self.samples, 1);
        self.tell_held_ended();
        self.hands.clear();
        self.drop_plans(from);
    }

    pub(super) fn drop_plans(&mut self, from: From) {
        self.sequencer.clear(from);
        self.voices.end_all();
        self.catch_up_at = None;
        self.answered_step = None;
        self.turn = Turn::Player;
        self.cadence.clear();
    }
}

/// Whether a note that is meant for us starts.
pub(super) fn starts_a_note(event: &NoteEvent<()>, settings: &Settings) -> bool {
    match *event {
        NoteEvent::NoteOn { channel, key, velocity, .. } if velocity > 0.0 => {
            settings.bypass || channel.number().is_some_and(|channel| settings.hears(channel, key.number()))
        }
        _ => false,
    }
}
