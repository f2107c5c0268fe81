//! A performance of a line model. While the player plays, it only remembers events. In the first free step the network
//! takes over: it reads the latest events, transposed to its home key, and continues word by word; its notes are
//! transposed back.
//!
//! It plays alone: in a step in which the player gives any lane, the other voices rest. The notes of its chords go to
//! the voices from the top, so a melody is the soprano's.

use std::sync::Arc;

use super::last_chord;
use super::rows::{decision_of, symbols_of};
use super::{Checkpoint, Network, Performer, Step};
use crate::config::HomeKey;
use crate::decision::{Decision, Given, Lanes};
use crate::key::{self, ALL_CLASSES};
use crate::lexicon::{Grammar, Lexicon, Word};
use crate::line_memory::{Event, LineMemory};
use crate::random::coin;
use crate::sampling::{self, Sampler};
use crate::stream::cuda::{Accelerator, Gpu, NoGpu};
use crate::stream::{LineNetwork, LineState, Scratch};
use crate::tokeniser::grid::{NUM_VOICES, STEPS_PER_BEAT};
use crate::vocabulary::Symbol;
use crate::weights_file::Description;

/// The network of a melody reads a longer note as if it had this many steps.
const MAX_READ_STEPS: usize = 16;
/// After a restart, this many events are drawn at a temperature of at least 1: lower ones would lead back into the
/// loop.
const FREE_EVENTS: usize = 4;
/// The most draws in a step: two words of an event, and the first of them again after the end of a piece. The fourth
/// number is unused.
const DRAWS: u64 = 4;

/// A performance of a line model.
pub(crate) struct LinePerformer {
    network: Arc<LineNetwork>,
    state: LineState,
    /// A copy of the state, for a replayed step.
    before: LineState,
    scratch: Scratch,
}

impl Network for LineNetwork {
    fn description(&self) -> &Description {
        self.description()
    }

    fn open_gpu(&self) -> Result<Gpu, NoGpu> {
        self.open_gpu()
    }

    fn performer(self: Arc<Self>) -> Box<dyn Performer> {
        Box::new(LinePerformer::new(self))
    }
}

impl LinePerformer {
    /// A performance at the start of a piece.
    pub fn new(network: Arc<LineNetwork>) -> Self {
        Self { state: network.state(), before: network.state(), scratch: network.scratch(), network }
    }

    fn decide_row(&mut self, step: &Step) -> [Symbol; NUM_VOICES] {
        let memory = &mut *self.state.memory;
        if !step.given.lanes.is_empty() {
            let row = given_row(memory, step);
            (memory.playing, memory.steps_left) = (false, 0);
            memory.push(step.step_idx, row, true, self.network.lexicon().grammar() == Grammar::Melody);
            return row;
        }
        let takes_over = !memory.playing;
        if takes_over {
            memory.take_over(step.step_idx, step.settings.controls.key);
            memory.shift = home_shift(memory.key, self.network.config().home_key);
        }
        let mut line = Line { network: &self.network, state: &mut self.state, scratch: &mut self.scratch, step };
        if takes_over {
            line.read_seed_phrase(|_| true);
        }
        line.play()
    }
}

impl Performer for LinePerformer {
    fn network(&self) -> &dyn Network {
        &*self.network
    }

    fn reset(&mut self) {
        self.state.reset();
    }

    /// If the player gives any lane, all other lanes rest.
    fn decide(&mut self, step: &Step) -> Decision {
        let before = self.state.memory.sounding;
        let row = self.decide_row(step);
        decision_of(row, before, self.state.memory.sounding)
    }

    /// Decides the step again if the model decided it before: its state depends on more than the outcome.
    fn replay(&mut self, past: &mut dyn Iterator<Item = (Step, Decision)>) {
        for (step, decision) in past {
            let given = Given::all(decision);
            if step.given.lanes == Lanes::NONE {
                self.before.copy_from(&self.state);
                if self.decide_row(&step).map(Some) == symbols_of(&given) {
                    continue;
                }
                self.state.copy_from(&self.before);
            }
            self.decide_row(&Step { given, ..step });
        }
    }

