//! What each mode asks of the network, and when: the rules of playing together. Audio thread.

use std::time::Instant;

use continuo_model::generate::{Given, Step, StepSettings};
use continuo_model::tokeniser::grid::NUM_VOICES;
use continuo_model::vocabulary::Symbol;

use super::process::{AudioThread, Block, Turn};
use super::transport::BlockTime;
use crate::bridge::{From, Request};
use crate::params::Mode;

impl AudioThread {
    /// Asks for the row that a played note falls on, and for those after it that had been planned without it.
    pub(super) fn answer(&mut self, block: &Block, time: &BlockTime, onset: i64, current: i64, at: u64) {
        // After a silence all voices start; what went out does not matter, or another `Emit` would decide otherwise.
        let attack = !self.capture.sounds_in(onset - 1);
        let Some(row) = self.capture.row(onset, block.settings.voice) else { return };
        self.ask(block, time, onset, row.given, attack, Some((self.watch)()));
        self.sequencer.schedule(at + block.settings.reply_delay_samples, onset);
        self.answered_step = Some(onset).filter(|onset| *onset > current);
        // All that was planned behind the note is planned anew, also what a longer lookahead had planned before.
        let ahead = (current + block.settings.lookahead_steps).max(self.sequencer.planned_through());
        for step in onset + 1..=ahead {
            self.plan_harmony(block, time, step);
        }
    }

    /// Plans a row on which the player is expected to do what he does now.
    fn plan_harmony(&mut self, block: &Block, time: &BlockTime, step: i64) {
        match self.capture.row(step, block.settings.voice) {
            Some(row) => self.ask(block, time, step, row.given, false, None),
            None => self.sequencer.know(step, [Symbol::Rest; NUM_VOICES]),
        }
    }

    fn ask(
        &mut self,
        block: &Block,
        time: &BlockTime,
        count: i64,
        given: [Given; NUM_VOICES],
        attack: bool,
        asked: Option<Instant>,
    ) {
        let place = time.place(count);
        // The player's voices are the player's, frozen or not.
        let frozen = self.frozen.row(place.song_step);
        let given = std::array::from_fn(|voice| if given[voice] == Given::Free { frozen[voice] } else { given[voice] });
        let mut settings =
            StepSettings { pass: if block.settings.evolves { place.pass } else { 0 }, ..block.settings.step };
        settings.controls.fermata_in = self.cadence.steps_from(count);
        let step_in_beat = time.step_in_beat(place.song_step);
        let request = Request {
            id: 0,
            from: if place.is_seam { From::Elsewhere } else { From::Here },
            count,
            step: Step { step_idx: place.song_step, step_in_beat, given, attack, settings },
            begins_bar: time.begins_bar(place.song_step),
            asked,
        };
        self.sequencer.ask(&mut self.bridge, request);
    }

    pub(super) fn on_harmonise_step(&mut self, block: &Block, time: &BlockTime, step: i64, at: u64) {
        let ahead = step + block.settings.lookahead_steps;
        let is_planned = self.sequencer.planned_through() > i64::MIN;
        if !is_planned && let Some(row) = self.capture.row(step, block.settings.voice) {
            // A key is down already where the mode is turned on: it is answered as if it were struck now.
            self.ask(block, time, step, row.struck(), true, None);
        }
        let planned_through = self.sequencer.planned_through();
        if planned_through > i64::MIN {
            // Whatever kept the plan from being made, it goes on from here.
            for step in planned_through.max(step - 1) + 1..=ahead {
                self.plan_harmony(block, time, step);
            }
        }
        if self.answered_step != Some(step) && self.sequencer.has(step) {
            self.sequencer.schedule(at + block.settings.reply_delay_samples, step);
        }
    }

    /// The modes in which player and network take turns.
    pub(super) fn on_turn_step(&mut self, block: &Block, time: &BlockTime, step: i64, at: u64) {
        let ahead = step + block.settings.lookahead_steps;
        let free = [Given::Free; NUM_VOICES];
        if let Turn::Network(first) = self.turn {
            for step in self.sequencer.planned_through().max(first) + 1..=ahead {
                if self.is_networks_time(block, time, step) {
                    self.ask(block, time, step, free, false, None);
                } else {
                    // The turn ends with a rest for all, which ends what sounds.
                    self.sequencer.know(step, [Symbol::Rest; NUM_VOICES]);
                    self.turn = Turn::Player;
                    break;
                }
            }
        } else {
            // The network listens: it hears each step once it is over. Silence is no step.
            if let Some(row) = self.capture.row(step - 1, block.settings.voice) {
                self.ask(block, time, step - 1, row.given, false, None);
                self.heard = true;
            }
            let on_a_beat = time.step_in_beat(time.place(ahead).song_step) == 0;
            let may = self.is_networks_time(block, time, ahead) && (self.heard || block.settings.mode == Mode::Free);
            if may && on_a_beat && !self.capture.is_holding() {
                self.turn = Turn::Network(ahead);
                self.ask(block, time, ahead, free, true, None);
            }
        }
        if self.sequencer.has(step) {
            self.sequencer.schedule(at, step);
        }
    }

    /// Whether the network may play in a step: always, but in Respond only in its own bars.
    fn is_networks_time(&self, block: &Block, time: &BlockTime, step: i64) -> bool {
        let bar = time.bar_of(time.place(step).song_step);
        block.settings.mode != Mode::Respond || bar.div_euclid(block.settings.respond_bars).rem_euclid(2) == 1
    }
}
