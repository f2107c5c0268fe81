//! Plays rows that are due: those that are there at their sample, those that are late as soon as they are there. Audio
//! thread.

use std::sync::atomic::Ordering;
use std::time::Duration;

use continuo_model::tokeniser::grid::NUM_VOICES;
use continuo_model::vocabulary::Symbol;
use nice_plug::midi::VoiceID;

use super::events::{Lag, Touch};
use super::held_notes::Owner;
use super::process::AudioThread;
use super::sequencer::{PlannedRow, Poll};
use super::settings::Block;
use super::transport::BlockTime;
use super::voices::{Cause, LEAST_SECONDS, Moment};
use crate::bridge::{Told, last_progress, microseconds};

/// What sounds is held over this many missed rows, a bar of four beats, and then ends.
const MOST_MISSES: u32 = 16;
/// A row that is late by less than this is played at once, seconds.
const LATEST_SECONDS: f64 = 0.06;
/// A render waits for as long as some worker of the process finishes a step this often, microseconds.
const PROGRESS_US: u64 = 2_000_000;
/// The waiting thread sleeps for so long between two looks, which leaves its core to the worker.
const LOOK: Duration = Duration::from_micros(50);

impl AudioThread {
    /// A row is due: play it, put it off, or count a miss and let what sounds go on.
    pub(super) fn on_due(&mut self, block: &Block, time: &BlockTime, at: u64) {
        self.play_overdue(block, time, at);
        let Some((due, step)) = self.sequencer.pop_due() else { return };
        match self.wait_for(block, step) {
            Poll::Ready(planned) => {
                self.bridge.shared.due.fetch_add(1, Ordering::Relaxed);
                self.misses_in_a_row = 0;
                self.play_row(block, time, &planned, (due, step), at);
            }
            Poll::Waiting => self.sequencer.put_off(due, step),
            Poll::Missing => self.miss(at),
        }
    }

    /// Rows that were due before and are there now go out at sample `at`; those that are too late are missed.
    pub(super) fn play_overdue(&mut self, block: &Block, time: &BlockTime, at: u64) {
        let latest = (LATEST_SECONDS * self.sample_rate) as u64;
        while let Some((due, step)) = self.sequencer.overdue() {
            let late = at.saturating_sub(due);
            let poll = self.sequencer.poll(step, self.bridge.can_answer());
            match poll {
                Poll::Waiting if late < latest => return,
                Poll::Ready(planned) if late < latest => {
                    self.misses_in_a_row = 0;
                    let shared = &self.bridge.shared;
                    shared.due.fetch_add(1, Ordering::Relaxed);
                    shared.late.fetch_add(1, Ordering::Relaxed);
                    let late_ms = (late as f64 / self.sample_rate * 1e3) as f32;
                    shared.latest_ms.fetch_max(late_ms, Ordering::Relaxed);
                    self.play_row(block, time, &planned, (due, step), at);
                }
                Poll::Ready(_) | Poll::Waiting | Poll::Missing => {
                    self.sequencer.give_up(step);
                    self.miss(at);
                }
            }
            self.sequencer.pop_overdue();
        }
    }

