//! The key that the player plays in, as heard until each step begins. Audio thread.

use continuo_model::key::PlayersKey;

use super::hands::Hands;
use super::positions::{CountedStep, SongStep};
use super::transport::BlockTime;

/// How many steps of the song to remember, as many as the worker does: 64 bars of 4/4.
const NUM_STEPS: usize = 1024;

/// Estimates the player's key. The estimate is a function of what was played before the step that began last, and
/// of the position in the song: at a loop's start and after a jump it is again what it was at that position, so that
/// the same notes give the same keys in each round.
pub struct HeardKey {
    now: PlayersKey,
    /// Before the last step began; it differs from `now` at a loop's start.
    before: PlayersKey,
    /// The last step that began.
    begun: CountedStep,
    /// The last key that was heard, at any position.
    last: Option<u8>,
    /// The estimator's state at the start of each song step.
    memory: Vec<Option<(SongStep, PlayersKey)>>,
}

impl HeardKey {
    /// Nothing heard yet. Allocates all memory.
    #[cfg_attr(
        not(test),
        expect(clippy::disallowed_macros, reason = "made on the host's main thread, before anything plays")
    )]
    pub fn new() -> Self {
        Self {
            now: PlayersKey::default(),
            before: PlayersKey::default(),
            begun: CountedStep::default(),
            last: None,
            memory: vec![None; NUM_STEPS],
        }
    }

    /// Forgets everything, at a start or a stop.
    pub fn clear(&mut self) {
        (self.now, self.before, self.last) = (PlayersKey::default(), PlayersKey::default(), None);
        self.memory.fill(None);
    }

    /// Follows a start or a jump; `step` begins next.
    pub fn go_to(&mut self, time: &BlockTime, step: CountedStep) {
        self.now = self.remembered(time.song_position(step).song_step);
        self.before = self.now;
        self.begun = step - 1;
    }

    /// Hears what was played in the step before `step`, which begins now.
    pub fn begin_step(&mut self, time: &BlockTime, step: CountedStep, hands: &Hands) {
        self.now.push(hands.keys_in(step - 1));
        self.last = self.now.key(0.0, None).or(self.last);
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
    pub fn at(
        &self,
        time: &BlockTime,
        step: CountedStep,
        is_networks: bool,
        estimate: impl Fn(&PlayersKey) -> Option<u8>,
    ) -> Option<u8> {
        let loop_start = (self.begun + 1).through(step).rev().find(|step| time.song_position(*step).is_loop_start);
        let heard = match loop_start {
            Some(start) => self.remembered(time.song_position(start).song_step),
            None if step < self.begun => self.before,
            None => self.now,
        };
        estimate(&heard).or(self.last.filter(|_| is_networks))
    }

    /// The last key heard, for the editor.
    pub fn last(&self) -> Option<u8> {
        self.last
    }

    fn remembered(&self, song_step: SongStep) -> PlayersKey {
        let known = self.memory[slot(song_step)].filter(|(step, _)| *step == song_step);
        known.map_or(PlayersKey::default(), |(_, heard)| heard)
    }
}

fn slot(song_step: SongStep) -> usize {
    song_step.number().rem_euclid(NUM_STEPS as i64) as usize
}
