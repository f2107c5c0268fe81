//! The memory of a line model's performance: the latest events of the player and the network, at the pitches that
//! sounded.

use crate::key;
use crate::lexicon::Chord;
use crate::repetition::ends_with_pattern;
use crate::tokeniser::grid::NUM_VOICES;
use crate::vocabulary::Symbol;

/// How many events the memory keeps.
const CAPACITY: usize = 64;
/// Up to this many steps of silence after a note are articulation, not a rest.
const ARTICULATION: usize = 2;
/// Up to this many steps of silence at the end of a phrase belong to its last note, so that the network continues the
/// phrase and not a pause.
const BREATH: usize = 8;
/// Silence of more steps than this is not part of the phrase before it.
const MAX_SILENCE: usize = 64;
/// The longest pattern that counts as a loop, in events.
const MAX_PERIOD: usize = 16;
/// A pattern is stuck when it sounds this many times in a row and lasts this many events altogether.
const STUCK_TIMES: usize = 3;
const STUCK_EVENTS: usize = 12;
/// A single repeated event is stuck when it sounds this many times.
const STUCK_SINGLE: usize = 8;
/// A pattern this long is a part of a tune, which may come again: eight bars of three quarters, in steps.
const TUNE_PART: usize = 96;
/// Events in a row with the same pitches are stuck, whatever their durations, when there are this many.
const STUCK_PITCH: usize = 12;
/// So are this many events with a repeated pattern of durations, of up to so many events, and so few different pitches.
const STUCK_RHYTHM: usize = 24;
const MAX_RHYTHM_PERIOD: usize = 4;
const FEW_PITCHES: usize = 3;
/// A note or a rest of this many steps is stuck: four bars of four quarters.
const STUCK_STEPS: usize = 64;

/// Notes that start together, or a rest, and the time until the next event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// MIDI pitches; `None` is a rest.
    pub pitches: Option<Chord>,
    /// Steps until the next event.
    pub steps: usize,
    /// Whether the player gave it; otherwise the network drew it.
    pub given: bool,
}

/// The latest events of a performance.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Events {
    /// Ring buffer: event n is at n modulo [`CAPACITY`].
    ring: [Event; CAPACITY],
    len: usize,
}

impl Events {
    const fn new() -> Self {
        Self { ring: [Event { pitches: None, steps: 0, given: false }; CAPACITY], len: 0 }
    }

    /// The event `back` positions before the last one, if the memory still has it.
    pub fn back(&self, back: usize) -> Option<&Event> {
        (back < self.len.min(CAPACITY)).then(|| &self.ring[(self.len - 1 - back) % CAPACITY])
    }

    /// The last `count` events for which `keep` returns true, or fewer, in order.
    pub fn last(&self, count: usize, keep: impl Fn(&Event) -> bool) -> impl Iterator<Item = &Event> {
        let kept = |back: &usize| self.back(*back).is_some_and(&keep);
        let from = (0..CAPACITY).filter(kept).take(count).last();
        let backs = from.map_or(0..0, |from| 0..from + 1).rev();
        backs.filter_map(|back| self.back(back)).filter(move |event| keep(event))
    }

    /// How long each pitch class sounds, in steps; index 0 = C.
    pub fn pitch_classes(&self) -> [f64; 12] {
        let mut sums = [0.0; 12];
        for event in (0..CAPACITY).filter_map(|back| self.back(back)) {
            for pitch in event.pitches.iter().flat_map(Chord::as_slice) {
                sums[usize::from(pitch % 12)] += event.steps as f64;
            }
        }
        sums
    }

    fn push(&mut self, event: Event) {
        self.ring[self.len % CAPACITY] = event;
        self.len += 1;
    }

    fn last_mut(&mut self) -> Option<&mut Event> {
        let position = self.len.checked_sub(1)? % CAPACITY;
        Some(&mut self.ring[position])
    }

    /// Lengthens the last event, if there is one.
    fn extend(&mut self, steps: usize) {
        if let Some(last) = self.last_mut() {
            last.steps += steps;
        }
    }

    /// Adds silence: to the last event if that is a rest or the silence lasts at most `articulation` steps, else as a
    /// rest.
    fn add_silence(&mut self, steps: usize, articulation: usize) {
        let given = match self.back(0) {
            None => return,
            Some(last) if last.pitches.is_none() || steps <= articulation => return self.extend(steps),
            Some(last) => last.given,
        };
        self.push(Event { pitches: None, steps, given });
    }

    /// Adds a short rest at the end to the note before it.
    fn end_phrase(&mut self) {
        if let (Some(rest), Some(_)) = (self.back(0).copied(), self.back(1))
            && rest.pitches.is_none()
            && rest.steps <= BREATH
        {
            self.len -= 1;
            self.extend(rest.steps);
        }
    }

    /// Whether the last `drawn` events end with an exactly repeated pattern that lasts less than `longest` steps.
    fn repeats(&self, drawn: usize, longest: usize) -> bool {
        let times = |period: usize| match period {
            1 => STUCK_SINGLE,
            _ => STUCK_EVENTS.div_ceil(period).max(STUCK_TIMES),
        };
        let content = |back| self.back(back).map(|event| (event.pitches, event.steps));
        let same = |a, b| content(a).is_some() && content(a) == content(b);
        (1..=MAX_PERIOD).any(|period| {
            let times = times(period);
            let steps = || (0..period).filter_map(|back| Some(self.back(back)?.steps)).sum::<usize>();
            period * times <= drawn.min(CAPACITY) && ends_with_pattern(period, times, same) && steps() < longest
        })
    }

