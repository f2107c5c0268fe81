//! A performance of a grid model: four voices, each of which the player gives or the network draws.

mod colour;

use std::sync::Arc;

use super::last_chord;
use super::rows::{decision_of, symbols_of};
use super::{Checkpoint, Network, Performer, Step};
use crate::decision::{Decision, Given};
use crate::key::{self, ALL_CLASSES};
use crate::random::coin;
use crate::repetition::Stuck;
use crate::rules::{self, Row};
use crate::sampling;
use crate::stream::cuda::{Accelerator, Gpu, NoGpu};
use crate::stream::{GridLayers, GridNetwork, GridState, Scratch};
use crate::tokeniser::grid::NUM_VOICES;
use crate::vocabulary::{Symbol, Vocabulary};
use crate::weights_file::Description;

/// How many candidates a stack draws if a given voice is below one that it draws.
const NUM_CANDIDATES: usize = 20;
/// How many candidate chords a split network draws below temperature 1.
const NUM_CHORDS: usize = 20;
/// The number of the draw that chooses a candidate; draws below `NUM_VOICES * NUM_CANDIDATES` belong to the voices.
const CHOOSE: u64 = 1 << 16;

/// A performance of a grid network.
pub(crate) struct GridPerformer<L: GridLayers> {
    network: Arc<GridNetwork<L>>,
    state: GridState<L::Reader>,
    scratch: Scratch,
    candidates: Vec<Candidate<L::Reader>>,
}

/// A step and the player's symbols in it.
struct GridStep<'a> {
    step: &'a Step,
    /// `None` for free voices, which the network draws.
    given: [Option<Symbol>; NUM_VOICES],
}

/// How to draw the voices of a step.
#[derive(Clone, Copy)]
struct Plan {
    /// The voices in the order in which they are decided.
    order: [usize; NUM_VOICES],
    stuck: Option<Stuck>,
    /// The pitch classes that may be drawn, bit n for class n; the others are masked or rare.
    scale: u16,
    /// If the music closes in this step: the key, and the pitches that the player gives.
    closes: Option<(u8, Row)>,
    /// Prescribes a rhythm: which voices hold. The others must not.
    holds: Option<[bool; NUM_VOICES]>,
    /// Whether the candidates need their log probabilities.
    weighs: bool,
}

struct Candidate<R> {
    state: GridState<R>,
    row: [u16; NUM_VOICES],
    /// Natural logarithm of the given tokens' probability.
    given: f64,
    /// Natural logarithm of the drawn tokens' probability, before temperature and rhythm.
    drawn: f64,
}

impl<R> Candidate<R> {
    /// The pitch classes that it sounds after a step that sounded `before`, bit n for class n.
    fn pitch_classes(&self, before: Row) -> u16 {
        let tokens = self.row.iter().zip(before);
        key::classes_of(tokens.filter_map(|(token, before)| Vocabulary::GRID.sounds(*token, before)))
    }
}

impl<L: GridLayers> Network for GridNetwork<L> {
    fn description(&self) -> &Description {
        self.description()
    }

    fn open_gpu(&self) -> Result<Gpu, NoGpu> {
        self.open_gpu()
    }

    fn performer(self: Arc<Self>) -> Box<dyn Performer> {
        Box::new(GridPerformer::new(self))
    }
}

impl<L: GridLayers> Performer for GridPerformer<L> {
    fn network(&self) -> &dyn Network {
        &*self.network
    }

    fn reset(&mut self) {
        self.state.reset();
    }

    fn decide(&mut self, step: &Step) -> Decision {
        let before = self.sounding();
        let row = self.decide_row(&GridStep { step, given: symbols_of(&step.given) });
        self.network.settle(&mut self.state, &mut self.scratch);
        decision_of(row, before, self.sounding())
    }

    fn replay(&mut self, past: &mut dyn Iterator<Item = (Step, Decision)>) {
        for (step, decision) in past {
            self.decide_row(&GridStep { step: &step, given: symbols_of(&Given::all(decision)) });
        }
        self.network.settle(&mut self.state, &mut self.scratch);
    }

    fn accelerator(&mut self) -> &mut Accelerator {
        self.scratch.accelerator()
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint::new(self.state.clone())
    }

    fn save(&self, checkpoint: &mut Checkpoint) {
        checkpoint.state_mut::<GridState<L::Reader>>().copy_from(&self.state);
    }

    fn restore(&mut self, checkpoint: &Checkpoint) {
        self.state.copy_from(checkpoint.state());
    }
}

impl<L: GridLayers> GridPerformer<L> {
    /// A performance at the start of a piece.
    pub fn new(network: Arc<GridNetwork<L>>) -> Self {
        let candidate = |_| Candidate { state: network.state(), row: [0; NUM_VOICES], given: 0.0, drawn: 0.0 };
        let candidates = (0..NUM_CANDIDATES).map(candidate).collect();
        Self { state: network.state(), scratch: network.scratch(), candidates, network }
    }

