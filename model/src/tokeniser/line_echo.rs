//! What came after the last place of a line that read like now: tunes repeat phrases, and a network need not learn that
//! by heart.

/// Words that are remembered at the most.
const CAPACITY: usize = 1024;
/// When they are too many, so many of the first are forgotten.
const FORGOTTEN: usize = CAPACITY / 4;
/// Nearest place that is looked at, in words back: what is nearer is repetition, not a phrase that comes again.
const NEAREST: usize = 8;
/// Lower ends of the classes into which an echo's length falls, in notes that agree.
const CLASSES: [u16; ECHO_CLASSES] = [3, 5, 8, 13, 24];
/// How many classes of length there are.
pub const ECHO_CLASSES: usize = 5;

/// The words so far, and for each how many notes up to it agree with the latest ones.
#[derive(Clone, Debug)]
pub struct LineEcho {
    words: Box<[u16]>,
    /// At n the notes of the stretch that ends with word n and is the same as the one that ends now.
    runs: Box<[u16]>,
    len: usize,
    /// What followed, and the class of the length.
    found: Option<(u16, u8)>,
}

impl LineEcho {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self { words: vec![0; CAPACITY].into(), runs: vec![0; CAPACITY].into(), len: 0, found: None }
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        (self.len, self.found) = (0, None);
    }

    /// Makes this the same as `other`. Does not allocate.
    pub fn copy_from(&mut self, other: &Self) {
        let used = other.len;
        self.words[..used].copy_from_slice(&other.words[..used]);
        self.runs[..used].copy_from_slice(&other.runs[..used]);
        (self.len, self.found) = (used, other.found);
    }

    /// Takes a word; whether it starts a note.
    pub fn push(&mut self, word: u16, starts: bool) {
        if self.len == CAPACITY {
            self.words.copy_within(FORGOTTEN.., 0);
            self.runs.copy_within(FORGOTTEN.., 0);
            self.len -= FORGOTTEN;
        }
        let starts = u16::from(starts);
        for place in (0..self.len).rev() {
            let before = place.checked_sub(1).map_or(0, |before| self.runs[before]);
            self.runs[place] = if self.words[place] == word { before + starts } else { 0 };
        }
        self.words[self.len] = word;
        self.runs[self.len] = 0;
        self.len += 1;
        let (mut best, mut place) = (CLASSES[0] - 1, None);
        // Of two as long, the later.
        for (n, &run) in self.runs[..self.len.saturating_sub(NEAREST)].iter().enumerate() {
            if run > best || run == best && place.is_some() {
                (best, place) = (run, Some(n));
            }
        }
        self.found = place.map(|place| {
            let class = CLASSES.iter().rposition(|&least| best >= least).expect("the best run is in a class");
            (self.words[place + 1], class as u8)
        });
    }

    /// The word that followed there, and how sure that is (0 to `ECHO_CLASSES` - 1); `None` if nothing so far read like
    /// now.
    pub fn next(&self) -> Option<(u16, usize)> {
        self.found.map(|(word, class)| (word, class.into()))
    }
}

impl Default for LineEcho {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes from 10 up, each followed by the word 1, which starts none.
    fn read(echo: &mut LineEcho, notes: &[u16]) {
        for &note in notes {
            echo.push(note, true);
            echo.push(1, false);
        }
    }

    #[test]
    fn a_phrase_that_comes_again_is_foreseen() {
        let mut echo = LineEcho::new();
        read(&mut echo, &[10, 11, 12, 13, 14, 20, 10, 11]);
        assert_eq!(echo.next(), None, "two notes are no evidence");
        echo.push(12, true);
        assert_eq!(echo.next(), Some((1, 0)), "a word that starts nothing is foreseen too");
        echo.push(1, false);
        assert_eq!(echo.next(), Some((13, 0)));
        read(&mut echo, &[13, 14]);
        assert_eq!(echo.next(), Some((20, 1)));
        read(&mut echo, &[30]);
        assert_eq!(echo.next(), None);
        // Of two places that agree as long, the later one.
        echo.reset();
        read(&mut echo, &[10, 11, 12, 13, 20, 10, 11, 12, 14, 21, 10, 11, 12]);
        assert_eq!(echo.next(), Some((14, 0)));
    }

    #[test]
    fn repeated_notes_are_no_phrase_and_memory_is_bounded() {
        let mut echo = LineEcho::new();
        read(&mut echo, &[10; 4]);
        assert_eq!(echo.next(), None);
        let many: Vec<u16> = (0..5 * CAPACITY as u16).map(|n| 100 + n % 997).collect();
        read(&mut echo, &many);
        assert!(echo.len <= CAPACITY);
        read(&mut echo, &[10, 11, 12, 13, 20, 10, 11, 12]);
        assert_eq!(echo.next(), Some((13, 0)));
        let mut other = LineEcho::new();
        other.copy_from(&echo);
        read(&mut other, &[13]);
        read(&mut echo, &[13]);
        assert_eq!(echo.next(), Some((20, 0)));
        assert_eq!(other.next(), echo.next());
    }
}
