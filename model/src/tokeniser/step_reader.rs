//! What a split network is shown: of the steps so far (its trunk), and of a step half drawn (its head).

use serde::{Deserialize, Serialize};

use super::echo::{ECHO_CLASSES, Echo};
use super::grid::{NUM_VOICES, STEPS_PER_BEAT};
use super::{GridReader, Reader};
use crate::vocabulary::{LOWEST_PITCH, Symbol, Vocabulary};

/// How many lengths of a held note are told apart; longer ones count as the longest.
const HELD_CLASSES: usize = 16;
/// Rows for what a voice sounds: rest and the pitches.
const SOUNDS: usize = Vocabulary::GRID_WITHOUT_HOLD.size();
/// Tokens of the vocabulary.
const TOKENS: usize = Vocabulary::GRID.size();
/// Pitches from 45 below to 45 above.
pub const INTERVALS: usize = 2 * WIDEST + 1;
const WIDEST: usize = SOUNDS - 2;
/// Keys: twelve major, twelve minor.
pub const NUM_KEYS: usize = 24;
/// Classes of the distance to the next fermata, in steps: 0 to 15, and farther.
pub const FERMATA_CLASSES: usize = 17;
/// Classes of density and of register.
pub const CONTROL_CLASSES: usize = 5;
/// Stands for "nothing to look up".
pub const NO_ROW: u32 = u32::MAX;

/// What a trunk can be shown of the steps so far and of the player's wishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepFeature {
    /// What each voice sounds.
    Sounding,
    /// For how many steps each voice has done so.
    Held,
    /// Which 16th of the beat the step is.
    Beat,
    /// How far apart each pair of voices is.
    Intervals,
    /// What followed the last place that sounded like now, and for how long the two have agreed.
    Echo,
    /// The piece's key, if it is told.
    Key,
    /// How many steps it is to the next fermata, if it is told.
    Fermata,
    /// How many notes start in the coming bar, if it is told.
    Density,
    /// How high the coming bar lies, if it is told.
    Register,
}

impl StepFeature {
    /// Numbers that it looks up.
    pub const fn slots(self) -> usize {
        match self {
            Self::Sounding | Self::Held => NUM_VOICES,
            Self::Intervals => NUM_PAIRS,
            Self::Echo => NUM_VOICES + 1,
            Self::Beat | Self::Key | Self::Fermata | Self::Density | Self::Register => 1,
        }
    }

    /// Rows of its table.
    pub const fn rows(self) -> usize {
        match self {
            Self::Sounding => NUM_VOICES * SOUNDS,
            Self::Held => NUM_VOICES * HELD_CLASSES,
            Self::Beat => STEPS_PER_BEAT,
            Self::Intervals => NUM_PAIRS * INTERVALS,
            Self::Echo => NUM_VOICES * TOKENS + ECHO_CLASSES,
            Self::Key => NUM_KEYS,
            Self::Fermata => FERMATA_CLASSES,
            Self::Density | Self::Register => CONTROL_CLASSES,
        }
    }
}

const NUM_PAIRS: usize = NUM_VOICES * (NUM_VOICES - 1) / 2;
const PAIRS: [(usize, usize); NUM_PAIRS] = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)];

/// Wishes that a network was trained to follow; `None` leaves the choice to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Controls {
    /// 0 to 11 major from C up, 12 to 23 minor.
    pub key: Option<u8>,
    /// Steps from this one to the next fermata (0: it is now); 16 and more mean "not soon".
    pub fermata_in: Option<u8>,
    /// How busy: 0 to 4, see [`density_class`].
    pub density: Option<u8>,
    /// How high: 0 to 4, see [`register_class`].
    pub register: Option<u8>,
}

/// The class of a mean number of attacks a beat and voice.
pub fn density_class(attacks_per_beat: f32) -> u8 {
    [0.7, 0.95, 1.2, 1.5].iter().filter(|&&bound| attacks_per_beat >= bound).count() as u8
}

/// The class of a mean pitch of all voices (MIDI key numbers).
pub fn register_class(mean_pitch: f32) -> u8 {
    [58.0, 60.0, 62.0, 64.0].iter().filter(|&&bound| mean_pitch >= bound).count() as u8
}

