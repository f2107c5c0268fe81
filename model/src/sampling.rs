//! Sampling: pure functions from logits and a random number to a token.

use crate::math::exp;

/// The lowest and the highest temperature that [`Sampler::entropy`] leads to.
const TEMPERATURES: (f32, f32) = (0.05, 2.0);

/// How tokens are sampled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// Below 1 likely tokens become likelier, above 1 the distribution becomes flatter; 0 takes the likeliest token.
    pub temperature: f32,
    /// Samples only from the likeliest tokens whose probabilities add up to this share, above 0 and up to 1.
    pub top_p: f32,
    /// Adapts the temperature to the network's confidence, from 0 (not at all) to 1: lower when many tokens are likely,
    /// higher when one is nearly certain. The factor is `1 + entropy * (1 - 2 * h)`, where `h` is the entropy of the
    /// distribution relative to that of a uniform one.
    pub entropy: f32,
    /// Factor on the probability of a rest; 1 keeps it.
    pub rest_weight: f32,
    /// Factor on the probability of a hold; 1 keeps it.
    pub hold_weight: f32,
}

impl Sampler {
    /// The network's own distribution.
    pub const PLAIN: Self = Self { temperature: 1.0, top_p: 1.0, entropy: 0.0, rest_weight: 1.0, hold_weight: 1.0 };
    /// The plugin's default: likely notes, and never the least likely.
    pub const CAREFUL: Self = Self { temperature: 0.6, top_p: 0.95, ..Self::PLAIN };
}

impl Default for Sampler {
    fn default() -> Self {
        Self::PLAIN
    }
}

/// The temperature of a draw, adapted as [`Sampler::entropy`] says and clamped to [`TEMPERATURES`]. Masked tokens do
/// not count. A temperature of 0 stays 0.
fn adapted_temperature(logits: &[f32], sampler: Sampler) -> f32 {
    let possible = logits.iter().filter(|logit| **logit > f32::NEG_INFINITY).count();
    if sampler.entropy == 0.0 || sampler.temperature <= 0.0 || possible < 2 {
        return sampler.temperature;
    }
    let highest = highest(logits);
    let weights = || logits.iter().map(|&x| x - highest).filter(|x| *x > -80.0).map(|x| (exp(x), x));
    let total: f32 = weights().map(|(weight, _)| weight).sum();
    // -sum p ln p with p = weight / total.
    let entropy = libm::logf(total) - weights().map(|(weight, x)| weight * x).sum::<f32>() / total;
    let share = entropy / libm::logf(possible as f32);
    (sampler.temperature * (1.0 + sampler.entropy * (1.0 - 2.0 * share))).clamp(TEMPERATURES.0, TEMPERATURES.1)
}

/// The factor of [`prefer`] on the probability of what does not fit. With it the shipped networks leave the player's
/// key for at most 1 % of the time on average, and for about 2 % at temperature 1 (`cargo xtask bench --keys`).
const UNFITTING: f32 = 0.1;

/// Prefers the tokens for which `fits` returns true: masks all others if `strictly`, wherever another choice remains,
/// else makes them rare.
pub(crate) fn prefer(logits: &mut [f32], strictly: bool, fits: impl Fn(u16) -> bool) {
    if strictly {
        mask(logits, fits);
    } else {
        make_rare(logits, UNFITTING, fits);
    }
}

/// Multiplies the unnormalised probability of each token for which `fits` returns false by `factor`, above 0.
pub(crate) fn make_rare(logits: &mut [f32], factor: f32, fits: impl Fn(u16) -> bool) {
    let others = (0_u16..).zip(logits).filter(|(token, _)| !fits(*token));
    others.for_each(|(_, logit)| *logit += libm::logf(factor));
}

/// Multiplies the unnormalised probability of a token by `weight`. A weight of 0 masks the token, unless it is the only
/// one left.
pub(crate) fn weigh(logits: &mut [f32], token: u16, weight: f32) {
    if weight <= 0.0 {
        mask(logits, |other| other != token);
    } else if weight != 1.0 {
        logits[usize::from(token)] += libm::logf(weight);
    }
}

