//! The reader of a line model: the inputs of the network before each word.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::grid::STEPS_PER_BEAT;
use super::line_echo::{ECHO_CLASSES, LineEcho};
use super::step_reader::NO_INDEX;
use super::{HELD_CLASSES, Reader};
use crate::lexicon::{Grammar, Lexicon, Word};

/// An input feature of a line model beside the previous word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineFeature {
    /// Which 16th of the beat the next word's step is.
    Beat,
    /// The latest word for a pitch, a chord or a rest.
    Sounding,
    /// For how many steps it has sounded.
    Held,
    /// The word that followed the earlier passage that matches the latest words best, and the class of the match's
    /// length.
    Echo,
}

impl LineFeature {
    /// Table rows that the feature looks up.
    pub const fn slots(self) -> usize {
        match self {
            Self::Beat | Self::Sounding | Self::Held => 1,
            Self::Echo => 2,
        }
    }

    /// Rows of its table, for a lexicon of `vocab_size` words.
    pub const fn table_rows(self, vocab_size: usize) -> usize {
        match self {
            Self::Beat => STEPS_PER_BEAT,
            Self::Sounding => vocab_size,
            Self::Held => HELD_CLASSES,
            Self::Echo => vocab_size + ECHO_CLASSES,
        }
    }
}

/// The state of a line before each word.
///
/// The reader starts as if it had read a delimiter: in training, the network predicts the first word of a piece from
/// the delimiter before it, and also the delimiter after the last word.
#[derive(Clone, Debug)]
pub struct LineReader {
    lexicon: Arc<Lexicon>,
    previous: u16,
    /// The latest word for a pitch, a chord or a rest; the delimiter at the start of a piece.
    sounding: u16,
    /// For how many steps it has sounded.
    held: usize,
    step_in_beat: usize,
    echo: LineEcho,
}

impl LineReader {
    /// A reader at the start of a piece, on a beat.
    pub fn new(lexicon: Arc<Lexicon>) -> Self {
        let delimiter = lexicon.delimiter();
        Self { lexicon, previous: delimiter, sounding: delimiter, held: 0, step_in_beat: 0, echo: LineEcho::new() }
    }

    /// The lexicon.
    pub fn lexicon(&self) -> &Lexicon {
        &self.lexicon
    }

    /// Whether the next word must be a duration.
    pub fn awaits_steps(&self) -> bool {
        self.lexicon.grammar() == Grammar::Events
            && matches!(self.lexicon.word(self.previous), Word::Rest | Word::Notes(_) | Word::Classes(_))
    }

    /// Writes the indices of the table rows to look up for the next word to the front of `indices`, that of the
    /// previous word first; returns how many there are, one more than `features` have slots. They refer to one table,
    /// which has a row for each word and then the rows of each feature. [`NO_INDEX`] stands for no row.
    pub fn indices(&self, features: &[LineFeature], indices: &mut [u32]) -> usize {
        let vocab_size = self.lexicon.len();
        indices[0] = u32::from(self.previous);
        let (mut n, mut base) = (1, vocab_size);
        let mut push = |count: usize, index: Option<usize>| {
            debug_assert!(index.is_none_or(|index| index < count));
            indices[n] = index.map_or(NO_INDEX, |index| (base + index) as u32);
            n += 1;
            base += count;
        };
        for feature in features {
            match feature {
                LineFeature::Beat => push(STEPS_PER_BEAT, Some(self.step_in_beat)),
                LineFeature::Sounding => push(vocab_size, Some(self.sounding.into())),
                // At the start of a piece nothing is held.
                LineFeature::Held => push(HELD_CLASSES, self.held.checked_sub(1).map(|n| n.min(HELD_CLASSES - 1))),
                LineFeature::Echo => {
                    let echo = self.echo.next();
                    push(vocab_size, echo.map(|(word, _)| word.into()));
                    push(ECHO_CLASSES, echo.map(|(_, class)| class));
                }
            }
        }
        n
    }
}

impl Reader for LineReader {
    fn reset(&mut self) {
        let delimiter = self.lexicon.delimiter();
        (self.previous, self.sounding, self.held, self.step_in_beat) = (delimiter, delimiter, 0, 0);
        self.echo.reset();
    }

