//! Weights files: safetensors with metadata that describes the network, its training data and its measured quality.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;

use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::config::NetworkConfig;
use crate::lexicon::Lexicon;
use crate::sampling::Sampler;

/// The format version that this build reads and writes.
pub const FORMAT: u32 = 1;
/// The metadata key of the description, which is JSON.
const METADATA_KEY: &str = "continuo";

/// The description in a weights file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// Format version.
    pub format: u32,
    /// The name in menus.
    pub name: String,
    /// The kind of the model and the shape of its network.
    pub config: NetworkConfig,
    /// Hash of the vocabulary, eight hexadecimal digits; for a line model, the hash of its lexicon.
    pub vocabulary: String,
    /// The lexicon of a line model, as [`Lexicon::parse`] reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lexicon: Option<String>,
    /// The text of the recipe that the network was trained with.
    pub recipe: String,
    /// The sampling to use by default; without it [`Sampler::CAREFUL`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<DefaultSampling>,
    /// The training data.
    pub corpora: Vec<Corpus>,
    /// The trainer's commit, or empty.
    pub commit: String,
    /// Measurements by name, such as `valid_nats_per_note`.
    pub figures: BTreeMap<String, f64>,
}

/// The sampling to use by default.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DefaultSampling {
    /// As [`Sampler::temperature`]; above 0, up to 2.
    pub temperature: f32,
    /// As [`Sampler::top_p`].
    pub top_p: f32,
    /// For a performance model: what its other draws need to make music like that it learnt from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<NoteSampling>,
}

/// How a performance model draws what is not a pitch, and which pitches it shuns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NoteSampling {
    /// The temperature of the steps between onsets, of lanes, lengths and velocities; above 0, up to 2. 1 draws them as
    /// learnt.
    pub rhythm: f32,
    /// Added to the log probability that the next note starts within the same step, -5 to 5. Below 0 makes chords
    /// smaller.
    pub within_step: f32,
    /// Added to the log probability of each lane but the first, -5 to 5: a network whose first lane plays more than its
    /// share hears that, and plays still more in it.
    pub lower_lanes: f32,
    /// The factor on the probability of a pitch outside of the key, above 0, up to 1.
    pub out_of_key: f32,
}

impl Default for NoteSampling {
    fn default() -> Self {
        Self { rhythm: 1.0, within_step: 0.0, lower_lanes: 0.0, out_of_key: 1.0 }
    }
}

impl DefaultSampling {
    /// Checks the values.
    ///
    /// # Errors
    /// If one is out of range; the error names it.
    pub fn check(self) -> Result<(), String> {
        let Self { temperature, top_p, notes } = self;
        let NoteSampling { rhythm, within_step, lower_lanes, out_of_key } = notes.unwrap_or_default();
        if !(temperature > 0.0 && temperature <= 2.0) {
            return Err(format!("sampling.temperature: expected above 0 up to 2, got {temperature}"));
        }
        if !(top_p > 0.0 && top_p <= 1.0) {
            return Err(format!("sampling.top_p: expected above 0 up to 1, got {top_p}"));
        }
        if !(rhythm > 0.0 && rhythm <= 2.0) {
            return Err(format!("sampling.notes.rhythm: expected above 0 up to 2, got {rhythm}"));
        }
        for (name, added) in [("within_step", within_step), ("lower_lanes", lower_lanes)] {
            if !(-5.0..=5.0).contains(&added) {
                return Err(format!("sampling.notes.{name}: expected -5 to 5, got {added}"));
            }
        }
        if !(out_of_key > 0.0 && out_of_key <= 1.0) {
            return Err(format!("sampling.notes.out_of_key: expected above 0 up to 1, got {out_of_key}"));
        }
        Ok(())
    }
}

impl Description {
    /// The sampler to use by default.
    pub fn sampler(&self) -> Sampler {
        let Some(DefaultSampling { temperature, top_p, .. }) = self.sampling else { return Sampler::CAREFUL };
        Sampler { temperature, top_p, ..Sampler::CAREFUL }
    }

    /// How a performance model draws what is not a pitch.
    pub fn note_sampling(&self) -> NoteSampling {
        self.sampling.and_then(|sampling| sampling.notes).unwrap_or_default()
    }

    /// Parses a line model's lexicon.
    ///
    /// # Errors
    /// If the lexicon is missing or malformed, or contradicts the hash or the vocabulary size in the description.
    pub fn words(&self) -> Result<Lexicon, String> {
        let spelling = self.lexicon.as_ref().ok_or("expected a line model's lexicon, got none")?;
        let lexicon = Lexicon::parse(spelling).map_err(|problem| format!("lexicon: {problem}"))?;
        let (hash, size) = (lexicon.hash().to_string(), self.config.vocab_size());
        if hash != self.vocabulary {
            return Err(format!("expected a lexicon with the hash {}, got {hash}", self.vocabulary));
        }
        if lexicon.len() != size {
            return Err(format!("expected a lexicon of {size} words, got {}", lexicon.len()));
        }
        Ok(lexicon)
    }
}

