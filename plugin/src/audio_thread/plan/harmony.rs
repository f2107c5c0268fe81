//! Harmonise and Accompany: requests each step as if the player held the present notes, and requests it again when the
//! notes change. Audio thread.

use std::sync::atomic::Ordering;
use std::time::Instant;

use continuo_model::decision::{Decision, Given, Lanes};

use super::{Part, Plan, RequestContext};
use crate::audio_thread::positions::{CountedStep, STEPS_IN_A_BEAT, Sample};
use crate::params::Mode;

/// Accompany goes on for this many bars after the player's last note, and then to the end of the bar.
const BARS_ALONE: f64 = 2.0;
/// Longer bars count as this long: four of 4/4.
const LONGEST_BAR_STEPS: f64 = 64.0;

/// What goes on without the player.
#[derive(Clone, Copy)]
pub(super) struct Accompaniment {
    /// The lanes of the player's part.
    lanes: Lanes,
    /// The step on which it ends if the player goes on resting.
    end: CountedStep,
}

impl Plan {
    /// Answers the open chord, of which a note was played in step `current`: requests the chord's step, and requests
    /// the planned steps after it again. A step is answered only once; further notes in it count from the next step on.
    /// `requested_at` is the current time.
    pub fn answer(&mut self, context: &mut RequestContext, current: CountedStep, requested_at: Instant) {
        let onset = context.hands.chord_onset();
        if self.is_after_last(onset) {
            return;
        }
        let ahead = current + context.settings.lookahead_steps;
        if context.hands.chord_is_deferred() {
            self.replan(context);
            self.plan_through(context, ahead.max(onset));
            return;
        }
        // After a silence all voices start. The output must not matter here, or `Emit` would change the decisions.
        let attack = !context.hands.sounds_in(onset - 1) && !self.goes_on(onset);
        let Some(played) = context.hands.played_in(onset) else { return };
        self.prolong(context, onset, played.given.lanes);
        self.request(context, onset, Part::of(played.given), attack, Some(requested_at));
        self.schedule(onset, context.hands.chord_at() + context.settings.reply_delay_samples);
        self.answered = Some(onset);
        // All planned steps after the note are planned again, even those that a longer lookahead planned before.
        let ahead = self.planned_through().map_or(ahead, |planned| planned.max(ahead));
        (onset + 1).through(ahead).for_each(|step| self.plan_harmony(context, step));
    }

    /// Plans a step as if the player held the present notes.
    fn plan_harmony(&mut self, context: &mut RequestContext, step: CountedStep) {
        match self.players_part(context, step) {
            Some(part) => self.request(context, step, part, false, None),
            None => self.rest(step),
        }
    }

    /// What the player plays in a step that the network plays too; `None` if the network rests there. Four voices
    /// rest together, so that the network decides a resting voice too, unheard.
    fn players_part(&self, context: &mut RequestContext, step: CountedStep) -> Option<Part> {
        if let Some(played) = context.hands.played_in(step) {
            return Some(Part::of(played.given));
        }
        let lanes = self.resting_lanes(context, step);
        let part = if context.hears_notes() {
            Part::of(Given { lanes, notes: Decision::SILENCE })
        } else {
            Part { given: Given::NOTHING, unheard: lanes }
        };
        self.goes_on(step).then_some(part)
    }

    /// The lanes of the player's part while it rests, without frozen ones, which go on.
    fn resting_lanes(&self, context: &RequestContext, step: CountedStep) -> Lanes {
        let song_step = context.time.song_position(step).song_step;
        let frozen = context.frozen.step(song_step).map_or(Lanes::NONE, |(lanes, _)| lanes);
        self.accompaniment.map_or(Lanes::NONE, |accompaniment| accompaniment.lanes) & !frozen
    }

    /// Whether an accompaniment goes on in a step without notes of the player's. A last chord is still played.
    fn goes_on(&self, step: CountedStep) -> bool {
        self.accompaniment.is_some_and(|accompaniment| {
            step < self.cadence.last_until().map_or(accompaniment.end, |until| until.max(accompaniment.end))
        })
    }

    /// Whether the network accompanies the player, or the player's rests.
    pub fn accompanies(&self) -> bool {
        self.accompaniment.is_some()
    }