/// Slots of a head.
pub const HEAD_SLOTS: usize = 2 + 2 * NUM_VOICES + 4 * (NUM_VOICES - 1) + 2;
/// Rows of a head's table, in the order of its slots: each voice has rows of its own.
pub const HEAD_ROWS: usize = NUM_VOICES * ROWS_A_VOICE;
const ROWS_A_VOICE: usize = 1
    + STEPS_PER_BEAT
    + NUM_VOICES * (SOUNDS + HELD_CLASSES)
    + NUM_VOICES * (SOUNDS + 3 + INTERVALS + 2)
    + TOKENS
    + ECHO_CLASSES;

/// Everything that is known before a voice of a step is decided.
///
/// The reader is fed every token and yields the rows to look up. Training and streaming both go through it,
/// so they cannot differ. Voices may be drawn in any order.
#[derive(Clone, Debug)]
pub struct StepReader {
    /// What each voice sounded in the step before.
    sounding: [Option<u8>; NUM_VOICES],
    held: [u8; NUM_VOICES],
    step_in_beat: usize,
    /// The tokens of this step that are known.
    drawn: [Option<u16>; NUM_VOICES],
    echo: Echo,
    /// Steps for which the echo is not heard.
    deaf_steps: usize,
}

impl StepReader {
    /// At the very start of a piece, on a beat.
    pub fn new() -> Self {
        Self {
            sounding: [None; NUM_VOICES],
            held: [0; NUM_VOICES],
            step_in_beat: 0,
            drawn: [None; NUM_VOICES],
            echo: Echo::new(),
            deaf_steps: 0,
        }
    }

    fn heard_echo(&self) -> Option<([u16; NUM_VOICES], usize)> {
        self.echo.next().filter(|_| self.deaf_steps == 0)
    }

    /// Writes the trunk's rows for the coming step to the front of `rows` and returns how many there are.
    pub fn trunk_rows(&self, features: &[StepFeature], controls: Controls, rows: &mut [u32]) -> usize {
        let mut out = Rows { rows, n: 0, base: 0 };
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
                    let echo = self.heard_echo();
                    (0..NUM_VOICES).for_each(|v| out.push(TOKENS, echo.map(|(row, _)| row[v].into())));
                    out.push(ECHO_CLASSES, echo.map(|(_, class)| class));
                }
                StepFeature::Key => out.push(NUM_KEYS, controls.key.map(usize::from)),
                StepFeature::Fermata => {
                    out.push(FERMATA_CLASSES, controls.fermata_in.map(|n| usize::from(n).min(FERMATA_CLASSES - 1)));
                }
                StepFeature::Density => out.push(CONTROL_CLASSES, controls.density.map(usize::from)),
                StepFeature::Register => out.push(CONTROL_CLASSES, controls.register.map(usize::from)),
            }
            debug_assert_eq!(out.base - start, feature.rows());
        }
        out.n
    }

    /// Writes the head's rows for `voice` to `rows`. `echo` says whether the network sees echoes.
    pub fn head_rows(&self, voice: usize, echo: bool, rows: &mut [u32; HEAD_SLOTS]) {
        let mut out = Rows { rows, n: 0, base: voice * ROWS_A_VOICE };
        out.push(1, Some(0));
        out.push(STEPS_PER_BEAT, Some(self.step_in_beat));
        for u in 0..NUM_VOICES {
            out.push(SOUNDS, Some(sound(self.sounding[u])));
            out.push(HELD_CLASSES, Some(self.held[u].into()));
        }
        let echo = self.heard_echo().filter(|_| echo);
        for u in 0..NUM_VOICES {
            let drawn = self.drawn[u].filter(|_| u != voice);
            let now = drawn.map(|token| Vocabulary::GRID.sounds(token, self.sounding[u]));
            let rows = [
                (SOUNDS, now.map(sound)),
                (3, drawn.map(action)),
                (INTERVALS, now.and_then(|now| interval(now, self.sounding[voice]))),
                (2, drawn.and_then(|token| echo.map(|(row, _)| usize::from(row[u] == token)))),
            ];
            for (count, row) in rows {
                if u == voice { out.base += count } else { out.push(count, row) }
            }
        }
        out.push(TOKENS, echo.map(|(row, _)| row[voice].into()));
        out.push(ECHO_CLASSES, echo.map(|(_, class)| class));
        debug_assert_eq!((out.n, out.base), (HEAD_SLOTS, (voice + 1) * ROWS_A_VOICE));
    }
}

