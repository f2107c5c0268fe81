//! The reader of performance models: what a network sees after each note, and before each attribute of the next.

use super::grid::STEPS_PER_BEAT;
use super::note_echo::{ECHO_CLASSES, NoteEcho, NoteTokens};
use super::pattern::{Pattern, PatternNote};
use super::step_reader::{BarPosition, NO_INDEX};
use crate::decision::{Keys, Lanes, TICKS_PER_STEP};
use crate::note_tokens::{Attribute, DURATIONS, MAX_LANES, NUM_ATTRIBUTES, NUM_KEYS, advance_token, duration_token};
use crate::note_tokens::{MAX_ADVANCE, velocity_token};

/// The most sounding notes that the reader remembers; of more, it forgets the oldest.
pub const MAX_SOUNDING: usize = 32;
/// The most sounding notes that a network sees: those that started last.
const SEEN_SOUNDING: usize = 12;
/// The most notes that start together with the next one and that a network sees.
const SEEN_STRUCK: usize = 6;
/// Intervals in semitones, from this far down to this far up; wider ones count as these.
const WIDEST: i16 = 36;
/// The number of intervals.
pub const INTERVALS: usize = 2 * WIDEST as usize + 1;
/// The token of a length or velocity that is unknown.
const UNKNOWN: u8 = u8::MAX;
/// The periods of the pattern: a beat and a bar.
const PERIODS: usize = 2;
/// The steps of a bar whose length is unknown.
const COMMON_BAR: i64 = 16;
/// The key that intervals are counted from before anything has sounded.
const MIDDLE_C: u8 = 60;

/// Table rows that a trunk looks up for a note.
pub const TRUNK_SLOTS: usize = 11 + SEEN_SOUNDING;
/// Rows of a trunk's table.
pub const TRUNK_ROWS: usize = 1
    + MAX_ADVANCE as usize
    + 1
    + TICKS_PER_STEP as usize
    + 2 * MAX_LANES
    + NUM_KEYS
    + DURATIONS.len()
    + 1
    + VELOCITIES
    + 1
    + INTERVALS
    + STEPS_PER_BEAT
    + BarPosition::CLASSES
    + (1 << MAX_LANES)
    + NUM_KEYS;
/// Table rows that a head looks up for an attribute.
pub const HEAD_SLOTS: usize = 18 + SEEN_SOUNDING + SEEN_STRUCK + 9 * PERIODS;
/// Rows of a head's table.
pub const HEAD_ROWS: usize = NUM_ATTRIBUTES
    + MAX_ADVANCE as usize
    + 1
    + 2 * TICKS_PER_STEP as usize
    + MAX_LANES
    + NUM_KEYS
    + DURATIONS.len()
    + STEPS_PER_BEAT
    + BarPosition::CLASSES
    + NUM_KEYS
    + VELOCITIES
    + 2 * INTERVALS
    + 2 * (ECHO_CLASSES + 1)
    + MAX_ADVANCE as usize
    + 1
    + TICKS_PER_STEP as usize
    + MAX_LANES
    + NUM_KEYS
    + INTERVALS
    + DURATIONS.len()
    + PERIODS * PATTERN_ROWS;
/// Rows for the pattern's note of one period.
const PATTERN_ROWS: usize = 2
    + MAX_ADVANCE as usize
    + 1
    + TICKS_PER_STEP as usize
    + MAX_LANES
    + NUM_KEYS
    + 2 * INTERVALS
    + DURATIONS.len()
    + VELOCITIES;
const VELOCITIES: usize = Attribute::Velocity.vocabulary();

/// A note, as a network reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoteEvent {
    /// When it starts, in ticks.
    pub tick: i64,
    /// Its lane, below [`MAX_LANES`].
    pub lane: u8,
    /// MIDI key.
    pub key: u8,
    /// Its length in ticks; `None` while it is held.
    pub duration: Option<i64>,
    /// MIDI velocity; `None` if it is unknown.
    pub velocity: Option<u8>,
}

