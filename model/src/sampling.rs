//! From logits to a token: pure functions, the random number comes in.

use crate::math::exp;

/// The temperature that is reached by [`Sampler::entropy`], lowest and highest.
const TEMPERATURES: (f32, f32) = (0.05, 2.0);

/// How adventurous the choice is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// Below 1 the likely becomes likelier, above 1 the odds even out; 0 takes the likeliest.
    pub temperature: f32,
    /// Only the likeliest tokens that together have this share of the probability are drawn from, above 0 to 1.
    pub top_p: f32,
    /// How much the temperature goes by what the network is sure of, 0 (not at all) to 1: it falls where all is
    /// possible, and rises where nothing but one thing is. See [`adapted`].
    pub entropy: f32,
    /// What the probability of a rest is multiplied by; 1 is as learnt.
    pub rest_weight: f32,
    /// The same for a hold.
    pub hold_weight: f32,
}

impl Sampler {
    /// As the network has learnt it.
    pub const PLAIN: Self = Self { temperature: 1.0, top_p: 1.0, entropy: 0.0, rest_weight: 1.0, hold_weight: 1.0 };
    /// As the plugin plays unless told otherwise: likely notes, none of the least likely.
    pub const CAREFUL: Self = Self { temperature: 0.6, top_p: 0.95, ..Self::PLAIN };
}

impl Default for Sampler {
    fn default() -> Self {
        Self::PLAIN
    }
}

/// The temperature for this draw: `temperature * (1 + entropy * (1 - 2 * h))`, kept between 0.05 and 2, where `h` is the
/// entropy of the distribution as a share of the largest that as many tokens can have. 0 stays 0.
pub fn adapted(logits: &[f32], sampler: Sampler) -> f32 {
    let possible = logits.iter().filter(|logit| **logit > f32::NEG_INFINITY).count();
    if sampler.entropy == 0.0 || sampler.temperature <= 0.0 || possible < 2 {
        return sampler.temperature;
    }
    let highest = highest(logits);
    let weights = || logits.iter().map(|&x| x - highest).filter(|x| *x > -80.0).map(|x| (exp(x), x));
    let total: f32 = weights().map(|(weight, _)| weight).sum();
    // -sum p ln p with p = weight / total.
    let entropy = total.ln() - weights().map(|(weight, x)| weight * x).sum::<f32>() / total;
    let share = entropy / (possible as f32).ln();
    (sampler.temperature * (1.0 + sampler.entropy * (1.0 - 2.0 * share))).clamp(TEMPERATURES.0, TEMPERATURES.1)
}

/// Multiplies a token's probability by `weight`, before the others are scaled to make up for it. With 0 the token is taken
/// out, unless it is all that is left.
pub fn weigh(logits: &mut [f32], token: u16, weight: f32) {
    if weight <= 0.0 {
        mask(logits, |other| other != token);
    } else if weight != 1.0 {
        logits[usize::from(token)] += weight.ln();
    }
}

/// Turns logits into the natural logarithm of probabilities, in place.
pub fn log_softmax(logits: &mut [f32]) {
    let highest = highest(logits);
    let sum: f32 = logits.iter().map(|&x| exp(x - highest)).sum();
    let shift = highest + sum.ln();
    logits.iter_mut().for_each(|x| *x -= shift);
}

/// Takes every token for which `allowed` is false out of the draw. If that would be all that is left, nothing is taken
/// out.
pub fn mask(logits: &mut [f32], allowed: impl Fn(u16) -> bool) {
    if (0..).zip(logits.iter()).any(|(token, &logit)| logit > f32::NEG_INFINITY && allowed(token)) {
        for (token, logit) in logits.iter_mut().enumerate() {
            if !allowed(token as u16) {
                *logit = f32::NEG_INFINITY;
            }
        }
    }
}

