//! What hands play, as text or built from tunes and chords: overlaps, rolled chords, any order at one sample. Plain
//! values, of no thread.

use crate::fake_host::{EventKind, Expression};
use crate::host_clock::SAMPLE_RATE;

/// The length of a sample, milliseconds.
pub const SAMPLE_MS: f64 = 1e3 / SAMPLE_RATE;
/// The default velocity.
const VELOCITY: f32 = 0.8;

/// Events in milliseconds. Those at one time keep their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hands {
    /// (milliseconds, what happens).
    pub events: Vec<(f64, EventKind)>,
}

impl Hands {
    /// Reads a timeline: `0 on 60, 500 on 62, 500+1 off 60` is a key 60 at 0 ms, released one sample after the key 62
    /// goes down.
    ///
    /// Events: `on KEY`, `off KEY`, `cc NUMBER VALUE`, `bend VALUE`, `pressure VALUE`, `key KEY VALUE` (pressure on a
    /// key), `tuning KEY SEMITONES`, `midi 90 3c 64`. After these, `cN` is the channel from 1, `iN` the note's id, `vN`
    /// the velocity.
    ///
    /// # Panics
    /// If the text is wrong; it is part of a test.
    pub fn read(text: &str) -> Self {
        let events = text.split([',', '\n']).map(str::trim).filter(|line| !line.is_empty());
        Self {
            events: events
                .map(|line| read_event(line).unwrap_or_else(|| panic!("expected an event, got `{line}`")))
                .collect(),
        }
    }

    /// A tune in which each key is released `overlap_ms` after the next one goes down, or before if that is below 0. At
    /// 0 the next note-on comes before the note-off.
    pub fn tune(keys: &[u8], from_ms: f64, note_ms: f64, overlap_ms: f64) -> Self {
        let mut hands = Self::default();
        for (n, &key) in keys.iter().enumerate() {
            let start = from_ms + n as f64 * note_ms;
            let end = start + note_ms + if n + 1 < keys.len() { overlap_ms } else { 0.0 };
            hands = hands.note(key, start, end);
        }
        hands.in_time()
    }

    /// A chord, key by key in the order given, `spread_ms` apart; all keys are released at `end_ms`.
    pub fn chord(keys: &[u8], from_ms: f64, spread_ms: f64, end_ms: f64) -> Self {
        let mut hands = Self::default();
        for (n, &key) in keys.iter().enumerate() {
            hands = hands.note(key, from_ms + n as f64 * spread_ms, end_ms);
        }
        hands.in_time()
    }

    /// Adds a note on channel 1.
    pub fn note(mut self, key: u8, start_ms: f64, end_ms: f64) -> Self {
        self.events.push((start_ms, EventKind::NoteOn { channel: 0, key, velocity: VELOCITY }));
        self.events.push((end_ms, EventKind::NoteOff { channel: 0, key, velocity: 0.0 }));
        self
    }

    /// Adds the events of a text, see [`Self::read`].
    pub fn and(mut self, text: &str) -> Self {
        self.events.extend(Self::read(text).events);
        self
    }

    /// Adds another hand; at one time this one's events come first.
    pub fn with(mut self, other: &Self) -> Self {
        self.events.extend_from_slice(&other.events);
        self.in_time()
    }

    /// The same, `ms` later.
    pub fn later(mut self, ms: f64) -> Self {
        self.events.iter_mut().for_each(|event| event.0 += ms);
        self
    }

    /// The same notes on another channel, from 0.
    pub fn on_channel(mut self, to: u8) -> Self {
        for (_, kind) in &mut self.events {
            match kind {
                EventKind::NoteOn { channel, .. }
                | EventKind::NoteOff { channel, .. }
                | EventKind::IdentifiedOn { channel, .. }
                | EventKind::IdentifiedOff { channel: Some(channel), .. } => *channel = to,
                _ => {}
            }
        }
        self
    }

    /// When keys go down: (milliseconds, key).
    pub fn starts(&self) -> Vec<(f64, u8)> {
        let start = |(ms, kind): &(f64, EventKind)| match *kind {
            EventKind::NoteOn { key, .. } | EventKind::IdentifiedOn { key, .. } => Some((*ms, key)),
            _ => None,
        };
        self.events.iter().filter_map(start).collect()
    }

    /// Sorts by time; at one time, note-ons come before note-offs.
    fn in_time(mut self) -> Self {
        let is_end = |kind: &EventKind| matches!(kind, EventKind::NoteOff { .. });
        self.events.sort_by(|a, b| a.0.total_cmp(&b.0).then(is_end(&a.1).cmp(&is_end(&b.1))));
        self
    }
}

