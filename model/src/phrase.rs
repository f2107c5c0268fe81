//! Music as notes in beats: what a MIDI file holds, what was played, what was generated.

/// A note. Times are in beats, quarter notes from the start of the piece.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Note {
    /// MIDI pitch, 60 = middle C.
    pub pitch: u8,
    /// MIDI velocity, 1 to 127.
    pub velocity: u8,
    /// MIDI channel, 0 to 15.
    pub channel: u8,
    /// When it starts, beats.
    pub start_beats: f64,
    /// How long it sounds, beats.
    pub length_beats: f64,
}

impl Note {
    /// When it ends, beats.
    pub fn end_beats(&self) -> f64 {
        self.start_beats + self.length_beats
    }
}

/// Notes that belong together, such as a voice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Track {
    /// What a DAW shows as the track's name.
    pub name: String,
    /// In order of start, then pitch.
    pub notes: Vec<Note>,
}

/// A piece of music in one tempo and metre.
#[derive(Clone, Debug, PartialEq)]
pub struct Phrase {
    /// Quarter notes a minute.
    pub tempo_bpm: f64,
    /// Beats in a bar, and which note is one of them (4 = quarter).
    pub time_signature: (u8, u8),
    /// The voices.
    pub tracks: Vec<Track>,
}

impl Phrase {
    /// All notes of all tracks, in order of start, then from the top.
    pub fn notes(&self) -> Vec<Note> {
        let mut notes: Vec<Note> = self.tracks.iter().flat_map(|track| track.notes.iter().copied()).collect();
        notes.sort_by(|a, b| a.start_beats.total_cmp(&b.start_beats).then(b.pitch.cmp(&a.pitch)));
        notes
    }

    /// Length of a bar, beats.
    pub fn bar_beats(&self) -> f64 {
        f64::from(self.time_signature.0) * 4.0 / f64::from(self.time_signature.1)
    }

    /// When the last note ends, beats; 0 without notes.
    pub fn end_beats(&self) -> f64 {
        self.tracks.iter().flat_map(|track| &track.notes).map(Note::end_beats).fold(0.0, f64::max)
    }
}
