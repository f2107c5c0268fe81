//! Harmonise: requests each step as if the player held the present notes, and requests it again when the notes change.
//! Audio thread.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{Plan, RequestContext};
use crate::audio_thread::positions::{CountedStep, Sample};

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
        let attack = !context.hands.sounds_in(onset - 1);
        let Some(played) = context.played_in(onset) else { return };
        self.request(context, onset, played.given, attack, Some(requested_at));
        self.schedule(onset, context.hands.chord_at() + context.settings.reply_delay_samples);
        self.answered = Some(onset);
        // All planned steps after the note are planned again, even those that a longer lookahead planned before.
        let ahead = self.planned_through().map_or(ahead, |planned| planned.max(ahead));
        (onset + 1).through(ahead).for_each(|step| self.plan_harmony(context, step));
    }

    /// Plans a step as if the player held the present notes.
    fn plan_harmony(&mut self, context: &mut RequestContext, step: CountedStep) {
        match context.played_in(step) {
            Some(played) => self.request(context, step, played.given, false, None),
            None => self.rest(step),
        }
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
            let played = context.played_in(step);
            let given = played.map(|played| context.with_frozen(step, played.given));
            differs |= before.map(|request| request.step.given) != given;
            match (differs, played) {
                (false, _) => {}
                (true, Some(played)) => {
                    let (attack, requested_at) =
                        before.map_or((false, None), |before| (before.step.attack, before.requested_at));
                    self.request(context, step, played.given, attack, requested_at);
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
            && let Some(played) = context.played_in(step)
        {
            // The mode was turned on while a key was down: the key is answered as if it were struck now.
            self.request(context, step, played.struck(), true, None);
        }
        if let Some(planned) = self.planned_through() {
            // The plan may have fallen behind; it continues here.
            let (first, ahead) = (planned.max(step - 1) + 1, step + context.settings.lookahead_steps);
            first.through(ahead).for_each(|step| self.plan_harmony(context, step));
        }
        if self.has(step) && !self.sequencer.is_due(step) {
            self.schedule(step, at + context.settings.reply_delay_samples);
        }
        let is_full = !context.hears_notes() && context.played_in(step).is_some_and(|played| played.is_full());
        context.bridge.shared.plays_all_voices.store(is_full, Ordering::Relaxed);
    }
}
