//! Steps that have been requested, when each is due, and which are overdue. Audio thread.

use continuo_model::decision::{Decision, Lanes};

use crate::audio_thread::positions::{CountedStep, Sample};
use crate::bridge::{AudioEnd, Origin, Request};

/// Steps that are remembered; more than the longest lookahead.
const NUM_STEPS: usize = 64;
/// Steps that are due but not yet played, at most: 50 ms of reply delay hold one or two.
const NUM_DUE: usize = 16;

/// A step that is decided, and which of its lanes are the player's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlannedStep {
    /// What happens in it.
    pub decision: Decision,
    /// Whether it answers a note, between steps.
    pub is_answer: bool,
    /// The player's lanes.
    pub played: Lanes,
    /// The lanes whose held notes start if they do not sound: all if the step goes back behind what sounds, and those
    /// that were the player's until now.
    pub settles: Lanes,
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
    /// Requested, under this number.
    Requested(u64),
    /// There was nobody to ask, or no room: it will be missing.
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

/// What is known of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Poll {
    /// It can be played.
    Ready(PlannedStep),
    /// The worker has not answered yet.
    Waiting,
    /// There is none, or it will not come.
    Missing,
}

/// Steps requested and steps due.
pub struct Sequencer {
    steps: [Option<Planned>; NUM_STEPS],
    /// Steps that are due at some sample to come.
    due: DueList,
    /// Steps that were due and are not decided yet.
    overdue: DueList,
    /// The first step that the worker may have decided and that will not be played.
    stale_from: Option<CountedStep>,
    /// The last step that has been planned.
    planned_through: Option<CountedStep>,
    origin: Origin,
    /// Which lanes were the player's in a step that was requested, played or not.
    played_in: [Option<(CountedStep, Lanes)>; NUM_STEPS],
}

impl Sequencer {
    /// Nothing is planned, and the next step is the first of a piece.
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

    /// Drops every plan. The next step requested continues as `from` says.
    pub fn clear(&mut self, origin: Origin) {
        self.mark_stale(None);
        self.steps = [None; NUM_STEPS];
        self.played_in = [None; NUM_STEPS];
        self.due.clear();
        self.overdue.clear();
        self.planned_through = None;
        // A start or a jump after which nothing has been requested yet still is one.
        self.origin = self.origin.max(origin);
    }

    /// The worker may have decided the steps from `step` on, or all, that are dropped now: the next request undoes them.
    fn mark_stale(&mut self, step: Option<CountedStep>) {
        let planned = self.steps.iter().flatten().map(|planned| planned.step);
        let dropped = planned.filter(|dropped| step.is_none_or(|step| *dropped >= step));
        self.stale_from = self.stale_from.into_iter().chain(dropped).min();
    }

    /// The last step that has been planned, if any has.
    pub fn planned_through(&self) -> Option<CountedStep> {
        self.planned_through
    }

    /// Forgets the steps from `step` on: they are to be planned again.
    pub fn forget_from(&mut self, step: CountedStep) {
        if self.planned_through >= Some(step) {
            self.planned_through = Some(step - 1);
            self.mark_stale(Some(step));
            for planned in &mut self.steps {
                planned.take_if(|planned| planned.step >= step);
            }
        }
    }

    /// Requests a step of the worker; the request's number and origin are filled in here.
    pub fn request(&mut self, bridge: &mut AudioEnd, step: CountedStep, mut request: Request) {
        if self.origin != Origin::PreviousStep {
            request.origin = self.origin;
        }
        // Ten thousand notes in a block would else fill the bridge with answers.
        self.take_answers(bridge);
        let played = request.step.given.lanes;
        let settles = if request.requested_at.is_some() || request.origin == Origin::SongMemory {
            Lanes::ALL
        } else {
            // What the player has let go of is the network's to hold.
            let before = self.played_in[slot(step - 1)].filter(|(before, _)| *before == step - 1);
            before.map_or(Lanes::NONE, |(_, before)| before & !played)
        };
        self.played_in[slot(step)] = Some((step, played));
        request.count = step.number();
        request.undo_from = self.stale_from.map_or(step, |stale| stale.min(step)).number();
        let content = bridge.ask(request).map_or(Content::Refused, Content::Requested);
        if content != Content::Refused {
            self.origin = Origin::PreviousStep;
            self.stale_from = None;
        }
        self.put(Planned { step, played, settles, content, request: Some(request) });
    }

