//! Rows that have been requested, by step, when each is due, and which are overdue. Audio thread.

use continuo_model::generate::Given;
use continuo_model::tokeniser::grid::NUM_VOICES;
use continuo_model::vocabulary::Symbol;

use crate::audio_thread::positions::{CountedStep, Sample};
use crate::bridge::{AudioEnd, From, Request};

/// Rows that are remembered; more than the longest lookahead.
const NUM_ROWS: usize = 64;
/// Rows that are due but not yet played, at the most: 50 ms of reply delay hold one or two steps.
const NUM_DUE: usize = 16;

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

/// When a row is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// The sample.
    pub at: Sample,
    /// Its step.
    pub step: CountedStep,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Content {
    /// Requested, under this number.
    Asked(u64),
    /// There was nobody to ask, or no room: it will be missing.
    Refused,
    Known(Row, [Option<u8>; NUM_VOICES]),
}

#[derive(Clone, Copy, Debug)]
struct Planned {
    step: CountedStep,
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

/// Rows requested and rows due.
pub struct Sequencer {
    rows: [Option<Planned>; NUM_ROWS],
    /// Rows that are due at some sample to come.
    due: DueList,
    /// Rows that were due and are not there yet.
    overdue: DueList,
    /// The first step that the worker may have decided and that will not be played.
    stale_from: Option<CountedStep>,
    /// The last step that has been planned.
    planned_through: Option<CountedStep>,
    from: From,
    /// Which voices were the player's in a step that was requested, by step; played rows too.
    played_in: [Option<(CountedStep, [bool; NUM_VOICES])>; NUM_ROWS],
}

impl Sequencer {
    /// Nothing is planned, and the next row is the first of a piece.
    pub fn new() -> Self {
        Self {
            rows: [None; NUM_ROWS],
            due: DueList::default(),
            overdue: DueList::default(),
            stale_from: None,
            planned_through: None,
            from: From::Nothing,
            played_in: [None; NUM_ROWS],
        }
    }

    /// Drops every plan. The next row requested begins as `from` says.
    pub fn clear(&mut self, from: From) {
        self.mark_stale(None);
        self.rows = [None; NUM_ROWS];
        self.played_in = [None; NUM_ROWS];
        self.due.clear();
        self.overdue.clear();
        self.planned_through = None;
        // A start or a jump after which nothing has been requested yet still is one.
        self.from = self.from.max(from);
    }

    /// The worker may have decided the rows from `step` on, or all, that are dropped now: the next request undoes them.
    fn mark_stale(&mut self, step: Option<CountedStep>) {
        let planned = self.rows.iter().flatten().map(|planned| planned.step);
        let dropped = planned.filter(|dropped| step.is_none_or(|step| *dropped >= step));
        self.stale_from = self.stale_from.into_iter().chain(dropped).min();
    }

    /// The last step that has been planned, if any has.
    pub fn planned_through(&self) -> Option<CountedStep> {
        self.planned_through
    }

    /// Forgets the rows from `step` on: they are to be planned again.
    pub fn forget_from(&mut self, step: CountedStep) {
        if self.planned_through >= Some(step) {
            self.planned_through = Some(step - 1);
            self.mark_stale(Some(step));
            for row in &mut self.rows {
                row.take_if(|planned| planned.step >= step);
            }
        }
    }

    /// Requests a row of the worker; the request's number and beginning are filled in here.
    pub fn request(&mut self, bridge: &mut AudioEnd, step: CountedStep, mut request: Request) {
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
            let before = self.played_in[slot(step - 1)].filter(|(before, _)| *before == step - 1);
            let before = before.map_or([false; NUM_VOICES], |(_, played)| played);
            std::array::from_fn(|voice| before[voice] && !played[voice])
        };
        self.played_in[slot(step)] = Some((step, played));
        request.count = step.number();
        request.undo_from = self.stale_from.map_or(step, |stale| stale.min(step)).number();
        let content = bridge.ask(request).map_or(Content::Refused, Content::Asked);
        if content != Content::Refused {
            self.from = From::Here;
            self.stale_from = None;
        }
        self.put(Planned { step, played, settles, content, request: Some(request) });
    }

