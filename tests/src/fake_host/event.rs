//! The transport and the events of the fake host, the same for both formats. Plain values, of no thread.

/// What the host announces at the first sample of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Transport {
    /// Whether the playhead moves.
    pub playing: bool,
    /// Quarter notes a minute.
    pub tempo_bpm: Option<f64>,
    /// The playhead, in quarter notes from the start of the song.
    pub pos_beats: Option<f64>,
    /// Where the current bar began, in quarter notes from the start of the song.
    pub bar_start_beats: Option<f64>,
    /// The current bar, from 0. CLAP only.
    pub bar_number: i32,
    /// Numerator and denominator.
    pub time_signature: Option<(u16, u16)>,
    /// Start and end in quarter notes while the loop is on.
    pub loop_range_beats: Option<(f64, f64)>,
    /// The playhead, in samples from the start of the song.
    pub pos_samples: i64,
}

/// An event, to a plugin or from it. Values are 0 to 1, channels 0 to 15, keys 0 to 127.
///
/// Both formats carry MIDI values at MIDI's resolution (7 bits, pitch bend 14), but velocities, key pressures and note
/// expressions in full.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "described above")]
pub enum EventKind {
    /// A key goes down.
    NoteOn { channel: u8, key: u8, velocity: f32 },
    /// A key is let go.
    NoteOff { channel: u8, key: u8, velocity: f32 },
    /// Pressure on one key.
    PolyPressure { channel: u8, key: u8, pressure: f32 },
    /// A controller, 0 to 127.
    MidiCc { channel: u8, cc: u8, value: f32 },
    /// Pressure on the channel.
    ChannelPressure { channel: u8, pressure: f32 },
    /// The wheel: 0.5 is its centre.
    PitchBend { channel: u8, value: f32 },
    /// A program, 0 to 127. Not from the host in VST3.
    ProgramChange { channel: u8, program: u8 },
    /// A key goes down, and the host gives the note an id. A plugin's ids are in [`super::Block::voice_ids`].
    IdentifiedOn { channel: u8, key: u8, velocity: f32, voice_id: i32 },
    /// The note with an id ends. In CLAP the channel and the key may be missing.
    IdentifiedOff { channel: Option<u8>, key: Option<u8>, voice_id: i32 },
    /// A value of one note. From the host in CLAP only.
    NoteExpression { channel: u8, key: u8, expression: Expression, value: f32 },
    /// A raw MIDI message of up to three bytes. The host sends it in CLAP only; one from a plugin arrives here as the
    /// event it means.
    Midi { bytes: [u8; 3] },
    /// System exclusive, from F0 to F7.
    SysEx { bytes: &'static [u8] },
    /// An event from a plugin that this host does not understand, such as one for all keys, with the format's type
    /// number.
    Unrecognised { event_type: u16 },
}

/// What a note expression sets; pressure is [`EventKind::PolyPressure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expression {
    /// A factor, 0 to 4.
    Volume,
    /// 0 is left, 1 right.
    Pan,
    /// Semitones, -120 to 120.
    Tuning,
    /// 0 to 1.
    Vibrato,
    /// 0 to 1.
    Expression,
    /// 0 to 1.
    Brightness,
}

/// Keeps a plugin's message in memory to the end of the process, so that events stay plain values. Tests receive few.
pub(super) fn keep(bytes: &[u8]) -> &'static [u8] {
    Vec::from(bytes).leak()
}

/// Something at a sample of a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// Offset in samples from the start of the block.
    pub timing: u32,
    /// What happens.
    pub kind: EventKind,
}

/// A value of 0 to 1 as a 7-bit MIDI number.
pub(super) fn to_7_bits(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 127.0).round() as u8
}

/// A 7-bit MIDI number as a value of 0 to 1.
pub(super) fn from_7_bits(number: u8) -> f32 {
    f32::from(number & 0x7f) / 127.0
}

/// A value of 0 to 1 as a 14-bit MIDI number, low 7 bits first.
pub(super) fn to_14_bits(value: f32) -> [u8; 2] {
    let number = (value.clamp(0.0, 1.0) * 16383.0).round() as u16;
    [(number & 0x7f) as u8, (number >> 7) as u8]
}

/// A 14-bit MIDI number, low 7 bits first, as a value of 0 to 1.
pub(super) fn from_14_bits([low, high]: [u8; 2]) -> f32 {
    f32::from(u16::from(low & 0x7f) | u16::from(high & 0x7f) << 7) / 16383.0
}