/// Where a step lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The 16th of the beat, counted from the start of the bar; `None` if the metre is unknown.
    pub step_in_beat: Option<u8>,
    /// The position in the bar.
    pub bar: Option<BarPosition>,
}

impl Place {
    /// The place of a step that lies `steps` later, in bars of the same length.
    fn later(self, steps: i64) -> Self {
        let shifted = |step: u8, length: i64| (i64::from(step) + steps).rem_euclid(length) as u8;
        let bar = self
            .bar
            .map(|bar| BarPosition { step_in_bar: shifted(bar.step_in_bar, i64::from(bar.bar_steps.max(1))), ..bar });
        let step_in_beat = match bar {
            Some(bar) => Some(bar.step_in_bar % STEPS_PER_BEAT as u8),
            None => self.step_in_beat.map(|step| shifted(step, STEPS_PER_BEAT as i64)),
        };
        Self { step_in_beat, bar }
    }
}

/// The next note as far as it is decided: the tokens of its first attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    tokens: [u8; NUM_ATTRIBUTES],
}

impl Draft {
    /// Sets an attribute's token.
    pub fn set(&mut self, attribute: Attribute, token: u8) {
        self.tokens[attribute as usize] = token;
    }

    /// An attribute's token.
    pub fn token(&self, attribute: Attribute) -> u8 {
        self.tokens[attribute as usize]
    }
}

/// A note that sounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SoundingNote {
    tick: i64,
    lane: u8,
    key: u8,
    /// When it ends; `None` while it is held.
    end: Option<i64>,
}

/// What a network sees of the music so far. `Default` is the start of a piece.
#[derive(Clone, Copy, Debug)]
pub struct NoteReader {
    /// The last note, and the step between it and the one before.
    last: Option<(NoteEvent, u8)>,
    /// The interval from the lane's note before to the last one.
    interval: Option<i16>,
    /// The step of the last note, or at which the piece or the network's part of it begins.
    last_step: i64,
    /// The lanes that the network plays.
    own: Lanes,
    /// A step whose place is known, and its place.
    place: (i64, Place),
    /// The last key and velocity of each lane.
    lanes: [Option<(u8, Option<u8>)>; MAX_LANES],
    sounding: [Option<SoundingNote>; MAX_SOUNDING],
    echo: NoteEcho,
    pattern: Pattern,
}

impl Default for NoteReader {
    fn default() -> Self {
        Self {
            last: None,
            interval: None,
            last_step: 0,
            own: Lanes::ALL,
            place: (0, Place::default()),
            lanes: [None; MAX_LANES],
            sounding: [None; MAX_SOUNDING],
            echo: NoteEcho::new(),
            pattern: Pattern::new(),
        }
    }
}

impl NoteReader {
    /// Sets the place of a step. Places of other steps follow from it.
    pub fn set_place(&mut self, step: i64, place: Place) {
        self.place = (step, place);
    }

    /// Sets the lanes that the network plays.
    pub fn set_own(&mut self, own: Lanes) {
        self.own = own;
    }

    /// Starts a piece at `step`, from which the advance to the first note is counted.
    pub fn begin_at(&mut self, step: i64) {
        *self = Self { last_step: step, own: self.own, place: self.place, ..Self::default() };
    }

    /// Counts the advance to the next note from `step`: the music before it is too far away, or lies elsewhere.
    pub fn skip_to(&mut self, step: i64) {
        self.last_step = step;
        self.sounding = [None; MAX_SOUNDING];
        self.pattern = Pattern::new();
    }

    /// The step from which the advance to the next note is counted.
    pub fn last_step(&self) -> i64 {
        self.last_step
    }

    /// The tick before which no further note can start.
    pub fn last_tick(&self) -> i64 {
        let of_step = self.last_step * i64::from(TICKS_PER_STEP);
        self.last
            .map(|(note, _)| note.tick)
            .filter(|tick| tick.div_euclid(TICKS_PER_STEP.into()) == self.last_step)
            .unwrap_or(of_step)
    }

