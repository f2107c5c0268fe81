//! Checks every note that a plugin sends: paired, sorted, inside its block, none left sounding. Plain values, of no
//! thread.

use std::collections::BTreeMap;
use std::fmt;

use crate::fake_host::{Event, EventKind};

/// How many violations a message lists before it only counts the rest.
const NUM_SHOWN: usize = 10;

/// Follows one plugin instance's output block by block and keeps a readable line for each fault.
///
/// Only note-ons and note-offs are judged for pairing; the timing rules hold for every event.
#[derive(Debug, Default)]
pub struct NoteChecker {
    /// The sounding notes: (channel, key) and where their note-on was.
    sounding: BTreeMap<(u8, u8), Place>,
    violations: Vec<String>,
    num_blocks: usize,
    num_notes: usize,
}

/// Where an event was sent: block number from 0, and sample offset in that block.
#[derive(Clone, Copy, Debug)]
struct Place {
    block: usize,
    timing: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block {} sample {}", self.block, self.timing)
    }
}

impl NoteChecker {
    /// A checker that has seen no block yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Judges the events of the next block, which was `frames` samples long. Chains.
    pub fn block(&mut self, frames: usize, events: &[Event]) -> &mut Self {
        let mut last_timing = 0;
        for event in events {
            let place = Place { block: self.num_blocks, timing: event.timing };
            // Events of a block without samples have timing 0.
            if event.timing as usize >= frames.max(1) {
                self.fault(place, format!("{:?} is outside the block of {frames} frames", event.kind));
            }
            if event.timing < last_timing {
                self.fault(place, format!("{:?} comes after an event at sample {last_timing}", event.kind));
            }
            last_timing = last_timing.max(event.timing);
            match event.kind {
                EventKind::NoteOn { channel, key, .. } => self.note_on(place, channel, key),
                EventKind::NoteOff { channel, key, .. } => self.note_off(place, channel, key),
                _ => {}
            }
        }
        self.off_before_on(events);
        self.num_blocks += 1;
        self
    }

    /// Expects silence at the end of the last block: after a stop, a locate or a bypass. Chains.
    pub fn expect_silence(&mut self) -> &mut Self {
        let hanging: Vec<_> = self.sounding.iter().map(|(address, place)| (*address, *place)).collect();
        for ((channel, key), place) in hanging {
            let blocks = self.num_blocks;
            self.fault(
                place,
                format!(
                    "channel {channel} key {key} still sounds after block {}, silence was expected",
                    blocks.max(1) - 1
                ),
            );
        }
        self
    }

    /// Expects that every note from before the last block has ended in it, as at a stop. Chains.
    pub fn expect_all_before_ended(&mut self) -> &mut Self {
        let last = self.num_blocks.saturating_sub(1);
        let left: Vec<_> =
            self.sounding.iter().filter(|(_, place)| place.block < last).map(|(a, p)| (*a, *p)).collect();
        for ((channel, key), place) in left {
            self.fault(
                place,
                format!("channel {channel} key {key} still sounds after block {last}, in which all was to end"),
            );
        }
        self
    }

    /// The notes that sound after the last block, as (channel, key), sorted.
    pub fn sounding(&self) -> Vec<(u8, u8)> {
        self.sounding.keys().copied().collect()
    }

    /// How many note-ons have been seen.
    pub fn num_notes(&self) -> usize {
        self.num_notes
    }

    /// The faults so far, in the order in which they were found.
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// Ends the check: every note-on must have had its note-off.
    ///
    /// # Errors
    /// The first faults, one per line, and the number of all.
    pub fn finish(mut self) -> Result<(), String> {
        for ((channel, key), place) in std::mem::take(&mut self.sounding) {
            self.fault(place, format!("channel {channel} key {key} has a note-on without a note-off"));
        }
        if self.violations.is_empty() {
            return Ok(());
        }
        let mut message = format!("the plugin's notes: expected no faults, got {}:", self.violations.len());
        for violation in self.violations.iter().take(NUM_SHOWN) {
            message.push_str("\n  ");
            message.push_str(violation);
        }
        if self.violations.len() > NUM_SHOWN {
            message.push_str("\n  ...");
        }
        Err(message)
    }

