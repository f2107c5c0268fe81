//! An n-gram: counts how often each word follows each run of words, and interpolates with shorter runs.

use std::collections::HashMap;

/// How probability is reserved for unseen continuations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Smoothing {
    /// By the number of different words that followed the run (I. Witten and T. Bell, "The zero-frequency problem",
    /// 1991).
    WittenBell,
    /// By subtracting a discount from every count; shorter runs count the different words before them instead of their
    /// occurrences (R. Kneser and H. Ney, "Improved backing-off for m-gram language modeling", 1995; interpolated, with
    /// one discount per length).
    KneserNey,
}

/// The counts of a run of words.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    /// How often it occurred.
    count: u32,
    /// How many different words preceded it; for a run at the start of a song, how often it occurred.
    kinds: u32,
    /// How many different words followed it.
    followers: u32,
    /// How often any word followed it.
    followed: u32,
    /// The sum of the followers' `kinds`.
    followed_kinds: u32,
    /// Whether it begins at the start of a song.
    begins: bool,
}

/// The counts of all runs up to a length.
pub struct NGram {
    vocab_size: usize,
    longest: usize,
    runs: Vec<Run>,
    /// From a run and the word after it to the run extended by that word.
    longer: HashMap<(u32, u16), u32>,
    /// For each length, the discount of `count` and of `kinds`.
    discounts: Vec<(f64, f64)>,
}

/// The empty run.
const EMPTY: u32 = 0;

impl NGram {
    /// Counts the runs of up to `longest` words in songs that end with `delimiter`; assumes one before each song, too.
    pub fn new<'a>(
        songs: impl IntoIterator<Item = &'a [u16]>,
        delimiter: u16,
        vocab_size: usize,
        longest: usize,
    ) -> Self {
        let runs = vec![Run::default()];
        let mut ngram = Self { vocab_size, longest, runs, longer: HashMap::new(), discounts: Vec::new() };
        for song in songs {
            // The runs that end with the previous word, by length.
            let mut before = vec![EMPTY, ngram.run_with(EMPTY, delimiter).0];
            for &word in song {
                before = ngram.count(&before, word);
            }
        }
        ngram.finish();
        ngram
    }

    /// Counts a word after `before`. Returns the runs that end with it.
    fn count(&mut self, before: &[u32], word: u16) -> Vec<u32> {
        let mut now = vec![EMPTY];
        for (len, &run) in before.iter().enumerate().take(self.longest) {
            let (longer, is_new) = self.run_with(run, word);
            self.runs[longer as usize].count += 1;
            // At the start of a song, the longest run begins with the delimiter.
            self.runs[longer as usize].begins |= len + 1 == before.len();
            if is_new && len > 0 {
                self.runs[now[len] as usize].kinds += 1;
            }
            now.push(longer);
        }
        now
    }

    fn run_with(&mut self, run: u32, word: u16) -> (u32, bool) {
        let next = self.runs.len() as u32;
        let longer = *self.longer.entry((run, word)).or_insert(next);
        if longer == next {
            self.runs.push(Run::default());
        }
        (longer, longer == next)
    }

    fn finish(&mut self) {
        let mut lengths = vec![0_u8; self.runs.len()];
        let mut edges: Vec<(u32, u32)> = self.longer.iter().map(|(&(run, _), &longer)| (run, longer)).collect();
        // A run has a lower number than its extensions.
        edges.sort_unstable();
        // For each length, the number of runs with count 1 and 2, and the same for kinds.
        let mut ones_and_twos = vec![[[0_u32; 2]; 2]; self.longest + 1];
        for (run, longer) in edges {
            lengths[longer as usize] = lengths[run as usize] + 1;
            let run_to = &mut self.runs[longer as usize];
            // The longest runs have no longer run from which to count the words before them.
            run_to.kinds = if run_to.begins { run_to.count } else { run_to.kinds };
            let Run { count, kinds, .. } = *run_to;
            if count == 0 {
                continue;
            }
            let from = &mut self.runs[run as usize];
            (from.followers, from.followed) = (from.followers + 1, from.followed + count);
            from.followed_kinds += kinds;
            for (which, figure) in [count, kinds].into_iter().enumerate() {
                if (1..=2).contains(&figure) {
                    ones_and_twos[usize::from(lengths[longer as usize])][which][figure as usize - 1] += 1;
                }
            }
        }
        let discount = |[ones, twos]: [u32; 2]| match ones {
            0 => 0.5,
            _ => f64::from(ones) / (f64::from(ones) + 2.0 * f64::from(twos)),
        };
        self.discounts = ones_and_twos.into_iter().map(|[counts, kinds]| (discount(counts), discount(kinds))).collect();
    }

    /// A reader at the start of a song.
    pub fn reader(&self, delimiter: u16) -> Reader<'_> {
        let beginning = self.longer.get(&(EMPTY, delimiter)).copied();
        Reader { ngram: self, before: [EMPTY].into_iter().chain(beginning).collect() }
    }
}

/// Reads a song.
#[derive(Clone)]
pub struct Reader<'a> {
    ngram: &'a NGram,
    /// The runs that end with the previous word, by length, as far as they are known.
    before: Vec<u32>,
}

