//! Keys, 0 to 11 major from C up and 12 to 23 minor: which one music is most likely in, and which notes it has.

use crate::tokeniser::grid::NUM_VOICES;

// Shares of the degrees in major and minor pieces, from the tonic up in semitones: J. Albrecht and D. Shanahan, "The
// Use of Large Corpora to Train a New Type of Key-Finding Algorithm", Music Perception 31 (2013).
const MAJOR: [f64; 12] = [0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081];
const MINOR: [f64; 12] = [0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052];

/// Degrees of the major scale, bit n for n semitones above the tonic.
const MAJOR_SCALE: u16 = 0b1010_1011_0101;
/// Degrees of the natural, harmonic and melodic minor scales together.
const MINOR_SCALE: u16 = 0b1111_1010_1101;

/// How far what sounds is from the profile of a key: `pitch_classes` says how long each does, index 0 = C. The method is
/// Krumhansl's and Schmuckler's (C. L. Krumhansl, *Cognitive Foundations of Musical Pitch*, 1990, chapter 4) with the
/// profiles and the Euclidean distance of Albrecht and Shanahan (2013), which find more keys of the music that the
/// trainer reads than Krumhansl's and Kessler's own.
pub fn distance(pitch_classes: &[f64; 12], tonic: u8, minor: bool) -> f64 {
    let profile = if minor { &MINOR } else { &MAJOR };
    let total: f64 = pitch_classes.iter().sum();
    let degree = |class: usize| profile[(class + 12 - usize::from(tonic)) % 12];
    (0..12).map(|class| (pitch_classes[class] / total - degree(class)).powi(2)).sum()
}

/// The key whose profile is nearest to what sounds; `None` if nothing does.
pub fn estimate(pitch_classes: &[f64; 12]) -> Option<u8> {
    let far = |key: &u8| distance(pitch_classes, key % 12, *key >= 12);
    let sounds = pitch_classes.iter().sum::<f64>() > 0.0;
    (0..24).filter(|_| sounds).min_by(|a, b| far(a).total_cmp(&far(b)))
}

/// The pitch classes of a key's scale, bit n for class n; a minor key has all that its three scales have.
pub fn scale(key: u8) -> u16 {
    transposed(if key >= 12 { MINOR_SCALE } else { MAJOR_SCALE }, i32::from(key % 12))
}

/// A set of pitch classes some semitones higher.
pub fn transposed(classes: u16, semitones: i32) -> u16 {
    let up = semitones.rem_euclid(12) as u32;
    let wide = u32::from(classes) << up;
    ((wide | wide >> 12) & 0xfff) as u16
}

/// How long each pitch class has sounded lately.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lately([f64; 12]);

impl Lately {
    /// Of what sounded, each step leaves so much: after two bars of four beats a quarter counts.
    const KEPT: f64 = 0.957;
    /// Steps that must have sounded, all voices together, before a key is told from them.
    const LEAST: f64 = 8.0;

    /// Takes what the voices sound in a step.
    pub fn push(&mut self, sounding: [Option<u8>; NUM_VOICES]) {
        if sounding.iter().any(Option::is_some) {
            self.0.iter_mut().for_each(|sum| *sum *= Self::KEPT);
        }
        sounding.iter().flatten().for_each(|pitch| self.0[usize::from(pitch % 12)] += 1.0);
    }

    /// The key, once enough has sounded.
    pub fn key(&self) -> Option<u8> {
        estimate(&self.0).filter(|_| self.0.iter().sum::<f64>() >= Self::LEAST)
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
    fn scales_have_their_notes() {
        let classes = |key| (0..12).filter(|class| scale(key) >> class & 1 == 1).collect::<Vec<_>>();
        assert_eq!(classes(0), [0, 2, 4, 5, 7, 9, 11]);
        assert_eq!(classes(9), [1, 2, 4, 6, 8, 9, 11]); // A major
        assert_eq!(classes(12), [0, 2, 3, 5, 7, 8, 9, 10, 11]);
        assert_eq!(classes(21), [0, 2, 4, 5, 6, 7, 8, 9, 11]); // A minor, with F sharp and G sharp
        assert_eq!(transposed(scale(2), -2), scale(0));
    }

    #[test]
    fn a_key_needs_some_music_and_changes_with_it() {
        let mut lately = Lately::default();
        lately.push([Some(72), Some(67), Some(64), Some(48)]);
        assert_eq!(lately.key(), None);
        (0..2).for_each(|_| lately.push([Some(72), Some(67), Some(64), Some(48)]));
        assert_eq!(lately.key(), Some(0));
        (0..64).for_each(|_| lately.push([None; 4]));
        assert_eq!(lately.key(), Some(0), "silence is no news");
        (0..64).for_each(|_| lately.push([Some(69), Some(66), Some(62), Some(50)]));
        assert_eq!(lately.key(), Some(2));
    }
}
