//! Frozen lanes: they play a take again, note by note at its positions in the song, wherever the transport goes. Audio
//! thread.

use continuo_model::decision::{Decision, Lanes};
use nice_plug::midi::VoiceID;

use super::output::{Lag, Output, Owner, Touch};
use super::positions::{CountedStep, Sample, SongBeats, SongOffset, SongStep};
use super::settings::Settings;
use super::transport::{BlockTime, Motion};
use crate::bridge::AudioEnd;
use crate::frozen::{FrozenNote, FrozenPart};

/// Frozen notes that sound at once, at the most: a lane may hold a chord for a moment where takes overlap.
const MAX_SOUNDING: usize = 16;
/// Two positions in the song that are nearer than this, beats, are one.
const ROUNDING_BEATS: f64 = 1e-6;
/// A note of which less than this is left where the transport comes in is over: such a rest is what a reply delay put
/// behind its step.
const LEAST_BEATS: f64 = 1.0 / 16.0;

/// Plays a frozen part.
pub struct Frozen {
    part: Option<Box<FrozenPart>>,
    /// The lanes that are frozen.
    lanes: Lanes,
    /// The first note that has not started.
    next: usize,
    sounding: [Option<FrozenNote>; MAX_SOUNDING],
    /// Where the music is now: as a loop comes round it changes within a block.
    offset: SongOffset,
}

/// What comes next of a frozen part.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Coming {
    /// The sounding note in this place ends.
    End(usize),
    /// The next note starts.
    Start,
}

impl Frozen {
    /// Nothing is frozen.
    pub fn new() -> Self {
        Self { part: None, lanes: Lanes::NONE, next: 0, sounding: [None; MAX_SOUNDING], offset: SongOffset::default() }
    }

    /// Whether all lanes are, so that there is nothing to decide.
    pub fn is_all(&self) -> bool {
        self.part.is_some() && self.lanes == Lanes::ALL
    }

    /// What happens on the frozen lanes in a step of the song; `None` if the take holds nothing there.
    pub fn step(&self, song_step: SongStep) -> Option<(Lanes, &Decision)> {
        let part = self.part.as_ref().filter(|_| !self.lanes.is_empty())?;
        part.step(song_step.number()).map(|notes| (self.lanes, notes))
    }

    fn coming(&self) -> Option<(SongBeats, Coming)> {
        let ends = self.sounding.iter().enumerate().filter_map(|(n, note)| Some((note.as_ref()?.end_beats, n)));
        let end = ends.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(beats, n)| (beats, Coming::End(n)));
        let start = self.part.as_ref().and_then(|part| part.notes.get(self.next));
        let start = start.map(|note| (note.start_beats, Coming::Start));
        // At one position ends come first.
        let first = match (end, start) {
            (Some(end), Some(start)) => Some(if end.0 <= start.0 { end } else { start }),
            (end, start) => end.or(start),
        };
        first.map(|(beats, coming)| (SongBeats::new(beats), coming))
    }

    /// Takes another part, other lanes and another position into account, at a block's start.
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

    /// A loop comes round at counted step `step`.
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

    /// Goes to a position in the song: what sounds there starts there.
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

    /// The sample of the block at which a frozen note starts or ends next; far away if none does.
    pub fn next_timing(&self, time: &BlockTime) -> i64 {
        let coming = self.coming().filter(|_| !self.lanes.is_empty());
        coming.map_or(i64::MAX, |(song, _)| time.timing_of(self.offset.position(song)).max(0))
    }

    /// What comes next of the part happens at sample `at`.
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
