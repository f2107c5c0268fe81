//! Music to compare: a piece as events in time, whatever its format.

use crate::corpus::piece::{self, Piece, TICKS_PER_BEAT};
use crate::preparation::{Identity, name_of};

/// Notes that start within this much of the first one are one event, in quarter notes: 6 of 96 ticks, 31 ms at 120 bpm.
/// Performed chords are spread by up to 30 ms; the 32nds of a score lie twice as far apart.
const EVENT_QUARTERS: f64 = 1.0 / 16.0;
/// A bar of the comparison, in quarter notes, whatever the metre of the file: generated music is in 4/4, and performed
/// music in none.
pub const BAR_QUARTERS: usize = 4;
/// 16ths in a bar.
pub const BAR_STEPS: usize = 4 * BAR_QUARTERS;
/// A window in bars.
pub const WINDOW_BARS: usize = 4;

/// Which notes of a piece count, and for how long they sound.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// Compare the drums instead of the pitched parts.
    pub drums: bool,
    /// The sustain pedal lengthens notes.
    pub pedal: bool,
}

/// A note. Times are in quarter notes from the first bar after the pickup.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Note {
    /// When it starts; below 0 in a pickup.
    pub start: f64,
    /// When it ends.
    pub end: f64,
    /// MIDI pitch.
    pub pitch: u8,
    /// MIDI velocity, if the format has one.
    pub velocity: Option<u8>,
}

/// Notes that start together.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When its first note starts.
    pub start: f64,
    /// From the top; no two of the same pitch.
    pub notes: Vec<Note>,
}

impl Event {
    /// The nearest 16th, counted from the first bar.
    pub fn step(&self) -> i64 {
        (4.0 * self.start).round() as i64
    }
}

/// A piece.
#[derive(Clone, Debug, PartialEq)]
pub struct Music {
    /// Its file, and its position there.
    pub source: String,
    /// Its name, to find other editions of the same work.
    pub name: String,
    /// In order of time; none is in the pickup.
    pub events: Vec<Event>,
    /// Its length in bars. The last bar counts if at least half of it is there.
    pub bars: usize,
}

impl Music {
    /// The music of a piece; `None` if it has no notes of the wanted kind.
    pub fn of(piece: &Piece, reading: Reading) -> Option<Self> {
        let pickup = piece.pickup();
        let quarters = |ticks: u64| (ticks as f64 - pickup as f64) / TICKS_PER_BEAT as f64;
        let note = |note: piece::Note| Note {
            start: quarters(note.onset),
            end: quarters(note.end()),
            pitch: note.pitch,
            velocity: note.velocity,
        };
        let parts = if reading.drums { &piece.drums } else { &piece.parts };
        let sounding = |part: &piece::Part| if reading.pedal { part.pedalled() } else { part.notes.clone() };
        let notes = parts.iter().flat_map(sounding).map(note).filter(|note| note.start >= -EVENT_QUARTERS);
        let events = events(notes.collect());
        let end = events.iter().flat_map(|event| &event.notes).map(|note| note.end).fold(0.0, f64::max);
        (!events.is_empty()).then(|| Self {
            source: piece.source.clone(),
            name: name_of(piece),
            bars: (end / BAR_QUARTERS as f64).round() as usize,
            events,
        })
    }

    /// The piece without its first bars.
    pub fn without_first(mut self, bars: usize) -> Self {
        let (steps, quarters) = ((bars * BAR_STEPS) as i64, (bars * BAR_QUARTERS) as f64);
        self.events.retain(|event| event.step() >= steps);
        for event in &mut self.events {
            event.start -= quarters;
            for note in &mut event.notes {
                (note.start, note.end) = (note.start - quarters, note.end - quarters);
            }
        }
        self.bars = self.bars.saturating_sub(bars);
        self
    }

    /// Its name and its top line, by which near-duplicates are found.
    pub fn identity(&self) -> Identity {
        let top_line = self.events.iter().map(|event| event.notes[0].pitch).collect();
        Identity { name: self.name.clone(), split: None, top_line }
    }

    /// All its notes, event by event, from the top.
    pub fn notes(&self) -> impl Iterator<Item = &Note> {
        self.events.iter().flat_map(|event| &event.notes)
    }
}

