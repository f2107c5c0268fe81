//! A DAW session as data: where the transport runs and stands, what the player does when. Runs at any sample rate, in
//! any blocks, live or fast, on the caller's thread.

use std::time::Duration;

use anyhow::Result;

use crate::fake_host::{EventKind, HostedPlugin, Transport};
use crate::hands::Hands;
use crate::host_clock::Bars;
use crate::rack::{self, Setup};
pub use crate::rack::{Blocks, Pace, Sent};

/// A stretch of the session in which the transport does one thing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stretch {
    /// Where the transport runs from, beats; `None` while it stands.
    pub from_beats: Option<f64>,
    /// How long the stretch is, beats at its tempo.
    pub beats: f64,
    /// Quarter notes a minute at its start.
    pub tempo_bpm: f64,
    /// Quarter notes a minute at its end; the tempo goes there evenly in time.
    pub end_tempo_bpm: f64,
    /// Beats in a bar and which note is one.
    pub time_signature: (u16, u16),
    /// What the host loops over, beats.
    pub loop_range_beats: Option<(f64, f64)>,
    /// A bar line, in beats, and the number of its bar. The stretch counts its bars from there, as after a change of
    /// metre.
    pub first_bar: (f64, i32),
}

impl Stretch {
    /// Runs from `from_beats` for `beats` at 120, in 4/4.
    pub fn play(from_beats: f64, beats: f64) -> Self {
        Self {
            from_beats: Some(from_beats),
            beats,
            tempo_bpm: 120.0,
            end_tempo_bpm: 120.0,
            time_signature: (4, 4),
            loop_range_beats: None,
            first_bar: (0.0, 0),
        }
    }

    /// Stands for `beats` at 120.
    pub fn stand(beats: f64) -> Self {
        Self { from_beats: None, ..Self::play(0.0, beats) }
    }

    /// The same at another tempo.
    pub fn at_tempo(self, tempo_bpm: f64) -> Self {
        Self { tempo_bpm, end_tempo_bpm: tempo_bpm, ..self }
    }

    fn seconds(&self) -> f64 {
        self.beats * 60.0 / (0.5 * (self.tempo_bpm + self.end_tempo_bpm))
    }

    /// Beats from the stretch's start after `seconds`.
    fn beats_after(&self, seconds: f64) -> f64 {
        let slope = (self.end_tempo_bpm - self.tempo_bpm) / self.seconds();
        (self.tempo_bpm * seconds + 0.5 * slope * seconds * seconds) / 60.0
    }

    /// Beats after the stretch's end count at its last tempo.
    fn seconds_after(&self, beats: f64) -> f64 {
        if beats > self.beats {
            return self.seconds() + (beats - self.beats) * 60.0 / self.end_tempo_bpm;
        }
        let slope = (self.end_tempo_bpm - self.tempo_bpm) / self.seconds();
        if slope.abs() < 1e-9 {
            return beats * 60.0 / self.tempo_bpm;
        }
        ((self.tempo_bpm.powi(2) + 120.0 * slope * beats).sqrt() - self.tempo_bpm) / slope
    }

    pub(crate) fn transport(&self, seconds: f64, pos_samples: i64) -> Transport {
        let beats = self.beats_after(seconds);
        let pos_beats = self.from_beats.map_or(0.0, |from| from + beats);
        let tempo_bpm = self.tempo_bpm + (self.end_tempo_bpm - self.tempo_bpm) * seconds / self.seconds();
        let bars = Bars { time_signature: self.time_signature, first_bar: self.first_bar };
        bars.announced_in(Transport {
            playing: self.from_beats.is_some(),
            tempo_bpm: Some(tempo_bpm),
            pos_beats: Some(pos_beats),
            loop_range_beats: self.loop_range_beats,
            pos_samples,
            ..Transport::default()
        })
    }
}

/// Something that happens in a stretch.
#[derive(Clone, Debug)]
pub enum Happening {
    /// An event from the player. At one sample, note-ons come after everything else.
    Event(EventKind),
    /// An event that keeps its order among those of one sample.
    InOrder(EventKind),
    /// Sets a parameter, by name, to a value of 0 to 1.
    Param(String, f64),
}

/// A session.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// What the transport does, in order.
    pub stretches: Vec<Stretch>,
    /// (stretch, beats from its start, what happens).
    pub happenings: Vec<(usize, f64, Happening)>,
}

impl Script {
    /// Adds notes to a stretch, in the words of [`read_notes`]. They end a hundredth of a beat early, so that a
    /// repeated key is struck twice.
    pub fn notes(mut self, stretch: usize, words: &str) -> Self {
        for (start, key, beats) in read_notes(words) {
            let on = EventKind::NoteOn { channel: 0, key, velocity: 0.8 };
            let off = EventKind::NoteOff { channel: 0, key, velocity: 0.0 };
            self.happenings.push((stretch, start, Happening::Event(on)));
            self.happenings.push((stretch, start + beats - 0.01, Happening::Event(off)));
        }
        self
    }

