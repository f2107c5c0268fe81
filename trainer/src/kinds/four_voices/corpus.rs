//! Reads music of any format in four voices and assigns the pieces to splits.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use anyhow::{Result, bail, ensure};

use super::GridPiece;
use super::options::Options;
use crate::corpus::folder;
use crate::kinds::Music;
use crate::preparation::four_voices::FourVoices;
use crate::preparation::{self, Families, HoldOut, Identity};

/// A piece, and its tokens.
#[derive(Debug)]
pub struct Learnable {
    /// The piece.
    pub voices: FourVoices,
    /// Its tokens.
    pub grid: GridPiece,
}

/// Pieces to train on and to validate on, and a report of what was left out.
#[derive(Debug, Default)]
pub struct Sides {
    /// To train on.
    pub train: Vec<Learnable>,
    /// To validate on.
    pub valid: Vec<Learnable>,
    /// Pieces that their files assign to other splits.
    others: Vec<Learnable>,
    /// What was read and skipped.
    pub report: Report,
}

/// What happened to the music.
#[derive(Debug, Default)]
pub struct Report {
    /// Pieces that were read.
    pub pieces: usize,
    /// Files and pieces that could not be read, or are not in four voices: source and reason.
    pub skipped: Vec<(String, String)>,
    /// Pieces left out because they are the same as a held-out one, by their file or by their soprano.
    pub copies: usize,
    /// Notes that did not fit the grid.
    pub notes_left_out: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pieces read, {}", self.pieces, folder::skipped_in_words(&self.skipped))?;
        if self.copies > 0 {
            write!(f, "\n  left out: {} (the same as a held-out piece)", self.copies)?;
        }
        if self.notes_left_out > 0 {
            write!(f, "\n  {} notes shorter than a 16th left out", self.notes_left_out)?;
        }
        Ok(())
    }
}

/// The destination of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Train,
    Valid,
    /// A split that is neither of these.
    Other,
    /// None: it is the same as a held-out piece.
    Copy,
}

/// Reads music to train on (`splits.0`) and to validate on (`splits.1`). A piece whose file names a split belongs to
/// it. Of the others a share is held out, unless a file already assigns pieces to `splits.1`.
///
/// # Errors
/// If a path does not exist; with `strict` also at the first file or piece that cannot be read.
pub fn read(music: Music, splits: &(String, String), options: &Options) -> Result<Sides> {
    let corpus = folder::read(
        music.paths,
        folder::Options { as_written: options.as_written, strict: music.strict, ..folder::Options::default() },
    )?;
    let report = Report { pieces: corpus.pieces.len(), skipped: corpus.skipped, ..Report::default() };
    let mut sides = Sides { report, ..Sides::default() };
    let (mut pieces, mut identities) = (Vec::new(), Vec::new());
    for piece in corpus.pieces {
        if piece.same_as.is_some() {
            sides.report.copies += 1;
            continue;
        }
        let learnable = FourVoices::of(&piece, options.drop_unquantised)
            .and_then(|voices| Ok(Learnable { grid: GridPiece::of(&voices)?, voices }));
        match learnable {
            Ok(learnable) => {
                let (split, top_line) = (piece.split.clone(), learnable.voices.top_line());
                identities.push(Identity { name: preparation::name_of(&piece), split, top_line });
                sides.report.notes_left_out += learnable.voices.left_out;
                pieces.push(learnable);
            }
            Err(reason) if music.strict => bail!("{}: {reason:#}", piece.source),
            Err(reason) => sides.report.skipped.push((piece.source, format!("{reason:#}"))),
        }
    }
    let hold_out = options.hold_out();
    let mut families = Families::of(&identities, hold_out.shared_runs);
    families.join_named(&identities, &preparation::known_groups(music.paths, options.groups.as_deref())?);
    let of_piece = sides_of(&identities, &families.numbers(), splits, hold_out);
    for (piece, side) in pieces.into_iter().zip(of_piece) {
        match side {
            Side::Train => sides.train.push(piece),
            Side::Valid => sides.valid.push(piece),
            Side::Other => sides.others.push(piece),
            Side::Copy => sides.report.copies += 1,
        }
    }
    Ok(sides)
}

/// Reads the pieces of one split, where `train` and `valid` are those of a recipe with default splits. Lists skipped
/// files on standard error.
///
/// # Errors
/// As [`read`], and if the split is empty.
pub fn read_split(music: Music, split: &str, options: &Options) -> Result<Vec<Learnable>> {
    let sides = read(music, &("train".into(), "valid".into()), options)?;
    if !sides.report.skipped.is_empty() {
        eprintln!("{}", folder::skipped_in_words(&sides.report.skipped));
    }
    let found = sides.splits();
    let pieces: Vec<Learnable> = match split {
        "train" => sides.train,
        "valid" => sides.valid,
        _ => sides.others.into_iter().filter(|piece| piece.voices.split.as_deref() == Some(split)).collect(),
    };
    ensure!(!pieces.is_empty(), "{}", none_in(split, &found));
    Ok(pieces)
}

