//! The requested steps, when each is due, and which are overdue. Audio thread.

use continuo_model::decision::{Decision, Lanes};

use crate::audio_thread::positions::{CountedStep, Sample};
use crate::bridge::{AudioEnd, Origin, Request};

/// How many steps are remembered: more than the longest lookahead.
const NUM_STEPS: usize = 64;
/// The most steps that are due but not yet played. A reply delay of 50 ms holds one or two.
const NUM_DUE: usize = 16;

/// A decided step, and which of its lanes the player plays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlannedStep {
    /// The notes that start and end.
    pub decision: Decision,
    /// Whether it answers a note, between steps.
    pub is_answer: bool,
    /// The player's lanes.
    pub played: Lanes,
    /// The lanes whose held notes start if they do not sound: all lanes if the step continues from an earlier state
    /// than what sounds, and the lanes that the player has just released.
    pub settles: Lanes,
    /// The velocity of held notes that start, 1 to 127; 0 for the player's.
    pub held_velocity: u8,
}

/// When a step is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// The sample.
    pub at: Sample,
    /// The step.
    pub step: CountedStep,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Content {
    /// Requested with this id.
    Requested(u64),
    /// The request was not sent, because no worker runs or the bridge is full. The step will be missed.
    Refused,
    Known(Decision),
}

#[derive(Clone, Copy, Debug)]
struct Planned {
    step: CountedStep,
    played: Lanes,
    settles: Lanes,
    content: Content,
    /// The request; `None` if the step needs no network.
    request: Option<Request>,
}

/// The state of a step's decision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Poll {
    /// It can be played.
    Ready(PlannedStep),
    /// The worker has not answered yet.
    Waiting,
    /// The step is not planned, or its answer will never arrive.
    Missing,
}

/// Requested steps and due times.
pub struct Sequencer {
    steps: [Option<Planned>; NUM_STEPS],
    /// Steps that will be due.
    due: DueList,
    /// Steps that were due and are not decided yet.
    overdue: DueList,
    /// The first step that the worker may have decided although it will not be played.
    stale_from: Option<CountedStep>,
    /// The last planned step.
    planned_through: Option<CountedStep>,
    origin: Origin,
    /// Which lanes were the player's in each requested step, played or not.
    played_in: [Option<(CountedStep, Lanes)>; NUM_STEPS],
}

impl Sequencer {
    /// An empty plan, whose first step starts a piece.
    pub fn new() -> Self {
        Self {
            steps: [None; NUM_STEPS],
            due: DueList::default(),
            overdue: DueList::default(),
            stale_from: None,
            planned_through: None,
            origin: Origin::PieceStart,
            played_in: [None; NUM_STEPS],
        }
    }

    /// Drops all steps. The next requested step continues from `origin`.
    pub fn clear(&mut self, origin: Origin) {
        self.mark_stale(None);
        self.steps = [None; NUM_STEPS];
        self.played_in = [None; NUM_STEPS];
        self.due.clear();
        self.overdue.clear();
        self.planned_through = None;
        // A start or jump still counts if no step has been requested since.
        self.origin = self.origin.max(origin);
    }

    /// Marks the planned steps from `step` on (or all) as stale. The worker may have decided them, so the next request
    /// undoes them.
    fn mark_stale(&mut self, step: Option<CountedStep>) {
        let planned = self.steps.iter().flatten().map(|planned| planned.step);
        let dropped = planned.filter(|dropped| step.is_none_or(|step| *dropped >= step));
        self.stale_from = self.stale_from.into_iter().chain(dropped).min();
    }

    /// The last planned step, if any.
    pub fn planned_through(&self) -> Option<CountedStep> {
        self.planned_through
    }

    /// Drops the steps from `step` on, so that they are planned again.
    pub fn forget_from(&mut self, step: CountedStep) {
        if self.planned_through >= Some(step) {
            self.planned_through = Some(step - 1);
            self.mark_stale(Some(step));
            for planned in &mut self.steps {
                planned.take_if(|planned| planned.step >= step);
            }
        }
    }

    /// Sends the request for a step to the worker. This fills in the id, the counted step and, after a start or jump,
    /// the origin. What the network decides in the lanes `unheard`, which are the player's, does not sound.
    pub fn request(&mut self, bridge: &mut AudioEnd, step: CountedStep, mut request: Request, unheard: Lanes) {
        if self.origin != Origin::PreviousStep {
            request.origin = self.origin;
        }
        // Otherwise thousands of notes in one block would fill the bridge with answers.
        self.take_answers(bridge);
        let played = request.step.given.lanes | unheard;
        let settles = if request.requested_at.is_some() || request.origin == Origin::SongMemory {
            Lanes::ALL
        } else {
            // The network holds the notes that the player has released.
            let before = self.played_in[slot(step - 1)].filter(|(before, _)| *before == step - 1);
            before.map_or(Lanes::NONE, |(_, before)| before & !played)
        };
        self.played_in[slot(step)] = Some((step, played));
        // A lane that settles may hold another note than the one that sounds: the new one must not wait.
        request.expression.on_grid = request.expression.on_grid | settles;
        request.count = step.number();
        request.undo_from = self.stale_from.map_or(step, |stale| stale.min(step)).number();
        let content = bridge.ask(request).map_or(Content::Refused, Content::Requested);
        if content != Content::Refused {
            self.origin = Origin::PreviousStep;
            self.stale_from = None;
        }
        self.put(Planned { step, played, settles, content, request: Some(request) });
    }