/// Draws a token from `logits`, (vocab_size), which are used up. `coin` is uniform in [0, 1).
///
/// Temperature comes first, then top-p (Holtzman et al., "The curious case of neural text degeneration", 2020).
///
/// # Panics
/// If there are no logits.
pub fn sample(logits: &mut [f32], sampler: Sampler, coin: f64) -> u16 {
    let likeliest = likeliest(logits);
    if sampler.temperature <= 0.0 {
        return likeliest;
    }
    let temperature = adapted(logits, sampler);
    let highest = logits[usize::from(likeliest)];
    for x in logits.iter_mut() {
        let scaled = (*x - highest) / temperature;
        // Masked tokens are at minus infinity, which the polynomial would round up to e^-87.
        *x = if scaled > -80.0 { exp(scaled) } else { 0.0 };
    }
    let total: f32 = logits.iter().sum();
    let kept = keep_top_p(logits, sampler.top_p * total);
    let mut left = coin * f64::from(kept);
    for (token, &p) in logits.iter().enumerate() {
        left -= f64::from(p);
        if p > 0.0 && left < 0.0 {
            return token as u16;
        }
    }
    // Rounding can leave a hair of the coin over.
    likeliest
}

/// Draws in two stages: whether it is `hold`, as often as the network has learnt; and if it is not, which token, by the
/// sampler. So a low temperature chooses better notes and not fewer: drawn in one stage, the hold token crowds the
/// others out and the music comes to a stand.
///
/// At temperature 0 the likeliest of all is taken. `logits` are used up.
pub fn sample_beside_hold(logits: &mut [f32], hold: u16, sampler: Sampler, coin: f64) -> u16 {
    let hold_logit = logits[usize::from(hold)];
    if sampler.temperature <= 0.0 || hold_logit == f32::NEG_INFINITY {
        return sample(logits, sampler, coin);
    }
    let highest = highest(logits);
    let weight = |&x: &f32| if x - highest > -80.0 { f64::from(exp(x - highest)) } else { 0.0 };
    let total: f64 = logits.iter().map(weight).sum();
    let holds = weight(&hold_logit) / total;
    if coin < holds || holds >= 1.0 {
        return hold;
    }
    logits[usize::from(hold)] = f32::NEG_INFINITY;
    sample(logits, sampler, (coin - holds) / (1.0 - holds))
}

/// Zeroes all but the likeliest entries that together reach `share`; returns the sum of what is left.
fn keep_top_p(probs: &mut [f32], share: f32) -> f32 {
    let mut kept = 0.0;
    let mut threshold = f32::INFINITY;
    // Down through the distinct values: a vocabulary is small, and nothing needs to be allocated.
    while kept < share {
        let next = probs.iter().copied().filter(|&p| p < threshold && p > 0.0).fold(0.0, f32::max);
        if next == 0.0 {
            break;
        }
        threshold = next;
        kept += probs.iter().filter(|&&p| p == next).sum::<f32>();
    }
    probs.iter_mut().for_each(|p| *p = if *p < threshold { 0.0 } else { *p });
    kept
}

