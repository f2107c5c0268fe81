//! Music as notes in beats: what a MIDI file holds, what was played, what was generated.

use crate::decision::{Decision, Edge, TICKS_PER_STEP};
use crate::tokeniser::grid::{NUM_VOICES, STEPS_PER_BEAT, VOICE_NAMES};
use crate::vocabulary::Symbol;

/// Of notes that come from the grid, which knows no velocities.
const GRID_VELOCITY: u8 = 80;
const TICKS_PER_BEAT: f64 = STEPS_PER_BEAT as f64 * TICKS_PER_STEP as f64;

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

    /// The notes of decisions, one for each step from the start, as a track for each lane. Notes that sound at the end
    /// last until the end of the last step.
    pub fn of_decisions(decisions: &[Decision], tempo_bpm: f64, time_signature: (u8, u8)) -> Self {
        let beats = |step: usize, tick: u8| step as f64 / STEPS_PER_BEAT as f64 + f64::from(tick) / TICKS_PER_BEAT;
        let mut tracks: Vec<Track> = Vec::new();
        let mut sounding: Vec<(u8, Note)> = Vec::new();
        let mut end = |sounding: &mut Vec<(u8, Note)>, at: f64, ends: &dyn Fn(u8, u8) -> bool| {
            sounding.retain(|&(lane, note)| {
                if !ends(lane, note.pitch) {
                    return true;
                }
                let lane = usize::from(lane);
                if tracks.len() <= lane {
                    tracks.resize_with(lane + 1, Track::default);
                }
                tracks[lane].notes.push(Note { length_beats: at - note.start_beats, ..note });
                false
            });
        };
        for (step, decision) in decisions.iter().enumerate() {
            for edge in decision.edges() {
                let at = beats(step, edge.tick());
                end(&mut sounding, at, &|lane, key| (lane, key) == (edge.lane(), edge.key()));
                if let Edge::On { lane, key, velocity, .. } = *edge {
                    let velocity = if velocity == 0 { GRID_VELOCITY } else { velocity };
                    sounding
                        .push((lane, Note { pitch: key, velocity, channel: lane, start_beats: at, length_beats: 0.0 }));
                }
            }
            end(&mut sounding, beats(step + 1, 0), &|lane, key| !decision.sounding.contains(lane, key));
        }
        end(&mut sounding, beats(decisions.len(), 0), &|_, _| true);
        for (lane, track) in tracks.iter_mut().enumerate() {
            track.name = format!("Lane {}", lane + 1);
            track.notes.retain(|note| note.length_beats > 0.0);
            let order = |a: &Note, b: &Note| a.start_beats.total_cmp(&b.start_beats).then(a.pitch.cmp(&b.pitch));
            track.notes.sort_by(order);
        }
        Self { tempo_bpm, time_signature, tracks }
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
    fn decisions_become_notes_with_ticks_and_velocities() {
        let mut first = Decision::SILENCE;
        first.push(Edge::On { lane: 1, key: 50, velocity: 90, tick: 12 });
        first.push(Edge::On { lane: 0, key: 70, velocity: 0, tick: 0 });
        let mut second = Decision::holding(first.sounding);
        second.push(Edge::Off { lane: 1, key: 50, tick: 6 });
        second.push(Edge::On { lane: 0, key: 70, velocity: 10, tick: 3 });
        let phrase = Phrase::of_decisions(&[first, second, Decision::SILENCE], 100.0, (4, 4));
        let notes = |lane: usize| -> Vec<_> {
            let notes = phrase.tracks[lane].notes.iter();
            notes.map(|n| (n.pitch, n.velocity, n.start_beats * 96.0, n.length_beats * 96.0)).collect()
        };
        // A note that the next decision does not know ends with its step.
        assert_eq!(notes(0), [(70, 80, 0.0, 27.0), (70, 10, 27.0, 45.0)]);
        assert_eq!(notes(1), [(50, 90, 12.0, 18.0)]);
    }

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
