//! The plan: rows that have been asked for, by step, and when each is due. Audio thread.

use std::time::Instant;

use continuo_model::generate::Given;
use continuo_model::tokeniser::grid::NUM_VOICES;
use continuo_model::vocabulary::Symbol;

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
    /// True where the player plays the voice.
    pub played: [bool; NUM_VOICES],
    /// The voices whose held notes are to be started if they do not sound: all where the row goes back behind what sounds,
    /// and those that were the player's until now.
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
}

/// Rows asked for and rows due.
pub struct Sequencer {
    rows: [Option<Planned>; NUM_ROWS],
    /// (sample, step), in order.
    due: [(u64, i64); NUM_DUE],
    num_due: usize,
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
            planned_through: i64::MIN,
            from: From::Nothing,
            played_in: [(i64::MIN, [false; NUM_VOICES]); NUM_ROWS],
        }
    }

    /// Drops every plan. The next row asked for begins as `from` says.
    pub fn clear(&mut self, from: From) {
        self.rows = [None; NUM_ROWS];
        self.played_in = [(i64::MIN, [false; NUM_VOICES]); NUM_ROWS];
        self.num_due = 0;
        self.planned_through = i64::MIN;
        // A start or a jump after which nothing has been asked for yet still is one.
        self.from = self.from.max(from);
    }

    /// The last step that has been planned, or the lowest number there is.
    pub fn planned_through(&self) -> i64 {
        self.planned_through
    }

    /// Forgets the rows from `step` on: they are to be planned again.
    pub fn forget_from(&mut self, step: i64) {
        if self.planned_through >= step {
            self.planned_through = step - 1;
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
        let played = request.step.given.map(|given| given != Given::Free);
        let settles = if request.asked.is_some() || request.from == From::Elsewhere {
            [true; NUM_VOICES]
        } else {
            // What the player has let go of is the network's to hold.
            let (step, before) = self.played_in[slot(request.count - 1)];
            std::array::from_fn(|voice| step == request.count - 1 && before[voice] && !played[voice])
        };
        self.played_in[slot(request.count)] = (request.count, played);
        let content = bridge.ask(request).map_or(Content::Refused, Content::Asked);
        if content != Content::Refused {
            self.from = From::Here;
        }
        self.put(Planned { step: request.count, played, settles, content });
    }

    /// Plans a row that needs no network.
    pub fn know(&mut self, step_idx: i64, row: Row) {
        let content = Content::Known(row, [None; NUM_VOICES]);
        self.put(Planned { step: step_idx, played: [false; NUM_VOICES], settles: [false; NUM_VOICES], content });
    }

    fn put(&mut self, planned: Planned) {
        self.rows[slot(planned.step)] = Some(planned);
        self.planned_through = self.planned_through.max(planned.step);
    }

    /// Whether a row for `step` is planned.
    pub fn has(&self, step: i64) -> bool {
        self.rows[slot(step)].is_some_and(|planned| planned.step == step)
    }

    /// What is planned for `step`, if it has not been played: the row once it is known, and which voices are the player's.
    pub fn planned(&self, step: i64) -> Option<(Option<Row>, [bool; NUM_VOICES])> {
        let planned = self.rows[slot(step)].filter(|planned| planned.step == step)?;
        let row = match planned.content {
            Content::Known(row, _) => Some(row),
            Content::Asked(_) | Content::Refused => None,
        };
        Some((row, planned.played))
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

    /// Takes the next row that is due off the list and returns its step.
    pub fn pop_due(&mut self) -> Option<i64> {
        let (_, step) = *self.due[..self.num_due].first()?;
        self.due.copy_within(1..self.num_due, 0);
        self.num_due -= 1;
        Some(step)
    }

    /// Takes what the worker has answered. An answer whose row is no longer wanted is dropped.
    pub fn take_answers(&mut self, bridge: &mut AudioEnd) {
        while let Some(answer) = bridge.answer() {
            for planned in self.rows.iter_mut().flatten() {
                if planned.content == Content::Asked(answer.id) {
                    planned.content = Content::Known(answer.row, answer.sounding);
                }
            }
        }
    }

    /// Takes the row of `step` out of the plan. If its answer is not there, spins for it until the `watch` says `deadline`;
    /// past that it is a miss (`Err`), and the answer will be dropped when it comes.
    pub fn take_row(
        &mut self,
        bridge: &mut AudioEnd,
        step: i64,
        deadline: Instant,
        watch: Watch,
    ) -> Result<PlannedRow, Missed> {
        loop {
            self.take_answers(bridge);
            let place = &mut self.rows[slot(step)];
            match place {
                Some(Planned { step: s, played, settles, content: Content::Known(row, sounding) }) if *s == step => {
                    let planned = PlannedRow { row: *row, sounding: *sounding, played: *played, settles: *settles };
                    *place = None;
                    return Ok(planned);
                }
                Some(Planned { step: s, content, .. }) if *s == step => {
                    if *content == Content::Refused || !bridge.can_answer() || watch() >= deadline {
                        *place = None;
                        return Err(Missed);
                    }
                    std::hint::spin_loop();
                }
                _ => return Err(Missed),
            }
        }
    }
}

/// The row was not there when it was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed;

fn slot(step: i64) -> usize {
    step.rem_euclid(NUM_ROWS as i64) as usize
}