fn highest(logits: &[f32]) -> f32 {
    logits.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

/// The token of the highest logit, the first of equals.
fn likeliest(logits: &[f32]) -> u16 {
    let highest = highest(logits);
    logits.iter().position(|&x| x == highest).expect("there are logits") as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 4] = [0.0, 2.0, 1.0, -1.0]; // probabilities 0.087, 0.644, 0.237, 0.032

    fn draw(sampler: Sampler, coin: f64) -> u16 {
        sample(&mut LOGITS.clone(), sampler, coin)
    }

    #[test]
    fn the_coin_decides_by_probability() {
        let plain = Sampler::default();
        let coins = [0.0, 0.086, 0.088, 0.730, 0.732, 0.967, 0.969, 0.999_999];
        assert_eq!(coins.map(|coin| draw(plain, coin)), [0, 0, 1, 1, 2, 2, 3, 3]);
    }

    #[test]
    fn temperature_sharpens_and_flattens() {
        let share_of_best = |temperature| {
            let sampler = Sampler { temperature, ..Sampler::PLAIN };
            (0..1000).filter(|i| draw(sampler, f64::from(*i) / 1000.0) == 1).count()
        };
        assert_eq!(share_of_best(0.0), 1000);
        let shares = [0.25, 1.0, 4.0].map(share_of_best);
        assert_eq!(shares, [982, 644, 350]);
    }

    #[test]
    fn top_p_cuts_the_tail() {
        let drawn = |top_p| -> Vec<u16> {
            let sampler = Sampler { top_p, ..Sampler::PLAIN };
            let mut drawn: Vec<_> = (0..1000).map(|i| draw(sampler, f64::from(i) / 1000.0)).collect();
            drawn.sort_unstable();
            drawn.dedup();
            drawn
        };
        assert_eq!(drawn(0.6), [1]);
        assert_eq!(drawn(0.8), [1, 2]);
        assert_eq!(drawn(0.95), [0, 1, 2]);
        assert_eq!(drawn(1.0), [0, 1, 2, 3]);
    }

    #[test]
    fn a_low_temperature_holds_no_more_than_was_learnt() {
        let count = |hold, temperature| {
            let sampler = Sampler { temperature, ..Sampler::PLAIN };
            let draws =
                (0..1000).map(|i| sample_beside_hold(&mut LOGITS.clone(), hold, sampler, f64::from(i) / 1000.0));
            let mut counts = [0_i32; 4];
            draws.for_each(|token| counts[usize::from(token)] += 1);
            counts
        };
        let cases = [
            (1, 1.0, [87, 644, 237, 32]),
            (1, 0.25, [6, 644, 350, 0]),
            (3, 0.01, [0, 968, 0, 32]),
            (1, 0.0, [0, 1000, 0, 0]),
        ];
        for (hold, temperature, expect) in cases {
            let counts = count(hold, temperature);
            // A thousand coins split a share to within one.
            assert!(counts.iter().zip(expect).all(|(a, b)| (a - b).abs() <= 1), "{counts:?}, not {expect:?}");
        }
        // What is masked is not drawn.
        let mut masked = LOGITS;
        masked[1] = f32::NEG_INFINITY;
        assert_eq!(sample_beside_hold(&mut masked.clone(), 1, Sampler::default(), 0.0), 0);
        masked[0] = f32::NEG_INFINITY;
        masked[3] = f32::NEG_INFINITY;
        assert_eq!(sample_beside_hold(&mut masked, 2, Sampler::default(), 0.999), 2);
    }

    #[test]
    fn masks_hold_and_log_softmax_sums_to_one() {
        let mut logits = LOGITS;
        mask(&mut logits, |token| token != 1);
        for i in 0..1000 {
            assert_ne!(
                sample(&mut logits.clone(), Sampler { temperature: 5.0, ..Sampler::PLAIN }, f64::from(i) / 1000.0),
                1
            );
        }
        let mut logits = LOGITS;
        mask(&mut logits, |_| false);
        assert_eq!(logits, LOGITS);
        log_softmax(&mut logits);
        assert!((logits.iter().map(|x| x.exp()).sum::<f32>() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn an_unsure_network_is_drawn_from_more_carefully() {
        let at = |logits: &[f32], temperature, entropy| {
            let adapted = adapted(logits, Sampler { temperature, entropy, ..Sampler::PLAIN });
            (adapted * 1000.0).round()
        };
        let (even, sure) = ([1.0; 8], [30.0, 0.0, 0.0, 0.0]);
        assert_eq!([0.0, 0.5, 1.0].map(|entropy| at(&even, 1.0, entropy)), [1000.0, 500.0, 50.0]);
        assert_eq!([0.0, 0.5, 1.0].map(|entropy| at(&sure, 0.8, entropy)), [800.0, 1200.0, 1600.0]);
        assert_eq!(at(&sure, 1.5, 1.0), 2000.0);
        // The entropy of LOGITS is 0.947 of the 1.386 that four tokens can have.
        assert_eq!(at(&LOGITS, 1.0, 1.0), 633.0);
        // What is masked is not possible; where one token is, or none but the likeliest is taken, nothing changes.
        let masked = [1.0, f32::NEG_INFINITY, 1.0, 1.0];
        assert_eq!((at(&masked, 1.0, 0.5), at(&masked[..2], 0.7, 1.0), at(&even, 0.0, 1.0)), (500.0, 700.0, 0.0));
    }

    #[test]
    fn weights_multiply_probabilities() {
        let count = |token: u16, weight| {
            let mut logits = LOGITS;
            weigh(&mut logits, token, weight);
            (0..1000).filter(|i| sample(&mut logits.clone(), Sampler::PLAIN, f64::from(*i) / 1000.0) == token).count()
        };
        assert_eq!([0.0, 0.5, 1.0, 2.0].map(|weight| count(1, weight)), [0, 475, 644, 783]);
        let mut alone = [1.0, f32::NEG_INFINITY];
        weigh(&mut alone, 0, 0.0);
        assert_eq!(alone[0], 1.0, "what is left stays");
    }
}
