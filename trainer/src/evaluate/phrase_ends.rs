//! Finds the ends of phrases: a logistic regression over what is heard on a beat, fitted to the fermatas of a corpus.

use continuo_model::tokeniser::grid::{NUM_VOICES, STEPS_PER_BEAT};
use serde::Serialize;

use super::harmony::beats;
use crate::critique::chords::{Chord, Quality};
use crate::preparation::four_voices::FourVoices;

const NUM_FEATURES: usize = 15;
/// Of two ends closer than this, only the likelier one counts.
const CLOSEST_STEPS: usize = 3 * STEPS_PER_BEAT;
/// No phrase ends before this step.
const EARLIEST_STEP: usize = 2 * STEPS_PER_BEAT;
/// Rounds of Newton's method.
const ROUNDS: usize = 12;
/// The weight of the squared weights in the loss: a small one, so that a feature that never occurs keeps weight 0.
const RIDGE: f64 = 0.1;

type Features = [f64; NUM_FEATURES];

/// A fitted detector. The JSON of `evaluate --free` contains it.
#[derive(Clone, Debug, Serialize)]
pub struct Detector {
    /// The weight of each of the [`features`].
    weights: Features,
    /// Beats with a higher score are ends.
    threshold: f64,
}

impl Detector {
    /// For music without fermatas: what [`Self::fit`] finds for Bach's training chorales, as printed by `evaluate
    /// --free --json` on a corpus with fermatas.
    pub const OF_CHORALES: Self = Self {
        weights: [-15.8, 3.61, 2.52, 1.88, 7.78, -1.25, 1.61, 1.25, -1.83, -1.64, 2.02, 1.97, -0.79, 2.15, 1.06],
        threshold: -0.9,
    };

    /// Fits a detector to the pieces that have fermatas; `None` if no piece has any.
    pub fn fit(pieces: &[FourVoices]) -> Option<Self> {
        let with: Vec<FourVoices> = pieces.iter().filter(|piece| piece.fermatas.contains(&true)).cloned().collect();
        if with.is_empty() {
            return None;
        }
        let examples_of = |piece: &FourVoices| -> Vec<(Features, f64)> {
            let (ends, starts) = (fermata_starts(piece), piece.starts());
            let label = |step: usize| f64::from(u8::from(ends.contains(&step)));
            beats(piece).map(|step| (features(piece, &starts, step), label(step))).collect()
        };
        let weights = regression(&with.iter().flat_map(examples_of).collect::<Vec<_>>());
        // The threshold with the best F1 on the same pieces.
        let candidates = (-30..=20).map(|tenths| Self { weights, threshold: f64::from(tenths) / 10.0 });
        candidates.max_by(|a, b| a.f1(&with).total_cmp(&b.f1(&with)))
    }

    /// The steps on which the last chords of phrases begin, in order.
    pub fn ends(&self, piece: &FourVoices) -> Vec<usize> {
        let starts = piece.starts();
        let late = beats(piece).filter(|step| *step >= EARLIEST_STEP);
        let scored = late.map(|step| (score(&self.weights, &features(piece, &starts, step)), step));
        let mut likely: Vec<(f64, usize)> = scored.filter(|(score, _)| *score > self.threshold).collect();
        likely.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut ends: Vec<usize> = Vec::new();
        for (_, step) in likely {
            if ends.iter().all(|end| end.abs_diff(step) >= CLOSEST_STEPS) {
                ends.push(step);
            }
        }
        ends.sort_unstable();
        ends
    }

    /// The F1 of the detector on the pieces that have fermatas; NaN without any.
    pub fn f1(&self, pieces: &[FourVoices]) -> f64 {
        let (mut right, mut found, mut written) = (0, 0, 0);
        for piece in pieces.iter().filter(|piece| piece.fermatas.contains(&true)) {
            let (ends, fermatas) = (self.ends(piece), fermata_starts(piece));
            right += ends.iter().filter(|end| fermatas.contains(end)).count();
            found += ends.len();
            written += fermatas.len();
        }
        2.0 * f64::from(right as u32) / (found + written) as f64
    }
}

/// The steps on which fermatas begin.
fn fermata_starts(piece: &FourVoices) -> Vec<usize> {
    let begins = |step: &usize| piece.fermatas[*step] && (*step == 0 || !piece.fermatas[step - 1]);
    (0..piece.fermatas.len()).filter(begins).collect()
}

fn score(weights: &Features, features: &Features) -> f64 {
    weights.iter().zip(features).map(|(weight, x)| weight * x).sum()
}

/// The weights of a logistic regression, by Newton's method (T. Hastie, R. Tibshirani and J. Friedman, *The Elements of
/// Statistical Learning*, 2009, section 4.4.1).
fn regression(examples: &[(Features, f64)]) -> Features {
    let mut weights = [0.0; NUM_FEATURES];
    for _ in 0..ROUNDS {
        let mut gradient = weights.map(|weight| -RIDGE * weight);
        let mut curvature = [[0.0; NUM_FEATURES]; NUM_FEATURES];
        (0..NUM_FEATURES).for_each(|i| curvature[i][i] = RIDGE);
        for (features, label) in examples {
            let probability = 1.0 / (1.0 + f64::exp(-score(&weights, features)));
            for (i, x) in features.iter().enumerate().filter(|(_, x)| **x != 0.0) {
                gradient[i] += (label - probability) * x;
                for (j, y) in features.iter().enumerate() {
                    curvature[i][j] += probability * (1.0 - probability) * x * y;
                }
            }
        }
        let change = solve(curvature, gradient);
        weights.iter_mut().zip(change).for_each(|(weight, change)| *weight += change);
    }
    weights
}

