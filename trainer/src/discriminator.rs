//! A discriminator: gradient-boosted trees that tell two groups of pieces apart by their figures, and how well they do
//! (J. Friedman, "Greedy function approximation: a gradient boosting machine", 2001).

use std::cmp::Reverse;
use std::collections::BTreeMap;

const ROUNDS: usize = 100;
const DEPTH: usize = 2;
const LEARNING_RATE: f64 = 0.1;
const FOLDS: usize = 5;
/// A leaf has at least this many examples.
const FEWEST: usize = 4;

/// An example: its figures, and whether it belongs to the first group.
type Example<'a> = (&'a [f64], bool);

/// A regression tree.
enum Tree {
    Leaf(f64),
    Split { feature: usize, below: f64, low: Box<Tree>, high: Box<Tree> },
}

impl Tree {
    /// Fits a tree to residuals, by the lowest squared error.
    fn fit(examples: &[(&Example, f64, f64)], depth: usize) -> Self {
        let leaf = || {
            // A Newton step of the logistic loss.
            let (sum, curvature) = examples.iter().fold((0.0, 1e-6), |(s, c), (_, r, h)| (s + r, c + h));
            Self::Leaf(sum / curvature)
        };
        if depth == 0 || examples.len() < 2 * FEWEST {
            return leaf();
        }
        let total: f64 = examples.iter().map(|(_, residual, _)| residual).sum();
        let count = examples.len() as f64;
        let mut best: Option<(f64, usize, f64)> = None;
        let mut sorted: Vec<(f64, f64)> = Vec::with_capacity(examples.len());
        for feature in 0..examples[0].0.0.len() {
            sorted.clear();
            sorted.extend(examples.iter().map(|(example, residual, _)| (example.0[feature], *residual)));
            sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
            let mut sum = 0.0;
            for (n, pair) in sorted.windows(2).enumerate() {
                sum += pair[0].1;
                let low = n + 1;
                if pair[0].0 == pair[1].0 || low < FEWEST || sorted.len() - low < FEWEST {
                    continue;
                }
                let low = low as f64;
                let gain = sum * sum / low + (total - sum) * (total - sum) / (count - low) - total * total / count;
                if best.is_none_or(|(highest, ..)| gain > highest) {
                    best = Some((gain, feature, f64::midpoint(pair[0].0, pair[1].0)));
                }
            }
        }
        let Some((_, feature, below)) = best.filter(|(gain, ..)| *gain > 1e-9) else { return leaf() };
        let (low, high): (Vec<_>, Vec<_>) = examples.iter().partition(|(example, ..)| example.0[feature] < below);
        let grow = |examples: Vec<(&Example, f64, f64)>| Box::new(Self::fit(&examples, depth - 1));
        Self::Split { feature, below, low: grow(low), high: grow(high) }
    }

    fn value(&self, figures: &[f64]) -> f64 {
        match self {
            Self::Leaf(value) => *value,
            Self::Split { feature, below, low, high } => {
                if figures[*feature] < *below {
                    low.value(figures)
                } else {
                    high.value(figures)
                }
            }
        }
    }
}

/// Scores of `judged` by trees fitted to `examples`.
fn scores(examples: &[Example], judged: &[&[f64]]) -> Vec<f64> {
    let mut fitted = vec![0.0; examples.len()];
    let mut scores = vec![0.0; judged.len()];
    for _ in 0..ROUNDS {
        let residuals: Vec<_> = examples
            .iter()
            .zip(&fitted)
            .map(|(example, score)| {
                let probability = 1.0 / (1.0 + f64::exp(-score));
                (example, f64::from(u8::from(example.1)) - probability, probability * (1.0 - probability))
            })
            .collect();
        let tree = Tree::fit(&residuals, DEPTH);
        fitted.iter_mut().zip(examples).for_each(|(score, (x, _))| *score += LEARNING_RATE * tree.value(x));
        scores.iter_mut().zip(judged).for_each(|(score, x)| *score += LEARNING_RATE * tree.value(x));
    }
    scores
}

/// How well trees tell two groups apart, by cross-validation: the area under the curve of true against false positives,
/// 0.5 if not at all and 1 if always. NaN if a group has fewer pieces than folds.
pub fn auc(first: &[Vec<f64>], second: &[Vec<f64>]) -> f64 {
    if first.len() < FOLDS || second.len() < FOLDS {
        return f64::NAN;
    }
    let dealt = |pieces: &[Vec<f64>]| (0..pieces.len()).map(|n| n % FOLDS).collect::<Vec<_>>();
    auc_in_folds([first, second], [&dealt(first), &dealt(second)])
}

