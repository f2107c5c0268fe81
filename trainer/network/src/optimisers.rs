//! Optimisers whose state can be saved. candle has only AdamW and plain SGD, and can save neither.

use anyhow::{Result, ensure};
use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use serde::Deserialize;

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f64 = 1e-7;

/// The update rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Adam with Nesterov momentum and its momentum schedule (Dozat, "Incorporating Nesterov momentum into Adam",
    /// 2016).
    Nadam,
    /// Adam (Kingma and Ba, "Adam: a method for stochastic optimization", 2015).
    Adam,
    /// Adam with the largest gradient instead of the mean square (the same paper, section 7).
    Adamax,
    /// Gradient descent with momentum.
    Sgd,
}

/// An update rule and its state.
pub struct Optimiser {
    rule: Rule,
    /// Decoupled weight decay of matrices: each step subtracts this share times the learning rate.
    weight_decay: f64,
    moments: Vec<Moments>,
    step: u32,
    /// The product of Nadam's momentum factors so far.
    momentum_product: f64,
}

/// The state of one variable.
pub struct Moments {
    /// The variable.
    pub var: Var,
    /// The name of the variable.
    pub name: String,
    /// The moving average of the gradient.
    pub first: Tensor,
    /// The moving average of the squared gradient; for Adamax, the decaying maximum of its absolute value.
    pub second: Tensor,
}

