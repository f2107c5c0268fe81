//! The reader of a split network: the inputs of the trunk, which reads whole steps, and of the head, which also reads
//! the voices decided so far in a step.

use serde::{Deserialize, Serialize};

use super::echo::{ECHO_CLASSES, Echo};
use super::grid::{NUM_VOICES, STEPS_PER_BEAT};
use super::{GridReader, HELD_CLASSES, Reader};
use crate::key::NUM_KEYS;
use crate::rules::PAIRS;
use crate::vocabulary::{LOWEST_PITCH, Symbol, Vocabulary};

/// Classes of what a voice sounds: a rest or one of the pitches.
const SOUNDS: usize = Vocabulary::GRID_WITHOUT_HOLD.size();
/// Tokens of the vocabulary.
const TOKENS: usize = Vocabulary::GRID.size();
/// Intervals between two pitches of the vocabulary: from 45 semitones down to 45 up.
pub const INTERVALS: usize = 2 * WIDEST + 1;
const WIDEST: usize = SOUNDS - 2;
/// Classes of the distance to the next fermata: 0 to 15 steps, and more.
pub const FERMATA_CLASSES: usize = 17;
/// Classes of density and of register.
pub const CONTROL_CLASSES: usize = 5;
/// An index that looks up no table row.
pub const NO_INDEX: u32 = u32::MAX;

/// An input feature of the trunk: about the steps so far, or a control of the player.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepFeature {
    /// The pitch of each voice.
    Sounding,
    /// For how many steps each voice has held it or rested.
    Held,
    /// Which 16th of the beat the step is.
    Beat,
    /// The interval between each pair of voices.
    Intervals,
    /// The tokens that followed the earlier passage that matches the latest music best, and the class of the match's
    /// length.
    Echo,
    /// The control for the key.
    Key,
    /// The control for the distance to the next fermata.
    Fermata,
    /// The control for how many notes start in the coming bar.
    Density,
    /// The control for how high the coming bar is.
    Register,
    /// Where in the bar the step is.
    Bar,
    /// Where in the phrase the step is.
    Phrase,
}

impl StepFeature {
    /// Table rows that the feature looks up.
    pub const fn slots(self) -> usize {
        match self {
            Self::Sounding | Self::Held => NUM_VOICES,
            Self::Intervals => NUM_PAIRS,
            Self::Echo => NUM_VOICES + 1,
            Self::Phrase => 2,
            Self::Beat | Self::Key | Self::Fermata | Self::Density | Self::Register | Self::Bar => 1,
        }
    }

    /// Rows of its table.
    pub const fn table_rows(self) -> usize {
        match self {
            Self::Sounding => NUM_VOICES * SOUNDS,
            Self::Held => NUM_VOICES * HELD_CLASSES,
            Self::Beat => STEPS_PER_BEAT,
            Self::Intervals => NUM_PAIRS * INTERVALS,
            Self::Echo => NUM_VOICES * TOKENS + ECHO_CLASSES,
            Self::Key => NUM_KEYS,
            Self::Fermata => FERMATA_CLASSES,
            Self::Density | Self::Register => CONTROL_CLASSES,
            Self::Bar => BarPosition::CLASSES,
            Self::Phrase => 2 * PHRASE_CLASSES,
        }
    }
}

const NUM_PAIRS: usize = PAIRS.len();

/// A step's controls and its position, which the network reads beside the notes; `None` where they are not set or not
/// known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Controls {
    /// The key: 0 to 11 are the major keys from C up, 12 to 23 the minor keys; see [`crate::key`].
    pub key: Option<u8>,
    /// Steps to the next fermata: 0 in its own step; 16 and more mean that it is not near.
    pub fermata_in: Option<u8>,
    /// How many notes start in the coming bar: 0 (few) to 4 (many); see [`density_class`].
    pub density: Option<u8>,
    /// How high the coming bar is: 0 (low) to 4 (high); see [`register_class`].
    pub register: Option<u8>,
    /// Where in the bar the step is.
    pub bar: Option<BarPosition>,
    /// Where in the phrase the step is.
    pub phrase: Option<PhrasePosition>,
}