impl Reader<'_> {
    /// The probability of `word` under the n-gram of each order, from 1 up to the longest.
    pub fn probabilities(&self, word: u16, smoothing: Smoothing) -> Vec<f64> {
        let ngram = self.ngram;
        // The probability under the next shorter run.
        let mut shorter = 1.0 / ngram.vocab_size as f64;
        let mut all = Vec::with_capacity(ngram.longest);
        for &before in self.before.iter().take(ngram.longest) {
            let from = &ngram.runs[before as usize];
            let to = ngram.longer.get(&(before, word)).map_or(Run::default(), |&run| ngram.runs[run as usize]);
            if from.followed == 0 {
                break;
            }
            match smoothing {
                Smoothing::WittenBell => {
                    let new = f64::from(from.followers);
                    shorter = (f64::from(to.count) + new * shorter) / (f64::from(from.followed) + new);
                    all.push(shorter);
                }
                Smoothing::KneserNey => {
                    let (by_count, by_kinds) = ngram.discounts[all.len() + 1];
                    let share = |figure: u32, of: u32, discount: f64| {
                        let left = f64::from(from.followers) * discount * shorter;
                        ((f64::from(figure) - discount).max(0.0) + left) / f64::from(of)
                    };
                    all.push(share(to.count, from.followed, by_count));
                    if from.followed_kinds > 0 {
                        shorter = share(to.kinds, from.followed_kinds, by_kinds);
                    }
                }
            }
        }
        // If no longer run is known, the shorter ones decide.
        let last = all.last().copied().unwrap_or(shorter);
        let known = if smoothing == Smoothing::KneserNey && all.len() < ngram.longest { shorter } else { last };
        all.resize(ngram.longest, known);
        all
    }

    /// Advances past `word`.
    pub fn feed(&mut self, word: u16) {
        let ngram = self.ngram;
        let longer = |run: &u32| ngram.longer.get(&(*run, word)).copied();
        let runs = self.before.iter().take(ngram.longest).map_while(longer);
        self.before = [EMPTY].into_iter().chain(runs).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SONGS: [&[u16]; 3] = [&[1, 2, 1, 2, 3, 0], &[1, 2, 3, 3, 0], &[2, 1, 2, 4, 0]];
    const VOCAB_SIZE: u16 = 6;

    fn ngram(longest: usize) -> NGram {
        NGram::new(SONGS, 0, VOCAB_SIZE.into(), longest)
    }

    #[test]
    fn probabilities_sum_to_one() {
        let ngram = ngram(4);
        for smoothing in [Smoothing::WittenBell, Smoothing::KneserNey] {
            for song in [&[1, 2, 1, 2, 3, 3][..], &[5, 1, 2, 4], &[2, 1, 2, 3, 4, 4, 1]] {
                let mut reader = ngram.reader(0);
                for &word in song {
                    let all: Vec<_> = (0..VOCAB_SIZE).map(|word| reader.probabilities(word, smoothing)).collect();
                    for order in 0..4 {
                        let sum: f64 = all.iter().map(|probs| probs[order]).sum();
                        assert!((sum - 1.0).abs() < 1e-9, "{smoothing:?} {} {song:?}: {sum}", order + 1);
                        assert!(all.iter().all(|probs| probs[order] > 0.0));
                    }
                    reader.feed(word);
                }
            }
        }
    }

    #[test]
    fn counts_decide_as_the_formulas_say() {
        let ngram = ngram(2);
        let reader = ngram.reader(0);
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a}, not {b}");
        // 16 words: five of them are 2, after five kinds; two of three songs begin with 1, which has two kinds.
        let one = reader.probabilities(1, Smoothing::WittenBell);
        let unigram = (4.0 + 5.0 / 6.0) / (16.0 + 5.0);
        close(one[0], unigram);
        close(one[1], (2.0 + 2.0 * unigram) / (3.0 + 2.0));
        // By kinds: 1 follows the delimiter and 2; there are nine kinds of pairs.
        let pairs = [(0, 1), (0, 2), (1, 2), (2, 1), (2, 3), (2, 4), (3, 0), (3, 3), (4, 0)];
        let (ones, twos) = (1.0, 4.0); // kinds of the words: 0 two, 1 two, 2 two, 3 two, 4 one
        let discount = ones / (ones + 2.0 * twos);
        let by_kinds = (2.0 - discount + 5.0 * discount / 6.0) / pairs.len() as f64;
        // Counts of pairs: 1-2 four, 0-1 and 2-1 and 2-3 and 3-0 two, the four others one.
        let of_pairs = 4.0 / (4.0 + 2.0 * 4.0);
        let bigram = (2.0 - of_pairs + 2.0 * of_pairs * by_kinds) / 3.0;
        close(reader.probabilities(1, Smoothing::KneserNey)[1], bigram);
    }

    #[test]
    fn a_memorised_song_has_a_low_loss() {
        let song: Vec<u16> = (0..60).map(|n| 1 + n * n % 5).chain([0]).collect();
        let ngram = NGram::new([&song[..]], 0, 7, 6);
        for smoothing in [Smoothing::WittenBell, Smoothing::KneserNey] {
            let mut reader = ngram.reader(0);
            let mut losses = [0.0; 6];
            for &word in &song {
                let probs = reader.probabilities(word, smoothing);
                losses.iter_mut().zip(probs).for_each(|(loss, p)| *loss -= p.ln());
                reader.feed(word);
            }
            assert!(losses[5] < 0.5 * losses[0], "{losses:?}");
        }
    }
}
