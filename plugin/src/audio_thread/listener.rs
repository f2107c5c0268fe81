//! How the player plays, as heard until each step begins: the key, how loud, with which accents and which swing. Audio
//! thread.

use continuo_model::expression::{PlayersSwing, PlayersTouch, Swing};
use continuo_model::key::PlayersKey;
use continuo_model::tokeniser::grid::STEPS_PER_BEAT;

use super::hands::Hands;
use super::positions::{CountedStep, SongStep, StepPosition};
use super::transport::BlockTime;

/// How many steps of the song to remember, as many as the worker does: 64 bars of 4/4.
const NUM_STEPS: usize = 1024;

/// What is heard of the player.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Heard {
    key: PlayersKey,
    touch: PlayersTouch,
    swing: PlayersSwing,
}

/// Estimates how the player plays. The estimates are functions of what was played before the step that began last (of
/// touch and swing: until now), and of the position in the song: at a loop's start and after a jump they are again what
/// they were at that position, so that the same notes give the same estimates in each round.
pub struct Listener {
    now: Heard,
    /// Before the last step began; it differs from `now` at a loop's start.
    before: Heard,
    /// The last step that began.
    begun: CountedStep,
    /// The last key that was heard, at any position.
    last_key: Option<u8>,
    /// The last touch and swing that were heard, at any position.
    last_touch: PlayersTouch,
    last_swing: PlayersSwing,
    /// What was heard until the start of each song step.
    memory: Vec<Option<(SongStep, Heard)>>,
}

impl Listener {
    /// Nothing heard yet. Allocates all memory.
    #[cfg_attr(
        not(test),
        expect(clippy::disallowed_macros, reason = "made on the host's main thread, before anything plays")
    )]
    pub fn new() -> Self {
        Self {
            now: Heard::default(),
            before: Heard::default(),
            begun: CountedStep::default(),
            last_key: None,
            last_touch: PlayersTouch::default(),
            last_swing: PlayersSwing::default(),
            memory: vec![None; NUM_STEPS],
        }
    }

    /// Forgets everything, at a start or a stop.
    pub fn clear(&mut self) {
        (self.now, self.before, self.last_key) = (Heard::default(), Heard::default(), None);
        (self.last_touch, self.last_swing) = (PlayersTouch::default(), PlayersSwing::default());
        self.memory.fill(None);
    }

    /// Follows a start or a jump; `step` begins next.
    pub fn go_to(&mut self, time: &BlockTime, step: CountedStep) {
        self.now = self.remembered(time.song_position(step).song_step);
        self.before = self.now;
        self.begun = step - 1;
    }

    /// Hears a key that is struck at a position. It counts for the step `onset`.
    pub fn strike(&mut self, time: &BlockTime, position: StepPosition, onset: CountedStep, velocity: f32) {
        let bar = time.bar_position(time.song_position(onset).song_step);
        self.now.touch.push(velocity, bar.map(|bar| bar.step_in_bar));
        let (beat, part_of_beat) = in_beat(time, position);
        self.now.swing.push(beat.number(), part_of_beat);
        self.last_touch = self.now.touch;
    }

    /// Hears what was played in the step before `step`, which begins now.
    pub fn begin_step(&mut self, time: &BlockTime, step: CountedStep, hands: &Hands) {
        self.now.key.push(hands.keys_in(step - 1));
        self.last_key = self.now.key.key(0.0, None).or(self.last_key);
        let (beat, _) = in_beat(time, step.position());
        self.now.swing.begin_beat(beat.number());
        if self.now.swing.has_heard() {
            self.last_swing = self.now.swing;
        }
        self.before = self.now;
        self.begun = step;
        let position = time.song_position(step);
        if position.is_loop_start {
            self.now = self.remembered(position.song_step);
        }
        self.memory[slot(position.song_step)] = Some((position.song_step, self.now));
    }

    /// The key for a step, by `estimate`. If the network alone plays in it, the last key heard will do: after a loop or
    /// a jump the network stays in it until the player plays.
    pub fn key_at(
        &self,
        time: &BlockTime,
        step: CountedStep,
        is_networks: bool,
        estimate: impl Fn(&PlayersKey) -> Option<u8>,
    ) -> Option<u8> {
        estimate(&self.heard_at(time, step).key).or(self.last_key.filter(|_| is_networks))
    }

    /// How loud the player plays, for a step. As for the key, the last one heard will do where the network plays alone.
    pub fn touch_at(&self, time: &BlockTime, step: CountedStep, is_networks: bool) -> PlayersTouch {
        let touch = self.heard_at(time, step).touch;
        if touch.has_heard() || !is_networks { touch } else { self.last_touch }
    }

    /// How the player swings, for a step; where the network plays alone, as last heard.
    pub fn swing_at(&self, time: &BlockTime, step: CountedStep, is_networks: bool) -> Option<Swing> {
        let swing = self.heard_at(time, step).swing;
        if swing.has_heard() || !is_networks { swing.swing() } else { self.last_swing.swing() }
    }

    /// Where a position that the player plays at would be without the player's swing. Steps that are over stay over:
    /// the network has heard them.
    pub fn straightened(&self, time: &BlockTime, position: StepPosition) -> StepPosition {
        let (beat, part_of_beat) = in_beat(time, position);
        let straight =
            beat.position() + self.now.swing.straightened(beat.number(), part_of_beat) * STEPS_PER_BEAT as f64;
        if straight < position.step().position() { position.step().position() } else { straight }
    }

    /// The last key heard, for the editor.
    pub fn last_key(&self) -> Option<u8> {
        self.last_key
    }

    /// What has been heard for a step.
    fn heard_at(&self, time: &BlockTime, step: CountedStep) -> Heard {
        let loop_start = (self.begun + 1).through(step).rev().find(|step| time.song_position(*step).is_loop_start);
        match loop_start {
            Some(start) => self.remembered(time.song_position(start).song_step),
            None if step < self.begun => self.before,
            None => self.now,
        }
    }

    fn remembered(&self, song_step: SongStep) -> Heard {
        let known = self.memory[slot(song_step)].filter(|(step, _)| *step == song_step);
        known.map_or(Heard::default(), |(_, heard)| heard)
    }
}

/// The first step of the beat that a position lies in, and which part of the beat is over there, 0 to 1.
fn in_beat(time: &BlockTime, position: StepPosition) -> (CountedStep, f64) {
    let step = position.step();
    let beat = step - time.step_in_beat(time.song_position(step).song_step) as i64;
    (beat, (position - beat.position()) / STEPS_PER_BEAT as f64)
}

fn slot(song_step: SongStep) -> usize {
    song_step.number().rem_euclid(NUM_STEPS as i64) as usize
}
