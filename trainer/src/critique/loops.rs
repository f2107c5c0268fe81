//! Stuck loops: passages that repeat the same pattern over and over. The model defines a pattern and how often it may
//! repeat; a performance uses the same rule to leave loops.

use continuo_model::repetition;

use crate::preparation::four_voices::FourVoices;

/// How often a pattern must occur in a row to count: once more than a performance allows.
fn times(pattern: usize) -> usize {
    repetition::stuck_times(pattern) + 1
}

/// Counts the steps in passages where a pattern of up to a bar occurs at least four times in a row, or one of up to
/// four bars three times. The pattern must contain a note start, so held chords do not count. Steps are equal if they
/// have the same pitches and the same voices start a note.
pub fn stuck_steps(piece: &FourVoices) -> usize {
    let starts = piece.starts();
    let len = piece.rows.len();
    let same = |a: usize, b: usize| piece.rows[a] == piece.rows[b] && starts[a] == starts[b];
    let mut stuck = vec![false; len];
    for pattern in 1..=repetition::MAX_PERIOD {
        let mut from = 0;
        while from + pattern < len {
            let repeated = (from..len - pattern).take_while(|&step| same(step, step + pattern)).count();
            let passage = from..from + repeated + pattern;
            let struck = starts[passage.clone()].iter().take(pattern).any(|&bits| bits != 0);
            if passage.len() >= times(pattern) * pattern && struck {
                stuck[passage].fill(true);
            }
            from += repeated + 1;
        }
    }
    stuck.into_iter().filter(|&step| step).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preparation::four_voices::tests::piece;

    fn check(steps: &[&str], expect: usize) {
        assert_eq!(stuck_steps(&piece(&steps.join("|"))), expect, "{steps:?}");
    }

    const C: &str = "72 64 55 48";
    const F: &str = "72 65 57 53";
    const G: &str = "71 62 55 43";

    #[test]
    fn four_times_the_same_is_stuck_and_three_times_is_not() {
        check(&[C, F, C, F, C, F, G], 0);
        // The first C starts voices that the later ones hold, so the repeated pattern is F C.
        check(&[C, F, C, F, C, F, C, F, G], 0);
        check(&[C, F, C, F, C, F, C, F, C, G], 8);
        check(&[C, C, F, C, C, F, C, C, F, C, C, F, C, G], 12);
    }

    #[test]
    fn a_phrase_may_come_twice_and_not_three_times() {
        let phrase: Vec<String> = (0..20).map(|i| format!("{} 64 55 48", 72 - i % 7 - i / 7)).collect();
        let phrase: Vec<&str> = phrase.iter().map(String::as_str).collect();
        check(&[&phrase[..], &phrase, &[G]].concat(), 0);
        let thrice = stuck_steps(&piece(&[&phrase[..], &phrase, &phrase, &phrase[..5], &[G]].concat().join("|")));
        assert!((60..=65).contains(&thrice), "{thrice}");
    }

    #[test]
    fn holding_is_not_being_stuck_and_striking_is() {
        check(&[C; 12], 0);
        check(&["72* 64* 55* 48*"; 12], 12);
        check(&["72* 64* 55* 48*"; 3], 0);
    }

    #[test]
    fn a_bar_may_come_three_times_and_a_longer_pattern_twice() {
        let stuck = |steps, times| {
            let music: Vec<_> = (0..steps * times).map(|i| format!("{} 64 55 48", 60 + i % steps)).collect();
            stuck_steps(&piece(&music.join("|")))
        };
        // The lower voices start only in the first step.
        assert_eq!(stuck(16, 5), 79);
        assert_eq!(stuck(16, 4), 0);
        // The lower voices start in the very first step, so the first round differs from the others.
        assert_eq!(stuck(17, 3), 0);
        assert_eq!(stuck(17, 4), 67);
        assert_eq!(stuck(65, 5), 0);
    }
}
