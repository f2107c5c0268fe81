//! Keys and scales. A key is a number: 0 to 11 for the major keys from C up, 12 to 23 for the minor keys.

mod players_key;

use crate::random::SplitMix64;
use crate::tokeniser::grid::NUM_VOICES;

pub use players_key::PlayersKey;

/// The number of keys: twelve major, twelve minor.
pub const NUM_KEYS: usize = 24;
/// All twelve pitch classes, as a set like those of [`scale`].
pub const ALL_CLASSES: u16 = 0xfff;

// How often each pitch class occurs in major and minor pieces, in semitones from the tonic up: J. Albrecht and D.
// Shanahan, "The Use of Large Corpora to Train a New Type of Key-Finding Algorithm", Music Perception 31 (2013).
const MAJOR: [f64; 12] = [0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081];
const MINOR: [f64; 12] = [0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052];

/// The major scale: bit n stands for n semitones above the tonic.
const MAJOR_SCALE: u16 = 0b1010_1011_0101;
/// The union of the natural, harmonic and melodic minor scales.
const MINOR_SCALE: u16 = 0b1111_1010_1101;

/// The key of a performance that no player has given one, each key equally likely: left to itself, a network at a low
/// temperature would start in the same few.
pub fn drawn(rng_seed: u64) -> u8 {
    SplitMix64::new(rng_seed).next_below(NUM_KEYS) as u8
}

/// Whether `key` is minor.
pub fn is_minor(key: u8) -> bool {
    key >= 12
}

/// The pitch class of `key`'s tonic, 0 = C.
pub fn tonic(key: u8) -> u8 {
    key % 12
}

/// The transposition from a key to C major or A minor, in semitones from -6 to 5.
pub fn shift_home(tonic: u8, minor: bool) -> i8 {
    let home = if minor { 9 } else { 0 };
    (home - tonic as i8 + 6).rem_euclid(12) - 6
}

/// The squared Euclidean distance between the profile of a key and the distribution of `pitch_classes`, which holds how
/// long each pitch class sounds (index 0 = C). The method is Krumhansl's and Schmuckler's (C. L. Krumhansl, *Cognitive
/// Foundations of Musical Pitch*, 1990, chapter 4), with the profiles and the distance of Albrecht and Shanahan (2013):
/// on the trainer's corpora these find more keys than the profiles of Krumhansl and Kessler.
pub fn distance(pitch_classes: &[f64; 12], tonic: u8, minor: bool) -> f64 {
    let profile = if minor { &MINOR } else { &MAJOR };
    let total: f64 = pitch_classes.iter().sum();
    let degree = |class: usize| profile[(class + 12 - usize::from(tonic)) % 12];
    (0..12).map(|class| pitch_classes[class] / total - degree(class)).map(|x| x * x).sum()
}

/// The key whose profile is nearest to `pitch_classes` (see [`distance`]); `None` if nothing sounds.
pub fn estimate(pitch_classes: &[f64; 12]) -> Option<u8> {
    let far = |key: &u8| distance(pitch_classes, tonic(*key), is_minor(*key));
    let sounds = pitch_classes.iter().sum::<f64>() > 0.0;
    (0..NUM_KEYS as u8).filter(|_| sounds).min_by(|a, b| far(a).total_cmp(&far(b)))
}

/// The pitch classes of a key's scale, bit n for class n. A minor key has those of its three scales.
pub fn scale(key: u8) -> u16 {
    transposed(if is_minor(key) { MINOR_SCALE } else { MAJOR_SCALE }, tonic(key).into())
}

/// The pitch classes of some pitches, bit n for class n.
pub fn classes_of(pitches: impl IntoIterator<Item = u8>) -> u16 {
    pitches.into_iter().fold(0, |classes, pitch| classes | 1 << (pitch % 12))
}

/// Whether a set of pitch classes, such as a [`scale`], contains the class of `pitch`.
pub fn contains(classes: u16, pitch: u8) -> bool {
    classes >> (pitch % 12) & 1 == 1
}