    /// Plans a rest in all lanes, which needs no network.
    pub fn rest(&mut self, step: CountedStep) {
        let content = Content::Known(Decision::SILENCE);
        if self.requested(step).is_some() {
            self.stale_from = Some(self.stale_from.map_or(step, |stale| stale.min(step)));
        }
        self.put(Planned { step, played: Lanes::NONE, settles: Lanes::NONE, content, request: None });
    }

    fn put(&mut self, planned: Planned) {
        self.steps[slot(planned.step)] = Some(planned);
        self.planned_through = self.planned_through.max(Some(planned.step));
    }

    fn get(&self, step: CountedStep) -> Option<&Planned> {
        self.steps[slot(step)].as_ref().filter(|planned| planned.step == step)
    }

    /// Whether `step` is planned.
    pub fn has(&self, step: CountedStep) -> bool {
        self.get(step).is_some()
    }

    /// The planned steps that have not been played, in order.
    pub fn unplayed(&self) -> impl Iterator<Item = CountedStep> + '_ {
        let first = self.steps.iter().flatten().map(|planned| planned.step).min();
        let steps = first.zip(self.planned_through).map(|(first, last)| first.through(last));
        steps.into_iter().flatten().filter(|step| self.has(*step))
    }

    /// The request for `step`, if it is planned and needs the network.
    pub fn requested(&self, step: CountedStep) -> Option<Request> {
        self.get(step)?.request
    }

    /// The plan for `step`, if it has not been played: its decision if known, and the player's lanes.
    pub fn planned(&self, step: CountedStep) -> Option<(Option<Decision>, Lanes)> {
        let planned = self.get(step)?;
        let decision = match planned.content {
            Content::Known(decision) => Some(decision),
            Content::Requested(_) | Content::Refused => None,
        };
        Some((decision, planned.played))
    }

    /// Whether `step` has a due time.
    pub fn is_due(&self, step: CountedStep) -> bool {
        self.due.list().iter().any(|due| due.step == step)
    }

    /// Makes a step due, in place of any earlier due time.
    pub fn schedule(&mut self, due: Due) {
        self.due.remove(due.step);
        self.due.push(due);
    }

    /// The sample at which the next step is due.
    pub fn next_due(&self) -> Option<Sample> {
        self.due.list().first().map(|due| due.at)
    }

    /// Removes the next due step from the list and returns it.
    pub fn pop_due(&mut self) -> Option<Due> {
        self.due.pop()
    }

    /// Stores the worker's answers. An answer to a step that is no longer planned is dropped.
    pub fn take_answers(&mut self, bridge: &mut AudioEnd) {
        while let Some(answer) = bridge.answer() {
            for planned in self.steps.iter_mut().flatten() {
                if planned.content == Content::Requested(answer.id) {
                    planned.content = Content::Known(answer.decision);
                }
            }
        }
    }

    /// Returns the state of `step`. A step that is decided, or never will be, leaves the plan.
    pub fn poll(&mut self, step: CountedStep, can_answer: bool) -> Poll {
        let entry = &mut self.steps[slot(step)];
        let Some(planned) = entry.filter(|planned| planned.step == step) else { return Poll::Missing };
        let poll = match planned.content {
            Content::Known(decision) => Poll::Ready(PlannedStep {
                decision,
                is_answer: planned.request.is_some_and(|request| request.requested_at.is_some()),
                played: planned.played,
                settles: planned.settles,
                held_velocity: planned.request.map_or(0, |request| request.expression.held_velocity()),
            }),
            Content::Requested(_) if can_answer => Poll::Waiting,
            Content::Requested(_) | Content::Refused => Poll::Missing,
        };
        if poll != Poll::Waiting {
            *entry = None;
        }
        poll
    }

    /// Drops a step, so that its answer will be ignored.
    pub fn give_up(&mut self, step: CountedStep) {
        self.steps[slot(step)].take_if(|planned| planned.step == step);
    }

    /// Makes a due step overdue: it plays as soon as its decision arrives.
    pub fn put_off(&mut self, due: Due) {
        if !self.overdue.push(due) {
            self.give_up(due.step);
        }
    }

    /// The step that has been overdue for longest.
    pub fn overdue(&self) -> Option<Due> {
        self.overdue.list().first().copied()
    }

    /// Removes that step from the list.
    pub fn pop_overdue(&mut self) {
        self.overdue.pop();
    }
}

/// Due steps, sorted by time.
#[derive(Default)]
struct DueList {
    steps: [Due; NUM_DUE],
    count: usize,
}

impl DueList {
    fn list(&self) -> &[Due] {
        &self.steps[..self.count]
    }

    fn clear(&mut self) {
        self.count = 0;
    }

    /// Adds a step; `false` if the list is full.
    fn push(&mut self, due: Due) -> bool {
        let room = self.count < NUM_DUE;
        if room {
            self.steps[self.count] = due;
            self.count += 1;
            self.steps[..self.count].sort_unstable();
        }
        room
    }

    /// Removes `step` from the list.
    fn remove(&mut self, step: CountedStep) {
        if let Some(at) = self.list().iter().position(|due| due.step == step) {
            self.steps.copy_within(at + 1..self.count, at);
            self.count -= 1;
        }
    }

    /// Removes the first step from the list and returns it.
    fn pop(&mut self) -> Option<Due> {
        let first = *self.list().first()?;
        self.steps.copy_within(1..self.count, 0);
        self.count -= 1;
        Some(first)
    }
}

fn slot(step: CountedStep) -> usize {
    step.number().rem_euclid(NUM_STEPS as i64) as usize
}
