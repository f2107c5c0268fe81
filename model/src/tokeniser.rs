//! From music to tokens and back: what a network reads before each token that it predicts.

mod echo;
pub mod grid;
mod line_echo;
pub mod line_reader;
mod note_echo;
pub mod note_reader;
mod pattern;
pub mod step_reader;

/// How many lengths of a held note or rest the networks distinguish, in steps; longer ones count as the longest.
pub(crate) const HELD_CLASSES: usize = 16;

/// Reads the music so far, token by token, and yields a network's inputs for the next token. Training and playing use
/// the same reader, so their inputs cannot differ.
pub trait Reader: Clone + std::fmt::Debug + Send {
    /// Returns to the start of a piece. Does not allocate.
    fn reset(&mut self);

    /// Copies the state of `other`, a reader of the same network. Does not allocate.
    fn copy_from(&mut self, other: &Self);

    /// Sets which 16th of the beat (0 to 3) the next step is. Callers do so only between two steps: after a jump of the
    /// host the count must follow.
    fn set_step_in_beat(&mut self, step_in_beat: usize);

    /// Reads the next token; on the grid, the token of `voice`.
    fn feed(&mut self, voice: usize, token: u16);
}

/// Reads four voices on the grid. `Default` is the start of a piece, on a beat.
pub trait GridReader: Reader + Default {
    /// The pitch of `voice` (0 = soprano) according to the tokens read so far.
    fn sounding(&self, voice: usize) -> Option<u8>;

    /// Which 16th of the beat the next step is.
    fn step_in_beat(&self) -> usize;

    /// Hides the echo from the network for the next `steps` steps. Readers without an echo ignore it.
    fn hide_echo(&mut self, _steps: usize) {}
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::grid::{CellReader, NUM_VOICES};
    use super::line_reader::LineReader;
    use super::step_reader::StepReader;
    use super::*;
    use crate::lexicon::Lexicon;
    use crate::vocabulary::{Symbol, Vocabulary};

    /// A reader that is copied or reset must equal one that has read the same tokens; `Debug` shows all of its state.
    fn check_state<R: Reader>(start: &R, voices: usize, tokens: &[u16]) {
        let read = |mut reader: R, tokens: &[u16]| {
            for (n, token) in tokens.iter().enumerate() {
                if n % voices == 0 && n / voices == 1 {
                    reader.set_step_in_beat(3);
                }
                reader.feed(n % voices, *token);
            }
            reader
        };
        let state = |reader: &R| format!("{reader:?}");
        let (half, all) = (read(start.clone(), &tokens[..tokens.len() / 2]), read(start.clone(), tokens));
        assert_ne!(state(&half), state(&all));
        let mut copy = start.clone();
        copy.copy_from(&half);
        assert_eq!(state(&copy), state(&half), "a copy has the whole state");
        // Copying back over a later state leaves nothing of it.
        let mut copy = all.clone();
        copy.copy_from(&half);
        let rest = |mut reader: R| {
            let at = tokens.len() / 2;
            tokens[at..].iter().enumerate().for_each(|(n, token)| reader.feed((at + n) % voices, *token));
            reader
        };
        assert_eq!(state(&rest(copy)), state(&rest(half)), "a copy continues like the original");
        let mut again = all;
        again.reset();
        assert_eq!(state(&read(again, tokens)), state(&read(start.clone(), tokens)), "a reset reader starts anew");
    }

    /// Three phrases in four voices, the last one an echo of the first.
    fn phrases() -> Vec<u16> {
        let row = |soprano| [soprano, Symbol::Pitch(64), Symbol::Hold, Symbol::Rest].map(|s| Vocabulary::GRID.token(s));
        [60, 62, 64, 65, 70, 69, 67, 66, 60, 62, 64, 65]
            .into_iter()
            .flat_map(|pitch| row(Symbol::Pitch(pitch)))
            .collect()
    }

    #[test]
    fn copies_continue_alike_and_a_reset_starts_anew() {
        check_state(&CellReader::new(), NUM_VOICES, &phrases());
        check_state(&StepReader::new(), NUM_VOICES, &phrases());
        let lexicon = Arc::new(Lexicon::parse("/ r 60 62 64 65 67 x1 x2").unwrap());
        let tune: Vec<u16> = [2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6, 1].into_iter().flat_map(|word| [word, 8]).collect();
        check_state(&LineReader::new(lexicon), 1, &tune);
    }

    #[test]
    fn hiding_the_echo_concerns_only_readers_that_have_one() {
        let mut reader = CellReader::new();
        reader.hide_echo(8);
        assert_eq!(reader, CellReader::new());
    }
}
