//! The reader of MIDI files: what a file says, in its own ticks, before anyone makes music of it.

use std::collections::{BTreeMap, VecDeque};

use midly::{EventIter, Format, MetaMessage, MidiMessage, Timing, TrackEvent, TrackEventKind};

use super::MidiFileProblem;
use crate::phrase::{Note, Phrase, Track};

/// General MIDI's channel for drums, counted from 0: its keys are no pitches.
const DRUMS: u8 = 9;
/// The controller of the sustain pedal.
const SUSTAIN: u8 = 64;
/// The tempo that MIDI assumes until a file says another.
const DEFAULT_TEMPO_BPM: f64 = 120.0;

/// What a file says. Times are in its own ticks from the start.
///
/// - A **part** is what one track plays on one channel.
/// - A **note** lasts as long as its key is down: the sustain pedal changes no length; it stands apart, in `pedals`.
///   Notes of one key that overlap in a part end in the order in which they began. If note-offs are missing, a note
///   ends where its key is struck again, or with its track. A note without length is left out.
/// - **Drums** (channel 10) stand apart from the parts: their keys are no pitches.
/// - **Tempo, metre and key** may stand in any track and hold for all of the piece.
#[derive(Clone, Debug, PartialEq)]
pub struct MidiFile {
    /// Ticks in a quarter note; above 0.
    pub ticks_per_beat: u16,
    /// One piece, in which all tracks sound together; of a type 2 file a piece a track.
    pub pieces: Vec<MidiPiece>,
}

/// Tracks that sound together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MidiPiece {
    /// Its first track, from 0.
    pub track_idx: usize,
    /// The name of a track before any notes, as notation programs write titles; or empty.
    pub title: String,
    /// In order of tracks, then channels; all have notes.
    pub parts: Vec<MidiPart>,
    /// Quarter notes a minute, in order of time.
    pub tempi: Vec<Change<f64>>,
    /// Beats in a bar, and the power of two that says which note is one, as the file has them; in order of time.
    pub metres: Vec<Change<(u8, u8)>>,
    /// In order of time.
    pub keys: Vec<Change<KeySignature>>,
    /// What tracks play on channel 10.
    pub drums: Vec<MidiPart>,
    /// When the sustain pedal (controller 64, 64 or more) of a channel is down, in order of channel, then time.
    pub pedals: Vec<Pedal>,
    /// For each track with drums how many strokes it has.
    pub drum_strokes: Vec<usize>,
    /// For each track that lacks note-offs how many.
    pub missing_note_offs: Vec<usize>,
}

/// What a track plays on a channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MidiPart {
    /// The track's name, with the channel if the track has several; may be empty.
    pub name: String,
    /// 0 to 15.
    pub channel: u8,
    /// In order of start, then from the top.
    pub notes: Vec<MidiNote>,
}

/// A note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MidiNote {
    /// When it starts.
    pub tick: u64,
    /// When it ends; later than it starts.
    pub end_tick: u64,
    /// MIDI key.
    pub key: u8,
    /// MIDI velocity, 1 to 127.
    pub velocity: u8,
}

/// A stretch in which the sustain pedal of a channel is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pedal {
    /// 0 to 15. The pedal holds for the channel in all tracks.
    pub channel: u8,
    /// When it goes down.
    pub tick: u64,
    /// When it comes up, later; if it never does, the end of the piece.
    pub end_tick: u64,
}

/// Something that holds from a time on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change<T> {
    /// From when.
    pub tick: u64,
    /// The track that says so, from 0.
    pub track_idx: usize,
    /// What.
    pub value: T,
}

/// A key signature as a file tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySignature {
    /// Sharps, or flats below 0: -7 to 7.
    pub sharps: i8,
    /// A minor key.
    pub minor: bool,
}

impl MidiFile {
    /// Reads a file's bytes.
    ///
    /// # Errors
    /// If they are no MIDI file, are cut short, or count in SMPTE frames.
    pub fn parse(bytes: &[u8]) -> Result<Self, MidiFileProblem> {
        check_length(bytes)?;
        let not_midi = |error: midly::Error| MidiFileProblem::NotMidi(error.to_string());
        let (header, tracks) = midly::parse(bytes).map_err(not_midi)?;
        let ticks_per_beat = match header.timing {
            Timing::Metrical(ticks) if ticks.as_int() > 0 => ticks.as_int(),
            Timing::Metrical(_) => return Err(MidiFileProblem::NoTicks),
            Timing::Timecode(..) => return Err(MidiFileProblem::Smpte),
        };
        let mut pieces = vec![MidiPiece::default()];
        // For each piece, the moves of its pedals, and where it ends.
        let mut moves = vec![PedalMoves::default()];
        for (track_idx, events) in tracks.enumerate() {
            if header.format == Format::Sequential && track_idx > 0 {
                moves.push(PedalMoves::default());
                pieces.push(MidiPiece { track_idx, ..MidiPiece::default() });
            }
            let piece = pieces.last_mut().expect("there is a first piece");
            let moves = moves.last_mut().expect("a piece has them");
            piece.read_track(track_idx, events.map_err(not_midi)?, moves).map_err(not_midi)?;
        }
        for (piece, moves) in pieces.iter_mut().zip(moves) {
            piece.pedals = moves.into_pedals();
            // Stable: of several at one time, the last track's stays last.
            piece.tempi.sort_by_key(|change| change.tick);
            piece.metres.sort_by_key(|change| change.tick);
            piece.keys.sort_by_key(|change| change.tick);
        }
        Ok(Self { ticks_per_beat, pieces })
    }

