//! The last chord of the music: the tonic triad, with the tonic in the bass.

use crate::key;
use crate::lexicon::Lexicon;
use crate::rules::Row;
use crate::sampling;
use crate::tokeniser::grid::NUM_VOICES;
use crate::vocabulary::{Symbol, Vocabulary};

/// The soprano moves to its last note by this many semitones at most.
const WIDEST_STEP: u8 = 7;
const SOPRANO: usize = 0;
const TENOR: usize = 2;
const BASS: usize = 3;

/// The pitch class `semitones` above the tonic of `key`, as a set.
fn degree(key: u8, semitones: u8) -> u16 {
    1 << ((key::tonic(key) + semitones) % 12)
}

/// The thirds above the tonic that the last chord may have, as a set. A minor key may close in major (the Picardy
/// third), but no chord has both thirds.
fn thirds(key: u8, now: &Row) -> u16 {
    let [minor, major] = [3, 4].map(|semitones| degree(key, semitones));
    let sounds = |third: u16| now.iter().flatten().any(|pitch| key::contains(third, *pitch));
    match (key::is_minor(key), sounds(minor), sounds(major)) {
        (false, ..) | (true, false, true) => major,
        (true, true, _) => minor,
        (true, false, false) => minor | major,
    }
}

/// The pitch classes of the tonic triad of `key`, as a set.
pub(super) fn triad(key: u8) -> u16 {
    degree(key, 0) | thirds(key, &[None; NUM_VOICES]) | degree(key, 7)
}

/// Masks what `voice` must not start in the last chord in `key`, wherever another choice remains: the bass takes the
/// tonic below the other voices, the soprano the nearest tonics, and the tenor the third if no other voice has it.
/// `before` and `now` hold the pitches of the previous step and those that are known of this one.
pub(super) fn restrict_voice(logits: &mut [f32], voice: usize, key: u8, before: &Row, now: &Row) {
    let mut allow = |fits: &dyn Fn(u8) -> bool| {
        sampling::mask(logits, |token| match Vocabulary::GRID.symbol(token) {
            Some(Symbol::Pitch(pitch)) => fits(pitch),
            _ => false,
        });
    };
    let (tonic, thirds) = (degree(key, 0), thirds(key, now));
    let triad = tonic | thirds | degree(key, 7);
    allow(&|pitch| key::contains(triad, pitch));
    match voice {
        SOPRANO => {
            let is_near = |pitch: u8| before[SOPRANO].is_none_or(|from| from.abs_diff(pitch) <= WIDEST_STEP);
            allow(&|pitch| key::contains(tonic, pitch) && is_near(pitch));
        }
        TENOR if !now.iter().flatten().any(|pitch| key::contains(thirds, *pitch)) => {
            allow(&|pitch| key::contains(thirds, pitch));
        }
        BASS => {
            allow(&|pitch| key::contains(tonic, pitch));
            allow(&|pitch| now.iter().flatten().all(|upper| pitch <= *upper));
        }
        _ => {}
    }
}

/// Masks the words of a line that must not be the last in `key`, wherever another choice remains: leaves the tonic, and
/// chords of the tonic triad on the tonic. `before` holds the pitches of the chord before, upwards.
pub(super) fn restrict_word(logits: &mut [f32], lexicon: &Lexicon, key: u8, before: &[u8]) {
    let (tonic, triad) = (degree(key, 0), triad(key));
    let pitches = |token| lexicon.pitches(token, before);
    sampling::mask(logits, |token| {
        pitches(token).is_some_and(|chord| chord.as_slice().iter().all(|pitch| key::contains(triad, *pitch)))
    });
    sampling::mask(logits, |token| pitches(token).is_some_and(|chord| key::contains(tonic, chord.as_slice()[0])));
}
