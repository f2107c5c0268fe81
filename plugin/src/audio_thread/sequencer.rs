//! The plan: rows that have been asked for, by step, when each is due, and which are overdue. Audio thread.

use std::time::Instant;

use continuo_model::decision::{Decision, Lanes};
use continuo_model::tokeniser::grid::NUM_VOICES;
use continuo_model::vocabulary::Symbol;

use super::rows::{lanes, row_of, to_decision};
use crate::bridge::{AudioEnd, From, Request};

/// Rows that are remembered; more than the longest lookahead.
const NUM_ROWS: usize = 64;
/// Rows that are due but not yet played, at the most: 50 ms of reply delay hold one or two steps.
const NUM_DUE: usize = 16;

/// Tells the time. It is handed in so that a test decides what time it is.
pub type Watch = fn() -> Instant;

/// What the voices do in a step.
pub type Row = [Symbol; NUM_VOICES];

/// A row that is known, and which of its voices are the player's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlannedRow {
    /// What the voices do.
    pub row: Row,
    /// What they sound then.
    pub sounding: [Option<u8>; NUM_VOICES],
    /// Whether it answers a note, between steps.
    pub is_answer: bool,
    /// True where the player plays the voice.
    pub played: [bool; NUM_VOICES],
    /// The voices whose held notes are to be started if they do not sound: all where the row goes back behind what
    /// sounds, and those that were the player's until now.
    pub settles: [bool; NUM_VOICES],
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Content {
    /// Asked for, under this number.
    Asked(u64),
    /// There was nobody to ask, or no room: it will be missing.
    Refused,
    Known(Row, [Option<u8>; NUM_VOICES]),
}

#[derive(Clone, Copy, Debug)]
struct Planned {
    step: i64,
    played: [bool; NUM_VOICES],
    settles: [bool; NUM_VOICES],
    content: Content,
    /// What was asked; `None` where the row needs no network.
    request: Option<Request>,
}

/// What is known of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Poll {
    /// It can be played.
    Ready(PlannedRow),
    /// The worker has not answered yet.
    Waiting,
    /// There is none, or it will not come.
    Missing,
}

/// Rows asked for and rows due.
pub struct Sequencer {
    rows: [Option<Planned>; NUM_ROWS],
    /// (sample, step), in order.
    due: [(u64, i64); NUM_DUE],
    num_due: usize,
    /// Rows that were due and are not there yet: (sample, step), in order.
    overdue: [(u64, i64); NUM_DUE],
    num_overdue: usize,
    /// The first step that the worker may have decided and that will not be played.
    stale_from: Option<i64>,
    /// The last step that has been planned.
    planned_through: i64,
    from: From,
    /// Which voices were the player's in a step that was asked for, by step; played rows too.
    played_in: [(i64, [bool; NUM_VOICES]); NUM_ROWS],
}

impl Sequencer {
    /// Nothing is planned, and the next row is the first of a piece.
    pub const fn new() -> Self {
        Self {
            rows: [None; NUM_ROWS],
            due: [(0, 0); NUM_DUE],
            num_due: 0,
            overdue: [(0, 0); NUM_DUE],
            num_overdue: 0,
            stale_from: None,
            planned_through: i64::MIN,
            from: From::Nothing,
            played_in: [(i64::MIN, [false; NUM_VOICES]); NUM_ROWS],
        }
    }

    /// Drops every plan. The next row asked for begins as `from` says.
    pub fn clear(&mut self, from: From) {
        self.mark_stale(i64::MIN);
        self.rows = [None; NUM_ROWS];
        self.played_in = [(i64::MIN, [false; NUM_VOICES]); NUM_ROWS];
        (self.num_due, self.num_overdue) = (0, 0);
        self.planned_through = i64::MIN;
        // A start or a jump after which nothing has been asked for yet still is one.
        self.from = self.from.max(from);
    }

    /// The worker may have decided the rows from `step` on that are dropped now: the next request undoes them.
    fn mark_stale(&mut self, step: i64) {
        let dropped = self.rows.iter().flatten().map(|planned| planned.step).filter(|dropped| *dropped >= step);
        self.stale_from = self.stale_from.into_iter().chain(dropped).min();
    }

    /// The last step that has been planned, or the lowest number there is.
    pub fn planned_through(&self) -> i64 {
        self.planned_through
    }

    /// Forgets the rows from `step` on: they are to be planned again.
    pub fn forget_from(&mut self, step: i64) {
        if self.planned_through >= step {
            self.planned_through = step - 1;
            self.mark_stale(step);
            for row in &mut self.rows {
                row.take_if(|planned| planned.step >= step);
            }
        }
    }

    /// Asks the worker for a row; the request's number and beginning are filled in here.
    pub fn ask(&mut self, bridge: &mut AudioEnd, mut request: Request) {
        if self.from != From::Here {
            request.from = self.from;
        }
        // Ten thousand notes in a block would else fill the bridge with answers.
        self.take_answers(bridge);
        let played = std::array::from_fn(|voice| request.step.given.lanes.contains(voice as u8));
        let settles = if request.asked.is_some() || request.from == From::Elsewhere {
            [true; NUM_VOICES]
        } else {
            // What the player has let go of is the network's to hold.
            let (step, before) = self.played_in[slot(request.count - 1)];
            std::array::from_fn(|voice| step == request.count - 1 && before[voice] && !played[voice])
        };
        self.played_in[slot(request.count)] = (request.count, played);
        request.undo_from = self.stale_from.map_or(request.count, |stale| stale.min(request.count));
        let content = bridge.ask(request).map_or(Content::Refused, Content::Asked);
        if content != Content::Refused {
            self.from = From::Here;
            self.stale_from = None;
        }
        self.put(Planned { step: request.count, played, settles, content, request: Some(request) });
    }

