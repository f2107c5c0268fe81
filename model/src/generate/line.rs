//! A line model's performance. While a player plays it listens and runs nothing; at the first step that is left to it, it is
//! shown the last events, put into its home key, and goes on from there word by word, put back into the player's.
//!
//! It plays alone: where some voices are given the others rest. Of what it plays a chord's notes go to the voices from the
//! top, so a melody is the soprano's.

use std::sync::Arc;

use super::rows::{decision_of, symbols_of};
use super::{ALL_CLASSES, Capabilities, Checkpoint, Network, Performer, Step};
use crate::config::HomeKey;
use crate::decision::{Decision, Lanes};
use crate::key;
use crate::lexicon::{Grammar, Lexicon, Word};
use crate::line_memory::{Event, LineMemory};
use crate::random::coin;
use crate::sampling::{self, Sampler};
use crate::stream::{LineNetwork, LineState, Scratch};
use crate::tokeniser::grid::{NUM_VOICES, STEPS_PER_BEAT};
use crate::vocabulary::Symbol;
use crate::weights_file::Description;

/// A long note is shown to a melody's network as so many words at the most.
const LONGEST_SHOWN: usize = 16;
/// After a new beginning so many events are drawn at least as freely as the network learnt, or it would come back to
/// where it was.
const FREE_EVENTS: usize = 4;
/// Words that may be drawn in a step: an event's two, and again after a piece's end.
const DRAWS: u64 = 4;

/// One performance of a line model.
pub struct LinePerformer {
    network: Arc<LineNetwork>,
    state: LineState,
    /// The state before a step that is replayed.
    before: LineState,
    scratch: Scratch,
}

impl Network for LineNetwork {
    fn description(&self) -> &Description {
        self.description()
    }

    fn capabilities(&self) -> Capabilities {
        self.description().config.kind().capabilities()
    }

    fn performer(self: Arc<Self>) -> Box<dyn Performer> {
        Box::new(LinePerformer::new(self))
    }
}

impl LinePerformer {
    /// At the start of a piece.
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
            line.begin(|_| true);
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

    /// A step in which any lane is given is the player's: the others rest.
    fn decide(&mut self, step: &Step) -> Decision {
        let before = self.state.memory.sounding;
        let row = self.decide_row(step);
        decision_of(row, before, self.state.memory.sounding)
    }

    /// A step that the model played is decided again: its state depends on more than what sounds.
    fn replay(&mut self, step: &Step, decision: &Decision) {
        let given = super::Given::all(*decision);
        if step.given.lanes == Lanes::NONE {
            self.before.copy_from(&self.state);
            if self.decide_row(step).map(Some) == symbols_of(&given) {
                return;
            }
            self.state.copy_from(&self.before);
        }
        self.decide_row(&Step { given, ..*step });
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

/// What is given, and rests for all others.
fn given_row(memory: &LineMemory, step: &Step) -> [Symbol; NUM_VOICES] {
    let given = symbols_of(&step.given);
    std::array::from_fn(|voice| match given[voice] {
        Some(Symbol::Hold) if memory.sounding[voice].is_none() => Symbol::Rest,
        Some(symbol) => symbol,
        None => Symbol::Rest,
    })
}

/// Semitones up from `key` to the home key, -6 to 5.
fn home_shift(key: Option<u8>, home: HomeKey) -> i8 {
    const A: i8 = 9;
    match (key, home) {
        (None, _) | (_, HomeKey::None) => 0,
        (Some(key), HomeKey::CMajorAMinor) => {
            let tonic = if key >= 12 { A } else { 0 };
            (tonic - (key % 12) as i8 + 6).rem_euclid(12) - 6
        }
    }
}

fn shifted(pitch: u8, semitones: i8) -> u8 {
    let mut pitch = i16::from(pitch) + i16::from(semitones);
    pitch += if pitch > 127 { -12 } else { 0 };
    pitch += if pitch < 0 { 12 } else { 0 };
    pitch as u8
}

/// Several pitches, shifted, and how many they are.
fn all_shifted(pitches: &[u8], semitones: i8) -> ([u8; NUM_VOICES], usize) {
    let mut out = [0; NUM_VOICES];
    out.iter_mut().zip(pitches).for_each(|(to, from)| *to = shifted(*from, semitones));
    (out, pitches.len().min(NUM_VOICES))
}

/// A step that the network plays.
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
        let goes_on = self.state.memory.steps_left > 0 && !self.step.attack;
        let row = if goes_on {
            self.state.memory.steps_left -= 1;
            self.held()
        } else {
            if self.state.memory.is_stuck() {
                self.begin_anew();
            }
            self.draw_event()
        };
        let starts = row.iter().any(|symbol| matches!(symbol, Symbol::Pitch(_)));
        let memory = &mut *self.state.memory;
        memory.push(self.step.step_idx, row, false, melody);
        memory.drawn += usize::from(starts);
        row
    }

