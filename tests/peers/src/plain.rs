//! A network written out as plain matrices, for frameworks that know nothing of Continuo.

use anyhow::{Result, bail};
use continuo_model::config::{NORM_EPSILON, NetworkConfig};
use continuo_model::note_tokens::{Attribute, NUM_KEYS};
use continuo_model::tokeniser::{note_reader, step_reader};
use continuo_model::weights_file::Weights;
use half::f16;

/// A matrix, (inputs, outputs) in row-major order, and a bias, (outputs). Rounded to 16 bits as Continuo's are.
#[derive(Clone)]
pub struct Matrix {
    pub weights: Vec<f32>,
    pub bias: Vec<f32>,
    pub inputs: usize,
}

impl Matrix {
    fn new(weights: Vec<f32>, bias: Vec<f32>) -> Self {
        let inputs = weights.len() / bias.len();
        Self { weights: weights.into_iter().map(|w| f16::from_f32(w).to_f32()).collect(), bias, inputs }
    }

    pub fn outputs(&self) -> usize {
        self.bias.len()
    }
}

/// A layer that runs once for each input.
pub enum Layer {
    /// A causal convolution and ReLU; the matrix is (kernel * inputs, channels), the oldest input first.
    Convolution { matrix: Matrix, inputs: usize, kernel: usize, dilation: usize },
    /// The matrix is (inputs + units, 4 * units), the gates are input, forget, cell and output.
    Lstm { matrix: Matrix, units: usize, residual: bool },
    /// A matrix, and ReLU if set.
    Dense { matrix: Matrix, relu: bool },
}

/// What predicts a token from the trunk's output z and the embeddings e of what is known: z += e, then for each layer
/// z += relu(z) * layer, then relu(z) * out.
pub struct Head {
    pub layers: Vec<Matrix>,
    pub out: Matrix,
}

/// A network as layers, and the tables that its inputs are looked up in.
pub struct Plain {
    pub trunk: Vec<Layer>,
    /// Empty if the trunk's output is the logits.
    pub heads: Vec<Head>,
    /// The table of the trunk's inputs, and its width.
    pub trunk_table: (Vec<f32>, usize),
    /// The table of the heads' inputs, and its width.
    pub head_table: (Vec<f32>, usize),
}

impl Plain {
    /// # Errors
    /// If the file holds several networks.
    pub fn new(weights: &Weights) -> Result<Self> {
        match &weights.description.config {
            NetworkConfig::Stack(config) => {
                let (mut trunk, mut width) = (Vec::new(), config.input_width());
                for (i, conv) in config.convolutions.iter().enumerate() {
                    let matrix = folded(weights, i, conv.channels);
                    let (kernel, dilation) = (conv.kernel, conv.dilation);
                    trunk.push(Layer::Convolution { matrix, inputs: width, kernel, dilation });
                    width = conv.channels;
                }
                push_lstm(&mut trunk, weights, width, &config.lstm, false);
                push_dense(&mut trunk, weights, config.dense.len());
                let none = || (Vec::new(), 1);
                Ok(Self { trunk, heads: Vec::new(), trunk_table: none(), head_table: none() })
            }
            NetworkConfig::Line(config) => {
                let mut trunk = Vec::new();
                push_lstm(&mut trunk, weights, config.embedding, &config.lstm, false);
                push_dense(&mut trunk, weights, config.dense.len());
                let table = (weights.tensor("line.table").to_vec(), config.embedding);
                Ok(Self { trunk, heads: Vec::new(), trunk_table: table, head_table: (Vec::new(), 1) })
            }
            NetworkConfig::Split(config) => {
                let out = beside(weights, "head.out", config.vocab_size, "head.relative", step_reader::INTERVALS);
                Ok(Self::with_heads(
                    weights,
                    config.embedding,
                    &config.lstm,
                    config.head,
                    config.head_layers,
                    vec![out],
                ))
            }
            NetworkConfig::Performance(config) => {
                let out = |attribute: Attribute| match attribute {
                    Attribute::Key => beside(weights, "out.key", NUM_KEYS, "out.relative", note_reader::INTERVALS),
                    _ => matrix(weights, &format!("out.{}", attribute.name())),
                };
                let outs = Attribute::ALL.map(out).into();
                Ok(Self::with_heads(weights, config.embedding, &config.lstm, config.head, config.head_layers, outs))
            }
            NetworkConfig::Ensemble(_) => bail!("expected one network, got an ensemble of several"),
        }
    }

