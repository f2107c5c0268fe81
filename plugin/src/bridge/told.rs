//! The events that the audio thread sends the worker, which records them in the takes. Plain values.

use std::ops::RangeInclusive;

/// The valid tempi, quarter notes per minute. If a host reports another, the plugin ignores it.
pub const TEMPO_RANGE_BPM: RangeInclusive<f64> = 1.0..=999.0;

/// An event for the takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Told {
    /// A take begins, because time started or jumped.
    Began(Beginning),
    /// The tempo or the time signature changes within the take.
    Changed(Changed),
    /// The host's loop wraps from its end to its start.
    Looped(Looped),
    /// The plugin sent a note-on or a note-off.
    Played(Played),
    /// A render went on without a decision, so the take lacks notes.
    Incomplete,
}

/// The beginning of a take. The take's position starts at `song_beats` and runs on through loops.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Beginning {
    /// Where the take before ended, in its own beats.
    pub before_beats: f64,
    /// Position in the song, beats.
    pub song_beats: f64,
    /// Start of the current bar in the song, beats.
    pub bar_start_beats: f64,
    /// Tempo, quarter notes per minute.
    pub tempo_bpm: f64,
    /// Time signature: 6/8 is `(6, 8)`.
    pub time_signature: (u8, u8),
    /// The rng seed that the take is played with.
    pub rng_seed: u32,
}

/// A change of tempo or time signature within a take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Changed {
    /// Position in the take, beats.
    pub take_beats: f64,
    /// Tempo from there on, quarter notes per minute.
    pub tempo_bpm: f64,
    /// Time signature from there on.
    pub time_signature: (u8, u8),
}

/// A wrap of the host's loop within a take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Looped {
    /// Position in the take, beats.
    pub take_beats: f64,
    /// Position in the song to which the loop wraps, beats.
    pub song_beats: f64,
}

/// A note-on or note-off that the plugin sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Played {
    /// Position in the take, beats. A generated note is on the grid, even if it sounds later.
    pub take_beats: f64,
    /// Position in the take at which it sounds, beats.
    pub heard_beats: f64,
    /// MIDI channel, from 0.
    pub channel: u8,
    /// MIDI key.
    pub key: u8,
    /// 0 to 1; 0 is a note-off.
    pub velocity: f32,
    /// Whether the network generated the note, not the player.
    pub generated: bool,
}
