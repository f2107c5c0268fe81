//! Lexicons as weights files spell them.

use super::*;

const EVENTS: &str = "/ r 60 62 64 60.64.67 {7.11.2} x1 x2 x4";

fn events() -> Lexicon {
    Lexicon::parse(EVENTS).unwrap()
}

fn problem(spelling: &str) -> String {
    Lexicon::parse(spelling).unwrap_err()
}

#[test]
fn a_spelling_comes_back_as_it_was() {
    let lexicon = events();
    assert_eq!(lexicon.spelling(), EVENTS);
    assert_eq!((lexicon.len(), lexicon.grammar()), (10, Grammar::Events));
    assert_eq!(lexicon.word(7), Word::Steps(1));
    for token in 0..10 {
        assert_eq!(lexicon.token(&lexicon.word(token)), Some(token));
    }
    assert_eq!(Lexicon::parse("r 60 _ /").unwrap().grammar(), Grammar::Melody);
    // The hash is part of the file format.
    assert_eq!(lexicon.hash().to_string(), "b92481af");
    assert_ne!(lexicon.hash(), Lexicon::parse("/ r 60 x1").unwrap().hash());
}

#[test]
fn malformed_lexicons_are_refused() {
    let cases = [
        ("/ r 60 x1 60", "expected each word once, got `60` as number 2 and 4"),
        ("r 60 x1", "expected the word `/`, got none"),
        ("/ 60 _", "expected the word `r`, got none"),
        ("/ r 60", "expected a hold `_` (a melody) or durations such as `x2` (events), got neither"),
        ("/ r 60 _ x2", "expected holds (a melody) or durations (events), got both `_` and `x2`"),
        ("/ r 60 _ 60.64", "expected single pitches beside a hold, got `60.64`"),
        ("/ r 60.64 x1", "expected at least one word of a single pitch, got none"),
        ("/ r 60 x0", "word `x0`: expected at least one 16th"),
        ("/ r 60 64.60 x1", "word `64.60`: expected pitches upwards"),
        ("/ r 60 200 x1", "word `200`: expected pitches up to 127"),
        ("/ r 60 {4.7.0} x1", "word `{4.7.0}`: expected pitch classes from 0 to 11 in normal order"),
        ("/ r 60 sixty", "expected a word of a lexicon, got `sixty`"),
        ("/ r 60.61.62.63.64", "expected a word of a lexicon, got `60.61.62.63.64`"),
        ("/ r {0.4", "expected a word of a lexicon, got `{0.4`"),
        ("", "expected a hold `_` (a melody) or durations such as `x2` (events), got neither"),
    ];
    for (spelling, expect) in cases {
        assert_eq!(problem(spelling), expect, "{spelling}");
    }
}

#[test]
fn all_pitches_and_durations_have_a_word() {
    let lexicon = events();
    let word = |pitches: &[u8]| spelt(&lexicon.word(lexicon.sound(pitches)));
    assert_eq!(word(&[]), "r");
    assert_eq!(word(&[62]), "62");
    assert_eq!(word(&[67, 60, 64]), "60.64.67");
    assert_eq!(word(&[50, 67, 71]), "{7.11.2}");
    assert_eq!(word(&[55, 76]), "64"); // the top note, an octave lower
    assert_eq!(word(&[36]), "60");
    assert_eq!(word(&[66]), "64"); // no F sharp: the nearest pitch
    let duration = |n| spelt(&lexicon.word(lexicon.steps(n)));
    assert_eq!([0, 1, 2, 3, 4, 100].map(duration), ["x1", "x1", "x2", "x2", "x4", "x4"]);
}

#[test]
fn a_chord_of_classes_is_played_near_the_previous_chord() {
    let lexicon = events();
    let played = |word: &str, previous: &[u8]| {
        let token = lexicon.token(&parse_word(word).unwrap()).unwrap();
        lexicon.pitches(token, previous).map(|chord| chord.as_slice().to_vec())
    };
    assert_eq!(played("{7.11.2}", &[60, 64, 67]), Some(vec![59, 62, 67]));
    assert_eq!(played("{7.11.2}", &[72, 76, 79]), Some(vec![71, 74, 79]));
    assert_eq!(played("{7.11.2}", &[]), Some(vec![59, 62, 67]));
    assert_eq!(played("{7.11.2}", &[36]), Some(vec![50, 55, 59]));
    assert_eq!(played("60.64.67", &[36]), Some(vec![60, 64, 67]));
    assert_eq!(played("r", &[36]), None);
}
