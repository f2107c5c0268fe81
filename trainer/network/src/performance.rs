//! The performance model on candle: the trunk runs once a note, the head once for each attribute of the next.

use std::sync::Arc;

use candle_core::{Result, Tensor};
use continuo_model::config::PerformanceConfig;
use continuo_model::note_tokens::{Attribute, LARGEST_VOCABULARY, NUM_ATTRIBUTES};
use continuo_model::tokeniser::note_reader::{HEAD_SLOTS, TRUNK_SLOTS};

use super::affine::affine;
use super::residual::{Head, Trunk};
use super::{Network, Training};

/// The logit of tokens that an attribute does not have.
const IMPOSSIBLE: f64 = -1e9;

/// The inputs of a performance model: a batch of sequences of notes, time first.
#[derive(Clone)]
pub struct PerformanceInputs {
    /// Notes in each sequence.
    pub steps: usize,
    /// Sequences.
    pub batch: usize,
    /// The table rows that the trunk looks up, (steps, batch, [`TRUNK_SLOTS`]).
    pub trunk: Arc<[u32]>,
    /// The table rows that the head looks up, (steps, batch, attributes, [`HEAD_SLOTS`]).
    pub head: Arc<[u32]>,
    /// The column of each key's relative score, (steps * batch, keys) of u32; see
    /// [`relative_columns`](continuo_model::tokeniser::note_reader::relative_columns).
    pub relative: Tensor,
}

impl Network {
    /// The logits of every attribute of every note, (attributes * steps * batch, [`LARGEST_VOCABULARY`]), attribute by
    /// attribute.
    pub(super) fn forward_performance(
        &self,
        config: &PerformanceConfig,
        inputs: &PerformanceInputs,
        training: &mut Option<Training>,
    ) -> Result<Tensor> {
        let trunk = Trunk {
            slots: TRUNK_SLOTS,
            lstm: &config.lstm,
            dropout: config.dropout,
            row_dropout: config.row_dropout,
            weight_dropout: config.weight_dropout,
        };
        let x = self.run_trunk(&trunk, &inputs.trunk, inputs.steps, training)?;
        let head = Head {
            slots: HEAD_SLOTS,
            cells: NUM_ATTRIBUTES,
            width: config.head,
            layers: config.head_layers,
            dropout: config.dropout,
            row_dropout: config.row_dropout,
        };
        let a = self.run_head(&head, &x, &inputs.head, training)?;
        let a = a.reshape((inputs.steps * inputs.batch, NUM_ATTRIBUTES, config.head))?;
        let logits = Attribute::ALL.map(|attribute| {
            let a = a.narrow(1, attribute as usize, 1)?.squeeze(1)?.contiguous()?;
            let part = |part: &str| self.var(&format!("out.{}.{part}", attribute.name()));
            let logits = affine(&a, part("weight"), part("bias"))?;
            if attribute == Attribute::Key {
                let relative = a.matmul(self.var("out.relative"))?.pad_with_zeros(1, 0, 1)?.contiguous()?;
                return logits + relative.gather(&inputs.relative, 1)?;
            }
            let missing = LARGEST_VOCABULARY - attribute.vocabulary();
            let impossible = Tensor::full(IMPOSSIBLE as f32, (logits.dim(0)?, missing), logits.device())?;
            Tensor::cat(&[&logits, &impossible], 1)
        });
        Tensor::cat(&logits.into_iter().collect::<Result<Vec<_>>>()?, 0)
    }
}
