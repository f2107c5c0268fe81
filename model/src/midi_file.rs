//! Standard MIDI files, read into phrases and written so that any DAW opens them.

use std::fmt;
use std::path::Path;

use midly::num::{u4, u7, u15, u24, u28};
use midly::{Format, Header, MetaMessage, MidiMessage, Smf, Timing, TrackEvent, TrackEventKind};

use crate::phrase::{Note, Phrase, Track};

/// Resolution of the files that are written.
pub const TICKS_PER_BEAT: u16 = 960;
const DEFAULT_TEMPO_BPM: f64 = 120.0;

/// Why a MIDI file cannot be used: which file, what was expected, what was found, what to do.
#[derive(Debug, thiserror::Error)]
#[error("{source_name}: {problem}")]
pub struct MidiFileError {
    /// The file's path, or whatever the bytes came from.
    pub source_name: String,
    /// What is wrong with it.
    pub problem: MidiFileProblem,
}

/// What can be wrong with a MIDI file.
#[derive(Debug)]
pub enum MidiFileProblem {
    /// It cannot be read or written.
    Io(std::io::Error),
    /// It has no bytes.
    Empty,
    /// It does not begin as a MIDI file does, or its events make no sense.
    NotMidi(String),
    /// It ends in the middle: (bytes that it announces, bytes that are there).
    Truncated(usize, usize),
    /// Its times are in film frames, not in beats.
    Smpte,
    /// No note sounds in it.
    NoNotes,
}

impl fmt::Display for MidiFileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "cannot be opened ({error}); check the path"),
            Self::Empty => write!(f, "expected a MIDI file, got an empty one; export it again"),
            Self::NotMidi(error) => write!(f, "expected a Standard MIDI File, got something else ({error})"),
            Self::Truncated(expected, got) => {
                write!(f, "expected {expected} bytes, got {got}: the file is cut short; copy or export it again")
            }
            Self::Smpte => write!(
                f,
                "expected times in beats, got SMPTE frames, which have no bars; export it with ticks per quarter note"
            ),
            Self::NoNotes => write!(f, "expected notes, got none; export the track that holds them"),
        }
    }
}

/// Reads a file.
pub fn read(path: &Path) -> Result<Phrase, MidiFileError> {
    let source_name = path.display().to_string();
    match std::fs::read(path) {
        Ok(bytes) => parse(&source_name, &bytes),
        Err(error) => Err(MidiFileError { source_name, problem: MidiFileProblem::Io(error) }),
    }
}

/// Reads a file's bytes; `source_name` stands in errors. Tempo and time signature are the first that the file
/// gives, else 120 and 4/4.
pub fn parse(source_name: &str, bytes: &[u8]) -> Result<Phrase, MidiFileError> {
    parse_bytes(bytes).map_err(|problem| MidiFileError { source_name: source_name.to_string(), problem })
}

fn parse_bytes(bytes: &[u8]) -> Result<Phrase, MidiFileProblem> {
    check_length(bytes)?;
    let smf = Smf::parse(bytes).map_err(|error| MidiFileProblem::NotMidi(error.to_string()))?;
    let ticks_per_beat = match smf.header.timing {
        Timing::Metrical(ticks) if ticks.as_int() > 0 => f64::from(ticks.as_int()),
        Timing::Metrical(_) => return Err(MidiFileProblem::NotMidi("0 ticks per quarter note".into())),
        Timing::Timecode(..) => return Err(MidiFileProblem::Smpte),
    };
    let mut phrase = Phrase { tempo_bpm: DEFAULT_TEMPO_BPM, time_signature: (4, 4), tracks: Vec::new() };
    let (mut tempo_tick, mut metre_tick) = (u64::MAX, u64::MAX);
    for events in &smf.tracks {
        let mut tick = 0_u64;
        for event in events {
            tick += u64::from(event.delta.as_int());
            match event.kind {
                TrackEventKind::Meta(MetaMessage::Tempo(us)) if us.as_int() > 0 && tick < tempo_tick => {
                    phrase.tempo_bpm = 60e6 / f64::from(us.as_int());
                    tempo_tick = tick;
                }
                TrackEventKind::Meta(MetaMessage::TimeSignature(beats, power, ..))
                    if beats > 0 && power < 7 && tick < metre_tick =>
                {
                    phrase.time_signature = (beats, 1 << power);
                    metre_tick = tick;
                }
                _ => {}
            }
        }
        phrase.tracks.push(read_track(events, ticks_per_beat));
    }
    phrase.tracks.retain(|track| !track.notes.is_empty());
    if phrase.tracks.is_empty() { Err(MidiFileProblem::NoNotes) } else { Ok(phrase) }
}

