//! One line of words: what is known before each.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Reader;
use super::grid::STEPS_PER_BEAT;
use super::line_echo::{ECHO_CLASSES, LineEcho};
use super::step_reader::NO_ROW;
use crate::lexicon::{Grammar, Lexicon, Word};

/// How many lengths are told apart by [`LineFeature::Held`]; longer ones count as the longest.
const HELD_CLASSES: usize = 16;

/// What a line model can be shown beside the word before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineFeature {
    /// Which 16th of the beat the word's step is.
    Beat,
    /// The word for what sounds: of the last pitch, chord or rest.
    Sounding,
    /// For how many steps it has.
    Held,
    /// What followed the last place of the piece that read like now, and for how long the two have agreed.
    Echo,
}

impl LineFeature {
    /// Numbers that it looks up.
    pub const fn slots(self) -> usize {
        match self {
            Self::Beat | Self::Sounding | Self::Held => 1,
            Self::Echo => 2,
        }
    }

    /// Rows of its table for a lexicon of `vocab_size` words.
    pub const fn rows(self, vocab_size: usize) -> usize {
        match self {
            Self::Beat => STEPS_PER_BEAT,
            Self::Sounding => vocab_size,
            Self::Held => HELD_CLASSES,
            Self::Echo => vocab_size + ECHO_CLASSES,
        }
    }
}

/// Everything that is known before a word.
///
/// The reader is fed every word and yields the rows to look up for the next one. Training and streaming both go
/// through it, so they cannot differ. It begins as if a delimiter had been read: in training a piece's first word is
/// predicted from the delimiter before it, and the delimiter after its last word is predicted too.
#[derive(Clone, Debug)]
pub struct LineReader {
    lexicon: Arc<Lexicon>,
    previous: u16,
    /// The last word for a pitch, a chord or a rest; the delimiter at a piece's start.
    sounding: u16,
    /// Steps since that began.
    held: usize,
    step_in_beat: usize,
    echo: LineEcho,
}

impl LineReader {
    /// At the very start of a piece, on a beat.
    pub fn new(lexicon: Arc<Lexicon>) -> Self {
        let delimiter = lexicon.delimiter();
        Self { lexicon, previous: delimiter, sounding: delimiter, held: 0, step_in_beat: 0, echo: LineEcho::new() }
    }

    /// The words.
    pub fn lexicon(&self) -> &Lexicon {
        &self.lexicon
    }

    /// Whether the next word is a duration.
    pub fn awaits_steps(&self) -> bool {
        self.lexicon.grammar() == Grammar::Events
            && matches!(self.lexicon.word(self.previous), Word::Rest | Word::Notes(_) | Word::Classes(_))
    }

    /// Writes the rows to look up for the next word to the front of `rows`, the word before first, and returns how many
    /// there are: one more than `features` have slots. The rows are those of one table, in which the words' rows are
    /// followed by each feature's; [`NO_ROW`] stands for nothing to look up.
    pub fn rows(&self, features: &[LineFeature], rows: &mut [u32]) -> usize {
        let vocab_size = self.lexicon.len();
        rows[0] = u32::from(self.previous);
        let (mut n, mut base) = (1, vocab_size);
        let mut push = |count: usize, row: Option<usize>| {
            debug_assert!(row.is_none_or(|row| row < count));
            rows[n] = row.map_or(NO_ROW, |row| (base + row) as u32);
            n += 1;
            base += count;
        };
        for feature in features {
            match feature {
                LineFeature::Beat => push(STEPS_PER_BEAT, Some(self.step_in_beat)),
                LineFeature::Sounding => push(vocab_size, Some(self.sounding.into())),
                // Nothing is held at a piece's start.
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

    /// Takes the next word, whatever the voice. A delimiter begins a new piece on the next beat.
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

    /// The rows before each word of `music` and after the last, each less where its table begins.
    fn check(words: &str, music: &str, expect: &[[i64; 4]]) {
        let lexicon = Arc::new(Lexicon::parse(words).unwrap());
        let features = [LineFeature::Beat, LineFeature::Sounding, LineFeature::Held];
        let (n, mut rows) = (lexicon.len() as i64, [0; 4]);
        let mut reader = LineReader::new(lexicon.clone());
        let mut found = Vec::new();
        let words: Vec<&str> = words.split(' ').collect();
        for word in music.split(' ').map(Some).chain([None]) {
            assert_eq!(reader.rows(&features, &mut rows), 4);
            let starts = [0, n, n + 4, n + 4 + n];
            found.push(std::array::from_fn(|i| if rows[i] == NO_ROW { -1 } else { i64::from(rows[i]) - starts[i] }));
            if let Some(word) = word {
                reader.feed(0, words.iter().position(|w| *w == word).unwrap() as u16);
            }
        }
        assert_eq!(found, expect, "{music}");
    }

    #[test]
    fn a_melody_counts_its_words() {
        // Previous word, 16th of the beat, what sounds, how long it has.
        let expect = [[0, 0, 0, -1], [3, 1, 3, 0], [2, 2, 3, 1], [1, 3, 1, 0], [2, 0, 1, 1], [0, 0, 0, -1]];
        check("/ r _ 60 62", "60 _ r _ /", &expect);
    }

    #[test]
    fn a_phrase_that_comes_again_is_shown() {
        let lexicon = Arc::new(Lexicon::parse("/ r _ 60 62 64 65 67").unwrap());
        let mut reader = LineReader::new(lexicon);
        let mut rows = [0; 3];
        for token in [3, 4, 5, 6, 7, 2, 2, 2, 3, 4, 5] {
            assert_eq!(reader.rows(&[LineFeature::Echo], &mut rows), 3);
            assert_eq!(rows[1..], [NO_ROW; 2]);
            reader.feed(0, token);
        }
        reader.rows(&[LineFeature::Echo], &mut rows);
        assert_eq!(rows, [5, 8 + 6, 8 + 8]);
        reader.feed(0, 0);
        reader.rows(&[LineFeature::Echo], &mut rows);
        assert_eq!(rows, [0, NO_ROW, NO_ROW], "another piece");
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
