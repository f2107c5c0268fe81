//! What the audio thread tells the worker for the takes. Plain values.

/// What the worker takes down for the project.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Told {
    /// Time starts, or goes on elsewhere: a take begins.
    Began(Beginning),
    /// Time goes on in another tempo or metre.
    Changed(Changed),
    /// The host's loop has come round.
    Looped(Looped),
    /// A note's start or end went out.
    Played(Played),
    /// A render went on without a decision: the take lacks notes.
    Incomplete,
}

/// Where a take begins.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Beginning {
    /// Where the take before it ended, in its own beats.
    pub before_beats: f64,
    /// Place in the song, beats.
    pub song_beats: f64,
    /// Where the bar that it is in began, beats.
    pub bar_start_beats: f64,
    /// Quarter notes a minute.
    pub tempo_bpm: f64,
    /// Beats in a bar and which note is one.
    pub time_signature: (u8, u8),
    /// Which performance.
    pub rng_seed: u32,
}

/// Another tempo or metre within a take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Changed {
    /// Where in the take, beats.
    pub take_beats: f64,
    /// Quarter notes a minute.
    pub tempo_bpm: f64,
    /// Beats in a bar and which note is one.
    pub time_signature: (u8, u8),
}

/// The host's loop comes round within a take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Looped {
    /// Where in the take, beats.
    pub take_beats: f64,
    /// The song's place from there on, beats.
    pub song_beats: f64,
}

/// A note's start or end that went out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Played {
    /// Where in the take, beats: from the song's position at its start on, as if no loop came round. What is generated
    /// lies on the grid, whatever delays its sound.
    pub take_beats: f64,
    /// Where it sounds, beats of the take.
    pub heard_beats: f64,
    /// MIDI channel, from 0.
    pub channel: u8,
    /// MIDI key.
    pub key: u8,
    /// 0 to 1; 0 is an end.
    pub velocity: f32,
    /// The network's, not the player's.
    pub generated: bool,
}