    /// Whether the last `drawn` events change too little: one pitch or chord many times, a pattern of durations on few
    /// pitches, or an event without end.
    fn stays(&self, drawn: usize) -> bool {
        let drawn = drawn.min(CAPACITY);
        let pitches = |back: usize| self.back(back).and_then(|event| event.pitches);
        let one_pitch = || (1..STUCK_PITCH).all(|back| pitches(back) == pitches(0));
        let few_pitches = || {
            let is_new = |back: &usize| (0..*back).all(|later| pitches(later) != pitches(*back));
            (0..STUCK_RHYTHM).filter(is_new).count() <= FEW_PITCHES
        };
        let steps = |back: usize| self.back(back).map(|event| event.steps);
        let one_rhythm = || {
            let same = |period: usize| (0..STUCK_RHYTHM - period).all(|back| steps(back) == steps(back + period));
            (1..=MAX_RHYTHM_PERIOD).any(same)
        };
        drawn >= STUCK_PITCH && one_pitch()
            || drawn >= STUCK_RHYTHM && few_pitches() && one_rhythm()
            || drawn >= 1 && steps(0) >= Some(STUCK_STEPS)
    }
}

/// The state of a line model's performance beside the network's own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LineMemory {
    /// The latest events.
    pub events: Events,
    /// The latest events at the time when the network took over.
    pub seed_phrase: Events,
    /// The pitch of each voice.
    pub sounding: [Option<u8>; NUM_VOICES],
    /// The last decided step.
    last_step: Option<i64>,
    /// Whether the network has taken over from the player.
    pub playing: bool,
    /// How many more steps the drawn event lasts.
    pub steps_left: usize,
    /// The transposition from sounding pitches to those that the network reads, in semitones.
    pub shift: i8,
    /// The key when the network took over, set by the player or estimated; see [`key`].
    pub key: Option<u8>,
    /// Events that the network has drawn since it took over or restarted.
    pub drawn: usize,
    /// How often the network has restarted since it took over.
    pub restarts: u32,
}

impl LineMemory {
    /// Without events.
    pub const fn new() -> Self {
        Self {
            events: Events::new(),
            seed_phrase: Events::new(),
            sounding: [None; NUM_VOICES],
            last_step: None,
            playing: false,
            steps_left: 0,
            shift: 0,
            key: None,
            drawn: 0,
            restarts: 0,
        }
    }

    /// Adds a step. With `melody`, only the highest sounding notes become events.
    pub fn push(&mut self, step_idx: i64, row: [Symbol; NUM_VOICES], given: bool, melody: bool) {
        self.skip_to(step_idx, ARTICULATION);
        self.last_step = Some(step_idx);
        let (mut onsets, mut count) = ([0; NUM_VOICES], 0);
        for (sounding, symbol) in self.sounding.iter_mut().zip(row) {
            match symbol {
                Symbol::Pitch(pitch) => {
                    *sounding = Some(pitch);
                    onsets[count] = pitch;
                    count += 1;
                }
                Symbol::Rest => *sounding = None,
                Symbol::Hold => {}
            }
        }
        let top = self.sounding.iter().flatten().max();
        let mut onsets = &onsets[..count];
        if melody {
            // Of a chord the top note counts; notes that start below a held note do not.
            let start = onsets.iter().position(|pitch| Some(pitch) == top);
            onsets = start.map_or(&[], |start| &onsets[start..=start]);
        }
        if let Some(pitches) = Chord::of_pitches(onsets) {
            self.events.push(Event { pitches: Some(pitches), steps: 1, given });
        } else if top.is_none() {
            self.events.add_silence(1, 0);
        } else {
            self.events.extend(1);
        }
    }

    /// Adds the undecided steps before `step_idx` as silence: while the player is silent, no step is decided.
    fn skip_to(&mut self, step_idx: i64, articulation: usize) {
        let gap = self.last_step.map_or(0, |last| (step_idx - last - 1).clamp(0, i64::from(u16::MAX)) as usize);
        if gap > 0 {
            self.sounding = [None; NUM_VOICES];
            if gap <= MAX_SILENCE {
                self.events.add_silence(gap, articulation);
            }
        }
    }

    /// Lets the network take over at `step_idx`: the player's phrase ends and becomes the seed phrase. The key is
    /// `key_control`, or else estimated from the events.
    pub fn take_over(&mut self, step_idx: i64, key_control: Option<u8>) {
        self.skip_to(step_idx, BREATH);
        self.last_step = Some(step_idx - 1);
        self.events.end_phrase();
        self.key = key_control.or_else(|| key::estimate(&self.events.pitch_classes()));
        self.seed_phrase.clone_from(&self.events);
        (self.playing, self.steps_left, self.drawn, self.restarts) = (true, 0, 0, 0);
    }

    /// Whether the network repeats itself without end, or changes too little. A repeated part of a tune is welcome.
    /// With `only_exactly`, every exact repetition counts and nothing else.
    pub fn is_stuck(&self, only_exactly: bool) -> bool {
        if only_exactly {
            return self.events.repeats(self.drawn, usize::MAX);
        }
        self.events.repeats(self.drawn, TUNE_PART) || self.events.stays(self.drawn)
    }
}

impl Default for LineMemory {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