    /// Reads a note that sounds until the tick `end`, or until it is released. It starts no earlier than the one
    /// before. The length in `note` is what the network sees of it.
    pub fn feed(&mut self, note: NoteEvent, end: Option<i64>) {
        let step = note.tick.div_euclid(TICKS_PER_STEP.into());
        let lane = usize::from(note.lane);
        self.interval = self.lanes[lane].map(|(key, _)| i16::from(note.key) - i16::from(key));
        let advance = advance_token(step - self.last_step);
        let tokens = [
            advance,
            note.tick.rem_euclid(TICKS_PER_STEP.into()) as u8,
            note.lane,
            note.key,
            note.duration.map_or(UNKNOWN, duration_token),
            note.velocity.map_or(UNKNOWN, velocity_token),
        ];
        self.echo.push(tokens);
        self.pattern.push(PatternNote { tick: note.tick, tokens, interval: self.interval });
        self.last = Some((note, advance));
        self.last_step = step;
        self.lanes[lane] = Some((note.key, note.velocity));
        self.release(note.lane, note.key, note.tick);
        let new = SoundingNote { tick: note.tick, lane: note.lane, key: note.key, end };
        let is_over = |slot: &Option<SoundingNote>| slot.is_none_or(|old| old.end.is_some_and(|end| end <= note.tick));
        let oldest = || {
            let order = |slot: &usize| self.sounding[*slot].map(|old| old.tick);
            (0..MAX_SOUNDING).min_by_key(order).unwrap_or(0)
        };
        let slot = self.sounding.iter().position(is_over).unwrap_or_else(oldest);
        self.sounding[slot] = Some(new);
    }

    fn release(&mut self, lane: u8, key: u8, tick: i64) {
        self.release_where(tick, |of_lane, of_key| (of_lane, of_key) == (lane, key));
    }

    /// Ends the notes that started before `tick` and, as (lane, key), for which `ends` returns true.
    pub fn release_where(&mut self, tick: i64, ends: impl Fn(u8, u8) -> bool) {
        for note in self.sounding.iter_mut().flatten() {
            if note.tick < tick && ends(note.lane, note.key) {
                note.end = Some(note.end.map_or(tick, |end| end.min(tick)));
            }
        }
    }

    /// Ends the notes that are held until they are released, as (lane, key), and for which `ends` returns true.
    pub fn release_held_where(&mut self, tick: i64, ends: impl Fn(u8, u8) -> bool) {
        for note in self.sounding.iter_mut().flatten().filter(|note| note.end.is_none() && ends(note.lane, note.key)) {
            note.end = Some(tick);
        }
    }

    /// Whether a note of `lane` sounds at `tick`.
    pub fn sounds(&self, lane: u8, key: u8, tick: i64) -> bool {
        self.sounding_at(tick).any(|note| (note.lane, note.key) == (lane, key))
    }

    /// The keys of the notes, of any lane, that start at `tick`.
    pub fn struck(&self, tick: i64) -> Keys {
        let mut keys = Keys::NONE;
        self.sounding.iter().flatten().filter(|note| note.tick == tick).for_each(|note| keys.insert(note.key));
        keys
    }

