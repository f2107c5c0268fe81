//! Chooses which pieces to hold out: a share of the families, by their names alone, so that adding music does not move
//! pieces from one side to the other.

use anyhow::{Result, ensure};
use continuo_model::hash::fnv1a;
use continuo_model::random::SplitMix64;

/// The properties of a piece that decide its split.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Its name: the file's name without folders, and the title. It stays the same when the folder moves.
    pub name: String,
    /// The split that its file assigns it to.
    pub split: Option<String>,
    /// The pitches of its top line.
    pub top_line: Vec<u8>,
}

/// How pieces are held out if their files do not assign splits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HoldOut {
    /// The share of pieces to hold out.
    pub share: f64,
    /// Selects which pieces are held out; another number selects others. Useful for small corpora, where the random
    /// choice may miss a part of the music.
    pub draw: u64,
    /// Two pieces that share more than this of the runs of 13 notes in the shorter one are near-duplicates.
    pub shared_runs: f64,
}

impl Default for HoldOut {
    fn default() -> Self {
        Self { share: 0.1, draw: 0, shared_runs: 0.4 }
    }
}

impl HoldOut {
    /// Checks the values.
    ///
    /// # Errors
    /// If a share is out of range; the error names the recipe's option.
    pub fn check(self) -> Result<()> {
        ensure!(
            self.share > 0.0 && self.share < 1.0,
            "preparation.held_out: expected a share between 0 and 1, got {}",
            self.share
        );
        ensure!(
            self.shared_runs > 0.0 && self.shared_runs <= 1.0,
            "preparation.shared_runs: expected a share above 0 up to 1, got {}",
            self.shared_runs
        );
        Ok(())
    }
}

/// Decides for each family whether it is held out. The first of its names in alphabetical order decides. If files hold
/// pieces out, a family with an assigned piece follows its file instead. If there are at least two families, at least
/// one is held out and one is not.
pub fn held_out(pieces: &[Identity], family_of: &[usize], hold_out: HoldOut) -> Vec<bool> {
    let num_families = family_of.iter().max().map_or(0, |last| last + 1);
    let mut first: Vec<Option<&str>> = vec![None; num_families];
    let mut assigned: Vec<Option<bool>> = vec![None; num_families];
    for (piece, &family) in pieces.iter().zip(family_of) {
        first[family] = Some(first[family].map_or(&*piece.name, |name| name.min(&piece.name)));
        if let Some(split) = &piece.split {
            // A file that holds out one piece of a family holds out all of it.
            let held = split != "train";
            assigned[family] = Some(assigned[family].unwrap_or(false) || held);
        }
    }
    if !assigned.contains(&Some(true)) {
        assigned.fill(None);
    }
    let hashes: Vec<u64> = first.iter().map(|name| hash(name.unwrap_or_default(), hold_out.draw)).collect();
    let below = (hold_out.share * u64::MAX as f64) as u64;
    let mut held_out: Vec<bool> =
        hashes.iter().zip(&assigned).map(|(&hash, held)| held.unwrap_or(hash < below)).collect();
    if num_families > 1 {
        let by_hash = |family: &usize| hashes[*family];
        if !held_out.contains(&true) {
            let first = (0..num_families).min_by_key(by_hash).expect("there are two");
            held_out[first] = true;
        } else if !held_out.contains(&false) {
            let last = (0..num_families).max_by_key(by_hash).expect("there are two");
            held_out[last] = false;
        }
    }
    held_out
}

/// A hash of a name, spread over all 64 bits.
fn hash(name: &str, draw: u64) -> u64 {
    SplitMix64::new(fnv1a(name.bytes()) ^ draw.rotate_left(32)).next_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn songs(names: impl IntoIterator<Item = String>) -> Vec<Identity> {
        names.into_iter().map(|name| Identity { name, ..Identity::default() }).collect()
    }

    fn held(songs: &[Identity]) -> Vec<&str> {
        let families: Vec<usize> = (0..songs.len()).collect();
        let held = held_out(songs, &families, HoldOut::default());
        songs.iter().zip(held).filter(|(_, held)| *held).map(|(song, _)| song.name.as_str()).collect()
    }

    #[test]
    fn a_tenth_is_held_out_and_stays_so_when_music_is_added() {
        let few = songs((0..1000).map(|n| format!("tune {n}")));
        let many = songs((0..3000).rev().map(|n| format!("tune {n}")));
        let (few, many) = (held(&few), held(&many));
        assert!((70..130).contains(&few.len()), "{}", few.len());
        let number = |name: &&str| name[5..].parse::<u32>().unwrap() < 1000;
        let mut again: Vec<_> = many.into_iter().filter(number).collect();
        again.reverse();
        assert_eq!(few, again);
    }

    #[test]
    fn another_draw_holds_out_others() {
        let songs = songs((0..1000).map(|n| format!("tune {n}")));
        let families: Vec<usize> = (0..1000).collect();
        let [first, second] = [0, 1].map(|draw| held_out(&songs, &families, HoldOut { draw, ..HoldOut::default() }));
        let both = first.iter().zip(&second).filter(|(a, b)| **a && **b).count();
        assert!((1..30).contains(&both), "{both}");
    }

    #[test]
    fn few_pieces_are_split_all_the_same() {
        let two = songs(["a".into(), "b".into()]);
        assert_eq!(held(&two).len(), 1);
        assert_eq!(held(&two[..1]).len(), usize::from(hash("a", 0) < u64::MAX / 10));
    }

    #[test]
    fn a_family_is_on_one_side_and_splits_in_files_count() {
        let mut songs = songs((0..100).map(|n| format!("tune {n}")));
        let families: Vec<usize> = (0..100).map(|n| n / 2).collect();
        assert_eq!(held_out(&songs, &families, HoldOut::default()).len(), 50);
        for (n, song) in songs.iter_mut().enumerate() {
            song.split = Some(if n == 7 { "valid" } else { "train" }.into());
        }
        let held = held_out(&songs, &families, HoldOut::default());
        assert_eq!((0..50).filter(|&family| held[family]).collect::<Vec<_>>(), [3]);
        // If files assign pieces only to `train`, a share of those is held out, as if no file assigned any.
        songs[7].split = Some("train".into());
        let held = held_out(&songs, &families, HoldOut::default());
        songs.iter_mut().for_each(|song| song.split = None);
        assert_eq!(held, held_out(&songs, &families, HoldOut::default()));
        assert!(held.iter().filter(|held| **held).count() > 1);
    }
}
