//! The tokens of grid models. The trainer writes the vocabulary's hash into weights files, and the reader checks it.

use std::fmt::{self, Write as _};

use crate::hash::fnv1a;

/// Lowest pitch that has a token (MIDI key number, C2).
pub const LOWEST_PITCH: u8 = 36;
/// Highest pitch that has a token (MIDI key number, A5).
pub const HIGHEST_PITCH: u8 = 81;
/// Tokens 1 to 46 are the pitches from lowest to highest.
const NUM_PITCHES: usize = (HIGHEST_PITCH - LOWEST_PITCH) as usize + 1;

/// What a voice does in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symbol {
    /// The voice is silent.
    Rest,
    /// A note of this MIDI pitch starts here.
    Pitch(u8),
    /// The voice goes on with what it did in the previous step.
    Hold,
}

/// The meaning of a grid model's tokens: rest, then the pitches from low to high, then hold.
///
/// A vocabulary grows only at its end, so that each token keeps its number. Weights files contain its hash, and
/// [`weights_file`](crate::weights_file) refuses a file with another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    has_hold: bool,
}

impl Vocabulary {
    /// Rest, pitches and hold, 48 tokens: the vocabulary of Continuo's grid models.
    pub const GRID: Self = Self { has_hold: true };
    /// Rest and pitches, 47 tokens: what a voice sounds in a step.
    pub(crate) const GRID_WITHOUT_HOLD: Self = Self { has_hold: false };

    /// The number of tokens.
    pub const fn size(self) -> usize {
        1 + NUM_PITCHES + self.has_hold as usize
    }

    /// The token of `symbol`. A pitch outside the range moves into it by octaves, so that every note of the player has
    /// a token.
    ///
    /// # Panics
    /// If `symbol` is a hold and this vocabulary has none.
    pub fn token(self, symbol: Symbol) -> u16 {
        match symbol {
            Symbol::Rest => 0,
            Symbol::Pitch(pitch) => 1 + u16::from(fold_into_range(pitch) - LOWEST_PITCH),
            Symbol::Hold => {
                assert!(self.has_hold, "this vocabulary has no hold token");
                1 + NUM_PITCHES as u16
            }
        }
    }

    /// What `token` means, or `None` past the end of the vocabulary.
    pub fn symbol(self, token: u16) -> Option<Symbol> {
        match usize::from(token) {
            0 => Some(Symbol::Rest),
            n if n <= NUM_PITCHES => Some(Symbol::Pitch(LOWEST_PITCH + token as u8 - 1)),
            n if n < self.size() => Some(Symbol::Hold),
            _ => None,
        }
    }

    /// The pitch that a voice sounds in a step with `token` if it sounded `before` in the previous step.
    pub fn sounds(self, token: u16, before: Option<u8>) -> Option<u8> {
        match self.symbol(token) {
            Some(Symbol::Pitch(pitch)) => Some(pitch),
            Some(Symbol::Hold) => before,
            Some(Symbol::Rest) | None => None,
        }
    }

    /// The vocabulary as text, one word for each symbol: the input of the hash.
    fn spelling(self) -> String {
        let mut text = String::from("grid");
        for symbol in (0..).map_while(|token| self.symbol(token)) {
            match symbol {
                Symbol::Rest => text.push_str(" rest"),
                Symbol::Pitch(pitch) => write!(text, " {pitch}").expect("a String takes any text"),
                Symbol::Hold => text.push_str(" hold"),
            }
        }
        text
    }

    /// The hash of the vocabulary.
    pub fn hash(self) -> VocabularyHash {
        VocabularyHash::of(&self.spelling())
    }
}

/// The hash of a vocabulary or lexicon, displayed as eight hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VocabularyHash(u32);

impl VocabularyHash {
    /// The hash of a vocabulary that is written as text: FNV-1a, 64 bits folded to 32.
    pub fn of(spelling: &str) -> Self {
        let hash = fnv1a(spelling.bytes());
        Self((hash ^ (hash >> 32)) as u32)
    }
}

impl fmt::Display for VocabularyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// Moves `pitch` by octaves into the range that has tokens.
fn fold_into_range(pitch: u8) -> u8 {
    let mut pitch = pitch;
    while pitch > HIGHEST_PITCH {
        pitch -= 12;
    }
    while pitch < LOWEST_PITCH {
        pitch += 12;
    }
    pitch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_keep_their_numbers() {
        let grid = Vocabulary::GRID;
        assert_eq!(grid.token(Symbol::Rest), 0);
        assert_eq!(grid.token(Symbol::Pitch(36)), 1);
        assert_eq!(grid.token(Symbol::Pitch(81)), 46);
        assert_eq!(grid.token(Symbol::Hold), 47);
        assert_eq!((grid.size(), Vocabulary::GRID_WITHOUT_HOLD.size()), (48, 47));
        for token in 0..48 {
            assert_eq!(grid.token(grid.symbol(token).unwrap()), token);
        }
        assert_eq!(grid.symbol(48), None);
    }

    #[test]
    fn pitches_out_of_range_fold_by_octaves() {
        assert_eq!(fold_into_range(0), 36);
        assert_eq!(fold_into_range(35), 47);
        assert_eq!(fold_into_range(82), 70);
        assert_eq!(fold_into_range(127), 79);
    }

    #[test]
    fn the_hash_is_part_of_the_file_format() {
        assert_eq!(Vocabulary::GRID.hash().to_string(), "fd18f386");
        assert_ne!(Vocabulary::GRID.hash(), Vocabulary::GRID_WITHOUT_HOLD.hash());
    }
}