/// The same for windows of works: the trees never judge a window of a work from which they have learnt another, in
/// either group. `works` holds for each window the number of its work; both groups number the same works alike. NaN if
/// a group has fewer works than folds.
pub fn auc_by_work(groups: [&[Vec<f64>]; 2], works: [&[usize]; 2]) -> f64 {
    let mut sizes: [BTreeMap<usize, usize>; 2] = Default::default();
    for (sizes, works) in sizes.iter_mut().zip(works) {
        works.iter().for_each(|work| *sizes.entry(*work).or_default() += 1);
    }
    if sizes.iter().any(|sizes| sizes.len() < FOLDS) {
        return f64::NAN;
    }
    // The largest works first, each to the fold that has the fewest windows of the group where the work is larger.
    let of = |group: usize, work: usize| sizes[group].get(&work).copied().unwrap_or(0);
    let mut all: Vec<usize> = sizes.iter().flat_map(BTreeMap::keys).copied().collect();
    all.sort_unstable();
    all.dedup();
    all.sort_by_key(|work| Reverse(of(0, *work).max(of(1, *work))));
    let (mut counts, mut fold_of) = ([[0; 2]; FOLDS], BTreeMap::new());
    for work in all {
        let group = usize::from(of(1, work) > of(0, work));
        let fold = (0..FOLDS).min_by_key(|fold| counts[*fold][group]).expect("there are folds");
        (0..2).for_each(|group| counts[fold][group] += of(group, work));
        fold_of.insert(work, fold);
    }
    let folds = works.map(|works| works.iter().map(|work| fold_of[work]).collect::<Vec<_>>());
    auc_in_folds(groups, [&folds[0], &folds[1]])
}

fn auc_in_folds(groups: [&[Vec<f64>]; 2], folds: [&[usize]; 2]) -> f64 {
    let (mut areas, mut pairs) = (0.0, 0.0);
    for fold in 0..FOLDS {
        let part = |held: bool| -> Vec<Example> {
            let of_group = |group: usize| {
                let examples = groups[group].iter().zip(folds[group]).filter(move |(_, of)| (**of == fold) == held);
                examples.map(move |(figures, _)| (figures.as_slice(), group == 0))
            };
            of_group(0).chain(of_group(1)).collect()
        };
        let held = part(true);
        let scores = scores(&part(false), &held.iter().map(|(figures, _)| *figures).collect::<Vec<_>>());
        let of_group = |first: bool| held.iter().zip(&scores).filter(move |((_, is_first), _)| *is_first == first);
        for (_, a) in of_group(true) {
            for (_, b) in of_group(false) {
                pairs += 1.0;
                areas += if a == b { 0.5 } else { f64::from(u8::from(a > b)) };
            }
        }
    }
    areas / pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_model::random::SplitMix64;

    /// Pieces with random figures, the second of which is shifted.
    fn pieces(rng_seed: u64, count: usize, shift: f32) -> Vec<Vec<f64>> {
        let mut rng = SplitMix64::new(rng_seed);
        (0..count).map(|_| [0.0, shift, 0.0].map(|shift| f64::from(rng.next_f32() + shift)).to_vec()).collect()
    }

    #[test]
    fn different_groups_are_told_apart_and_like_ones_are_not() {
        assert!(auc(&pieces(1, 60, 0.0), &pieces(2, 80, 1.0)) > 0.99);
        let alike = auc(&pieces(1, 100, 0.0), &pieces(2, 100, 0.0));
        assert!((0.38..0.62).contains(&alike), "{alike}");
        let somewhat = auc(&pieces(1, 100, 0.0), &pieces(2, 100, 0.3));
        assert!((0.6..0.9).contains(&somewhat), "{somewhat}");
        assert!(auc(&pieces(1, 4, 0.0), &pieces(2, 80, 0.0)).is_nan());
    }

    #[test]
    fn windows_of_one_work_stay_in_one_fold() {
        // The first figure tells each work from the others but says nothing about the group; trees that had heard the
        // same work before could tell all windows apart.
        let mut rng = SplitMix64::new(3);
        let mut group = |first_work: usize| -> (Vec<Vec<f64>>, Vec<usize>) {
            let place = [0; 30].map(|_| f64::from(rng.next_f32()));
            let windows = (0..300).map(|n| (vec![place[n / 10]], first_work + n / 10));
            windows.unzip()
        };
        let ((a, works_a), (b, works_b)) = (group(0), group(30));
        assert!(auc(&a, &b) > 0.9);
        let by_work = auc_by_work([&a, &b], [&works_a, &works_b]);
        assert!((0.3..0.7).contains(&by_work), "{by_work}");
        let few: Vec<usize> = works_b.iter().map(|work| work % 4).collect();
        assert!(auc_by_work([&a, &b], [&works_a, &few]).is_nan());
    }

    #[test]
    fn music_that_both_groups_share_is_not_told_apart() {
        let (a, works): (Vec<_>, Vec<_>) = pieces(1, 100, 0.0).into_iter().zip((0..100).map(|n| n / 5)).unzip();
        assert!(auc_by_work([&a, &a], [&works, &works]) <= 0.5);
        let shifted = pieces(2, 100, 1.0);
        assert!(auc_by_work([&a, &shifted], [&works, &works]) > 0.99);
    }
}
