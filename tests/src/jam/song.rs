//! The song of a jam: the seed phrase as events at samples, in one tempo and metre. Plain values, of no thread.

use continuo_model::phrase::{Note, Phrase, Track};

use crate::fake_host::{EventKind, Transport};
use crate::host_clock::{Bars, HostClock};

/// The song that the host plays. The transport starts at its first sample, 0.
#[derive(Clone, Debug)]
pub struct Song {
    /// Its tempo and sample rate.
    pub clock: HostClock,
    /// Its metre.
    pub bars: Bars,
    /// Where the transport stops.
    pub num_bars: u32,
    /// What the player plays: all voices of the seed phrase as one line of notes.
    pub notes: Vec<Note>,
    /// The notes as events, in order; note-offs before note-ons at one sample.
    pub events: Vec<(i64, EventKind)>,
}

impl Song {
    /// A song of `num_bars` bars that begins with the phrase, played on channel 0 (MIDI's first).
    pub fn new(seed_phrase: &Phrase, num_bars: u32, clock: HostClock) -> Self {
        let (count, unit) = seed_phrase.time_signature;
        let notes = one_line(&seed_phrase.notes());
        let mut song = Self { clock, bars: Bars::of((count.into(), unit.into())), num_bars, notes, events: Vec::new() };
        song.events = song.note_events();
        song
    }

    /// Where the transport stops, in samples.
    pub fn end_samples(&self) -> i64 {
        self.clock.to_samples(self.end_beats())
    }

    /// How long it plays, in seconds.
    pub fn seconds(&self) -> f64 {
        self.clock.seconds(self.end_beats())
    }

    fn end_beats(&self) -> f64 {
        f64::from(self.num_bars) * self.bars.beats()
    }

    /// The transport of a block that starts at a sample. It stands before the song and after it.
    pub fn transport(&self, samples: i64) -> Transport {
        let song_samples = samples.clamp(0, self.end_samples());
        let playing = (0..self.end_samples()).contains(&samples);
        let transport = self.bars.announced_in(self.clock.transport(playing, song_samples));
        Transport { pos_samples: song_samples, ..transport }
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
            let start = self.clock.to_samples(note.start_beats);
            let end = self.clock.to_samples(note.end_beats()).max(start + 1);
            events.push((start, EventKind::NoteOn { channel, key, velocity }));
            events.push((end, EventKind::NoteOff { channel, key, velocity: 0.5 }));
        }
        events.sort_by_key(|(at, kind)| (*at, matches!(kind, EventKind::NoteOn { .. })));
        events
    }
}

/// The notes of several voices as one player's: a key that two voices strike at once is struck once and held for the
/// longer note, and a key that is struck again while it sounds is released first.
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

    fn song(notes: &[Note], time_signature: (u8, u8)) -> Song {
        let phrase = Phrase {
            tempo_bpm: 100.0,
            time_signature,
            tracks: vec![Track { name: "Seed".into(), notes: notes.to_vec() }],
        };
        Song::new(&phrase, 4, HostClock::AT_120)
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
            song.clock.tempo_bpm = tempo;
            for bar in 1..4 {
                let line = song.clock.to_samples(f64::from(bar) * 4.0);
                for samples in line - 2..=line + 2 {
                    let transport = song.transport(samples);
                    let into_bar = transport.pos_beats.unwrap() - transport.bar_start_beats.unwrap();
                    assert!((-1e-9..4.0).contains(&into_bar), "tempo {tempo} sample {samples}: {into_bar}");
                }
            }
        }
    }
}
