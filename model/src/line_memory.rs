//! What a line model's performance remembers of the music so far: events as they sounded, whoever played them.

use crate::key;
use crate::lexicon::Chord;
use crate::tokeniser::grid::NUM_VOICES;
use crate::vocabulary::Symbol;

/// Events that are remembered.
const CAPACITY: usize = 64;
/// Silence of so many steps after a note is how it was played, not a rest.
const ARTICULATION: usize = 2;
/// Silence of so many steps at a phrase's end belongs to its last note: the network is to go on, not to answer a pause.
const BREATH: usize = 8;
/// Silence that is longer than this is no part of the phrase before it.
const LONGEST_SILENCE: usize = 64;
/// Patterns of up to so many events count as loops.
const LONGEST_PATTERN: usize = 16;
/// Events that a pattern and its repetitions make up at the least, and how often at the least it sounds.
const STUCK_EVENTS: usize = 12;
const STUCK_TIMES: usize = 3;
/// How often one note alone may sound.
const STUCK_NOTES: usize = 8;

/// What starts together, and how long it is until the next event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// MIDI pitches; `None` is a rest.
    pub pitches: Option<Chord>,
    /// 16ths.
    pub steps: usize,
    /// The player's, not the network's.
    pub given: bool,
}

/// The last events of a performance.
#[derive(Clone, Debug, PartialEq)]
pub struct Events {
    /// Ring; event n lies at n modulo [`CAPACITY`].
    ring: [Event; CAPACITY],
    len: usize,
}

impl Events {
    const fn new() -> Self {
        Self { ring: [Event { pitches: None, steps: 0, given: false }; CAPACITY], len: 0 }
    }

    /// The event `back` before the last.
    pub fn back(&self, back: usize) -> Option<&Event> {
        (back < self.len.min(CAPACITY)).then(|| &self.ring[(self.len - 1 - back) % CAPACITY])
    }

    /// The last `count` events that `keep` is true for, as far as there are so many, in their order.
    pub fn last(&self, count: usize, keep: impl Fn(&Event) -> bool) -> impl Iterator<Item = &Event> {
        let kept = |back: &usize| self.back(*back).is_some_and(&keep);
        let from = (0..CAPACITY).filter(kept).take(count).last();
        let backs = from.map_or(0..0, |from| 0..from + 1).rev();
        backs.filter_map(|back| self.back(back)).filter(move |event| keep(event))
    }

    /// How long each pitch class sounds in them, 16ths; index 0 = C.
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
        let place = self.len.checked_sub(1)? % CAPACITY;
        Some(&mut self.ring[place])
    }

    /// Whether the last event is longer by these steps now, or there is none.
    fn extend(&mut self, steps: usize) {
        if let Some(last) = self.last_mut() {
            last.steps += steps;
        }
    }

    /// Nothing starts for some steps.
    fn fall_silent(&mut self, steps: usize, belongs_to_note: usize) {
        let given = match self.back(0) {
            None => return,
            Some(last) if last.pitches.is_none() || steps <= belongs_to_note => return self.extend(steps),
            Some(last) => last.given,
        };
        self.push(Event { pitches: None, steps, given });
    }

    /// A short rest at the end becomes part of the note before it.
    fn end_phrase(&mut self) {
        if let (Some(rest), Some(_)) = (self.back(0).copied(), self.back(1))
            && rest.pitches.is_none()
            && rest.steps <= BREATH
        {
            self.len -= 1;
            self.extend(rest.steps);
        }
    }

    /// Whether the last `drawn` events end with one pattern over and over.
    fn is_stuck(&self, drawn: usize) -> bool {
        let times = |period: usize| match period {
            1 => STUCK_NOTES,
            _ => STUCK_EVENTS.div_ceil(period).max(STUCK_TIMES),
        };
        let same = |a: usize, b: usize| matches!((self.back(a), self.back(b)), (Some(a), Some(b)) if (a.pitches, a.steps) == (b.pitches, b.steps));
        (1..=LONGEST_PATTERN).any(|period| {
            let events = period * times(period);
            events <= drawn.min(CAPACITY) && (0..events - period).all(|back| same(back, back + period))
        })
    }
}

/// All that a line model's performance remembers beside the network's state.
#[derive(Clone, Debug, PartialEq)]
pub struct LineMemory {
    /// What sounded, as it sounded.
    pub events: Events,
    /// The same when the network took over: what it was shown.
    pub seed: Events,
    /// What each voice sounds.
    pub sounding: [Option<u8>; NUM_VOICES],
    /// The step that was decided last.
    last_step: Option<i64>,
    /// The network has taken over.
    pub playing: bool,
    /// Steps for which the drawn event still sounds.
    pub steps_left: usize,
    /// Semitones from what sounds up to what the network reads.
    pub shift: i8,
    /// The key that the network took over in, told or heard; see [`key`].
    pub key: Option<u8>,
    /// Events drawn since it took over or began anew.
    pub drawn: usize,
    /// How often it has begun anew since it took over.
    pub restarts: u32,
}

impl LineMemory {
    /// Nothing has sounded.
    pub const fn new() -> Self {
        Self {
            events: Events::new(),
            seed: Events::new(),
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

    /// Takes a step. A melody's events are its highest notes.
    pub fn push(&mut self, step_idx: i64, row: [Symbol; NUM_VOICES], given: bool, melody: bool) {
        self.wait_until(step_idx, ARTICULATION);
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
            // Below a note that goes on, nothing starts; of a chord the top note counts.
            let start = onsets.iter().position(|pitch| Some(pitch) == top);
            onsets = start.map_or(&[], |start| &onsets[start..=start]);
        }
        if let Some(pitches) = Chord::of_pitches(onsets) {
            self.events.push(Event { pitches: Some(pitches), steps: 1, given });
        } else if top.is_none() {
            self.events.fall_silent(1, 0);
        } else {
            self.events.extend(1);
        }
    }

    /// Steps that nobody decided were silent. (A player's silence is no step.)
    fn wait_until(&mut self, step_idx: i64, belongs_to_note: usize) {
        let gap = self.last_step.map_or(0, |last| (step_idx - last - 1).clamp(0, i64::from(u16::MAX)) as usize);
        if gap > 0 {
            self.sounding = [None; NUM_VOICES];
            if gap <= LONGEST_SILENCE {
                self.events.fall_silent(gap, belongs_to_note);
            }
        }
    }

    /// The network takes over at `step_idx`: the phrase is over, and is what it goes on from.
    pub fn take_over(&mut self, step_idx: i64, told_key: Option<u8>) {
        self.wait_until(step_idx, BREATH);
        self.last_step = Some(step_idx - 1);
        self.events.end_phrase();
        self.key = told_key.or_else(|| key::estimate(&self.events.pitch_classes()));
        self.seed.clone_from(&self.events);
        (self.playing, self.steps_left, self.drawn, self.restarts) = (true, 0, 0, 0);
    }

    /// Whether what was drawn goes round in circles.
    pub fn is_stuck(&self) -> bool {
        self.events.is_stuck(self.drawn)
    }
}

impl Default for LineMemory {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