    /// The pitches that the voices sound.
    fn sounding(&self) -> Row {
        std::array::from_fn(|voice| self.state.sounding(voice))
    }

    /// The pitches that the player sounds in a step.
    fn given_pitches(&self, step: &GridStep) -> Row {
        std::array::from_fn(|voice| match step.given[voice] {
            Some(Symbol::Pitch(pitch)) => Some(pitch),
            Some(Symbol::Hold) => self.state.sounding(voice),
            Some(Symbol::Rest) | None => None,
        })
    }

    /// Decides all voices.
    ///
    /// A network that takes any order decides the given voices first, then the free ones from the top. Below
    /// temperature 1 it draws several chords with one rhythm and prefers those that are likelier as a whole: sharpening
    /// each voice alone would let one unlikely note spoil a chord. `colour` keeps this from making the music plain.
    ///
    /// A network with a fixed order cannot take account of a given voice below a free one. It draws several candidates
    /// for the free voices and chooses one with the probability that it gives to the given voices.
    ///
    /// Both methods are importance sampling (Doucet, de Freitas and Gordon, "Sequential Monte Carlo methods in
    /// practice", 2001, chapter 1).
    fn decide_row(&mut self, step: &GridStep) -> [Symbol; NUM_VOICES] {
        let Step { step_in_beat, settings, .. } = *step.step;
        self.state.set_step_in_beat(step_in_beat);
        let stuck = self.state.stuck();
        let scale = settings.preferred_classes(|| self.state.key());
        self.network.begin_step(&mut self.state, settings.controls, &mut self.scratch);
        let is_free = |voice: &usize| step.given[*voice].is_none();
        if step.given.contains(&None) {
            // The candidates copy the state.
            self.network.settle(&mut self.state, &mut self.scratch);
        }
        let order: [usize; NUM_VOICES] = std::array::from_fn(|voice| voice);
        let first_free = order.iter().position(is_free).unwrap_or(NUM_VOICES);
        let given_below_free = !order[first_free..].iter().all(is_free);
        let key = settings.controls.key.or_else(|| self.state.key());
        let closes = key.filter(|_| settings.closes).map(|key| (key, self.given_pitches(step)));
        let mut plan = Plan { order, stuck, scale, closes, holds: None, weighs: false };
        let chosen = if L::ANY_ORDER {
            // A stable sort: the given voices, then the free ones, each from the top.
            plan.order.sort_by_key(is_free);
            self.draw_chords(step, plan)
        } else if given_below_free {
            plan.weighs = true;
            (0..NUM_CANDIDATES).for_each(|n| self.draw_candidate(n, step, plan));
            self.choose(step.step, NUM_CANDIDATES, |candidate| candidate.given)
        } else {
            self.draw_candidate(0, step, plan);
            0
        };
        let chosen = &self.candidates[chosen];
        self.state.copy_from(&chosen.state);
        chosen.row.map(|token| Vocabulary::GRID.symbol(token).expect("drawn tokens are in the vocabulary"))
    }

    /// Draws a candidate and, if a note starts in it, others with the same rhythm; returns the index of the chosen one.
    fn draw_chords(&mut self, step: &GridStep, mut plan: Plan) -> usize {
        let hold = Vocabulary::GRID.token(Symbol::Hold);
        let temperature = f64::from(step.step.settings.sampler.temperature);
        plan.weighs = temperature > 0.0 && temperature < 1.0;
        self.draw_candidate(0, step, plan);
        let holds = self.candidates[0].row.map(|token| token == hold);
        let notes_start = (0..NUM_VOICES).any(|voice| step.given[voice].is_none() && !holds[voice]);
        if !notes_start || !plan.weighs {
            return 0;
        }
        plan.holds = Some(holds);
        (1..NUM_CHORDS).for_each(|n| self.draw_candidate(n, step, plan));
        let (before, is_on_beat) = (self.sounding(), step.step.step_in_beat == 0);
        self.choose(step.step, NUM_CHORDS, |candidate| {
            let correction = colour::correction(candidate.pitch_classes(before), is_on_beat);
            (candidate.drawn + correction) * (1.0 / temperature - 1.0)
        })
    }