    fn sounding_at(&self, tick: i64) -> impl Iterator<Item = SoundingNote> + '_ {
        let sounds = move |note: &SoundingNote| note.end.is_none_or(|end| end > tick);
        self.sounding.iter().flatten().copied().filter(sounds)
    }

    /// The notes that sound at `tick`, those that started last first, as many as a network sees.
    fn seen_at(&self, tick: i64) -> ([Option<SoundingNote>; MAX_SOUNDING], usize) {
        let mut notes = [None; MAX_SOUNDING];
        let mut count = 0;
        for note in self.sounding_at(tick) {
            notes[count] = Some(note);
            count += 1;
        }
        let order = |note: &Option<SoundingNote>| note.map(|note| (-note.tick, note.lane, note.key));
        notes[..count].sort_unstable_by_key(order);
        (notes, count.min(SEEN_SOUNDING))
    }

    /// The tick at which a draft starts.
    pub fn tick_of(&self, draft: &Draft) -> i64 {
        let step = self.last_step + i64::from(draft.token(Attribute::Advance));
        step * i64::from(TICKS_PER_STEP) + i64::from(draft.token(Attribute::Tick))
    }

    fn place_of(&self, step: i64) -> Place {
        self.place.1.later(step - self.place.0)
    }

    /// The last key of a lane, if it has played.
    pub fn last_key(&self, lane: u8) -> Option<u8> {
        self.lanes[usize::from(lane)].map(|(key, _)| key)
    }

    /// The key that intervals of the next note of `lane` are counted from: the lane's last one.
    pub fn reference(&self, lane: u8) -> u8 {
        let any = || self.last.map(|(note, _)| note.key);
        self.last_key(lane).or_else(any).unwrap_or(MIDDLE_C)
    }

    /// Writes the table rows that the trunk looks up after the last note.
    pub fn trunk_indices(&self, out: &mut [u32; TRUNK_SLOTS]) {
        let own = self.own;
        let mut rows = Rows::new(out);
        let last = self.last.map(|(note, _)| note);
        rows.look_up(1, last.is_none().then_some(0));
        rows.look_up(MAX_ADVANCE as usize + 1, self.last.map(|(_, advance)| advance.into()));
        rows.look_up(TICKS_PER_STEP.into(), last.map(|note| note.tick.rem_euclid(TICKS_PER_STEP.into()) as usize));
        let lane = |note: NoteEvent| usize::from(note.lane) + if own.contains(note.lane) { 0 } else { MAX_LANES };
        rows.look_up(2 * MAX_LANES, last.map(lane));
        rows.look_up(NUM_KEYS, last.map(|note| note.key.into()));
        let duration = |note: NoteEvent| note.duration.map_or(DURATIONS.len(), |ticks| duration_token(ticks).into());
        rows.look_up(DURATIONS.len() + 1, last.map(duration));
        let velocity = |note: NoteEvent| note.velocity.map_or(VELOCITIES, |velocity| velocity_token(velocity).into());
        rows.look_up(VELOCITIES + 1, last.map(velocity));
        rows.look_up(INTERVALS, self.interval.map(interval_row));
        let place = self.place_of(self.last_step);
        rows.look_up(STEPS_PER_BEAT, place.step_in_beat.map(usize::from));
        rows.look_up(BarPosition::CLASSES, place.bar.and_then(BarPosition::class));
        let mask = own.iter().take_while(|lane| usize::from(*lane) < MAX_LANES).fold(0, |mask, lane| mask | 1 << lane);
        rows.look_up(1 << MAX_LANES, Some(mask));
        let (notes, count) = self.seen_at(self.last_tick());
        rows.look_up_all(NUM_KEYS, SEEN_SOUNDING, notes[..count].iter().flatten().map(|note| note.key.into()));
        rows.check(TRUNK_ROWS);
    }

    /// Writes the table rows that the head looks up to predict an attribute of `draft`, whose earlier attributes are
    /// set.
    pub fn head_indices(&self, attribute: Attribute, draft: &Draft, out: &mut [u32; HEAD_SLOTS]) {
        let mut rows = Rows::new(out);
        let token = |of: Attribute| ((of as usize) < attribute as usize).then(|| usize::from(draft.token(of)));
        rows.look_up(NUM_ATTRIBUTES, Some(attribute as usize));
        rows.look_up(MAX_ADVANCE as usize + 1, token(Attribute::Advance));
        // Within the step of the last note, a tick is counted from that note's.
        let last_tick = self.last_tick().rem_euclid(TICKS_PER_STEP.into()) as usize;
        rows.look_up(TICKS_PER_STEP.into(), Some(last_tick).filter(|_| attribute <= Attribute::Tick));
        rows.look_up(TICKS_PER_STEP.into(), token(Attribute::Tick));
        rows.look_up(MAX_LANES, token(Attribute::Lane));
        rows.look_up(NUM_KEYS, token(Attribute::Key));
        rows.look_up(DURATIONS.len(), token(Attribute::Duration));
        let step = self.last_step + i64::from(draft.token(Attribute::Advance));
        let place = if attribute == Attribute::Advance { Place::default() } else { self.place_of(step) };
        rows.look_up(STEPS_PER_BEAT, place.step_in_beat.map(usize::from));
        rows.look_up(BarPosition::CLASSES, place.bar.and_then(BarPosition::class));
        let lane = draft.token(Attribute::Lane);
        let knows_lane = attribute > Attribute::Lane;
        let reference = self.reference(lane);
        rows.look_up(NUM_KEYS, knows_lane.then(|| reference.into()));
        let velocity = self.lanes[usize::from(lane)].and_then(|(_, velocity)| velocity);
        rows.look_up(VELOCITIES, velocity.filter(|_| knows_lane).map(|velocity| velocity_token(velocity).into()));
        // What sounds at the note's onset, and what starts with it, as intervals from the reference.
        let tick = self.tick_of(draft);
        let (notes, count) = if attribute < Attribute::Lane { ([None; MAX_SOUNDING], 0) } else { self.seen_at(tick) };
        let from_reference = |note: &SoundingNote| interval_row(i16::from(note.key) - i16::from(reference));
        let seen = notes[..count].iter().flatten();
        rows.look_up_all(INTERVALS, SEEN_SOUNDING, seen.clone().map(from_reference));
        let struck = seen.filter(|note| note.tick == tick).map(from_reference);
        rows.look_up_all(INTERVALS, SEEN_STRUCK, struck.take(SEEN_STRUCK));
        self.look_up_echo(attribute, draft, reference, &mut rows);
        self.look_up_pattern(attribute, draft, reference, &mut rows);
        rows.check(HEAD_ROWS);
    }
}

