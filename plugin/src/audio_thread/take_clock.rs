//! The position in the take, and the events that tell the take about time: starts, tempo, metre and loops. Audio
//! thread.

use continuo_model::midi_file;
use nice_plug::prelude::NoteEvent;

use super::output::Lag;
use super::positions::{CountedStep, Sample, SongBeats, TakeBeats};
use super::settings::Block;
use super::transport::{BlockTime, Motion};
use crate::bridge::{AudioEnd, Beginning, Changed, Looped, Played, Told};

/// A tempo that keeps changing is sent at most once in this many beats.
const TEMPO_GRID_BEATS: f64 = 0.25;
/// Tempi whose ratio is closer to 1 than this are equal.
const SAME_TEMPO: f64 = 1e-4;

/// Counts beats and converts them to positions in the take and the song.
pub struct TakeClock {
    /// Beats before this block, counted whether or not the transport runs.
    elapsed_beats: f64,
    /// The position in the take minus the elapsed beats.
    take_offset_beats: f64,
    /// The position in the song minus the position in the take, from the last block in which time ran.
    song_offset_beats: f64,
    told: ToldTime,
}

/// The tempo and metre last sent for the take, and their position.
#[derive(Clone, Copy, Debug, Default)]
struct ToldTime {
    at: TakeBeats,
    tempo_bpm: f64,
    time_signature: (u8, u8),
}

impl TakeClock {
    /// No beats counted yet.
    pub fn new() -> Self {
        Self { elapsed_beats: 0.0, take_offset_beats: 0.0, song_offset_beats: 0.0, told: ToldTime::default() }
    }

    /// The position of the block's start in the take.
    pub fn now(&self) -> TakeBeats {
        TakeBeats::new(self.elapsed_beats + self.take_offset_beats)
    }

    /// The position of sample `at` in the take.
    pub fn at(&self, time: &BlockTime, at: Sample) -> TakeBeats {
        self.now() + (at - time.begin) as f64 / time.samples_per_beat()
    }

    /// Begins a take at a start or jump. Its beats run on from the song's position there, without regard to loops.
    pub fn follow(&mut self, block: &Block, time: &BlockTime, bridge: &mut AudioEnd) {
        if time.motion == Motion::Continued {
            self.follow_tempo(block, time, bridge);
        }
        if !matches!(time.motion, Motion::Started | Motion::Jumped) {
            return;
        }
        let before_beats = self.now().beats();
        let song_beats = time.song_beats_at(time.begin).beats();
        self.take_offset_beats = song_beats - self.elapsed_beats;
        let (tempo_bpm, time_signature) = (time.tempo_bpm(), time_signature(block));
        self.told = ToldTime { at: TakeBeats::new(song_beats), tempo_bpm, time_signature };
        bridge.tell(Told::Began(Beginning {
            before_beats,
            song_beats,
            bar_start_beats: time.bar_start().beats(),
            tempo_bpm,
            time_signature,
            rng_seed: block.settings.step.rng_seed as u32,
        }));
    }

    /// Sends a change of tempo or metre while time runs on. A new metre starts with its bar, although the host may
    /// report it a little later.
    fn follow_tempo(&mut self, block: &Block, time: &BlockTime, bridge: &mut AudioEnd) {
        let (told, now) = (self.told, self.now());
        let (tempo_bpm, time_signature) = (time.tempo_bpm(), time_signature(block));
        let other_metre = time_signature != told.time_signature;
        let other_tempo = (tempo_bpm / told.tempo_bpm - 1.0).abs() > SAME_TEMPO;
        let tempo_is_due = other_tempo && now >= told.at + TEMPO_GRID_BEATS;
        if !other_metre && !tempo_is_due {
            return;
        }
        let since_bar = time.song_beats_at(time.begin) - time.bar_start();
        let is_near = other_metre && (0.0..1.0).contains(&since_bar) && now - since_bar > told.at;
        let at = if is_near { now - since_bar } else { now };
        self.told = ToldTime { at, tempo_bpm, time_signature };
        bridge.tell(Told::Changed(Changed { take_beats: at.beats(), tempo_bpm, time_signature }));
    }

    /// Sends that the host's loop wraps to its start, at counted step `step` and sample `at`.
    pub fn tell_loop_start(&self, time: &BlockTime, step: CountedStep, at: Sample, bridge: &mut AudioEnd) {
        let take_beats = self.at(time, at).beats();
        let song_beats = time.song_position(step).song_step.beats().beats();
        bridge.tell(Told::Looped(Looped { take_beats, song_beats }));
    }

    /// Sends the start or end of a generated note that went out in the block. The player's notes are sent once their
    /// voices are known.
    pub fn tell_generated(&self, time: &BlockTime, event: &NoteEvent<()>, lag: Lag, bridge: &mut AudioEnd) {
        let (channel, key, velocity) = match *event {
            NoteEvent::NoteOn { channel, key, velocity, .. } => (channel, key, velocity),
            NoteEvent::NoteOff { channel, key, .. } => (channel, key, 0.0),
            _ => return,
        };
        let (Some(channel), Some(key)) = (channel.number(), key.number()) else { return };
        let beats_per_sample = 1.0 / time.samples_per_beat();
        let beats = |lag: i64| (self.now() + (f64::from(event.timing()) - lag as f64) * beats_per_sample).beats();
        let (take_beats, heard_beats) = (beats(lag.grid), beats(lag.due));
        bridge.tell(Told::Played(Played { take_beats, heard_beats, channel, key, velocity, generated: true }));
    }

    /// The position of the block's start in the song. While time stands still, it keeps its distance from the position
    /// in the take.
    pub fn song_now(&mut self, time: &BlockTime) -> SongBeats {
        let take_beats = self.now().beats();
        if time.runs() {
            self.song_offset_beats = time.song_beats_at(time.begin).beats() - take_beats;
        }
        SongBeats::new(take_beats + self.song_offset_beats)
    }

    /// Ends a block of `frames` samples. The elapsed beats always advance; the position in the take only advances while
    /// time runs.
    pub fn end_block(&mut self, time: &BlockTime, frames: usize) {
        let beats = frames as f64 * (1.0 / time.samples_per_beat());
        self.elapsed_beats += beats;
        if !time.runs() {
            self.take_offset_beats -= beats;
        }
    }
}

/// The host's time signature; 4/4 if it is invalid.
pub fn time_signature(block: &Block) -> (u8, u8) {
    let valid = |(beats, unit)| midi_file::time_signature(beats, unit);
    block.host.time_signature.and_then(valid).unwrap_or((4, 4))
}
