//! Adaptation to the piece while it plays: a bias for each voice, and for each voice on each 16th of four beats, that follows
//! what has surprised the network. Online gradient descent on the last layer's bias (Krause, Kahembwe, Murray and Renals,
//! "Dynamic evaluation of neural sequence models", 2018, for the last layer alone).

use serde::{Deserialize, Serialize};

use crate::math;
use crate::tokeniser::grid::NUM_VOICES;
use crate::vocabulary::Vocabulary;

const TOKENS: usize = Vocabulary::GRID.size();
/// Steps after which the places come round: four beats.
const PHASES: usize = 16;

/// How fast the biases move; 0 is not at all.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Step size of a voice's bias.
    pub voice: f32,
    /// Step size of a voice's bias on a 16th.
    pub place: f32,
}

/// What has been learnt of a piece.
#[derive(Clone, Debug)]
pub(super) struct Adaptation {
    rates: Rates,
    biases: Vec<f32>, // (voices * (1 + phases), tokens)
    step: usize,
    /// The voice that was asked for last, and the probabilities of its tokens.
    asked: Option<usize>,
    probs: [f32; TOKENS],
}

impl Adaptation {
    pub(super) fn new(rates: Rates) -> Self {
        let biases = vec![0.0; NUM_VOICES * (1 + PHASES) * TOKENS];
        Self { rates, biases, step: 0, asked: None, probs: [0.0; TOKENS] }
    }

    pub(super) fn reset(&mut self) {
        self.biases.fill(0.0);
        (self.step, self.asked) = (0, None);
    }

    /// Does not allocate.
    pub(super) fn copy_from(&mut self, other: &Self) {
        self.biases.copy_from_slice(&other.biases);
        (self.step, self.asked, self.probs) = (other.step, other.asked, other.probs);
    }

    /// Where the biases of a voice lie: its own, and that of this 16th.
    fn places(&self, voice: usize) -> [usize; 2] {
        [voice, NUM_VOICES + voice * PHASES + self.step % PHASES].map(|row| row * TOKENS)
    }

    /// Adds what has been learnt to the logits of a voice.
    pub(super) fn apply(&mut self, voice: usize, logits: &mut [f32]) {
        for place in self.places(voice) {
            logits.iter_mut().zip(&self.biases[place..place + TOKENS]).for_each(|(x, bias)| *x += bias);
        }
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        self.probs.iter_mut().zip(&*logits).for_each(|(p, x)| *p = math::exp(x - highest));
        let sum: f32 = self.probs.iter().sum();
        self.probs.iter_mut().for_each(|p| *p /= sum);
        self.asked = Some(voice);
    }

    /// Learns from what a voice does, if it was asked for. With the last voice of a step the step is over.
    pub(super) fn feed(&mut self, voice: usize, token: u16, step_is_over: bool) {
        if self.asked.take() == Some(voice) {
            let Rates { voice: of_voice, place: of_place } = self.rates;
            for (place, rate) in self.places(voice).into_iter().zip([of_voice, of_place]) {
                let biases = &mut self.biases[place..place + TOKENS];
                biases.iter_mut().zip(&self.probs).for_each(|(bias, p)| *bias -= rate * p);
                biases[usize::from(token)] += rate;
            }
        }
        self.step += usize::from(step_is_over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_again_in_its_place_is_expected() {
        let mut adaptation = Adaptation::new(Rates { voice: 0.06, place: 0.15 });
        let mut surprise = |voice: usize, token: u16, last: bool| {
            let mut logits = [0.0; TOKENS];
            adaptation.apply(voice, &mut logits);
            let p = adaptation.probs[usize::from(token)];
            adaptation.feed(voice, token, last);
            -p.ln()
        };
        // Two voices each with a token of its own on each 16th.
        let mut of_round = |round: u16| -> f32 {
            (0..16).map(|step| surprise(0, 1 + step, false) + surprise(3, 20 + step + round % 2, true)).sum()
        };
        let surprises: Vec<f32> = (0..40).map(&mut of_round).collect();
        assert!((surprises[0] / 32.0 - (TOKENS as f32).ln()).abs() < 0.2, "{surprises:?}");
        assert!(surprises[39] < 0.8 * surprises[0], "{surprises:?}");
        adaptation.reset();
        let mut logits = [0.0; TOKENS];
        adaptation.apply(0, &mut logits);
        assert_eq!(logits, [0.0; TOKENS]);
    }

    #[test]
    fn what_was_not_asked_for_teaches_nothing() {
        let mut adaptation = Adaptation::new(Rates { voice: 0.5, place: 0.5 });
        adaptation.apply(0, &mut [0.0; TOKENS]);
        adaptation.feed(1, 5, false);
        adaptation.feed(0, 5, true);
        assert!(adaptation.biases.iter().all(|bias| *bias == 0.0));
    }
}
