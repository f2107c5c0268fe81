//! Lays out what a plugin sent in beats and makes the tracks of a MIDI file from it. Plain values, of no thread.

use continuo_model::phrase::{Note, Track};

use crate::fake_host::EventKind;

/// The voices on output channels 1 to 4, from the top.
pub use continuo_model::tokeniser::grid::VOICE_NAMES;

/// Notes as they were sent, channel by channel.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// In the order of their note-ons. A sounding note has length 0 as yet.
    notes: Vec<Note>,
    /// Indices of sounding notes in `notes`.
    sounding: Vec<usize>,
}

impl Timeline {
    /// Adds the next event; ignores all but note-ons and note-offs. Times must not decrease.
    pub fn push(&mut self, pos_beats: f64, kind: &EventKind) {
        match *kind {
            EventKind::NoteOn { channel, key, velocity } => {
                // A note that is struck again ends there, as in readers of MIDI files.
                self.end(pos_beats, channel, key);
                self.sounding.push(self.notes.len());
                self.notes.push(Note {
                    pitch: key,
                    velocity: midi_velocity(velocity),
                    channel,
                    start_beats: pos_beats,
                    length_beats: 0.0,
                });
            }
            EventKind::NoteOff { channel, key, .. } => self.end(pos_beats, channel, key),
            _ => {}
        }
    }

    /// Ends every sounding note, as notes in a file must end.
    pub fn end_all(&mut self, pos_beats: f64) {
        for idx in std::mem::take(&mut self.sounding) {
            self.notes[idx].length_beats = pos_beats - self.notes[idx].start_beats;
        }
    }

    /// One track for each of the four voices that has notes, from the top.
    pub fn voices(&self) -> Vec<Track> {
        let voices = VOICE_NAMES.iter().zip(0_u8..);
        let tracks = voices.map(|(name, channel)| self.track(name, channel));
        tracks.filter(|track| !track.notes.is_empty()).collect()
    }

    /// The number of notes on channels above the fourth, which have no voice.
    pub fn num_elsewhere(&self) -> usize {
        let is_voice = |note: &&Note| usize::from(note.channel) < VOICE_NAMES.len();
        self.notes.len() - self.notes.iter().filter(is_voice).count()
    }

    /// The notes of a channel (from 0) in file order: by start, then from the top.
    pub fn track(&self, name: &str, channel: u8) -> Track {
        let of_channel = |note: &&Note| note.channel == channel;
        let mut notes: Vec<Note> = self.notes.iter().filter(of_channel).copied().collect();
        notes.sort_by(|a, b| a.start_beats.total_cmp(&b.start_beats).then(b.pitch.cmp(&a.pitch)));
        Track { name: name.into(), notes }
    }

    fn end(&mut self, pos_beats: f64, channel: u8, key: u8) {
        let notes = &mut self.notes;
        self.sounding.retain(|&idx| {
            let note = &mut notes[idx];
            let ends = note.channel == channel && note.pitch == key;
            if ends {
                note.length_beats = pos_beats - note.start_beats;
            }
            !ends
        });
    }
}

/// A velocity of 0 to 1 as MIDI's 1 to 127: 0 would be a note-off.
fn midi_velocity(velocity: f32) -> u8 {
    (velocity * 127.0).round().clamp(1.0, 127.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `0.5 on 1 60` is beats, what, channel from 1, key; all velocities are 100.
    fn timeline(text: &str) -> Timeline {
        let mut timeline = Timeline::default();
        for event in text.split(',') {
            let words: Vec<&str> = event.split_whitespace().collect();
            let channel = words[2].parse::<u8>().unwrap() - 1;
            let key = words[3].parse().unwrap();
            let velocity = 100.0 / 127.0;
            let kind = match words[1] {
                "on" => EventKind::NoteOn { channel, key, velocity },
                "off" => EventKind::NoteOff { channel, key, velocity },
                other => panic!("unknown event {other}"),
            };
            timeline.push(words[0].parse().unwrap(), &kind);
        }
        timeline
    }

    /// `Alto 60 0.5+1` is a voice, a pitch, its start and its length.
    fn check(text: &str, expect: &[&str]) {
        let mut timeline = timeline(text);
        timeline.end_all(16.0);
        let mut found = Vec::new();
        for track in timeline.voices() {
            for note in &track.notes {
                assert_eq!(note.velocity, 100);
                let (name, start, length) = (&track.name, note.start_beats, note.length_beats);
                found.push(format!("{name} {} {start}+{length}", note.pitch));
            }
        }
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn a_channel_is_a_voice() {
        check(
            "0 on 1 72, 0 on 4 48, 1 off 1 72, 1 on 1 74, 2 off 1 74, 4 off 4 48",
            &["Soprano 72 0+1", "Soprano 74 1+1", "Bass 48 0+4"],
        );
    }

    #[test]
    fn equal_pitches_on_two_channels_are_two_notes() {
        check("0 on 2 60, 0 on 3 60, 1 off 3 60, 2 off 2 60", &["Alto 60 0+2", "Tenor 60 0+1"]);
    }

    #[test]
    fn a_note_struck_again_ends_there() {
        check("0 on 1 60, 1 on 1 60, 3 off 1 60", &["Soprano 60 0+1", "Soprano 60 1+2"]);
    }

    #[test]
    fn a_note_left_open_ends_with_the_music() {
        check("15 on 1 60", &["Soprano 60 15+1"]);
    }

    #[test]
    fn channels_above_the_fourth_are_counted_apart() {
        let timeline = timeline("0 on 1 60, 0 on 5 61, 0 on 16 62, 1 off 1 60");
        assert_eq!(timeline.num_elsewhere(), 2);
        assert_eq!(timeline.voices().len(), 1);
    }

    #[test]
    fn velocities_keep_their_number() {
        for number in 1..=127_u8 {
            assert_eq!(midi_velocity(f32::from(number) / 127.0), number);
        }
        assert_eq!([midi_velocity(0.0), midi_velocity(2.0)], [1, 127]);
    }
}
