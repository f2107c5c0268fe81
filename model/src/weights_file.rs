//! A weights file: safetensors whose metadata says what the network is, what it was trained on and how well it
//! does.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;

use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::config::{EnsembleConfig, NetworkConfig};
use crate::lexicon::Lexicon;
use crate::stream::Rates;

/// The version of the format that this build writes and reads.
pub const FORMAT: u32 = 1;
/// The key of the metadata under which the description stands, as JSON.
const METADATA_KEY: &str = "continuo";

/// What a weights file says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// Version of this format.
    pub format: u32,
    /// What a menu calls it.
    pub name: String,
    /// The shape of the network.
    pub config: NetworkConfig,
    /// Hash of the vocabulary that it speaks, eight hexadecimal digits; a line model's is that of its lexicon.
    pub vocabulary: String,
    /// The words of a line model, spelt out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lexicon: Option<String>,
    /// The recipe that made it, as it was.
    pub recipe: String,
    /// What it was trained on.
    pub corpora: Vec<Corpus>,
    /// The commit of the trainer that made it, or empty.
    pub commit: String,
    /// Measured figures by name, such as `valid_nats_per_note`.
    pub figures: BTreeMap<String, f64>,
}

impl Description {
    /// The words of a line model.
    ///
    /// # Errors
    /// In words, if there are none, or they are not what the rest of the description says.
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
    /// Its name.
    pub name: String,
    /// The licence that it is under, or what is known of it.
    pub licence: String,
}

/// A weights file that has been read and found whole: every tensor that its config asks for is there, with the
/// right shape and finite numbers.
#[derive(Clone, Debug)]
pub struct Weights {
    /// What the file says of itself.
    pub description: Description,
    tensors: BTreeMap<String, Vec<f32>>,
}

/// Why weights cannot be used: whose fault, what was expected, what was found, what to do.
#[derive(Debug, thiserror::Error)]
#[error("{source_name}: {problem}")]
pub struct WeightsError {
    /// The file's path, or whatever the bytes came from.
    pub source_name: String,
    /// What is wrong with it.
    pub problem: WeightsProblem,
}

/// What can be wrong with a weights file, or with what one would be made of.
#[derive(Debug)]
pub enum WeightsProblem {
    /// It cannot be read or written.
    Io(std::io::Error),
    /// The bytes are no safetensors file, or it is cut short.
    NotSafetensors(String),
    /// It is safetensors, but not one of ours.
    NoDescription,
    /// Its description cannot be understood.
    BadDescription(String),
    /// It is of another version of the format.
    Format(u32),
    /// It speaks another vocabulary: (its own, this build's).
    Vocabulary(String, String),
    /// A tensor is missing.
    MissingTensor(String),
    /// A tensor has another shape or type: (name, expected, got).
    Shape(String, String, String),
    /// A tensor holds a number that is not finite.
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
                "expected weights with a `{METADATA_KEY}` description in their metadata, got safetensors without one; \
                 only files written by Continuo's trainer can be played"
            ),
            Self::BadDescription(error) => {
                write!(f, "its description cannot be understood ({error}); train it again")
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
    /// Weights of the tensors that the description's config lists, matrices rounded to 16 bits as they are kept and played.
    ///
    /// # Errors
    /// If the description contradicts itself, or a tensor is missing, of another size or not finite.
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

    /// The weights of a network that has learnt nothing yet, as its description says; for tests of what plays it.
    ///
    /// # Errors
    /// If the description contradicts itself.
    pub fn untrained(description: Description, rng_seed: u64) -> Result<Self, WeightsProblem> {
        let tensors = description.config.initial_tensors(rng_seed).into_iter();
        let tensors = tensors.map(|tensor| (tensor.name, tensor.values)).collect();
        Self::new(description, tensors)
    }

    /// Puts weights of one shape together to an ensemble of which each is a member.
    ///
    /// # Errors
    /// In words, if there are none, or they are not split networks of one shape.
    pub fn combine(members: &[Self], adaptation: Option<Rates>, description: Description) -> Result<Self, String> {
        let shape = members.first().map(|first| &first.description.config);
        let Some(NetworkConfig::Split(member)) = shape else {
            return Err("expected split networks to combine, got none or another kind".into());
        };
        let mut tensors = BTreeMap::new();
        for (n, weights) in members.iter().enumerate() {
            // Dropout is a matter of training.
            let alike = matches!(&weights.description.config, NetworkConfig::Split(other)
                if other.features == member.features && weights.description.config.tensors() == member.tensors());
            if !alike {
                return Err(format!(
                    "expected all to have the shape of the first, got another one in number {}",
                    n + 1
                ));
            }
            for (name, shape) in member.tensors() {
                tensors.insert(format!("{n}.{name}"), rounded(&shape, weights.tensor(&name).to_vec()));
            }
        }
        let config =
            NetworkConfig::Ensemble(EnsembleConfig { members: members.len(), member: member.clone(), adaptation });
        Ok(Self { description: Description { config, ..description }, tensors })
    }

    /// The numbers of a tensor that the config asks for, row by row.
    ///
    /// # Panics
    /// If the config asks for no tensor of that name.
    pub fn tensor(&self, name: &str) -> &[f32] {
        &self.tensors[name]
    }

    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Self, WeightsError> {
        let source_name = path.display().to_string();
        let bytes = std::fs::read(path)
            .map_err(|error| WeightsError { source_name: source_name.clone(), problem: WeightsProblem::Io(error) })?;
        Self::parse(&source_name, &bytes)
    }

    /// Checks bytes; `source_name` stands in errors.
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
        // The version first: a later format may hold what this build cannot read.
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

    /// The file's bytes. Matrices are rounded to 16 bits, as they are when they play; all else keeps 32.
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

    /// Writes the file beside its place and moves it there, so that no reader ever sees half of it.
    pub fn write(&self, path: &Path) -> Result<(), WeightsError> {
        let io = |error| WeightsError { source_name: path.display().to_string(), problem: WeightsProblem::Io(error) };
        let part = path.with_extension("part");
        std::fs::write(&part, self.to_bytes()).map_err(io)?;
        std::fs::rename(&part, path).map_err(io)
    }
}

/// A config that a network can have, and the vocabulary that belongs to it.
fn check_description(description: &Description) -> Result<(), WeightsProblem> {
    description.config.check().map_err(WeightsProblem::BadDescription)?;
    description.config.kind().check_vocabulary(description)
}

fn check_finite(name: &str, values: &[f32]) -> Result<(), WeightsProblem> {
    if values.iter().all(|x| x.is_finite()) { Ok(()) } else { Err(WeightsProblem::NotFinite(name.to_string())) }
}

/// Whether a tensor is kept in 16 bits: a matrix is.
fn is_halved(shape: &[usize]) -> bool {
    shape.len() > 1
}

/// A tensor's values as a file keeps them.
fn rounded(shape: &[usize], values: Vec<f32>) -> Vec<f32> {
    if is_halved(shape) { values.into_iter().map(|x| f16::from_f32(x).to_f32()).collect() } else { values }
}

/// The numbers that little-endian bytes spell, N bytes each.
fn numbers<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> impl Iterator<Item = f32> {
    bytes.chunks_exact(N).map(move |chunk| number(chunk.try_into().expect("chunks of N bytes")))
}

#[cfg(test)]
mod tests;
