//! What each token number means; shared by the trainer, which writes it into weights, and the plugin, which checks it.

use std::fmt::{self, Write as _};

/// Lowest pitch that has a token (MIDI key number, C2).
pub const LOWEST_PITCH: u8 = 36;
/// Highest pitch that has a token (MIDI key number, A5).
pub const HIGHEST_PITCH: u8 = 81;
/// Tokens 1 to 46 are the pitches from lowest to highest.
const NUM_PITCHES: usize = (HIGHEST_PITCH - LOWEST_PITCH) as usize + 1;

/// What one voice does in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symbol {
    /// The voice is silent.
    Rest,
    /// A note of this MIDI pitch starts here.
    Pitch(u8),
    /// What sounded in the step before goes on.
    Hold,
}

/// The meaning of a grid model's tokens: rest, then the pitches, then (appended last) hold.
///
/// A vocabulary only ever grows at its end, so that a token keeps its number for good. Its hash travels
/// with the weights: [`weights_file`](crate::weights_file) refuses a file with another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    has_hold: bool,
}

impl Vocabulary {
    /// Pitch, rest and hold: 48 tokens. What Continuo's grid models speak.
    pub const GRID: Self = Self { has_hold: true };
    /// Pitch and rest only: 47 tokens, a note is repeated for as long as it sounds.
    pub const GRID_WITHOUT_HOLD: Self = Self { has_hold: false };

    /// The number of tokens.
    pub const fn size(self) -> usize {
        1 + NUM_PITCHES + self.has_hold as usize
    }

    /// The token of `symbol`; a pitch outside the range is moved into it by octaves, so that whatever a
    /// player plays can be heard by the model.
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

    /// What a voice sounds with `token` that sounded `before`.
    pub fn sounds(self, token: u16, before: Option<u8>) -> Option<u8> {
        match self.symbol(token) {
            Some(Symbol::Pitch(pitch)) => Some(pitch),
            Some(Symbol::Hold) => before,
            Some(Symbol::Rest) | None => None,
        }
    }

    /// The vocabulary spelt out, a symbol a word: what the hash is taken over.
    fn spelling(self) -> String {
        let mut text = String::from("grid");
        for token in 0..self.size() as u16 {
            match self.symbol(token) {
                Some(Symbol::Rest) => text.push_str(" rest"),
                Some(Symbol::Pitch(pitch)) => write!(text, " {pitch}").expect("a String takes any text"),
                Some(Symbol::Hold) => text.push_str(" hold"),
                None => unreachable!("tokens below size() have a symbol"),
            }
        }
        text
    }

    /// A short hash of the vocabulary, eight hexadecimal digits in text.
    pub fn hash(self) -> VocabularyHash {
        VocabularyHash::of(&self.spelling())
    }
}

/// A vocabulary's fingerprint, printed as eight hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VocabularyHash(u32);

impl VocabularyHash {
    /// The fingerprint of a vocabulary that is spelt out (FNV-1a, 64 bits folded to 32).
    pub fn of(spelling: &str) -> Self {
        let hash = spelling
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        Self((hash ^ (hash >> 32)) as u32)
    }
}

impl fmt::Display for VocabularyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// Moves `pitch` by whole octaves into the range that has tokens.
pub fn fold_into_range(pitch: u8) -> u8 {
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
