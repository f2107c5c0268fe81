//! Between phrases, which have notes in beats, and rows of the grid, which have symbols in steps.

use super::grid::{NUM_VOICES, STEPS_PER_BEAT, VOICE_NAMES};
use crate::phrase::{Note, Phrase, Track};
use crate::vocabulary::Symbol;

const VELOCITY: u8 = 80;

/// Four voices as a phrase of four named tracks on channels 1 to 4.
pub fn to_phrase(rows: &[[Symbol; NUM_VOICES]], tempo_bpm: f64, time_signature: (u8, u8)) -> Phrase {
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
                    notes.push(Note { pitch, velocity: VELOCITY, channel, start_beats, length_beats: step_beats });
                    sounding = true;
                }
            }
        }
        Track { name: VOICE_NAMES[voice].into(), notes }
    });
    Phrase { tempo_bpm, time_signature, tracks: tracks.collect() }
}

/// Reads a phrase as rows of 16th steps; a note starts on the nearest step and fills at least one. Four tracks are
/// the four voices. Otherwise all notes together are one melody, the highest where several sound, and the voices
/// below it are `None`: nothing is said of them.
pub fn from_phrase(phrase: &Phrase) -> Vec<[Option<Symbol>; NUM_VOICES]> {
    let step_of = |beats: f64| (beats * STEPS_PER_BEAT as f64).round().max(0.0) as usize;
    let lines: Vec<Vec<Note>> = match phrase.tracks.len() {
        NUM_VOICES => phrase.tracks.iter().map(|track| track.notes.clone()).collect(),
        _ => vec![phrase.notes()],
    };
    let steps = lines.iter().flatten().map(|n| step_of(n.end_beats()).max(step_of(n.start_beats) + 1)).max();
    let mut rows = vec![[None; NUM_VOICES]; steps.unwrap_or(0)];
    for (voice, notes) in lines.iter().enumerate() {
        rows.iter_mut().for_each(|row| row[voice] = Some(Symbol::Rest));
        // From the lowest up, so that a higher note that sounds at the same time has the last word.
        let mut notes = notes.clone();
        notes.sort_by_key(|note| note.pitch);
        for note in notes {
            let start = step_of(note.start_beats);
            let end = step_of(note.end_beats()).max(start + 1);
            rows[start][voice] = Some(Symbol::Pitch(note.pitch));
            rows[start + 1..end].iter_mut().for_each(|row| row[voice] = Some(Symbol::Hold));
            // What a higher note has cut off goes on after it as a rest.
            let cut = rows[end..].iter_mut().take_while(|row| row[voice] == Some(Symbol::Hold));
            cut.for_each(|row| row[voice] = Some(Symbol::Rest));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use Symbol::{Hold, Pitch, Rest};

    #[test]
    fn rows_become_notes_and_come_back() {
        let rows =
            [[Pitch(67), Rest, Pitch(55), Pitch(48)], [Hold, Pitch(60), Hold, Hold], [Pitch(67), Hold, Rest, Hold]];
        let phrase = to_phrase(&rows, 100.0, (4, 4));
        let soprano = &phrase.tracks[0];
        assert_eq!(soprano.name, "Soprano");
        let times: Vec<_> = soprano.notes.iter().map(|n| (n.pitch, n.start_beats, n.length_beats)).collect();
        assert_eq!(times, [(67, 0.0, 0.5), (67, 0.5, 0.25)]);
        assert_eq!(from_phrase(&phrase), rows.map(|row| row.map(Some)));
    }

    #[test]
    fn one_track_is_a_melody() {
        let note =
            |pitch, start_beats, length_beats| Note { pitch, velocity: 80, channel: 0, start_beats, length_beats };
        let notes = vec![note(60, 0.02, 1.0), note(64, 0.26, 0.25), note(67, 1.0, 0.1)];
        let phrase =
            Phrase { tempo_bpm: 120.0, time_signature: (4, 4), tracks: vec![Track { name: String::new(), notes }] };
        let rows = from_phrase(&phrase);
        let melody: Vec<_> = rows.iter().map(|row| row[0].unwrap()).collect();
        assert_eq!(melody, [Pitch(60), Pitch(64), Rest, Rest, Pitch(67)]);
        assert!(rows.iter().all(|row| row[1..] == [None; 3]));
    }
}
