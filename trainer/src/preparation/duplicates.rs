//! Near-duplicates: pieces whose top lines share long runs, in any key and rhythm, form a family.

use std::collections::HashMap;

use continuo_model::hash::fnv1a;

use super::split::Identity;

/// Intervals in a run.
const RUN_INTERVALS: usize = 12;
/// A run that occurs in more pieces than this is a common figure, such as a scale or a repeated note, and proves no
/// relationship.
const COMMONPLACE: usize = 60;

/// Pieces grouped into families.
pub struct Families {
    /// For each piece, another piece of its family or itself. Following the links leads to the family's root.
    parents: Vec<usize>,
}

impl Families {
    /// Joins pieces that share more than `shared_runs` of the runs of the piece with fewer.
    pub fn of(pieces: &[Identity], shared_runs: f64) -> Self {
        let mut families = Self { parents: (0..pieces.len()).collect() };
        let runs: Vec<Vec<u64>> = pieces.iter().map(|piece| runs_of(&piece.top_line)).collect();
        let mut songs_with: HashMap<u64, Vec<u32>> = HashMap::new();
        for (song, runs) in runs.iter().enumerate() {
            for run in runs {
                songs_with.entry(*run).or_default().push(song as u32);
            }
        }
        for (song, own) in runs.iter().enumerate() {
            let mut shared: HashMap<u32, usize> = HashMap::new();
            for run in own {
                let with = &songs_with[run];
                if with.len() <= COMMONPLACE {
                    with.iter().filter(|&&other| (other as usize) < song).for_each(|other| {
                        *shared.entry(*other).or_default() += 1;
                    });
                }
            }
            for (other, count) in shared {
                let shorter = own.len().min(runs[other as usize].len());
                if count as f64 > shared_runs * shorter as f64 {
                    families.join(song, other as usize);
                }
            }
        }
        families
    }

    /// Joins the pieces whose names are in the same group.
    pub fn join_named(&mut self, pieces: &[Identity], groups: &[Vec<String>]) {
        let mut of_name: HashMap<&str, Vec<usize>> = HashMap::new();
        for (idx, piece) in pieces.iter().enumerate() {
            of_name.entry(&piece.name).or_default().push(idx);
        }
        for group in groups {
            let members: Vec<usize> =
                group.iter().filter_map(|name| of_name.get(name.as_str())).flatten().copied().collect();
            members.windows(2).for_each(|pair| self.join(pair[0], pair[1]));
        }
    }

    /// The family of each piece. Families are numbered in the order of their first pieces.
    pub fn numbers(&self) -> Vec<usize> {
        let mut numbers = HashMap::new();
        (0..self.parents.len())
            .map(|song| {
                let next = numbers.len();
                *numbers.entry(self.root(song)).or_insert(next)
            })
            .collect()
    }

    fn root(&self, mut song: usize) -> usize {
        while self.parents[song] != song {
            song = self.parents[song];
        }
        song
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        // The lower index becomes the root, so the result does not depend on the order of joining.
        self.parents[a.max(b)] = a.min(b);
    }
}

/// The distinct runs of a top line. A line shorter than a run counts as one run.
fn runs_of(line: &[u8]) -> Vec<u64> {
    let intervals: Vec<i16> = line.windows(2).map(|pair| i16::from(pair[1]) - i16::from(pair[0])).collect();
    let hash = |run: &[i16]| fnv1a(run.iter().flat_map(|interval| interval.to_le_bytes()));
    let mut runs: Vec<u64> = match intervals.len() {
        0..RUN_INTERVALS => vec![hash(&intervals)],
        _ => intervals.windows(RUN_INTERVALS).map(hash).collect(),
    };
    runs.sort_unstable();
    runs.dedup();
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn song(name: &str, pitches: impl IntoIterator<Item = u8>) -> Identity {
        Identity { name: name.into(), split: None, top_line: pitches.into_iter().collect() }
    }

    /// A different line for each `seed`.
    fn line(seed: u64, len: usize) -> Vec<u8> {
        let mut rng = continuo_model::random::SplitMix64::new(seed);
        (0..len).map(|_| 60 + rng.next_below(13) as u8).collect()
    }

    #[test]
    fn songs_that_share_enough_are_one_family() {
        let (a, b) = (line(1, 100), line(2, 100));
        let other_key = a.iter().map(|pitch| pitch + 5);
        let half_of_b = [&line(3, 50)[..], &b[50..]].concat();
        let third_of_b = [&line(4, 68)[..], &b[68..]].concat();
        let mut one_note_off = b.clone();
        one_note_off[20] += 1;
        let songs = [
            song("a", a.clone()),
            song("b", b),
            song("a higher", other_key),
            song("half of b", half_of_b),
            song("a third of b", third_of_b),
            song("b with a slip", one_note_off),
            song("the beginning of a", a[..40].iter().copied()),
        ];
        assert_eq!(Families::of(&songs, 0.4).numbers(), [0, 1, 0, 1, 2, 1, 0]);
        assert_eq!(Families::of(&songs, 0.9).numbers(), [0, 1, 0, 2, 3, 4, 0]);
        let mut named = Families::of(&songs, 0.9);
        named.join_named(&songs, &[vec!["half of b".into(), "nowhere".into(), "b".into()]]);
        assert_eq!(named.numbers(), [0, 1, 0, 1, 2, 3, 0]);
    }

    #[test]
    fn short_songs_are_compared_as_a_whole() {
        let songs = [song("a", [60, 62, 64]), song("b", [65, 67, 69]), song("c", [60, 62, 63])];
        assert_eq!(Families::of(&songs, 0.4).numbers(), [0, 0, 1]);
    }
}
