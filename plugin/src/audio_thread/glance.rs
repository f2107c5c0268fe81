//! The snapshot of each block for the editor: the position in the music and the plan. Audio thread.

use super::plan::Plan;
use super::positions::CountedStep;
use super::settings::Block;
use super::take_clock::{TakeClock, time_signature};
use super::transport::BlockTime;
use crate::bridge::AudioEnd;
use crate::bridge::snapshot::{Ahead, Snapshot};

/// How many steps before the next one may still be due, because of the reply delay.
const LATE_STEPS: i64 = 2;

/// Publishes the positions at the start of the block; called at the end of the block.
pub fn show(
    bridge: &mut AudioEnd,
    block: &Block,
    time: &BlockTime,
    take: &mut TakeClock,
    plan: &Plan,
    next_step: CountedStep,
    heard_key: Option<u8>,
) {
    let take_beats = take.now();
    let song_beats = take.song_now(time).beats();
    bridge.show(|snapshot: &mut Snapshot| {
        snapshot.runs = time.runs();
        snapshot.at = Some(block.now);
        snapshot.take_beats = take_beats.beats();
        snapshot.block_beats = block.frames as f64 / time.samples_per_beat();
        snapshot.song_beats = song_beats;
        snapshot.bar_start_beats = time.bar_start().beats();
        snapshot.bar_beats = time.bar_beats();
        snapshot.tempo_bpm = time.tempo_bpm();
        snapshot.time_signature = time_signature(block);
        (snapshot.loop_beats, snapshot.pass) = time.loop_and_pass();
        snapshot.heard_key = heard_key;
        snapshot.num_ahead = 0;
        for (ahead, (step, decision, played)) in snapshot.ahead.iter_mut().zip(plan.ahead(next_step - LATE_STEPS)) {
            let take_beats = take_beats + time.beats_to(step);
            *ahead = Ahead { take_beats: take_beats.beats(), decision, played };
            snapshot.num_ahead += 1;
        }
    });
}