    fn copy_from(&mut self, other: &Self) {
        (self.previous, self.sounding) = (other.previous, other.sounding);
        (self.held, self.step_in_beat) = (other.held, other.step_in_beat);
        self.echo.copy_from(&other.echo);
    }

    fn set_step_in_beat(&mut self, step_in_beat: usize) {
        self.step_in_beat = step_in_beat % STEPS_PER_BEAT;
    }

    /// Reads the next word; a line has only one voice. A delimiter starts a new piece on a beat.
    fn feed(&mut self, _: usize, token: u16) {
        let word = self.lexicon.word(token);
        self.echo.push(token, matches!(word, Word::Notes(_) | Word::Classes(_)));
        let steps = match word {
            Word::Delimiter => {
                self.echo.reset();
                (self.sounding, self.held, self.step_in_beat) = (token, 0, 0);
                0
            }
            Word::Rest | Word::Notes(_) | Word::Classes(_) => {
                (self.sounding, self.held) = (token, 0);
                usize::from(self.lexicon.grammar() == Grammar::Melody)
            }
            Word::Hold => 1,
            Word::Steps(n) => usize::from(n),
        };
        self.held += steps;
        self.step_in_beat = (self.step_in_beat + steps) % STEPS_PER_BEAT;
        self.previous = token;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares the indices before each word of `music` and after the last, each relative to the start of its table.
    fn check(words: &str, music: &str, expect: &[[i64; 4]]) {
        let lexicon = Arc::new(Lexicon::parse(words).unwrap());
        let features = [LineFeature::Beat, LineFeature::Sounding, LineFeature::Held];
        let (n, mut indices) = (lexicon.len() as i64, [0; 4]);
        let mut reader = LineReader::new(lexicon.clone());
        let mut found = Vec::new();
        let words: Vec<&str> = words.split(' ').collect();
        for word in music.split(' ').map(Some).chain([None]) {
            assert_eq!(reader.indices(&features, &mut indices), 4);
            let starts = [0, n, n + 4, n + 4 + n];
            let relative = |i: usize| if indices[i] == NO_INDEX { -1 } else { i64::from(indices[i]) - starts[i] };
            found.push(std::array::from_fn(relative));
            if let Some(word) = word {
                reader.feed(0, words.iter().position(|w| *w == word).unwrap() as u16);
            }
        }
        assert_eq!(found, expect, "{music}");
    }

    #[test]
    fn a_melody_counts_its_words() {
        // Previous word, 16th of the beat, sounding word, steps for which it has sounded.
        let expect = [[0, 0, 0, -1], [3, 1, 3, 0], [2, 2, 3, 1], [1, 3, 1, 0], [2, 0, 1, 1], [0, 0, 0, -1]];
        check("/ r _ 60 62", "60 _ r _ /", &expect);
    }

    #[test]
    fn a_repeated_phrase_has_an_echo() {
        let lexicon = Arc::new(Lexicon::parse("/ r _ 60 62 64 65 67").unwrap());
        let mut reader = LineReader::new(lexicon);
        let mut indices = [0; 3];
        for token in [3, 4, 5, 6, 7, 2, 2, 2, 3, 4, 5] {
            assert_eq!(reader.indices(&[LineFeature::Echo], &mut indices), 3);
            assert_eq!(indices[1..], [NO_INDEX; 2]);
            reader.feed(0, token);
        }
        reader.indices(&[LineFeature::Echo], &mut indices);
        assert_eq!(indices, [5, 8 + 6, 8 + 8]);
        reader.feed(0, 0);
        reader.indices(&[LineFeature::Echo], &mut indices);
        assert_eq!(indices, [0, NO_INDEX, NO_INDEX], "a new piece has no echo");
    }

    #[test]
    fn events_count_their_steps() {
        let expect = [[0, 0, 0, -1], [2, 0, 2, -1], [4, 3, 2, 2], [1, 3, 1, -1], [3, 0, 1, 0], [0, 0, 0, -1]];
        check("/ r 60 x1 x3", "60 x3 r x1 /", &expect);
        let mut reader = LineReader::new(Arc::new(Lexicon::parse("/ r 60 x1 x3").unwrap()));
        let awaits = [2, 3, 1, 4, 0].map(|token| {
            reader.feed(0, token);
            reader.awaits_steps()
        });
        assert_eq!(awaits, [true, false, true, false, false]);
    }
}