    fn accelerator(&mut self) -> &mut Accelerator {
        self.scratch.accelerator()
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint::new(self.state.clone())
    }

    fn save(&self, checkpoint: &mut Checkpoint) {
        checkpoint.state_mut::<LineState>().copy_from(&self.state);
    }

    fn restore(&mut self, checkpoint: &Checkpoint) {
        self.state.copy_from(checkpoint.state());
    }
}

/// The given symbols, and rests for all other voices.
fn given_row(memory: &LineMemory, step: &Step) -> [Symbol; NUM_VOICES] {
    let given = symbols_of(&step.given);
    std::array::from_fn(|voice| match given[voice] {
        Some(Symbol::Hold) if memory.sounding[voice].is_none() => Symbol::Rest,
        Some(symbol) => symbol,
        None => Symbol::Rest,
    })
}

/// The transposition from `key` to the home key, in semitones from -6 to 5.
fn home_shift(key: Option<u8>, home: HomeKey) -> i8 {
    match (key, home) {
        (None, _) | (_, HomeKey::None) => 0,
        (Some(key), HomeKey::CMajorAMinor) => key::shift_home(key::tonic(key), key::is_minor(key)),
    }
}

/// `pitch` transposed, moved by an octave if it would leave the MIDI range.
fn shifted(pitch: u8, semitones: i8) -> u8 {
    let mut pitch = i16::from(pitch) + i16::from(semitones);
    pitch += if pitch > 127 { -12 } else { 0 };
    pitch += if pitch < 0 { 12 } else { 0 };
    pitch as u8
}

/// Several pitches transposed, and how many there are.
fn all_shifted(pitches: &[u8], semitones: i8) -> ([u8; NUM_VOICES], usize) {
    let mut out = [0; NUM_VOICES];
    out.iter_mut().zip(pitches).for_each(|(to, from)| *to = shifted(*from, semitones));
    (out, pitches.len().min(NUM_VOICES))
}

/// A step that the network decides.
struct Line<'a> {
    network: &'a LineNetwork,
    state: &'a mut LineState,
    scratch: &'a mut Scratch,
    step: &'a Step,
}

