//! Stuck loops: passages that say the same thing over and over.

use super::piece::Piece;

/// The longest pattern that is looked for, steps.
pub const LONGEST_PATTERN: usize = 16;
/// How often a pattern must come in succession.
pub const REPETITIONS: usize = 4;

/// How many steps lie in a passage in which a pattern of at most [`LONGEST_PATTERN`] steps comes [`REPETITIONS`] times
/// or more in succession, with at least one note start in the pattern. Two steps are the same if the same pitches sound and
/// the same voices start a note. A chord that is held has no start in it and is not stuck.
pub fn stuck_steps(piece: &Piece) -> usize {
    let starts = piece.starts();
    let len = piece.rows.len();
    let same = |a: usize, b: usize| piece.rows[a] == piece.rows[b] && starts[a] == starts[b];
    let mut stuck = vec![false; len];
    for pattern in 1..=LONGEST_PATTERN {
        let mut from = 0;
        while from + pattern < len {
            let repeated = (from..len - pattern).take_while(|&step| same(step, step + pattern)).count();
            let passage = from..from + repeated + pattern;
            let struck = starts[passage.clone()].iter().take(pattern).any(|&bits| bits != 0);
            if passage.len() >= REPETITIONS * pattern && struck {
                stuck[passage].fill(true);
            }
            from += repeated + 1;
        }
    }
    stuck.into_iter().filter(|&step| step).count()
}

#[cfg(test)]
mod tests {
    use super::super::piece::tests::piece;
    use super::*;

    fn check(steps: &[&str], expect: usize) {
        assert_eq!(stuck_steps(&piece(&steps.join("|"))), expect, "{steps:?}");
    }

    const C: &str = "72 64 55 48";
    const F: &str = "72 65 57 53";
    const G: &str = "71 62 55 43";

    #[test]
    fn four_times_the_same_is_stuck_and_three_times_is_not() {
        check(&[C, F, C, F, C, F, G], 0);
        // The first C starts voices that the later ones do not, so the pattern F C is what repeats.
        check(&[C, F, C, F, C, F, C, F, G], 0);
        check(&[C, F, C, F, C, F, C, F, C, G], 8);
        check(&[C, C, F, C, C, F, C, C, F, C, C, F, C, G], 12);
    }

    #[test]
    fn holding_is_not_being_stuck_and_striking_is() {
        check(&[C; 12], 0);
        check(&["72* 64* 55* 48*"; 12], 12);
        check(&["72* 64* 55* 48*"; 3], 0);
    }

    #[test]
    fn a_pattern_may_be_a_bar_long_and_no_longer() {
        let stuck = |steps, times| {
            let music: Vec<_> = (0..steps * times).map(|i| format!("{} 64 55 48", 60 + i % steps)).collect();
            stuck_steps(&piece(&music.join("|")))
        };
        // The first step's lower voices start only once.
        assert_eq!(stuck(16, 5), 79);
        assert_eq!(stuck(16, 4), 0);
        assert_eq!(stuck(17, 5), 0);
    }
}
