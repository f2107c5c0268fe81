//! Reads the pieces to examine, in four voices, from files of any format.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::corpus::folder::{self, Options};
use crate::preparation::four_voices::FourVoices;

/// Reads the pieces in files and folders, including subfolders, in the order of their paths. `split` selects among
/// pieces that their files assign to splits; other pieces are always included. Lists skipped files on standard error.
///
/// # Errors
/// If a path does not exist, or there are no pieces; with `strict` also at the first file or piece that cannot be read.
pub fn read(paths: &[PathBuf], split: Option<&str>, strict: bool) -> Result<Vec<FourVoices>> {
    let corpus = folder::read(paths, Options { as_written: false, strict, ..Options::default() })?;
    let mut skipped = corpus.skipped;
    let mut pieces = Vec::with_capacity(corpus.pieces.len());
    for piece in corpus.pieces {
        if split.is_some() && piece.split.is_some() && piece.split.as_deref() != split {
            continue;
        }
        match FourVoices::of(&piece, false) {
            Ok(voices) => pieces.push(voices),
            Err(reason) if strict => bail!("{}: {reason:#}", piece.source),
            Err(reason) => skipped.push((piece.source, format!("{reason:#}"))),
        }
    }
    if let ([(source, reason), ..], true) = (skipped.as_slice(), pieces.is_empty()) {
        bail!("{source}: {reason}");
    }
    if pieces.is_empty() && corpus.files.is_empty() {
        let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        bail!("{}: expected music files, got none of a known format", paths.join(", "));
    }
    if let (Some(split), true) = (split, pieces.is_empty()) {
        bail!("--split: expected pieces in `{split}`, got none; name another split, or omit the option to use all");
    }
    if !skipped.is_empty() {
        eprintln!("{}", folder::skipped_in_words(&skipped));
    }
    Ok(pieces)
}
