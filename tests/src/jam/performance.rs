//! Plays a song into the plugin block by block and takes down what comes out. Runs on the thread that loaded the plugin.

use std::time::{Duration, Instant};

use anyhow::Result;
use continuo_model::phrase::Phrase;

use super::host_song::HostSong;
use crate::fake_host::{Event, HostedPlugin};
use crate::note_checker::NoteChecker;
use crate::timeline::Timeline;

/// How long the plugin runs before the transport starts, as in a DAW in which someone has yet to press play.
const BEFORE_SECONDS: f64 = 0.25;
/// How long it runs on after the transport has stopped, so that its notes can end.
const AFTER_SECONDS: f64 = 1.0;

/// How fast blocks follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Each block lasts as long as its audio.
    RealTime,
    /// A block follows as soon as the last one is done.
    AsFastAsPossible,
}

/// What the plugin gave.
#[derive(Debug, Default)]
pub struct Performance {
    /// Its notes, in beats of the song.
    pub timeline: Timeline,
    /// Left and right from the song's first sample on; empty if the class has no audio.
    pub audio: [Vec<f32>; 2],
    /// What is wrong with its output, a line each.
    pub faults: Vec<String>,
    /// How long it took.
    pub load: Load,
}

/// How much of the time that it lasts a block takes to process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    processing: Duration,
    audio_seconds: f64,
    /// Processing time over duration of the slowest block.
    slowest: f64,
    /// Blocks that took longer than they last: a stutter if it were a sound card.
    num_late: usize,
}

impl Performance {
    /// The plugin's voices and what was played, as a file holds them.
    pub fn phrase(&self, song: &HostSong) -> Phrase {
        let mut tracks = self.timeline.voices();
        tracks.push(song.played());
        Phrase { tempo_bpm: song.tempo_bpm, time_signature: song.time_signature, tracks }
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

    /// For people. No block is late where none is due.
    pub fn describe(&self, pace: Pace) -> String {
        let mean = self.processing.as_secs_f64() / self.audio_seconds.max(f64::MIN_POSITIVE);
        let mean = format!("processing took {:.2} % of the time", 100.0 * mean);
        match pace {
            Pace::AsFastAsPossible => mean,
            Pace::RealTime => format!(
                "{mean}, {:.1} % in the slowest block; {} blocks were late",
                100.0 * self.slowest,
                self.num_late
            ),
        }
    }
}

/// Plays the whole song in blocks of at most `block_size`, with a stopped transport before and after it.
/// `entering_bar` is told each bar, from 1, as the playhead comes to it.
///
/// # Errors
/// If the plugin fails to process; what is wrong with its notes is in the performance.
pub fn play(
    host: &mut HostedPlugin,
    song: &HostSong,
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
    let clock = Instant::now();
    while pos < end {
        let frames = frames_at(song, pos, block_size);
        let transport = song.transport(pos);
        if transport.playing && last_bar.replace(transport.bar_number) != Some(transport.bar_number) {
            entering_bar(transport.bar_number as u32 + 1);
        }
        next_event = gather(song, next_event, pos, frames, &mut events);

        let block_clock = Instant::now();
        let block = host.process(frames, Some(&transport), &events, &[])?;
        let block_seconds = frames as f64 / song.sample_rate;
        performance.load.add(block_clock.elapsed(), block_seconds);

        checker.block(frames, &block.events);
        for event in &block.events {
            let pos_beats = song.to_beats(pos + i64::from(event.timing)).max(0.0);
            performance.timeline.push(pos_beats, &event.kind);
        }
        if pos >= 0 {
            for (all, new) in performance.audio.iter_mut().zip(&block.audio) {
                all.extend_from_slice(new);
            }
        }
        pos += frames as i64;
        if pace == Pace::RealTime {
            let due = Duration::from_secs_f64((pos - start) as f64 / song.sample_rate);
            std::thread::sleep(due.saturating_sub(clock.elapsed()));
        }
    }
    performance.timeline.end_all(song.to_beats(end));
    performance.faults.extend(checker.finish().err());
    performance.faults.extend(audio_fault(&performance.audio));
    Ok(performance)
}

/// The first sample that is processed and the one after the last; the song starts at 0.
fn range(song: &HostSong) -> [i64; 2] {
    let samples = |seconds: f64| (seconds * song.sample_rate).round() as i64;
    [-samples(BEFORE_SECONDS), song.end_samples() + samples(AFTER_SECONDS)]
}

/// How long the block at `pos` is: it ends early where the transport starts or stops.
fn frames_at(song: &HostSong, pos: i64, block_size: usize) -> usize {
    let bounds = [0, song.end_samples(), range(song)[1]];
    let bound = bounds.into_iter().find(|bound| *bound > pos);
    let left = bound.map_or(0, |bound| bound - pos);
    block_size.min(left as usize)
}

/// Collects the song's events of a block, from the event with index `next` on; returns the index of the one after them.
fn gather(song: &HostSong, next: usize, pos: i64, frames: usize, events: &mut Vec<Event>) -> usize {
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

    fn song() -> HostSong {
        let note =
            |pitch, start_beats, length_beats| Note { pitch, velocity: 80, channel: 0, start_beats, length_beats };
        let notes = vec![note(60, 0.0, 1.0), note(62, 1.0, 2.5), note(64, 3.5, 0.5)];
        let phrase =
            Phrase { tempo_bpm: 133.0, time_signature: (4, 4), tracks: vec![Track { name: String::new(), notes }] };
        HostSong::new(&phrase, 133.0, 1, 48_000.0)
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