impl NoteReader {
    /// The note that the echo predicts, how far it can be trusted, and whether the draft agrees with it so far.
    fn look_up_echo(&self, attribute: Attribute, draft: &Draft, reference: u8, rows: &mut Rows) {
        let echo = self.echo.next();
        let agrees = |note: &NoteTokens| (0..attribute as usize).all(|n| note[n] == draft.tokens[n]);
        let class = echo.map_or(ECHO_CLASSES, |(_, class)| class);
        let so_far = echo.is_none_or(|(note, _)| agrees(note));
        rows.look_up(2 * (ECHO_CLASSES + 1), Some(if so_far { class } else { ECHO_CLASSES + 1 + class }));
        let token = |of: Attribute| echo.map(|(note, _)| note[of as usize]).filter(|token| *token != UNKNOWN);
        rows.look_up(MAX_ADVANCE as usize + 1, token(Attribute::Advance).map(usize::from));
        rows.look_up(TICKS_PER_STEP.into(), token(Attribute::Tick).map(usize::from));
        rows.look_up(MAX_LANES, token(Attribute::Lane).map(usize::from));
        let key = token(Attribute::Key);
        rows.look_up(NUM_KEYS, key.map(usize::from));
        let interval = key.map(|key| interval_row(i16::from(key) - i16::from(reference)));
        rows.look_up(INTERVALS, interval.filter(|_| attribute > Attribute::Lane));
        rows.look_up(DURATIONS.len(), token(Attribute::Duration).map(usize::from));
    }