/// Transposes a set of pitch classes up by `semitones`.
pub fn transposed(classes: u16, semitones: i32) -> u16 {
    let up = semitones.rem_euclid(12) as u32;
    let wide = u32::from(classes) << up;
    (wide | wide >> 12) as u16 & ALL_CLASSES
}

/// Estimates the key of recent music: how long each pitch class has sounded, with exponential decay.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KeyEstimator([f64; 12]);

impl KeyEstimator {
    /// The weight that a step keeps when the next one sounds: after two bars of four beats it counts a quarter.
    const DECAY: f64 = 0.957;
    /// The estimate needs at least this much weight, in steps of one voice.
    const MIN_WEIGHT: f64 = 8.0;

    /// Adds the pitches that the voices sound in a step. A silent step changes nothing.
    pub fn push(&mut self, sounding: [Option<u8>; NUM_VOICES]) {
        if sounding.iter().any(Option::is_some) {
            self.0.iter_mut().for_each(|sum| *sum *= Self::DECAY);
        }
        sounding.iter().flatten().for_each(|pitch| self.0[usize::from(pitch % 12)] += 1.0);
    }

    /// The most likely key, once enough music has sounded.
    pub fn key(&self) -> Option<u8> {
        estimate(&self.0).filter(|_| self.0.iter().sum::<f64>() >= Self::MIN_WEIGHT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimated(pitches: &[u8]) -> Option<u8> {
        let mut classes = [0.0; 12];
        pitches.iter().for_each(|pitch| classes[usize::from(pitch % 12)] += 1.0);
        estimate(&classes)
    }

    #[test]
    fn scales_and_cadences_are_recognised() {
        assert_eq!(estimated(&[62, 66, 69, 67, 71, 74, 69, 73, 76, 74]), Some(2));
        assert_eq!(estimated(&[60, 63, 67, 65, 68, 72, 67, 71, 74, 72, 60]), Some(12));
        assert_eq!(estimated(&[]), None);
    }

    #[test]
    fn the_shorter_way_leads_home() {
        let home = |key| shift_home(tonic(key), is_minor(key));
        assert_eq!([0, 2, 5, 6, 7, 11].map(home), [0, -2, -5, -6, 5, 1]);
        assert_eq!([21, 12, 16, 15].map(home), [0, -3, 5, -6]); // A, C, E and E flat minor
    }

    #[test]
    fn drawn_keys_are_all_keys_and_half_of_them_minor() {
        let keys: Vec<u8> = (1..=960).map(drawn).collect();
        assert!((0..NUM_KEYS as u8).all(|key| (20..60).contains(&keys.iter().filter(|k| **k == key).count())));
        assert!((430..530).contains(&keys.iter().filter(|key| is_minor(**key)).count()));
    }

    #[test]
    fn scales_have_their_notes() {
        let classes = |key| (0..12).filter(|class| contains(scale(key), *class)).collect::<Vec<_>>();
        assert_eq!(classes(0), [0, 2, 4, 5, 7, 9, 11]);
        assert_eq!(classes(9), [1, 2, 4, 6, 8, 9, 11]); // A major
        assert_eq!(classes(12), [0, 2, 3, 5, 7, 8, 9, 10, 11]);
        assert_eq!(classes(21), [0, 2, 4, 5, 6, 7, 8, 9, 11]); // A minor, with F sharp and G sharp
        assert_eq!(transposed(scale(2), -2), scale(0));
    }

    #[test]
    fn the_key_needs_some_music_and_changes_with_it() {
        let mut estimator = KeyEstimator::default();
        estimator.push([Some(72), Some(67), Some(64), Some(48)]);
        assert_eq!(estimator.key(), None);
        (0..2).for_each(|_| estimator.push([Some(72), Some(67), Some(64), Some(48)]));
        assert_eq!(estimator.key(), Some(0));
        (0..64).for_each(|_| estimator.push([None; 4]));
        assert_eq!(estimator.key(), Some(0), "silence keeps the key");
        (0..64).for_each(|_| estimator.push([Some(69), Some(66), Some(62), Some(50)]));
        assert_eq!(estimator.key(), Some(2));
    }
}