impl Reader for StepReader {
    fn reset(&mut self) {
        self.echo.reset();
        self.deaf_steps = 0;
        self.sounding = [None; NUM_VOICES];
        self.held = [0; NUM_VOICES];
        self.step_in_beat = 0;
        self.drawn = [None; NUM_VOICES];
    }

    fn copy_from(&mut self, other: &Self) {
        self.echo.copy_from(&other.echo);
        self.deaf_steps = other.deaf_steps;
        self.sounding = other.sounding;
        self.held = other.held;
        self.step_in_beat = other.step_in_beat;
        self.drawn = other.drawn;
    }

    fn set_step_in_beat(&mut self, step_in_beat: usize) {
        debug_assert!(self.drawn.iter().all(Option::is_none), "the beat position belongs to a whole step");
        self.step_in_beat = step_in_beat % STEPS_PER_BEAT;
    }

    /// With the last of its voices the step is over.
    ///
    /// # Panics
    /// If the voice is decided already.
    fn feed(&mut self, voice: usize, token: u16) {
        assert!(self.drawn[voice].is_none(), "voice {voice} is decided twice in one step");
        self.drawn[voice] = Some(token);
        let [Some(s), Some(a), Some(t), Some(b)] = self.drawn else { return };
        let row = [s, a, t, b];
        let mut attacks = 0;
        for (voice, &token) in row.iter().enumerate() {
            let before = self.sounding[voice];
            let (sounding, goes_on) = match Vocabulary::GRID.symbol(token) {
                Some(Symbol::Pitch(pitch)) => (Some(pitch), false),
                Some(Symbol::Hold) => (before, true),
                Some(Symbol::Rest) | None => (None, before.is_none()),
            };
            attacks += usize::from(sounding.is_some() && !goes_on);
            self.held[voice] = if goes_on { (self.held[voice] + 1).min(HELD_CLASSES as u8 - 1) } else { 0 };
            self.sounding[voice] = sounding;
        }
        self.echo.push(row, attacks);
        self.deaf_steps = self.deaf_steps.saturating_sub(1);
        self.drawn = [None; NUM_VOICES];
        self.step_in_beat = (self.step_in_beat + 1) % STEPS_PER_BEAT;
    }
}

impl GridReader for StepReader {
    /// What `voice` sounded in the step before.
    fn sounding(&self, voice: usize) -> Option<u8> {
        self.sounding[voice]
    }

    /// Hides the echo in this step and those after it: music that goes round in circles must not hear itself.
    fn hide_echo(&mut self, steps: usize) {
        self.deaf_steps = steps;
    }
}

impl Default for StepReader {
    fn default() -> Self {
        Self::new()
    }
}

/// Rows of tables that lie one after the other.
struct Rows<'a> {
    rows: &'a mut [u32],
    n: usize,
    base: usize,
}

impl Rows<'_> {
    /// Looks up `row` in the next table, which has `count` rows.
    fn push(&mut self, count: usize, row: Option<usize>) {
        debug_assert!(row.is_none_or(|row| row < count));
        self.rows[self.n] = row.map_or(NO_ROW, |row| (self.base + row) as u32);
        self.n += 1;
        self.base += count;
    }
}

/// For each token the column of its relative score, given what the voice sounded before; a token that is no pitch, and
/// every token after a rest, has the column past the end, whose score is 0.
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

/// From the second pitch up to the first, as a row; `None` if one of them rests.
fn interval(upper: Option<u8>, lower: Option<u8>) -> Option<usize> {
    Some(usize::from(upper? + WIDEST as u8 - lower?))
}