impl Sides {
    /// The splits that contain pieces.
    pub fn splits(&self) -> BTreeSet<String> {
        let named = |piece: &Learnable| piece.voices.split.clone();
        let train = self.train.iter().map(|piece| named(piece).unwrap_or("train".into()));
        let valid = self.valid.iter().map(|piece| named(piece).unwrap_or("valid".into()));
        train.chain(valid).chain(self.others.iter().filter_map(named)).collect()
    }
}

/// The error for a split without pieces.
pub fn none_in(split: &str, found: &BTreeSet<String>) -> String {
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    format!(
        "--data: expected pieces in split `{split}`, got {}; name one with --split or in the recipe, or add files \
         without splits, such as MIDI, some of which are then held out",
        if found.is_empty() { "none".into() } else { format!("only {}", found.join(", ")) }
    )
}

/// The destination of each piece. A piece without a split that is a near-duplicate of one that a file holds out is not
/// used; a near-duplicate of one in the training split is trained on.
fn sides_of(pieces: &[Identity], family_of: &[usize], splits: &(String, String), hold_out: HoldOut) -> Vec<Side> {
    let side_of = |split: &str| match split {
        _ if split == splits.0 => Side::Train,
        _ if split == splits.1 => Side::Valid,
        _ => Side::Other,
    };
    let mut side_of_family: HashMap<usize, Side> = HashMap::new();
    for (piece, &family) in pieces.iter().zip(family_of) {
        if let Some(split) = &piece.split {
            let side = side_of_family.entry(family).or_insert(Side::Train);
            if side_of(split) != Side::Train {
                *side = Side::Copy;
            }
        }
    }
    let has_valid = pieces.iter().any(|piece| piece.split.as_deref() == Some(&splits.1));
    // Families without an assigned piece, with new numbers.
    let mut free: HashMap<usize, usize> = HashMap::new();
    let (mut free_pieces, mut free_family_of) = (Vec::new(), Vec::new());
    for (piece, family) in pieces.iter().zip(family_of).filter(|(_, family)| !side_of_family.contains_key(family)) {
        let next = free.len();
        free_family_of.push(*free.entry(*family).or_insert(next));
        free_pieces.push(piece.clone());
    }
    let held_out = preparation::held_out(&free_pieces, &free_family_of, hold_out);
    let side = |(piece, family): (&Identity, &usize)| match (&piece.split, side_of_family.get(family)) {
        (Some(split), _) => side_of(split),
        (None, Some(side)) => *side,
        (None, None) if !has_valid && held_out[free[family]] => Side::Valid,
        (None, None) => Side::Train,
    };
    pieces.iter().zip(family_of).map(side).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces such as `a:train`, `b`; the letter is the family. Expects the initial of each destination.
    fn check(pieces: &str, share: f64, expect: &str) {
        let words: Vec<&str> = pieces.split_whitespace().collect();
        let identity = |(n, word): (usize, &&str)| {
            let split = word.split_once(':').map(|(_, split)| split.to_string());
            Identity { name: format!("piece {n}"), split, top_line: Vec::new() }
        };
        let identities: Vec<Identity> = words.iter().enumerate().map(identity).collect();
        let families: Vec<usize> = words.iter().map(|word| usize::from(word.as_bytes()[0] - b'a')).collect();
        let hold_out = HoldOut { share, ..HoldOut::default() };
        let sides = sides_of(&identities, &families, &("train".into(), "valid".into()), hold_out);
        let letters: Vec<String> = sides.iter().map(|side| format!("{side:?}")[..1].to_string()).collect();
        assert_eq!(letters.join(""), expect, "{pieces}");
    }

    #[test]
    fn splits_in_files_count_and_other_pieces_are_trained_on_or_held_out() {
        check("a:train b:valid c:test d e", 0.5, "TVOTT");
        // If no file holds out pieces, a share is held out, but never all or none.
        check("a b", 0.999, "VT");
        check("a b", 0.001, "VT");
        check("a:train b c", 0.001, "TTV");
        check("a:train b:train", 0.9, "TT");
    }

    #[test]
    fn copies_never_lie_on_both_sides() {
        check("a:valid a b a:train", 0.5, "VCTT");
        check("a:test a b c", 0.001, "OCVT");
        check("a:train a b c", 0.999, "TTVT");
        check("a a b b", 0.5, "VVTT");
    }
}
