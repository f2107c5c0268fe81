//! MIDI files as they are written: type 1, a first track for tempo, metre and key, then one named track each.

use std::path::Path;

use midly::num::{u4, u7, u15, u24, u28};
use midly::{Format, Header, MetaMessage, MidiMessage, Smf, Timing, TrackEvent, TrackEventKind};

use super::reading::KeySignature;
use super::{MidiFileError, MidiFileProblem};
use crate::phrase::{Note, Phrase};

/// Resolution of the files that are written.
pub const TICKS_PER_BEAT: u16 = 960;

/// Writes a file of type 1: tempo and time signature in a first track, then one named track each.
pub fn write(path: &Path, phrase: &Phrase) -> Result<(), MidiFileError> {
    std::fs::write(path, to_bytes(phrase))
        .map_err(|error| MidiFileError { source_name: path.display().to_string(), problem: MidiFileProblem::Io(error) })
}

/// A tempo and a metre that begin within a piece.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeChange {
    /// Where, beats from the start of the piece.
    pub at_beats: f64,
    /// Quarter notes a minute.
    pub tempo_bpm: f64,
    /// Beats in a bar, and which note is one of them.
    pub time_signature: (u8, u8),
}

/// What a file's first track says beside a phrase's tempo and metre.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conductor {
    /// The key, if it is known.
    pub key: Option<KeySignature>,
    /// The tempi and metres that follow the first, in order of time.
    pub changes: Vec<TimeChange>,
    /// Where the tracks end, beats; each ends with its last note if that is later.
    pub end_beats: f64,
}

/// A file's bytes. Times are rounded to the nearest tick; a note lasts at least one.
///
/// # Panics
/// If the tempo is not above 0, or the time signature's lower number is no power of two.
pub fn to_bytes(phrase: &Phrase) -> Vec<u8> {
    to_bytes_with(phrase, &Conductor::default())
}

/// The same with what the conductor track says.
///
/// # Panics
/// As [`to_bytes`].
pub fn to_bytes_with(phrase: &Phrase, conductor: &Conductor) -> Vec<u8> {
    let meta = |delta, message| TrackEvent { delta: u28::new(delta), kind: TrackEventKind::Meta(message) };
    let end_tick = ticks(conductor.end_beats);
    let mut tracks = vec![conductor_track(phrase, conductor)];
    for track in &phrase.tracks {
        let mut events = vec![meta(0, MetaMessage::TrackName(track.name.as_bytes()))];
        let mut last_tick = 0;
        for (tick, channel, message) in timed_messages(&track.notes) {
            events.push(TrackEvent {
                delta: u28::new(tick - last_tick),
                kind: TrackEventKind::Midi { channel: u4::new(channel), message },
            });
            last_tick = tick;
        }
        events.push(meta(end_tick.saturating_sub(last_tick), MetaMessage::EndOfTrack));
        tracks.push(events);
    }
    let header = Header::new(Format::Parallel, Timing::Metrical(u15::new(TICKS_PER_BEAT)));
    let mut bytes = Vec::new();
    Smf { header, tracks }.write_std(&mut bytes).expect("a Vec takes any bytes");
    bytes
}

fn ticks(beats: f64) -> u32 {
    (beats * f64::from(TICKS_PER_BEAT)).round().max(0.0) as u32
}

/// A time signature of 1 to 255 beats, each a note of 1/`unit`, which is a power of two up to 64; `None` for other
/// numbers.
pub fn time_signature(beats: i32, unit: i32) -> Option<(u8, u8)> {
    let beats = u8::try_from(beats).ok().filter(|beats| *beats > 0)?;
    let unit = u8::try_from(unit).ok().filter(|unit| unit.is_power_of_two() && *unit <= 64)?;
    Some((beats, unit))
}

/// The first track: tempi, metres and the key, without notes.
fn conductor_track(phrase: &Phrase, conductor: &Conductor) -> Vec<TrackEvent<'static>> {
    let mut events = Vec::new();
    let mut last_tick = 0;
    let mut add = |tick: u32, message| {
        // The end may be named earlier than the last change.
        let delta = tick.saturating_sub(last_tick);
        events.push(TrackEvent { delta: u28::new(delta), kind: TrackEventKind::Meta(message) });
        last_tick += delta;
    };
    let (mut tempo, mut metre) = (None, None);
    let first = TimeChange { at_beats: 0.0, tempo_bpm: phrase.tempo_bpm, time_signature: phrase.time_signature };
    for change in std::iter::once(&first).chain(&conductor.changes) {
        assert!(change.tempo_bpm > 0.0, "a phrase has a tempo");
        let (beats, unit) = change.time_signature;
        assert!(unit.is_power_of_two(), "a time signature's lower number is a power of two");
        let tick = ticks(change.at_beats);
        let us_per_beat = (60e6 / change.tempo_bpm).round().clamp(1.0, 16_777_215.0) as u32;
        if tempo.replace(us_per_beat) != Some(us_per_beat) {
            add(tick, MetaMessage::Tempo(u24::new(us_per_beat)));
        }
        if metre.replace((beats, unit)) != Some((beats, unit)) {
            add(tick, MetaMessage::TimeSignature(beats, unit.trailing_zeros() as u8, 24, 8));
        }
        if let Some(key) = conductor.key.filter(|_| std::ptr::eq(change, &first)) {
            add(tick, MetaMessage::KeySignature(key.sharps, key.minor));
        }
    }
    add(ticks(conductor.end_beats), MetaMessage::EndOfTrack);
    events
}

/// Ons and offs in order of time, offs first.
fn timed_messages(notes: &[Note]) -> Vec<(u32, u8, MidiMessage)> {
    let mut messages = Vec::with_capacity(2 * notes.len());
    for note in notes {
        let (start, key) = (ticks(note.start_beats), u7::new(note.pitch));
        let on = MidiMessage::NoteOn { key, vel: u7::new(note.velocity) };
        messages.push((start, note.channel, on));
        let off = MidiMessage::NoteOff { key, vel: u7::new(64) };
        messages.push((ticks(note.end_beats()).max(start + 1), note.channel, off));
    }
    messages.sort_by_key(|(tick, _, message)| (*tick, matches!(message, MidiMessage::NoteOn { .. })));
    messages
}
