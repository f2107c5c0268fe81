//! The longest run of notes that a piece shares with a corpus, in any transposition: found for all pieces at once with
//! a suffix array.

use super::music::Music;

/// A run that a piece shares with a piece of the corpus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its length in notes.
    pub notes: usize,
    /// Its first note in the piece, notes counted event by event, from the top.
    pub start: usize,
    /// The index of the corpus piece.
    pub corpus_piece: usize,
    /// Its first note there.
    pub corpus_start: usize,
}

/// For each piece of `music`, then for each of `corpus`, the longest run that it shares with a piece of the corpus;
/// `None` if there is none of at least two notes. For a corpus piece, pieces of the same work do not count; `works` has
/// the work of each. Two runs are the same if the same notes follow each other by interval and by whether they start
/// together; rhythm does not count.
pub fn longest_runs(music: &[Music], corpus: &[Music], works: &[usize]) -> Vec<Option<Run>> {
    let text = Text::of(music.iter().chain(corpus));
    let order = order(&text.moves);
    let shared = shared_with_next(&text.moves, &order);
    // A position of the corpus has a work; one of the music has none.
    let work_of = |at: usize| text.piece_of[at].checked_sub(music.len()).map(|piece| works[piece]);
    let mut longest: Vec<Option<Run>> = vec![None; music.len() + corpus.len()];
    let mut look = |order: &mut dyn Iterator<Item = (usize, usize)>| {
        let mut nearest = Nearest::default();
        for (at, shared_with_last) in order {
            nearest.step(shared_with_last);
            let (piece, work) = (text.piece_of[at], work_of(at));
            if let Some((other, moves)) = nearest.of_another_work(work)
                && longest[piece].is_none_or(|run| moves + 1 > run.notes)
            {
                let other_piece = text.piece_of[other];
                longest[piece] = Some(Run {
                    notes: moves + 1,
                    start: at - text.beginnings[piece],
                    corpus_piece: other_piece - music.len(),
                    corpus_start: other - text.beginnings[other_piece],
                });
            }
            if let Some(work) = work {
                nearest.push(at, work);
            }
        }
    };
    let down = |n: usize| (order[n], if n == 0 { 0 } else { shared[n - 1] });
    let up = |n: usize| (order[n], shared.get(n).copied().unwrap_or(0));
    look(&mut (0..order.len()).map(down));
    look(&mut (0..order.len()).rev().map(up));
    longest
}

/// The last two positions of the corpus on the way through the suffix array that belong to different works: position,
/// work, and how many moves it shares with the current position.
#[derive(Default)]
struct Nearest {
    last: Option<(usize, usize, usize)>,
    of_other_work: Option<(usize, usize, usize)>,
}

impl Nearest {
    /// Goes on to a position that shares so many moves with the one before.
    fn step(&mut self, shared: usize) {
        for nearest in [&mut self.last, &mut self.of_other_work].into_iter().flatten() {
            nearest.2 = nearest.2.min(shared);
        }
    }

    /// The nearest position of another work than this, and how many moves it shares: at least one.
    fn of_another_work(&self, work: Option<usize>) -> Option<(usize, usize)> {
        let nearest = self.last.filter(|last| Some(last.1) != work).or(self.of_other_work)?;
        (nearest.2 > 0).then_some((nearest.0, nearest.2))
    }

    fn push(&mut self, at: usize, work: usize) {
        if self.last.is_some_and(|last| last.1 != work) {
            self.of_other_work = self.last;
        }
        self.last = Some((at, work, usize::MAX));
    }
}

/// Pieces one after the other, as moves from note to note.
struct Text {
    /// A number for each interval, apart for notes that start together; after each piece a number of its own.
    moves: Vec<u32>,
    piece_of: Vec<usize>,
    /// Where each piece begins.
    beginnings: Vec<usize>,
}

impl Text {
    fn of<'a>(pieces: impl Iterator<Item = &'a Music>) -> Self {
        let mut text = Self { moves: Vec::new(), piece_of: Vec::new(), beginnings: Vec::new() };
        for (idx, piece) in pieces.enumerate() {
            text.beginnings.push(text.moves.len());
            let firsts = piece.events.iter().flat_map(|event| (0..event.notes.len()).map(|n| n == 0));
            let notes: Vec<(u8, bool)> = piece.notes().map(|note| note.pitch).zip(firsts).collect();
            text.moves.extend(notes.windows(2).map(|pair| {
                let interval = u32::from(pair[1].0) + 128 - u32::from(pair[0].0);
                2 * interval + u32::from(pair[1].1)
            }));
            text.moves.push(u32::MAX - idx as u32);
            text.piece_of.resize(text.moves.len(), idx);
        }
        text
    }
}

