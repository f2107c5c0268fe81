//! The network on candle, one step at a time.

use anyhow::Result;
use candle_core::{D, Device, Tensor};
use candle_nn::ops::sigmoid;

use crate::peer::{History, Peer};
use crate::plain::{self, Plain};

struct Matrix {
    weights: Tensor, // (inputs, outputs)
    bias: Tensor,    // (outputs)
}

impl Matrix {
    fn new(plain: &plain::Matrix) -> Result<Self> {
        let weights = Tensor::from_slice(&plain.weights, (plain.inputs, plain.outputs()), &Device::Cpu)?;
        Ok(Self { weights, bias: Tensor::from_slice(&plain.bias, plain.outputs(), &Device::Cpu)? })
    }

    fn run(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.matmul(&self.weights)?.broadcast_add(&self.bias)?)
    }
}

enum Layer {
    Convolution { matrix: Matrix, history: History },
    Lstm { matrix: Matrix, residual: bool, h: Tensor, c: Tensor },
    Dense { matrix: Matrix, relu: bool },
}

struct Head {
    layers: Vec<Matrix>,
    out: Matrix,
}

pub struct Candle {
    trunk: Vec<Layer>,
    heads: Vec<Head>,
    trunk_out: Tensor,
}

impl Candle {
    pub fn new(plain: &Plain) -> Result<Self> {
        let layer = |layer: &plain::Layer| {
            Ok(match layer {
                plain::Layer::Convolution { matrix, inputs, kernel, dilation } => Layer::Convolution {
                    matrix: Matrix::new(matrix)?,
                    history: History::new(*inputs, *kernel, *dilation),
                },
                plain::Layer::Lstm { matrix, units, residual } => {
                    let zeros = Tensor::zeros((1, *units), candle_core::DType::F32, &Device::Cpu)?;
                    Layer::Lstm { matrix: Matrix::new(matrix)?, residual: *residual, h: zeros.clone(), c: zeros }
                }
                plain::Layer::Dense { matrix, relu } => Layer::Dense { matrix: Matrix::new(matrix)?, relu: *relu },
            })
        };
        let head = |head: &plain::Head| {
            let layers = head.layers.iter().map(Matrix::new).collect::<Result<_>>()?;
            Ok(Head { layers, out: Matrix::new(&head.out)? })
        };
        Ok(Self {
            trunk: plain.trunk.iter().map(layer).collect::<Result<_>>()?,
            heads: plain.heads.iter().map(head).collect::<Result<_>>()?,
            trunk_out: Tensor::zeros((1, 1), candle_core::DType::F32, &Device::Cpu)?,
        })
    }
}

fn row(x: &[f32]) -> Result<Tensor> {
    Ok(Tensor::from_slice(x, (1, x.len()), &Device::Cpu)?)
}

impl Peer for Candle {
    fn name(&self) -> &'static str {
        "candle"
    }

    fn run_trunk(&mut self, x: &[f32]) -> Result<()> {
        let mut x = row(x)?;
        for layer in &mut self.trunk {
            x = match layer {
                Layer::Convolution { matrix, history } => {
                    let taps = history.with(&x.flatten_all()?.to_vec1::<f32>()?);
                    matrix.run(&row(&taps)?)?.relu()?
                }
                Layer::Lstm { matrix, residual, h, c } => {
                    let gates = matrix.run(&Tensor::cat(&[&x, &*h], 1)?)?.chunk(4, D::Minus1)?;
                    let [i, f, o] = [0, 1, 3].map(|n| sigmoid(&gates[n]));
                    *c = ((f? * &*c)? + (i? * gates[2].tanh()?)?)?;
                    *h = (o? * c.tanh()?)?;
                    if *residual { (x + &*h)? } else { h.clone() }
                }
                Layer::Dense { matrix, relu } => {
                    let out = matrix.run(&x)?;
                    if *relu { out.relu()? } else { out }
                }
            };
        }
        self.trunk_out = x;
        Ok(())
    }

    fn trunk_out(&self) -> Result<Vec<f32>> {
        Ok(self.trunk_out.flatten_all()?.to_vec1()?)
    }

    fn run_head(&mut self, head: usize, e: &[f32]) -> Result<Vec<f32>> {
        let Head { layers, out } = &self.heads[head];
        let mut z = (&self.trunk_out + row(e)?)?;
        for layer in layers {
            z = (&z + layer.run(&z.relu()?)?)?;
        }
        Ok(out.run(&z.relu()?)?.flatten_all()?.to_vec1()?)
    }
}