    fn note_on(&mut self, place: Place, channel: u8, key: u8) {
        self.num_notes += 1;
        if let Some(first) = self.sounding.insert((channel, key), place) {
            self.fault(place, format!("channel {channel} key {key} has a second note-on, it sounds since {first}"));
        }
    }

    fn note_off(&mut self, place: Place, channel: u8, key: u8) {
        if self.sounding.remove(&(channel, key)).is_none() {
            self.fault(place, format!("channel {channel} key {key} has a note-off but does not sound"));
        }
    }

    /// At one sample a key's note-off must precede its note-on: hosts and synths that sort the two otherwise
    /// would cut the new note at once. A note of no length breaks the same rule.
    fn off_before_on(&mut self, events: &[Event]) {
        let mut ons: BTreeMap<(u8, u8), u32> = BTreeMap::new();
        for event in events {
            match event.kind {
                EventKind::NoteOn { channel, key, .. } => {
                    ons.insert((channel, key), event.timing);
                }
                EventKind::NoteOff { channel, key, .. } if ons.get(&(channel, key)) == Some(&event.timing) => {
                    let place = Place { block: self.num_blocks, timing: event.timing };
                    self.fault(
                        place,
                        format!("channel {channel} key {key} has its note-off after its note-on at the same sample"),
                    );
                }
                _ => {}
            }
        }
    }

    fn fault(&mut self, place: Place, what: String) {
        self.violations.push(format!("{place}: {what}"));
    }
}