/// The suffix array: all positions, sorted by what follows them. By prefix doubling (U. Manber and G. Myers, "Suffix
/// arrays: a new method for on-line string searches", 1993): long copies do not slow it down.
fn order(text: &[u32]) -> Vec<usize> {
    let mut rank: Vec<u64> = text.iter().map(|&number| u64::from(number) + 1).collect();
    let mut order: Vec<usize> = (0..text.len()).collect();
    order.sort_unstable_by_key(|&at| rank[at]);
    let mut known = 0;
    loop {
        // Positions with the same rank share their first `known` moves; those after them decide.
        let key = |rank: &[u64], at: usize| (rank[at], rank.get(at + known).copied().unwrap_or(0));
        let mut next = vec![0; text.len()];
        let mut number = 0;
        for n in 0..order.len() {
            number += u64::from(n == 0 || key(&rank, order[n - 1]) != key(&rank, order[n]));
            next[order[n]] = number;
        }
        rank = next;
        if number as usize == text.len() {
            return order;
        }
        known = (2 * known).max(1);
        let keys: Vec<u128> = (0..text.len())
            .map(|at| u128::from(rank[at]) << 64 | u128::from(rank.get(at + known).copied().unwrap_or(0)))
            .collect();
        order.sort_unstable_by_key(|&at| keys[at]);
    }
}

/// How many moves each position of a suffix array shares with the next one (T. Kasai and others, "Linear-time
/// longest-common-prefix computation in suffix arrays and its applications", 2001).
fn shared_with_next(text: &[u32], order: &[usize]) -> Vec<usize> {
    let mut place = vec![0; text.len()];
    order.iter().enumerate().for_each(|(n, &at)| place[at] = n);
    let mut shared = vec![0; text.len().saturating_sub(1)];
    let mut length = 0_usize;
    for at in 0..text.len() {
        let Some(&next) = order.get(place[at] + 1) else {
            length = 0;
            continue;
        };
        length += text[at + length..].iter().zip(&text[next + length..]).take_while(|(a, b)| a == b).count();
        shared[place[at]] = length;
        length = length.saturating_sub(1);
    }
    shared
}

#[cfg(test)]
mod tests {
    use continuo_model::random::SplitMix64;

    use super::*;
    use crate::compare::music::tests::music;

    fn line(pitches: &[u8]) -> Music {
        music(&pitches.iter().enumerate().map(|(n, pitch)| format!("{}+4:{pitch} ", 4 * n)).collect::<String>())
    }

    /// For each piece: notes, start, corpus piece, start there.
    fn check(pieces: &[Music], corpus: &[Music], works: &[usize], expect: &[Option<(usize, usize, usize, usize)>]) {
        let runs = longest_runs(pieces, corpus, works);
        let words = runs.iter().map(|run| run.map(|run| (run.notes, run.start, run.corpus_piece, run.corpus_start)));
        assert_eq!(words.collect::<Vec<_>>(), expect);
    }

    #[test]
    fn runs_are_found_in_any_transposition_and_rhythm() {
        let corpus = [line(&[60, 62, 64, 65, 67, 60]), line(&[60, 50, 70, 61])];
        let slow = music("0+8:40 8+8:62 16+1:64 17+8:66 25+8:67 33+4:50");
        check(&[slow], &corpus, &[0, 1], &[Some((4, 1, 0, 0)), None, None]);
        check(&[line(&[60, 59])], &corpus, &[0, 1], &[None, None, None]);
        // The same pitches together are no copy of a line, and a chord is one of itself.
        let chords = [music("0+4:60.64.67 4+4:59.65.67")];
        check(&[line(&[67, 64, 60])], &chords, &[0], &[None, None]);
        check(&[music("0+4:61.65.68 4+4:60.66.68")], &chords, &[0], &[Some((6, 0, 0, 0)), None]);
    }

    #[test]
    fn other_editions_of_the_same_work_do_not_count_for_the_corpus() {
        let tune = [60, 62, 64, 65, 67, 71, 60, 61];
        let corpus = [line(&tune), line(&tune), line(&[50, 52, 54, 55, 80])];
        let of_the_other = Some((4, 0, 2, 0));
        let expect = [Some((8, 0, 0, 0)), of_the_other, of_the_other, Some((4, 0, 0, 0))];
        check(&[line(&tune)], &corpus, &[0, 0, 1], &expect);
    }

    #[test]
    fn random_music_gives_the_result_of_an_exhaustive_search() {
        let mut rng = SplitMix64::new(5);
        let mut random = |length: usize| line(&(0..length).map(|_| 60 + rng.next_below(3) as u8).collect::<Vec<_>>());
        for _ in 0..100 {
            let (pieces, corpus) = ([random(20), random(1)], [random(30), random(25), random(2), random(28)]);
            let works = [0, 0, 1, 2];
            let found = longest_runs(&pieces, &corpus, &works);
            let all = pieces.iter().map(|piece| (piece, None)).chain(corpus.iter().zip(works.map(Some)));
            for ((piece, work), run) in all.zip(found) {
                let others = corpus.iter().zip(works).filter(|(_, other)| Some(*other) != work);
                let longest = others.map(|(other, _)| plain_search(piece, other)).max().unwrap();
                assert_eq!(run.map_or(0, |run| run.notes), longest);
            }
        }
    }

    fn plain_search(a: &Music, b: &Music) -> usize {
        let pitches = |music: &Music| music.notes().map(|note| i16::from(note.pitch)).collect::<Vec<_>>();
        let (a, b) = (pitches(a), pitches(b));
        let run = |i: usize, j: usize| a[i..].iter().zip(&b[j..]).take_while(|(x, y)| **x - **y == a[i] - b[j]).count();
        let runs = (0..a.len()).flat_map(|i| (0..b.len()).map(move |j| (i, j))).map(|(i, j)| run(i, j));
        runs.filter(|&notes| notes > 1).max().unwrap_or(0)
    }
}
