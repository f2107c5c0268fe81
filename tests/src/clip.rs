//! Reads a MIDI file with an independent parser, not the project's own. Plain values, of no thread.

use anyhow::{Context, Result, ensure};
use midi_file::MidiFile;
use midi_file::core::Message;
use midi_file::file::{Division, Event, Format, KeyMode, MetaEvent, Track};

/// The contents of a clip; times are in ticks.
#[derive(Debug, Default, PartialEq)]
pub struct Clip {
    /// Ticks a quarter note.
    pub ticks_per_beat: u16,
    /// Time and microseconds a quarter note.
    pub tempi: Vec<(u32, u32)>,
    /// Time, beats in a bar, and which note is one.
    pub metres: Vec<(u32, u8, u16)>,
    /// Time, sharps (flats below 0), and whether it is minor.
    pub keys: Vec<(u32, i8, bool)>,
    /// The end of each track, first the one without notes.
    pub ends: Vec<u32>,
    /// Name and notes of each track that has notes.
    pub tracks: Vec<(String, Vec<ClipNote>)>,
}

/// Channel from 0, key, velocity, start and length.
pub type ClipNote = (u8, u8, u8, u32, u32);

/// Reads a file's bytes.
///
/// # Errors
/// If the file is not of type 1 with times in beats, a note-off has no note-on, or a note never ends.
pub fn read(bytes: &[u8]) -> Result<Clip> {
    let file = MidiFile::read(bytes).context("the other parser")?;
    ensure!(file.header().format() == Format::Multi, "expected a file of type 1, got {:?}", file.header());
    let Division::QuarterNote(division) = file.header().division() else {
        anyhow::bail!("expected times in beats, got {:?}", file.header());
    };
    let mut clip = Clip { ticks_per_beat: division.get(), ..Clip::default() };
    for track in file.tracks() {
        clip.read_track(track)?;
    }
    Ok(clip)
}

impl Clip {
    fn read_track(&mut self, track: &Track) -> Result<()> {
        let (mut name, mut time) = (String::new(), 0);
        let mut notes: Vec<ClipNote> = Vec::new();
        let mut sounding: Vec<usize> = Vec::new();
        for event in track.events() {
            time += event.delta_time();
            match event.event() {
                Event::Meta(MetaEvent::TrackName(text)) => name = text.as_str().into_owned(),
                Event::Meta(MetaEvent::SetTempo(tempo)) => self.tempi.push((time, tempo.get())),
                Event::Meta(MetaEvent::TimeSignature(metre)) => {
                    self.metres.push((time, metre.numerator(), 1 << metre.denominator() as u16));
                }
                Event::Meta(MetaEvent::KeySignature(key)) => {
                    self.keys.push((time, key.accidentals().get(), key.mode() == KeyMode::Minor));
                }
                Event::Midi(Message::NoteOn(note)) if note.velocity().get() > 0 => {
                    sounding.push(notes.len());
                    notes.push((note.channel().get(), note.note_number().get(), note.velocity().get(), time, u32::MAX));
                }
                Event::Midi(Message::NoteOn(note) | Message::NoteOff(note)) => {
                    let (channel, key) = (note.channel().get(), note.note_number().get());
                    let of_note = |&n: &usize| (notes[n].0, notes[n].1) == (channel, key);
                    let place = sounding.iter().position(of_note).with_context(|| {
                        format!("channel {channel} key {key}: expected a note-on before the note-off at {time}")
                    })?;
                    let ended = &mut notes[sounding.remove(place)];
                    ended.4 = time - ended.3;
                }
                _ => {}
            }
        }
        ensure!(sounding.is_empty(), "{name}: expected every note to end, {} sound on", sounding.len());
        self.ends.push(time);
        if !notes.is_empty() {
            self.tracks.push((name, notes));
        }
        Ok(())
    }
}
