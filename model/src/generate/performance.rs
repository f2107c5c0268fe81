//! A performance of a performance model: note after note, each with its onset, lane, key, length and velocity.
//!
//! The next onset is drawn as soon as a note has been read, and waits until its step comes. A note of the player's that
//! comes first is read, and the onset drawn anew.

use std::sync::Arc;

use super::{Checkpoint, Network, Performer, Step, last_chord};
use crate::decision::{ANY_LANE, Decision, Edge, Given, Lanes, TICKS_PER_STEP};
use crate::key::{self, ALL_CLASSES};
use crate::note_tokens::{Attribute, DURATIONS, MAX_ADVANCE, velocity_of};
use crate::random::coin;
use crate::sampling::{self, Sampler};
use crate::stream::cuda::{Accelerator, Gpu, NoGpu};
use crate::stream::{PerformanceNetwork, Scratch, TrunkState};
use crate::tokeniser::note_reader::{Draft, MAX_SOUNDING, NoteEvent, NoteReader, Place};
use crate::weights_file::Description;

/// The most notes that the network starts in a step.
const MAX_NOTES: usize = 12;
/// After so many silent steps the network no longer counts from the last note.
const MAX_GAP: i64 = 32;
/// The longest rest that the network may make when it plays alone, in steps: a bar of 4/4.
const MAX_REST: i64 = 16;
/// A last chord lasts at least this many ticks: two quarters.
const LAST_TICKS: u16 = 192;
/// The weight of a pitch class that each further note leaves: half after 70 notes.
const FADING: f64 = 0.99;
/// What is not a key is drawn as learnt, without the least likely.
const AS_LEARNT: Sampler = Sampler { top_p: 0.98, ..Sampler::PLAIN };
const STEP: i64 = TICKS_PER_STEP as i64;

/// A performance of a performance model.
pub(crate) struct NotePerformer {
    network: Arc<PerformanceNetwork>,
    state: NoteState,
    /// A copy of the state, for a replayed step.
    before: NoteState,
    scratch: Scratch,
}

/// The state between two steps.
#[derive(Clone)]
struct NoteState {
    trunk: TrunkState,
    memory: Memory,
}

/// The state beside the network's own.
#[derive(Clone, Copy)]
struct Memory {
    reader: NoteReader,
    /// The last decided step.
    last_step: Option<i64>,
    /// The next onset: a draft with advance and tick.
    next: Option<Draft>,
    /// How much each pitch class has sounded of late; index 0 = C.
    classes: [f64; 12],
    /// The key of the music when the network took over from the player.
    key: Option<u8>,
    /// The network's sounding notes.
    playing: [Option<Playing>; MAX_SOUNDING],
}

/// A note of the network's that sounds.
#[derive(Clone, Copy)]
struct Playing {
    lane: u8,
    key: u8,
    /// The tick on which it ends.
    end: i64,
}

impl Memory {
    fn new(network: &PerformanceNetwork) -> Self {
        let mut reader = NoteReader::default();
        reader.set_own(network_lanes(network));
        Self { reader, last_step: None, next: None, classes: [0.0; 12], key: None, playing: [None; MAX_SOUNDING] }
    }
}

impl NoteState {
    fn copy_from(&mut self, other: &Self) {
        self.trunk.copy_from(&other.trunk);
        self.memory = other.memory;
    }
}

fn network_lanes(network: &PerformanceNetwork) -> Lanes {
    Lanes::first(network.config().lanes)
}

impl Network for PerformanceNetwork {
    fn description(&self) -> &Description {
        self.description()
    }

    fn open_gpu(&self) -> Result<Gpu, NoGpu> {
        self.open_gpu()
    }

    fn performer(self: Arc<Self>) -> Box<dyn Performer> {
        Box::new(NotePerformer::new(self))
    }
}

impl NotePerformer {
    /// A performance at the start of a piece.
    pub fn new(network: Arc<PerformanceNetwork>) -> Self {
        let state = NoteState { trunk: network.trunk_state(), memory: Memory::new(&network) };
        Self { before: state.clone(), scratch: network.scratch(), state, network }
    }

    /// Lets the network read all notes that wait.
    fn settle(&mut self) {
        self.network.settle(&mut self.state.trunk, &mut self.scratch);
    }

