//! The chords whose share a temperature below 1 would reduce. It makes likely chords likelier: major triads, at the
//! expense of dominant sevenths and minor triads. Each candidate of such a chord gets some of that back.

use crate::key::transposed;

/// Semitones above the root, bit n for n semitones.
const MINOR_TRIAD: u16 = 0b1000_1001;
const DOMINANT_SEVENTH: u16 = 0b100_1001_0001;
const WITHOUT_FIFTH: u16 = 0b100_0001_0001;

/// Added to the log probability of a dominant seventh on a beat. With it the shipped network plays about as many as
/// Bach, and no more dissonance (`trainer evaluate --free`).
const FOR_SEVENTHS: f64 = 2.5;
/// Added to the log probability of a minor triad. With it a third of the pieces and more are minor.
const FOR_MINOR: f64 = 1.1;

/// The amount added to the log probability of a chord that sounds these pitch classes (bit n for class n).
pub fn correction(classes: u16, is_on_beat: bool) -> f64 {
    let is = |chord: u16| (0..12).any(|root| transposed(chord, root) == classes);
    if is(MINOR_TRIAD) {
        FOR_MINOR
    } else if is_on_beat && (is(DOMINANT_SEVENTH) || is(WITHOUT_FIFTH)) {
        FOR_SEVENTHS
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::classes_of;

    #[test]
    fn minor_triads_and_sevenths_on_beats_are_corrected() {
        let of = |pitches: &[u8]| classes_of(pitches.iter().copied());
        let cases: [(&[u8], f64, f64); 6] = [
            (&[57, 60, 64, 69], FOR_MINOR, FOR_MINOR), // A minor
            (&[52, 59, 55, 71], FOR_MINOR, FOR_MINOR), // E minor
            (&[55, 59, 62, 65], FOR_SEVENTHS, 0.0),    // G7
            (&[50, 60, 66, 74], FOR_SEVENTHS, 0.0),    // D7 without its fifth
            (&[48, 52, 55, 60], 0.0, 0.0),             // C major
            (&[48, 52, 55, 59], 0.0, 0.0),             // a major seventh
        ];
        for (pitches, on_beat, between) in cases {
            assert_eq!(
                (correction(of(pitches), true), correction(of(pitches), false)),
                (on_beat, between),
                "{pitches:?}"
            );
        }
    }
}
