//! What each mode asks of the network, and when: the rules of playing together. Audio thread.

use std::time::Instant;

use continuo_model::generate::{Step, StepSettings};
use continuo_model::tokeniser::grid::NUM_VOICES;
use continuo_model::vocabulary::Symbol;

use super::process::{AudioThread, Turn};
use super::rows::{Given, from_given, to_given};
use super::settings::Block;
use super::transport::BlockTime;
use crate::bridge::{From, Request};
use crate::params::Mode;

/// The network's turn begins this long after the beat that it is on, seconds: a hand that is a little late keeps the
/// turn.
const ENTRY_SECONDS: f64 = 0.04;

impl AudioThread {
    /// Answers the open chord, of which a note was played at sample `at`: asks for the row that it falls on, and for
    /// those after it that had been planned without it. A step is answered once; what else is played in it is heard
    /// from the next one on.
    pub(super) fn answer(&mut self, block: &Block, time: &BlockTime, current: i64) {
        let onset = self.hands.chord_onset();
        if self.hands.chord_is_deferred() {
            self.replan(block, time);
            self.plan_through(block, time, (current + block.settings.lookahead_steps).max(onset));
            return;
        }
        // After a silence all voices start; what went out does not matter, or another `Emit` would decide otherwise.
        let attack = !self.hands.sounds_in(onset - 1);
        let Some(row) = self.hands.row(onset) else { return };
        self.ask(block, time, onset, row.given, attack, Some((self.watch)()));
        self.sequencer.schedule(self.hands.chord_at() + block.settings.reply_delay_samples, onset);
        self.answered_step = Some(onset);
        // All that was planned behind the note is planned anew, also what a longer lookahead had planned before.
        let ahead = (current + block.settings.lookahead_steps).max(self.sequencer.planned_through());
        for step in onset + 1..=ahead {
            self.plan_harmony(block, time, step);
        }
    }

    /// Plans a row on which the player is expected to do what he does now.
    fn plan_harmony(&mut self, block: &Block, time: &BlockTime, step: i64) {
        match self.hands.row(step) {
            Some(row) => self.ask(block, time, step, row.given, false, None),
            None => self.sequencer.know(step, [Symbol::Rest; NUM_VOICES]),
        }
    }

    /// Plans on to step `ahead`.
    fn plan_through(&mut self, block: &Block, time: &BlockTime, ahead: i64) {
        let planned_through = self.sequencer.planned_through();
        if planned_through > i64::MIN {
            for step in planned_through + 1..=ahead {
                self.plan_harmony(block, time, step);
            }
        }
    }

    /// The hands have changed: the rows that are planned are asked for again from the first on in which the player now
    /// does something else.
    pub(super) fn replan(&mut self, block: &Block, time: &BlockTime) {
        let Some(first) = self.sequencer.unplayed().next() else { return };
        let mut differs = false;
        for step in first..=self.sequencer.planned_through() {
            if !self.sequencer.has(step) {
                continue;
            }
            let before = self.sequencer.request(step);
            let row = self.hands.row(step);
            let given = row.map(|row| self.with_frozen(time, step, row.given));
            differs |= before.map(|request| from_given(&request.step.given)) != given;
            match (differs, row) {
                (false, _) => {}
                (true, Some(row)) => {
                    let (attack, asked) = before.map_or((false, None), |before| (before.step.attack, before.asked));
                    self.ask(block, time, step, row.given, attack, asked);
                }
                (true, None) => self.sequencer.know(step, [Symbol::Rest; NUM_VOICES]),
            }
        }
    }

    /// No key is held any more: what is generated ends, and nothing that was planned starts.
    pub(super) fn fall_silent(&mut self, at: u64) {
        self.end_generated(at);
        self.sequencer.clear(From::Here);
        self.catch_up_at = None;
    }

    /// The player's voices are the player's, frozen or not.
    fn with_frozen(&self, time: &BlockTime, step: i64, given: [Given; NUM_VOICES]) -> [Given; NUM_VOICES] {
        let frozen = self.frozen.row(time.place(step).song_step);
        std::array::from_fn(|voice| if given[voice] == Given::Free { frozen[voice] } else { given[voice] })
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
        let given = self.with_frozen(time, count, given);
        let mut settings =
            StepSettings { pass: if block.settings.evolves { place.pass } else { 0 }, ..block.settings.step };
        settings.controls.fermata_in = self.cadence.steps_from(count);
        let step_in_beat = time.step_in_beat(place.song_step);
        let request = Request {
            id: 0,
            from: if place.is_seam { From::Elsewhere } else { From::Here },
            count,
            undo_from: count,
            step: Step { step_idx: place.song_step, step_in_beat, given: to_given(given), attack, settings },
            begins_bar: time.begins_bar(place.song_step),
            asked,
        };
        self.sequencer.ask(&mut self.bridge, request);
    }