    fn decide_step(&mut self, step: &Step) -> Decision {
        let network = &self.network;
        let all = network_lanes(network);
        let own = all & !step.given.lanes;
        let start = step.step_idx * STEP;
        let Memory { reader, last_step, next, playing, classes, key } = &mut self.state.memory;
        let place = Place { step_in_beat: Some(step.step_in_beat as u8), bar: step.settings.controls.bar };
        reader.set_place(step.step_idx, place);
        if !own.is_empty() {
            reader.set_own(own);
        }
        if !step.given.lanes.is_empty() {
            *key = key::estimate(classes);
        }
        match *last_step {
            None => {
                reader.begin_at(step.step_idx);
                network.advance(&mut self.state.trunk, reader, &mut self.scratch);
            }
            Some(last) if last + 1 != step.step_idx => {
                // Nothing was decided in between: silence, or another place of the song.
                (*playing, *next) = ([None; MAX_SOUNDING], None);
                reader.release_where(start.min((last + 1) * STEP), |_, _| true);
            }
            Some(_) => {}
        }
        *last_step = Some(step.step_idx);
        if !(0..MAX_GAP).contains(&(step.step_idx - reader.last_step())) {
            reader.skip_to(step.step_idx);
            *next = None;
        }
        let mut turn = NoteStep {
            network,
            state: &mut self.state,
            scratch: &mut self.scratch,
            step,
            own,
            start,
            draws: 0,
            decision: Decision::SILENCE,
        };
        turn.decide();
        turn.decision
    }
}

impl Performer for NotePerformer {
    fn network(&self) -> &dyn Network {
        &*self.network
    }

    fn reset(&mut self) {
        self.state.trunk.reset();
        self.state.memory = Memory::new(&self.network);
    }

    fn decide(&mut self, step: &Step) -> Decision {
        let decision = self.decide_step(step);
        self.settle();
        decision
    }

    /// Decides a step again if the model decided it before: its state depends on more than the outcome.
    fn replay(&mut self, past: &mut dyn Iterator<Item = (Step, Decision)>) {
        for (step, decision) in past {
            if step.given.lanes != Lanes::ALL {
                self.settle();
                self.before.copy_from(&self.state);
                if self.decide_step(&step) == decision {
                    continue;
                }
                self.settle();
                self.state.copy_from(&self.before);
            }
            self.decide_step(&Step { given: Given::all(decision), ..step });
        }
        self.settle();
    }

    fn accelerator(&mut self) -> &mut Accelerator {
        self.scratch.accelerator()
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint::new(self.state.clone())
    }

    fn save(&self, checkpoint: &mut Checkpoint) {
        checkpoint.state_mut::<NoteState>().copy_from(&self.state);
    }

    fn restore(&mut self, checkpoint: &Checkpoint) {
        self.state.copy_from(checkpoint.state());
    }
}

/// A step while it is decided.
struct NoteStep<'a> {
    network: &'a PerformanceNetwork,
    state: &'a mut NoteState,
    scratch: &'a mut Scratch,
    step: &'a Step,
    /// The lanes that the network decides.
    own: Lanes,
    /// Its first tick.
    start: i64,
    draws: u64,
    decision: Decision,
}