    /// Plans that all lanes rest in a step: that needs no network.
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

    /// The steps that are planned and have not been played, in order.
    pub fn unplayed(&self) -> impl Iterator<Item = CountedStep> + '_ {
        let first = self.steps.iter().flatten().map(|planned| planned.step).min();
        let steps = first.zip(self.planned_through).map(|(first, last)| first.through(last));
        steps.into_iter().flatten().filter(|step| self.has(*step))
    }

    /// What was requested for `step`, if it is planned and needs the network.
    pub fn requested(&self, step: CountedStep) -> Option<Request> {
        self.get(step)?.request
    }

    /// What is planned for `step`, if it has not been played: the decision once it is known, and the player's lanes.
    pub fn planned(&self, step: CountedStep) -> Option<(Option<Decision>, Lanes)> {
        let planned = self.get(step)?;
        let decision = match planned.content {
            Content::Known(decision) => Some(decision),
            Content::Requested(_) | Content::Refused => None,
        };
        Some((decision, planned.played))
    }

    /// Whether `step` is due at some sample.
    pub fn is_due(&self, step: CountedStep) -> bool {
        self.due.list().iter().any(|due| due.step == step)
    }

    /// Makes a step due, in entry of an earlier sample for it.
    pub fn schedule(&mut self, due: Due) {
        self.due.remove(due.step);
        self.due.push(due);
    }

    /// The sample at which the next step is due.
    pub fn next_due(&self) -> Option<Sample> {
        self.due.list().first().map(|due| due.at)
    }

    /// Takes the next step that is due off the list.
    pub fn pop_due(&mut self) -> Option<Due> {
        self.due.pop()
    }

    /// Takes what the worker has answered. An answer whose step is no longer planned is dropped.
    pub fn take_answers(&mut self, bridge: &mut AudioEnd) {
        while let Some(answer) = bridge.answer() {
            for planned in self.steps.iter_mut().flatten() {
                if planned.content == Content::Requested(answer.id) {
                    planned.content = Content::Known(answer.decision);
                }
            }
        }
    }

    /// Takes `step` out of the plan if it is decided, or never will be.
    pub fn poll(&mut self, step: CountedStep, can_answer: bool) -> Poll {
        let entry = &mut self.steps[slot(step)];
        let Some(planned) = entry.filter(|planned| planned.step == step) else { return Poll::Missing };
        let poll = match planned.content {
            Content::Known(decision) => Poll::Ready(PlannedStep {
                decision,
                is_answer: planned.request.is_some_and(|request| request.requested_at.is_some()),
                played: planned.played,
                settles: planned.settles,
            }),
            Content::Requested(_) if can_answer => Poll::Waiting,
            Content::Requested(_) | Content::Refused => Poll::Missing,
        };
        if poll != Poll::Waiting {
            *entry = None;
        }
        poll
    }

    /// Gives a step up: its answer will be dropped.
    pub fn give_up(&mut self, step: CountedStep) {
        self.steps[slot(step)].take_if(|planned| planned.step == step);
    }

    /// A step was due and is not decided: it is played as soon as it is.
    pub fn put_off(&mut self, due: Due) {
        if !self.overdue.push(due) {
            self.give_up(due.step);
        }
    }

    /// The step that has been overdue for longest.
    pub fn overdue(&self) -> Option<Due> {
        self.overdue.list().first().copied()
    }

    /// Takes that off the list.
    pub fn pop_overdue(&mut self) {
        self.overdue.pop();
    }
}

/// Steps that are due, in order of time.
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

    /// Adds a step; `false` if there is no room.
    fn push(&mut self, due: Due) -> bool {
        let room = self.count < NUM_DUE;
        if room {
            self.steps[self.count] = due;
            self.count += 1;
            self.steps[..self.count].sort_unstable();
        }
        room
    }

    /// Takes `step` off the list.
    fn remove(&mut self, step: CountedStep) {
        if let Some(at) = self.list().iter().position(|due| due.step == step) {
            self.steps.copy_within(at + 1..self.count, at);
            self.count -= 1;
        }
    }

    /// Takes the first step off the list.
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
