//! Finds the ends of phrases: a logistic regression over what is heard on a beat, fitted to the fermatas of a corpus.

use continuo_model::tokeniser::grid::{NUM_VOICES, STEPS_PER_BEAT};

use super::harmony::{beats, is_consonant_triad};
use crate::preparation::four_voices::FourVoices;

const NUM_FEATURES: usize = 14;
/// Lengths above this, in steps, are alike.
const LONGEST: usize = 16;
/// Of two ends closer than this, only the likelier one counts.
const CLOSEST_STEPS: usize = 4 * STEPS_PER_BEAT;
const ROUNDS: usize = 400;
const LEARNING_RATE: f64 = 1.0;

type Features = [f64; NUM_FEATURES];

/// A fitted detector.
#[derive(Clone, Debug)]
pub struct Detector {
    weights: Features,
    /// Beats with a higher score are ends.
    threshold: f64,
}

impl Detector {
    /// Fits a detector to the pieces that have fermatas; `None` if no piece has any.
    pub fn fit(pieces: &[FourVoices]) -> Option<Self> {
        let with: Vec<&FourVoices> = pieces.iter().filter(|piece| piece.fermatas.contains(&true)).collect();
        let beat = |piece: &&FourVoices| -> Vec<(Features, f64)> {
            let ends = fermata_starts(piece);
            let label = |step: usize| f64::from(u8::from(ends.contains(&step)));
            let starts = piece.starts();
            beats(piece).map(|step| (features(piece, &starts, step), label(step))).collect()
        };
        let examples: Vec<(Features, f64)> = with.iter().flat_map(beat).collect();
        if with.is_empty() {
            return None;
        }
        let mut weights = [0.0; NUM_FEATURES];
        for _ in 0..ROUNDS {
            let mut gradient = [0.0; NUM_FEATURES];
            for (features, label) in &examples {
                let error = label - 1.0 / (1.0 + (-score(&weights, features)).exp());
                gradient.iter_mut().zip(features).for_each(|(sum, x)| *sum += error * x);
            }
            let step = LEARNING_RATE / examples.len() as f64;
            weights.iter_mut().zip(gradient).for_each(|(weight, sum)| *weight += 8.0 * step * sum);
        }
        // The threshold with the best F1 on the same pieces.
        let pieces: Vec<FourVoices> = with.into_iter().cloned().collect();
        let candidates = (-30..=20).map(|tenths| Self { weights, threshold: f64::from(tenths) / 10.0 });
        candidates.max_by(|a, b| a.f1(&pieces).total_cmp(&b.f1(&pieces)))
    }

    /// The steps on which the last chords of phrases begin, in order.
    pub fn ends(&self, piece: &FourVoices) -> Vec<usize> {
        let starts = piece.starts();
        let scored = beats(piece).map(|step| (score(&self.weights, &features(piece, &starts, step)), step));
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

/// What is heard on a beat, each from 0 to 1.
fn features(piece: &FourVoices, starts: &[u8], step: usize) -> Features {
    let is = |condition: bool| f64::from(u8::from(condition));
    let share = |steps: usize| steps.min(LONGEST) as f64 / LONGEST as f64;
    let all: u8 = (1 << NUM_VOICES) - 1;
    // From the next step on, how long until any voice, or the soprano, starts a note.
    let until = |voices: u8| starts[step + 1..].iter().position(|bits| bits & voices != 0).map_or(LONGEST, |n| n + 1);
    let (quiet, soprano, bass) = (until(all), until(1), until(1 << (NUM_VOICES - 1)));
    let since = starts[..step].iter().rev().position(|bits| bits & 1 != 0).map_or(LONGEST, |n| n + 1);
    let row = &piece.rows[step];
    let bar = piece.bars.get(step).copied().flatten();
    let at = |share_of_bar: u8, bar_steps: u8| {
        bar.is_some_and(|bar| bar.bar_steps == bar_steps && bar.step_in_bar == share_of_bar)
    };
    [
        1.0,
        share(quiet),
        is(quiet >= STEPS_PER_BEAT),
        share(soprano),
        is(soprano >= STEPS_PER_BEAT),
        is(soprano >= 2 * STEPS_PER_BEAT),
        share(bass),
        is(starts[step] == all),
        starts[step].count_ones() as f64 / NUM_VOICES as f64,
        is(is_consonant_triad(row)),
        share(since),
        is(at(8, 16)),
        is(at(0, 16) || at(0, 12)),
        is(step + 2 * STEPS_PER_BEAT >= piece.rows.len()),
    ]
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
    fn without_fermatas_nothing_can_be_fitted() {
        let mut piece = phrases(1);
        piece.fermatas.clear();
        assert!(Detector::fit(&[piece]).is_none());
    }
}