/// Solves `matrix * x = right` for a positive definite matrix, by elimination.
fn solve(mut matrix: [Features; NUM_FEATURES], mut right: Features) -> Features {
    for i in 0..NUM_FEATURES {
        let pivot = matrix[i];
        for row in i + 1..NUM_FEATURES {
            let factor = matrix[row][i] / pivot[i];
            matrix[row].iter_mut().zip(pivot).for_each(|(cell, above)| *cell -= factor * above);
            right[row] -= factor * right[i];
        }
    }
    for i in (0..NUM_FEATURES).rev() {
        let known: f64 = (i + 1..NUM_FEATURES).map(|j| matrix[i][j] * right[j]).sum();
        right[i] = (right[i] - known) / matrix[i][i];
    }
    right
}

/// For how many steps from `step` on a voice does the same: the rest of its note, or of its silence.
pub fn stays(piece: &FourVoices, starts: &[u8], voice: usize, step: usize) -> usize {
    let same = |next: &usize| piece.rows[*next][voice] == piece.rows[step][voice] && starts[*next] >> voice & 1 == 0;
    1 + (step + 1..piece.rows.len()).take_while(same).count()
}

/// What is heard on a beat, each 0 or 1. Neither the metre nor earlier ends count, so that the detector has no opinion
/// on how long phrases are.
fn features(piece: &FourVoices, starts: &[u8], step: usize) -> Features {
    let (row, before) = (&piece.rows[step], if step == 0 { [None; NUM_VOICES] } else { piece.rows[step - 1] });
    let [soprano, alto, tenor, bass] = std::array::from_fn(|voice| stays(piece, starts, voice, step));
    let still = soprano.min(alto).min(tenor).min(bass);
    let after = step + soprano;
    // Semitones up from one pitch to another.
    let up = |from: Option<u8>, to: Option<u8>| Some(i16::from(to?) - i16::from(from?));
    let lowest = NUM_VOICES - 1;
    let bass_up = up(before[lowest], row[lowest]).map(|interval| interval.rem_euclid(12));
    let next = piece.rows.get(after);
    let known = |chord: &Chord| matches!(chord.quality, Quality::Major | Quality::Minor | Quality::Open);
    let chord = Chord::of(row).filter(known);
    let above_root = |pitch: u8| chord.map(|chord| (pitch + 12 - chord.root) % 12);
    let dominant_before = [7, 11].iter().all(|class| before.iter().flatten().any(|p| above_root(*p) == Some(*class)));
    let all: u8 = (1 << NUM_VOICES) - 1;
    [
        true,
        still >= STEPS_PER_BEAT,
        still >= 2 * STEPS_PER_BEAT,
        soprano >= 3 * STEPS_PER_BEAT,
        starts[step] & 1 == 1,
        starts[step] == all,
        // Some voice moves within the beat before.
        starts[step.saturating_sub(STEPS_PER_BEAT - 1)..step].iter().any(|bits| *bits != 0),
        // The soprano comes down by a step; it goes on by a step; it goes on with a longer note; all go on together.
        up(before[0], row[0]).is_some_and(|interval| (-2..0).contains(&interval)),
        next.and_then(|next| up(row[0], next[0])).is_some_and(|interval| (1..=2).contains(&interval.abs())),
        next.is_some() && stays(piece, starts, 0, after) > soprano,
        starts.get(after).is_none_or(|bits| *bits == all),
        chord.is_some_and(|chord| chord.inversion() == 0),
        row[0].and_then(above_root).is_some_and(|class| matches!(class, 3 | 4)),
        // The bass falls a fifth from a dominant, or a fourth from anywhere.
        dominant_before && bass_up == Some(5),
        bass_up == Some(7),
    ]
    .map(|is| f64::from(u8::from(is)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preparation::four_voices::tests::piece;

    /// Phrases of eight beats: seven moving ones, in eighths, and a long chord.
    fn phrases(count: usize) -> FourVoices {
        let (c, d) = ("72* 64* 55* 48*|72 64 55 48", "74* 65* 57* 50*|74 65 57 50");
        let moving = [c, d].join("|");
        let last = "72* 64* 55* 48*|72 64 55 48|72 64 55 48|72 64 55 48";
        let phrase = [vec![moving.as_str(); 7], vec![last]].concat().join("|");
        let mut piece = piece(&vec![phrase.as_str(); count].join("|"));
        piece.fermatas = (0..piece.rows.len()).map(|step| step % 32 >= 28).collect();
        piece
    }

    #[test]
    fn fermatas_are_found_again_without_being_seen() {
        let detector = Detector::fit(&[phrases(6)]).unwrap();
        let mut others = phrases(3);
        assert_eq!(detector.f1(std::slice::from_ref(&others)), 1.0);
        others.fermatas.clear();
        assert_eq!(detector.ends(&others), [28, 60, 92]);
        assert!(detector.f1(&[others]).is_nan());
    }

    #[test]
    fn the_stored_detector_finds_the_long_chords() {
        assert_eq!(Detector::OF_CHORALES.ends(&phrases(3)), [28, 60, 92]);
    }

    #[test]
    fn without_fermatas_nothing_can_be_fitted() {
        let mut piece = phrases(1);
        piece.fermatas.clear();
        assert!(Detector::fit(&[piece]).is_none());
    }
}
