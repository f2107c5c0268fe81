//! What the host plays: the seed phrase as events at samples of a song in one tempo. Plain values.

use continuo_model::phrase::{Note, Phrase, Track};

use crate::fake_host::{EventKind, Transport};

/// The song that the host plays, from sample 0, where the transport starts.
#[derive(Clone, Debug)]
pub struct HostSong {
    /// Quarter notes a minute.
    pub tempo_bpm: f64,
    /// Beats in a bar, and which note is one of them.
    pub time_signature: (u8, u8),
    /// Where the transport stops.
    pub num_bars: u32,
    /// In Hz.
    pub sample_rate: f64,
    /// What is played: all voices of the seed phrase as one line of notes.
    pub notes: Vec<Note>,
    /// In order; note-offs before note-ons at one sample.
    pub events: Vec<(i64, EventKind)>,
}

impl HostSong {
    /// A song of `num_bars` bars that begins with the phrase, played on channel 0 (MIDI's first).
    pub fn new(seed_phrase: &Phrase, tempo_bpm: f64, num_bars: u32, sample_rate: f64) -> Self {
        let mut song = Self {
            tempo_bpm,
            time_signature: seed_phrase.time_signature,
            num_bars,
            sample_rate,
            notes: one_line(&seed_phrase.notes()),
            events: Vec::new(),
        };
        song.events = song.note_events();
        song
    }

    /// How many samples last a quarter note.
    pub fn samples_per_beat(&self) -> f64 {
        self.sample_rate * 60.0 / self.tempo_bpm
    }

    /// Quarter notes in a bar.
    pub fn bar_beats(&self) -> f64 {
        f64::from(self.time_signature.0) * 4.0 / f64::from(self.time_signature.1)
    }

    /// Where the transport stops, in quarter notes.
    pub fn end_beats(&self) -> f64 {
        f64::from(self.num_bars) * self.bar_beats()
    }

    /// Where the transport stops, in samples.
    pub fn end_samples(&self) -> i64 {
        self.to_samples(self.end_beats())
    }

    /// How long it plays, in seconds.
    pub fn seconds(&self) -> f64 {
        self.end_beats() * 60.0 / self.tempo_bpm
    }

    /// The song position of a sample, in quarter notes.
    pub fn to_beats(&self, samples: i64) -> f64 {
        samples as f64 / self.samples_per_beat()
    }

    /// The sample nearest to a song position.
    pub fn to_samples(&self, beats: f64) -> i64 {
        (beats * self.samples_per_beat()).round() as i64
    }

    /// The bar of a sample, from 0.
    pub fn bar_of(&self, samples: i64) -> u32 {
        // A block that starts at a bar line belongs to the bar that it opens, whatever the last bit of the division
        // says.
        ((self.to_beats(samples) + 1e-9) / self.bar_beats()) as u32
    }

    /// What the host says at the start of a block there: in front of the song and behind it, a stopped transport.
    pub fn transport(&self, samples: i64) -> Transport {
        let song_samples = samples.clamp(0, self.end_samples());
        let bar = self.bar_of(song_samples);
        let (beats, unit) = self.time_signature;
        Transport {
            playing: (0..self.end_samples()).contains(&samples),
            tempo_bpm: Some(self.tempo_bpm),
            pos_beats: Some(self.to_beats(song_samples)),
            bar_start_beats: Some(f64::from(bar) * self.bar_beats()),
            bar_number: bar as i32,
            time_signature: Some((beats.into(), unit.into())),
            loop_range_beats: None,
            pos_samples: song_samples,
        }
    }

    /// The played notes as a track of the file.
    pub fn played(&self) -> Track {
        Track { name: "Played".into(), notes: self.notes.clone() }
    }

    fn note_events(&self) -> Vec<(i64, EventKind)> {
        let mut events = Vec::with_capacity(2 * self.notes.len());
        for note in &self.notes {
            let (channel, key) = (0, note.pitch);
            let velocity = f32::from(note.velocity) / 127.0;
            let start = self.to_samples(note.start_beats);
            let end = self.to_samples(note.end_beats()).max(start + 1);
            events.push((start, EventKind::NoteOn { channel, key, velocity }));
            events.push((end, EventKind::NoteOff { channel, key, velocity: 0.5 }));
        }
        events.sort_by_key(|(at, kind)| (*at, matches!(kind, EventKind::NoteOn { .. })));
        events
    }
}