impl Controls {
    /// No control is set, and no position known.
    pub const NONE: Self = Self { key: None, fermata_in: None, density: None, register: None, bar: None, phrase: None };
}

/// A step's position in its bar, in 16ths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarPosition {
    /// 16ths since the start of the bar.
    pub step_in_bar: u8,
    /// The length of the bar in 16ths.
    pub bar_steps: u8,
}

impl BarPosition {
    /// Positions that networks distinguish: those of a bar of four beats, then those of a bar of three.
    pub(super) const CLASSES: usize = FOUR_BEATS + THREE_BEATS;

    /// The class of the position. Two beats are the first half of four, six quarters are twice three; other bars are
    /// unknown to the networks.
    pub(super) fn class(self) -> Option<usize> {
        let step = usize::from(self.step_in_bar);
        match self.bar_steps {
            8 | 16 => Some(step % FOUR_BEATS),
            12 | 24 => Some(FOUR_BEATS + step % THREE_BEATS),
            _ => None,
        }
    }
}

const FOUR_BEATS: usize = 4 * STEPS_PER_BEAT;
const THREE_BEATS: usize = 3 * STEPS_PER_BEAT;

/// A step's position in its phrase, in beats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhrasePosition {
    /// Whole beats since the start of the phrase.
    pub beats_since: u8,
    /// Beats, rounded up, to its last chord: 0 from the chord's start on.
    pub beats_left: u8,
}

/// Classes of the beats since a phrase's start and to its end: 0 to 15, and more.
const PHRASE_CLASSES: usize = 17;

/// The density class of a mean number of attacks per beat and voice.
pub fn density_class(attacks_per_beat: f32) -> u8 {
    [0.7, 0.95, 1.2, 1.5].iter().filter(|&&bound| attacks_per_beat >= bound).count() as u8
}

/// The register class of the mean pitch of all voices (MIDI numbers).
pub fn register_class(mean_pitch: f32) -> u8 {
    [58.0, 60.0, 62.0, 64.0].iter().filter(|&&bound| mean_pitch >= bound).count() as u8
}

/// Table rows that a head looks up for a voice.
pub const HEAD_SLOTS: usize = 2 + 2 * NUM_VOICES + 4 * (NUM_VOICES - 1) + 2;
/// Rows of a head's table, in the order of its slots. Each voice has rows of its own.
pub const HEAD_TABLE_ROWS: usize = NUM_VOICES * TABLE_ROWS_PER_VOICE;
const TABLE_ROWS_PER_VOICE: usize = 1
    + STEPS_PER_BEAT
    + NUM_VOICES * (SOUNDS + HELD_CLASSES)
    + NUM_VOICES * (SOUNDS + 3 + INTERVALS + 2)
    + TOKENS
    + ECHO_CLASSES;

/// The state of the music before each voice of a step. It reads the voices of a step in any order.
#[derive(Clone, Debug)]
pub struct StepReader {
    /// The pitch of each voice in the previous step.
    sounding: [Option<u8>; NUM_VOICES],
    held: [u8; NUM_VOICES],
    step_in_beat: usize,
    /// The tokens of this step that have been decided.
    decided: [Option<u16>; NUM_VOICES],
    echo: Echo,
    /// For how many more steps the echo is hidden.
    hidden_steps: usize,
}

impl StepReader {
    /// A reader at the start of a piece, on a beat.
    pub fn new() -> Self {
        Self {
            sounding: [None; NUM_VOICES],
            held: [0; NUM_VOICES],
            step_in_beat: 0,
            decided: [None; NUM_VOICES],
            echo: Echo::new(),
            hidden_steps: 0,
        }
    }

    fn visible_echo(&self) -> Option<([u16; NUM_VOICES], usize)> {
        self.echo.next().filter(|_| self.hidden_steps == 0)
    }