    /// Waits for a row for as long as this block may.
    fn wait_for(&mut self, block: &Block, step: i64) -> Poll {
        // A worker that has missed a bar of steps is not waited for.
        let renders = self.pace.renders(block.says_offline);
        let given_up = !renders && self.misses_in_a_row >= MOST_MISSES;
        let length = self.pace.block();
        let began = (self.watch)();
        let began_us = microseconds(began);
        let allowed_us = if renders || given_up { 0 } else { self.budget.left_us(began_us, length) };
        let mut poll = self.look(step);
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
            self.bridge.wake();
            let left = if renders { LOOK } else { LOOK.min(Duration::from_micros(began_us + allowed_us - now_us)) };
            pause(left);
            now_us = microseconds((self.watch)());
            poll = self.look(step);
        }
        if !renders && now_us > began_us {
            self.budget.spend(began_us, now_us - began_us, length);
        }
        self.pace.waited(Duration::from_micros(now_us - began_us));
        if poll == Poll::Waiting && renders {
            self.give_up(now_us);
            self.sequencer.give_up(step);
            return Poll::Missing;
        }
        poll
    }

    fn look(&mut self, step: i64) -> Poll {
        self.sequencer.take_answers(&mut self.bridge);
        self.sequencer.poll(step, self.bridge.can_answer())
    }

    /// A render goes on without its notes: it fails, rather than lack them unnoticed.
    fn give_up(&mut self, now_us: u64) {
        self.gave_up_us = now_us;
        self.render_failed = true;
        self.bridge.shared.render_failed.store(true, Ordering::Relaxed);
        self.bridge.tell(Told::Incomplete);
    }

    /// What sounds is held, but not for ever: not if nothing will come any more, nor if nothing has come for a bar.
    fn miss(&mut self, at: u64) {
        self.bridge.shared.due.fetch_add(1, Ordering::Relaxed);
        self.bridge.shared.misses.fetch_add(1, Ordering::Relaxed);
        self.voices.miss();
        self.misses_in_a_row += 1;
        if !self.bridge.can_answer() || self.misses_in_a_row >= MOST_MISSES {
            self.end_generated(at);
        }
    }

    /// Ends generated notes at sample `at`, or when they have sounded for long enough.
    pub(super) fn end_generated(&mut self, at: u64) {
        self.ledger.end_all(Some(Owner::Generated), at, self.least_samples());
        self.voices.end_all();
    }

    fn least_samples(&self) -> u64 {
        (LEAST_SECONDS * self.sample_rate) as u64
    }

    fn moment(&self, time: &BlockTime, at: u64) -> Moment {
        Moment {
            at,
            step: time.step_at((at - self.samples) as u32),
            samples_per_step: time.samples_per_step,
            sample_rate: self.sample_rate,
        }
    }

    /// Plays a row that was due at a sample, `due`, at sample `at`.
    fn play_row(&mut self, block: &Block, time: &BlockTime, planned: &PlannedRow, (due, step): (u64, i64), at: u64) {
        let moment = self.moment(time, at);
        let nominal = self.samples as i64 + time.sample_of(step as f64);
        let lag = Lag { grid: at as i64 - nominal, due: at as i64 - due as i64 };
        let cause = if planned.is_answer { Cause::Answer } else { Cause::Step };
        for voice in 0..NUM_VOICES {
            let mine = block.settings.emit[voice] && !planned.played[voice];
            match if mine { planned.row[voice] } else { Symbol::Rest } {
                Symbol::Pitch(key) => self.move_voice(voice, key, cause, &moment, lag),
                Symbol::Rest => {
                    if let Some(key) = self.voices.end(voice) {
                        self.ledger.end(Owner::Generated, (voice as u8, key), at, moment.least_samples(), lag);
                    }
                }
                // An answer goes back to before its step: what has moved at the step since then moves back. The first
                // step of a loop holds what nobody has started. But what a missed row would have started is not started
                // late: until its next attack or rest the voice goes on with what it sounds.
                Symbol::Hold => {
                    let settles =
                        planned.settles[voice] && !self.voices.has_missed(voice) || self.voices.owed(voice).is_some();
                    match planned.sounding[voice] {
                        Some(key) if settles && self.voices.sounding(voice) != Some(key) => {
                            self.move_voice(voice, key, cause, &moment, lag);
                        }
                        Some(_) if settles => self.voices.settle(voice),
                        _ => {}
                    }
                }
            }
        }
        if self.voices.owes() && planned.is_answer && step as f64 > moment.step {
            // The note was early: its step, which lies ahead, is where the voices move.
            self.catch_up_at = Some((nominal as u64 + block.settings.reply_delay_samples, step));
        }
    }

    /// Voices that could not move with the answer to an early note move with its step.
    pub(super) fn catch_up(&mut self, time: &BlockTime, at: u64) {
        let Some((_, step)) = self.catch_up_at.take() else { return };
        let moment = self.moment(time, at);
        let grid = at as i64 - self.samples as i64 - time.sample_of(step as f64);
        for voice in 0..NUM_VOICES {
            if let Some(key) = self.voices.owed(voice) {
                self.move_voice(voice, key, Cause::Step, &moment, Lag { grid, due: 0 });
            }
        }
    }

    /// A voice goes on to `key`, or owes it if it has moved too lately.
    fn move_voice(&mut self, voice: usize, key: u8, cause: Cause, moment: &Moment, lag: Lag) {
        if !self.voices.may_strike(voice, cause, moment) {
            self.voices.owe(voice, key);
            return;
        }
        let channel = voice as u8;
        if let Some(before) = self.voices.end(voice) {
            self.ledger.end(Owner::Generated, (channel, before), moment.at, 1, lag);
        }
        let touch = Touch { voice_id: VoiceID::Wildcard, velocity: self.hands.velocity() };
        // Where the player sounds that very key, it is one note.
        if !self.hands.goes_out(channel, key) {
            self.rest_wheels(channel, (moment.at - self.samples) as u32);
            self.start(Owner::Generated, (channel, key), touch, lag, moment.at);
        }
        self.voices.strike(voice, key, moment);
    }
}

/// Leaves the core to the worker for a moment.
#[cfg_attr(not(test), expect(clippy::disallowed_methods, reason = "the one wait of this thread, within its budget"))]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
