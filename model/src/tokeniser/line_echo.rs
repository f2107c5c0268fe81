//! The echo of a line: which word followed the earlier passage that matches the latest words best. Tunes repeat
//! phrases, and with the echo as input a network need not memorise them.

/// The most words that are remembered.
const CAPACITY: usize = 1024;
/// How many of the oldest words are forgotten when the memory is full.
const FORGOTTEN: usize = CAPACITY / 4;
/// The shortest distance to an earlier passage, in words: nearer matches are repeated notes, not repeated phrases.
const MIN_DISTANCE: usize = 8;
/// The lower bounds of the classes of match length, in notes.
const CLASSES: [u16; ECHO_CLASSES] = [3, 5, 8, 13, 24];
/// The number of classes of match length.
pub const ECHO_CLASSES: usize = 5;

/// The words so far and, for each, how many notes up to it match the latest ones.
#[derive(Clone, Debug)]
pub struct LineEcho {
    words: Box<[u16]>,
    /// At n: the notes in the longest passage that ends with word n and equals the latest words.
    runs: Box<[u16]>,
    len: usize,
    /// The word after the best match, and the class of the match's length.
    found: Option<(u16, u8)>,
}

impl LineEcho {
    /// Without words.
    pub fn new() -> Self {
        Self { words: vec![0; CAPACITY].into(), runs: vec![0; CAPACITY].into(), len: 0, found: None }
    }

    /// Forgets all words.
    pub fn reset(&mut self) {
        (self.len, self.found) = (0, None);
    }

    /// Copies the state of `other`. Does not allocate.
    pub fn copy_from(&mut self, other: &Self) {
        let used = other.len;
        self.words[..used].copy_from_slice(&other.words[..used]);
        self.runs[..used].copy_from_slice(&other.runs[..used]);
        (self.len, self.found) = (used, other.found);
    }

    /// Adds a word; `starts` says whether it starts a note.
    pub fn push(&mut self, word: u16, starts: bool) {
        if self.len == CAPACITY {
            self.words.copy_within(FORGOTTEN.., 0);
            self.runs.copy_within(FORGOTTEN.., 0);
            self.len -= FORGOTTEN;
        }
        let starts = u16::from(starts);
        for position in (0..self.len).rev() {
            let before = position.checked_sub(1).map_or(0, |before| self.runs[before]);
            self.runs[position] = if self.words[position] == word { before + starts } else { 0 };
        }
        self.words[self.len] = word;
        self.runs[self.len] = 0;
        self.len += 1;
        let (mut best, mut position) = (CLASSES[0] - 1, None);
        // Of two equally long matches, the later one counts.
        for (n, &run) in self.runs[..self.len.saturating_sub(MIN_DISTANCE)].iter().enumerate() {
            if run > best || run == best && position.is_some() {
                (best, position) = (run, Some(n));
            }
        }
        self.found = position.map(|position| {
            let class = CLASSES.iter().rposition(|&least| best >= least).expect("the best match is in a class");
            (self.words[position + 1], class as u8)
        });
    }

    /// The word that followed the best match, and the class of the match's length, below [`ECHO_CLASSES`]; `None`
    /// without a match.
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

    /// Adds notes, each followed by the word 1, which starts no note.
    fn read(echo: &mut LineEcho, notes: &[u16]) {
        for &note in notes {
            echo.push(note, true);
            echo.push(1, false);
        }
    }

    #[test]
    fn a_repeated_phrase_is_predicted() {
        let mut echo = LineEcho::new();
        read(&mut echo, &[10, 11, 12, 13, 14, 20, 10, 11]);
        assert_eq!(echo.next(), None, "two notes are too few for a match");
        echo.push(12, true);
        assert_eq!(echo.next(), Some((1, 0)), "the echo predicts words that start no note too");
        echo.push(1, false);
        assert_eq!(echo.next(), Some((13, 0)));
        read(&mut echo, &[13, 14]);
        assert_eq!(echo.next(), Some((20, 1)));
        read(&mut echo, &[30]);
        assert_eq!(echo.next(), None);
        // Of two equally long matches, the later one counts.
        echo.reset();
        read(&mut echo, &[10, 11, 12, 13, 20, 10, 11, 12, 14, 21, 10, 11, 12]);
        assert_eq!(echo.next(), Some((14, 0)));
    }

    #[test]
    fn repeated_notes_are_no_match_and_memory_is_bounded() {
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