    /// The first piece with notes as a phrase, a track a part.
    ///
    /// # Errors
    /// If no piece has notes with a pitch.
    pub fn phrase(&self) -> Result<Phrase, MidiFileProblem> {
        let Some(piece) = self.pieces.iter().find(|piece| !piece.parts.is_empty()) else {
            let drums = self.pieces.iter().any(|piece| !piece.drum_strokes.is_empty());
            return Err(if drums { MidiFileProblem::OnlyDrums } else { MidiFileProblem::NoNotes });
        };
        let beats = |tick: u64| tick as f64 / f64::from(self.ticks_per_beat);
        let tracks = piece.parts.iter().map(|part| Track {
            name: part.name.clone(),
            notes: part
                .notes
                .iter()
                .map(|note| Note {
                    pitch: note.key,
                    velocity: note.velocity,
                    channel: part.channel,
                    start_beats: beats(note.tick),
                    length_beats: beats(note.end_tick - note.tick),
                })
                .collect(),
        });
        let time_signature = |(count, power): (u8, u8)| {
            let unit = 1_u8.checked_shl(power.into()).filter(|_| count > 0)?;
            Some((count, unit))
        };
        Ok(Phrase {
            tempo_bpm: piece.tempo_bpm().unwrap_or(DEFAULT_TEMPO_BPM),
            time_signature: first(&piece.metres, time_signature).unwrap_or((4, 4)),
            tracks: tracks.collect(),
        })
    }
}

/// The first value that `wanted` takes; of several at one time the last.
fn first<T: Copy, U>(changes: &[Change<T>], wanted: impl Fn(T) -> Option<U>) -> Option<U> {
    let tick = changes.iter().find(|change| wanted(change.value).is_some())?.tick;
    changes.iter().rev().filter(|change| change.tick == tick).find_map(|change| wanted(change.value))
}

/// How the sustain pedals of a piece move, in any track.
#[derive(Default)]
struct PedalMoves {
    /// By channel: tick, and whether the pedal is down from then on.
    by_channel: BTreeMap<u8, Vec<(u64, bool)>>,
    /// The end of the longest track.
    end_tick: u64,
}

impl PedalMoves {
    fn into_pedals(self) -> Vec<Pedal> {
        let mut pedals = Vec::new();
        for (channel, mut moves) in self.by_channel {
            moves.sort_by_key(|(tick, _)| *tick);
            moves.push((self.end_tick, false));
            let mut down: Option<u64> = None;
            for (end_tick, is_down) in moves {
                match down {
                    None if is_down => down = Some(end_tick),
                    Some(tick) if !is_down => {
                        down = None;
                        pedals.extend((end_tick > tick).then_some(Pedal { channel, tick, end_tick }));
                    }
                    _ => {}
                }
            }
        }
        pedals
    }
}

/// What strikes and releases the keys of one channel, by key: tick, and the velocity, 0 for a release.
type Keys = BTreeMap<u8, Vec<(u64, u8)>>;

impl MidiPiece {
    /// The first tempo that the file gives, quarter notes a minute.
    pub fn tempo_bpm(&self) -> Option<f64> {
        first(&self.tempi, Some)
    }

    fn read_track(&mut self, track_idx: usize, events: EventIter, moves: &mut PedalMoves) -> Result<(), midly::Error> {
        let mut tick = 0;
        let mut name = String::new();
        let mut channels: BTreeMap<u8, Keys> = BTreeMap::new();
        let mut drums = 0;
        for event in events {
            let TrackEvent { delta, kind } = event?;
            tick += u64::from(delta.as_int());
            match kind {
                TrackEventKind::Meta(MetaMessage::TrackName(bytes)) => name = text(bytes),
                TrackEventKind::Meta(message) => self.read_meta(message, tick, track_idx),
                TrackEventKind::Midi { channel, message } => {
                    let (key, velocity) = match message {
                        MidiMessage::NoteOn { key, vel } => (key.as_int(), vel.as_int()),
                        MidiMessage::NoteOff { key, .. } => (key.as_int(), 0),
                        MidiMessage::Controller { controller, value } if controller.as_int() == SUSTAIN => {
                            let is_down = value.as_int() >= 64;
                            moves.by_channel.entry(channel.as_int()).or_default().push((tick, is_down));
                            continue;
                        }
                        _ => continue,
                    };
                    drums += usize::from(channel.as_int() == DRUMS && velocity > 0);
                    channels.entry(channel.as_int()).or_default().entry(key).or_default().push((tick, velocity));
                }
                _ => {}
            }
        }
        moves.end_tick = moves.end_tick.max(tick);
        let is_pitched = |channel: &u8| *channel != DRUMS;
        let num_pitched = channels.keys().filter(|channel| is_pitched(channel)).count();
        if self.title.is_empty() && self.parts.is_empty() && num_pitched == 0 {
            self.title.clone_from(&name);
        }
        let mut missing = 0;
        let several = num_pitched > 1;
        for (channel, keys) in channels {
            let mut notes = Vec::new();
            for (key, strokes) in keys {
                let missing_of_key = notes_of(key, &strokes, tick, &mut notes);
                missing += if is_pitched(&channel) { missing_of_key } else { 0 };
            }
            notes.retain(|note| note.end_tick > note.tick);
            notes.sort_by_key(|note| (note.tick, std::cmp::Reverse(note.key)));
            let name = if several { format!("{name} channel {}", channel + 1).trim().into() } else { name.clone() };
            if !notes.is_empty() {
                let to = if is_pitched(&channel) { &mut self.parts } else { &mut self.drums };
                to.push(MidiPart { name, channel, notes });
            }
        }
        self.missing_note_offs.extend(Some(missing).filter(|&missing| missing > 0));
        self.drum_strokes.extend(Some(drums).filter(|&drums| drums > 0));
        Ok(())
    }

