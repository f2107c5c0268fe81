//! The network on tract, one step at a time: a graph for the trunk, whose states are inputs and outputs, and one for
//! each head.

use std::sync::Arc;

use anyhow::Result;
use tract_core::internal::*;
use tract_core::ops::array::{Slice, TypedConcat};
use tract_core::ops::einsum::EinSum;
use tract_core::ops::{math, nn};

use crate::peer::{History, Peer};
use crate::plain::{self, Matrix, Plain};

type Graph = Arc<TypedSimplePlan>;

pub struct Tract {
    trunk: Graph,
    /// The inputs of the trunk after x, and its outputs after the last: states.
    states: Vec<TValue>,
    /// In networks of convolutions: how the inputs of each are remembered. They are inputs and outputs too.
    histories: Vec<History>,
    heads: Vec<Graph>,
    out: TValue,
}

/// A graph while it is built.
#[derive(Default)]
struct Builder {
    model: TypedModel,
    nodes: usize,
}

impl Builder {
    fn name(&mut self) -> String {
        self.nodes += 1;
        format!("n{}", self.nodes)
    }

    fn input(&mut self, width: usize) -> Result<OutletId> {
        let name = self.name();
        self.model.add_source(name, f32::fact([1, width]))
    }

    fn op(&mut self, op: impl Into<Box<dyn TypedOp>>, inputs: &[OutletId]) -> Result<OutletId> {
        let name = self.name();
        Ok(self.model.wire_node(name, op, inputs)?[0])
    }

    fn product(&mut self, matrix: &Matrix, x: OutletId) -> Result<OutletId> {
        let (inputs, outputs) = (matrix.inputs, matrix.outputs());
        let (name, bias_name) = (self.name(), self.name());
        let weights = self.model.add_const(name, Tensor::from_shape(&[inputs, outputs], &matrix.weights)?)?;
        let bias = self.model.add_const(bias_name, Tensor::from_shape(&[1, outputs], &matrix.bias)?)?;
        let product = self.op(EinSum::new("mk,kn->mn".parse()?, f32::datum_type()), &[x, weights])?;
        self.op(math::add(), &[product, bias])
    }

    fn relu(&mut self, x: OutletId) -> Result<OutletId> {
        let name = self.name();
        let zero = self.model.add_const(name, Tensor::from_shape(&[1, 1], &[0.0_f32])?)?;
        self.op(math::max(), &[x, zero])
    }

    fn finish(mut self, outputs: &[OutletId]) -> Result<Graph> {
        self.model.select_output_outlets(outputs)?;
        self.model.into_optimized()?.into_runnable()
    }
}

impl Tract {
    pub fn new(plain: &Plain) -> Result<Self> {
        let mut builder = Builder::default();
        let first = match &plain.trunk[0] {
            plain::Layer::Convolution { inputs, .. } => *inputs,
            plain::Layer::Lstm { matrix, units, .. } => matrix.inputs - units,
            plain::Layer::Dense { matrix, .. } => matrix.inputs,
        };
        let mut x = builder.input(first)?;
        let (mut states, mut outputs, mut histories) = (Vec::new(), Vec::new(), Vec::new());
        for layer in &plain.trunk {
            x = match layer {
                plain::Layer::Convolution { matrix, inputs, kernel, dilation } => {
                    // The taps before x; x itself goes out, for the next steps.
                    let taps = builder.input((kernel - 1) * inputs)?;
                    states.push((kernel - 1) * inputs);
                    histories.push(History::new(*inputs, *kernel, *dilation));
                    outputs.push(x);
                    let all = builder.op(TypedConcat::new(1), &[taps, x])?;
                    let sum = builder.product(matrix, all)?;
                    builder.relu(sum)?
                }
                plain::Layer::Lstm { matrix, units, residual } => {
                    let (h, c) = (builder.input(*units)?, builder.input(*units)?);
                    states.extend([*units, *units]);
                    let xh = builder.op(TypedConcat::new(1), &[x, h])?;
                    let gates = builder.product(matrix, xh)?;
                    let mut gate = |n: usize| builder.op(Slice::new(1, n * units, (n + 1) * units), &[gates]);
                    let [i, f, g, o] = [gate(0)?, gate(1)?, gate(2)?, gate(3)?];
                    let [i, f, o] = [i, f, o].map(|gate| builder.op(nn::sigmoid(), &[gate]));
                    let g = builder.op(math::tanh(), &[g])?;
                    let (kept, added) = (builder.op(math::mul(), &[f?, c])?, builder.op(math::mul(), &[i?, g])?);
                    let c = builder.op(math::add(), &[kept, added])?;
                    let tanh = builder.op(math::tanh(), &[c])?;
                    let h = builder.op(math::mul(), &[o?, tanh])?;
                    outputs.extend([h, c]);
                    if *residual { builder.op(math::add(), &[x, h])? } else { h }
                }
                plain::Layer::Dense { matrix, relu } => {
                    let out = builder.product(matrix, x)?;
                    if *relu { builder.relu(out)? } else { out }
                }
            };
        }
        outputs.insert(0, x);
        let zeros = |width: usize| Ok(Tensor::zero::<f32>(&[1, width])?.into_tvalue());
        let heads = plain.heads.iter().map(Self::head).collect::<Result<_>>()?;
        let states = states.into_iter().map(zeros).collect::<Result<_>>()?;
        Ok(Self { trunk: builder.finish(&outputs)?, states, histories, heads, out: zeros(1)? })
    }

    fn head(head: &plain::Head) -> Result<Graph> {
        let mut builder = Builder::default();
        let width = head.out.inputs;
        let (seen, e) = (builder.input(width)?, builder.input(width)?);
        let mut z = builder.op(math::add(), &[seen, e])?;
        for layer in &head.layers {
            let x = builder.relu(z)?;
            let added = builder.product(layer, x)?;
            z = builder.op(math::add(), &[z, added])?;
        }
        let x = builder.relu(z)?;
        let out = builder.product(&head.out, x)?;
        builder.finish(&[out])
    }
}

fn row(x: &[f32]) -> Result<TValue> {
    Ok(Tensor::from_shape(&[1, x.len()], x)?.into_tvalue())
}

fn numbers(x: &TValue) -> Result<Vec<f32>> {
    Ok(x.to_plain_array_view::<f32>()?.iter().copied().collect())
}

impl Peer for Tract {
    fn name(&self) -> &'static str {
        "tract"
    }

    fn run_trunk(&mut self, x: &[f32]) -> Result<()> {
        let inputs = std::iter::once(row(x)?).chain(self.states.iter().cloned()).collect();
        let mut outputs = self.trunk.run(inputs)?.into_iter();
        self.out = outputs.next().context("a trunk has an output")?;
        let convolutions = self.histories.len();
        for (history, state) in self.histories.iter_mut().zip(&mut self.states) {
            let x = numbers(&outputs.next().context("the input of each convolution goes out")?)?;
            history.with(&x);
            *state = row(&history.taps())?;
        }
        self.states[convolutions..].iter_mut().zip(outputs).for_each(|(state, after)| *state = after);
        Ok(())
    }

    fn trunk_out(&self) -> Result<Vec<f32>> {
        numbers(&self.out)
    }

    fn run_head(&mut self, head: usize, e: &[f32]) -> Result<Vec<f32>> {
        numbers(&self.heads[head].run(tvec!(self.out.clone(), row(e)?))?[0])
    }
}
