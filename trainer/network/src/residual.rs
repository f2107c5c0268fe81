//! The two halves of networks that predict several tokens from one state: a trunk of residual LSTM layers, and a head
//! of residual dense layers.

use std::sync::Arc;

use candle_core::{Result, Tensor};

use super::affine::affine;
use super::{Network, Training, drop_out, drop_units};

/// The shape of a trunk, and its dropout.
pub(super) struct Trunk<'a> {
    /// Table rows that it looks up at a time.
    pub slots: usize,
    /// Units of each layer.
    pub lstm: &'a [usize],
    pub dropout: f32,
    pub row_dropout: f32,
    pub weight_dropout: f32,
}

/// The shape of a head, and its dropout.
pub(super) struct Head {
    /// Table rows that it looks up for a cell.
    pub slots: usize,
    /// Cells that it predicts from one output of the trunk.
    pub cells: usize,
    pub width: usize,
    pub layers: usize,
    pub dropout: f32,
    pub row_dropout: f32,
}

impl Network {
    /// The trunk's output, (steps * batch, units), for the rows that it looks up, (steps, batch, slots).
    pub(super) fn run_trunk(
        &self,
        trunk: &Trunk,
        indices: &Arc<[u32]>,
        steps: usize,
        training: &mut Option<Training>,
    ) -> Result<Tensor> {
        let p = trunk.dropout;
        let x = self.add_up("trunk.table", indices, trunk.slots, trunk.row_dropout, training)?;
        let mut x = drop_units(x, p, steps, training)?;
        for (i, &units) in trunk.lstm.iter().enumerate() {
            let h = self.run_lstm(i, &x, steps, trunk.weight_dropout, training)?;
            let h = drop_units(h, p, steps, training)?;
            x = if x.dim(1)? == units { (x + h)? } else { h };
        }
        Ok(x)
    }

    /// The input of the output layer, (steps * batch * cells, width), from the trunk's output and the rows that the
    /// head looks up, (steps, batch, cells, slots).
    pub(super) fn run_head(
        &self,
        head: &Head,
        x: &Tensor,
        indices: &Arc<[u32]>,
        training: &mut Option<Training>,
    ) -> Result<Tensor> {
        let trunk = x.matmul(self.var("head.trunk"))?.unsqueeze(1)?; // (steps * batch, 1, width)
        let times = trunk.dim(0)?;
        let embedded = self.add_up("head.table", indices, head.slots, head.row_dropout, training)?;
        let mut z = embedded
            .reshape((times, head.cells, head.width))?
            .broadcast_add(&trunk)?
            .reshape((times * head.cells, head.width))?;
        for i in 0..head.layers {
            let a = drop_out(z.relu()?, head.dropout, training)?;
            z = (z + affine(&a, self.var(&format!("head.{i}.weight")), self.var(&format!("head.{i}.bias")))?)?;
        }
        drop_out(z.relu()?, head.dropout, training)
    }
}
