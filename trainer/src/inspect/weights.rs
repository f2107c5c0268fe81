//! The description of a weights file.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use continuo_model::weights_file::{Corpus, Weights};
use serde::Serialize;

use crate::kinds;

/// The facts that `trainer inspect` prints for a weights file.
#[derive(Debug, Serialize)]
pub struct WeightsFigures {
    /// Its path.
    pub source: String,
    /// Its name in menus.
    pub name: String,
    /// Number of trained parameters.
    pub parameters: usize,
    /// Number of tokens.
    pub vocab_size: usize,
    /// Hash of its vocabulary.
    pub vocabulary: String,
    /// Its layers on one line.
    pub network: String,
    /// Its features besides the previous token.
    pub sees: Vec<String>,
    /// The music it was trained on.
    pub corpora: Vec<Corpus>,
    /// Its measured figures by name.
    pub figures: BTreeMap<String, f64>,
    /// The commit of the trainer that made it, or empty.
    pub commit: String,
}

impl WeightsFigures {
    /// Reads the whole file, so that only weights that can be played get a description.
    ///
    /// # Errors
    /// If the file is not a weights file of this version.
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

    /// The same as text.
    pub fn in_words(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        writeln!(text, "weights    {}: {}", self.source, self.name)?;
        writeln!(text, "parameters {}", self.parameters)?;
        writeln!(text, "network    {}", self.network)?;
        writeln!(text, "features   previous token, {}", self.sees.join(", "))?;
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
