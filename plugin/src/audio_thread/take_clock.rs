//! Where in its take the music is, and what the take is told of time: where it begins, tempo and metre, loops. Audio
//! thread.

use continuo_model::midi_file;
use nice_plug::prelude::NoteEvent;

use super::output::Lag;
use super::positions::{CountedStep, Sample, SongBeats, TakeBeats};
use super::settings::Block;
use super::transport::{BlockTime, Motion};
use crate::bridge::{AudioEnd, Beginning, Changed, Looped, Played, Told};

/// A tempo that moves on and on is told no more often than this, beats.
const TEMPO_GRID_BEATS: f64 = 0.25;
/// Two tempi whose ratio is nearer to 1 than this are one.
const SAME_TEMPO: f64 = 1e-4;

/// Beats that go by, and where in the take and in the song they are.
pub struct TakeClock {
    /// Beats that have gone by until the block, whatever the transport did.
    elapsed_beats: f64,
    /// Position in the take less elapsed beats.
    take_offset_beats: f64,
    /// Position in the song less that in the take, as of the last block in which time ran.
    song_offset_beats: f64,
    told: ToldTime,
}

/// The tempo and metre that the take has been told last, and where.
#[derive(Clone, Copy, Debug, Default)]
struct ToldTime {
    at: TakeBeats,
    tempo_bpm: f64,
    time_signature: (u8, u8),
}

impl TakeClock {
    /// No beat has gone by.
    pub fn new() -> Self {
        Self { elapsed_beats: 0.0, take_offset_beats: 0.0, song_offset_beats: 0.0, told: ToldTime::default() }
    }

    /// Where the block begins in the take.
    pub fn now(&self) -> TakeBeats {
        TakeBeats::new(self.elapsed_beats + self.take_offset_beats)
    }

    /// Where sample `at` of the block is in the take.
    pub fn at(&self, time: &BlockTime, at: Sample) -> TakeBeats {
        self.now() + (at - time.begin) as f64 / time.samples_per_beat()
    }

    /// A start or a jump begins a take. Its beats go on from the song's position there, whatever loops come round.
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

    /// Another tempo or metre while time goes on. A metre begins with its bar, which a host may name a little later.
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

    /// The host's loop comes round at a counted step, at sample `at`.
    pub fn tell_loop_start(&self, time: &BlockTime, step: CountedStep, at: Sample, bridge: &mut AudioEnd) {
        let take_beats = self.at(time, at).beats();
        let song_beats = time.song_position(step).song_step.beats().beats();
        bridge.tell(Told::Looped(Looped { take_beats, song_beats }));
    }

    /// Tells the take of a generated note's start or end that went out in the block. The player's are told once it is
    /// known which voices they are.
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

    /// Where the block begins in the song; where time stands still, as far from the position in the take as before.
    pub fn song_now(&mut self, time: &BlockTime) -> SongBeats {
        let take_beats = self.now().beats();
        if time.runs() {
            self.song_offset_beats = time.song_beats_at(time.begin).beats() - take_beats;
        }
        SongBeats::new(take_beats + self.song_offset_beats)
    }

    /// A block of so many samples is done. Beats go by whatever the transport does; the position in the take stands
    /// still with it.
    pub fn end_block(&mut self, time: &BlockTime, frames: usize) {
        let beats = frames as f64 * (1.0 / time.samples_per_beat());
        self.elapsed_beats += beats;
        if !time.runs() {
            self.take_offset_beats -= beats;
        }
    }
}

/// The host's time signature if it is valid, else common time.
pub fn time_signature(block: &Block) -> (u8, u8) {
    let valid = |(beats, unit)| midi_file::time_signature(beats, unit);
    block.host.time_signature.and_then(valid).unwrap_or((4, 4))
}
