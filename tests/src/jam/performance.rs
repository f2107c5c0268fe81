//! Plays a song into the plugin block by block and records what it sends. Runs on the thread that loaded the plugin.

use std::time::{Duration, Instant};

use anyhow::Result;
use continuo_model::phrase::Phrase;

use super::song::Song;
use crate::fake_host::{Event, HostedPlugin};
use crate::note_checker::NoteChecker;
use crate::pace::{Pace, Pacer};
use crate::timeline::Timeline;

/// How long the plugin runs before the transport starts, seconds.
const BEFORE_SECONDS: f64 = 0.25;
/// How long it runs after the transport has stopped, so that its notes can end, seconds.
const AFTER_SECONDS: f64 = 1.0;

/// What the plugin played.
#[derive(Debug, Default)]
pub struct Performance {
    /// Its notes, in beats of the song.
    pub timeline: Timeline,
    /// Left and right from the song's first sample on; empty if the class has no audio.
    pub audio: [Vec<f32>; 2],
    /// Faults in its output, one per line.
    pub faults: Vec<String>,
    /// How long it took.
    pub load: Load,
}

/// Processing time as a share of the audio's duration.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    processing: Duration,
    audio_seconds: f64,
    /// Processing time over duration of the slowest block.
    slowest: f64,
    /// Blocks that took longer than they last; a sound card would have stuttered.
    num_late: usize,
}

impl Performance {
    /// The plugin's voices and what was played, as a file holds them.
    pub fn phrase(&self, song: &Song) -> Phrase {
        let mut tracks = self.timeline.voices();
        tracks.push(song.played());
        let (count, unit) = song.bars.time_signature;
        Phrase { tempo_bpm: song.clock.tempo_bpm, time_signature: (count as u8, unit as u8), tracks }
    }
}

impl Load {
    fn add(&mut self, processing: Duration, audio_seconds: f64) {
        let load = processing.as_secs_f64() / audio_seconds;
        self.processing += processing;
        self.audio_seconds += audio_seconds;
        self.slowest = self.slowest.max(load);
        self.num_late += usize::from(load > 1.0);
    }

    /// The load in words. Late blocks count only live.
    pub fn describe(&self, pace: Pace) -> String {
        let mean = self.processing.as_secs_f64() / self.audio_seconds.max(f64::MIN_POSITIVE);
        let mean = format!("processing took {:.2} % of the time", 100.0 * mean);
        match pace {
            Pace::Fast => mean,
            Pace::Live => format!(
                "{mean}, {:.1} % in the slowest block; {} blocks were late",
                100.0 * self.slowest,
                self.num_late
            ),
        }
    }
}

/// Plays the whole song in blocks of at most `block_size`, with a stopped transport before and after it.
/// Calls `entering_bar` with each bar, from 1, as the playhead reaches it.
///
/// # Errors
/// If the plugin fails to process. Faults in its notes are in the performance.
pub fn play(
    host: &mut HostedPlugin,
    song: &Song,
    block_size: usize,
    pace: Pace,
    mut entering_bar: impl FnMut(u32),
) -> Result<Performance> {
    let mut performance = Performance::default();
    let mut checker = NoteChecker::new();
    let mut events = Vec::new();
    let mut next_event = 0;
    let mut last_bar = None;
    let [start, end] = range(song);
    let mut pos = start;
    let pacer = Pacer::start(pace);
    while pos < end {
        let frames = frames_at(song, pos, block_size);
        let transport = song.transport(pos);
        if transport.playing && last_bar.replace(transport.bar_number) != Some(transport.bar_number) {
            entering_bar(transport.bar_number as u32 + 1);
        }
        next_event = gather(song, next_event, pos, frames, &mut events);

        let block_clock = Instant::now();
        let block = host.process(frames, Some(&transport), &events, &[])?;
        let block_seconds = frames as f64 / song.clock.sample_rate;
        performance.load.add(block_clock.elapsed(), block_seconds);

        checker.block(frames, &block.events);
        for event in &block.events {
            let pos_beats = song.clock.to_beats(pos + i64::from(event.timing)).max(0.0);
            performance.timeline.push(pos_beats, &event.kind);
        }
        if pos >= 0 {
            for (all, new) in performance.audio.iter_mut().zip(&block.audio) {
                all.extend_from_slice(new);
            }
        }
        pos += frames as i64;
        pacer.wait(Duration::from_secs_f64((pos - start) as f64 / song.clock.sample_rate));
    }
    performance.timeline.end_all(song.clock.to_beats(end));
    performance.faults.extend(checker.finish().err());
    performance.faults.extend(audio_fault(&performance.audio));
    Ok(performance)
}

