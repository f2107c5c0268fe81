//! Starts, stops, jumps and loops, and what else ends what sounds at a block's start. Audio thread.

use super::*;
use crate::audio_thread::output::Owner;
use crate::audio_thread::settings::Settings;
use crate::audio_thread::transport::Motion;

impl AudioThread {
    /// A start, a jump or a stop ends what sounds, at the block's first sample, and drops what was planned. So do panic
    /// and, of what is generated, another mode.
    pub(super) fn follow_discontinuities(&mut self, block: &Block, time: &BlockTime) {
        let settings = &block.settings;
        if matches!(time.motion, Motion::Started | Motion::Jumped | Motion::Halted) {
            // What was played till now is of the take that ends.
            self.hands.close_chord();
            self.hands.tell_chord(settings.keeps_voices(), &mut self.bridge);
        }
        self.take.follow(block, time, &mut self.bridge);
        match time.motion {
            Motion::Started | Motion::Jumped => self.go_to(time),
            Motion::Halted => {
                self.turns.forget_phrase();
                self.end_everything(time, Origin::PieceStart);
            }
            Motion::Continued | Motion::Stopped => {}
        }
        self.follow_settings(settings, time);
        self.frozen.follow(settings, time, &mut self.bridge, &mut self.output);
        self.output.settle_wheels();
    }

    /// Time starts, or goes on elsewhere. The player's notes end when the player ends them.
    fn go_to(&mut self, time: &BlockTime) {
        if time.host_stops {
            // And a note starts time of the plugin's own in the same block.
            self.end_everything(time, Origin::PieceStart);
        }
        self.output.end_all(Some(Owner::Generated), time.begin, 1);
        self.output.end_all(Some(Owner::Frozen), time.begin, 1);
        self.voices.clear();
        self.drop_plans(if time.motion == Motion::Jumped { Origin::SongMemory } else { Origin::PieceStart });
        self.deadline.forget_misses();
        self.turns.go_to(time);
        self.hands.go_to(self.turns.next_step());
        self.hands.tell_held_again(self.take.now(), &mut self.bridge);
    }

    /// Another loop, panic, another mode, another metre, a cadence.
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
        }
        if time.new_metre && settings.mode == Mode::Respond && self.turns.bars_end_elsewhere() {
            self.plan.forget_from(self.turns.next_step());
        }
        self.plan.follow_cadence(settings, time, self.turns.next_step());
    }

    /// Another loop, or none: what was planned past the end of the old one or the new one is planned again.
    fn follow_loop(&mut self, settings: &Settings, time: &BlockTime) {
        let Some(from) = time.other_loop_from.filter(|_| time.motion == Motion::Continued) else { return };
        let from = from.max(self.turns.next_step());
        if self.plan.planned_through() < Some(from) {
            return;
        }
        if self.turns.song_goes_on_otherwise(from, settings.mode) {
            self.plan.forget_from(from);
        } else {
            self.output.end_all(Some(Owner::Generated), time.begin, 1);
            self.drop_plans(Origin::PreviousStep);
        }
    }

    fn end_everything(&mut self, time: &BlockTime, origin: Origin) {
        self.output.end_all(None, time.begin, 1);
        self.hands.tell_held_ended(self.take.now(), &mut self.bridge);
        self.hands.clear();
        self.drop_plans(origin);
    }

    /// Nothing that was planned sounds: whoever plays next begins as `from` says.
    pub(super) fn drop_plans(&mut self, origin: Origin) {
        self.plan.clear(origin);
        self.voices.fall_silent();
        self.voices.forget_later();
        self.turns.yield_to_player();
    }
}
