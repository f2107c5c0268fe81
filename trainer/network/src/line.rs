//! A line model on candle: rows added up, LSTM layers, dense layers.

use std::sync::Arc;

use candle_core::{Result, Tensor};
use continuo_model::config::LineConfig;

use super::{Network, Training, drop_out};

/// A batch of sequences of words, time first.
#[derive(Clone)]
pub struct LineInputs {
    /// Words in each sequence.
    pub steps: usize,
    /// Sequences.
    pub batch: usize,
    /// The rows to look up before each word, (steps, batch, slots): what
    /// [`LineReader::rows`](continuo_model::tokeniser::line_reader::LineReader::rows) says, all
    /// [`NO_ROW`](continuo_model::tokeniser::step_reader::NO_ROW) where a sequence is over.
    pub rows: Arc<[u32]>,
}

impl Network {
    /// The logits of every word, (steps * batch, vocab_size). State is zero before the first word.
    pub(super) fn forward_line(
        &self,
        config: &LineConfig,
        inputs: &LineInputs,
        training: &mut Option<Training>,
    ) -> Result<Tensor> {
        let mut x = self.add_up("line.table", &inputs.rows, config.slots(), config.row_dropout, training)?;
        for i in 0..config.lstm.len() {
            let h = self.run_lstm(i, &x, inputs.steps, config.weight_dropout, training)?;
            x = drop_out(h, config.dropout, training)?;
        }
        self.run_dense(config.dense.len(), x, config.dropout, training)
    }
}
