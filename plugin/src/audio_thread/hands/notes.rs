//! The notes that belong to a step as they were played, for models that hear notes. Audio thread.

use continuo_model::decision::{ANY_LANE, Decision, Edge, Given, Lanes, TICKS_PER_STEP};

use super::{Hands, MAX_KEYS};
use crate::audio_thread::positions::{CountedStep, StepPosition};

/// A note within this many steps of a step's start is meant to start with it: a sixth, or 20 ms at 120 bpm.
const NEAR_STEPS: f64 = 1.0 / 6.0;

/// The step and the tick in it at which a note starts or ends.
fn place(position: StepPosition) -> (CountedStep, u8) {
    let nearest = position.nearest_step();
    if (position - nearest.position()).abs() < NEAR_STEPS {
        return (nearest, 0);
    }
    let step = position.step();
    let tick = (position - step.position()) * f64::from(TICKS_PER_STEP);
    (step, (tick as u8).min(TICKS_PER_STEP - 1))
}

impl Hands {
    /// What the player plays in `step`, with ticks and velocities; `None` if nothing. All lanes are the player's,
    /// and the notes belong to none in particular.
    pub fn notes_in(&self, step: CountedStep) -> Option<Given> {
        let mut notes = Decision::SILENCE;
        // Of keys that start together the highest comes first, in whichever order they were struck.
        let mut slots = [0; MAX_KEYS];
        let mut count = 0;
        for (slot, _) in self.heard() {
            slots[count] = slot;
            count += 1;
        }
        let order = |slot: &usize| self.keys[*slot].map(|key| (u8::MAX - key.key, key.serial));
        slots[..count].sort_unstable_by_key(order);
        for key in slots[..count].iter().filter_map(|slot| self.keys[*slot].as_ref()) {
            let (starts, start_tick) = place(key.position);
            let ends =
                key.ended.map(place).map(|(end, tick)| if end < starts { (starts, start_tick) } else { (end, tick) });
            if starts == step {
                let velocity = key.midi_velocity();
                notes.push(Edge::On { lane: ANY_LANE, key: key.key, velocity, tick: start_tick });
            }
            match ends {
                Some((end, tick)) if end == step => {
                    notes.push(Edge::Off { lane: ANY_LANE, key: key.key, tick });
                }
                _ => {}
            }
        }
        // The edges alone do not tell what goes on, nor which of two notes of a key does.
        notes.sounding.clear_lane(ANY_LANE);
        for (_, key) in self.heard() {
            let goes_on = key.ended.is_none_or(|ended| place(ended).0 > step);
            if place(key.position).0 <= step && goes_on {
                notes.sounding.insert(ANY_LANE, key.key);
            }
        }
        let is_silent = notes.edges().is_empty() && notes.sounding.is_silent(ANY_LANE);
        (!is_silent).then_some(Given { lanes: Lanes::ALL, notes })
    }
}