/// Notes of several voices as one player's: a key that two voices want at once is struck once and held for the longer,
/// and one that is struck again while it sounds is let go for it.
fn one_line(notes: &[Note]) -> Vec<Note> {
    let mut line: Vec<Note> = Vec::with_capacity(notes.len());
    for note in notes {
        let same_key = line.iter_mut().rev().find(|earlier| earlier.pitch == note.pitch);
        match same_key {
            Some(earlier) if earlier.start_beats == note.start_beats => {
                earlier.length_beats = earlier.length_beats.max(note.length_beats);
                earlier.velocity = earlier.velocity.max(note.velocity);
                continue;
            }
            Some(earlier) if earlier.end_beats() > note.start_beats => {
                earlier.length_beats = note.start_beats - earlier.start_beats;
            }
            _ => {}
        }
        line.push(*note);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(pitch: u8, start_beats: f64, length_beats: f64) -> Note {
        Note { pitch, velocity: 80, channel: 3, start_beats, length_beats }
    }

    fn song(notes: &[Note], time_signature: (u8, u8)) -> HostSong {
        let phrase = Phrase {
            tempo_bpm: 100.0,
            time_signature,
            tracks: vec![Track { name: "Seed".into(), notes: notes.to_vec() }],
        };
        HostSong::new(&phrase, 120.0, 4, 48_000.0)
    }

    /// `24000 on 60` is a sample, what and a key.
    fn check(notes: &[Note], expect: &[&str]) {
        let events = song(notes, (4, 4)).events;
        let found: Vec<String> = events
            .iter()
            .map(|(at, kind)| match kind {
                EventKind::NoteOn { channel: 0, key, .. } => format!("{at} on {key}"),
                EventKind::NoteOff { channel: 0, key, .. } => format!("{at} off {key}"),
                other => panic!("unexpected {other:?}"),
            })
            .collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn notes_become_events_at_samples() {
        check(&[note(60, 0.0, 1.0), note(62, 1.0, 0.5)], &["0 on 60", "24000 off 60", "24000 on 62", "36000 off 62"]);
        check(&[note(60, 0.0, 0.000001)], &["0 on 60", "1 off 60"]);
    }

    #[test]
    fn a_key_is_never_struck_twice() {
        check(&[note(60, 0.0, 2.0), note(60, 1.0, 1.0)], &["0 on 60", "24000 off 60", "24000 on 60", "48000 off 60"]);
        check(&[note(60, 0.0, 1.0), note(60, 0.0, 2.0)], &["0 on 60", "48000 off 60"]);
    }

    #[test]
    fn the_transport_runs_from_the_first_bar_to_the_last() {
        let song = song(&[note(60, 0.0, 1.0)], (3, 4));
        let check = |samples: i64, playing: bool, pos_beats: f64, bar: i32| {
            let transport = song.transport(samples);
            let found = (transport.playing, transport.pos_beats, transport.bar_number);
            assert_eq!(found, (playing, Some(pos_beats), bar), "sample {samples}");
            assert_eq!(transport.bar_start_beats, Some(f64::from(bar) * 3.0));
            assert_eq!((transport.tempo_bpm, transport.time_signature), (Some(120.0), Some((3, 4))));
        };
        check(-512, false, 0.0, 0);
        check(0, true, 0.0, 0);
        check(36_000, true, 1.5, 0);
        check(72_000, true, 3.0, 1);
        check(4 * 72_000 - 24, true, 11.999, 3);
        check(4 * 72_000, false, 12.0, 4);
        check(4 * 72_000 + 5000, false, 12.0, 4);
    }

    #[test]
    fn a_bar_starts_at_or_before_the_playhead() {
        let mut song = song(&[note(60, 0.0, 1.0)], (4, 4));
        for tempo in [83.7, 91.999_987, 120.0, 133.3, 200.0 / 3.0] {
            song.tempo_bpm = tempo;
            for bar in 1..4 {
                let line = song.to_samples(f64::from(bar) * 4.0);
                for samples in line - 2..=line + 2 {
                    let transport = song.transport(samples);
                    let into_bar = transport.pos_beats.unwrap() - transport.bar_start_beats.unwrap();
                    assert!((-1e-9..4.0).contains(&into_bar), "tempo {tempo} sample {samples}: {into_bar}");
                }
            }
        }
    }
}