impl Optimiser {
    /// An optimiser for these variables that has made no steps.
    ///
    /// # Errors
    /// If the device runs out of memory.
    pub fn new<'a>(rule: Rule, weight_decay: f64, variables: impl Iterator<Item = &'a (String, Var)>) -> Result<Self> {
        let moments = variables
            .map(|(name, var)| {
                let zeros = var.zeros_like()?.detach();
                Ok(Moments { var: var.clone(), name: name.clone(), first: zeros.copy()?, second: zeros })
            })
            .collect::<Result<_>>()?;
        Ok(Self { rule, weight_decay, moments, step: 0, momentum_product: 1.0 })
    }

    /// The state of each variable, for saving and restoring.
    pub fn moments(&mut self) -> &mut [Moments] {
        &mut self.moments
    }

    /// The number of steps made and the product of momentum factors, for saving.
    pub fn progress(&self) -> (u32, f64) {
        (self.step, self.momentum_product)
    }

    /// Restores the result of [`Self::progress`].
    pub fn set_progress(&mut self, (step, momentum_product): (u32, f64)) {
        (self.step, self.momentum_product) = (step, momentum_product);
    }

    /// Updates every variable that has a gradient, after scaling all gradients together to a norm of at most
    /// `clip_norm`. Returns the norm before scaling.
    ///
    /// # Errors
    /// If a gradient holds NaN or infinity. Then no variable changes.
    pub fn step(&mut self, grads: &GradStore, learning_rate: f64, clip_norm: f64) -> Result<f64> {
        let mut squares = 0.0;
        for m in &self.moments {
            if let Some(grad) = grads.get(&m.var) {
                squares += f64::from(grad.sqr()?.sum_all()?.to_scalar::<f32>()?);
            }
        }
        let norm = squares.sqrt();
        ensure!(norm.is_finite(), "expected a finite gradient, got one of norm {norm}");
        let scale = if norm > clip_norm { clip_norm / norm } else { 1.0 };
        self.step += 1;
        let nadam = self.nadam_factors();
        let t = self.step as i32;
        let (first_unbias, second_unbias) = (1.0 / (1.0 - BETA_1.powi(t)), 1.0 / (1.0 - BETA_2.powi(t)));
        for m in &mut self.moments {
            let Some(grad) = grads.get(&m.var) else { continue };
            let grad = (grad.detach() * scale)?;
            let keep = if self.rule == Rule::Sgd { 1.0 } else { 1.0 - BETA_1 };
            m.first = ((&m.first * BETA_1)? + (&grad * keep)?)?.detach();
            m.second = match self.rule {
                Rule::Sgd => m.second.clone(),
                Rule::Adamax => (&m.second * BETA_2)?.maximum(&grad.abs()?)?.detach(),
                Rule::Nadam | Rule::Adam => ((&m.second * BETA_2)? + (grad.sqr()? * (1.0 - BETA_2))?)?.detach(),
            };
            let direction = match self.rule {
                Rule::Sgd => m.first.clone(),
                Rule::Adamax => ((&m.first * first_unbias)? / (&m.second + EPSILON)?)?,
                Rule::Adam => ((&m.first * first_unbias)? / ((&m.second * second_unbias)?.sqrt()? + EPSILON)?)?,
                Rule::Nadam => {
                    let (of_first, of_grad) = nadam;
                    let nesterov = ((&m.first * of_first)? + (grad * of_grad)?)?;
                    (nesterov / ((&m.second * second_unbias)?.sqrt()? + EPSILON)?)?
                }
            };
            let mut to = (m.var.as_detached_tensor() - (direction * learning_rate)?)?;
            if self.weight_decay > 0.0 && m.var.rank() > 1 {
                to = (to - (m.var.as_detached_tensor() * (self.weight_decay * learning_rate))?)?;
            }
            m.var.set(&to)?;
        }
        Ok(norm)
    }

    /// Nadam's factors for the moving average and for the gradient in this step. Advances its momentum schedule.
    fn nadam_factors(&mut self) -> (f64, f64) {
        let momentum = |t: u32| BETA_1 * (1.0 - 0.5 * 0.96_f64.powf(f64::from(t) * 0.004));
        let (now, next) = (momentum(self.step), momentum(self.step + 1));
        self.momentum_product *= now;
        (next / (1.0 - self.momentum_product * next), (1.0 - now) / (1.0 - self.momentum_product))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn descend(rule: Rule, learning_rate: f64, weight_decay: f64) {
        let x = Var::new(&[[3.0_f32, -2.0]], &Device::Cpu).unwrap();
        let named = [("x".to_string(), x.clone())];
        let mut optimiser = Optimiser::new(rule, weight_decay, named.iter()).unwrap();
        let scale = Tensor::new(&[1.0_f32, 30.0], &Device::Cpu).unwrap();
        let mut first_norm = None;
        for _ in 0..400 {
            let loss = x.sqr().unwrap().broadcast_mul(&scale).unwrap().sum_all().unwrap();
            let norm = optimiser.step(&loss.backward().unwrap(), learning_rate, 1.0).unwrap();
            first_norm.get_or_insert(norm);
        }
        assert!((first_norm.unwrap() - 14436_f64.sqrt()).abs() < 1e-3, "{first_norm:?}");
        let end = x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(end.iter().all(|x| x.abs() < 0.05), "{rule:?}: {end:?}");
    }

    #[test]
    fn every_rule_finds_the_minimum_and_clips() {
        for (rule, learning_rate) in [(Rule::Nadam, 0.05), (Rule::Adam, 0.05), (Rule::Adamax, 0.05), (Rule::Sgd, 0.005)]
        {
            descend(rule, learning_rate, 0.0);
        }
        descend(Rule::Adam, 0.05, 0.1);
    }

    #[test]
    fn only_matrices_decay() {
        let (matrix, bias) =
            (Var::new(&[[1.0_f32]], &Device::Cpu).unwrap(), Var::new(&[1.0_f32], &Device::Cpu).unwrap());
        let named = [("w".to_string(), matrix.clone()), ("b".to_string(), bias.clone())];
        let mut optimiser = Optimiser::new(Rule::Adam, 0.5, named.iter()).unwrap();
        let loss = ((matrix.sum_all().unwrap() + bias.sum_all().unwrap()).unwrap() * 1e-15).unwrap();
        optimiser.step(&loss.backward().unwrap(), 0.1, 1.0).unwrap();
        assert_eq!(matrix.to_vec2::<f32>().unwrap(), [[0.95]]);
        assert_eq!(bias.to_vec1::<f32>().unwrap(), [1.0]);
    }
}
