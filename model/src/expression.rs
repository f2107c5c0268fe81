//! Expression: where in their step the notes of a decision fall, and how loud they are, if the model does not decide
//! that.
//!
//! It depends on the position in the song, the lane, the rng seed and what the player played before the cut-off, never
//! on earlier decisions: deciding a step again gives the same notes. The performer never hears it.

mod players_swing;
mod players_touch;
mod swing;

pub use players_swing::PlayersSwing;
pub use players_touch::PlayersTouch;
pub use swing::{Swing, SwungNotes};

use crate::decision::{Decision, Edge, Lanes, TICKS_PER_STEP};
use crate::generate::{Capabilities, Step};
use crate::random::coin;

/// The longest delay of a lane at full humanising, in ticks: 21 ms at 120 beats a minute.
const LATEST_TICKS: f32 = 4.0;
/// The outer lanes are delayed by this share of what an inner lane would be: they lead.
const LEADING: f32 = 0.5;
/// The largest random change of a velocity at full humanising, as a share of it.
const UNEVEN: f32 = 0.08;
/// Full dynamics change a velocity by at most these factors.
const DYNAMIC_RANGE: (f32, f32) = (0.4, 1.5);
/// Full dynamics raise a downbeat by this share of the player's level.
const METRE: f32 = 0.16;
/// They raise the middle of a phrase by this share, and lower its ends by as much.
const ARCH: f32 = 0.08;
/// They change the highest lane, the lowest one and those in between by these shares.
const BALANCE: [f32; 3] = [0.1, 0.02, -0.08];
/// An accent of the player's counts at most this much.
const ACCENT: f32 = 0.4;
/// The last tick of a step.
const LAST_TICK: u8 = TICKS_PER_STEP - 1;
/// Numbers the draws apart from those of the performers.
const DRAWS: u64 = 1 << 32;

/// How to play the notes of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expression {
    /// How much velocities vary with metre, phrase, voice and the player's accents, 0 to 1.
    pub dynamics: f32,
    /// How much timing and velocity deviate at random, 0 to 1.
    pub humanise: f32,
    /// How loud the player plays on average, 0 to 1.
    pub level: f32,
    /// How much louder than that the player plays on this 16th of the bar; negative if softer.
    pub accent: f32,
    /// How offbeats are delayed; `None` for straight notes.
    pub swing: Option<Swing>,
    /// The lanes whose notes start exactly with the step.
    pub on_grid: Lanes,
}

impl Expression {
    /// Every note as the model decided it.
    pub const NONE: Self =
        Self { dynamics: 0.0, humanise: 0.0, level: 0.0, accent: 0.0, swing: None, on_grid: Lanes::NONE };

    /// The velocity of a note that starts without a decision about it, 1 to 127: one that the model holds and that does
    /// not sound. 0 if this leaves velocities as they are.
    pub fn held_velocity(&self) -> u8 {
        if self.sets_velocity() { (self.level * 127.0).round().clamp(1.0, 127.0) as u8 } else { 0 }
    }

    fn sets_velocity(&self) -> bool {
        self.dynamics > 0.0 || self.humanise > 0.0
    }

    /// Sets the velocities of the lanes that the model decided in `step`, if a model with these `capabilities` leaves
    /// them open, and delays their notes. The player's lanes stay as they are.
    pub fn apply(&self, decision: &Decision, step: &Step, capabilities: &Capabilities) -> Decision {
        let sets_velocity = !capabilities.decides_velocity && self.sets_velocity();
        let sets_timing = self.humanise > 0.0 || self.swing.is_some();
        let balance = Balance { leads: !capabilities.decides_timing, ..Balance::of(decision) };
        decision.map(|edge| {
            let lane = edge.lane();
            if step.given.lanes.contains(lane) {
                return edge;
            }
            let moves = sets_timing && !self.on_grid.contains(lane);
            let tick = if moves { self.tick_of(&edge, decision, step, &balance) } else { edge.tick() };
            match edge {
                Edge::On { key, .. } if sets_velocity => {
                    Edge::On { lane, key, velocity: self.velocity(lane, key, step, &balance), tick }
                }
                Edge::On { key, velocity, .. } => Edge::On { lane, key, velocity, tick },
                Edge::Off { key, .. } => Edge::Off { lane, key, tick },
            }
        })
    }

