//! What a weights file says of itself.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use continuo_model::weights_file::{Corpus, Weights};
use serde::Serialize;

use crate::kinds;

/// What is printed of a weights file.
#[derive(Debug, Serialize)]
pub struct WeightsFigures {
    /// Its path.
    pub source: String,
    /// What a menu calls it.
    pub name: String,
    /// How many numbers were learnt.
    pub parameters: usize,
    /// How many tokens it knows.
    pub vocab_size: usize,
    /// Hash of its vocabulary.
    pub vocabulary: String,
    /// Its layers in a line.
    pub network: String,
    /// What it sees beside the token before.
    pub sees: Vec<String>,
    /// What it was trained on.
    pub corpora: Vec<Corpus>,
    /// Measured figures by name.
    pub figures: BTreeMap<String, f64>,
    /// The commit of the trainer that made it, or empty.
    pub commit: String,
}

impl WeightsFigures {
    /// Reads a file whole, so that what is told of it is true of weights that can be played.
    ///
    /// # Errors
    /// If the file is no weights file of this build.
    pub fn read(path: &Path) -> Result<Self> {
        let description = Weights::read(path)?.description;
        let config = &description.config;
        Ok(Self {
            source: path.display().to_string(),
            parameters: config.num_parameters(),
            vocab_size: config.vocab_size(),
            network: kinds::of(config).layers().join(" > "),
            sees: config.sees(),
            name: description.name,
            vocabulary: description.vocabulary,
            corpora: description.corpora,
            figures: description.figures,
            commit: description.commit,
        })
    }

    /// The same for a reader.
    pub fn in_words(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        writeln!(text, "weights    {}: {}", self.source, self.name)?;
        writeln!(text, "parameters {}", self.parameters)?;
        writeln!(text, "network    {}", self.network)?;
        writeln!(text, "sees       the token before, {}", self.sees.join(", "))?;
        writeln!(text, "tokens     {}, vocabulary {}", self.vocab_size, self.vocabulary)?;
        for corpus in &self.corpora {
            writeln!(text, "corpus     {} ({})", corpus.name, corpus.licence)?;
        }
        for (name, figure) in &self.figures {
            writeln!(text, "figure     {name} {figure:.4}")?;
        }
        if !self.commit.is_empty() {
            writeln!(text, "commit     {}", self.commit)?;
        }
        Ok(text)
    }
}