/// Checks a whole performance, given as (frames, events) for each block.
///
/// # Errors
/// As [`NoteChecker::finish`].
pub fn check<'a>(blocks: impl IntoIterator<Item = (usize, &'a [Event])>) -> Result<(), String> {
    let mut checker = NoteChecker::new();
    for (frames, events) in blocks {
        checker.block(frames, events);
    }
    checker.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads one block: `64 | 0 on 1 60, 32 off 1 60` is 64 frames, then timing, what, channel and key.
    fn parse(line: &str) -> (usize, Vec<Event>) {
        let (frames, events) = line.split_once('|').expect("FRAMES | EVENTS");
        let events = events.split(',').filter(|text| !text.trim().is_empty()).map(|text| {
            let words: Vec<&str> = text.split_whitespace().collect();
            let number = |n: usize| words[n].parse::<u8>().expect("a number");
            let kind = match words[1] {
                "on" => EventKind::NoteOn { channel: number(2), key: number(3), velocity: 0.8 },
                "off" => EventKind::NoteOff { channel: number(2), key: number(3), velocity: 0.0 },
                "cc" => EventKind::MidiCc { channel: number(2), cc: number(3), value: 0.5 },
                other => panic!("unknown event {other}"),
            };
            Event { timing: words[0].parse().expect("a timing"), kind }
        });
        (frames.trim().parse().expect("frames"), events.collect())
    }

    /// Plays a timeline, one block per line (`silence` and `stop` are lines of their own), and compares the faults
    /// found.
    fn check_timeline(timeline: &str, expect: &[&str]) {
        let mut checker = NoteChecker::new();
        for line in timeline.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if line == "silence" {
                checker.expect_silence();
            } else if line == "stop" {
                checker.expect_all_before_ended();
            } else {
                let (frames, events) = parse(line);
                checker.block(frames, &events);
            }
        }
        let message = checker.finish().err().unwrap_or_default();
        let found: Vec<&str> = message.lines().skip(1).map(str::trim).collect();
        assert_eq!(found, expect, "timeline: {timeline}");
    }

    #[test]
    fn clean_music_passes() {
        check_timeline("", &[]);
        check_timeline("64 | 0 on 1 60, 10 off 1 60", &[]);
        check_timeline("64 | 0 on 1 60\n 64 |\n 64 | 63 off 1 60\n silence", &[]);
        check_timeline("64 | 0 on 1 60, 0 on 2 60, 5 off 2 60, 5 off 1 60, 5 on 1 60\n 64 | 0 off 1 60", &[]);
    }

    #[test]
    fn note_on_without_note_off_is_caught() {
        check_timeline("64 | 3 on 1 60", &["block 0 sample 3: channel 1 key 60 has a note-on without a note-off"]);
        check_timeline(
            "64 | 0 on 1 60, 9 off 2 60",
            &[
                "block 0 sample 9: channel 2 key 60 has a note-off but does not sound",
                "block 0 sample 0: channel 1 key 60 has a note-on without a note-off",
            ],
        );
    }

    #[test]
    fn doubled_note_on_is_caught() {
        check_timeline(
            "64 | 0 on 1 60\n 64 | 4 on 1 60, 8 off 1 60",
            &["block 1 sample 4: channel 1 key 60 has a second note-on, it sounds since block 0 sample 0"],
        );
    }

    #[test]
    fn note_off_alone_is_caught() {
        check_timeline("64 | 7 off 1 60", &["block 0 sample 7: channel 1 key 60 has a note-off but does not sound"]);
    }

    #[test]
    fn disorder_is_caught_for_every_kind_of_event() {
        check_timeline(
            "64 | 9 cc 1 64, 8 on 1 60, 9 off 1 60",
            &["block 0 sample 8: NoteOn { channel: 1, key: 60, velocity: 0.8 } comes after an event at sample 9"],
        );
    }

    #[test]
    fn timing_past_the_block_is_caught() {
        check_timeline("64 | 0 on 1 60, 63 off 1 60", &[]);
        check_timeline(
            "64 | 0 on 1 60, 64 off 1 60",
            &["block 0 sample 64: NoteOff { channel: 1, key: 60, velocity: 0.0 } is outside the block of 64 frames"],
        );
    }

    #[test]
    fn note_on_before_note_off_at_one_sample_is_caught() {
        check_timeline("64 | 0 on 1 60\n 64 | 5 off 1 60, 5 on 1 60, 6 off 1 60", &[]);
        check_timeline(
            "64 | 0 on 1 60\n 64 | 5 on 1 60, 5 off 1 60",
            &[
                "block 1 sample 5: channel 1 key 60 has a second note-on, it sounds since block 0 sample 0",
                "block 1 sample 5: channel 1 key 60 has its note-off after its note-on at the same sample",
            ],
        );
    }

    #[test]
    fn a_note_of_no_length_is_caught() {
        check_timeline(
            "64 | 5 on 1 60, 5 off 1 60",
            &["block 0 sample 5: channel 1 key 60 has its note-off after its note-on at the same sample"],
        );
    }

    #[test]
    fn sound_where_silence_is_expected_is_caught() {
        check_timeline(
            "64 | 0 on 1 60\n silence\n 64 | 0 off 1 60",
            &["block 0 sample 0: channel 1 key 60 still sounds after block 0, silence was expected"],
        );
    }

    #[test]
    fn what_sounds_through_a_stop_is_caught() {
        check_timeline("64 | 0 on 1 60\n 64 | 0 off 1 60, 9 on 1 62\n stop\n 64 | 3 off 1 62", &[]);
        check_timeline(
            "64 | 0 on 1 60\n 64 | 9 on 1 62\n stop\n 64 | 3 off 1 60, 3 off 1 62",
            &["block 0 sample 0: channel 1 key 60 still sounds after block 1, in which all was to end"],
        );
    }

    #[test]
    fn long_lists_are_cut() {
        let events: Vec<Event> = (0..20).flat_map(|key| parse(&format!("64 | 0 off 1 {key}")).1).collect();
        let message = check([(64, events.as_slice())]).expect_err("20 faults");
        assert!(message.starts_with("the plugin's notes: expected no faults, got 20:"), "{message}");
        assert_eq!(message.lines().count(), 1 + NUM_SHOWN + 1);
    }
}
