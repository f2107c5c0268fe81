//! The decisions by song step, so that after a loop or a jump the performer continues from the music before that
//! position. Worker.

use continuo_model::decision::{Decision, Given};
use continuo_model::generate::{Checkpoint, Performer, Step};

/// How many steps to remember: 64 bars of 4/4.
const NUM_STEPS: usize = 1024;
/// For how many bars to remember the state at the beginning.
const NUM_BARS: usize = 64;
/// The most steps to replay from the beginning of a bar to a step: two bars of 4/4.
const MAX_REPLAY: i64 = 32;

/// The last decisions by song step, and the performer's states at the beginnings of bars. Only `new` allocates.
pub struct SongMemory {
    steps: Vec<Option<(Step, Decision)>>,
    /// (song step, state before it), in a ring: the next entry replaces the oldest.
    bars: Vec<(Option<i64>, Checkpoint)>,
    next_bar: usize,
}

impl SongMemory {
    /// An empty memory.
    pub fn new(performer: &dyn Performer) -> Self {
        let bars = (0..NUM_BARS).map(|_| (None, performer.checkpoint())).collect();
        Self { steps: vec![None; NUM_STEPS], bars, next_bar: 0 }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.steps.fill(None);
        self.bars.iter_mut().for_each(|bar| bar.0 = None);
    }

    /// Remembers the decision for a step, in place of an earlier one.
    pub fn keep_step(&mut self, step: &Step, decision: &Decision) {
        self.steps[slot(step.step_idx)] = Some((*step, *decision));
    }

    /// Forgets a step that was undone. The state before it remains valid.
    pub fn forget(&mut self, song_step: i64) {
        if self.step(song_step).is_some() {
            self.steps[slot(song_step)] = None;
        }
    }

    /// Remembers the performer's state at the beginning of a bar, in place of an earlier one.
    pub fn keep_state(&mut self, song_step: i64, performer: &dyn Performer) {
        let index = self.bars.iter().position(|bar| bar.0 == Some(song_step)).unwrap_or_else(|| {
            self.next_bar = (self.next_bar + 1) % NUM_BARS;
            self.next_bar
        });
        let bar = &mut self.bars[index];
        bar.0 = Some(song_step);
        performer.save(&mut bar.1);
    }

    /// Restores the performer's state before `song_step`: it restores the nearest beginning of a bar and replays the
    /// steps from there. If they are not remembered, the performer begins a piece.
    pub fn go_to(&self, performer: &mut dyn Performer, song_step: i64) {
        let reachable = |from: i64| {
            (0..=MAX_REPLAY).contains(&(song_step - from)) && (from..song_step).all(|step| self.step(step).is_some())
        };
        let from = self.bars.iter().filter(|bar| bar.0.is_some_and(reachable)).max_by_key(|bar| bar.0);
        let Some((Some(from), state)) = from else {
            performer.reset();
            return;
        };
        performer.restore(state);
        performer.replay(&mut (*from..song_step).filter_map(|step| self.step(step)).copied());
    }

    /// Lets the performer hear the steps that `other` remembers before `song_step`, two bars of 4/4 at most. Remembers
    /// them too.
    pub fn hear(&mut self, performer: &mut dyn Performer, other: &Self, song_step: i64) {
        let known = (1..=MAX_REPLAY).take_while(|back| other.step(song_step - back).is_some()).count() as i64;
        let steps = || (song_step - known..song_step).filter_map(|step| other.step(step)).copied();
        let given = |(step, decision): (Step, Decision)| (Step { given: Given::all(decision), ..step }, decision);
        performer.replay(&mut steps().map(given));
        steps().for_each(|(step, decision)| self.keep_step(&step, &decision));
    }

    fn step(&self, song_step: i64) -> Option<&(Step, Decision)> {
        self.steps[slot(song_step)].as_ref().filter(|(step, _)| step.step_idx == song_step)
    }
}

fn slot(song_step: i64) -> usize {
    song_step.rem_euclid(NUM_STEPS as i64) as usize
}
