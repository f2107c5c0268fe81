//! The deadline: whether a row that is due is there, how long it is waited for, and what becomes of one that is late.
//! Audio thread; the one place where it waits.

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

/// What sounds is held over this many missed rows, a bar of four beats, and then ends.
const MOST_MISSES: u32 = 16;
/// A row that is late by less than this is played at once, seconds.
const LATEST_SECONDS: f64 = 0.06;
/// A render waits for as long as some worker of the process finishes a step this often, microseconds.
const PROGRESS_US: u64 = 2_000_000;
/// The waiting thread sleeps for so long between two looks, which leaves its core to the worker.
const LOOK: Duration = Duration::from_micros(50);

/// Tells the time. It is handed in so that a test decides what time it is.
pub type Watch = fn() -> Instant;

/// What becomes of a row that is due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// It is there, in time or a little late.
    Play(PlannedStep, Due),
    /// It is missing, or too late.
    Miss,
}

/// How long rows are waited for, and what has been missed.
pub struct Deadline {
    watch: Watch,
    budget: &'static Budget,
    pace: Pace,
    sample_rate: f64,
    /// Rows that have been missed since the last that was there.
    consecutive_misses: u32,
    /// When a render was given up last, microseconds as the bridge counts them.
    gave_up_us: u64,
    /// That was in this block.
    render_failed: bool,
}

impl Deadline {
    /// For a sample rate in Hertz.
    pub fn new(sample_rate: f64, watch: Watch) -> Self {
        // The first call fixes the moment from which time is counted.
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

    /// Takes another sample rate, Hertz; nothing is known of the host's pace.
    pub fn activate(&mut self, sample_rate: f64) {
        self.sample_rate = sample_rate;
        self.pace = Pace::new();
    }

    /// Real time.
    pub fn now(&self) -> Instant {
        (self.watch)()
    }

    /// A block begins.
    pub fn begin_block(&mut self, block: &Block, bridge: &AudioEnd) {
        self.render_failed = false;
        self.pace.begin_block(block.now, block.frames as f64 / self.sample_rate);
        bridge.shared.block_ms.store(self.pace.block().as_secs_f32() * 1e3, Ordering::Relaxed);
    }

    /// Whether a render has been given up in this block: notes are missing from it.
    pub fn render_failed(&self) -> bool {
        self.render_failed
    }

    /// What was missed until now does not matter any more.
    pub fn forget_misses(&mut self) {
        self.consecutive_misses = 0;
    }

    /// Whether what sounds is not to be held over the misses any longer: nothing will come any more, or nothing has
    /// come for a bar.
    pub fn gives_up(&self, bridge: &AudioEnd) -> bool {
        !bridge.can_answer() || self.consecutive_misses >= MOST_MISSES
    }

    /// The next row that was due before sample `at` and is there now, or is too late; `None` if there is none, or if it
    /// may still come.
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

    /// The row that is due now, waited for as long as this block may; `None` if there is none, or if it is put off.
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

    /// Waits for a row for as long as this block may.
    fn wait_for(&mut self, plan: &mut Plan, bridge: &mut AudioEnd, due: Due, says_offline: bool) -> Poll {
        // A worker that has missed a bar of steps is not waited for.
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

    /// A render goes on without its notes: it fails, rather than lack them unnoticed.
    fn give_up_render(&mut self, bridge: &mut AudioEnd, now_us: u64) {
        self.gave_up_us = now_us;
        self.render_failed = true;
        bridge.shared.render_failed.store(true, Ordering::Relaxed);
        bridge.tell(Told::Incomplete);
    }

    /// A test's own budget, which no other test spends.
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
