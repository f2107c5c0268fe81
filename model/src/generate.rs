//! A performance: steps decided one after the other, any voice given by the player or drawn.

mod line;

use crate::key;
use crate::random::coin;
use crate::repetition::Stuck;
use crate::rules::{self, Row};
use crate::sampling::{self, Sampler};
use crate::stream::{Scratch, State, StreamingNetwork};
use crate::tokeniser::grid::NUM_VOICES;
use crate::tokeniser::step_reader::Controls;
use crate::vocabulary::{Symbol, Vocabulary};

/// How many continuations are weighed against each other when a lower voice is given and a higher one is not.
const NUM_CANDIDATES: usize = 12;
/// How many chords are weighed against each other below temperature 1.
const NUM_CHORDS: usize = 8;
/// The draw that chooses among candidates; draws 0 to `NUM_VOICES * NUM_CANDIDATES` belong to the voices.
const CHOOSE: u64 = 1 << 16;
/// Every pitch class.
const ALL_CLASSES: u16 = 0xfff;

/// One voice in one step: left to the network, or given by the player.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Given {
    /// The network decides.
    #[default]
    Free,
    /// The voice does this.
    Symbol(Symbol),
}

/// What a step depends on beside what went before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepSettings {
    /// How adventurous the choice is.
    pub sampler: Sampler,
    /// Chooses one performance out of all that are possible.
    pub rng_seed: u64,
    /// Which time round a loop it is, where every time shall differ; else 0.
    pub pass: u64,
    /// Whether parallel fifths and octaves, and notes outside of a voice's range, are ruled out where there is another
    /// choice.
    pub strict: bool,
    /// What the player wishes for; heard by networks that were trained to follow it.
    pub controls: Controls,
    /// Whether pitches outside of the key's scale are ruled out where there is another choice. The key is the one that
    /// `controls` tells, else the one that is heard, if any is.
    pub snap: bool,
}

/// One step to decide: what the decision depends on beside what went before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Which step it is, 16ths; random numbers belong to it.
    pub step_idx: i64,
    /// Which 16th of the beat it is, counted from the start of the bar.
    pub step_in_beat: usize,
    /// What the player decides of it.
    pub given: [Given; NUM_VOICES],
    /// Every free voice starts a note; none holds or rests. For the first step after a silence.
    pub attack: bool,
    /// How to choose.
    pub settings: StepSettings,
}

/// Plays a network step by step. Allocates only when it is made.
pub struct Performer {
    network: StreamingNetwork,
    state: State,
    /// Where it stood before a step that may have to be taken back.
    before: State,
    scratch: Scratch,
    /// None for a line model, which weighs none.
    candidates: Vec<Candidate>,
}

/// How a step's voices are drawn.
#[derive(Clone, Copy)]
struct Plan {
    order: [usize; NUM_VOICES],
    stuck: Option<Stuck>,
    /// Pitch classes that may be drawn, bit n for class n.
    scale: u16,
    /// With a rhythm, those that hold in it do, and no other.
    holds: Option<[bool; NUM_VOICES]>,
    /// Candidates will be weighed against each other.
    weighs: bool,
}

struct Candidate {
    state: State,
    row: [u16; NUM_VOICES],
    /// Natural logarithm of the probability of what was given.
    given: f64,
    /// The same of what was drawn, before temperature and whatever the rhythm.
    drawn: f64,
}

impl Performer {
    /// At the start of a piece.
    pub fn new(network: StreamingNetwork) -> Self {
        let candidate = |_| Candidate { state: network.state(), row: [0; NUM_VOICES], given: 0.0, drawn: 0.0 };
        let candidates = if network.line().is_some() { 0 } else { NUM_CANDIDATES };
        let candidates = (0..candidates).map(candidate).collect();
        Self { state: network.state(), before: network.state(), scratch: network.scratch(), candidates, network }
    }

    /// Where the performance stands; copy it to come back here with [`Self::rewind`].
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The network that plays.
    pub fn network(&self) -> &StreamingNetwork {
        &self.network
    }

    /// Goes back to a state of this performance.
    pub fn rewind(&mut self, state: &State) {
        self.state.copy_from(state);
    }

    /// Back to the start of a piece.
    pub fn reset(&mut self) {
        self.state.reset();
    }