    /// What sounds goes on.
    fn held(&mut self) -> [Symbol; NUM_VOICES] {
        self.state.memory.sounding.map(|pitch| if pitch.is_some() { Symbol::Hold } else { Symbol::Rest })
    }

    /// The network reads the last events that are wanted, as a piece that leads up to this step.
    fn begin(&mut self, wanted: impl Fn(&Event) -> bool) {
        self.state.begin_piece();
        let (seed, shift) = {
            let memory = &mut *self.state.memory;
            (memory.seed.clone(), memory.shift)
        };
        let count = self.network.config().context_events;
        let steps: usize = seed.last(count, &wanted).map(|event| self.shown_steps(event)).sum();
        let first = self.step.step_in_beat + STEPS_PER_BEAT - steps % STEPS_PER_BEAT;
        self.state.set_step_in_beat(first);
        for event in seed.last(count, &wanted) {
            let pitches = event.pitches.as_ref().map_or(&[][..], |chord| chord.as_slice());
            let (pitches, len) = all_shifted(pitches, shift);
            self.read(self.network.lexicon().sound(&pitches[..len]));
            match self.network.lexicon().grammar() {
                Grammar::Events => self.read(self.network.lexicon().steps(event.steps)),
                Grammar::Melody => {
                    let hold = self.token(Word::Hold);
                    (1..self.shown_steps(event)).for_each(|_| self.read(hold));
                }
            }
        }
        self.state.set_step_in_beat(self.step.step_in_beat);
    }

    /// How long an event is to the network.
    fn shown_steps(&self, event: &Event) -> usize {
        match self.network.lexicon().grammar() {
            Grammar::Melody => event.steps.min(LONGEST_SHOWN),
            Grammar::Events => match self.network.lexicon().word(self.network.lexicon().steps(event.steps)) {
                Word::Steps(n) => n.into(),
                _ => unreachable!("a duration is a duration word"),
            },
        }
    }

    fn read(&mut self, token: u16) {
        self.network.logits(self.state, self.scratch);
        self.state.feed(token);
    }

    fn token(&self, word: Word) -> u16 {
        self.network.lexicon().token(&word).expect("the grammar has this word")
    }

    /// From what the player played last, or from nothing: what the network played itself led to where it is.
    fn begin_anew(&mut self) {
        let memory = &mut *self.state.memory;
        memory.restarts += 1;
        memory.drawn = 0;
        self.begin(|event| event.given);
    }

