//! Reads files and folders in any mix of formats; collects the pieces, and what was skipped and why.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use super::format::{self, File};
use super::piece::Piece;

/// Larger files are skipped.
const MAX_BYTES: u64 = 512 << 20;

/// How many skipped files are listed by name.
const NAMED: usize = 20;

/// How to read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Whether to take repeats once, as written, instead of as played.
    pub as_written: bool,
    /// Whether the first file or piece that cannot be read is an error. Otherwise it is skipped.
    pub strict: bool,
    /// Whether to read drums, and pieces that consist only of drums.
    pub drums: bool,
}

/// The content of files and folders.
#[derive(Debug, Default)]
pub struct Corpus {
    /// The pieces, in the order of their files' paths.
    pub pieces: Vec<Piece>,
    /// What could not be read: source and reason.
    pub skipped: Vec<(String, String)>,
    /// How many files were read, by format.
    pub files: BTreeMap<&'static str, usize>,
    /// How many files in folders have an unknown format, by extension.
    pub passed_over: BTreeMap<String, usize>,
}

/// The number of skipped files and pieces, and the first of them with reasons, one per line.
pub fn skipped_in_words(skipped: &[(String, String)]) -> String {
    let mut text = format!("{} files or pieces skipped", skipped.len());
    for (source, reason) in skipped.iter().take(NAMED) {
        text += &format!("\n  skipped {source}: {reason}");
    }
    if skipped.len() > NAMED {
        text += &format!("\n  and {} more; `trainer inspect` lists what cannot be read", skipped.len() - NAMED);
    }
    text
}

/// Reads files and folders, including subfolders, in the order of their paths.
///
/// # Errors
/// If a path does not exist; with `strict` also at the first file or piece that cannot be read.
pub fn read(paths: &[PathBuf], options: Options) -> Result<Corpus> {
    let mut corpus = Corpus::default();
    for path in paths {
        let mut files = Vec::new();
        collect(path, &mut files).with_context(|| format!("{}: cannot be opened; check the path", path.display()))?;
        files.sort();
        for file in files {
            corpus.file(&file, path.is_dir(), options)?;
        }
    }
    Ok(corpus)
}

/// The files below a path. Does not follow links to folders, which may form a cycle.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !path.metadata()?.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    for entry in path.read_dir()? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&entry.path(), files)?;
        } else if kind.is_file() || entry.path().is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

impl Corpus {
    fn file(&mut self, path: &Path, in_folder: bool, options: Options) -> Result<()> {
        let source = path.display().to_string();
        let bytes = match bytes(path) {
            Ok(bytes) => bytes,
            Err(error) => return self.skip(source, error, options),
        };
        let Some(format) = format::of(path, &bytes, in_folder) else {
            if in_folder {
                let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
                *self.passed_over.entry(extension).or_default() += 1;
                return Ok(());
            }
            let error =
                anyhow!("expected {}, got none of them; export the music in one of these formats", format::names());
            return self.skip(source, error, options);
        };
        let file = File { path, source: &source, bytes: &bytes, played: !options.as_written, drums: options.drums };
        match (format.read)(&file) {
            Ok(pieces) => {
                *self.files.entry(format.name).or_default() += 1;
                for piece in pieces {
                    match piece {
                        Ok(piece) => self.pieces.push(piece),
                        Err(error) => self.skip(source.clone(), error, options)?,
                    }
                }
            }
            Err(error) => self.skip(source, error, options)?,
        }
        Ok(())
    }

    fn skip(&mut self, source: String, error: anyhow::Error, options: Options) -> Result<()> {
        let error = format!("{error:#}");
        // Errors of single pieces begin with their source, which begins with the file.
        let (source, reason) = match error.split_once(": ") {
            Some((place, reason)) if place.starts_with(&source) => (place.to_string(), reason.to_string()),
            _ => (source, error),
        };
        if options.strict {
            bail!("{source}: {reason}");
        }
        self.skipped.push((source, reason));
        Ok(())
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>> {
    let cannot = "cannot be opened; check the file and its permissions";
    let size = path.metadata().context(cannot)?.len();
    if size > MAX_BYTES {
        bail!("expected at most {MAX_BYTES} bytes, got {size}");
    }
    std::fs::read(path).context(cannot)
}
