//! The lexicon of a line model: the words that occur in its training music. Its weights file contains the lexicon.

mod chord;

use std::collections::BTreeMap;
use std::fmt::Write as _;

pub use chord::Chord;

use crate::vocabulary::VocabularyHash;

/// The lowest pitch of a chord that a word gives by pitch classes: C3.
const LOWEST_VOICING: u8 = 48;
/// The mean pitch of such a chord if no chord sounded before it.
const MIDDLE: i32 = 64;

/// A word of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Word {
    /// Separates two pieces.
    Delimiter,
    /// A rest starts.
    Rest,
    /// The note or rest of the previous step continues (melodies).
    Hold,
    /// These MIDI pitches start.
    Notes(Chord),
    /// A chord of these pitch classes starts, in any octave and inversion. The classes are in normal order; see
    /// [`Chord::normal_order`].
    Classes(Chord),
    /// The number of 16ths until the next event (events).
    Steps(u8),
}

/// How words make up a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grammar {
    /// One word a 16th: a pitch, a rest, or a hold.
    Melody,
    /// Two words for each event: a pitch, a chord or a rest that starts, and the number of 16ths until the next event.
    Events,
}

/// The words of a line model. The token of a word is its index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lexicon {
    words: Vec<Word>,
    tokens: BTreeMap<Word, u16>,
    grammar: Grammar,
    delimiter: u16,
    rest: u16,
    /// For every MIDI pitch the token of the single pitch that represents it.
    singles: [u16; 128],
    /// Every duration, in 16ths, with its token, from the shortest.
    durations: Vec<(u8, u16)>,
}

impl Lexicon {
    /// A lexicon of these words, in this order.
    ///
    /// # Errors
    /// If a word is malformed or occurs twice, or if the words fit neither grammar.
    pub fn new(words: Vec<Word>) -> Result<Self, String> {
        if words.len() > usize::from(u16::MAX) {
            return Err(format!("expected at most {} words, got {}", u16::MAX, words.len()));
        }
        let mut tokens = BTreeMap::new();
        for (token, word) in (0..).zip(&words) {
            check_word(word)?;
            if let Some(first) = tokens.insert(*word, token) {
                return Err(format!("expected each word once, got `{}` as number {first} and {token}", spelt(word)));
            }
        }
        let grammar = grammar_of(&words)?;
        let needed = |word: Word| {
            let token = tokens.get(&word).copied();
            token.ok_or_else(|| format!("expected the word `{}`, got none", spelt(&word)))
        };
        let (delimiter, rest) = (needed(Word::Delimiter)?, needed(Word::Rest)?);
        let singles = singles(&words)?;
        let mut durations: Vec<(u8, u16)> = (0..)
            .zip(&words)
            .filter_map(|(token, word)| if let Word::Steps(n) = word { Some((*n, token)) } else { None })
            .collect();
        durations.sort_unstable();
        Ok(Self { words, tokens, grammar, delimiter, rest, singles, durations })
    }

    /// Parses the text that [`Self::spelling`] writes, words separated by spaces: `/` is the delimiter, `r` a rest, `_`
    /// a hold, `60` a pitch, `60.64.67` a chord, `{0.4.7}` the pitch classes of a chord, `x3` a duration of three
    /// 16ths.
    ///
    /// # Errors
    /// If a word cannot be parsed, or as [`Self::new`].
    pub fn parse(spelling: &str) -> Result<Self, String> {
        let word = |text| parse_word(text).ok_or_else(|| format!("expected a word of a lexicon, got `{text}`"));
        Self::new(spelling.split_whitespace().map(word).collect::<Result<_, _>>()?)
    }

    /// All words in order, separated by spaces.
    pub fn spelling(&self) -> String {
        self.words.iter().map(spelt).collect::<Vec<_>>().join(" ")
    }

