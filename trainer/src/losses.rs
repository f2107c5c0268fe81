//! The training loss: cross-entropy over the cells of a batch.

use anyhow::Result;
use candle_core::Tensor;

use crate::batches::Batch;

/// The loss of a batch.
pub struct BatchLoss {
    /// The scalar to differentiate.
    pub tensor: Tensor,
    /// Mean cross-entropy over the cells in nats, without label smoothing.
    pub nats: f64,
    /// Number of cells with weight 1.
    pub cells: f64,
}

/// The loss of `logits`, (cells, vocab_size), over the cells with weight 1. See `label_smoothing` in the recipe.
pub fn cross_entropy(logits: &Tensor, batch: &Batch, label_smoothing: f64) -> Result<BatchLoss> {
    let log_probs = candle_nn::ops::log_softmax(logits, 1)?;
    let chosen = log_probs.gather(&batch.targets.unsqueeze(1)?, 1)?.squeeze(1)?;
    let cells = f64::from(batch.weights.sum_all()?.to_scalar::<f32>()?);
    let mean = |log_probs: Tensor| (log_probs * &batch.weights)?.sum_all()? * (-1.0 / cells);
    let surprise = mean(chosen)?;
    let nats = f64::from(surprise.to_scalar::<f32>()?);
    let tensor = if label_smoothing > 0.0 {
        let of_any = mean(log_probs.mean(1)?)?;
        ((surprise * (1.0 - label_smoothing))? + (of_any * label_smoothing)?)?
    } else {
        surprise
    };
    Ok(BatchLoss { tensor, nats, cells })
}

/// The negative log probability of `token`, in nats.
pub fn surprise(logits: &[f32], token: u16) -> f64 {
    let highest = logits.iter().copied().fold(f32::MIN, f32::max);
    let sum: f64 = logits.iter().map(|&x| f64::from(x - highest).exp()).sum();
    sum.ln() - f64::from(logits[usize::from(token)] - highest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};
    use continuo_network::{Inputs, StackInputs};

    /// Two cells, the second with weight 0.
    fn batch() -> Batch {
        let none = Tensor::new(&[0_u32], &Device::Cpu).unwrap();
        let inputs = Inputs::Stack(StackInputs { previous: none.clone(), features: none });
        let targets = Tensor::new(&[1_u32, 0], &Device::Cpu).unwrap();
        Batch { inputs, targets, weights: Tensor::new(&[1.0_f32, 0.0], &Device::Cpu).unwrap() }
    }

    #[test]
    fn smoothing_asks_for_a_share_of_every_token() {
        // Probabilities 1/4, 1/2, 1/4 in the cell that counts.
        let logits = Var::new(&[[0.0_f32, 2.0_f32.ln(), 0.0], [9.0, 0.0, 0.0]], &Device::Cpu).unwrap();
        let (two, four) = (2.0_f64.ln(), 4.0_f64.ln());
        for (smoothing, expect) in [(0.0, two), (0.3, 0.7 * two + 0.3 * (two + 2.0 * four) / 3.0)] {
            let loss = cross_entropy(&logits, &batch(), smoothing).unwrap();
            assert!((f64::from(loss.tensor.to_scalar::<f32>().unwrap()) - expect).abs() < 1e-6, "{smoothing}");
            assert!((loss.nats - two).abs() < 1e-6 && loss.cells == 1.0);
            // The gradient of cross-entropy is the predicted probabilities minus the target's.
            let grads = loss.tensor.backward().unwrap();
            let grad = grads.get(&logits).unwrap().to_vec2::<f32>().unwrap();
            let (on, off) = ((1.0 - smoothing + smoothing / 3.0) as f32, (smoothing / 3.0) as f32);
            for (got, expect) in grad[0].iter().zip([0.25 - off, 0.5 - on, 0.25 - off]) {
                assert!((got - expect).abs() < 1e-6, "{smoothing}: {grad:?}");
            }
            assert_eq!(grad[1], [0.0; 3]);
        }
    }
}