/// A source of training data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Corpus {
    /// The name of the source.
    pub name: String,
    /// Its licence, or what is known about it.
    pub licence: String,
}

/// Checked weights: every tensor of the network is present, with the right shape and finite values.
#[derive(Clone, Debug)]
pub struct Weights {
    /// The description.
    pub description: Description,
    /// Every tensor of the network by name, in row-major order.
    tensors: BTreeMap<String, Vec<f32>>,
}

/// An unusable weights file: which file, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("{source_name}: {problem}")]
pub struct WeightsError {
    /// The file's path, or another name for the source of the bytes.
    pub source_name: String,
    /// The problem.
    pub problem: WeightsProblem,
}

/// A problem with a weights file, or with the parts of one that is to be written. Each message says what to do.
#[derive(Debug)]
pub enum WeightsProblem {
    /// The file cannot be read or written.
    Io(std::io::Error),
    /// The bytes are not a safetensors file, or only part of one.
    NotSafetensors(String),
    /// A safetensors file without our description.
    NoDescription,
    /// The description is malformed or contradicts itself.
    BadDescription(String),
    /// The file has another format version.
    Format(u32),
    /// The vocabulary differs: (the file's hash, this build's hash).
    Vocabulary(String, String),
    /// A tensor is missing.
    MissingTensor(String),
    /// A tensor has another shape or type: (name, expected, got).
    Shape(String, String, String),
    /// A tensor holds NaN or infinity.
    NotFinite(String),
}

impl fmt::Display for WeightsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "cannot be opened ({error}); check the path"),
            Self::NotSafetensors(error) => {
                write!(
                    f,
                    "expected a whole safetensors file, got something else or a part ({error}); copy or train it again"
                )
            }
            Self::NoDescription => write!(
                f,
                "expected a `{METADATA_KEY}` description in the metadata, got safetensors without one; \
                 choose a file that Continuo's trainer wrote"
            ),
            Self::BadDescription(error) => {
                write!(f, "the description cannot be read ({error}); train it again")
            }
            Self::Format(got) => {
                write!(
                    f,
                    "expected format {FORMAT}, got {got}; use the version of Continuo that wrote it, or train it again"
                )
            }
            Self::Vocabulary(got, expected) => {
                write!(f, "vocabulary {got}, this build needs {expected}; train it again")
            }
            Self::MissingTensor(name) => {
                write!(f, "expected a tensor `{name}`, got none; train it again")
            }
            Self::Shape(name, expected, got) => {
                write!(f, "expected tensor `{name}` to be {expected}, got {got}; train it again")
            }
            Self::NotFinite(name) => {
                write!(f, "expected finite numbers in tensor `{name}`, got NaN or infinity; train it again")
            }
        }
    }
}

impl std::error::Error for WeightsProblem {}

impl Weights {
    /// Weights from the tensors that `description.config` lists. Matrices are rounded to 16 bits, as files store them.
    ///
    /// # Errors
    /// If the description contradicts itself, or if a tensor is missing, has the wrong size or holds NaN or infinity.
    pub fn new(description: Description, mut tensors: BTreeMap<String, Vec<f32>>) -> Result<Self, WeightsProblem> {
        check_description(&description)?;
        let mut checked = BTreeMap::new();
        for (name, shape) in description.config.tensors() {
            let values = tensors.remove(&name).ok_or_else(|| WeightsProblem::MissingTensor(name.clone()))?;
            if values.len() != shape.iter().product::<usize>() {
                let got = format!("{} numbers", values.len());
                return Err(WeightsProblem::Shape(name, format!("{shape:?}"), got));
            }
            check_finite(&name, &values)?;
            checked.insert(name, rounded(&shape, values));
        }
        Ok(Self { description, tensors: checked })
    }

    /// The initial weights of the network in the description, for tests.
    ///
    /// # Errors
    /// If the description contradicts itself.
    pub fn untrained(description: Description, rng_seed: u64) -> Result<Self, WeightsProblem> {
        let tensors = description.config.initial_tensors(rng_seed).into_iter();
        let tensors = tensors.map(|tensor| (tensor.name, tensor.values)).collect();
        Self::new(description, tensors)
    }