/// Turns logits into natural logarithms of probabilities, in place.
pub(crate) fn log_softmax(logits: &mut [f32]) {
    let highest = highest(logits);
    let sum: f32 = logits.iter().map(|&x| exp(x - highest)).sum();
    let shift = highest + libm::logf(sum);
    logits.iter_mut().for_each(|x| *x -= shift);
}

/// Masks every token for which `allowed` returns false: sets its logit to minus infinity. If no token would be left,
/// masks nothing.
pub(crate) fn mask(logits: &mut [f32], allowed: impl Fn(u16) -> bool) {
    if (0..).zip(logits.iter()).any(|(token, &logit)| logit > f32::NEG_INFINITY && allowed(token)) {
        for (token, logit) in logits.iter_mut().enumerate() {
            if !allowed(token as u16) {
                *logit = f32::NEG_INFINITY;
            }
        }
    }
}

/// Draws a token from `logits`, (vocab_size), and overwrites them. `coin` is uniform in [0, 1).
///
/// Applies the temperature, then top-p (Holtzman et al., "The curious case of neural text degeneration", 2020).
///
/// # Panics
/// If there are no logits.
pub(crate) fn sample(logits: &mut [f32], sampler: Sampler, coin: f64) -> u16 {
    let likeliest = likeliest(logits);
    if sampler.temperature <= 0.0 {
        return likeliest;
    }
    let temperature = adapted_temperature(logits, sampler);
    let highest = logits[usize::from(likeliest)];
    for x in logits.iter_mut() {
        let scaled = (*x - highest) / temperature;
        // `exp` would turn the minus infinity of masked tokens into e^-87.
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
    // Rounding can leave a small remainder.
    likeliest
}

/// Draws in two stages: first whether the token is `hold`, with the network's own probability; if not, the sampler
/// draws another token. A low temperature then selects likelier notes but not fewer of them. Drawn in one stage, the
/// hold token would crowd out the others, and the music would come to a halt.
///
/// Temperature 0 takes the likeliest token, holds included. Overwrites `logits`.
///
/// # Panics
/// If there are no logits.
pub(crate) fn sample_beside_hold(logits: &mut [f32], hold: u16, sampler: Sampler, coin: f64) -> u16 {
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

/// How likely each class of tokens is: the sums of the unnormalised probabilities of its tokens, relative to the
/// likeliest token.
pub(crate) fn class_weights<const N: usize>(logits: &[f32], class_of: impl Fn(u16) -> usize) -> [f64; N] {
    let highest = highest(logits);
    let mut weights = [0.0; N];
    for (token, &logit) in (0..).zip(logits) {
        if logit - highest > -80.0 {
            weights[class_of(token)] += f64::from(exp(logit - highest));
        }
    }
    weights
}

/// Draws in two stages: first the class of the token, by `weights` as [`class_weights`] gives them; then the sampler
/// draws a token of that class. A low temperature then selects likelier notes, but rests and chords stay as frequent as
/// the network learnt. Classes of which no token is left do not count.
///
/// Temperature 0 takes the likeliest token of all. Overwrites `logits`.
///
/// # Panics
/// If there are no logits.
pub(crate) fn sample_by_class<const N: usize>(
    logits: &mut [f32],
    weights: &[f64; N],
    class_of: impl Fn(u16) -> usize,
    sampler: Sampler,
    coin: f64,
) -> u16 {
    if sampler.temperature <= 0.0 {
        return sample(logits, sampler, coin);
    }
    let mut left = [false; N];
    (0..).zip(logits.iter()).for_each(|(token, logit)| left[class_of(token)] |= *logit > f32::NEG_INFINITY);
    let weight = |class: usize| if left[class] { weights[class] } else { 0.0 };
    let total: f64 = (0..N).map(weight).sum();
    let mut coin = coin * total;
    for class in (0..N).filter(|class| weight(*class) > 0.0) {
        if coin < weight(class) {
            mask(logits, |token| class_of(token) == class);
            return sample(logits, sampler, coin / weight(class));
        }
        coin -= weight(class);
    }
    // No class is left, or rounding has left a small remainder.
    sample(logits, sampler, 0.0)
}

/// Zeroes all but the likeliest entries that together reach `share`; returns the sum of the entries that remain.
fn keep_top_p(probs: &mut [f32], share: f32) -> f32 {
    let mut kept = 0.0;
    let mut threshold = f32::INFINITY;
    // Walk down the distinct values: the vocabulary is small, and this needs no memory.
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

/// The token with the highest logit; of equal ones, the first.
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
    fn a_low_temperature_draws_no_more_holds() {
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
            // A thousand evenly spaced coins give each count to within one.
            assert!(counts.iter().zip(expect).all(|(a, b)| (a - b).abs() <= 1), "{counts:?}, not {expect:?}");
        }
        // Masked tokens are never drawn.
        let mut masked = LOGITS;
        masked[1] = f32::NEG_INFINITY;
        assert_eq!(sample_beside_hold(&mut masked.clone(), 1, Sampler::default(), 0.0), 0);
        masked[0] = f32::NEG_INFINITY;
        masked[3] = f32::NEG_INFINITY;
        assert_eq!(sample_beside_hold(&mut masked, 2, Sampler::default(), 0.999), 2);
    }

    #[test]
    fn a_low_temperature_keeps_the_classes_as_frequent() {
        let class_of = |token: u16| usize::from(token % 2);
        let weights: [f64; 2] = class_weights(&LOGITS, class_of);
        let count = |temperature, masked: Option<usize>| {
            let sampler = Sampler { temperature, ..Sampler::PLAIN };
            let mut counts = [0_i32; 4];
            for n in 0..1000 {
                let mut logits = LOGITS;
                masked.iter().for_each(|token| logits[*token] = f32::NEG_INFINITY);
                let coin = f64::from(n) / 1000.0;
                counts[usize::from(sample_by_class(&mut logits, &weights, class_of, sampler, coin))] += 1;
            }
            counts
        };
        let cases = [
            (1.0, None, [87, 644, 237, 32]),
            (0.25, None, [6, 676, 318, 0]),
            // A class keeps its weight while a token of it is left.
            (1.0, Some(1), [87, 0, 237, 676]),
            (0.0, None, [0, 1000, 0, 0]),
        ];
        for (temperature, masked, expect) in cases {
            let counts = count(temperature, masked);
            assert!(counts.iter().zip(expect).all(|(a, b)| (a - b).abs() <= 1), "{counts:?}, not {expect:?}");
        }
        let mut logits = LOGITS;
        (logits[1], logits[3]) = (f32::NEG_INFINITY, f32::NEG_INFINITY);
        assert_eq!(sample_by_class(&mut logits, &weights, class_of, Sampler::PLAIN, 0.999), 2);
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
    fn an_uncertain_network_lowers_the_temperature() {
        let at = |logits: &[f32], temperature, entropy| {
            let adapted = adapted_temperature(logits, Sampler { temperature, entropy, ..Sampler::PLAIN });
            (adapted * 1000.0).round()
        };
        let (even, sure) = ([1.0; 8], [30.0, 0.0, 0.0, 0.0]);
        assert_eq!([0.0, 0.5, 1.0].map(|entropy| at(&even, 1.0, entropy)), [1000.0, 500.0, 50.0]);
        assert_eq!([0.0, 0.5, 1.0].map(|entropy| at(&sure, 0.8, entropy)), [800.0, 1200.0, 1600.0]);
        assert_eq!(at(&sure, 1.5, 1.0), 2000.0);
        // The entropy of LOGITS is 0.947; that of a uniform distribution over four tokens is 1.386.
        assert_eq!(at(&LOGITS, 1.0, 1.0), 633.0);
        // Masked tokens do not count. With one token left, or at temperature 0, nothing changes.
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
        assert_eq!(alone[0], 1.0, "the only token left is not masked");
    }
}