    /// Decides what all voices do in a step and moves on. The result is a function of the network, what was
    /// decided before, and `step`.
    ///
    /// A split network decides what is given first, then the free voices from the top. Below temperature 1 it draws
    /// several chords with the same rhythm and prefers those that are likelier as a whole: a chord is as good as its
    /// worst note.
    ///
    /// A stack knows one order only: if a voice is given below one that is free, several candidates for the free ones
    /// are drawn, and one is chosen with the probability that it gives to what is given. Both are sampling by importance
    /// (Doucet, de Freitas and Gordon, "Sequential Monte Carlo methods in practice", 2001, chapter 1).
    ///
    /// A line model plays whole steps or none: see [`line`].
    pub fn step(&mut self, step: &Step) -> [Symbol; NUM_VOICES] {
        if self.network.line().is_some() {
            return line::step(&self.network, &mut self.state, &mut self.scratch, step);
        }
        self.state.set_step_in_beat(step.step_in_beat);
        let stuck = self.state.stuck();
        let key = step.settings.controls.key.or_else(|| self.state.key());
        let scale = key.filter(|_| step.settings.snap).map_or(ALL_CLASSES, key::scale);
        self.network.begin_step(&mut self.state, step.settings.controls, &mut self.scratch);
        let is_free = |voice: &usize| step.given[*voice] == Given::Free;
        let order: [usize; NUM_VOICES] = std::array::from_fn(|voice| voice);
        let first_free = order.iter().position(is_free).unwrap_or(NUM_VOICES);
        let given_below_free = !order[first_free..].iter().all(is_free);
        let mut plan = Plan { order, stuck, scale, holds: None, weighs: false };
        let chosen = if self.network.takes_any_order() {
            // A stable sort: what is given first, then the free voices from the top.
            plan.order.sort_by_key(is_free);
            self.decide_together(step, plan)
        } else if given_below_free {
            plan.weighs = true;
            (0..NUM_CANDIDATES).for_each(|n| self.draw_candidate(n, step, plan));
            self.choose(step, NUM_CANDIDATES, |candidate| candidate.given)
        } else {
            self.draw_candidate(0, step, plan);
            0
        };
        let chosen = &self.candidates[chosen];
        self.state.copy_from(&chosen.state);
        chosen.row.map(|token| Vocabulary::GRID.symbol(token).expect("only tokens of the vocabulary are drawn"))
    }

    /// Goes through a step again that was decided before with this outcome. From the state that it was decided from, the
    /// performance comes to where it was then; from another, it hears the row as if it were given.
    pub fn replay(&mut self, step: &Step, row: [Symbol; NUM_VOICES]) {
        if self.network.line().is_some() && step.given == [Given::Free; NUM_VOICES] {
            self.before.copy_from(&self.state);
            if self.step(step) == row {
                return;
            }
            self.state.copy_from(&self.before);
        }
        self.step(&Step { given: row.map(Given::Symbol), ..*step });
    }

    /// Draws a step, and if a note starts in it others with the same rhythm; returns the number of the one that is chosen.
    fn decide_together(&mut self, step: &Step, mut plan: Plan) -> usize {
        let hold = Vocabulary::GRID.token(Symbol::Hold);
        let temperature = f64::from(step.settings.sampler.temperature);
        plan.weighs = temperature > 0.0 && temperature < 1.0;
        self.draw_candidate(0, step, plan);
        let holds = self.candidates[0].row.map(|token| token == hold);
        let notes_start = (0..NUM_VOICES).any(|voice| step.given[voice] == Given::Free && !holds[voice]);
        if !notes_start || !plan.weighs {
            return 0;
        }
        plan.holds = Some(holds);
        (1..NUM_CHORDS).for_each(|n| self.draw_candidate(n, step, plan));
        self.choose(step, NUM_CHORDS, |candidate| candidate.drawn * (1.0 / temperature - 1.0))
    }

    /// Decides the voices as planned.
    fn draw_candidate(&mut self, n: usize, step: &Step, plan: Plan) {
        let candidate = &mut self.candidates[n];
        candidate.state.copy_from(&self.state);
        (candidate.given, candidate.drawn) = (0.0, 0.0);
        let mut parts = Parts::new(std::array::from_fn(|voice| self.state.sounding(voice)));
        for voice in plan.order {
            let nothing_to_hold = candidate.state.sounding(voice).is_none();
            let is_free = step.given[voice] == Given::Free;
            // A stack has to run through every cell; a head is only asked for what is to be drawn.
            let logits = (is_free || !self.network.takes_any_order())
                .then(|| self.network.logits(&mut candidate.state, voice, &mut self.scratch));
            let token = match (step.given[voice], logits) {
                (Given::Free, Some(logits)) => {
                    restrict(logits, voice, step, &plan, &parts);
                    let (token, log_prob) = draw(logits, n, voice, step, &plan);
                    candidate.drawn += log_prob;
                    token
                }
                (Given::Free, None) => unreachable!("what is free has logits"),
                (Given::Symbol(symbol), logits) => {
                    let rests = symbol == Symbol::Hold && nothing_to_hold;
                    let token = Vocabulary::GRID.token(if rests { Symbol::Rest } else { symbol });
                    if let Some(logits) = logits.filter(|_| plan.weighs) {
                        candidate.given += f64::from(log_probs_of(logits)[usize::from(token)]);
                    }
                    token
                }
            };
            candidate.state.feed(voice, token);
            candidate.row[voice] = token;
            parts.decide(voice, token);
        }
    }

