//! Transposition to the home key, C major or A minor.

use crate::corpus::key::Key;

/// The transposition that moves the tonic to C, or to A if the key has a minor third: -6 to 5 semitones. A mode keeps
/// its intervals: D dorian becomes A dorian, with an F sharp.
pub fn shift_home(key: Key) -> i8 {
    let home = if key.mode.has_minor_third() { 9 } else { 0 };
    let up = (home + 12 - key.tonic()) % 12;
    if up > 5 { up as i8 - 12 } else { up as i8 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::key::Mode;

    #[test]
    fn every_key_goes_home_by_the_shorter_way() {
        let shift = |fifths, mode| shift_home(Key { fifths, mode });
        let majors: Vec<_> = [0, 1, 2, -1, -3, 6].map(|fifths| shift(fifths, Mode::Major)).into();
        assert_eq!(majors, [0, 5, -2, -5, -3, -6]);
        assert_eq!([0, -3, 3].map(|fifths| shift(fifths, Mode::Minor)), [0, -3, 3]);
        assert_eq!([shift(0, Mode::Dorian), shift(0, Mode::Mixolydian)], [-5, 5]);
    }
}
