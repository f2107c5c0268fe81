//! The deadline: how long a block waits for a decision that is due, and what happens if the decision is late. Audio
//! thread; its only wait is here.

mod budget;
mod pace;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use budget::{BUDGET, Budget};
use pace::Pace;

use super::plan::{Due, Plan, PlannedStep, Poll};
use super::positions::Sample;
use super::settings::Block;
use crate::bridge::{AudioEnd, Told, last_progress, microseconds};

/// The audio thread holds sounding notes over this many missed steps (a bar of 4/4), then ends them.
const MOST_MISSES: u32 = 16;
/// A decision that is late by less than this, in seconds, is played at once.
const LATEST_SECONDS: f64 = 0.06;
/// A render keeps waiting while any worker in the process finishes at least one step in this time, in microseconds.
const PROGRESS_US: u64 = 2_000_000;
/// How long the waiting thread sleeps between two polls, which leaves the core to the worker.
const LOOK: Duration = Duration::from_micros(50);

/// Reads the clock. A parameter, so that tests can control time.
pub type Watch = fn() -> Instant;

/// What happens to a step that is due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// The decision has arrived, on time or a little late.
    Play(PlannedStep, Due),
    /// The decision is missing or too late.
    Miss,
}

/// Waits for decisions, within limits, and counts the missed ones.
pub struct Deadline {
    watch: Watch,
    budget: &'static Budget,
    pace: Pace,
    sample_rate: f64,
    /// Missed steps since the last step that was played.
    consecutive_misses: u32,
    /// When the last render was given up, in the bridge's microseconds.
    gave_up_us: u64,
    /// Whether a render was given up in the current block.
    render_failed: bool,
}

impl Deadline {
    /// `sample_rate` is in Hz.
    pub fn new(sample_rate: f64, watch: Watch) -> Self {
        // The first call sets the clock's zero.
        microseconds(watch());
        Self {
            watch,
            budget: &BUDGET,
            pace: Pace::new(),
            sample_rate,
            consecutive_misses: 0,
            gave_up_us: 0,
            render_failed: false,
        }
    }

    /// Sets the sample rate, in Hz, and forgets the host's measured pace.
    pub fn activate(&mut self, sample_rate: f64) {
        self.sample_rate = sample_rate;
        self.pace = Pace::new();
    }

    /// The current time.
    pub fn now(&self) -> Instant {
        (self.watch)()
    }

    /// Measures the host's pace at the start of a block.
    pub fn begin_block(&mut self, block: &Block, bridge: &AudioEnd) {
        self.render_failed = false;
        self.pace.begin_block(block.now, block.frames as f64 / self.sample_rate);
        bridge.shared.block_ms.store(self.pace.block().as_secs_f32() * 1e3, Ordering::Relaxed);
    }

    /// Whether a render was given up in this block, so that the block lacks notes.
    pub fn render_failed(&self) -> bool {
        self.render_failed
    }

    /// Resets the count of missed steps.
    pub fn forget_misses(&mut self) {
        self.consecutive_misses = 0;
    }

    /// Whether to stop holding sounding notes: the worker is gone, or a bar of steps has been missed.
    pub fn gives_up(&self, bridge: &AudioEnd) -> bool {
        !bridge.can_answer() || self.consecutive_misses >= MOST_MISSES
    }

    /// The outcome of the longest overdue step at sample `at`: its decision has arrived, or is too late. `None` if no
    /// step is overdue or its decision may still arrive.
    pub fn overdue(&mut self, plan: &mut Plan, bridge: &AudioEnd, at: Sample) -> Option<Outcome> {
        let due = plan.overdue()?;
        let late = at.since(due.at);
        let is_in_time = late < (LATEST_SECONDS * self.sample_rate) as u64;
        let outcome = match plan.poll(due.step, bridge.can_answer()) {
            Poll::Waiting if is_in_time => return None,
            Poll::Ready(planned) if is_in_time => {
                bridge.shared.late.fetch_add(1, Ordering::Relaxed);
                let late_ms = (late as f64 / self.sample_rate * 1e3) as f32;
                bridge.shared.latest_ms.fetch_max(late_ms, Ordering::Relaxed);
                self.play(bridge, planned, due)
            }
            Poll::Ready(_) | Poll::Waiting | Poll::Missing => {
                plan.give_up(due.step);
                self.miss(bridge)
            }
        };
        plan.pop_overdue();
        Some(outcome)
    }

