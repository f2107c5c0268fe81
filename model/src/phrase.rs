//! Music as notes in beats: what a MIDI file holds, what was played, what was generated.

use crate::tokeniser::grid::{NUM_VOICES, STEPS_PER_BEAT, VOICE_NAMES};
use crate::vocabulary::Symbol;

/// Of notes that come from the grid, which knows no velocities.
const GRID_VELOCITY: u8 = 80;

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
    /// Four voices, a row a 16th step, as four named tracks on channels 1 to 4.
    pub fn of_rows(rows: &[[Symbol; NUM_VOICES]], tempo_bpm: f64, time_signature: (u8, u8)) -> Self {
        let step_beats = 1.0 / STEPS_PER_BEAT as f64;
        let tracks = (0..NUM_VOICES).map(|voice| {
            let mut notes: Vec<Note> = Vec::new();
            let mut sounding = false;
            for (step, row) in rows.iter().enumerate() {
                match row[voice] {
                    Symbol::Rest => sounding = false,
                    Symbol::Hold => {
                        if let Some(note) = notes.last_mut().filter(|_| sounding) {
                            note.length_beats += step_beats;
                        }
                    }
                    Symbol::Pitch(pitch) => {
                        let start_beats = step as f64 * step_beats;
                        let channel = voice as u8;
                        notes.push(Note {
                            pitch,
                            velocity: GRID_VELOCITY,
                            channel,
                            start_beats,
                            length_beats: step_beats,
                        });
                        sounding = true;
                    }
                }
            }
            Track { name: VOICE_NAMES[voice].into(), notes }
        });
        Self { tempo_bpm, time_signature, tracks: tracks.collect() }
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use Symbol::{Hold, Pitch, Rest};

    #[test]
    fn rows_become_notes() {
        let rows =
            [[Pitch(67), Rest, Pitch(55), Pitch(48)], [Hold, Pitch(60), Hold, Hold], [Pitch(67), Hold, Rest, Hold]];
        let phrase = Phrase::of_rows(&rows, 100.0, (4, 4));
        let times = |voice: usize| -> Vec<_> {
            phrase.tracks[voice].notes.iter().map(|n| (n.pitch, n.start_beats, n.length_beats)).collect()
        };
        assert_eq!((phrase.tracks[0].name.as_str(), phrase.tracks[3].notes[0].channel), ("Soprano", 3));
        assert_eq!(times(0), [(67, 0.0, 0.5), (67, 0.5, 0.25)]);
        assert_eq!([times(1), times(2), times(3)], [[(60, 0.25, 0.5)], [(55, 0.0, 0.5)], [(48, 0.0, 0.75)]]);
    }
}
