//! Which pieces are held out: a share of the families, by names alone, so that others stay where they are when music is
//! added.

use super::song::Song;

/// For each family whether it is held out. A family is asked by the first of its songs' names; one whose file puts a song
/// in a split goes there. One is held out, and one stays, if there are two. Another `draw` holds out others.
pub fn held_out(songs: &[Song], family_of: &[usize], share: f64, draw: u64) -> Vec<bool> {
    let num_families = family_of.iter().max().map_or(0, |last| last + 1);
    let mut first: Vec<Option<&str>> = vec![None; num_families];
    let mut told: Vec<Option<bool>> = vec![None; num_families];
    for (song, &family) in songs.iter().zip(family_of) {
        first[family] = Some(first[family].map_or(&*song.name, |name| name.min(&song.name)));
        if let Some(split) = &song.split {
            // What a file holds out is not learnt from, whatever it is like.
            let held = split != "train";
            told[family] = Some(told[family].unwrap_or(false) || held);
        }
    }
    let hashes: Vec<u64> = first.iter().map(|name| hash(name.unwrap_or_default(), draw)).collect();
    let below = (share * u64::MAX as f64) as u64;
    let mut held_out: Vec<bool> = hashes.iter().zip(&told).map(|(&hash, told)| told.unwrap_or(hash < below)).collect();
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

/// FNV-1a with a finish that spreads it over all 64 bits.
fn hash(name: &str, draw: u64) -> u64 {
    let fnv =
        name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    continuo_model::random::SplitMix64::new(fnv ^ draw.rotate_left(32)).next_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn songs(names: impl IntoIterator<Item = String>) -> Vec<Song> {
        names.into_iter().map(|name| Song { name, ..Song::default() }).collect()
    }

    fn held(songs: &[Song]) -> Vec<&str> {
        let families: Vec<usize> = (0..songs.len()).collect();
        let held = held_out(songs, &families, 0.1, 0);
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
        let [first, second] = [0, 1].map(|draw| held_out(&songs, &families, 0.1, draw));
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
    fn a_family_is_on_one_side_and_what_a_file_says_counts() {
        let mut songs = songs((0..100).map(|n| format!("tune {n}")));
        let families: Vec<usize> = (0..100).map(|n| n / 2).collect();
        assert_eq!(held_out(&songs, &families, 0.1, 0).len(), 50);
        for (n, song) in songs.iter_mut().enumerate() {
            song.split = Some(if n == 7 { "valid" } else { "train" }.into());
        }
        let held = held_out(&songs, &families, 0.1, 0);
        assert_eq!((0..50).filter(|&family| held[family]).collect::<Vec<_>>(), [3]);
    }
}
