//! Two sides as a whole: the means of their figures, how far their distributions are apart, and how well boosted trees
//! tell their windows apart.

use std::collections::BTreeSet;

use continuo_model::random::SplitMix64;

use super::figures::{Figures, NAMES, NUM_VELOCITY, Window, mean};
use crate::discriminator::auc_by_work;

/// The trees judge at most this many windows of a side, evenly spread.
const MOST_WINDOWS: usize = 1000;
/// How often the corpus is divided into random halves.
const HALVINGS: u64 = 3;

/// The windows of some pieces.
#[derive(Default)]
pub struct Side {
    /// The windows.
    pub windows: Vec<Window>,
    /// The work of each.
    pub works: Vec<usize>,
}

/// Figures, and the work of each window.
type Examples = (Vec<Vec<f64>>, Vec<usize>);

impl Side {
    /// The means over the windows. Of velocities NaN if a note has none.
    pub fn means(&self) -> Figures {
        std::array::from_fn(|n| mean(&self.windows.iter().map(|window| window.figures[n]).collect::<Vec<_>>()))
    }

    /// The works, each once.
    pub fn distinct_works(&self) -> BTreeSet<usize> {
        self.works.iter().copied().collect()
    }

    /// Half of the works at random, and the other half.
    fn halves(&self, rng_seed: u64) -> [BTreeSet<usize>; 2] {
        let mut works: Vec<usize> = self.distinct_works().into_iter().collect();
        SplitMix64::new(rng_seed).shuffle(&mut works);
        let second = works.split_off(works.len().div_ceil(2));
        [works, second].map(|half| half.into_iter().collect())
    }

    fn has_several_velocities(&self) -> bool {
        let mut all = self.windows.iter().flat_map(|window| &window.velocities);
        let first = all.next();
        all.any(|velocity| Some(velocity) != first) && self.windows.iter().all(|window| !window.velocities.is_empty())
    }

    /// At most [`MOST_WINDOWS`] windows of some works, with the first figures of each.
    fn examples(&self, works: &BTreeSet<usize>, num_features: usize) -> Examples {
        let all: Vec<usize> = (0..self.windows.len()).filter(|n| works.contains(&self.works[*n])).collect();
        let count = all.len().min(MOST_WINDOWS);
        let chosen = (0..count).map(|n| all[n * all.len() / count]);
        chosen.map(|n| (self.windows[n].figures[..num_features].to_vec(), self.works[n])).unzip()
    }

    /// The velocities of some works, sorted; none if a note has none.
    fn velocities(&self, works: &BTreeSet<usize>) -> Vec<f64> {
        let known = self.windows.iter().all(|window| !window.velocities.is_empty());
        if known { self.sorted(works, |window| &window.velocities) } else { Vec::new() }
    }

    fn sorted<'a>(&'a self, works: &BTreeSet<usize>, values: impl Fn(&'a Window) -> &'a Vec<f64>) -> Vec<f64> {
        let wanted = self.windows.iter().zip(&self.works).filter(|(_, work)| works.contains(work));
        let mut all: Vec<f64> = wanted.flat_map(|(window, _)| values(window)).copied().collect();
        all.sort_by(f64::total_cmp);
        all
    }
}

/// How many figures the trees judge by: all, or all but those of velocities unless each side has more than one
/// velocity.
pub fn num_features(sides: [&Side; 2]) -> usize {
    let velocities = sides.iter().all(|side| side.has_several_velocities());
    NAMES.len() - if velocities { 0 } else { NUM_VELOCITY }
}

/// How well trees tell the windows of two sides apart, and beside it those of two random halves of the second side's
/// works: the mean of some halvings.
pub fn aucs(sides: [&Side; 2]) -> [f64; 2] {
    let features = num_features(sides);
    let auc = |[a, b]: [Examples; 2]| auc_by_work([&a.0, &b.0], [&a.1, &b.1]);
    let corpus = sides[1];
    let halved = |rng_seed: u64| auc(corpus.halves(rng_seed).map(|half| corpus.examples(&half, features)));
    [
        auc(sides.map(|side| side.examples(&side.distinct_works(), features))),
        mean(&(1..=HALVINGS).map(halved).collect::<Vec<_>>()),
    ]
}

/// How far the velocities of two sides are apart, beside those of two halves of the second side's works; then the same
/// for distances from the 16ths. NaN where a note has no velocity.
pub fn distances(sides: [&Side; 2]) -> [[f64; 2]; 2] {
    let [music, corpus] = sides.map(Side::distinct_works);
    let [half, other] = sides[1].halves(1);
    let timing = |side: &Side, works: &BTreeSet<usize>| side.sorted(works, |window| &window.off_grid);
    let between = |values: &dyn Fn(&Side, &BTreeSet<usize>) -> Vec<f64>| {
        [
            earth_movers(&values(sides[0], &music), &values(sides[1], &corpus)),
            earth_movers(&values(sides[1], &half), &values(sides[1], &other)),
        ]
    };
    [between(&Side::velocities), between(&timing)]
}

/// The earth mover's distance of two sorted samples: by how much values would have to move, on average, to make one
/// distribution of the other. NaN if one is empty.
fn earth_movers(a: &[f64], b: &[f64]) -> f64 {
    if a.is_empty() || b.is_empty() {
        return f64::NAN;
    }
    let (mut at_a, mut at_b, mut sum) = (0, 0, 0.0);
    let mut value = a[0].min(b[0]);
    while at_a < a.len() || at_b < b.len() {
        let next = a.get(at_a).into_iter().chain(b.get(at_b)).copied().fold(f64::INFINITY, f64::min);
        let shares = (at_a as f64 / a.len() as f64, at_b as f64 / b.len() as f64);
        sum += (shares.0 - shares.1).abs() * (next - value);
        value = next;
        at_a += a[at_a..].iter().take_while(|x| **x <= value).count();
        at_b += b[at_b..].iter().take_while(|x| **x <= value).count();
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_are_apart_by_how_far_values_move() {
        assert_eq!(earth_movers(&[10.0, 20.0], &[10.0, 20.0]), 0.0);
        assert_eq!(earth_movers(&[10.0, 20.0], &[15.0, 25.0]), 5.0);
        assert_eq!(earth_movers(&[0.0], &[0.0, 0.0, 0.0, 8.0]), 2.0);
        assert_eq!(earth_movers(&[-1.0, 1.0, 1.0], &[0.0]), 1.0);
        assert!(earth_movers(&[], &[1.0]).is_nan());
    }
}
