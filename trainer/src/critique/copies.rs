//! Finds copies from a training corpus: the longest run of steps that a piece shares with it, in any transposition.

use std::collections::HashMap;

use continuo_model::rules::Row;
use continuo_model::tokeniser::grid::NUM_VOICES;

use crate::preparation::four_voices::FourVoices;

/// Pitches relative to a reference pitch that both steps of a [`Move`] share.
type Shape = [Option<i16>; NUM_VOICES];
/// A step and the one after it, independent of the key.
type Move = (Shape, Shape);

/// Stands for a move that does not occur in the corpus.
const UNKNOWN: u32 = u32::MAX;

/// The moves of a corpus with a suffix array. The longest match for a sequence is next to the position where the
/// sequence itself would be sorted.
pub struct CorpusIndex {
    numbers: HashMap<Move, u32>,
    /// The moves of all pieces, with a unique number after each piece.
    moves: Vec<u32>,
    /// Positions in `moves`, sorted by the moves that follow.
    order: Vec<u32>,
    /// The position in `moves` where each piece begins; ascending.
    beginnings: Vec<usize>,
}

/// A run that a piece shares with the corpus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its length in steps.
    pub steps: usize,
    /// Its first step in the piece.
    pub start: usize,
    /// The index of the corpus piece.
    pub corpus_piece: usize,
    /// Its first step there.
    pub corpus_start: usize,
}

impl CorpusIndex {
    /// Indexes `corpus`.
    pub fn new(corpus: &[FourVoices]) -> Self {
        let mut numbers = HashMap::new();
        let (mut moves, mut beginnings) = (Vec::new(), Vec::new());
        for (i, piece) in corpus.iter().enumerate() {
            beginnings.push(moves.len());
            for step in moves_of(&piece.rows) {
                let next = numbers.len() as u32;
                moves.push(*numbers.entry(step).or_insert(next));
            }
            moves.push(UNKNOWN - 1 - i as u32);
        }
        let mut order: Vec<u32> = (0..moves.len() as u32).collect();
        order.sort_unstable_by(|&a, &b| moves[a as usize..].cmp(&moves[b as usize..]));
        Self { numbers, moves, order, beginnings }
    }

    /// The longest run of at least two steps that `piece` shares with the corpus: the same four pitches in each step,
    /// all transposed by the same interval. Silence ends a run.
    pub fn longest_run(&self, piece: &FourVoices) -> Option<Run> {
        let silent = |shape: Shape| shape == [None; NUM_VOICES];
        let number = |step: Move| match silent(step.0) || silent(step.1) {
            true => UNKNOWN,
            false => self.numbers.get(&step).copied().unwrap_or(UNKNOWN),
        };
        let moves: Vec<u32> = moves_of(&piece.rows).map(number).collect();
        let mut longest: Option<Run> = None;
        for start in 0..moves.len() {
            let rest = &moves[start..];
            let at = self.order.partition_point(|&place| &self.moves[place as usize..] < rest);
            for &place in self.order[at.saturating_sub(1)..].iter().take(2) {
                let place = place as usize;
                let shared = rest.iter().zip(&self.moves[place..]).take_while(|(a, b)| a == b).count();
                if shared > 0 && longest.is_none_or(|run| shared + 1 > run.steps) {
                    let corpus_piece = self.beginnings.partition_point(|&beginning| beginning <= place) - 1;
                    let corpus_start = place - self.beginnings[corpus_piece];
                    longest = Some(Run { steps: shared + 1, start, corpus_piece, corpus_start });
                }
            }
        }
        longest
    }
}

/// Pairs each step with the next, relative to the highest sounding voice of the first.
fn moves_of(rows: &[Row]) -> impl Iterator<Item = Move> {
    rows.windows(2).map(|pair| {
        let reference = pair[0].iter().flatten().next().map_or(0, |&pitch| i16::from(pitch));
        let relative = |row: Row| row.map(|pitch| pitch.map(|pitch| i16::from(pitch) - reference));
        (relative(pair[0]), relative(pair[1]))
    })
}

#[cfg(test)]
mod tests {
    use continuo_model::random::SplitMix64;

