//! What is due goes out: rows that are there, at their sample, and what happens when one is not. Audio thread.

use std::sync::atomic::Ordering;
use std::time::Duration;

use continuo_model::tokeniser::grid::NUM_VOICES;
use continuo_model::vocabulary::Symbol;
use nice_plug::midi::VoiceID;

use super::events::Touch;
use super::held_notes::Owner;
use super::process::{AudioThread, Block};
use super::sequencer::PlannedRow;

/// What sounds is held over this many missed rows, a bar of four beats, and then ends.
const MOST_MISSES: u32 = 16;

impl AudioThread {
    /// A row is due: play it, or count a miss and let what sounds go on.
    pub(super) fn on_due(&mut self, block: &Block, at: u64) {
        let Some(step) = self.sequencer.pop_due() else { return };
        // Who has not answered for a bar is not waited for.
        let given_up = self.misses_in_a_row >= MOST_MISSES;
        let patience = if given_up { Duration::ZERO } else { self.pace.patience(block.says_offline) };
        let deadline = block.now + patience;
        let asked = (self.watch)();
        let row = self.sequencer.take_row(&mut self.bridge, step, deadline, self.watch);
        self.pace.waited((self.watch)().saturating_duration_since(asked));
        match row {
            Ok(planned) => {
                self.misses_in_a_row = 0;
                self.play_row(block, &planned, at);
            }
            Err(_) => self.miss(at),
        }
    }

    /// What sounds is held, but not for ever: not if nothing will come any more, nor if nothing has come for a bar.
    fn miss(&mut self, at: u64) {
        self.bridge.shared.misses.fetch_add(1, Ordering::Relaxed);
        self.missed = [true; NUM_VOICES];
        self.misses_in_a_row += 1;
        if !self.bridge.can_answer() || self.misses_in_a_row >= MOST_MISSES {
            self.ledger.end_all(Some(Owner::Generated), at);
            self.sounding = [None; NUM_VOICES];
        }
    }

    fn play_row(&mut self, block: &Block, planned: &PlannedRow, at: u64) {
        let touch = Touch { voice_id: VoiceID::Wildcard, velocity: self.capture.velocity() };
        for voice in 0..NUM_VOICES {
            let (channel, mine) = (voice as u8, block.settings.emit[voice] && !planned.played[voice]);
            let mut symbol = if mine { planned.row[voice] } else { Symbol::Rest };
            if symbol == Symbol::Hold {
                // An answer goes back to before its step: what has moved at the step since then moves back. The first
                // step of a loop holds what nobody has started. But what a missed row would have started is not started
                // late: until its next attack or rest the voice goes on with what it sounds.
                let settles = planned.settles[voice] && !self.missed[voice];
                match planned.sounding[voice] {
                    Some(key) if settles && self.sounding[voice] != Some(key) => symbol = Symbol::Pitch(key),
                    _ => continue,
                }
            }
            self.missed[voice] = false;
            if let Some(key) = self.sounding[voice].take() {
                self.ledger.end(Owner::Generated, channel, key, at);
            }
            if let Symbol::Pitch(key) = symbol {
                self.start(Owner::Generated, (channel, key), touch, at);
                self.sounding[voice] = Some(key);
            }
        }
    }
}