    pub(super) fn on_harmonise_step(&mut self, block: &Block, time: &BlockTime, step: i64, at: u64) {
        let ahead = step + block.settings.lookahead_steps;
        let is_planned = self.sequencer.planned_through() > i64::MIN;
        if !is_planned
            && self.hands.is_holding()
            && let Some(row) = self.hands.row(step)
        {
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
        if self.sequencer.has(step) && !self.sequencer.is_due(step) {
            self.sequencer.schedule(at + block.settings.reply_delay_samples, step);
        }
        let full = self.hands.row(step).is_some_and(|row| row.is_full());
        self.bridge.shared.plays_all_voices.store(full, std::sync::atomic::Ordering::Relaxed);
    }

    /// The modes in which player and network take turns.
    pub(super) fn on_turn_step(&mut self, block: &Block, time: &BlockTime, step: i64, at: u64) {
        if let Turn::Network { first, end } = self.turn {
            if end == Some(step) {
                self.turn = Turn::Player;
            } else {
                self.play_on(block, time, step.max(first));
            }
        } else {
            // The network listens: it hears each step once it is over. Silence is no step.
            if let Some(row) = self.hands.row(step - 1) {
                self.ask(block, time, step - 1, row.given, false, None);
                self.sequencer.give_up(step - 1);
                self.heard = true;
            }
            self.may_enter(block, time, step, at);
        }
        // Where the network's turn has ended that is the rest which ends what sounds.
        if self.sequencer.has(step) && !matches!(self.turn, Turn::Entering { .. }) {
            self.sequencer.schedule(at, step);
        }
    }

    /// Plans the network's turn on from `step`, up to its end.
    fn play_on(&mut self, block: &Block, time: &BlockTime, step: i64) {
        let Turn::Network { first, end: None } = self.turn else { return };
        let ahead = step + block.settings.lookahead_steps;
        for step in self.sequencer.planned_through().max(step - 1) + 1..=ahead {
            if self.is_networks_time(block, time, step) {
                self.ask(block, time, step, [Given::Free; NUM_VOICES], false, None);
            } else {
                // The turn ends with a rest for all, which ends what sounds.
                self.sequencer.know(step, [Symbol::Rest; NUM_VOICES]);
                self.turn = Turn::Network { first, end: Some(step) };
                break;
            }
        }
    }

    /// A step begins on which the network may take its turn: its first row is asked for now and played once it is sure
    /// that the player has stopped.
    fn may_enter(&mut self, block: &Block, time: &BlockTime, step: i64, at: u64) {
        let song_step = time.place(step).song_step;
        let starts = block.settings.mode == Mode::Free && self.first_step.is_some_and(|first| step < first + 4);
        let on_beat = time.step_in_beat(song_step) == 0;
        let is_place = if block.settings.enter_on_beat || starts { on_beat } else { time.begins_bar(song_step) };
        let has_heard = self.heard || block.settings.mode == Mode::Free;
        if !is_place || !has_heard || !self.is_networks_time(block, time, step) {
            return;
        }
        if starts && !self.hands.is_holding() {
            // Nobody has played: there is nobody to wait for.
            self.turn = Turn::Entering { step, at };
        } else {
            let entry = (ENTRY_SECONDS * self.sample_rate).min(0.9 * time.samples_per_step).round() as u64;
            self.turn = Turn::Entering { step, at: at + entry };
        }
        self.ask(block, time, step, [Given::Free; NUM_VOICES], true, None);
    }

    /// The cut-off of a turn's first step: the network plays if nobody else does.
    pub(super) fn enter(&mut self, block: &Block, time: &BlockTime, step: i64, at: u64) {
        if self.hands.is_holding() {
            self.drop_plans(From::Here);
            return;
        }
        self.turn = Turn::Network { first: step, end: None };
        self.sequencer.schedule(at, step);
        self.play_on(block, time, step + 1);
    }

    /// Whether the network may play in a step: always, but in Respond only in its own bars.
    fn is_networks_time(&self, block: &Block, time: &BlockTime, step: i64) -> bool {
        let bar = time.bar_of(time.place(step).song_step);
        block.settings.mode != Mode::Respond || bar.div_euclid(block.settings.respond_bars).rem_euclid(2) == 1
    }
}