/// The first sample that is processed and the one after the last; the song starts at 0.
fn range(song: &Song) -> [i64; 2] {
    let samples = |seconds: f64| (seconds * song.clock.sample_rate).round() as i64;
    [-samples(BEFORE_SECONDS), song.end_samples() + samples(AFTER_SECONDS)]
}

/// How long the block at `pos` is: it ends early where the transport starts or stops.
fn frames_at(song: &Song, pos: i64, block_size: usize) -> usize {
    let bounds = [0, song.end_samples(), range(song)[1]];
    let bound = bounds.into_iter().find(|bound| *bound > pos);
    let left = bound.map_or(0, |bound| bound - pos);
    block_size.min(left as usize)
}

/// Collects the song's events of a block, from the event with index `next` on; returns the index of the one after them.
fn gather(song: &Song, next: usize, pos: i64, frames: usize, events: &mut Vec<Event>) -> usize {
    events.clear();
    let until = pos + frames as i64;
    let of_block = song.events[next..].iter().take_while(|(at, _)| *at < until);
    events.extend(of_block.map(|(at, kind)| Event { timing: (at - pos) as u32, kind: *kind }));
    next + events.len()
}

fn audio_fault(audio: &[Vec<f32>; 2]) -> Option<String> {
    let num_bad: usize = audio.iter().map(|channel| channel.iter().filter(|sample| !sample.is_finite()).count()).sum();
    (num_bad > 0).then(|| {
        format!("the plugin's audio: expected a number in every sample, got {num_bad} samples unwritten or infinite")
    })
}

#[cfg(test)]
mod tests {
    use continuo_model::phrase::{Note, Track};

    use super::*;
    use crate::fake_host::EventKind;
    use crate::host_clock::HostClock;

    fn song() -> Song {
        let note =
            |pitch, start_beats, length_beats| Note { pitch, velocity: 80, channel: 0, start_beats, length_beats };
        let notes = vec![note(60, 0.0, 1.0), note(62, 1.0, 2.5), note(64, 3.5, 0.5)];
        let phrase =
            Phrase { tempo_bpm: 133.0, time_signature: (4, 4), tracks: vec![Track { name: String::new(), notes }] };
        Song::new(&phrase, 1, HostClock { tempo_bpm: 133.0, ..HostClock::AT_120 })
    }

    #[test]
    fn every_event_is_played_once_at_its_sample_whatever_the_block() {
        let song = song();
        let [start, end] = range(&song);
        for block_size in [1, 17, 512, 8192] {
            let mut played = Vec::new();
            let (mut pos, mut next, mut events) = (start, 0, Vec::new());
            while pos < end {
                let frames = frames_at(&song, pos, block_size);
                assert!((1..=block_size).contains(&frames));
                let crosses = |bound: i64| pos < bound && bound < pos + frames as i64;
                assert!(!crosses(0) && !crosses(song.end_samples()));
                next = gather(&song, next, pos, frames, &mut events);
                played.extend(events.iter().map(|event| (pos + i64::from(event.timing), event.kind)));
                pos += frames as i64;
            }
            assert_eq!(pos, end);
            assert_eq!(played, song.events, "blocks of {block_size}");
        }
    }

    #[test]
    fn the_file_holds_voices_and_what_was_played() {
        let mut performance = Performance::default();
        let (channel, key, velocity) = (3, 48, 0.5);
        let on = EventKind::NoteOn { channel, key, velocity };
        performance.timeline.push(1.0, &on);
        performance.timeline.end_all(4.0);
        let phrase = performance.phrase(&song());
        let names: Vec<&str> = phrase.tracks.iter().map(|track| track.name.as_str()).collect();
        assert_eq!(names, ["Bass", "Played"]);
        assert_eq!((phrase.tempo_bpm, phrase.time_signature), (133.0, (4, 4)));
        assert_eq!(phrase.tracks[1].notes.len(), 3);
    }

    #[test]
    fn unwritten_audio_is_a_fault() {
        assert_eq!(audio_fault(&[vec![0.0, 1.0], vec![0.5, -1.0]]), None);
        let fault = audio_fault(&[vec![0.0, f32::NAN], vec![f32::INFINITY, 0.0]]).unwrap();
        assert!(fault.contains("got 2 samples"), "{fault}");
    }
}