/// All permutations of some keys.
pub fn orders(keys: &[u8]) -> Vec<Vec<u8>> {
    let Some((&first, rest)) = keys.split_first() else { return vec![Vec::new()] };
    let mut all = Vec::new();
    for order in orders(rest) {
        for at in 0..=order.len() {
            let mut longer = order.clone();
            longer.insert(at, first);
            all.push(longer);
        }
    }
    all
}

fn read_event(line: &str) -> Option<(f64, EventKind)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (time, what) = (read_time(words.first()?)?, *words.get(1)?);
    let (options, numbers): (Vec<&str>, Vec<&str>) =
        words[2..].iter().partition(|word| what != "midi" && word.starts_with(['c', 'i', 'v']));
    let option = |letter: char| options.iter().find_map(|word| word.strip_prefix(letter));
    let channel = option('c').map_or(Some(1), |text| text.parse().ok())? - 1_u8;
    let voice_id: Option<i32> = option('i').map(|text| text.parse().ok()).unwrap_or(None);
    let velocity = option('v').map_or(Some(VELOCITY), |text| text.parse().ok())?;
    let number = |n: usize| numbers.get(n)?.parse::<f32>().ok();
    let key = || numbers.first()?.parse::<u8>().ok();
    let kind = match (what, voice_id) {
        ("on", None) => EventKind::NoteOn { channel, key: key()?, velocity },
        ("on", Some(voice_id)) => EventKind::IdentifiedOn { channel, key: key()?, velocity, voice_id },
        ("off", None) => EventKind::NoteOff { channel, key: key()?, velocity: 0.0 },
        ("off", Some(voice_id)) => EventKind::IdentifiedOff { channel: Some(channel), key: Some(key()?), voice_id },
        ("cc", _) => EventKind::MidiCc { channel, cc: key()?, value: number(1)? },
        ("bend", _) => EventKind::PitchBend { channel, value: number(0)? },
        ("pressure", _) => EventKind::ChannelPressure { channel, pressure: number(0)? },
        ("key", _) => EventKind::PolyPressure { channel, key: key()?, pressure: number(1)? },
        ("tuning", _) => {
            EventKind::NoteExpression { channel, key: key()?, expression: Expression::Tuning, value: number(1)? }
        }
        ("midi", _) => {
            let byte = |n: usize| u8::from_str_radix(numbers.get(n)?, 16).ok();
            EventKind::Midi { bytes: [byte(0)?, byte(1)?, byte(2)?] }
        }
        _ => return None,
    };
    Some((time, kind))
}

/// `500` or `500+1`: milliseconds, plus samples.
fn read_time(word: &str) -> Option<f64> {
    let (ms, samples) = word.split_once('+').unwrap_or((word, "0"));
    Some(ms.parse::<f64>().ok()? + samples.parse::<f64>().ok()? * SAMPLE_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read() {
        let hands = Hands::read("0 on 60 c2 v0.5, 10+3 off 60 i7, 20 cc 64 1, 30 midi 90 3c 40");
        let expected = [
            (0.0, EventKind::NoteOn { channel: 1, key: 60, velocity: 0.5 }),
            (10.0625, EventKind::IdentifiedOff { channel: Some(0), key: Some(60), voice_id: 7 }),
            (20.0, EventKind::MidiCc { channel: 0, cc: 64, value: 1.0 }),
            (30.0, EventKind::Midi { bytes: [0x90, 0x3c, 0x40] }),
        ];
        assert_eq!(hands.events, expected);
    }

    #[test]
    fn tunes_overlap_by_as_much_as_they_should() {
        let times =
            |overlap| Hands::tune(&[60, 62], 0.0, 500.0, overlap).events.iter().map(|e| e.0).collect::<Vec<_>>();
        assert_eq!(times(20.0), [0.0, 500.0, 520.0, 1000.0]);
        assert_eq!(times(-20.0), [0.0, 480.0, 500.0, 1000.0]);
        let at_once = Hands::tune(&[60, 62], 0.0, 500.0, 0.0);
        assert!(matches!(at_once.events[1].1, EventKind::NoteOn { key: 62, .. }), "{at_once:?}");
    }

    #[test]
    fn every_order_is_there_once() {
        let mut all = orders(&[1, 2, 3, 4]);
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 24);
    }
}