    /// Writes the indices of the trunk's table rows for the next step to the front of `indices`; returns how many there
    /// are.
    pub fn trunk_indices(&self, features: &[StepFeature], controls: Controls, indices: &mut [u32]) -> usize {
        let mut out = Indices { indices, n: 0, base: 0 };
        for feature in features {
            let start = out.base;
            match feature {
                StepFeature::Sounding => self.sounding.iter().for_each(|&s| out.push(SOUNDS, Some(sound(s)))),
                StepFeature::Held => self.held.iter().for_each(|&n| out.push(HELD_CLASSES, Some(n.into()))),
                StepFeature::Beat => out.push(STEPS_PER_BEAT, Some(self.step_in_beat)),
                StepFeature::Intervals => {
                    for (a, b) in PAIRS {
                        out.push(INTERVALS, interval(self.sounding[a], self.sounding[b]));
                    }
                }
                StepFeature::Echo => {
                    let echo = self.visible_echo();
                    (0..NUM_VOICES).for_each(|v| out.push(TOKENS, echo.map(|(row, _)| row[v].into())));
                    out.push(ECHO_CLASSES, echo.map(|(_, class)| class));
                }
                StepFeature::Key => out.push(NUM_KEYS, controls.key.map(usize::from)),
                StepFeature::Fermata => {
                    out.push(FERMATA_CLASSES, controls.fermata_in.map(|n| usize::from(n).min(FERMATA_CLASSES - 1)));
                }
                StepFeature::Density => out.push(CONTROL_CLASSES, controls.density.map(usize::from)),
                StepFeature::Register => out.push(CONTROL_CLASSES, controls.register.map(usize::from)),
                StepFeature::Bar => out.push(BarPosition::CLASSES, controls.bar.and_then(BarPosition::class)),
                StepFeature::Phrase => {
                    let class = |beats: u8| usize::from(beats).min(PHRASE_CLASSES - 1);
                    out.push(PHRASE_CLASSES, controls.phrase.map(|phrase| class(phrase.beats_since)));
                    out.push(PHRASE_CLASSES, controls.phrase.map(|phrase| class(phrase.beats_left)));
                }
            }
            debug_assert_eq!(out.base - start, feature.table_rows());
        }
        out.n
    }

    /// Writes the indices of the head's table rows for `voice` to `indices`. `sees_echo` says whether the network reads
    /// the echo.
    pub fn head_indices(&self, voice: usize, sees_echo: bool, indices: &mut [u32; HEAD_SLOTS]) {
        let mut out = Indices { indices, n: 0, base: voice * TABLE_ROWS_PER_VOICE };
        out.push(1, Some(0));
        out.push(STEPS_PER_BEAT, Some(self.step_in_beat));
        for u in 0..NUM_VOICES {
            out.push(SOUNDS, Some(sound(self.sounding[u])));
            out.push(HELD_CLASSES, Some(self.held[u].into()));
        }
        let echo = self.visible_echo().filter(|_| sees_echo);
        for u in 0..NUM_VOICES {
            let decided = self.decided[u].filter(|_| u != voice);
            let now = decided.map(|token| Vocabulary::GRID.sounds(token, self.sounding[u]));
            let classes = [
                (SOUNDS, now.map(sound)),
                (3, decided.map(action)),
                (INTERVALS, now.and_then(|now| interval(now, self.sounding[voice]))),
                (2, decided.and_then(|token| echo.map(|(row, _)| usize::from(row[u] == token)))),
            ];
            for (count, index) in classes {
                if u == voice { out.base += count } else { out.push(count, index) }
            }
        }
        out.push(TOKENS, echo.map(|(row, _)| row[voice].into()));
        out.push(ECHO_CLASSES, echo.map(|(_, class)| class));
        debug_assert_eq!((out.n, out.base), (HEAD_SLOTS, (voice + 1) * TABLE_ROWS_PER_VOICE));
    }
}

impl Reader for StepReader {
    fn reset(&mut self) {
        self.echo.reset();
        self.hidden_steps = 0;
        self.sounding = [None; NUM_VOICES];
        self.held = [0; NUM_VOICES];
        self.step_in_beat = 0;
        self.decided = [None; NUM_VOICES];
    }

    fn copy_from(&mut self, other: &Self) {
        self.echo.copy_from(&other.echo);
        self.hidden_steps = other.hidden_steps;
        self.sounding = other.sounding;
        self.held = other.held;
        self.step_in_beat = other.step_in_beat;
        self.decided = other.decided;
    }