impl NoteStep<'_> {
    fn decide(&mut self) {
        let given = &self.step.given;
        let memory = &mut self.state.memory;
        memory.playing.iter_mut().for_each(|note| {
            note.take_if(|note| given.lanes.contains(note.lane));
        });
        for Playing { lane, key, .. } in memory.playing.iter().flatten() {
            self.decision.sounding.insert(*lane, *key);
        }
        self.copy_given();
        // Before any note is read, the notes of earlier steps end; then those that are struck in this one.
        self.release_given();
        self.read_and_draw();
        self.release_given();
        self.end_notes();
        // `given` lists what the player holds; its edges alone would miss what is held from before.
        for lane in given.lanes.iter() {
            self.decision.sounding.clear_lane(lane);
            given.notes.sounding.keys(lane).for_each(|key| self.decision.sounding.insert(lane, key));
        }
    }

    /// Ends the network's notes that end in this step.
    fn end_notes(&mut self) {
        for slot in &mut self.state.memory.playing {
            let Some(Playing { lane, key, end }) = *slot else { continue };
            let tick = (end - self.start).max(0);
            if tick < STEP && self.decision.push(Edge::Off { lane, key, tick: tick as u8 }) {
                *slot = None;
            }
        }
    }

    /// Copies the given edges into the decision.
    fn copy_given(&mut self) {
        let given = &self.step.given;
        let edges = given.notes.edges().iter().filter(|edge| given.lanes.contains(edge.lane()));
        edges.for_each(|edge| {
            self.decision.push(*edge);
        });
    }

    /// Reads the given notes and draws the network's, in the order of their onsets.
    fn read_and_draw(&mut self) {
        let given = self.step.given;
        let struck = |edge: &&Edge| matches!(edge, Edge::On { lane, .. } if given.lanes.contains(*lane));
        let mut struck = given.notes.edges().iter().filter(struck).peekable();
        let mut drawn = 0;
        loop {
            let onset = (!self.own.is_empty()).then(|| self.next_onset(drawn == 0));
            let next = onset.map(|draft| self.state.memory.reader.tick_of(&draft));
            let is_due = next.is_some_and(|tick| tick < self.start + STEP);
            if let Some(&&Edge::On { lane, key, velocity, tick }) = struck.peek()
                && next.is_none_or(|next| self.start + i64::from(tick) <= next)
            {
                struck.next();
                let tick = (self.start + i64::from(tick)).max(self.state.memory.reader.last_tick());
                let lane = self.lane_of_given(lane, key);
                let velocity = (velocity > 0 && self.network.config().velocities).then_some(velocity);
                self.read(NoteEvent { tick, lane, key, duration: None, velocity });
            } else if let Some(draft) = onset.filter(|_| is_due && drawn < MAX_NOTES) {
                if !self.draw_note(draft) {
                    break;
                }
                drawn += 1;
            } else {
                self.state.memory.next = onset.filter(|_| !is_due);
                break;
            }
        }
    }

    /// The lane that a given note counts for: its own, or for [`ANY_LANE`] the one whose last key is nearest.
    fn lane_of_given(&self, lane: u8, key: u8) -> u8 {
        let lanes = self.network.config().lanes as u8;
        if lane != ANY_LANE {
            return lane.min(lanes - 1);
        }
        // Before they have played, lanes lie an octave and a fifth apart, from the top.
        let home = |lane: u8| 67_u8.saturating_sub(19 * lane);
        let last = |lane: u8| self.state.memory.reader.last_key(lane).unwrap_or(home(lane));
        (0..lanes).min_by_key(|lane| last(*lane).abs_diff(key)).unwrap_or(0)
    }

    /// Tells the reader which given notes have ended.
    fn release_given(&mut self) {
        let given = self.step.given;
        let is_given = |lane: u8| self.own.is_empty() || given.lanes.contains(lane);
        let end = self.start + STEP;
        let sounding = &given.notes.sounding;
        let sounds = |lane: u8, key: u8| sounding.contains(lane, key) || sounding.contains(ANY_LANE, key);
        let reader = &mut self.state.memory.reader;
        for edge in given.notes.edges() {
            if let Edge::Off { lane, key, tick } = *edge
                && given.lanes.contains(lane)
            {
                let is_it = |of: u8, other: u8| is_given(of) && (lane == ANY_LANE || of == lane) && other == key;
                reader.release_where(self.start + i64::from(tick), is_it);
            }
        }
        reader.release_held_where(end, |lane, key| is_given(lane) && !sounds(lane, key));
        if !self.own.is_empty() {
            // Where the network plays the player has left: what was held has ended.
            reader.release_held_where(self.start, |lane, _| !given.lanes.contains(lane));
        }
    }

    fn read(&mut self, note: NoteEvent) {
        let memory = &mut self.state.memory;
        memory.classes.iter_mut().for_each(|class| *class *= FADING);
        memory.classes[usize::from(note.key % 12)] += 1.0;
        memory.reader.feed(note, note.duration.map(|ticks| note.tick + ticks));
        memory.next = None;
        self.network.advance(&mut self.state.trunk, &memory.reader, self.scratch);
    }

    /// The network's next onset. The first of a step that must start a note lies within the step.
    fn next_onset(&mut self, is_first: bool) -> Draft {
        let must_start = is_first && (self.step.attack || self.step.settings.closes);
        if let Some(draft) = self.state.memory.next.filter(|_| !must_start) {
            return draft;
        }
        let reader = &self.state.memory.reader;
        let first_tick = reader.last_tick().max(self.start);
        let (last_step, first_step) = (reader.last_step(), first_tick.div_euclid(STEP));
        let longest = if self.own == network_lanes(self.network) { MAX_REST } else { MAX_ADVANCE };
        let latest = if must_start { self.step.step_idx } else { first_step + longest };
        let mut draft = Draft::default();
        let (rhythm, sampling) = (self.rhythm(), self.network.sampling());
        self.draw(Attribute::Advance, &mut draft, rhythm, |logits| {
            logits[0] += sampling.within_step;
            sampling::mask(logits, |token| (first_step..=latest).contains(&(last_step + i64::from(token))));
        });
        let is_first_step = last_step + i64::from(draft.token(Attribute::Advance)) == first_step;
        let earliest = if is_first_step { first_tick.rem_euclid(STEP) } else { 0 };
        self.draw(Attribute::Tick, &mut draft, AS_LEARNT, |logits| {
            sampling::mask(logits, |tick| i64::from(tick) >= earliest);
        });
        self.state.memory.next = Some(draft);
        draft
    }

    /// Draws the rest of a note and starts it. Returns whether there was room for it.
    fn draw_note(&mut self, mut draft: Draft) -> bool {
        let Step { settings, .. } = self.step;
        let config = self.network.config();
        let own = self.own;
        let reader = &self.state.memory.reader;
        let tick = reader.tick_of(&draft);
        let struck = reader.struck(tick);
        let (rhythm, sampling) = (self.rhythm(), self.network.sampling());
        if config.lanes > 1 {
            self.draw(Attribute::Lane, &mut draft, rhythm, |logits| {
                logits[1..].iter_mut().for_each(|logit| *logit += sampling.lower_lanes);
                sampling::mask(logits, |lane| own.contains(lane as u8));
            });
        }
        let lane = draft.token(Attribute::Lane);
        let (low, high) = config.range(lane);
        let key = settings.controls.key.or(self.state.memory.key).filter(|_| !config.drums);
        let classes = if config.drums { ALL_CLASSES } else { settings.preferred_classes(|| key) };
        let scale = key.map_or(ALL_CLASSES, |key| settings.scale.unwrap_or(key::scale(key)));
        let closing = key.filter(|_| settings.closes).map(last_chord::triad);
        self.draw(Attribute::Key, &mut draft, settings.sampler, |logits| {
            sampling::mask(logits, |key| (u16::from(low)..=u16::from(high)).contains(&key));
            sampling::mask(logits, |key| !struck.contains(key as u8));
            if classes != ALL_CLASSES {
                sampling::prefer(logits, settings.snap, |key| key::contains(classes, key as u8));
            }
            if let Some(triad) = closing {
                // Within the scale if it is strict.
                sampling::mask(logits, |key| key::contains(triad, key as u8));
            } else if classes == ALL_CLASSES {
                sampling::make_rare(logits, sampling.out_of_key, |key| key::contains(scale, key as u8));
            }
        });
        let key = draft.token(Attribute::Key);
        self.draw(Attribute::Duration, &mut draft, rhythm, |logits| {
            if settings.closes {
                sampling::mask(logits, |token| DURATIONS[usize::from(token)] >= LAST_TICKS);
            }
        });
        let duration = i64::from(DURATIONS[usize::from(draft.token(Attribute::Duration))]);
        let velocity = config.velocities.then(|| {
            self.draw(Attribute::Velocity, &mut draft, rhythm, |_| {});
            velocity_of(draft.token(Attribute::Velocity))
        });
        if !self.start_note(lane, key, (tick, tick + duration), velocity.unwrap_or(0)) {
            return false;
        }
        self.read(NoteEvent { tick, lane, key, duration: Some(duration), velocity });
        true
    }

    /// Starts a note of the network's. Returns whether there was room for it.
    fn start_note(&mut self, lane: u8, key: u8, (tick, end): (i64, i64), velocity: u8) -> bool {
        let playing = &mut self.state.memory.playing;
        let again = playing.iter().position(|note| note.is_some_and(|note| (note.lane, note.key) == (lane, key)));
        let Some(slot) = again.or_else(|| playing.iter().position(Option::is_none)) else { return false };
        let in_step = |tick: i64| (tick - self.start).max(0) as u8;
        if let Some(before) = playing[slot] {
            self.decision.push(Edge::Off { lane, key, tick: in_step(before.end.min(tick)) });
        }
        let has_room = self.decision.push(Edge::On { lane, key, velocity, tick: in_step(tick) });
        if has_room {
            playing[slot] = Some(Playing { lane, key, end });
        }
        has_room
    }

    /// How steps, lanes, lengths and velocities are drawn.
    fn rhythm(&self) -> Sampler {
        Sampler { temperature: self.network.sampling().rhythm, ..AS_LEARNT }
    }

    /// Draws an attribute of the draft, once `restrict` has masked what it must not be.
    fn draw(&mut self, attribute: Attribute, draft: &mut Draft, sampler: Sampler, restrict: impl FnOnce(&mut [f32])) {
        let Step { settings, step_idx, .. } = self.step;
        let NoteState { trunk, memory } = &mut *self.state;
        let logits = self.network.logits(trunk, &memory.reader, attribute, draft, self.scratch);
        restrict(logits);
        let coin = coin(settings.rng_seed, settings.pass, *step_idx, self.draws);
        self.draws += 1;
        draft.set(attribute, sampling::sample(logits, sampler, coin) as u8);
    }
}

#[cfg(test)]
mod tests;
