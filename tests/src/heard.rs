//! Pairs the events that a plugin sent into notes with their samples, and judges them. Plain values, of no thread.

use crate::fake_host::EventKind;
use crate::rack::Sent;

/// A note that the plugin sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Heard {
    /// The sample on which it starts.
    pub start: u64,
    /// From 0.
    pub channel: u8,
    /// MIDI key.
    pub key: u8,
    /// The sample on which it ends.
    pub end: u64,
}

impl Heard {
    /// Whether it sounds on a sample.
    pub fn sounds_at(&self, at: u64) -> bool {
        (self.start..self.end).contains(&at)
    }

    /// How long it is, samples.
    pub fn length(&self) -> u64 {
        self.end - self.start
    }
}

/// The notes, sorted by start, then by channel and key. A note that never ends has the largest possible end.
pub fn notes(sent: &Sent) -> Vec<Heard> {
    let mut notes: Vec<Heard> = Vec::new();
    for (at, kind) in sent {
        match *kind {
            EventKind::NoteOn { channel, key, .. } => notes.push(Heard { start: *at, channel, key, end: u64::MAX }),
            EventKind::NoteOff { channel, key, .. } => {
                let sounding =
                    notes.iter_mut().find(|note| (note.channel, note.key, note.end) == (channel, key, u64::MAX));
                if let Some(note) = sounding {
                    note.end = *at;
                }
            }
            _ => {}
        }
    }
    notes.sort_unstable();
    notes
}

/// Checks that at each sample of the range some note sounds, except in gaps of at most `gap` samples.
pub fn cover(notes: &[Heard], range: std::ops::Range<u64>, gap: u64) -> Result<(), String> {
    let mut covered = range.start;
    let mut notes: Vec<&Heard> = notes.iter().collect();
    notes.sort_by_key(|note| note.start);
    for note in notes {
        if note.start > covered + gap {
            break;
        }
        covered = covered.max(note.end);
    }
    if covered + gap < range.end {
        Err(format!("nothing sounds from sample {covered} on, up to {}", range.end))
    } else {
        Ok(())
    }
}

/// The share of the range in which some note sounds, 0 to 1.
pub fn share(notes: &[Heard], range: std::ops::Range<u64>) -> f64 {
    let mut spans: Vec<(u64, u64)> =
        notes.iter().map(|n| (n.start.max(range.start), n.end.min(range.end))).filter(|(from, to)| from < to).collect();
    spans.sort_unstable();
    let (mut covered, mut reached) = (0, range.start);
    for (from, to) in spans {
        covered += to.saturating_sub(from.max(reached));
        reached = reached.max(to);
    }
    covered as f64 / (range.end - range.start).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(start: u64, end: u64) -> Heard {
        Heard { start, channel: 0, key: 60, end }
    }

    #[test]
    fn notes_are_paired() {
        let (channel, key, velocity) = (1, 60, 0.5);
        let on = EventKind::NoteOn { channel, key, velocity };
        let off = EventKind::NoteOff { channel, key, velocity };
        let sent = vec![(3, on), (9, off), (9, on), (12, off)];
        let expected = [(3, 9), (9, 12)].map(|(start, end)| Heard { start, channel, key, end });
        assert_eq!(notes(&sent), expected);
    }

    #[test]
    fn gaps_are_found() {
        let notes = [note(0, 10), note(4, 20), note(22, 30)];
        assert_eq!(cover(&notes, 0..30, 2), Ok(()));
        assert!(cover(&notes, 0..30, 1).is_err() && cover(&notes, 0..33, 2).is_err());
        // A later note does not close the gap.
        assert!(cover(&[note(0, 10), note(50, 60)], 0..30, 2).is_err());
        assert_eq!(share(&notes, 0..40), 0.7);
    }
}