    /// Makes candidate `n`: decides all voices as planned.
    fn draw_candidate(&mut self, n: usize, step: &GridStep, plan: Plan) {
        let before = self.sounding();
        let candidate = &mut self.candidates[n];
        candidate.state.copy_from(&self.state);
        (candidate.given, candidate.drawn) = (0.0, 0.0);
        // Passing notes between two beats hide no parallels.
        let on_beat = (step.step.step_in_beat == 0).then(|| self.state.on_beat());
        let mut parts = Parts { before, on_beat, now: [None; NUM_VOICES] };
        for voice in plan.order {
            let token = match step.given[voice] {
                None => {
                    let logits = self.network.logits(&mut candidate.state, voice, &mut self.scratch);
                    restrict(logits, voice, step.step, &plan, &parts);
                    let (token, log_prob) = draw(logits, n, voice, step.step, &plan);
                    candidate.drawn += log_prob;
                    token
                }
                Some(symbol) => {
                    let rests = symbol == Symbol::Hold && candidate.state.sounding(voice).is_none();
                    let token = Vocabulary::GRID.token(if rests { Symbol::Rest } else { symbol });
                    if !L::ANY_ORDER && plan.weighs {
                        let logits = self.network.logits(&mut candidate.state, voice, &mut self.scratch);
                        candidate.given += f64::from(log_probs_of(logits)[usize::from(token)]);
                    } else {
                        self.network.skip(&mut candidate.state, &mut self.scratch);
                    }
                    token
                }
            };
            candidate.state.feed(voice, token);
            candidate.row[voice] = token;
            parts.decide(voice, token);
        }
    }

    /// Draws one of the first `count` candidates, with probabilities proportional to e^`log_weight`; returns its index.
    fn choose(&self, step: &Step, count: usize, log_weight: impl Fn(&Candidate<L::Reader>) -> f64) -> usize {
        let weights = || self.candidates[..count].iter().map(&log_weight);
        let highest = weights().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = weights().map(|w| libm::exp(w - highest)).sum();
        let mut left = coin(step.settings.rng_seed, step.settings.pass, step.step_idx, CHOOSE) * total;
        for (n, weight) in weights().enumerate() {
            left -= libm::exp(weight - highest);
            if left < 0.0 {
                return n;
            }
        }
        weights().position(|w| w == highest).expect("one weight is the highest")
    }
}

/// Applies the sampler's factors for rests and holds, and masks the tokens that `voice` must not take.
fn restrict(logits: &mut [f32], voice: usize, step: &Step, plan: &Plan, parts: &Parts) {
    let [hold, rest] = [Symbol::Hold, Symbol::Rest].map(|symbol| Vocabulary::GRID.token(symbol));
    let nothing_to_hold = parts.before[voice].is_none();
    sampling::weigh(logits, rest, step.settings.sampler.rest_weight);
    sampling::weigh(logits, hold, step.settings.sampler.hold_weight);
    let starts = step.attack || step.settings.closes;
    sampling::mask(logits, |token| token != hold || !(nothing_to_hold || starts));
    sampling::mask(logits, |token| token != rest || !starts);
    if plan.scale != ALL_CLASSES {
        let fits = |token| match Vocabulary::GRID.symbol(token) {
            Some(Symbol::Pitch(pitch)) => key::contains(plan.scale, pitch),
            _ => true,
        };
        sampling::prefer(logits, step.settings.snap, fits);
    }
    // After the scale: a last chord whose notes Key snap rules out gives way.
    if let Some((key, given)) = plan.closes {
        let now = std::array::from_fn(|voice| parts.now[voice].or(given[voice]));
        last_chord::restrict_voice(logits, voice, key, &parts.before, &now);
    }
    if let Some(stuck) = plan.stuck {
        sampling::mask(logits, |token| stuck.allows(voice, token));
    }
    if step.settings.strict {
        sampling::mask(logits, |token| parts.is_in_range(voice, token));
        sampling::mask(logits, |token| !parts.makes_parallel(voice, token));
    }
}

/// Draws a token for candidate `n`. If `plan.weighs`, also returns the logarithm of its probability before temperature
/// and rhythm, else 0.
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

/// The pitches of the voices while a step is being decided.
struct Parts {
    /// In the previous step.
    before: Row,
    /// On the previous beat, if this step is on a beat.
    on_beat: Option<Row>,
    /// In this step, for the voices decided so far.
    now: Row,
}

impl Parts {
    fn sounds(&self, voice: usize, token: u16) -> Option<u8> {
        Vocabulary::GRID.sounds(token, self.before[voice])
    }

    fn decide(&mut self, voice: usize, token: u16) {
        self.now[voice] = self.sounds(voice, token);
    }

    /// Whether `token` keeps `voice` within its range. A note that sounds already may continue.
    fn is_in_range(&self, voice: usize, token: u16) -> bool {
        let sounds = self.sounds(voice, token);
        sounds == self.before[voice] || sounds.is_none_or(|pitch| rules::RANGES[voice].contains(&pitch))
    }

    /// Whether `token` would make parallel fifths or octaves with a voice decided before, from the previous step or
    /// from beat to beat.
    fn makes_parallel(&self, voice: usize, token: u16) -> bool {
        let mut row = self.now;
        row[voice] = self.sounds(voice, token);
        let mut pairs = rules::PAIRS.into_iter().filter(|&(upper, lower)| upper == voice || lower == voice);
        let from = |before: &Row, pair| rules::parallel(before, &row, pair).is_some();
        pairs.any(|pair| from(&self.before, pair) || self.on_beat.is_some_and(|on_beat| from(&on_beat, pair)))
    }
}

#[cfg(test)]
mod tests;