    /// The values of a tensor in row-major order.
    ///
    /// # Panics
    /// If the network has no tensor of that name.
    pub fn tensor(&self, name: &str) -> &[f32] {
        &self.tensors[name]
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// If the file cannot be read or its content does not pass the checks.
    pub fn read(path: &Path) -> Result<Self, WeightsError> {
        let source_name = path.display().to_string();
        let bytes = std::fs::read(path)
            .map_err(|error| WeightsError { source_name: source_name.clone(), problem: WeightsProblem::Io(error) })?;
        Self::parse(&source_name, &bytes)
    }

    /// Checks the bytes of a file. Errors name it `source_name`.
    ///
    /// # Errors
    /// If the bytes do not pass the checks.
    pub fn parse(source_name: &str, bytes: &[u8]) -> Result<Self, WeightsError> {
        Self::parse_bytes(bytes).map_err(|problem| WeightsError { source_name: source_name.to_string(), problem })
    }

    fn parse_bytes(bytes: &[u8]) -> Result<Self, WeightsProblem> {
        let not_safetensors = |e: safetensors::SafeTensorError| WeightsProblem::NotSafetensors(e.to_string());
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(not_safetensors)?;
        let file = SafeTensors::deserialize(bytes).map_err(not_safetensors)?;
        let text = header
            .metadata()
            .as_ref()
            .and_then(|metadata| metadata.get(METADATA_KEY))
            .ok_or(WeightsProblem::NoDescription)?;
        // Read the version first: this build may not be able to parse a later format.
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let bad = |e: serde_json::Error| WeightsProblem::BadDescription(e.to_string());
        let Version { format } = serde_json::from_str(text).map_err(bad)?;
        if format != FORMAT {
            return Err(WeightsProblem::Format(format));
        }
        let description: Description = serde_json::from_str(text).map_err(bad)?;
        check_description(&description)?;
        let mut tensors = BTreeMap::new();
        for (name, shape) in description.config.tensors() {
            let view = file.tensor(&name).map_err(|_| WeightsProblem::MissingTensor(name.clone()))?;
            let values: Vec<f32> = match view.dtype() {
                Dtype::F32 if view.shape() == shape => numbers(view.data(), f32::from_le_bytes).collect(),
                Dtype::F16 if view.shape() == shape => {
                    numbers(view.data(), |bytes| f16::from_le_bytes(bytes).to_f32()).collect()
                }
                other => {
                    let got = format!("{:?} of {other:?}", view.shape());
                    return Err(WeightsProblem::Shape(name, format!("{shape:?} of F16 or F32"), got));
                }
            };
            check_finite(&name, &values)?;
            tensors.insert(name, values);
        }
        Ok(Self { description, tensors })
    }

    /// The bytes of the file. Matrices are stored in 16 bits, all other tensors in 32.
    pub fn to_bytes(&self) -> Vec<u8> {
        let shapes = self.description.config.tensors();
        let data: Vec<(String, Vec<usize>, Dtype, Vec<u8>)> = shapes
            .into_iter()
            .map(|(name, shape)| {
                let values = self.tensor(&name).iter();
                let (dtype, bytes) = if is_halved(&shape) {
                    (Dtype::F16, values.flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect())
                } else {
                    (Dtype::F32, values.flat_map(|x| x.to_le_bytes()).collect())
                };
                (name, shape, dtype, bytes)
            })
            .collect();
        let views = data.iter().map(|(name, shape, dtype, bytes)| {
            let view = TensorView::new(*dtype, shape.clone(), bytes);
            (name.as_str(), view.expect("the bytes were made from the shape"))
        });
        let text = serde_json::to_string(&self.description).expect("a description is plain data");
        let metadata = HashMap::from([(METADATA_KEY.to_string(), text)]);
        safetensors::serialize(views, Some(metadata)).expect("the views are whole")
    }

    /// Writes a temporary file in the same folder and renames it, so that no reader sees part of a file.
    ///
    /// # Errors
    /// If the file cannot be written or renamed.
    pub fn write(&self, path: &Path) -> Result<(), WeightsError> {
        let io = |error| WeightsError { source_name: path.display().to_string(), problem: WeightsProblem::Io(error) };
        let part = path.with_extension("part");
        std::fs::write(&part, self.to_bytes()).map_err(io)?;
        std::fs::rename(&part, path).map_err(io)
    }
}

/// Checks the shape of the network and its vocabulary.
fn check_description(description: &Description) -> Result<(), WeightsProblem> {
    description.config.check().map_err(WeightsProblem::BadDescription)?;
    if let Some(sampling) = description.sampling {
        sampling.check().map_err(WeightsProblem::BadDescription)?;
    }
    description.config.kind().check_vocabulary(description)
}

fn check_finite(name: &str, values: &[f32]) -> Result<(), WeightsProblem> {
    if values.iter().all(|x| x.is_finite()) { Ok(()) } else { Err(WeightsProblem::NotFinite(name.to_string())) }
}

/// Whether files store a tensor of this shape in 16 bits; they do for matrices.
fn is_halved(shape: &[usize]) -> bool {
    shape.len() > 1
}

/// The values as a file stores them.
fn rounded(shape: &[usize], values: Vec<f32>) -> Vec<f32> {
    if is_halved(shape) { values.into_iter().map(|x| f16::from_f32(x).to_f32()).collect() } else { values }
}

/// Decodes little-endian numbers of N bytes each.
fn numbers<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> impl Iterator<Item = f32> {
    bytes.chunks_exact(N).map(move |chunk| number(chunk.try_into().expect("chunks of N bytes")))
}

#[cfg(test)]
mod tests;
