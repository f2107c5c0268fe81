//! The line model on candle: sums of embeddings, LSTM layers, dense layers.

use std::sync::Arc;

use candle_core::{Result, Tensor};
use continuo_model::config::LineConfig;

use super::{Network, Training, drop_out};

/// The inputs of a line model: a batch of sequences of words, time first.
#[derive(Clone)]
pub struct LineInputs {
    /// Words in each sequence.
    pub steps: usize,
    /// Sequences.
    pub batch: usize,
    /// The table rows to look up for each word, (steps, batch, slots), from
    /// [`LineReader::indices`](continuo_model::tokeniser::line_reader::LineReader::indices);
    /// [`NO_INDEX`](continuo_model::tokeniser::step_reader::NO_INDEX) after the end of a sequence.
    pub indices: Arc<[u32]>,
}

impl Network {
    /// The logits of every word, (steps * batch, vocab_size).
    pub(super) fn forward_line(
        &self,
        config: &LineConfig,
        inputs: &LineInputs,
        training: &mut Option<Training>,
    ) -> Result<Tensor> {
        let mut x = self.add_up("line.table", &inputs.indices, config.slots(), config.row_dropout, training)?;
        for i in 0..config.lstm.len() {
            let h = self.run_lstm(i, &x, inputs.steps, config.weight_dropout, training)?;
            x = drop_out(h, config.dropout, training)?;
        }
        self.run_dense(config.dense.len(), x, config.dropout, training)
    }
}
