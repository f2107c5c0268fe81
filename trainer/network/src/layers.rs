//! Layers that several kinds of network share, on candle.

use std::sync::Arc;

use candle_core::{Result, Tensor};
use continuo_model::tokeniser::step_reader::NO_INDEX;

use super::affine::affine;
use super::bag::bag;
use super::lstm_sequence::lstm_sequence;
use super::{Network, Training, drop_out};

impl Network {
    /// Runs LSTM layer `i` on `x`, (steps * batch, inputs); returns (steps * batch, units). Training mode zeroes a
    /// share `weight_dropout` of the recurrent weights.
    pub(super) fn run_lstm(
        &self,
        i: usize,
        x: &Tensor,
        steps: usize,
        weight_dropout: f32,
        training: &mut Option<Training>,
    ) -> Result<Tensor> {
        let cells = x.dim(0)?;
        let w_hh = self.var(&format!("lstm.{i}.w_hh")).as_tensor().clone();
        let units = w_hh.dim(0)?;
        let gates = affine(x, self.var(&format!("lstm.{i}.w_ih")), self.var(&format!("lstm.{i}.bias")))?;
        let gates = gates.reshape((steps, cells / steps, 4 * units))?; // (steps, batch, 4 * units)
        let w_hh = drop_out(w_hh, weight_dropout, training)?;
        lstm_sequence(&gates, &w_hh)?.reshape((cells, units))
    }

    /// Runs `hidden` dense layers with ReLU and dropout on `x`, (cells, inputs), and a last one for the logits, (cells,
    /// vocab_size).
    pub(super) fn run_dense(
        &self,
        hidden: usize,
        mut x: Tensor,
        dropout: f32,
        training: &mut Option<Training>,
    ) -> Result<Tensor> {
        for i in 0..=hidden {
            x = affine(&x, self.var(&format!("dense.{i}.weight")), self.var(&format!("dense.{i}.bias")))?;
            if i < hidden {
                x = drop_out(x.relu()?, dropout, training)?;
            }
        }
        Ok(x)
    }

    /// Sums of rows of a table, (bags, width), for `indices`, (bags * slots). Training mode leaves out a share `p` of
    /// them.
    pub(super) fn add_up(
        &self,
        table: &str,
        indices: &Arc<[u32]>,
        slots: usize,
        p: f32,
        training: &mut Option<Training>,
    ) -> Result<Tensor> {
        let table = self.var(table);
        let Some(training) = training.as_mut().filter(|_| p > 0.0) else { return bag(table, indices, slots) };
        let mut keep = |&index: &u32| if training.rng.next_f32() < p { NO_INDEX } else { index };
        let kept: Arc<[u32]> = indices.iter().map(&mut keep).collect();
        bag(table, &kept, slots)? * (1.0 / (1.0 - f64::from(p)))
    }
}
