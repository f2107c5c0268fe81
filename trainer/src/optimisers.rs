//! How weights move. candle has AdamW and plain SGD only, and neither can be saved.

use anyhow::Result;
use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f64 = 1e-7;

/// Adam with Nesterov momentum (Dozat, "Incorporating Nesterov momentum into Adam", 2016), with its momentum
/// schedule.
pub struct Nadam {
    moments: Vec<Moments>,
    step: u32,
    /// Product of the momentum factors so far.
    momentum_product: f64,
}

/// What is kept for one variable.
pub struct Moments {
    /// The variable.
    pub var: Var,
    /// Its name.
    pub name: String,
    /// Moving average of its gradient.
    pub first: Tensor,
    /// Moving average of its gradient squared.
    pub second: Tensor,
}

impl Nadam {
    /// For these variables, from a standing start.
    pub fn new<'a>(variables: impl Iterator<Item = &'a (String, Var)>) -> Result<Self> {
        let moments = variables
            .map(|(name, var)| {
                let zeros = var.zeros_like()?.detach();
                Ok(Moments { var: var.clone(), name: name.clone(), first: zeros.copy()?, second: zeros })
            })
            .collect::<Result<_>>()?;
        Ok(Self { moments, step: 0, momentum_product: 1.0 })
    }

    /// What is kept for each variable, to be saved or put back.
    pub fn moments(&mut self) -> &mut [Moments] {
        &mut self.moments
    }

    /// The number of steps taken and the product of momentum factors.
    pub fn progress(&self) -> (u32, f64) {
        (self.step, self.momentum_product)
    }

    /// Puts back what [`Self::progress`] told.
    pub fn set_progress(&mut self, (step, momentum_product): (u32, f64)) {
        (self.step, self.momentum_product) = (step, momentum_product);
    }

    /// Moves every variable by its gradient, after cutting all gradients together to the length `clip_norm`.
    /// Returns the length before the cut.
    pub fn step(&mut self, grads: &GradStore, learning_rate: f64, clip_norm: f64) -> Result<f64> {
        let mut squares = 0.0;
        for m in &self.moments {
            if let Some(grad) = grads.get(&m.var) {
                squares += f64::from(grad.sqr()?.sum_all()?.to_scalar::<f32>()?);
            }
        }
        let norm = squares.sqrt();
        let scale = if norm > clip_norm { clip_norm / norm } else { 1.0 };
        self.step += 1;
        let momentum = |t: u32| BETA_1 * (1.0 - 0.5 * 0.96_f64.powf(f64::from(t) * 0.004));
        let (now, next) = (momentum(self.step), momentum(self.step + 1));
        self.momentum_product *= now;
        let first_unbias = 1.0 / (1.0 - self.momentum_product * next);
        let grad_unbias = 1.0 / (1.0 - self.momentum_product);
        let second_unbias = 1.0 / (1.0 - BETA_2.powi(self.step as i32));
        for m in &mut self.moments {
            let Some(grad) = grads.get(&m.var) else { continue };
            let grad = (grad.detach() * scale)?;
            m.first = ((&m.first * BETA_1)? + (&grad * (1.0 - BETA_1))?)?.detach();
            m.second = ((&m.second * BETA_2)? + (grad.sqr()? * (1.0 - BETA_2))?)?.detach();
            let nesterov = ((&m.first * (next * first_unbias))? + (grad * ((1.0 - now) * grad_unbias))?)?;
            let root = ((&m.second * second_unbias)?.sqrt()? + EPSILON)?;
            m.var.set(&(m.var.as_detached_tensor() - (nesterov / root)? * learning_rate)?)?;
        }
        Ok(norm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn it_finds_the_bottom_of_a_bowl_and_clips() {
        let x = Var::new(&[3.0_f32, -2.0], &Device::Cpu).unwrap();
        let named = [("x".to_string(), x.clone())];
        let mut nadam = Nadam::new(named.iter()).unwrap();
        let scale = Tensor::new(&[1.0_f32, 30.0], &Device::Cpu).unwrap();
        let mut first_norm = None;
        for _ in 0..400 {
            let loss = (x.sqr().unwrap() * &scale).unwrap().sum_all().unwrap();
            let norm = nadam.step(&loss.backward().unwrap(), 0.05, 1.0).unwrap();
            first_norm.get_or_insert(norm);
        }
        assert!((first_norm.unwrap() - 14436_f64.sqrt()).abs() < 1e-3, "{first_norm:?}");
        let end = x.to_vec1::<f32>().unwrap();
        assert!(end.iter().all(|x| x.abs() < 0.05), "{end:?}");
    }
}
