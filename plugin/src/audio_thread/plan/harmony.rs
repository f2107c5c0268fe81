//! Harmonise: each step is requested as if the player went on with what he does, and requested again where he does
//! something else. Audio thread.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{Asking, Plan};
use crate::audio_thread::positions::{CountedStep, Sample};

impl Plan {
    /// Answers the open chord, of which a note was played in step `current`: requests the step that it falls on, and
    /// those after it that had been planned without it. A step is answered once; what else is played in it is heard
    /// from the next one on. `asked` is the present.
    pub fn answer(&mut self, asking: &mut Asking, current: CountedStep, asked: Instant) {
        let onset = asking.hands.chord_onset();
        let ahead = current + asking.settings.lookahead_steps;
        if asking.hands.chord_is_deferred() {
            self.replan(asking);
            self.plan_through(asking, ahead.max(onset));
            return;
        }
        // After a silence all voices start; what went out does not matter, or another `Emit` would decide otherwise.
        let attack = !asking.hands.sounds_in(onset - 1);
        let Some(played) = asking.hands.played_in(onset) else { return };
        self.request(asking, onset, played.given, attack, Some(asked));
        self.schedule(onset, asking.hands.chord_at() + asking.settings.reply_delay_samples);
        self.answered = Some(onset);
        // All that was planned behind the note is planned anew, also what a longer lookahead had planned before.
        let ahead = self.planned_through().map_or(ahead, |planned| planned.max(ahead));
        (onset + 1).through(ahead).for_each(|step| self.plan_harmony(asking, step));
    }

    /// Plans a step in which the player is expected to do what he does now.
    fn plan_harmony(&mut self, asking: &mut Asking, step: CountedStep) {
        match asking.hands.played_in(step) {
            Some(played) => self.request(asking, step, played.given, false, None),
            None => self.rest(step),
        }
    }

    /// Plans on to step `ahead`.
    fn plan_through(&mut self, asking: &mut Asking, ahead: CountedStep) {
        if let Some(planned) = self.planned_through() {
            (planned + 1).through(ahead).for_each(|step| self.plan_harmony(asking, step));
        }
    }

    /// The hands have changed: the steps that are planned are requested again from the first on in which the player now
    /// does something else.
    pub fn replan(&mut self, asking: &mut Asking) {
        let Some((first, last)) = self.sequencer.unplayed().next().zip(self.planned_through()) else { return };
        let mut differs = false;
        for step in first.through(last) {
            if !self.has(step) {
                continue;
            }
            let before = self.sequencer.requested(step);
            let played = asking.hands.played_in(step);
            let given = played.map(|played| asking.with_frozen(step, played.given));
            differs |= before.map(|request| request.step.given) != given;
            match (differs, played) {
                (false, _) => {}
                (true, Some(played)) => {
                    let (attack, asked) = before.map_or((false, None), |before| (before.step.attack, before.asked));
                    self.request(asking, step, played.given, attack, asked);
                }
                (true, None) => self.rest(step),
            }
        }
    }

    /// A step begins at sample `at`: the one that lies the lookahead away is planned, and this one sounds after the
    /// reply delay, as an answer would that replaced it.
    pub fn harmonise_step(&mut self, asking: &mut Asking, step: CountedStep, at: Sample) {
        if self.planned_through().is_none()
            && asking.hands.is_holding()
            && let Some(played) = asking.hands.played_in(step)
        {
            // A key is down already where the mode is turned on: it is answered as if it were struck now.
            self.request(asking, step, played.struck(), true, None);
        }
        if let Some(planned) = self.planned_through() {
            // Whatever kept the plan from being made, it goes on from here.
            let (first, ahead) = (planned.max(step - 1) + 1, step + asking.settings.lookahead_steps);
            first.through(ahead).for_each(|step| self.plan_harmony(asking, step));
        }
        if self.has(step) && !self.sequencer.is_due(step) {
            self.schedule(step, at + asking.settings.reply_delay_samples);
        }
        let is_full = asking.hands.played_in(step).is_some_and(|played| played.is_full());
        asking.bridge.shared.plays_all_voices.store(is_full, Ordering::Relaxed);
    }
}