    /// Plans a row that needs no network.
    pub fn know(&mut self, step: CountedStep, row: Row) {
        let content = Content::Known(row, [None; NUM_VOICES]);
        if self.requested(step).is_some() {
            self.stale_from = Some(self.stale_from.map_or(step, |stale| stale.min(step)));
        }
        let nobody = [false; NUM_VOICES];
        self.put(Planned { step, played: nobody, settles: nobody, content, request: None });
    }

    fn put(&mut self, planned: Planned) {
        self.rows[slot(planned.step)] = Some(planned);
        self.planned_through = self.planned_through.max(Some(planned.step));
    }

    fn get(&self, step: CountedStep) -> Option<&Planned> {
        self.rows[slot(step)].as_ref().filter(|planned| planned.step == step)
    }

    /// Whether a row for `step` is planned.
    pub fn has(&self, step: CountedStep) -> bool {
        self.get(step).is_some()
    }

    /// The steps that are planned and have not been played, in order.
    pub fn unplayed(&self) -> impl Iterator<Item = CountedStep> + '_ {
        let first = self.rows.iter().flatten().map(|planned| planned.step).min();
        let steps = first.zip(self.planned_through).map(|(first, last)| first.through(last));
        steps.into_iter().flatten().filter(|step| self.has(*step))
    }

    /// What was requested for `step`, if it is planned and needs the network.
    pub fn requested(&self, step: CountedStep) -> Option<Request> {
        self.get(step)?.request
    }

    /// What is planned for `step`, if it has not been played: the row once it is known, and which voices are the
    /// player's.
    pub fn planned(&self, step: CountedStep) -> Option<(Option<Row>, [bool; NUM_VOICES])> {
        let planned = self.get(step)?;
        let row = match planned.content {
            Content::Known(row, _) => Some(row),
            Content::Asked(_) | Content::Refused => None,
        };
        Some((row, planned.played))
    }

    /// Whether the row of `step` is due at some sample.
    pub fn is_due(&self, step: CountedStep) -> bool {
        self.due.list().iter().any(|due| due.step == step)
    }

    /// Makes a row due, in place of an earlier sample for the same step.
    pub fn schedule(&mut self, due: Due) {
        self.due.remove(due.step);
        self.due.push(due);
    }

    /// The sample at which the next row is due.
    pub fn next_due(&self) -> Option<Sample> {
        self.due.list().first().map(|due| due.at)
    }

    /// Takes the next row that is due off the list.
    pub fn pop_due(&mut self) -> Option<Due> {
        self.due.pop()
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

    /// Takes the row of `step` out of the plan if it is there, or will never be.
    pub fn poll(&mut self, step: CountedStep, can_answer: bool) -> Poll {
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
    pub fn give_up(&mut self, step: CountedStep) {
        self.rows[slot(step)].take_if(|planned| planned.step == step);
    }

    /// A row was due and is not there: it is played as soon as it is.
    pub fn put_off(&mut self, due: Due) {
        if !self.overdue.push(due) {
            self.give_up(due.step);
        }
    }

    /// The row that has been overdue for longest.
    pub fn overdue(&self) -> Option<Due> {
        self.overdue.list().first().copied()
    }

    /// Takes that off the list.
    pub fn pop_overdue(&mut self) {
        self.overdue.pop();
    }
}

/// Rows that are due, in order of time.
#[derive(Default)]
struct DueList {
    rows: [Due; NUM_DUE],
    count: usize,
}

impl DueList {
    fn list(&self) -> &[Due] {
        &self.rows[..self.count]
    }

    fn clear(&mut self) {
        self.count = 0;
    }

    /// Adds a row; `false` if there is no room.
    fn push(&mut self, due: Due) -> bool {
        let room = self.count < NUM_DUE;
        if room {
            self.rows[self.count] = due;
            self.count += 1;
            self.rows[..self.count].sort_unstable();
        }
        room
    }

    /// Takes the row of `step` off the list.
    fn remove(&mut self, step: CountedStep) {
        if let Some(at) = self.list().iter().position(|due| due.step == step) {
            self.rows.copy_within(at + 1..self.count, at);
            self.count -= 1;
        }
    }

    /// Takes the first row off the list.
    fn pop(&mut self) -> Option<Due> {
        let first = *self.list().first()?;
        self.rows.copy_within(1..self.count, 0);
        self.count -= 1;
        Some(first)
    }
}

fn slot(step: CountedStep) -> usize {
    step.number().rem_euclid(NUM_ROWS as i64) as usize
}
