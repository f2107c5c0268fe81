//! What has been decided for each step of the song, so that a loop or a jump goes on from what stands before its goal. Worker.

use continuo_model::generate::{Given, Performer, Step};
use continuo_model::stream::State;
use continuo_model::tokeniser::grid::NUM_VOICES;
use continuo_model::vocabulary::Symbol;

/// Rows that are remembered: 64 bars of 4/4.
const NUM_ROWS: usize = 1024;
/// Bars whose beginnings can be returned to.
const NUM_BARS: usize = 64;
/// Rows that are heard again at the most, to get from a bar's beginning to a step: two bars of 4/4.
const MAX_REPLAY: i64 = 32;

/// The last rows by song step, and the network's states at the beginnings of bars. Allocates only when it is made.
pub struct SongMemory {
    rows: Vec<Option<(Step, [Symbol; NUM_VOICES])>>,
    /// (song step, state before it); the oldest gives way.
    bars: Vec<(Option<i64>, State)>,
    next_bar: usize,
}

impl SongMemory {
    /// Nothing is remembered.
    pub fn new(performer: &Performer) -> Self {
        Self { rows: vec![None; NUM_ROWS], bars: vec![(None, performer.state().clone()); NUM_BARS], next_bar: 0 }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.rows.fill(None);
        self.bars.iter_mut().for_each(|bar| bar.0 = None);
    }

    /// Remembers a row in place of what stood there.
    pub fn keep_row(&mut self, step: &Step, row: [Symbol; NUM_VOICES]) {
        self.rows[slot(step.step_idx)] = Some((*step, row));
    }

    /// Forgets the row of a song step, which has been undone; the state before it stays true.
    pub fn forget(&mut self, song_step: i64) {
        if self.row(song_step).is_some() {
            self.rows[slot(song_step)] = None;
        }
    }

    /// Remembers the state at the beginning of a bar, in place of what stood there.
    pub fn keep_state(&mut self, song_step: i64, state: &State) {
        let place = self.bars.iter().position(|bar| bar.0 == Some(song_step)).unwrap_or_else(|| {
            self.next_bar = (self.next_bar + 1) % NUM_BARS;
            self.next_bar
        });
        let bar = &mut self.bars[place];
        bar.0 = Some(song_step);
        bar.1.copy_from(state);
    }

    /// Puts the performance where it stood before `song_step`: at the nearest beginning of a bar before it, then on through
    /// the rows from there. Where nothing is remembered it begins a piece.
    pub fn go_to(&self, performer: &mut Performer, song_step: i64) {
        let reachable = |from: i64| {
            (0..=MAX_REPLAY).contains(&(song_step - from)) && (from..song_step).all(|step| self.row(step).is_some())
        };
        let from = self.bars.iter().filter(|bar| bar.0.is_some_and(reachable)).max_by_key(|bar| bar.0);
        let Some((Some(from), state)) = from else {
            performer.reset();
            return;
        };
        performer.rewind(state);
        for (step, row) in (*from..song_step).filter_map(|step| self.row(step)) {
            performer.replay(step, *row);
        }
    }

    /// Lets another performance hear the rows before `song_step` that `other` remembers, two bars of 4/4 at the most, and
    /// remembers them here.
    pub fn hear(&mut self, performer: &mut Performer, other: &Self, song_step: i64) {
        let known = (1..=MAX_REPLAY).take_while(|back| other.row(song_step - back).is_some()).count() as i64;
        for (step, row) in (song_step - known..song_step).filter_map(|step| other.row(step)) {
            performer.step(&Step { given: row.map(Given::Symbol), ..*step });
            self.keep_row(step, *row);
        }
    }

    fn row(&self, song_step: i64) -> Option<&(Step, [Symbol; NUM_VOICES])> {
        self.rows[slot(song_step)].as_ref().filter(|(step, _)| step.step_idx == song_step)
    }
}

fn slot(song_step: i64) -> usize {
    song_step.rem_euclid(NUM_ROWS as i64) as usize
}
