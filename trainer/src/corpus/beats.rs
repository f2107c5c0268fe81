//! Musical time for readers: exact fractions of a quarter note.

use std::cmp::Ordering;

use anyhow::{Context, Result, ensure};

use super::piece::TICKS_PER_BEAT;

/// A time or a length in quarter notes, as a fraction in lowest terms. May be negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Beats {
    num: i64,
    /// Above 0.
    den: i64,
}

impl Beats {
    /// The start of a piece.
    pub const ZERO: Self = Self { num: 0, den: 1 };

    /// `num / den` quarter notes.
    ///
    /// # Errors
    /// If `den` is 0, or the fraction does not fit in 64 bits.
    pub fn new(num: i64, den: i64) -> Result<Self> {
        Self::reduced(num.into(), den.into())
    }

    /// # Errors
    /// If the result does not fit in 64 bits; the same holds for the methods below.
    pub fn plus(self, other: Self) -> Result<Self> {
        let (a, b) = (self, other);
        Self::reduced(
            i128::from(a.num) * i128::from(b.den) + i128::from(b.num) * i128::from(a.den),
            i128::from(a.den) * i128::from(b.den),
        )
    }

    /// The difference.
    pub fn minus(self, other: Self) -> Result<Self> {
        self.plus(Self { num: other.num.checked_neg().context("a time too long for 64 bits")?, den: other.den })
    }

    /// The product with a plain number.
    pub fn times(self, factor: Self) -> Result<Self> {
        Self::reduced(i128::from(self.num) * i128::from(factor.num), i128::from(self.den) * i128::from(factor.den))
    }

    /// The length of a note with dots: each dot adds half of what the previous one added.
    ///
    /// # Errors
    /// If there are more than eight.
    pub fn dotted(self, num_dots: usize) -> Result<Self> {
        ensure!(num_dots <= 8, "expected at most 8 dots, got {num_dots}");
        self.times(Self::new((2 << num_dots) - 1, 1 << num_dots)?)
    }

    /// The nearest tick, and whether it is exact.
    ///
    /// # Errors
    /// If the time is before the start, or more than a million quarter notes after it.
    pub fn to_ticks(self) -> Result<(u64, bool)> {
        ensure!(self >= Self::ZERO, "expected a time at or after the start, got {} quarter notes", self.to_f64());
        ensure!(self.to_f64() < 1e6, "expected less than a million quarter notes, got {:.0}", self.to_f64());
        let (num, den) = (i128::from(self.num) * i128::from(TICKS_PER_BEAT), i128::from(self.den));
        let ticks = (2 * num + den) / (2 * den);
        Ok((u64::try_from(ticks)?, num % den == 0))
    }

    /// Quarter notes, rounded.
    pub fn to_f64(self) -> f64 {
        self.num as f64 / self.den as f64
    }

    fn reduced(num: i128, den: i128) -> Result<Self> {
        ensure!(den != 0, "expected a fraction, got a division by zero");
        let divisor = gcd(num.unsigned_abs(), den.unsigned_abs()).max(1) as i128 * den.signum();
        let part = |n: i128| i64::try_from(n / divisor).ok();
        let (num, den) = part(num).zip(part(den)).context("a time too fine or too long for 64 bits")?;
        Ok(Self { num, den })
    }
}

impl Default for Beats {
    fn default() -> Self {
        Self::ZERO
    }
}

impl Ord for Beats {
    fn cmp(&self, other: &Self) -> Ordering {
        (i128::from(self.num) * i128::from(other.den)).cmp(&(i128::from(other.num) * i128::from(self.den)))
    }
}

impl PartialOrd for Beats {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beats(num: i64, den: i64) -> Beats {
        Beats::new(num, den).unwrap()
    }

    #[test]
    fn fractions_stay_exact() {
        let mut time = Beats::ZERO;
        for _ in 0..7 {
            time = time.plus(beats(4, 28)).unwrap();
        }
        assert_eq!(time, beats(1, 1));
        assert_eq!(beats(-2, -6), beats(1, 3));
        assert_eq!(beats(1, 1).dotted(2).unwrap(), beats(7, 4));
        assert_eq!(beats(3, 4).times(beats(2, 3)).unwrap(), beats(1, 2));
        assert!(beats(1, 3) < beats(2, 5) && beats(-1, 2) < Beats::ZERO);
    }

    #[test]
    fn tuplets_down_to_128ths_are_whole_ticks() {
        for tuplet in [1, 3, 5, 7, 9, 15, 21] {
            for unit in [1, 2, 4, 8, 16, 32] {
                assert!(beats(1, tuplet * unit).to_ticks().unwrap().1, "1/{tuplet} of 1/{unit}");
            }
        }
        assert_eq!(beats(1, 11).to_ticks().unwrap(), (TICKS_PER_BEAT / 11 + 1, false));
    }

    #[test]
    fn results_that_do_not_fit_are_errors() {
        assert!(Beats::new(1, 0).is_err());
        assert!(beats(1, i64::MAX).plus(beats(1, i64::MAX - 1)).is_err());
        assert!(beats(i64::MIN, 1).minus(beats(i64::MIN, 1)).is_err());
        assert!(Beats::new(i64::MIN, -1).is_err());
        assert!(beats(-1, 4).to_ticks().is_err() && beats(1_000_000, 1).to_ticks().is_err());
        assert!(beats(1, 1).dotted(9).is_err());
    }
}
