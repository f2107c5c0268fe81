//! Layers that several kinds of network have, on candle.

use std::sync::Arc;

use candle_core::{Result, Tensor};
use continuo_model::tokeniser::step_reader::NO_ROW;

use super::affine::affine;
use super::bag::bag;
use super::lstm_sequence::lstm_sequence;
use super::{Network, Training, drop_out};

impl Network {
    /// LSTM layer `i` over `x`, (steps * batch, inputs); returns (steps * batch, units). While training a share
    /// `weight_dropout` of the recurrent weights is zeroed.
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
        let gates = affine(x, self.var(&format!("lstm.{i}.w_ih")), self.var(&format!("lstm.{i}.bias")))?.reshape((
            steps,
            cells / steps,
            4 * units,
        ))?;
        let w_hh = drop_out(w_hh, weight_dropout, training)?;
        lstm_sequence(&gates, &w_hh)?.reshape((cells, units))
    }

    /// `hidden` dense layers with ReLU and dropout over `x`, (cells, inputs), and the last one, which says the logits,
    /// (cells, vocab_size).
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

    /// Rows of a table added up, (bags, width); while training a share `p` of them is left out.
    pub(super) fn add_up(
        &self,
        table: &str,
        rows: &Arc<[u32]>,
        slots: usize,
        p: f32,
        training: &mut Option<Training>,
    ) -> Result<Tensor> {
        let table = self.var(table);
        let Some(training) = training.as_mut().filter(|_| p > 0.0) else { return bag(table, rows, slots) };
        let kept: Arc<[u32]> = rows.iter().map(|&row| if training.rng.next_f32() < p { NO_ROW } else { row }).collect();
        bag(table, &kept, slots)? * (1.0 / (1.0 - f64::from(p)))
    }
}
