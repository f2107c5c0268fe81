//! Frozen lanes: they play a take again, each note at its position in the song, wherever the transport goes. Audio
//! thread.

use continuo_model::decision::{Decision, Lanes};
use nice_plug::midi::VoiceID;

use super::output::{Lag, Output, Owner, Touch};
use super::positions::{CountedStep, Sample, SongBeats, SongOffset, SongStep};
use super::settings::Settings;
use super::transport::{BlockTime, Motion};
use crate::bridge::AudioEnd;
use crate::frozen::{FrozenNote, FrozenPart};

/// The most frozen notes that sound at once. A lane may briefly hold a chord where takes overlap.
const MAX_SOUNDING: usize = 16;
/// Song positions closer than this, in beats, are equal.
const ROUNDING_BEATS: f64 = 1e-6;
/// When the transport starts within a note, the note sounds only if more than this many beats of it remain: a reply
/// delay may have pushed its end a little past its step.
const LEAST_BEATS: f64 = 1.0 / 16.0;

/// Plays a frozen part.
pub struct Frozen {
    part: Option<Box<FrozenPart>>,
    /// The lanes that are frozen now.
    lanes: Lanes,
    /// The index of the first note that has not started.
    next: usize,
    sounding: [Option<FrozenNote>; MAX_SOUNDING],
    /// Where the music is in the song; changes within a block when the loop wraps.
    offset: SongOffset,
}

/// The next event of a frozen part.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Coming {
    /// The sounding note with this index ends.
    End(usize),
    /// The next note starts.
    Start,
}

impl Frozen {
    /// No frozen part.
    pub fn new() -> Self {
        Self { part: None, lanes: Lanes::NONE, next: 0, sounding: [None; MAX_SOUNDING], offset: SongOffset::default() }
    }

    /// Whether all lanes are frozen, so that there is nothing to decide.
    pub fn is_all(&self) -> bool {
        self.part.is_some() && self.lanes == Lanes::ALL
    }

    /// The notes of the frozen lanes in a song step; `None` if the take has no notes there.
    pub fn step(&self, song_step: SongStep) -> Option<(Lanes, &Decision)> {
        let part = self.part.as_ref().filter(|_| !self.lanes.is_empty())?;
        part.step(song_step.number()).map(|notes| (self.lanes, notes))
    }

    fn coming(&self) -> Option<(SongBeats, Coming)> {
        let ends = self.sounding.iter().enumerate().filter_map(|(n, note)| Some((note.as_ref()?.end_beats, n)));
        let end = ends.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(beats, n)| (beats, Coming::End(n)));
        let start = self.part.as_ref().and_then(|part| part.notes.get(self.next));
        let start = start.map(|note| (note.start_beats, Coming::Start));
        // At the same position ends come first.
        let first = match (end, start) {
            (Some(end), Some(start)) => Some(if end.0 <= start.0 { end } else { start }),
            (end, start) => end.or(start),
        };
        first.map(|(beats, coming)| (SongBeats::new(beats), coming))
    }

    /// Follows a new part, other lanes or another position at the start of a block.
    pub fn follow(&mut self, settings: &Settings, time: &BlockTime, bridge: &mut AudioEnd, output: &mut Output) {
        let mut moved = matches!(time.motion, Motion::Started | Motion::Jumped | Motion::Halted);
        while let Some(part) = bridge.frozen_part() {
            if let Some(before) = self.part.replace(part) {
                bridge.give_back(before);
            }
            moved = true;
        }
        let plays = time.runs() && !time.is_free_running && !settings.bypass;
        let lanes = if plays { settings.frozen } else { Lanes::NONE };
        moved |= std::mem::replace(&mut self.lanes, lanes) != lanes;
        let step = time.position.step();
        self.offset = SongOffset::between(step, time.song_position(step).song_step);
        if moved {
            self.locate(settings, self.offset.song_beats(time.position), output, time.begin);
        }
    }

    /// Follows the loop back to its start, at counted step `step`.
    pub fn go_to_loop_start(
        &mut self,
        settings: &Settings,
        time: &BlockTime,
        step: CountedStep,
        output: &mut Output,
        at: Sample,
    ) {
        let song_step = time.song_position(step).song_step;
        self.offset = SongOffset::between(step, song_step);
        self.locate(settings, song_step.beats(), output, at);
    }

    /// Moves to a position in the song and starts the notes that sound there.
    fn locate(&mut self, settings: &Settings, song: SongBeats, output: &mut Output, at: Sample) {
        output.end_all(Some(Owner::Frozen), at, 1);
        self.sounding = [None; MAX_SOUNDING];
        let Some(part) = &self.part else { return };
        self.next = part.notes.partition_point(|note| note.start_beats < song.beats() - ROUNDING_BEATS);
        for n in 0..self.next {
            let note = self.part.as_ref().expect("it is there").notes[n];
            if note.end_beats > song.beats() + LEAST_BEATS {
                self.start(settings, note, output, at);
            }
        }
    }

    /// The timing of the next frozen event, counted from the start of the block; `i64::MAX` if there is none.
    pub fn next_timing(&self, time: &BlockTime) -> i64 {
        let coming = self.coming().filter(|_| !self.lanes.is_empty());
        coming.map_or(i64::MAX, |(song, _)| time.timing_of(self.offset.position(song)).max(0))
    }

    /// Plays the next event of the part at sample `at`.
    pub fn play_next(&mut self, settings: &Settings, output: &mut Output, at: Sample) {
        match self.coming() {
            Some((_, Coming::End(n))) => {
                if let Some(note) = self.sounding[n].take() {
                    output.end(Owner::Frozen, (note.lane, note.key), at, 1, Lag::default());
                }
            }
            Some((_, Coming::Start)) => {
                let note = self.part.as_ref().map(|part| part.notes[self.next]);
                self.next += 1;
                if let Some(note) = note {
                    self.start(settings, note, output, at);
                }
            }
            None => {}
        }
    }

    fn start(&mut self, settings: &Settings, note: FrozenNote, output: &mut Output, at: Sample) {
        if !(self.lanes & settings.emit).contains(note.lane) {
            return;
        }
        let Some(free) = self.sounding.iter_mut().find(|sounding| sounding.is_none()) else { return };
        *free = Some(note);
        let touch = Touch { voice_id: VoiceID::Wildcard, velocity: note.velocity };
        output.start(Owner::Frozen, (note.lane, note.key), touch, Lag::default(), at);
    }
}