    /// The number of words.
    #[expect(clippy::len_without_is_empty, reason = "a lexicon has a delimiter, so it is never empty")]
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// The word of a token.
    ///
    /// # Panics
    /// If the lexicon has no such token.
    pub fn word(&self, token: u16) -> Word {
        self.words[usize::from(token)]
    }

    /// The token of a word, if the lexicon has it.
    pub fn token(&self, word: &Word) -> Option<u16> {
        self.tokens.get(word).copied()
    }

    /// The hash of the lexicon.
    pub fn hash(&self) -> VocabularyHash {
        VocabularyHash::of(&format!("line {}", self.spelling()))
    }

    /// How the words make up a line.
    pub fn grammar(&self) -> Grammar {
        self.grammar
    }

    /// The token of the delimiter.
    pub fn delimiter(&self) -> u16 {
        self.delimiter
    }

    /// The token of the rest.
    pub fn rest(&self) -> u16 {
        self.rest
    }

    /// The token for pitches that start together: the first that the lexicon has of the chord itself, its pitch
    /// classes, its top note in the nearest octave, and the pitch nearest to the top note. Without pitches it is the
    /// rest. Does not allocate.
    pub fn sound(&self, pitches: &[u8]) -> u16 {
        let Some(&top) = pitches.iter().max() else { return self.rest };
        let exactly = Chord::of_pitches(pitches).and_then(|chord| self.token(&Word::Notes(chord)));
        let classes = || Chord::normal_order(pitches).and_then(|chord| self.token(&Word::Classes(chord)));
        exactly.or_else(classes).unwrap_or(self.singles[usize::from(top.min(127))])
    }

    /// The token of the longest duration of at most `n` 16ths, or of the shortest duration if all are longer.
    ///
    /// # Panics
    /// If the grammar is not [`Grammar::Events`].
    pub fn steps(&self, n: usize) -> u16 {
        self.duration(n).1
    }

    /// The duration that [`Self::steps`] finds: 16ths and token.
    pub(crate) fn duration(&self, n: usize) -> (u8, u16) {
        let after = self.durations.partition_point(|(steps, _)| usize::from(*steps) <= n);
        *self.durations.get(after.saturating_sub(1)).expect("a lexicon of events has durations")
    }

    /// The pitches to play for a token. For a chord given by pitch classes these are the close position nearest to
    /// `previous` and not below C3. `None` if the word starts no note.
    pub fn pitches(&self, token: u16, previous: &[u8]) -> Option<Chord> {
        match self.word(token) {
            Word::Notes(chord) => Some(chord),
            Word::Classes(chord) => Some(close_position(&chord, previous)),
            Word::Delimiter | Word::Rest | Word::Hold | Word::Steps(_) => None,
        }
    }
}

/// The grammar of the words, or why they fit neither grammar.
fn grammar_of(words: &[Word]) -> Result<Grammar, String> {
    let has = |kind: fn(&Word) -> bool| words.iter().find(|word| kind(word));
    let is_chord = |word: &Word| matches!(word, Word::Classes(_)) || matches!(word, Word::Notes(c) if c.len() > 1);
    match (has(|word| *word == Word::Hold), has(|word| matches!(word, Word::Steps(_)))) {
        (Some(_), Some(steps)) => {
            Err(format!("expected holds (a melody) or durations (events), got both `_` and `{}`", spelt(steps)))
        }
        (None, None) => Err("expected a hold `_` (a melody) or durations such as `x2` (events), got neither".into()),
        (Some(_), None) => match has(is_chord) {
            Some(chord) => Err(format!("expected single pitches beside a hold, got `{}`", spelt(chord))),
            None => Ok(Grammar::Melody),
        },
        (None, Some(_)) => Ok(Grammar::Events),
    }
}

