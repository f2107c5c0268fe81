//! What is due goes out: rows that are there, at their sample, and what happens when one is not. Audio thread.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use continuo_model::tokeniser::grid::NUM_VOICES;
use continuo_model::vocabulary::Symbol;
use nice_plug::midi::VoiceID;

use super::events::Touch;
use super::held_notes::Owner;
use super::process::{AudioThread, Block};
use super::sequencer::PlannedRow;

/// How long a result may be waited for when the host runs faster than real time.
const PATIENCE: Duration = Duration::from_secs(2);

impl AudioThread {
    /// A row is due: play it, or count a miss and let what sounds go on.
    pub(super) fn on_due(&mut self, block: &Block, at: u64) {
        let Some(step) = self.sequencer.pop_due() else { return };
        let deadline = block.now + self.patience(block);
        let asked = Instant::now();
        let row = self.sequencer.take_row(&mut self.bridge, step, deadline);
        self.pace.waited(asked.elapsed());
        match row {
            Ok(planned) => self.play_row(block, &planned, at),
            Err(_) => {
                self.bridge.shared.misses.fetch_add(1, Ordering::Relaxed);
                self.missed = [true; NUM_VOICES];
            }
        }
    }

    /// How long this block may wait: a quarter of its own length, unless audio runs ahead of the clock. What the host
    /// says of itself counts only for the first blocks, when there is nothing to measure yet.
    fn patience(&self, block: &Block) -> Duration {
        let block_seconds = block.frames as f64 / self.sample_rate;
        let is_fast = self.pace.is_fast() || block.says_offline && !self.pace.is_known();
        if is_fast { PATIENCE } else { Duration::from_secs_f64(block_seconds / 4.0) }
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
                let settles = planned.settles && !self.missed[voice];
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
                self.ledger.start(&mut self.out, Owner::Generated, (channel, key), touch, at);
                self.sounding[voice] = Some(key);
            }
        }
    }
}