    fn set_step_in_beat(&mut self, step_in_beat: usize) {
        debug_assert!(
            self.decided.iter().all(Option::is_none),
            "the position in the beat is set before the first voice"
        );
        self.step_in_beat = step_in_beat % STEPS_PER_BEAT;
    }

    /// Reads the token of `voice`. The last voice completes the step.
    ///
    /// # Panics
    /// If the step has a token of `voice` already.
    fn feed(&mut self, voice: usize, token: u16) {
        assert!(self.decided[voice].is_none(), "voice {voice} has two tokens in one step");
        self.decided[voice] = Some(token);
        if let [Some(s), Some(a), Some(t), Some(b)] = self.decided {
            self.end_step([s, a, t, b]);
        }
    }
}

impl StepReader {
    /// Ends the step with these tokens, whichever have been read.
    pub fn end_step(&mut self, row: [u16; NUM_VOICES]) {
        let mut attacks = 0;
        for (voice, &token) in row.iter().enumerate() {
            let before = self.sounding[voice];
            let (sounding, continues) = match Vocabulary::GRID.symbol(token) {
                Some(Symbol::Pitch(pitch)) => (Some(pitch), false),
                Some(Symbol::Hold) => (before, true),
                Some(Symbol::Rest) | None => (None, before.is_none()),
            };
            attacks += usize::from(sounding.is_some() && !continues);
            self.held[voice] = if continues { (self.held[voice] + 1).min(HELD_CLASSES as u8 - 1) } else { 0 };
            self.sounding[voice] = sounding;
        }
        self.echo.push(row, attacks);
        self.hidden_steps = self.hidden_steps.saturating_sub(1);
        self.decided = [None; NUM_VOICES];
        self.step_in_beat = (self.step_in_beat + 1) % STEPS_PER_BEAT;
    }
}

impl GridReader for StepReader {
    /// The pitch of `voice` in the previous step.
    fn sounding(&self, voice: usize) -> Option<u8> {
        self.sounding[voice]
    }

    fn step_in_beat(&self) -> usize {
        self.step_in_beat
    }

    /// Hides the echo in the current step and the next ones: in a loop it would only predict the loop.
    fn hide_echo(&mut self, steps: usize) {
        self.hidden_steps = steps;
    }
}

impl Default for StepReader {
    fn default() -> Self {
        Self::new()
    }
}

/// Writes indices into tables that follow one another.
struct Indices<'a> {
    indices: &'a mut [u32],
    n: usize,
    base: usize,
}

impl Indices<'_> {
    /// Appends the index of a row in the next table, which has `count` rows.
    fn push(&mut self, count: usize, index: Option<usize>) {
        debug_assert!(index.is_none_or(|index| index < count));
        self.indices[self.n] = index.map_or(NO_INDEX, |index| (self.base + index) as u32);
        self.n += 1;
        self.base += count;
    }
}

/// Writes for each token the column of its relative score, for a voice that sounded `before` in the previous step.
/// Tokens other than pitches, and all tokens after a rest, get the column past the end, whose score is 0.
pub fn relative_columns(before: Option<u8>, columns: &mut [u32]) {
    columns.fill(INTERVALS as u32);
    let pitches = Vocabulary::GRID_WITHOUT_HOLD.size() - 1;
    if let Some(before) = before {
        let lowest = INTERVALS as u32 / 2 + u32::from(LOWEST_PITCH) - u32::from(before);
        (0..pitches).for_each(|i| columns[1 + i] = lowest + i as u32);
    }
}

fn sound(pitch: Option<u8>) -> usize {
    usize::from(Vocabulary::GRID.token(pitch.map_or(Symbol::Rest, Symbol::Pitch)))
}

fn action(token: u16) -> usize {
    match Vocabulary::GRID.symbol(token) {
        Some(Symbol::Pitch(_)) => 0,
        Some(Symbol::Hold) => 1,
        Some(Symbol::Rest) | None => 2,
    }
}

/// The index of the interval from `lower` up to `upper`; `None` if either is a rest.
fn interval(upper: Option<u8>, lower: Option<u8>) -> Option<usize> {
    Some(usize::from(upper? + WIDEST as u8 - lower?))
}