impl Line<'_> {
    fn play(&mut self) -> [Symbol; NUM_VOICES] {
        let melody = self.network.lexicon().grammar() == Grammar::Melody;
        self.state.set_step_in_beat(self.step.step_in_beat);
        let continues = self.state.memory.steps_left > 0 && !self.step.attack && !self.step.settings.closes;
        let row = if continues {
            self.state.memory.steps_left -= 1;
            self.held()
        } else {
            if self.state.memory.is_stuck(self.step.settings.cools_rhythm) {
                self.restart();
            }
            self.draw_event()
        };
        let starts = row.iter().any(|symbol| matches!(symbol, Symbol::Pitch(_)));
        let memory = &mut *self.state.memory;
        memory.push(self.step.step_idx, row, false, melody);
        memory.drawn += usize::from(starts);
        row
    }

    /// The row in which all sounding notes continue.
    fn held(&mut self) -> [Symbol; NUM_VOICES] {
        self.state.memory.sounding.map(|pitch| if pitch.is_some() { Symbol::Hold } else { Symbol::Rest })
    }

    /// Starts a new piece whose beginning, up to this step, is the latest events of the seed phrase that are `wanted`.
    fn read_seed_phrase(&mut self, wanted: impl Fn(&Event) -> bool) {
        self.state.begin_piece();
        let (seed_phrase, shift) = (self.state.memory.seed_phrase.clone(), self.state.memory.shift);
        let count = self.network.config().context_events;
        let steps: usize = seed_phrase.last(count, &wanted).map(|event| self.read_steps(event)).sum();
        let first = self.step.step_in_beat + STEPS_PER_BEAT - steps % STEPS_PER_BEAT;
        self.state.set_step_in_beat(first);
        for event in seed_phrase.last(count, &wanted) {
            let pitches = event.pitches.as_ref().map_or(&[][..], |chord| chord.as_slice());
            let (pitches, len) = all_shifted(pitches, shift);
            self.read(self.network.lexicon().sound(&pitches[..len]));
            match self.network.lexicon().grammar() {
                Grammar::Events => self.read(self.network.lexicon().steps(event.steps)),
                Grammar::Melody => {
                    let hold = self.token(Word::Hold);
                    (1..self.read_steps(event)).for_each(|_| self.read(hold));
                }
            }
        }
        self.state.set_step_in_beat(self.step.step_in_beat);
        self.network.settle(self.state, self.scratch);
    }

    /// The length of an event as the network reads it, in steps.
    fn read_steps(&self, event: &Event) -> usize {
        match self.network.lexicon().grammar() {
            Grammar::Melody => event.steps.min(MAX_READ_STEPS),
            Grammar::Events => self.network.lexicon().duration(event.steps).0.into(),
        }
    }

    fn read(&mut self, token: u16) {
        self.network.skip(self.state, self.scratch);
        self.state.feed(token);
    }

    fn token(&self, word: Word) -> u16 {
        self.network.lexicon().token(&word).expect("the grammar has this word")
    }

    /// Restarts from the player's events alone: the network's own led into the loop or to the end of the piece.
    fn restart(&mut self) {
        let memory = &mut *self.state.memory;
        memory.restarts += 1;
        memory.drawn = 0;
        self.read_seed_phrase(|event| event.given);
    }

    /// Draws the next event; in a melody, the next word.
    fn draw_event(&mut self) -> [Symbol; NUM_VOICES] {
        let delimiter = self.network.lexicon().delimiter();
        let mut token = self.draw(0, |word| !matches!(word, Word::Steps(_)));
        if token == delimiter {
            self.restart(); // the network has ended the piece
            token = self.draw(1, |word| !matches!(word, Word::Steps(_) | Word::Delimiter));
        }
        if token == delimiter {
            return [Symbol::Rest; NUM_VOICES]; // only the delimiter is left
        }
        self.state.feed(token);
        if self.network.lexicon().word(token) == Word::Hold {
            return self.held();
        }
        let row = self.starts(token);
        if self.network.lexicon().grammar() == Grammar::Events {
            let steps = self.draw(2, |word| matches!(word, Word::Steps(_)));
            self.state.feed(steps);
            if let Word::Steps(n) = self.network.lexicon().word(steps) {
                self.state.memory.steps_left = usize::from(n) - 1;
            }
        }
        row
    }

    /// The row in which the notes of a word start.
    fn starts(&mut self, token: u16) -> [Symbol; NUM_VOICES] {
        let shift = self.state.memory.shift;
        let (before, len) = self.last_pitches();
        let mut row = [Symbol::Rest; NUM_VOICES];
        if let Some(chord) = self.network.lexicon().pitches(token, &before[..len]) {
            for (symbol, pitch) in row.iter_mut().zip(chord.as_slice().iter().rev()) {
                *symbol = Symbol::Pitch(shifted(*pitch, -shift));
            }
        }
        row
    }

    /// The pitches of the last chord or note, transposed to the home key, and how many there are.
    fn last_pitches(&self) -> ([u8; NUM_VOICES], usize) {
        let memory = &*self.state.memory;
        let before = memory.events.last(1, |event| event.pitches.is_some()).next().and_then(|event| event.pitches);
        all_shifted(before.as_ref().map_or(&[], |chord| chord.as_slice()), memory.shift)
    }

    /// Makes draw `n` of the step: a word for which `fits` returns true. The caller feeds it to the reader.
    fn draw(&mut self, n: u64, fits: impl Fn(&Word) -> bool) -> u16 {
        let Step { settings, step_idx, attack, .. } = *self.step;
        let LineMemory { shift, drawn, restarts, key, .. } = *self.state.memory;
        let has_events = self.state.memory.events.back(0).is_some();
        let scale = settings.preferred_classes(|| key);
        let home_scale = key::transposed(scale, shift.into());
        let (before, len) = self.last_pitches();
        let lexicon = self.network.lexicon();
        let logits = self.network.logits(self.state, self.scratch);
        sampling::mask(logits, |token| fits(&lexicon.word(token)));
        weigh(logits, lexicon, &settings.sampler);
        sampling::mask(logits, |token| {
            let word = lexicon.word(token);
            !(word == Word::Rest && attack || word == Word::Hold && (attack || !has_events))
        });
        let class_of = |token| class_of(&lexicon.word(token));
        // Before the scale makes some pitches rare: a chord is likelier to leave it than a single note.
        let class_weights: [f64; NUM_CLASSES] = sampling::class_weights(logits, class_of);
        if home_scale != ALL_CLASSES {
            sampling::prefer(logits, settings.snap, |token| match lexicon.word(token) {
                Word::Notes(chord) | Word::Classes(chord) => {
                    chord.as_slice().iter().all(|pitch| key::contains(home_scale, *pitch))
                }
                _ => true,
            });
        }
        // After the scale: a last chord whose notes Key snap rules out gives way.
        if let Some(key) = settings.controls.key.or(key).filter(|_| settings.closes) {
            let tonic = (key::tonic(key) as i8 + shift).rem_euclid(12) as u8;
            let home_key = if key::is_minor(key) { tonic + 12 } else { tonic };
            last_chord::restrict_word(logits, lexicon, home_key, &before[..len]);
        }
        let mut sampler = settings.sampler;
        if restarts > 0 && drawn < FREE_EVENTS {
            sampler.temperature = sampler.temperature.max(1.0);
        }
        let coin = coin(settings.rng_seed, settings.pass, step_idx, n + DRAWS * u64::from(restarts));
        if !settings.cools_rhythm {
            // A draw is either of durations or of all other words.
            let of_durations = class_weights[DURATIONS] > 0.0 && sampler.temperature > 0.0;
            let sampler = if of_durations { Sampler::PLAIN } else { sampler };
            return sampling::sample_by_class(logits, &class_weights, class_of, sampler, coin);
        }
        match lexicon.grammar() {
            Grammar::Melody => {
                let hold = lexicon.token(&Word::Hold).expect("the grammar has this word");
                sampling::sample_beside_hold(logits, hold, sampler, coin)
            }
            Grammar::Events => sampling::sample(logits, sampler, coin),
        }
    }
}