    /// Ends the accompaniment.
    pub fn stop_accompanying(&mut self) {
        self.accompaniment = None;
    }

    /// The player's notes sound in `step`, on these lanes: the accompaniment goes on from there.
    fn prolong(&mut self, context: &RequestContext, step: CountedStep, lanes: Lanes) {
        if context.settings.mode != Mode::Accompany || self.cadence.has_ended() {
            return;
        }
        let bar_steps = (context.time.bar_beats() * STEPS_IN_A_BEAT).min(LONGEST_BAR_STEPS);
        let enough = step + (BARS_ALONE * bar_steps).ceil() as i64;
        let begins_bar = |step: &CountedStep| context.time.begins_bar(context.time.song_position(*step).song_step);
        let end = enough.through(enough + bar_steps.ceil() as i64).find(begins_bar).unwrap_or(enough);
        if let Some(before) = self.accompaniment.filter(|before| before.end < end)
            && self.planned_through().is_some_and(|planned| planned >= before.end)
        {
            // The rests after its end are not to be played.
            self.forget_from(before.end);
        }
        self.accompaniment = Some(Accompaniment { lanes, end });
    }

    /// Follows an accompaniment as `step` begins: the player's notes prolong it. Returns whether it is over.
    pub fn follow_accompaniment(&mut self, context: &mut RequestContext, step: CountedStep) -> bool {
        if context.settings.mode != Mode::Accompany {
            return false;
        }
        let has_closed = self.cadence.has_ended() && self.cadence.last_until().is_none_or(|until| until < step);
        let played = context.hands.played_in(step - 1).filter(|_| !has_closed);
        if let Some(played) = played {
            self.prolong(context, step - 1, played.given.lanes);
            return false;
        }
        if !self.accompanies() || !has_closed && self.goes_on(step) {
            return false;
        }
        // After the last chord a key that is still held begins nothing.
        self.stop_accompanying();
        !context.hands.is_holding()
    }

    /// Extends the plan to step `ahead`.
    fn plan_through(&mut self, context: &mut RequestContext, ahead: CountedStep) {
        if let Some(planned) = self.planned_through() {
            (planned + 1).through(ahead).for_each(|step| self.plan_harmony(context, step));
        }
    }

    /// The hands have changed: requests the planned steps again, from the first one in which the player's notes differ.
    pub fn replan(&mut self, context: &mut RequestContext) {
        let Some((first, last)) = self.sequencer.unplayed().next().zip(self.planned_through()) else { return };
        let mut differs = false;
        for step in first.through(last) {
            if !self.has(step) {
                continue;
            }
            let before = self.sequencer.requested(step);
            let part = self.players_part(context, step);
            let given = part.map(|part| context.with_frozen(step, part.given));
            differs |= before.map(|request| request.step.given) != given;
            match (differs, part) {
                (false, _) => {}
                (true, Some(part)) => {
                    let (attack, requested_at) =
                        before.map_or((false, None), |before| (before.step.attack, before.requested_at));
                    self.request(context, step, part, attack, requested_at);
                }
                (true, None) => self.rest(step),
            }
        }
    }

    /// Begins a step at sample `at`: plans the step that is the lookahead ahead, and schedules this step after the
    /// reply delay, as late as an answer that may replace it.
    pub fn harmonise_step(&mut self, context: &mut RequestContext, step: CountedStep, at: Sample) {
        if self.planned_through().is_none()
            && context.hands.is_holding()
            && let Some(played) = context.hands.played_in(step)
        {
            // The mode was turned on while a key was down: the key is answered as if it were struck now.
            self.prolong(context, step, played.given.lanes);
            self.request(context, step, Part::of(played.struck()), true, None);
        }
        if let Some(planned) = self.planned_through() {
            // The plan may have fallen behind; it continues here.
            let (first, ahead) = (planned.max(step - 1) + 1, step + context.settings.lookahead_steps);
            first.through(ahead).for_each(|step| self.plan_harmony(context, step));
        }
        if self.has(step) && !self.sequencer.is_due(step) {
            self.schedule(step, at + context.settings.reply_delay_samples);
        }
        let is_full = !context.hears_notes() && context.hands.played_in(step).is_some_and(|played| played.is_full());
        context.bridge.shared.plays_all_voices.store(is_full, Ordering::Relaxed);
    }
}