    /// Plans a row that needs no network.
    pub fn know(&mut self, step_idx: i64, row: Row) {
        let content = Content::Known(row, [None; NUM_VOICES]);
        if self.request(step_idx).is_some() {
            self.stale_from = Some(self.stale_from.map_or(step_idx, |stale| stale.min(step_idx)));
        }
        let nobody = [false; NUM_VOICES];
        self.put(Planned { step: step_idx, played: nobody, settles: nobody, content, request: None });
    }

    fn put(&mut self, planned: Planned) {
        self.rows[slot(planned.step)] = Some(planned);
        self.planned_through = self.planned_through.max(planned.step);
    }

    /// Whether a row for `step` is planned.
    pub fn has(&self, step: i64) -> bool {
        self.rows[slot(step)].is_some_and(|planned| planned.step == step)
    }

    /// The steps that are planned and have not been played, in order.
    pub fn unplayed(&self) -> impl Iterator<Item = i64> + '_ {
        let first = self.rows.iter().flatten().map(|planned| planned.step).min().unwrap_or(i64::MAX);
        (first..=self.planned_through).filter(|step| self.has(*step))
    }

    /// What was asked for `step`, if it is planned and needs the network.
    pub fn request(&self, step: i64) -> Option<Request> {
        self.rows[slot(step)].filter(|planned| planned.step == step)?.request
    }

    /// What is planned for `step`, if it has not been played: the row once it is known, and which voices are the
    /// player's.
    pub fn planned(&self, step: i64) -> Option<(Option<Decision>, Lanes)> {
        let planned = self.rows[slot(step)].filter(|planned| planned.step == step)?;
        let row = match planned.content {
            Content::Known(row, sounding) => Some(to_decision(row, sounding)),
            Content::Asked(_) | Content::Refused => None,
        };
        Some((row, lanes(planned.played)))
    }

    /// Whether the row of `step` is due at some sample.
    pub fn is_due(&self, step: i64) -> bool {
        self.due[..self.num_due].iter().any(|due| due.1 == step)
    }

    /// Makes the row of `step` due at sample `at`, in place of an earlier wish for the same step.
    pub fn schedule(&mut self, at: u64, step: i64) {
        let kept = self.due[..self.num_due].iter().filter(|due| due.1 != step);
        let mut list = [(0, 0); NUM_DUE];
        let mut n = 0;
        for due in kept {
            list[n] = *due;
            n += 1;
        }
        if n < NUM_DUE {
            list[n] = (at, step);
            n += 1;
        }
        list[..n].sort_unstable();
        (self.due, self.num_due) = (list, n);
    }

    /// The sample at which the next row is due.
    pub fn next_due(&self) -> Option<u64> {
        self.due[..self.num_due].first().map(|due| due.0)
    }

    /// Takes the next row that is due off the list: the sample at which it is due, and its step.
    pub fn pop_due(&mut self) -> Option<(u64, i64)> {
        let next = *self.due[..self.num_due].first()?;
        self.due.copy_within(1..self.num_due, 0);
        self.num_due -= 1;
        Some(next)
    }

    /// Takes what the worker has answered. An answer whose row is no longer wanted is dropped.
    pub fn take_answers(&mut self, bridge: &mut AudioEnd) {
        while let Some(answer) = bridge.answer() {
            for planned in self.rows.iter_mut().flatten() {
                if planned.content == Content::Asked(answer.id) {
                    let (row, sounding) = row_of(&answer.decision);
                    planned.content = Content::Known(row, sounding);
                }
            }
        }
    }

    /// Takes the row of `step` out of the plan if it is there, or will never be.
    pub fn poll(&mut self, step: i64, can_answer: bool) -> Poll {
        let place = &mut self.rows[slot(step)];
        let Some(planned) = place.filter(|planned| planned.step == step) else { return Poll::Missing };
        let poll = match planned.content {
            Content::Known(row, sounding) => Poll::Ready(PlannedRow {
                row,
                sounding,
                is_answer: planned.request.is_some_and(|request| request.asked.is_some()),
                played: planned.played,
                settles: planned.settles,
            }),
            Content::Asked(_) if can_answer => Poll::Waiting,
            Content::Asked(_) | Content::Refused => Poll::Missing,
        };
        if poll != Poll::Waiting {
            *place = None;
        }
        poll
    }

    /// Gives a row up: its answer will be dropped.
    pub fn give_up(&mut self, step: i64) {
        self.rows[slot(step)].take_if(|planned| planned.step == step);
    }

    /// A row was due at sample `due` and is not there: it is played as soon as it is.
    pub fn put_off(&mut self, due: u64, step: i64) {
        if self.num_overdue < NUM_DUE {
            self.overdue[self.num_overdue] = (due, step);
            self.num_overdue += 1;
        } else {
            self.give_up(step);
        }
    }

    /// The row that has been overdue for longest: the sample at which it was due, and its step.
    pub fn overdue(&self) -> Option<(u64, i64)> {
        self.overdue[..self.num_overdue].first().copied()
    }

    /// Takes that off the list.
    pub fn pop_overdue(&mut self) {
        self.overdue.copy_within(1..self.num_overdue, 0);
        self.num_overdue = self.num_overdue.saturating_sub(1);
    }
}

fn slot(step: i64) -> usize {
    step.rem_euclid(NUM_ROWS as i64) as usize
}
