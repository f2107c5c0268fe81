//! Starts, stops, jumps, loop changes and settings that end notes at the start of a block. Audio thread.

use super::*;
use crate::audio_thread::output::Owner;
use crate::audio_thread::settings::Settings;
use crate::audio_thread::transport::Motion;

impl AudioThread {
    /// A start, a jump or a stop ends sounding notes at the block's first sample and drops the plan. Panic does the
    /// same, and a change of mode does it for generated notes.
    pub(super) fn follow_discontinuities(&mut self, block: &Block, time: &BlockTime) {
        let settings = &block.settings;
        if matches!(time.motion, Motion::Started | Motion::Jumped | Motion::Halted) {
            // The notes played until now belong to the take that ends.
            self.hands.close_chord();
            self.hands.tell_chord(settings.keeps_voices(), &mut self.bridge);
        }
        self.take.follow(block, time, &mut self.bridge);
        match time.motion {
            Motion::Started | Motion::Jumped => self.go_to(time),
            Motion::Halted => {
                self.turns.forget_phrase();
                self.listener.clear();
                self.plan.reopen();
                self.end_everything(time, Origin::PieceStart);
            }
            Motion::Continued | Motion::Stopped => {}
        }
        self.follow_settings(settings, time);
        self.frozen.follow(settings, time, &mut self.bridge, &mut self.output);
        self.output.settle_wheels();
    }

    /// Starts or jumps to a new position. The player's own notes go on until the player ends them.
    fn go_to(&mut self, time: &BlockTime) {
        if time.host_stops {
            // The host stops, and a note starts free-running time in the same block.
            self.end_everything(time, Origin::PieceStart);
        }
        self.output.end_all(Some(Owner::Generated), time.begin, 1);
        self.output.end_all(Some(Owner::Frozen), time.begin, 1);
        self.voices.clear();
        self.plan.reopen();
        self.drop_plans(if time.motion == Motion::Jumped { Origin::SongMemory } else { Origin::PieceStart });
        self.deadline.forget_misses();
        self.turns.go_to(time);
        if time.motion == Motion::Started {
            self.listener.clear();
        }
        self.listener.go_to(time, self.turns.next_step());
        self.hands.go_to(self.turns.next_step());
        self.hands.tell_held_again(self.take.now(), &mut self.bridge);
    }

    /// Follows changes of the loop, panic, mode, metre and the cadence control.
    fn follow_settings(&mut self, settings: &Settings, time: &BlockTime) {
        let other_mode = self.turns.follow_mode(settings);
        self.follow_loop(settings, time);
        if settings.panic {
            self.turns.forget_phrase();
            self.end_everything(time, Origin::PreviousStep);
            self.hands.forget_pedals();
            self.output.silence_channels();
        } else if other_mode {
            self.output.end_all(Some(Owner::Generated), time.begin, 1);
            self.drop_plans(Origin::PreviousStep);
            self.plan.reopen();
        }
        if time.new_metre && self.turns.follow_metre_change() {
            self.plan.forget_from(self.turns.next_step());
        }
        self.plan.follow_cadence(settings, time, self.turns.next_step(), self.turns.is_networks());
    }

    /// Follows a change of the loop: everything planned past the end of the old or new loop is planned again.
    fn follow_loop(&mut self, settings: &Settings, time: &BlockTime) {
        let Some(from) = time.loop_changes_from.filter(|_| time.motion == Motion::Continued) else { return };
        let from = from.max(self.turns.next_step());
        if self.plan.planned_through() < Some(from) {
            return;
        }
        if self.turns.continues_after_loop_change(from, settings.mode) {
            self.plan.forget_from(from);
        } else {
            self.output.end_all(Some(Owner::Generated), time.begin, 1);
            self.drop_turn();
        }
    }

    fn end_everything(&mut self, time: &BlockTime, origin: Origin) {
        self.output.end_all(None, time.begin, 1);
        self.hands.tell_held_ended(self.take.now(), &mut self.bridge);
        self.hands.clear();
        self.drop_plans(origin);
    }

    /// Drops the network's turn or its first step: the player has the turn. A cadence to come waits for the next turn.
    pub(super) fn drop_turn(&mut self) {
        self.plan.drop_turn(self.turns.next_step());
        self.voices.fall_silent();
        self.voices.forget_later();
        self.turns.yield_to_player();
    }

    /// Drops the plan and ends the network's turn. The next requested step continues from `origin`.
    pub(super) fn drop_plans(&mut self, origin: Origin) {
        self.plan.clear(origin);
        self.voices.fall_silent();
        self.voices.forget_later();
        self.turns.yield_to_player();
    }
}