    /// For each period the note at the place of the next one, and whether the draft agrees with it so far. Once the
    /// draft has an onset, that is its place.
    fn look_up_pattern(&self, attribute: Attribute, draft: &Draft, reference: u8, rows: &mut Rows) {
        let bar = self.place.1.bar.map_or(COMMON_BAR, |bar| bar.bar_steps.into());
        for steps in [STEPS_PER_BEAT as i64, bar] {
            let period = steps * i64::from(TICKS_PER_STEP);
            let note = match attribute {
                Attribute::Advance | Attribute::Tick => self.pattern.next(self.last_tick(), period, self.own),
                _ => self.pattern.at(self.tick_of(draft), period, self.own),
            };
            let agrees = note.map(|note| (2..attribute as usize).all(|n| note.tokens[n] == draft.tokens[n]));
            rows.look_up(2, agrees.map(usize::from));
            // Its onset, a period later.
            let tick = note.filter(|_| attribute < Attribute::Lane).map(|note| note.tick + period);
            let advance =
                tick.map(|tick| advance_token(tick.div_euclid(TICKS_PER_STEP.into()) - self.last_step).into());
            rows.look_up(MAX_ADVANCE as usize + 1, advance);
            rows.look_up(TICKS_PER_STEP.into(), tick.map(|tick| tick.rem_euclid(TICKS_PER_STEP.into()) as usize));
            let token = |of: Attribute| {
                note.map(|note| note.tokens[of as usize]).filter(|token| *token != UNKNOWN).map(usize::from)
            };
            rows.look_up(MAX_LANES, token(Attribute::Lane));
            let knows_lane = attribute > Attribute::Lane;
            let key = token(Attribute::Key).filter(|_| knows_lane);
            rows.look_up(NUM_KEYS, key);
            rows.look_up(INTERVALS, key.map(|key| interval_row(key as i16 - i16::from(reference))));
            rows.look_up(INTERVALS, note.and_then(|note| note.interval).filter(|_| knows_lane).map(interval_row));
            rows.look_up(DURATIONS.len(), token(Attribute::Duration).filter(|_| attribute > Attribute::Key));
            rows.look_up(VELOCITIES, token(Attribute::Velocity).filter(|_| attribute == Attribute::Velocity));
        }
    }
}

impl PartialOrd for Attribute {
    /// Attributes are ordered as a network predicts them.
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        (*self as usize).partial_cmp(&(*other as usize))
    }
}

/// The row of an interval in semitones.
fn interval_row(semitones: i16) -> usize {
    (semitones.clamp(-WIDEST, WIDEST) + WIDEST) as usize
}

/// The column of each key's relative score, by its interval from `reference`; keys too far away have none, and
/// [`INTERVALS`] stands for that.
pub fn relative_columns(reference: u8) -> [u32; NUM_KEYS] {
    std::array::from_fn(|key| {
        let semitones = key as i16 - i16::from(reference);
        if semitones.abs() <= WIDEST { interval_row(semitones) as u32 } else { INTERVALS as u32 }
    })
}

/// Fills a list of table rows, slot by slot.
struct Rows<'a> {
    out: &'a mut [u32],
    next: usize,
    base: usize,
}

impl<'a> Rows<'a> {
    fn new(out: &'a mut [u32]) -> Self {
        Self { out, next: 0, base: 0 }
    }

    /// One slot that looks up a row of its own part of the table, which has `len` rows.
    fn look_up(&mut self, len: usize, row: Option<usize>) {
        self.look_up_all(len, 1, row.into_iter());
    }

    /// As many slots that look up rows of one part of the table.
    fn look_up_all(&mut self, len: usize, slots: usize, rows: impl Iterator<Item = usize>) {
        let slots = &mut self.out[self.next..self.next + slots];
        slots.fill(NO_INDEX);
        for (slot, row) in slots.iter_mut().zip(rows) {
            debug_assert!(row < len, "expected a row below {len}, got {row}");
            *slot = (self.base + row) as u32;
        }
        self.next += slots.len();
        self.base += len;
    }

    fn check(&self, rows: usize) {
        debug_assert_eq!((self.next, self.base), (self.out.len(), rows));
    }
}

#[cfg(test)]
mod tests;