fn check_word(word: &Word) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("word `{}`: {why}", spelt(word)));
    match word {
        Word::Notes(chord) if chord.as_slice().iter().any(|&pitch| pitch > 127) => wrong("expected pitches up to 127"),
        Word::Notes(chord) if Chord::of_pitches(chord.as_slice()) != Some(*chord) => wrong("expected pitches upwards"),
        Word::Classes(chord) if Chord::normal_order(chord.as_slice()) != Some(*chord) => {
            wrong("expected pitch classes from 0 to 11 in normal order")
        }
        Word::Steps(0) => wrong("expected at least one 16th"),
        _ => Ok(()),
    }
}

/// For every pitch the token of the nearest single pitch of its pitch class, or else of the nearest single pitch.
fn singles(words: &[Word]) -> Result<[u16; 128], String> {
    let single = |(token, word): (u16, &Word)| match word {
        Word::Notes(chord) if chord.len() == 1 => Some((chord.top(), token)),
        _ => None,
    };
    let mut all: Vec<(u8, u16)> = (0..).zip(words).filter_map(single).collect();
    all.sort_unstable();
    if all.is_empty() {
        return Err("expected at least one word of a single pitch, got none".into());
    }
    Ok(std::array::from_fn(|pitch| {
        let pitch = pitch as u8;
        let far = |other: u8| (!other.abs_diff(pitch).is_multiple_of(12), other.abs_diff(pitch));
        all.iter().min_by_key(|(other, _)| far(*other)).expect("there is one").1
    }))
}

fn spelt(word: &Word) -> String {
    let joined = |chord: &Chord| chord.as_slice().iter().map(u8::to_string).collect::<Vec<_>>().join(".");
    let mut text = String::new();
    match word {
        Word::Delimiter => text.push('/'),
        Word::Rest => text.push('r'),
        Word::Hold => text.push('_'),
        Word::Notes(chord) => text.push_str(&joined(chord)),
        Word::Classes(chord) => write!(text, "{{{}}}", joined(chord)).expect("a String takes any text"),
        Word::Steps(n) => write!(text, "x{n}").expect("a String takes any text"),
    }
    text
}

fn parse_word(text: &str) -> Option<Word> {
    let chord = |text: &str| {
        let numbers: Option<Vec<u8>> = text.split('.').map(|number| number.parse().ok()).collect();
        Chord::new(&numbers?)
    };
    Some(match text {
        "/" => Word::Delimiter,
        "r" => Word::Rest,
        "_" => Word::Hold,
        _ => {
            if let Some(steps) = text.strip_prefix('x') {
                Word::Steps(steps.parse().ok()?)
            } else if let Some(classes) = text.strip_prefix('{') {
                Word::Classes(chord(classes.strip_suffix('}')?)?)
            } else {
                Word::Notes(chord(text)?)
            }
        }
    })
}

/// The close position (inversion and octave) whose mean pitch is nearest to that of `previous`; of two equally near,
/// the lower.
fn close_position(classes: &Chord, previous: &[u8]) -> Chord {
    let sum: i32 = previous.iter().map(|&pitch| i32::from(pitch)).sum();
    let middle = if previous.is_empty() { MIDDLE } else { sum / previous.len() as i32 };
    let mut pitches = *classes;
    // Start from the lowest position, and then move the lowest note up an octave again and again.
    let numbers = pitches.numbers_mut();
    numbers.iter_mut().for_each(|pitch| *pitch = LOWEST_VOICING + (*pitch + 12 - LOWEST_VOICING % 12) % 12);
    numbers.sort_unstable();
    let middle_of =
        |chord: &Chord| chord.as_slice().iter().map(|&pitch| i32::from(pitch)).sum::<i32>() / chord.len() as i32;
    let mut best = pitches;
    while pitches.top() < 108 {
        let numbers = pitches.numbers_mut();
        numbers[0] += 12;
        numbers.sort_unstable();
        if (middle_of(&pitches) - middle).abs() < (middle_of(&best) - middle).abs() {
            best = pitches;
        }
    }
    best
}

#[cfg(test)]
mod tests;
