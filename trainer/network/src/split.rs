//! The split network on candle: the trunk runs once a step, the head once a voice.

use std::sync::Arc;

use candle_core::{Result, Tensor};
use continuo_model::config::SplitConfig;
use continuo_model::tokeniser::grid::NUM_VOICES;
use continuo_model::tokeniser::step_reader::HEAD_SLOTS;

use super::affine::affine;
use super::{Network, Training, drop_out, drop_units};

/// The inputs of a split network: a batch of sequences of steps, time first. The voices of each step are in the order
/// in which the network predicts them.
#[derive(Clone)]
pub struct SplitInputs {
    /// Steps in each sequence.
    pub steps: usize,
    /// Sequences.
    pub batch: usize,
    /// The table rows that the trunk looks up, (steps, batch, trunk slots).
    pub trunk: Arc<[u32]>,
    /// The table rows that the head looks up, (steps, batch, voices, `HEAD_SLOTS`).
    pub head: Arc<[u32]>,
    /// The column of each token's relative score, (steps * batch * voices, vocab_size) of u32; see
    /// [`relative_columns`](continuo_model::tokeniser::step_reader::relative_columns).
    pub relative: Tensor,
}

impl Network {
    /// The logits of every voice of every step, (steps * batch * voices, vocab_size).
    pub(super) fn forward_split(
        &self,
        config: &SplitConfig,
        inputs: &SplitInputs,
        training: &mut Option<Training>,
    ) -> Result<Tensor> {
        let (steps, batch) = (inputs.steps, inputs.batch);
        let p = config.dropout;
        let x = self.add_up("trunk.table", &inputs.trunk, config.trunk_slots(), config.row_dropout, training)?;
        let mut x = drop_units(x, p, steps, training)?;
        for (i, &units) in config.lstm.iter().enumerate() {
            let h = self.run_lstm(i, &x, steps, config.weight_dropout, training)?;
            let h = drop_units(h, p, steps, training)?;
            x = if x.dim(1)? == units { (x + h)? } else { h };
        }
        let trunk = x.matmul(self.var("head.trunk"))?.unsqueeze(1)?; // (steps * batch, 1, head)
        let cells = steps * batch * NUM_VOICES;
        let embedded = self.add_up("head.table", &inputs.head, HEAD_SLOTS, config.row_dropout, training)?;
        let mut z = embedded
            .reshape((steps * batch, NUM_VOICES, config.head))?
            .broadcast_add(&trunk)?
            .reshape((cells, config.head))?;
        for i in 0..config.head_layers {
            let a = drop_out(z.relu()?, p, training)?;
            z = (z + affine(&a, self.var(&format!("head.{i}.weight")), self.var(&format!("head.{i}.bias")))?)?;
        }
        let a = drop_out(z.relu()?, p, training)?;
        let logits = affine(&a, self.var("head.out.weight"), self.var("head.out.bias"))?;
        let relative = a.matmul(self.var("head.relative"))?.pad_with_zeros(1, 0, 1)?.contiguous()?;
        logits + relative.gather(&inputs.relative, 1)?
    }
}