    use super::*;
    use crate::preparation::four_voices::tests::piece;

    const CORPUS: [&str; 2] = [
        "72 64 55 48 | 72 65 57 53 | 71 62 55 43 | 72 64 55 48 | 72 64 . 48",
        "69 64 60 45 | 68 64 59 52 | 69 64 60 45",
    ];

    /// Checks the longest run: (steps, start, corpus piece, start there).
    fn check(music: &str, expect: Option<(usize, usize, usize, usize)>) {
        let index = CorpusIndex::new(&CORPUS.map(piece));
        let run = index.longest_run(&piece(music));
        assert_eq!(run.map(|run| (run.steps, run.start, run.corpus_piece, run.corpus_start)), expect, "{music}");
    }

    #[test]
    fn runs_are_found_in_any_transposition() {
        check(CORPUS[0], Some((5, 0, 0, 0)));
        check("60 60 60 60 | 74 67 59 55 | 73 64 57 45 | 74 66 57 50 | 74 66 57 51", Some((3, 1, 0, 1)));
        check("40 40 40 40 | 74 66 57 50 | 74 67 59 55 | 73 64 57 45 | 74 66 57 50", Some((4, 1, 0, 0)));
        check("67 62 58 43 | 66 62 57 50 | 67 62 58 43 | 67 62 58 43", Some((3, 0, 1, 0)));
    }

    #[test]
    fn a_change_of_transposition_ends_a_run() {
        // The first two chords are copied, the third is a semitone higher.
        check("72 64 55 48 | 72 65 57 53 | 72 63 56 44 | 73 65 56 49", Some((2, 0, 0, 0)));
        check("72 64 55 48 | 72 64 55 49 | 72 65 55 49", None);
        check("72 64 55 48", None);
        check(". . . . | . . . . | . . . .", None);
    }

    #[test]
    fn a_run_ends_where_a_piece_of_the_corpus_ends() {
        let joined = format!("{} | {}", CORPUS[0], CORPUS[1]);
        check(&joined, Some((5, 0, 0, 0)));
    }

    #[test]
    fn random_music_gives_the_result_of_an_exhaustive_search() {
        let mut rng = SplitMix64::new(3);
        let mut random_piece = |steps: usize| -> FourVoices {
            let mut chord = || match rng.next_below(12) {
                0 => [None; 4],
                n => {
                    [Some(70 + n as u8 % 2), None, Some(60), Some(50 + n as u8 % 3)].map(|p| p.map(|p| p + n as u8 / 6))
                }
            };
            FourVoices { rows: (0..steps).map(|_| chord()).collect(), ..FourVoices::default() }
        };
        for _ in 0..200 {
            let corpus = [random_piece(30), random_piece(1), random_piece(40)];
            let music = random_piece(30);
            let found = CorpusIndex::new(&corpus).longest_run(&music).map_or(0, |run| run.steps);
            let plain = corpus.iter().map(|other| plain_search(&music.rows, &other.rows)).max().unwrap();
            assert_eq!(found, plain, "{music:?} in {corpus:?}");
        }
    }

    /// Compares every position with every other.
    fn plain_search(a: &[Row], b: &[Row]) -> usize {
        let interval = |a: &Row, b: &Row| -> Option<i16> {
            let differences: Vec<_> = a.iter().zip(b).map(|(a, b)| Some(i16::from((*a)?) - i16::from((*b)?))).collect();
            let known = differences.iter().flatten().next().copied();
            let same = a.iter().zip(b).all(|(a, b)| a.is_some() == b.is_some());
            known.filter(|d| same && differences.iter().flatten().all(|other| other == d))
        };
        let run = |i: usize, j: usize| {
            let mut pairs = a[i..].iter().zip(&b[j..]).map(|(a, b)| interval(a, b));
            let Some(first) = pairs.next().flatten() else { return 0 };
            1 + pairs.take_while(|d| *d == Some(first)).count()
        };
        let runs = (0..a.len()).flat_map(|i| (0..b.len()).map(move |j| (i, j))).map(|(i, j)| run(i, j));
        runs.filter(|&steps| steps > 1).max().unwrap_or(0)
    }
}
