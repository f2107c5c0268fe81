//! Music of any format as four voices, in the split that it is learnt from or judged by.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use anyhow::{Result, bail, ensure};

use super::GridPiece;
use super::options::Options;
use crate::corpus::folder;
use crate::kinds::Music;
use crate::preparation::four_voices::FourVoices;
use crate::preparation::{self, Families, HoldOut, Identity};

/// A piece as it is, and as tokens.
#[derive(Debug)]
pub struct Learnable {
    /// As it is.
    pub voices: FourVoices,
    /// As tokens.
    pub grid: GridPiece,
}

/// Pieces to learn from, pieces to be judged by, and what became of the rest.
#[derive(Debug, Default)]
pub struct Sides {
    /// To learn from.
    pub train: Vec<Learnable>,
    /// To be judged by.
    pub valid: Vec<Learnable>,
    /// Pieces that their files put in other splits.
    others: Vec<Learnable>,
    /// What was read and skipped.
    pub report: Report,
}

/// What became of the music.
#[derive(Debug, Default)]
pub struct Report {
    /// Pieces that were read.
    pub pieces: usize,
    /// Files and pieces that could not be read, or are not in four voices: source and reason.
    pub skipped: Vec<(String, String)>,
    /// Pieces that are, by their file or by their soprano, the same as one that is held out.
    pub copies: usize,
    /// Notes that found no place on the grid.
    pub notes_left_out: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pieces read, {}", self.pieces, folder::skipped_in_words(&self.skipped))?;
        if self.copies > 0 {
            write!(f, "\n  left out: {} (the same as a piece that is held out)", self.copies)?;
        }
        if self.notes_left_out > 0 {
            write!(f, "\n  {} notes left out, faster than 16ths", self.notes_left_out)?;
        }
        Ok(())
    }
}

/// Where a piece goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Train,
    Valid,
    /// Another split than those two.
    Other,
    /// Nowhere: it is the same as a piece that is held out.
    Copy,
}

/// Reads music, to learn from `splits.0` and to be judged by `splits.1`. A piece whose file names a split is in that.
/// Of the others a share is held out, unless some file names pieces to be judged by.
///
/// # Errors
/// If a path does not exist; with `strict` at the first file or piece that cannot be read.
pub fn read(music: Music, splits: &(String, String), options: &Options) -> Result<Sides> {
    let corpus = folder::read(music.paths, folder::Options { as_written: options.as_written, strict: music.strict })?;
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

/// The pieces of one split, `train` and `valid` as in training with a recipe that names no others. What was skipped is
/// told on standard error.
///
/// # Errors
/// As [`read`], and if nothing is in the split.
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
    /// The splits that hold pieces.
    pub fn splits(&self) -> BTreeSet<String> {
        let told = |piece: &Learnable| piece.voices.split.clone();
        let train = self.train.iter().map(|piece| told(piece).unwrap_or("train".into()));
        let valid = self.valid.iter().map(|piece| told(piece).unwrap_or("valid".into()));
        train.chain(valid).chain(self.others.iter().filter_map(told)).collect()
    }
}

/// What to do about a split without pieces.
pub fn none_in(split: &str, found: &BTreeSet<String>) -> String {
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    format!(
        "--data: expected pieces in split `{split}`, got {}; name one with --split or in the recipe, or add files \
         without splits, such as MIDI, of which some are held out",
        if found.is_empty() { "none".into() } else { format!("only {}", found.join(", ")) }
    )
}

/// The side of each piece. A near-duplicate of a piece that a file holds out is not learnt from; one of a piece that a
/// file learns from is not held out.
fn sides_of(pieces: &[Identity], family_of: &[usize], splits: &(String, String), hold_out: HoldOut) -> Vec<Side> {
    let side_of = |split: &str| match split {
        _ if split == splits.0 => Side::Train,
        _ if split == splits.1 => Side::Valid,
        _ => Side::Other,
    };
    let mut told: HashMap<usize, Side> = HashMap::new();
    for (piece, &family) in pieces.iter().zip(family_of) {
        if let Some(split) = &piece.split {
            let side = told.entry(family).or_insert(Side::Train);
            if side_of(split) != Side::Train {
                *side = Side::Copy;
            }
        }
    }
    let judged = pieces.iter().any(|piece| piece.split.as_deref() == Some(&splits.1));
    // Families of which no file says anything, numbered anew.
    let mut free: HashMap<usize, usize> = HashMap::new();
    let (mut free_pieces, mut free_family_of) = (Vec::new(), Vec::new());
    for (piece, family) in pieces.iter().zip(family_of).filter(|(_, family)| !told.contains_key(family)) {
        let next = free.len();
        free_family_of.push(*free.entry(*family).or_insert(next));
        free_pieces.push(piece.clone());
    }
    let held_out = preparation::held_out(&free_pieces, &free_family_of, hold_out);
    let side = |(piece, family): (&Identity, &usize)| match (&piece.split, told.get(family)) {
        (Some(split), _) => side_of(split),
        (None, Some(side)) => *side,
        (None, None) if !judged && held_out[free[family]] => Side::Valid,
        (None, None) => Side::Train,
    };
    pieces.iter().zip(family_of).map(side).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces such as `a:train`, `b`; the letter is the family. For each the side's initial.
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
    fn what_files_say_counts_and_the_rest_is_learnt_or_held_out() {
        check("a:train b:valid c:test d e", 0.5, "TVOTT");
        // Where nothing is held out by files, a share is, and never all or none.
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