    /// One of the first `count` candidates, drawn with the probabilities whose logarithms `log_weight` gives.
    fn choose(&self, step: &Step, count: usize, log_weight: impl Fn(&Candidate) -> f64) -> usize {
        let weights = || self.candidates[..count].iter().map(&log_weight);
        let highest = weights().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = weights().map(|w| (w - highest).exp()).sum();
        let mut left = coin(step.settings.rng_seed, step.settings.pass, step.step_idx, CHOOSE) * total;
        for (n, weight) in weights().enumerate() {
            left -= (weight - highest).exp();
            if left < 0.0 {
                return n;
            }
        }
        weights().position(|w| w == highest).expect("one of them is the highest")
    }
}

/// Weighs rests and holds as the sampler says, and takes out of the draw what `voice` must not do.
fn restrict(logits: &mut [f32], voice: usize, step: &Step, plan: &Plan, parts: &Parts) {
    let [hold, rest] = [Symbol::Hold, Symbol::Rest].map(|symbol| Vocabulary::GRID.token(symbol));
    let nothing_to_hold = parts.before[voice].is_none();
    sampling::weigh(logits, rest, step.settings.sampler.rest_weight);
    sampling::weigh(logits, hold, step.settings.sampler.hold_weight);
    sampling::mask(logits, |token| token != hold || !(nothing_to_hold || step.attack));
    sampling::mask(logits, |token| token != rest || !step.attack);
    if plan.scale != ALL_CLASSES {
        sampling::mask(logits, |token| match Vocabulary::GRID.symbol(token) {
            Some(Symbol::Pitch(pitch)) => plan.scale >> (pitch % 12) & 1 == 1,
            _ => true,
        });
    }
    if let Some(stuck) = plan.stuck {
        sampling::mask(logits, |token| stuck.allows(voice, token));
    }
    if step.settings.strict {
        sampling::mask(logits, |token| parts.is_in_range(voice, token));
        sampling::mask(logits, |token| !parts.makes_parallel(voice, token));
    }
}

/// Draws a token for candidate `n`; if candidates are weighed, with the logarithm of its probability before temperature
/// and whatever the rhythm.
fn draw(logits: &mut [f32], n: usize, voice: usize, step: &Step, plan: &Plan) -> (u16, f64) {
    let hold = Vocabulary::GRID.token(Symbol::Hold);
    let log_probs = plan.weighs.then(|| log_probs_of(logits));
    if let Some(holds) = plan.holds {
        sampling::mask(logits, |token| (token == hold) == holds[voice]);
    }
    let settings = &step.settings;
    let coin = coin(settings.rng_seed, settings.pass, step.step_idx, (n * NUM_VOICES + voice) as u64);
    let token = sampling::sample_beside_hold(logits, hold, settings.sampler, coin);
    (token, log_probs.map_or(0.0, |log_probs| f64::from(log_probs[usize::from(token)])))
}

fn log_probs_of(logits: &[f32]) -> [f32; Vocabulary::GRID.size()] {
    let mut log_probs = [f32::NEG_INFINITY; Vocabulary::GRID.size()];
    log_probs.copy_from_slice(logits);
    sampling::log_softmax(&mut log_probs);
    log_probs
}

/// The voices of a step that is being decided: what they sounded, and what those that are decided sound now.
struct Parts {
    before: Row,
    now: Row,
}

impl Parts {
    fn new(before: Row) -> Self {
        Self { before, now: [None; NUM_VOICES] }
    }

    fn sounds(&self, voice: usize, token: u16) -> Option<u8> {
        Vocabulary::GRID.sounds(token, self.before[voice])
    }

    fn decide(&mut self, voice: usize, token: u16) {
        self.now[voice] = self.sounds(voice, token);
    }

    /// Whether `token` leaves the voice where its singers can sing it; what it sounds already may go on.
    fn is_in_range(&self, voice: usize, token: u16) -> bool {
        let sounds = self.sounds(voice, token);
        sounds == self.before[voice] || sounds.is_none_or(|pitch| rules::RANGES[voice].contains(&pitch))
    }

    /// Whether `token` would move in parallel fifths or octaves with a voice that is decided.
    fn makes_parallel(&self, voice: usize, token: u16) -> bool {
        let mut row = self.now;
        row[voice] = self.sounds(voice, token);
        let with_this = rules::PAIRS.into_iter().filter(|&(upper, lower)| upper == voice || lower == voice);
        with_this.into_iter().any(|pair| rules::parallel(&self.before, &row, pair).is_some())
    }
}

#[cfg(test)]
mod tests;