/// Finds bytes that are no MIDI file, whose times are in film frames, or that end inside a chunk: midly would read what
/// there is and say nothing.
pub fn check_length(bytes: &[u8]) -> Result<(), MidiFileProblem> {
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

fn read_track(events: &[TrackEvent], ticks_per_beat: f64) -> Track {
    let mut track = Track::default();
    let mut sounding: Vec<(usize, u64)> = Vec::new(); // index into the notes, starting tick
    let mut tick = 0_u64;
    let close = |notes: &mut [Note], (i, start): (usize, u64), tick: u64| {
        notes[i].length_beats = (tick - start) as f64 / ticks_per_beat;
    };
    for event in events {
        tick += u64::from(event.delta.as_int());
        match event.kind {
            TrackEventKind::Meta(MetaMessage::TrackName(name)) => {
                track.name = String::from_utf8_lossy(name).into_owned();
            }
            TrackEventKind::Midi { channel, message } => {
                let (key, velocity) = match message {
                    MidiMessage::NoteOn { key, vel } => (key.as_int(), vel.as_int()),
                    MidiMessage::NoteOff { key, .. } => (key.as_int(), 0),
                    _ => continue,
                };
                let channel = channel.as_int();
                let same = |&(i, _): &(usize, u64)| track.notes[i].pitch == key && track.notes[i].channel == channel;
                // A note that is struck again ends there.
                if let Some(at) = sounding.iter().position(same) {
                    close(&mut track.notes, sounding.remove(at), tick);
                }
                if velocity > 0 {
                    sounding.push((track.notes.len(), tick));
                    let start_beats = tick as f64 / ticks_per_beat;
                    track.notes.push(Note { pitch: key, velocity, channel, start_beats, length_beats: 0.0 });
                }
            }
            _ => {}
        }
    }
    for open in sounding {
        close(&mut track.notes, open, tick);
    }
    track.notes.retain(|note| note.length_beats > 0.0);
    track.notes.sort_by(|a, b| a.start_beats.total_cmp(&b.start_beats).then(b.pitch.cmp(&a.pitch)));
    track
}

/// Writes a file of type 1: tempo and time signature in a first track, then one named track each.
pub fn write(path: &Path, phrase: &Phrase) -> Result<(), MidiFileError> {
    std::fs::write(path, to_bytes(phrase))
        .map_err(|error| MidiFileError { source_name: path.display().to_string(), problem: MidiFileProblem::Io(error) })
}

/// A key signature as a file tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySignature {
    /// Sharps, or flats below 0: -7 to 7.
    pub sharps: i8,
    /// A minor key.
    pub minor: bool,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn phrase() -> Phrase {
        let note =
            |pitch, start_beats, length_beats| Note { pitch, velocity: 90, channel: 1, start_beats, length_beats };
        Phrase {
            tempo_bpm: 96.0,
            time_signature: (3, 4),
            tracks: vec![
                Track {
                    name: "Soprano".into(),
                    notes: vec![note(67, 0.0, 1.0), note(67, 1.0, 0.25), note(69, 1.25, 0.75)],
                },
                Track { name: "Bass".into(), notes: vec![note(48, 0.5, 2.5)] },
            ],
        }
    }

    fn problem(bytes: &[u8]) -> String {
        parse("seed.mid", bytes).unwrap_err().to_string()
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(parse("a", &to_bytes(&phrase())).unwrap(), phrase());
        assert_eq!(phrase().end_beats(), 3.0);
        assert_eq!(phrase().notes().iter().map(|n| n.pitch).collect::<Vec<_>>(), [67, 48, 67, 69]);
    }

    #[test]
    fn a_key_is_told_where_it_is_known() {
        let key_of = |bytes: &[u8]| {
            let smf = Smf::parse(bytes).unwrap();
            smf.tracks[0].iter().find_map(|event| match event.kind {
                TrackEventKind::Meta(MetaMessage::KeySignature(sharps, minor)) => Some((sharps, minor)),
                _ => None,
            })
        };
        let in_c_minor = to_bytes_with(
            &phrase(),
            &Conductor { key: Some(KeySignature { sharps: -3, minor: true }), ..Conductor::default() },
        );
        assert_eq!((key_of(&in_c_minor), key_of(&to_bytes(&phrase()))), (Some((-3, true)), None));
        assert_eq!(parse("a", &in_c_minor).unwrap(), phrase());
    }

    #[test]
    fn tempi_and_metres_follow_each_other_in_the_first_track() {
        let change = |at_beats, tempo_bpm, time_signature| TimeChange { at_beats, tempo_bpm, time_signature };
        let changes = vec![change(1.5, 48.0, (3, 4)), change(3.0, 48.0, (6, 8))];
        let bytes = to_bytes_with(&phrase(), &Conductor { changes, ..Conductor::default() });
        let smf = Smf::parse(&bytes).unwrap();
        let mut tick = 0;
        let mut words = Vec::new();
        for event in &smf.tracks[0] {
            tick += event.delta.as_int();
            match event.kind {
                TrackEventKind::Meta(MetaMessage::Tempo(us)) => words.push(format!("{tick} tempo {}", us.as_int())),
                TrackEventKind::Meta(MetaMessage::TimeSignature(beats, power, ..)) => {
                    words.push(format!("{tick} metre {beats}/{}", 1 << power));
                }
                _ => {}
            }
        }
        assert_eq!(words, ["0 tempo 625000", "0 metre 3/4", "1440 tempo 1250000", "2880 metre 6/8"]);
        assert_eq!(parse("a", &bytes).unwrap(), phrase());
    }

    #[test]
    fn bad_files_say_what_is_wrong() {
        let bytes = to_bytes(&phrase());
        assert_eq!(problem(&[]), "seed.mid: expected a MIDI file, got an empty one; export it again");
        assert!(problem(b"RIFF").contains("does not begin with `MThd`"));
        assert!(problem(&bytes[..40]).contains("cut short"), "{}", problem(&bytes[..40]));
        let mut smpte = bytes.clone();
        smpte[12..14].copy_from_slice(&[0xE7, 0x28]); // 25 frames a second, 40 ticks a frame
        assert!(problem(&smpte).contains("SMPTE"));
        let silent = Phrase { tracks: Vec::new(), ..phrase() };
        assert_eq!(problem(&to_bytes(&silent)), "seed.mid: expected notes, got none; export the track that holds them");
        assert!(read(Path::new("no/such.mid")).unwrap_err().to_string().starts_with("no/such.mid: cannot be opened"));
    }

    #[test]
    fn every_cut_of_a_file_is_refused() {
        let bytes = to_bytes(&phrase());
        for len in 0..bytes.len() {
            assert!(parse("cut", &bytes[..len]).is_err(), "cut at {len} of {}", bytes.len());
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let mut rng = crate::random::SplitMix64::new(9);
        let bytes = to_bytes(&phrase());
        for _ in 0..20_000 {
            let mut mangled = bytes.clone();
            for _ in 0..1 + rng.next_below(6) {
                let at = rng.next_below(mangled.len());
                mangled[at] = rng.next_u64() as u8;
            }
            let _ = parse("mangled", &mangled);
        }
    }
}
