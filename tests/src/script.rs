//! A DAW session as data: where the transport runs and stands, what is played when. It can be run at any sample rate, in any
//! blocks, live or fast, and gives what the plugin sent with the sample of each event.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use continuo_model::random::SplitMix64;

use crate::fake_host::{Event, EventKind, HostedPlugin, Transport};
use crate::note_checker::NoteChecker;

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

    /// What is said to happen after the stretch's end comes in its last tempo.
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

    fn transport(&self, seconds: f64, pos_samples: i64) -> Transport {
        let beats = self.beats_after(seconds);
        let bar_beats = f64::from(self.time_signature.0) * 4.0 / f64::from(self.time_signature.1);
        let pos_beats = self.from_beats.map_or(0.0, |from| from + beats);
        let bar_number = (pos_beats / bar_beats + 1e-9).floor();
        let tempo_bpm = self.tempo_bpm + (self.end_tempo_bpm - self.tempo_bpm) * seconds / self.seconds();
        Transport {
            playing: self.from_beats.is_some(),
            tempo_bpm: Some(tempo_bpm),
            pos_beats: Some(pos_beats),
            bar_start_beats: Some(bar_number * bar_beats),
            bar_number: bar_number as i32,
            time_signature: Some(self.time_signature),
            loop_range_beats: self.loop_range_beats,
            pos_samples,
        }
    }
}

/// Something that happens in a stretch.
#[derive(Clone, Debug)]
pub enum Happening {
    /// The player plays, or turns a wheel.
    Event(EventKind),
    /// A parameter is set, by name, to a value of 0 to 1.
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

/// How a session is cut into blocks.
#[derive(Clone, Copy, Debug)]
pub enum Blocks {
    /// All of this size.
    Of(usize),
    /// Of 1 to this size, by this rng seed.
    Random(usize, u64),
}

/// How fast blocks follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Each block lasts as long as its audio.
    Live,
    /// A block follows as soon as the last one is done.
    Fast,
}

/// What a session gave: each event with its sample from the session's start, in the order in which it was sent.
pub type Sent = Vec<(u64, EventKind)>;

impl Script {
    /// Adds notes to a stretch, in words: `0 67 1, 1 69 0.5` is a key 67 from beat 0 for 1 beat, then a key 69 from beat 1
    /// for half a beat. They end a hundredth of a beat early, so that a repeated key is struck twice.
    pub fn notes(mut self, stretch: usize, words: &str) -> Self {
        for note in words.split(',') {
            let numbers: Vec<f64> = note.split_whitespace().map(|word| word.parse().expect("numbers")).collect();
            let [start, key, beats] = numbers[..] else { panic!("expected `start key beats`, got `{note}`") };
            let (channel, key) = (0, key as u8);
            let on = EventKind::NoteOn { channel, key, velocity: 0.8 };
            let off = EventKind::NoteOff { channel, key, velocity: 0.0 };
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

    /// Runs the session. The plugin must be active at `sample_rate` with blocks as large as `blocks` makes them.
    ///
    /// # Errors
    /// If the plugin fails, or what it sends is not sound: unpaired, unsorted, outside its block, or still sounding after a
    /// stop or at the end.
    pub fn run(&self, plugin: &mut HostedPlugin, sample_rate: f64, blocks: Blocks, pace: Pace) -> Result<Sent> {
        self.run_timed(plugin, sample_rate, blocks, pace).map(|(sent, _)| sent)
    }

    /// The same, and by how much the latest block was late, where they are paced: a machine that others share stands still now
    /// and then, and what is played over a stall is no measure of a live host.
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
        let mut latest = Duration::ZERO;
        let bounds = self.bounds(sample_rate);
        let timed = self.timed(&bounds, sample_rate);
        let mut rng = SplitMix64::new(if let Blocks::Random(_, rng_seed) = blocks { rng_seed } else { 0 });
        let (mut sent, mut checker) = (Sent::new(), NoteChecker::new());
        let (mut pos, mut next, mut was_playing) = (0, 0, false);
        let clock = Instant::now();
        for (stretch, bound) in self.stretches.iter().zip(bounds.windows(2)) {
            while pos < bound[1] {
                let size = match blocks {
                    Blocks::Of(size) => size,
                    Blocks::Random(largest, _) => 1 + rng.next_below(largest),
                };
                let frames = size.min((bound[1] - pos) as usize);
                let transport = stretch.transport((pos - bound[0]) as f64 / sample_rate, pos as i64);
                let (mut events, mut params) = (Vec::new(), Vec::new());
                while let Some((at, happening)) = timed.get(next).filter(|(at, _)| *at < pos + frames as u64) {
                    let timing = (at - pos) as u32;
                    match happening {
                        Happening::Event(kind) => events.push(Event { timing, kind: *kind }),
                        Happening::Param(name, value) => params.push((timing, plugin.param_by_name(name)?.id, *value)),
                    }
                    next += 1;
                }
                let block = plugin.process(frames, Some(&transport), &events, &params)?;
                checker.block(frames, &block.events);
                if std::mem::replace(&mut was_playing, transport.playing) && !transport.playing {
                    checker.expect_all_before_ended();
                }
                sent.extend(block.events.iter().map(|event| (pos + u64::from(event.timing), event.kind)));
                pos += frames as u64;
                if pace == Pace::Live {
                    let due = Duration::from_secs_f64(pos as f64 / sample_rate);
                    latest = latest.max(clock.elapsed().saturating_sub(due));
                    std::thread::sleep(due.saturating_sub(clock.elapsed()));
                }
            }
        }
        checker.expect_silence();
        checker.finish().map_err(anyhow::Error::msg).context("the plugin's output")?;
        Ok((sent, latest))
    }

    /// The sample on which each stretch starts, and the one after the last.
    fn bounds(&self, sample_rate: f64) -> Vec<u64> {
        let mut seconds = 0.0;
        let mut bounds = vec![0];
        for stretch in &self.stretches {
            seconds += stretch.seconds();
            bounds.push((seconds * sample_rate).round() as u64);
        }
        bounds
    }

    /// The happenings with their samples, in order; at one sample a note's end comes before a start.
    fn timed(&self, bounds: &[u64], sample_rate: f64) -> Vec<(u64, Happening)> {
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