    /// Adds a happening.
    pub fn with(mut self, stretch: usize, beats: f64, happening: Happening) -> Self {
        self.happenings.push((stretch, beats, happening));
        self
    }

    /// Adds what hands play, from the stretch's start.
    ///
    /// # Panics
    /// If the stretch's tempo is not even.
    pub fn hands(mut self, stretch: usize, hands: &Hands) -> Self {
        let Stretch { tempo_bpm, end_tempo_bpm, .. } = self.stretches[stretch];
        assert_eq!(tempo_bpm, end_tempo_bpm, "hands play in milliseconds: an even tempo");
        let beats = |ms: f64| ms * tempo_bpm / 60_000.0;
        let all = hands.events.iter().map(|(ms, kind)| (stretch, beats(*ms), Happening::InOrder(*kind)));
        self.happenings.extend(all);
        self
    }

    /// Runs the session. The plugin must be active at `sample_rate` with blocks as large as `blocks` makes them.
    ///
    /// # Errors
    /// If the plugin fails, or sends notes that are unpaired, unsorted, outside their block, or still sound after a
    /// stop or at the end.
    pub fn run(&self, plugin: &mut HostedPlugin, sample_rate: f64, blocks: Blocks, pace: Pace) -> Result<Sent> {
        self.run_timed(plugin, sample_rate, blocks, pace).map(|(sent, _)| sent)
    }

    /// Like [`Self::run`]; also returns how late the latest block was, if the pace is live. A shared machine stalls now
    /// and then, and what is played across a stall says nothing about a live host.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_timed(
        &self,
        plugin: &mut HostedPlugin,
        sample_rate: f64,
        blocks: Blocks,
        pace: Pace,
    ) -> Result<(Sent, Duration)> {
        let mut run = rack::run(self, std::slice::from_mut(plugin), &Setup { sample_rate, blocks, pace })?;
        Ok((run.sent.pop().unwrap_or_default(), run.latest))
    }

    /// The sample on which each stretch starts, and the one after the last.
    pub fn bounds(&self, sample_rate: f64) -> Vec<u64> {
        let mut seconds = 0.0;
        let mut bounds = vec![0];
        for stretch in &self.stretches {
            seconds += stretch.seconds();
            bounds.push((seconds * sample_rate).round() as u64);
        }
        bounds
    }

    /// The happenings with their samples, in order.
    pub(crate) fn timed(&self, bounds: &[u64], sample_rate: f64) -> Vec<(u64, Happening)> {
        let mut timed: Vec<(u64, Happening)> = self
            .happenings
            .iter()
            .map(|(stretch, beats, happening)| {
                let seconds = self.stretches[*stretch].seconds_after(*beats);
                (bounds[*stretch] + (seconds * sample_rate).round() as u64, happening.clone())
            })
            .collect();
        timed.sort_by_key(|(at, happening)| (*at, matches!(happening, Happening::Event(EventKind::NoteOn { .. }))));
        timed
    }
}

/// Reads notes: `0 67 1, 1 69 0.5` is a key 67 from beat 0 for 1 beat, then a key 69 from beat 1 for half a beat.
///
/// # Panics
/// If the text is wrong; it is part of a test.
pub fn read_notes(words: &str) -> Vec<(f64, u8, f64)> {
    let read = |note: &str| {
        let numbers: Vec<f64> = note.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [start, key, beats] = numbers[..] else { panic!("expected `start key beats`, got `{note}`") };
        (start, key as u8, beats)
    };
    words.split(',').map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ramps_arrive_where_they_should() {
        let ramp = Stretch { end_tempo_bpm: 60.0, ..Stretch::play(8.0, 9.0) };
        assert!((ramp.seconds() - 6.0).abs() < 1e-9);
        assert!((ramp.beats_after(ramp.seconds()) - 9.0).abs() < 1e-9);
        for beats in [0.0, 1.0, 4.5, 9.0] {
            assert!((ramp.beats_after(ramp.seconds_after(beats)) - beats).abs() < 1e-9);
        }
        assert_eq!(ramp.seconds_after(10.0), 7.0);
        let transport = ramp.transport(3.0, 0);
        assert_eq!((transport.tempo_bpm, transport.bar_start_beats), (Some(90.0), Some(12.0)));
    }

    #[test]
    fn happenings_are_sorted_ends_first() {
        let script = Script { stretches: vec![Stretch::play(0.0, 4.0)], happenings: Vec::new() };
        let script = script.notes(0, "1 60 1, 0 60 1.01");
        let timed = script.timed(&script.bounds(48_000.0), 48_000.0);
        let starts: Vec<_> =
            timed.iter().map(|(at, h)| (*at, matches!(h, Happening::Event(EventKind::NoteOn { .. })))).collect();
        assert_eq!(starts, [(0, true), (24_000, false), (24_000, true), (47_760, false)]);
    }
}
