//! Learning rate schedules. The rate depends only on the position in the run and the validation losses so far, so a
//! resumed run continues with the same rates.

use anyhow::{Result, ensure};
use serde::Deserialize;

use crate::recipe::Training;

/// How the learning rate changes over the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// Keeps the highest rate.
    #[default]
    Constant,
    /// Falls along half a cosine to a hundredth, epoch by epoch.
    Cosine,
    /// Rises linearly from a 25th, then falls along half a cosine to a ten thousandth, batch by batch (L. N. Smith, "A
    /// disciplined approach to neural network hyper-parameters", 2018; here the momentum is constant).
    OneCycle {
        /// Share of the run in which the rate rises.
        warm_up: f64,
    },
    /// Multiplies the rate by `factor` whenever `patience` epochs in a row brought no better validation loss.
    Plateau {
        /// Above 0 and below 1.
        factor: f64,
        /// Epochs.
        patience: usize,
    },
}

/// The first rate of one cycle, as a share of the highest.
const FIRST: f64 = 1.0 / 25.0;
/// Its last rate, as a share of the highest.
const LAST: f64 = 1e-4;

impl Schedule {
    /// Checks the parameters.
    pub fn check(self) -> Result<()> {
        match self {
            Self::Constant | Self::Cosine => {}
            Self::OneCycle { warm_up } => ensure!(
                warm_up > 0.0 && warm_up < 1.0,
                "one_cycle.warm_up: expected a number above 0 and below 1, got {warm_up}"
            ),
            Self::Plateau { factor, patience } => {
                ensure!(
                    factor > 0.0 && factor < 1.0,
                    "plateau.factor: expected a number above 0 and below 1, got {factor}"
                );
                ensure!(patience > 0, "plateau.patience: expected at least 1, got 0");
            }
        }
        Ok(())
    }
}

impl Training {
    /// The learning rate in `epoch`, counted from 0, when `share` of its batches are done. `losses` are the validation
    /// losses of the earlier epochs.
    pub fn learning_rate_at(&self, epoch: usize, share: f64, losses: &[f64]) -> f64 {
        // Half a cosine, from 1 down to 0.
        let descent = |done: f64| 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
        let epochs = self.epochs as f64;
        let scale = match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::Cosine => 0.01 + 0.99 * descent(epoch as f64 / epochs),
            Schedule::OneCycle { warm_up } => {
                let done = (epoch as f64 + share) / epochs;
                if done < warm_up {
                    FIRST + (1.0 - FIRST) * done / warm_up
                } else {
                    LAST + (1.0 - LAST) * descent((done - warm_up) / (1.0 - warm_up))
                }
            }
            Schedule::Plateau { factor, patience } => factor.powi(plateaus(losses, patience)),
        };
        self.learning_rate * scale
    }
}

/// How often `patience` losses in a row were no better than the best before them.
fn plateaus(losses: &[f64], patience: usize) -> i32 {
    let (mut best, mut waited, mut count) = (f64::INFINITY, 0, 0);
    for &loss in losses {
        if loss < best {
            (best, waited) = (loss, 0);
        } else {
            waited += 1;
        }
        if waited == patience {
            (waited, count) = (0, count + 1);
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Recipe;

    fn training(schedule: &str) -> Training {
        let text = include_str!("../recipes/chorale.toml");
        let text = text.replace("\"cosine\"", schedule).replace("epochs = 80", "epochs = 10");
        let recipe: Recipe = toml::from_str(&text).unwrap();
        recipe.training.schedule.check().unwrap();
        Training { learning_rate: 1.0, ..recipe.training }
    }

    fn check(schedule: &str, expect: &[(usize, f64, f64)]) {
        let training = training(schedule);
        for &(epoch, share, rate) in expect {
            let got = training.learning_rate_at(epoch, share, &[]);
            assert!((got - rate).abs() < 1e-12, "{schedule}, epoch {epoch} and {share}: {got}");
        }
    }

    #[test]
    fn rates_follow_their_schedule() {
        check("\"constant\"", &[(0, 0.0, 1.0), (9, 0.9, 1.0)]);
        check("\"cosine\"", &[(0, 0.0, 1.0), (0, 0.9, 1.0), (5, 0.0, 0.505), (10, 0.0, 0.01)]);
        check(
            "{ one_cycle = { warm_up = 0.2 } }",
            &[(0, 0.0, 0.04), (1, 0.0, 0.52), (1, 0.5, 0.76), (2, 0.0, 1.0), (6, 0.0, 0.50005), (10, 0.0, 1e-4)],
        );
    }

    #[test]
    fn a_plateau_cuts_the_rate_each_time() {
        let training = training("{ plateau = { factor = 0.5, patience = 2 } }");
        let losses = [3.0, 2.0, 2.0, 2.5, 1.0, 1.1, 1.2, 1.3, 1.0, 0.5];
        let rates: Vec<_> = (0..=losses.len()).map(|n| training.learning_rate_at(n, 0.0, &losses[..n])).collect();
        assert_eq!(rates, [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]);
    }
}
