//! Where in its take the music is, and what the editor is shown of each block. Audio thread.

use super::process::AudioThread;
use super::settings::Block;
use super::transport::{BlockTime, Motion, STEPS_PER_BEAT};
use crate::bridge::snapshot::{Ahead, NUM_AHEAD, Snapshot};
use crate::bridge::{Beginning, Changed, Looped, Told};

/// Steps before the next one that may still be due: a reply delay holds them back.
const LATE_STEPS: i64 = 2;
/// A tempo that moves on and on is told no more often than this, beats.
const TEMPO_GRID_BEATS: f64 = 0.25;
/// Two tempi whose ratio is nearer to 1 than this are one.
const SAME_TEMPO: f64 = 1e-4;

/// The tempo and metre that the take has been told last, and where.
#[derive(Clone, Copy, Debug, Default)]
pub struct ToldTime {
    take_beats: f64,
    tempo_bpm: f64,
    time_signature: (u8, u8),
}

impl AudioThread {
    /// A start or a jump begins a take. Its beats go on from the song's place there, whatever loops come round.
    pub(super) fn follow_take(&mut self, block: &Block, time: &BlockTime) {
        if time.motion == Motion::Continued {
            self.follow_tempo(block, time);
        }
        if !matches!(time.motion, Motion::Started | Motion::Jumped) {
            return;
        }
        let before_beats = self.elapsed_beats + self.take_offset_beats;
        let song_beats = time.beats_at(0);
        self.take_offset_beats = song_beats - self.elapsed_beats;
        let (tempo_bpm, time_signature) = (self.tempo_bpm(time), time_signature(block));
        self.told_time = ToldTime { take_beats: song_beats, tempo_bpm, time_signature };
        self.bridge.tell(Told::Began(Beginning {
            before_beats,
            song_beats,
            bar_start_beats: time.bar_start_beats(),
            tempo_bpm,
            time_signature,
            rng_seed: block.settings.step.rng_seed as u32,
        }));
    }

    /// Another tempo or metre while time goes on. A metre begins with its bar, which a host may name a little later.
    fn follow_tempo(&mut self, block: &Block, time: &BlockTime) {
        let told = self.told_time;
        let now = self.elapsed_beats + self.take_offset_beats;
        let (tempo_bpm, time_signature) = (self.tempo_bpm(time), time_signature(block));
        let other_metre = time_signature != told.time_signature;
        let other_tempo = (tempo_bpm / told.tempo_bpm - 1.0).abs() > SAME_TEMPO;
        let tempo_is_due = other_tempo && now >= told.take_beats + TEMPO_GRID_BEATS;
        if !other_metre && !tempo_is_due {
            return;
        }
        let since_bar = time.beats_at(0) - time.bar_start_beats();
        let is_near = other_metre && (0.0..1.0).contains(&since_bar) && now - since_bar > told.take_beats;
        let take_beats = if is_near { now - since_bar } else { now };
        self.told_time = ToldTime { take_beats, tempo_bpm, time_signature };
        self.bridge.tell(Told::Changed(Changed { take_beats, tempo_bpm, time_signature }));
    }

    /// The place in the take at sample `at` of this block.
    pub(super) fn take_beats_at(&self, time: &BlockTime, at: u64) -> f64 {
        let beats = (at - self.samples) as f64 / (time.samples_per_step * STEPS_PER_BEAT);
        self.elapsed_beats + self.take_offset_beats + beats
    }

    /// The host's loop comes round at counted step `step`.
    pub(super) fn tell_seam(&mut self, time: &BlockTime, step: i64, at: u64) {
        let take_beats = self.take_beats_at(time, at);
        let song_beats = time.place(step).song_step as f64 / STEPS_PER_BEAT;
        self.bridge.tell(Told::Looped(Looped { take_beats, song_beats }));
    }

    /// Shows the editor where the music stands at the block's start; called when the block is done.
    pub(super) fn show(&mut self, block: &Block, time: &BlockTime, elapsed_beats: f64) {
        let take_beats = elapsed_beats + self.take_offset_beats;
        let tempo_bpm = self.tempo_bpm(time);
        let runs = time.runs();
        if runs {
            self.song_offset_beats = time.beats_at(0) - take_beats;
        }
        let song_beats = take_beats + self.song_offset_beats;
        let Self { bridge, sequencer, next_step, .. } = self;
        bridge.show(|snapshot: &mut Snapshot| {
            snapshot.runs = runs;
            snapshot.at = Some(block.now);
            snapshot.take_beats = take_beats;
            snapshot.block_beats = block.frames as f64 / (time.samples_per_step * STEPS_PER_BEAT);
            snapshot.song_beats = song_beats;
            snapshot.bar_start_beats = time.bar_start_beats();
            snapshot.bar_beats = time.bar_beats();
            snapshot.tempo_bpm = tempo_bpm;
            snapshot.time_signature = time_signature(block);
            (snapshot.loop_beats, snapshot.pass) = time.rounds();
            let steps = *next_step - LATE_STEPS..=sequencer.planned_through();
            let planned = steps.filter_map(|step| sequencer.planned(step).map(|(row, played)| (step, row, played)));
            snapshot.num_ahead = 0;
            for (place, (step, row, played)) in snapshot.ahead.iter_mut().zip(planned.take(NUM_AHEAD)) {
                let take_beats = take_beats + (step as f64 - time.pos_steps) / STEPS_PER_BEAT;
                *place = Ahead { take_beats, decision: row, played };
                snapshot.num_ahead += 1;
            }
        });
    }

    /// Beats go by whatever the transport does; the place in the take stands still with it.
    pub(super) fn stand_still(&mut self, time: &BlockTime, beats: f64) {
        if !time.runs() {
            self.take_offset_beats -= beats;
        }
    }

    fn tempo_bpm(&self, time: &BlockTime) -> f64 {
        self.sample_rate * 60.0 / (time.samples_per_step * STEPS_PER_BEAT)
    }
}

/// The host's, if it is one that a MIDI file can hold; else common time.
fn time_signature(block: &Block) -> (u8, u8) {
    match block.host.time_signature {
        Some((beats @ 1..=255, unit @ (1 | 2 | 4 | 8 | 16 | 32 | 64))) => (beats as u8, unit as u8),
        _ => (4, 4),
    }
}