    fn read_meta(&mut self, message: MetaMessage, tick: u64, track_idx: usize) {
        match message {
            MetaMessage::Tempo(us) if us.as_int() > 0 => {
                self.tempi.push(Change { tick, track_idx, value: 60e6 / f64::from(us.as_int()) });
            }
            MetaMessage::TimeSignature(count, power, ..) => {
                self.metres.push(Change { tick, track_idx, value: (count, power) });
            }
            MetaMessage::KeySignature(sharps, minor) => {
                self.keys.push(Change { tick, track_idx, value: KeySignature { sharps, minor } });
            }
            _ => {}
        }
    }
}

/// Adds the notes of a key to `notes`, and returns how many note-offs are missing. The track ends at `end`.
fn notes_of(key: u8, strokes: &[(u64, u8)], end: u64, notes: &mut Vec<MidiNote>) -> usize {
    let before = notes.len();
    let mut add = |(tick, velocity), end_tick| notes.push(MidiNote { tick, end_tick, key, velocity });
    let mut sounding = VecDeque::new();
    for &(tick, velocity) in strokes {
        if velocity > 0 {
            sounding.push_back((tick, velocity));
        } else if let Some(began) = sounding.pop_front() {
            add(began, tick);
        }
    }
    let missing = sounding.len();
    if missing > 0 {
        // Which of the notes lost its end is not known, so the next stroke ends each that is still sounding.
        notes.truncate(before);
        let mut add = |(tick, velocity), end_tick| notes.push(MidiNote { tick, end_tick, key, velocity });
        let mut began = None;
        for &(tick, velocity) in strokes {
            if let Some(began) = began.take() {
                add(began, tick);
            }
            began = Some((tick, velocity)).filter(|_| velocity > 0);
        }
        if let Some(began) = began {
            add(began, end);
        }
    }
    missing
}

/// A name: UTF-8, else Latin-1, which old files are in.
fn text(bytes: &[u8]) -> String {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.to_string(),
        Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect(),
    };
    text.trim_end_matches('\0').trim().to_string()
}

/// Finds bytes that are no MIDI file, whose times are in film frames, or that end inside a chunk: midly would read what
/// there is and say nothing.
fn check_length(bytes: &[u8]) -> Result<(), MidiFileProblem> {
    if bytes.is_empty() {
        return Err(MidiFileProblem::Empty);
    }
    if !bytes.starts_with(&b"MThd"[..bytes.len().min(4)]) {
        return Err(MidiFileProblem::NotMidi("it does not begin with `MThd`".into()));
    }
    let (mut at, mut tracks, mut announced) = (0, 0, 0);
    while at < bytes.len() {
        let chunk = bytes.get(at..at + 8).ok_or(MidiFileProblem::Truncated(at + 8, bytes.len()))?;
        let len = u32::from_be_bytes(chunk[4..].try_into().expect("four bytes")) as usize;
        let end = at + 8 + len;
        if end > bytes.len() {
            return Err(MidiFileProblem::Truncated(end, bytes.len()));
        }
        match (&chunk[..4], &bytes[at + 8..end]) {
            // Seen to here, as midly stumbles over some frame rates.
            (b"MThd", [_, _, _, _, 0x80..=0xff, ..]) => return Err(MidiFileProblem::Smpte),
            (b"MThd", [_, _, high, low, ..]) => announced = usize::from(u16::from_be_bytes([*high, *low])),
            (b"MTrk", _) => tracks += 1,
            _ => {}
        }
        at = end;
    }
    // Each missing track would at least have had its eight bytes of header.
    if tracks < announced {
        return Err(MidiFileProblem::Truncated(at + 8 * (announced - tracks), bytes.len()));
    }
    Ok(())
}