/// Notes in events.
fn events(mut notes: Vec<Note>) -> Vec<Event> {
    notes.sort_by(|a, b| a.start.total_cmp(&b.start).then(b.pitch.cmp(&a.pitch)).then(b.end.total_cmp(&a.end)));
    let mut events: Vec<Event> = Vec::new();
    for note in notes {
        match events.last_mut().filter(|event| note.start - event.start <= EVENT_QUARTERS + 1e-9) {
            Some(event) => {
                // A unison of two parts is one note.
                if !event.notes.iter().any(|other| other.pitch == note.pitch) {
                    event.notes.push(note);
                }
            }
            None => events.push(Event { start: note.start, notes: vec![note] }),
        }
    }
    events.iter_mut().for_each(|event| event.notes.sort_by_key(|note| std::cmp::Reverse(note.pitch)));
    events
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::corpus::piece::{Metre, MetreAt, Part};

    /// Music of words such as `0+4:60` or `2.5+1:64.67v90`: start and length in 16ths, pitches, velocity.
    pub fn music(words: &str) -> Music {
        let mut notes = Vec::new();
        for word in words.split_whitespace() {
            let (time, pitches) = word.split_once(':').unwrap();
            let (start, length) = time.split_once('+').unwrap();
            let (pitches, velocity) = pitches.split_once('v').map_or((pitches, None), |(p, v)| (p, v.parse().ok()));
            let (start, length): (f64, f64) = (start.parse().unwrap(), length.parse().unwrap());
            notes.extend(pitches.split('.').map(|pitch| Note {
                start: start / 4.0,
                end: (start + length) / 4.0,
                pitch: pitch.parse().unwrap(),
                velocity,
            }));
        }
        let end = notes.iter().map(|note| note.end).fold(0.0, f64::max);
        let bars = (end / BAR_QUARTERS as f64).round() as usize;
        Music { source: "a.mid".into(), name: "a".into(), events: events(notes), bars }
    }

    #[test]
    fn a_spread_chord_is_one_event_and_a_grace_note_is_not() {
        // 6 of 96 ticks are a quarter of a 16th.
        let spread = music("0+4:60 0.15+4:67 0.25+4:64 0.26+4:72 1+1:60 1+2:60");
        let pitches = |event: &Event| event.notes.iter().map(|note| note.pitch).collect::<Vec<_>>();
        assert_eq!(spread.events.iter().map(pitches).collect::<Vec<_>>(), [vec![67, 64, 60], vec![72], vec![60]]);
        assert_eq!(spread.events[2].notes[0].end, 0.75, "the longer of two unisons");
        assert_eq!(spread.events[1].step(), 0);
    }

    #[test]
    fn the_first_bars_can_be_left_out() {
        let rest = music("0+16:60 15.9+16:62 40+24:64").without_first(1);
        assert_eq!((rest.bars, rest.events.len(), rest.events[1].start), (3, 2, 6.0));
        assert_eq!(rest.events[1].notes[0].end, 12.0);
        assert_eq!(music("0+16:60").without_first(2).bars, 0);
    }

    #[test]
    fn bars_begin_after_the_pickup() {
        let note = |onset, duration| piece::Note { onset, duration, pitch: 60, velocity: Some(9) };
        let beat = TICKS_PER_BEAT;
        let part = |notes: &[piece::Note]| Part { notes: notes.into(), pedal: vec![(0, 9 * beat)], ..Part::default() };
        let piece = Piece {
            parts: vec![part(&[note(0, beat), note(beat, 4 * beat), note(5 * beat, beat)])],
            drums: vec![part(&[note(beat, 1)])],
            metres: vec![MetreAt { at: 0, metre: Metre::new(4, 4).unwrap() }],
            bars: vec![0, beat, 5 * beat],
            ..Piece::default()
        };
        let read = |drums, pedal| Music::of(&piece, Reading { drums, pedal }).unwrap();
        let starts = |music: Music| music.events.iter().map(|event| event.start).collect::<Vec<_>>();
        assert_eq!((read(false, false).bars, starts(read(false, false))), (1, vec![0.0, 4.0]));
        assert_eq!((read(false, true).bars, read(false, true).events[1].notes[0].end), (2, 8.0));
        assert_eq!(starts(read(true, false)), [0.0]);
        assert_eq!(Music::of(&Piece::default(), Reading::default()), None);
    }
}