    /// The tick of an edge. A note that starts and ends within the step still starts before it ends.
    fn tick_of(&self, edge: &Edge, decision: &Decision, step: &Step, balance: &Balance) -> u8 {
        let tick = |edge: &Edge| self.tick(edge.tick(), edge.lane(), step, balance);
        let of_note = |other: &&Edge| (other.lane(), other.key()) == (edge.lane(), edge.key());
        let mut others = decision.edges().iter().filter(of_note);
        match edge {
            Edge::On { .. } if others.any(|end| end.tick() > edge.tick()) => tick(edge).min(LAST_TICK - 1),
            Edge::Off { .. } => match others.rfind(|start| start.tick() < edge.tick()) {
                Some(start) => tick(edge).max(tick(start).min(LAST_TICK - 1) + 1),
                None => tick(edge),
            },
            Edge::On { .. } => tick(edge),
        }
    }

    /// The tick of a lane's starts and ends. They share it, so that legato stays legato.
    fn tick(&self, tick: u8, lane: u8, step: &Step, balance: &Balance) -> u8 {
        let swung = self.swing.map_or(tick, |swing| swing.tick(step.step_in_beat, tick));
        let share = if balance.leads(lane) { LEADING } else { 1.0 };
        let late = LATEST_TICKS * self.humanise * share * draw(step, u64::from(lane));
        (swung + late.round() as u8).min(LAST_TICK)
    }

    fn velocity(&self, lane: u8, key: u8, step: &Step, balance: &Balance) -> u8 {
        let accent = (self.accent / self.level.max(0.05)).clamp(-ACCENT, ACCENT);
        let shape = METRE * metre(step) + ARCH * arch(step) + balance.share(lane) + accent;
        let shaped = (1.0 + self.dynamics * shape).clamp(DYNAMIC_RANGE.0, DYNAMIC_RANGE.1);
        let uneven = 2.0 * draw(step, 256 + 128 * u64::from(lane) + u64::from(key)) - 1.0;
        let velocity = self.level * shaped * (1.0 + self.humanise * UNEVEN * uneven);
        (velocity * 127.0).round().clamp(1.0, 127.0) as u8
    }
}

impl Default for Expression {
    fn default() -> Self {
        Self::NONE
    }
}

fn draw(step: &Step, number: u64) -> f32 {
    coin(step.settings.rng_seed, step.settings.pass, step.step_idx, DRAWS + number) as f32
}

/// The weight of a step in its bar: 1 on the downbeat, negative off the beat.
fn metre(step: &Step) -> f32 {
    let (step_in_bar, bar_steps) = match step.settings.controls.bar {
        Some(bar) => (usize::from(bar.step_in_bar), usize::from(bar.bar_steps)),
        None => (4 + step.step_in_beat, 16),
    };
    let has_half = bar_steps % 16 == 0 || bar_steps == 24;
    match step_in_bar {
        0 => 1.0,
        half if has_half && half * 2 == bar_steps => 0.6,
        beat if beat % 4 == 0 => 0.2,
        offbeat if offbeat % 2 == 0 => -0.4,
        _ => -0.7,
    }
}

/// The arch of the phrase: -1 at its ends, 1 in its middle; 0 if the phrase is unknown.
fn arch(step: &Step) -> f32 {
    let Some(phrase) = step.settings.controls.phrase else { return 0.0 };
    let (since, left) = (f32::from(phrase.beats_since), f32::from(phrase.beats_left));
    let share = since / (since + left).max(1.0);
    8.0 * share * (1.0 - share) - 1.0
}

/// Which lanes are the highest and the lowest of those that sound.
struct Balance {
    highest: Option<u8>,
    lowest: Option<u8>,
    /// Whether these two lead in time, as voices do; hands do not.
    leads: bool,
}

impl Balance {
    fn of(decision: &Decision) -> Self {
        let sounding = Lanes::from_fn(|lane| !decision.sounding.is_silent(lane));
        Self { highest: sounding.iter().next(), lowest: sounding.iter().last(), leads: true }
    }

    /// Whether a lane is an outer voice, and less late than those within.
    fn leads(&self, lane: u8) -> bool {
        self.leads && [self.highest, self.lowest].contains(&Some(lane))
    }

    /// The share by which full dynamics change a lane; none if it plays alone.
    fn share(&self, lane: u8) -> f32 {
        let [highest, lowest, between] = BALANCE;
        match Some(lane) {
            _ if self.highest == self.lowest => 0.0,
            lane if lane == self.highest => highest,
            lane if lane == self.lowest => lowest,
            _ => between,
        }
    }
}

#[cfg(test)]
mod tests;