    fn with_heads(
        weights: &Weights,
        embedding: usize,
        lstm: &[usize],
        head: usize,
        head_layers: usize,
        outs: Vec<Matrix>,
    ) -> Self {
        let mut trunk = Vec::new();
        push_lstm(&mut trunk, weights, embedding, lstm, true);
        let seen = Matrix::new(weights.tensor("head.trunk").to_vec(), vec![0.0; head]);
        trunk.push(Layer::Dense { matrix: seen, relu: false });
        let layers: Vec<Matrix> = (0..head_layers).map(|i| matrix(weights, &format!("head.{i}"))).collect();
        Self {
            trunk,
            heads: outs.into_iter().map(|out| Head { layers: layers.clone(), out }).collect(),
            trunk_table: (weights.tensor("trunk.table").to_vec(), embedding),
            head_table: (weights.tensor("head.table").to_vec(), head),
        }
    }

    /// What `trunk_runs` runs of the trunk and these heads read, in order: the number of the matrices, and their bytes
    /// in 16 bits. The heads share their layers.
    pub fn reads(&self, trunk_runs: usize, heads: &[usize]) -> Vec<(usize, usize)> {
        let bytes = |matrices: &[&Matrix]| 2 * matrices.iter().map(|matrix| matrix.weights.len()).sum::<usize>();
        let trunk: Vec<&Matrix> = self.trunk.iter().map(Layer::matrix).collect();
        let mut reads = vec![(0, bytes(&trunk)); trunk_runs];
        for &n in heads {
            let Head { layers, out } = &self.heads[n];
            reads.extend([(1, bytes(&layers.iter().collect::<Vec<_>>())), (2 + n, bytes(&[out]))]);
        }
        reads
    }
}

impl Layer {
    fn matrix(&self) -> &Matrix {
        match self {
            Self::Convolution { matrix, .. } | Self::Lstm { matrix, .. } | Self::Dense { matrix, .. } => matrix,
        }
    }
}

fn matrix(weights: &Weights, name: &str) -> Matrix {
    let part = |part: &str| weights.tensor(&format!("{name}.{part}")).to_vec();
    Matrix::new(part("weight"), part("bias"))
}

/// Two matrices side by side; the second has no bias.
fn beside(weights: &Weights, name: &str, outputs: usize, second: &str, more: usize) -> Matrix {
    let first = matrix(weights, name);
    let rows = first.weights.chunks_exact(outputs).zip(weights.tensor(second).chunks_exact(more));
    let both = rows.flat_map(|(a, b)| a.iter().chain(b)).copied().collect();
    Matrix::new(both, [first.bias, vec![0.0; more]].concat())
}

fn push_lstm(trunk: &mut Vec<Layer>, weights: &Weights, mut width: usize, sizes: &[usize], residual: bool) {
    for (n, &units) in sizes.iter().enumerate() {
        let part = |part: &str| weights.tensor(&format!("lstm.{n}.{part}"));
        let matrix = Matrix::new([part("w_ih"), part("w_hh")].concat(), part("bias").to_vec());
        trunk.push(Layer::Lstm { matrix, units, residual: residual && width == units });
        width = units;
    }
}

/// The hidden dense layers and the output.
fn push_dense(trunk: &mut Vec<Layer>, weights: &Weights, hidden: usize) {
    for i in 0..=hidden {
        trunk.push(Layer::Dense { matrix: matrix(weights, &format!("dense.{i}")), relu: i < hidden });
    }
}

/// Convolution `i` with its normalisation.
fn folded(weights: &Weights, i: usize, channels: usize) -> Matrix {
    let part = |part: &str| weights.tensor(&format!("conv.{i}.{part}"));
    let scale = |n: usize| part("norm.gamma")[n] / (part("norm.var")[n] + NORM_EPSILON as f32).sqrt();
    let folded = part("weight").iter().enumerate().map(|(n, w)| w * scale(n % channels)).collect();
    let bias = |n: usize| (part("bias")[n] - part("norm.mean")[n]) * scale(n) + part("norm.beta")[n];
    Matrix::new(folded, (0..channels).map(bias).collect())
}
