//! The split network on candle: the trunk runs once a step, the head once a voice.

use std::sync::Arc;

use candle_core::{Result, Tensor};
use continuo_model::config::SplitConfig;
use continuo_model::tokeniser::grid::NUM_VOICES;
use continuo_model::tokeniser::step_reader::HEAD_SLOTS;

use super::affine::affine;
use super::residual::{Head, Trunk};
use super::{Network, Training};

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
        let trunk = Trunk {
            slots: config.trunk_slots(),
            lstm: &config.lstm,
            dropout: config.dropout,
            row_dropout: config.row_dropout,
            weight_dropout: config.weight_dropout,
        };
        let x = self.run_trunk(&trunk, &inputs.trunk, inputs.steps, training)?;
        let head = Head {
            slots: HEAD_SLOTS,
            cells: NUM_VOICES,
            width: config.head,
            layers: config.head_layers,
            dropout: config.dropout,
            row_dropout: config.row_dropout,
        };
        let a = self.run_head(&head, &x, &inputs.head, training)?;
        let logits = affine(&a, self.var("head.out.weight"), self.var("head.out.bias"))?;
        let relative = a.matmul(self.var("head.relative"))?.pad_with_zeros(1, 0, 1)?.contiguous()?;
        logits + relative.gather(&inputs.relative, 1)?
    }
}
