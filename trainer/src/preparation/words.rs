//! Spells songs in words, and builds the lexicon from the training songs.

use std::collections::BTreeMap;

use continuo_model::lexicon::{Chord, Lexicon, Word};

use super::options::{Chords, Grammar, KeyPlan, Preparation};
use super::song::{Event, Song};

/// The transpositions, in semitones, for training in all keys.
pub const ALL_KEYS: std::ops::RangeInclusive<i8> = -6..=5;

/// A song spelt in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spelt {
    /// The tokens, with a delimiter at the end. The reader adds the one before the start.
    pub tokens: Vec<u16>,
    /// For each word, the 16th of the beat on which an event starts; `None` if the word does not start one.
    pub steps_in_beat: Vec<Option<u8>>,
    /// The number of events.
    pub num_events: usize,
}

/// The words that songs are spelt in: the delimiter, the rest, the melody's hold, every pitch from the lowest to the
/// highest, the chords that occur often enough, and the durations.
///
/// # Errors
/// If the songs cannot form a lexicon.
pub fn lexicon(songs: &[Song], options: &Preparation) -> Result<Lexicon, String> {
    let shifts = if options.key == KeyPlan::All { ALL_KEYS } else { 0..=0 };
    let events = || songs.iter().flat_map(|song| &song.events);
    let pitches = || events().flat_map(|event| &event.pitches).map(|&pitch| i16::from(pitch));
    let (Some(lowest), Some(highest)) = (pitches().min(), pitches().max()) else {
        return Err("expected notes to train on, got none".into());
    };
    let mut words = vec![Word::Delimiter, Word::Rest];
    if options.grammar == Grammar::Melody {
        words.push(Word::Hold);
    }
    let range = lowest + i16::from(*shifts.start())..=highest + i16::from(*shifts.end());
    words.extend(
        range
            .filter_map(|pitch| Chord::new(&[u8::try_from(pitch).ok().filter(|pitch| *pitch < 128)?]))
            .map(Word::Notes),
    );
    words.extend(chords(events(), options, shifts));
    if options.grammar == Grammar::Events {
        let mut durations: Vec<u8> = events().map(|event| event.steps).collect();
        durations.push(1);
        durations.sort_unstable();
        durations.dedup();
        words.extend(durations.into_iter().map(Word::Steps));
    }
    Lexicon::new(words)
}

/// The chords that occur often enough, in order; for training in all keys, in every transposition.
fn chords<'a>(
    events: impl Iterator<Item = &'a Event>,
    options: &Preparation,
    shifts: std::ops::RangeInclusive<i8>,
) -> Vec<Word> {
    let mut counts: BTreeMap<Word, usize> = BTreeMap::new();
    for event in events.filter(|event| event.pitches.len() > 1) {
        for shift in shifts.clone() {
            let moved: Option<Vec<u8>> = event.pitches.iter().map(|pitch| pitch.checked_add_signed(shift)).collect();
            let word =
                moved.filter(|pitches| pitches.iter().all(|pitch| *pitch < 128)).and_then(|pitches| {
                    match options.chords {
                        Chords::Pitches => Chord::of_pitches(&pitches).map(Word::Notes),
                        Chords::Classes => Chord::normal_order(&pitches).map(Word::Classes),
                        Chords::Top => None,
                    }
                });
            if let Some(word) = word {
                *counts.entry(word).or_default() += 1;
            }
        }
    }
    counts.into_iter().filter(|(_, count)| *count >= options.chord_occurrences).map(|(word, _)| word).collect()
}

/// Spells a song.
pub fn spell(song: &Song, lexicon: &Lexicon, grammar: Grammar) -> Spelt {
    let mut spelt = Spelt { num_events: song.events.len(), ..Spelt::default() };
    for event in &song.events {
        let sound = lexicon.sound(&event.pitches);
        let beat = Some(event.step_in_beat);
        match grammar {
            Grammar::Melody => {
                let hold = lexicon.token(&Word::Hold).expect("a melody's lexicon has a hold");
                spelt.tokens.push(sound);
                spelt.tokens.extend(std::iter::repeat_n(hold, usize::from(event.steps) - 1));
            }
            Grammar::Events => spelt.tokens.extend([sound, lexicon.steps(event.steps.into())]),
        }
        spelt.steps_in_beat.push(beat);
        spelt.steps_in_beat.resize(spelt.tokens.len(), None);
    }
    spelt.tokens.push(lexicon.delimiter());
    spelt.steps_in_beat.push(None);
    spelt
}

#[cfg(test)]
mod tests {
    use super::super::tests::{options, piece};
    use super::super::{quantise, song};
    use super::*;

    fn check(music: &[&str], options: &Preparation, words: &str, expect: &str) {
        let piece = piece("a", music);
        let song = song::from_notes(&piece, &quantise::on_grid(&piece, options).unwrap().notes, options);
        let lexicon = lexicon(std::slice::from_ref(&song), options).unwrap();
        assert_eq!(lexicon.spelling(), words);
        let words: Vec<&str> = words.split(' ').collect();
        let spelt = spell(&song, &lexicon, options.grammar);
        let text: Vec<&str> = spelt.tokens.iter().map(|&token| words[usize::from(token)]).collect();
        assert_eq!(text.join(" "), expect);
        assert_eq!(spelt.steps_in_beat.len(), spelt.tokens.len());
        assert_eq!(spelt.steps_in_beat.iter().flatten().count(), spelt.num_events);
    }

    #[test]
    fn a_melody_has_a_word_a_16th() {
        check(&["0+24:60 36+12:62 48+12:60"], &options(), "/ r _ 60 61 62", "60 _ r 62 60 /");
    }

    #[test]
    fn events_have_two_words_and_rare_chords_are_their_top_notes() {
        let music = ["0+24:60 0+24:64 24+12:60 24+12:64 36+48:60 36+48:63"];
        let all = Preparation { grammar: Grammar::Events, chords: Chords::Pitches, ..options() };
        let pitches = "/ r 60 61 62 63 64";
        check(&music, &all, &format!("{pitches} 60.63 60.64 x1 x2 x4"), "60.64 x2 60.64 x1 60.63 x4 /");
        let common = Preparation { chord_occurrences: 2, ..all.clone() };
        check(&music, &common, &format!("{pitches} 60.64 x1 x2 x4"), "60.64 x2 60.64 x1 63 x4 /");
        let classes = Preparation { chords: Chords::Classes, ..all };
        check(&music, &classes, &format!("{pitches} {{0.3}} {{0.4}} x1 x2 x4"), "{0.4} x2 {0.4} x1 {0.3} x4 /");
    }

    #[test]
    fn all_keys_need_words_for_all() {
        let options = Preparation { key: KeyPlan::All, ..options() };
        let song = song::Song {
            events: vec![Event { pitches: vec![60], steps: 1, step_in_beat: 0 }],
            ..song::Song::default()
        };
        let expect = "/ r _ 54 55 56 57 58 59 60 61 62 63 64 65";
        assert_eq!(lexicon(&[song], &options).unwrap().spelling(), expect);
    }
}