/// How many classes of words there are.
const NUM_CLASSES: usize = 5 + NUM_VOICES;
/// The class of durations.
const DURATIONS: usize = 3;

/// The class of a word. Which class comes next is drawn as the network learnt it.
fn class_of(word: &Word) -> usize {
    match word {
        Word::Delimiter => 0,
        Word::Rest => 1,
        Word::Hold => 2,
        Word::Steps(_) => DURATIONS,
        Word::Notes(chord) | Word::Classes(chord) => DURATIONS + chord.len().min(NUM_VOICES + 1),
    }
}

/// Applies the sampler's factors for rests and holds. With durations instead of holds, the hold factor applies once for
/// every doubling of the length.
fn weigh(logits: &mut [f32], lexicon: &Lexicon, sampler: &Sampler) {
    sampling::weigh(logits, lexicon.rest(), sampler.rest_weight);
    match lexicon.token(&Word::Hold) {
        Some(hold) => sampling::weigh(logits, hold, sampler.hold_weight),
        None if sampler.hold_weight == 1.0 => {}
        None => {
            for token in 0..lexicon.len() as u16 {
                if let Word::Steps(n) = lexicon.word(token) {
                    sampling::weigh(logits, token, libm::powf(sampler.hold_weight, libm::log2f(f32::from(n))));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