    /// Takes the next due step and waits for its decision for as long as this block may. `None` if no step is due, or
    /// if the step is now overdue.
    pub fn due(&mut self, plan: &mut Plan, bridge: &mut AudioEnd, says_offline: bool) -> Option<Outcome> {
        let due = plan.pop_due()?;
        match self.wait_for(plan, bridge, due, says_offline) {
            Poll::Ready(planned) => Some(self.play(bridge, planned, due)),
            Poll::Waiting => {
                plan.put_off(due);
                None
            }
            Poll::Missing => Some(self.miss(bridge)),
        }
    }

    fn play(&mut self, bridge: &AudioEnd, planned: PlannedStep, due: Due) -> Outcome {
        bridge.shared.due.fetch_add(1, Ordering::Relaxed);
        self.consecutive_misses = 0;
        Outcome::Play(planned, due)
    }

    fn miss(&mut self, bridge: &AudioEnd) -> Outcome {
        bridge.shared.due.fetch_add(1, Ordering::Relaxed);
        bridge.shared.misses.fetch_add(1, Ordering::Relaxed);
        self.consecutive_misses += 1;
        Outcome::Miss
    }

    /// Waits for a decision for as long as this block may.
    fn wait_for(&mut self, plan: &mut Plan, bridge: &mut AudioEnd, due: Due, says_offline: bool) -> Poll {
        // After a bar of missed steps the block does not wait at all.
        let renders = self.pace.renders(says_offline);
        let given_up = !renders && self.consecutive_misses >= MOST_MISSES;
        let length = self.pace.block();
        let began_us = microseconds((self.watch)());
        let allowed_us = if renders || given_up { 0 } else { self.budget.left_us(began_us, length) };
        let mut poll = look(plan, bridge, due);
        let mut now_us = began_us;
        while poll == Poll::Waiting && !given_up {
            let is_over = if renders {
                now_us > began_us.max(last_progress()).max(self.gave_up_us) + PROGRESS_US
                    || self.gave_up_us > last_progress()
            } else {
                now_us >= began_us + allowed_us
            };
            if is_over {
                break;
            }
            bridge.wake();
            let left = if renders { LOOK } else { LOOK.min(Duration::from_micros(began_us + allowed_us - now_us)) };
            pause(left);
            now_us = microseconds((self.watch)());
            poll = look(plan, bridge, due);
        }
        if !renders && now_us > began_us {
            self.budget.spend(began_us, now_us - began_us, length);
        }
        self.pace.waited(Duration::from_micros(now_us - began_us));
        if poll == Poll::Waiting && renders {
            self.give_up_render(bridge, now_us);
            plan.give_up(due.step);
            return Poll::Missing;
        }
        poll
    }

    /// Fails the render: the host learns that notes are missing.
    fn give_up_render(&mut self, bridge: &mut AudioEnd, now_us: u64) {
        self.gave_up_us = now_us;
        self.render_failed = true;
        bridge.shared.render_failed.store(true, Ordering::Relaxed);
        bridge.tell(Told::Incomplete);
    }

    /// Gives a test a budget of its own, which other tests cannot use up.
    #[cfg(test)]
    pub fn set_own_budget(&mut self) {
        self.budget = Box::leak(Box::default());
    }
}

fn look(plan: &mut Plan, bridge: &mut AudioEnd, due: Due) -> Poll {
    plan.take_answers(bridge);
    plan.poll(due.step, bridge.can_answer())
}

/// Leaves the core to the worker for a moment.
#[cfg_attr(not(test), expect(clippy::disallowed_methods, reason = "the one wait of this thread, within its budget"))]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
