//! Compares what a plugin sent live with a render of the same session: which answers came in time? Plain values, of no
//! thread.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::hands::Hands;
use crate::heard::{Heard, notes};
use crate::rack::Sent;

/// A later answer counts as missed.
pub const LATEST_MS: f64 = 60.0;

/// How many answers came when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Answers in the render: samples on which generated notes start, for each instance.
    pub due: usize,
    /// All of their notes at their sample.
    pub on_time: usize,
    /// All of their notes, some less than 60 ms late.
    pub late: usize,
    /// Some note later still, or never.
    pub missed: usize,
    /// Notes that the render does not have.
    pub strange: usize,
}

impl Verdict {
    /// Compares what an instance sent live with what it sent in a render. `played` are the player's notes.
    pub fn of(live: &Sent, render: &Sent, played: &[(u64, u8)], sample_rate: f64) -> Self {
        let is_generated = |note: &Heard| !played.contains(&(note.start, note.key));
        let due: Vec<Heard> = notes(render).into_iter().filter(is_generated).collect();
        let mut got: Vec<Heard> = notes(live).into_iter().filter(is_generated).collect();
        let latest = (LATEST_MS * 1e-3 * sample_rate) as u64;
        // The answer's lateness at each sample; `None` if a note of it is missing.
        let mut answers: BTreeMap<u64, Option<u64>> = BTreeMap::new();
        for note in due {
            let is_it = |heard: &Heard| {
                (heard.channel, heard.key) == (note.channel, note.key)
                    && (note.start..note.start + latest).contains(&heard.start)
            };
            let lateness = got.iter().position(is_it).map(|found| got.remove(found).start - note.start);
            let answer = answers.entry(note.start).or_insert(Some(0));
            *answer = answer.zip(lateness).map(|(so_far, this)| so_far.max(this));
        }
        let count = |is_it: fn(&Option<u64>) -> bool| answers.values().filter(|answer| is_it(answer)).count();
        Self {
            due: answers.len(),
            on_time: count(|lateness| *lateness == Some(0)),
            late: count(|lateness| lateness.is_some_and(|lateness| lateness > 0)),
            missed: count(Option::is_none),
            strange: got.len(),
        }
    }

    /// The sum of two verdicts.
    pub fn and(self, other: Self) -> Self {
        Self {
            due: self.due + other.due,
            on_time: self.on_time + other.on_time,
            late: self.late + other.late,
            missed: self.missed + other.missed,
            strange: self.strange + other.strange,
        }
    }

    /// A count as a share of the answers due, percent.
    pub fn percent(&self, count: usize) -> f64 {
        100.0 * count as f64 / self.due.max(1) as f64
    }
}

/// A tune of `count` notes as hands play it: each key is released 15 ms after the next one goes down.
pub fn tune(count: usize, note_ms: f64) -> Hands {
    const KEYS: [u8; 16] = [72, 71, 69, 67, 69, 71, 72, 74, 76, 74, 72, 67, 71, 69, 65, 67];
    let keys: Vec<u8> = KEYS.iter().cycle().take(count).copied().collect();
    Hands::tune(&keys, 0.0, note_ms, 15.0)
}

/// The duration that a share (0 to 1) of all does not exceed. Sorts the durations.
pub fn quantile(durations: &mut [Duration], share: f64) -> Duration {
    durations.sort_unstable();
    let last = durations.len().saturating_sub(1);
    durations.get(((last as f64) * share).ceil() as usize).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_host::EventKind;

    /// Notes of a second on channel 1: (sample, key).
    fn sent(notes: &[(u64, u8)]) -> Sent {
        let (channel, velocity) = (1, 0.5);
        let mut sent: Sent = Vec::new();
        for &(at, key) in notes {
            sent.push((at, EventKind::NoteOn { channel, key, velocity }));
            sent.push((at + 48_000, EventKind::NoteOff { channel, key, velocity }));
        }
        sent.sort_by_key(|event| event.0);
        sent
    }

    fn check(live: &[(u64, u8)], [on_time, late, missed, strange]: [usize; 4]) {
        // The player's note, and two answers of two notes.
        let render = sent(&[(0, 72), (100, 64), (100, 60), (9000, 65), (9000, 62)]);
        let live = [&[(0, 72)], live].concat();
        let verdict = Verdict::of(&sent(&live), &render, &[(0, 72)], 48_000.0);
        assert_eq!(verdict, Verdict { due: 2, on_time, late, missed, strange }, "{live:?}");
    }

    #[test]
    fn answers_are_on_time_late_or_missed() {
        check(&[(100, 64), (100, 60), (9000, 65), (9000, 62)], [2, 0, 0, 0]);
        check(&[(100, 64), (2979, 60), (9000, 65), (9000, 62)], [1, 1, 0, 0]);
        check(&[(100, 64), (2980, 60), (9000, 65), (9000, 62)], [1, 0, 1, 1]);
        check(&[(100, 64), (9000, 65), (9000, 62)], [1, 0, 1, 0]);
        check(&[(100, 64), (100, 60), (8999, 65), (9000, 62)], [1, 0, 1, 1]);
    }

    #[test]
    fn quantiles_are_values_that_were_there() {
        let mut ms: Vec<Duration> = (1..=1000).rev().map(Duration::from_millis).collect();
        assert_eq!(quantile(&mut ms, 1.0), Duration::from_millis(1000));
        assert_eq!(quantile(&mut ms, 0.5), Duration::from_millis(501));
        assert_eq!(quantile(&mut ms, 0.999), Duration::from_millis(1000));
        assert_eq!(quantile(&mut [], 0.5), Duration::ZERO);
    }
}
