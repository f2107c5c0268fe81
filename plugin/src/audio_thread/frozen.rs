//! Frozen voices: they play a take again, note by note at its places in the song, wherever the transport goes. Audio
//! thread.

use continuo_model::tokeniser::grid::NUM_VOICES;
use nice_plug::midi::VoiceID;

use super::events::{Lag, Touch};
use super::held_notes::Owner;
use super::process::AudioThread;
use super::rows::{self, Given};
use super::settings::Block;
use super::transport::{BlockTime, Motion, STEPS_PER_BEAT};
use crate::frozen::{FrozenNote, FrozenPart};

/// Frozen notes that sound at once, at the most: a voice may hold a chord for a moment where takes overlap.
const MAX_SOUNDING: usize = 16;
/// Two places in the song that are nearer than this, beats, are one.
const ROUNDING_BEATS: f64 = 1e-6;
/// A note of which less than this is left where the transport comes in is over: such a rest is what a reply delay put
/// behind its step.
const LEAST_BEATS: f64 = 1.0 / 16.0;

/// Plays a score.
pub struct Frozen {
    score: Option<Box<FrozenPart>>,
    /// The voices that are frozen.
    voices: [bool; NUM_VOICES],
    /// The first note that has not started.
    next: usize,
    sounding: [Option<FrozenNote>; MAX_SOUNDING],
    /// Song step less counted step, for where the music is now: at a loop's seam it changes within a block.
    offset: i64,
}

/// What comes next of a score.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Coming {
    /// The sounding note in this place ends.
    End(usize),
    /// The next note starts.
    Start,
}

impl Frozen {
    /// Nothing is frozen.
    pub const fn new() -> Self {
        Self { score: None, voices: [false; NUM_VOICES], next: 0, sounding: [None; MAX_SOUNDING], offset: 0 }
    }

    /// Whether all voices are, so that there is nothing to decide.
    pub fn is_all(&self) -> bool {
        self.score.is_some() && self.voices == [true; NUM_VOICES]
    }

    /// What the frozen voices do in a step of the song; the others, and all where the take holds nothing, are free.
    pub fn row(&self, song_step: i64) -> [Given; NUM_VOICES] {
        let step = self.score.as_ref().and_then(|score| score.step(song_step));
        let row = step.map_or([Given::Free; NUM_VOICES], rows::from_decision);
        std::array::from_fn(|voice| if self.voices[voice] { row[voice] } else { Given::Free })
    }

    fn coming(&self) -> Option<(f64, Coming)> {
        let ends = self.sounding.iter().enumerate().filter_map(|(n, note)| Some((note.as_ref()?.end_beats, n)));
        let end = ends.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(beats, n)| (beats, Coming::End(n)));
        let start = self.score.as_ref().and_then(|score| score.notes.get(self.next));
        let start = start.map(|note| (note.start_beats, Coming::Start));
        // At one place ends come first.
        match (end, start) {
            (Some(end), Some(start)) => Some(if end.0 <= start.0 { end } else { start }),
            (end, start) => end.or(start),
        }
    }
}

impl AudioThread {
    /// Takes another score, other voices and another place into account, at a block's start.
    pub(super) fn follow_frozen(&mut self, block: &Block, time: &BlockTime) {
        let mut moved = matches!(time.motion, Motion::Started | Motion::Jumped | Motion::Halted);
        while let Some(score) = self.bridge.frozen_part() {
            let before = self.frozen.score.replace(score);
            if let Some(before) = before {
                self.bridge.give_back(before);
            }
            moved = true;
        }
        let plays = time.runs() && !self.clock.is_free_running() && !block.settings.bypass;
        let voices = if plays { block.settings.frozen } else { [false; NUM_VOICES] };
        moved |= std::mem::replace(&mut self.frozen.voices, voices) != voices;
        self.frozen.offset = time.place(time.pos_steps.floor() as i64).song_step - time.pos_steps.floor() as i64;
        if moved {
            let song_beats = (time.pos_steps + self.frozen.offset as f64) / STEPS_PER_BEAT;
            self.locate_frozen(block, song_beats, self.samples);
        }
    }

    /// Goes to a place in the song: what sounds there starts there.
    fn locate_frozen(&mut self, block: &Block, song_beats: f64, at: u64) {
        self.ledger.end_all(Some(Owner::Frozen), at, 1);
        self.frozen.sounding = [None; MAX_SOUNDING];
        let Some(score) = &self.frozen.score else { return };
        let next = score.notes.partition_point(|note| note.start_beats < song_beats - ROUNDING_BEATS);
        self.frozen.next = next;
        for n in 0..next {
            let note = self.frozen.score.as_ref().expect("it is there").notes[n];
            if note.end_beats > song_beats + LEAST_BEATS {
                self.start_frozen(block, note, at);
            }
        }
    }

    /// A loop comes round at counted step `step`.
    pub(super) fn frozen_seam(&mut self, block: &Block, time: &BlockTime, step: i64, at: u64) {
        let song_step = time.place(step).song_step;
        self.frozen.offset = song_step - step;
        self.locate_frozen(block, song_step as f64 / STEPS_PER_BEAT, at);
    }

    /// The sample of the block at which a frozen note starts or ends next; far away if none does.
    pub(super) fn next_frozen(&self, time: &BlockTime) -> i64 {
        let coming = self.frozen.coming().filter(|_| self.frozen.voices != [false; NUM_VOICES]);
        coming.map_or(i64::MAX, |(beats, _)| time.sample_of(beats * STEPS_PER_BEAT - self.frozen.offset as f64).max(0))
    }

    /// What comes next of the score happens at sample `at`.
    pub(super) fn on_frozen(&mut self, block: &Block, at: u64) {
        match self.frozen.coming() {
            Some((_, Coming::End(n))) => {
                if let Some(note) = self.frozen.sounding[n].take() {
                    self.ledger.end(Owner::Frozen, (note.lane, note.key), at, 1, Lag::default());
                }
            }
            Some((_, Coming::Start)) => {
                let note = self.frozen.score.as_ref().map(|score| score.notes[self.frozen.next]);
                self.frozen.next += 1;
                if let Some(note) = note {
                    self.start_frozen(block, note, at);
                }
            }
            None => {}
        }
    }

    fn start_frozen(&mut self, block: &Block, note: FrozenNote, at: u64) {
        let is_on = |voices: &[bool; NUM_VOICES]| voices.get(usize::from(note.lane)).is_some_and(|is_on| *is_on);
        if !is_on(&self.frozen.voices) || !is_on(&block.settings.emit) {
            return;
        }
        let Some(free) = self.frozen.sounding.iter_mut().find(|sounding| sounding.is_none()) else { return };
        *free = Some(note);
        let touch = Touch { voice_id: VoiceID::Wildcard, velocity: note.velocity };
        self.start(Owner::Frozen, (note.lane, note.key), touch, Lag::default(), at);
    }
}
