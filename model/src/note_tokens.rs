//! Performed notes as tokens: a note is six attributes, each with a small vocabulary of its own.

use crate::decision::TICKS_PER_STEP;
use crate::hash::fnv1a;

/// The most lanes that a performance model distinguishes.
pub const MAX_LANES: usize = 4;
/// The most steps from one note to the next that a token expresses; a longer rest counts as this one.
pub const MAX_ADVANCE: i64 = 48;
/// Lengths of notes in ticks, shortest first: about 12 % apart, and every plain, dotted and triplet value from a 64th
/// up to two whole notes.
pub const DURATIONS: [u16; 48] = [
    2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 22, 24, 28, 32, 36, 40, 44, 48, 54, 60, 64, 72, 80, 88, 96, 108,
    120, 128, 144, 160, 176, 192, 216, 240, 256, 288, 320, 352, 384, 448, 512, 576, 672, 768,
];
/// How many MIDI velocities share a token.
const VELOCITY_WIDTH: u8 = 4;
/// The number of MIDI keys.
pub const NUM_KEYS: usize = 128;

/// A property of a note, in the order in which a network predicts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// Steps from the note before it.
    Advance,
    /// Position within its step in ticks.
    Tick,
    /// Lane.
    Lane,
    /// MIDI key.
    Key,
    /// Length.
    Duration,
    /// Velocity.
    Velocity,
}

/// The number of attributes.
pub const NUM_ATTRIBUTES: usize = 6;
/// The largest vocabulary of an attribute.
pub const LARGEST_VOCABULARY: usize = NUM_KEYS;

impl Attribute {
    /// All of them, in the order in which a network predicts them.
    pub const ALL: [Self; NUM_ATTRIBUTES] =
        [Self::Advance, Self::Tick, Self::Lane, Self::Key, Self::Duration, Self::Velocity];

    /// The number of its tokens.
    pub const fn vocabulary(self) -> usize {
        match self {
            Self::Advance => MAX_ADVANCE as usize + 1,
            Self::Tick => TICKS_PER_STEP as usize,
            Self::Lane => MAX_LANES,
            Self::Key => NUM_KEYS,
            Self::Duration => DURATIONS.len(),
            Self::Velocity => 128 / VELOCITY_WIDTH as usize,
        }
    }

    /// Its name in the tensors of a network.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Advance => "advance",
            Self::Tick => "tick",
            Self::Lane => "lane",
            Self::Key => "key",
            Self::Duration => "duration",
            Self::Velocity => "velocity",
        }
    }
}

/// The hash of the vocabularies, for weights files.
pub fn vocabulary_hash() -> String {
    let sizes = Attribute::ALL.iter().map(|attribute| format!("{} {}", attribute.name(), attribute.vocabulary()));
    let text = format!("{:?} {DURATIONS:?} {VELOCITY_WIDTH}", sizes.collect::<Vec<_>>());
    format!("{:08x}", fnv1a(text.bytes()) as u32)
}

/// The token of a length in ticks: the nearest one, as a ratio.
pub fn duration_token(ticks: i64) -> u8 {
    let ticks = ticks.clamp(1, 2 * i64::from(DURATIONS[DURATIONS.len() - 1]));
    // The border between two neighbours is their geometric mean.
    let above = DURATIONS.windows(2).position(|pair| ticks * ticks < i64::from(pair[0]) * i64::from(pair[1]));
    above.unwrap_or(DURATIONS.len() - 1) as u8
}

/// The token of a MIDI velocity.
pub fn velocity_token(velocity: u8) -> u8 {
    velocity / VELOCITY_WIDTH
}

/// The MIDI velocity in the middle of a token's.
pub fn velocity_of(token: u8) -> u8 {
    token * VELOCITY_WIDTH + VELOCITY_WIDTH / 2
}

/// The token for an advance of this many steps.
pub fn advance_token(steps: i64) -> u8 {
    steps.clamp(0, MAX_ADVANCE) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_the_nearest_ratio() {
        let nearest = |ticks: i64| DURATIONS[usize::from(duration_token(ticks))];
        assert_eq!([1, 2, 24, 25, 48, 95, 96, 100, 768, 5000].map(nearest), [2, 2, 24, 24, 48, 96, 96, 96, 768, 768]);
        assert!(DURATIONS.is_sorted() && DURATIONS.iter().all(|&ticks| nearest(ticks.into()) == ticks));
        for note_value in [6, 8, 12, 16, 18, 24, 32, 36, 48, 64, 72, 96, 128, 144, 192, 288, 384, 576, 768] {
            assert!(DURATIONS.contains(&note_value), "{note_value}");
        }
    }

    #[test]
    fn velocities_come_back_within_two() {
        for velocity in 1..128 {
            assert!(velocity_of(velocity_token(velocity)).abs_diff(velocity) <= 2);
            assert!((1..128).contains(&velocity_of(velocity_token(velocity))));
        }
    }

    #[test]
    fn every_attribute_fits_the_largest_vocabulary() {
        assert!(Attribute::ALL.iter().all(|attribute| attribute.vocabulary() <= LARGEST_VOCABULARY));
        assert_eq!([0, 3, 48, 900].map(advance_token), [0, 3, 48, 48]);
    }
}