    /// What starts now, or in a melody what goes on.
    fn draw_event(&mut self) -> [Symbol; NUM_VOICES] {
        let delimiter = self.network.lexicon().delimiter();
        let mut token = self.draw(0, |word| !matches!(word, Word::Steps(_)));
        if token == delimiter {
            // A piece is over: the music goes on from where it began.
            self.begin_anew();
            token = self.draw(1, |word| !matches!(word, Word::Steps(_) | Word::Delimiter));
        }
        if token == delimiter {
            return [Symbol::Rest; NUM_VOICES]; // the network knows nothing else to say
        }
        self.state.feed(token);
        if self.network.lexicon().word(token) == Word::Hold {
            return self.held();
        }
        let row = self.sounds(token);
        if self.network.lexicon().grammar() == Grammar::Events {
            let steps = self.draw(2, |word| matches!(word, Word::Steps(_)));
            self.state.feed(steps);
            if let Word::Steps(n) = self.network.lexicon().word(steps) {
                self.state.memory.steps_left = usize::from(n) - 1;
            }
        }
        row
    }

    /// The row in which a word starts.
    fn sounds(&mut self, token: u16) -> [Symbol; NUM_VOICES] {
        let memory = &mut *self.state.memory;
        let shift = memory.shift;
        let before = memory.events.last(1, |event| event.pitches.is_some()).next();
        let before = before.and_then(|event| event.pitches);
        let (before, len) = all_shifted(before.as_ref().map_or(&[], |chord| chord.as_slice()), shift);
        let mut row = [Symbol::Rest; NUM_VOICES];
        if let Some(chord) = self.network.lexicon().pitches(token, &before[..len]) {
            for (symbol, pitch) in row.iter_mut().zip(chord.as_slice().iter().rev()) {
                *symbol = Symbol::Pitch(shifted(*pitch, -shift));
            }
        }
        row
    }

    /// Draws a word for which `fits` is true. It is not read yet.
    fn draw(&mut self, n: u64, fits: impl Fn(&Word) -> bool) -> u16 {
        let Step { settings, step_idx, attack, .. } = *self.step;
        let (shift, sounds, drawn, restarts, key) = {
            let memory = &mut *self.state.memory;
            let something = memory.events.back(0).is_some();
            (memory.shift, something, memory.drawn, memory.restarts, memory.key)
        };
        let scale = settings.controls.key.or(key).filter(|_| settings.snap).map_or(ALL_CLASSES, key::scale);
        let home_scale = key::transposed(scale, shift.into());
        let lexicon = self.network.lexicon();
        let logits = self.network.logits(self.state, self.scratch);
        sampling::mask(logits, |token| fits(&lexicon.word(token)));
        weigh(logits, lexicon, &settings.sampler);
        sampling::mask(logits, |token| {
            let word = lexicon.word(token);
            !(word == Word::Rest && attack || word == Word::Hold && (attack || !sounds))
        });
        sampling::mask(logits, |token| match lexicon.word(token) {
            Word::Notes(chord) | Word::Classes(chord) => {
                chord.as_slice().iter().all(|pitch| home_scale >> (pitch % 12) & 1 == 1)
            }
            _ => true,
        });
        let mut sampler = settings.sampler;
        if restarts > 0 && drawn < FREE_EVENTS {
            sampler.temperature = sampler.temperature.max(1.0);
        }
        let coin = coin(settings.rng_seed, settings.pass, step_idx, n + DRAWS * u64::from(restarts));
        match lexicon.grammar() {
            Grammar::Melody => {
                let hold = lexicon.token(&Word::Hold).expect("a melody has a hold");
                sampling::sample_beside_hold(logits, hold, sampler, coin)
            }
            Grammar::Events => sampling::sample(logits, sampler, coin),
        }
    }
}

/// Weighs rests and holds as the sampler says. An event that is twice as long as another is weighed once more.
fn weigh(logits: &mut [f32], lexicon: &Lexicon, sampler: &Sampler) {
    sampling::weigh(logits, lexicon.rest(), sampler.rest_weight);
    match lexicon.token(&Word::Hold) {
        Some(hold) => sampling::weigh(logits, hold, sampler.hold_weight),
        None if sampler.hold_weight == 1.0 => {}
        None => {
            for token in 0..lexicon.len() as u16 {
                if let Word::Steps(n) = lexicon.word(token) {
                    sampling::weigh(logits, token, sampler.hold_weight.powf(f32::from(n).log2()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
