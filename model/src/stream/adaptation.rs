//! Dynamic evaluation: adapts an ensemble to the piece while it plays. Online gradient descent moves a bias on the
//! logits of each voice, and another of each voice on each 16th of four beats (Krause, Kahembwe, Murray and Renals,
//! "Dynamic evaluation of neural sequence models", 2018, limited to the bias of the last layer).

use serde::{Deserialize, Serialize};

use crate::math;
use crate::tokeniser::grid::{NUM_VOICES, STEPS_PER_BEAT};
use crate::vocabulary::Vocabulary;

const TOKENS: usize = Vocabulary::GRID.size();
/// The period of the positions with a bias of their own, in steps: four beats.
const PHASES: usize = 4 * STEPS_PER_BEAT;

/// Learning rates of the biases; 0 keeps them at 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Learning rate of the bias of a voice.
    pub voice: f32,
    /// Learning rate of the bias of a voice on one 16th of four beats.
    pub place: f32,
}

/// The biases and what the next update needs.
#[derive(Clone, Debug)]
pub(super) struct Adaptation {
    rates: Rates,
    biases: Vec<f32>, // (voices * (1 + phases), tokens)
    step: usize,
    /// The voice that [`Self::apply`] predicted last, until its token is fed.
    predicted: Option<usize>,
    /// The probabilities of that voice's tokens.
    probs: [f32; TOKENS],
}

impl Adaptation {
    pub(super) fn new(rates: Rates) -> Self {
        let biases = vec![0.0; NUM_VOICES * (1 + PHASES) * TOKENS];
        Self { rates, biases, step: 0, predicted: None, probs: [0.0; TOKENS] }
    }

    pub(super) fn reset(&mut self) {
        self.biases.fill(0.0);
        (self.step, self.predicted) = (0, None);
    }

    /// Copies the state of `other`. Does not allocate.
    pub(super) fn copy_from(&mut self, other: &Self) {
        self.biases.copy_from_slice(&other.biases);
        (self.step, self.predicted, self.probs) = (other.step, other.predicted, other.probs);
    }

    /// The offsets of the two biases of a voice in this step.
    fn offsets(&self, voice: usize) -> [usize; 2] {
        [voice, NUM_VOICES + voice * PHASES + self.step % PHASES].map(|row| row * TOKENS)
    }

    /// Adds the biases to the logits of a voice, (vocab_size).
    pub(super) fn apply(&mut self, voice: usize, logits: &mut [f32]) {
        for offset in self.offsets(voice) {
            logits.iter_mut().zip(&self.biases[offset..offset + TOKENS]).for_each(|(x, bias)| *x += bias);
        }
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        self.probs.iter_mut().zip(&*logits).for_each(|(p, x)| *p = math::exp(x - highest));
        let sum: f32 = self.probs.iter().sum();
        self.probs.iter_mut().for_each(|p| *p /= sum);
        self.predicted = Some(voice);
    }

    /// Learns from the token of a voice, if the network predicted it.
    pub(super) fn feed(&mut self, voice: usize, token: u16, step_is_over: bool) {
        if self.predicted.take() == Some(voice) {
            for (offset, rate) in self.offsets(voice).into_iter().zip([self.rates.voice, self.rates.place]) {
                let biases = &mut self.biases[offset..offset + TOKENS];
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
    fn repetition_at_the_same_position_becomes_likelier() {
        let mut adaptation = Adaptation::new(Rates { voice: 0.06, place: 0.15 });
        let mut surprise = |voice: usize, token: u16, last: bool| {
            let mut logits = [0.0; TOKENS];
            adaptation.apply(voice, &mut logits);
            let p = adaptation.probs[usize::from(token)];
            adaptation.feed(voice, token, last);
            -p.ln()
        };
        // Two voices, each with its own token on each 16th.
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
    fn tokens_that_were_not_predicted_teach_nothing() {
        let mut adaptation = Adaptation::new(Rates { voice: 0.5, place: 0.5 });
        adaptation.apply(0, &mut [0.0; TOKENS]);
        adaptation.feed(1, 5, false);
        adaptation.feed(0, 5, true);
        assert!(adaptation.biases.iter().all(|bias| *bias == 0.0));
    }
}
