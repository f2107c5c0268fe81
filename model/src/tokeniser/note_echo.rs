//! The echo of performed notes: which note followed the earlier passage that matches the latest notes best. Music
//! repeats its figures, and with the echo as input a network need not memorise them.

use crate::note_tokens::NUM_ATTRIBUTES;

/// The most notes that are remembered.
const CAPACITY: usize = 320;
/// How many of the oldest notes are forgotten when the memory is full.
const FORGOTTEN: usize = CAPACITY / 4;
/// Onsets that differ by less than this many ticks are alike.
const ALIKE_TICKS: u8 = 4;
/// The lower bounds of the classes of match length, in notes.
const CLASSES: [u8; ECHO_CLASSES] = [2, 3, 5, 9, 17];
/// The number of classes of match length.
pub const ECHO_CLASSES: usize = 5;
/// A passage that has come this many times in a row hides the echo, which would lead the network round for ever; but
/// not before this many notes.
const MOST_REPEATS: usize = 3;
const LEAST_REPEATED: usize = 24;

/// The tokens of a note.
pub type NoteTokens = [u8; NUM_ATTRIBUTES];

/// The notes so far and, for each, how many notes up to it match the latest ones.
#[derive(Clone, Copy, Debug)]
pub struct NoteEcho {
    notes: [NoteTokens; CAPACITY],
    /// At n: the notes in the longest passage that ends with note n and equals the latest notes.
    runs: [u8; CAPACITY],
    len: u16,
    /// The note after the best match, and the class of the match's length.
    found: Option<(u16, u8)>,
}

/// Whether two notes have the same key and place in time, whatever their loudness and length.
fn alike(a: &NoteTokens, b: &NoteTokens) -> bool {
    a[0] == b[0] && a[1].abs_diff(b[1]) < ALIKE_TICKS && a[3] == b[3]
}

impl NoteEcho {
    /// Without notes.
    pub const fn new() -> Self {
        Self { notes: [[0; NUM_ATTRIBUTES]; CAPACITY], runs: [0; CAPACITY], len: 0, found: None }
    }

    /// Adds a note.
    pub fn push(&mut self, note: NoteTokens) {
        let mut len = usize::from(self.len);
        if len == CAPACITY {
            self.notes.copy_within(FORGOTTEN.., 0);
            self.runs.copy_within(FORGOTTEN.., 0);
            len -= FORGOTTEN;
        }
        let (mut best, mut position) = (CLASSES[0] - 1, None);
        for n in (0..len).rev() {
            let before = n.checked_sub(1).map_or(0, |before| self.runs[before]);
            self.runs[n] = if alike(&self.notes[n], &note) { before.saturating_add(1) } else { 0 };
            // Of two equally long matches, the later one counts.
            if self.runs[n] > best {
                (best, position) = (self.runs[n], Some(n));
            }
        }
        self.notes[len] = note;
        self.runs[len] = 0;
        self.len = len as u16 + 1;
        let goes_round = |position: &usize| usize::from(best) >= (MOST_REPEATS * (len - position)).max(LEAST_REPEATED);
        self.found = position.filter(|position| !goes_round(position)).map(|position| {
            let class = CLASSES.iter().rposition(|&least| best >= least).expect("the best match is in a class");
            (position as u16 + 1, class as u8)
        });
    }

    /// The note that followed the best match, and the class of the match's length, below [`ECHO_CLASSES`]; `None`
    /// without a match.
    pub fn next(&self) -> Option<(&NoteTokens, usize)> {
        self.found.map(|(note, class)| (&self.notes[usize::from(note)], class.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(advance: u8, key: u8) -> NoteTokens {
        [advance, 0, 0, key, 10, 20]
    }

    #[test]
    fn a_repeated_figure_is_predicted() {
        let mut echo = NoteEcho::new();
        for (n, key) in [60, 62, 64, 65, 60, 62, 64].into_iter().enumerate() {
            assert_eq!(echo.next().is_some(), n == 6, "note {n}");
            echo.push(note(2, key));
        }
        assert_eq!(echo.next(), Some((&note(2, 65), 1)));
        // Another rhythm is another figure.
        let mut echo = NoteEcho::new();
        [(2, 60), (2, 62), (2, 64), (2, 60), (1, 62)].iter().for_each(|(advance, key)| echo.push(note(*advance, *key)));
        assert_eq!(echo.next(), None);
    }

    #[test]
    fn loudness_length_and_small_deviations_do_not_matter() {
        let mut echo = NoteEcho::new();
        [[2, 0, 0, 60, 1, 1], [2, 0, 0, 62, 1, 1], [2, 0, 1, 64, 1, 1]].iter().for_each(|note| echo.push(*note));
        [[2, 3, 0, 60, 9, 9], [2, 1, 0, 62, 9, 9]].iter().for_each(|note| echo.push(*note));
        assert_eq!(echo.next().map(|(note, _)| note[3]), Some(64));
    }

    #[test]
    fn an_endless_repeat_is_hidden_and_the_memory_goes_on() {
        let mut echo = NoteEcho::new();
        let mut hidden = 0;
        for n in 0..1000_u32 {
            echo.push(note(1, 60 + (n % 4) as u8));
            hidden += u32::from(n > 40 && echo.next().is_none());
        }
        assert!(hidden > 900, "{hidden}");
        echo.push(note(1, 90));
        (0..20).for_each(|n| echo.push(note(1, 30 + n)));
        (0..5).for_each(|n| echo.push(note(1, 30 + n)));
        assert_eq!(echo.next(), Some((&note(1, 35), 2)));
    }
}
