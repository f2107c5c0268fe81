//! Which voice of the four each played key is: by pitch order, range, spacing, and what each voice sounded last. Audio
//! thread.

use continuo_model::rules::{RANGES, WIDEST_SPACING};
use continuo_model::tokeniser::grid::NUM_VOICES;

/// Costs, in semitones. A note outside of its voice's range costs this much for each semitone.
const OUTSIDE: u32 = 3;
/// The notes are not next to each other, and the lowest (for a player of the bass: the highest) is the outer voice.
const APART: u32 = 5;
/// The same, and it is not.
const APART_WITHIN: u32 = 9;
/// Two voices that are next to each other lie farther apart than an octave.
const WIDE: u32 = 6;
/// Between two voices that are not, there must be this much room for each voice between them.
const ROOM: u8 = 4;
/// None of the notes is the player's voice.
const ANOTHER: u32 = 10;
/// A key that is still held changes its voice.
const MOVED: u32 = 8;
/// A voice draws a note to its last key from this far at the most.
const FAR: u8 = 12;
/// A single note is another voice than the player's only if it lies nearer to what that voice sounded by more than
/// this.
const OWN_LINE: u8 = 7;

/// A key to be dealt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dealt {
    /// MIDI key.
    pub key: u8,
    /// The voice that it has had, if it is held from before.
    pub voice: Option<usize>,
}

/// What to deal by: the player's voice and last keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Player {
    /// `Your voice`, 0 = soprano.
    pub voice: usize,
    /// The key that the player sounded last in each voice, if it was lately.
    pub last: [Option<u8>; NUM_VOICES],
}

/// Deals up to four keys, the highest first, to voices: the voice of each, from the top down. It depends on the keys,
/// not on the order in which they were struck.
pub fn deal(keys: &[Dealt], player: &Player) -> [usize; NUM_VOICES] {
    let first: [usize; NUM_VOICES] = std::array::from_fn(|n| n);
    match keys.len() {
        0 | NUM_VOICES.. => first,
        1 => [lone(keys[0], player), 0, 0, 0],
        count => {
            // Sets of voices as bits, bit 0 the soprano: those that come from the top win where costs are equal.
            let sets = (0_u8..1 << NUM_VOICES).filter(|set| set.count_ones() as usize == count);
            let best = sets.map(voices_of).min_by_key(|voices| (cost(&voices[..count], keys, player), *voices));
            best.unwrap_or(first)
        }
    }
}

/// The voices of a set, from the top.
fn voices_of(set: u8) -> [usize; NUM_VOICES] {
    let mut voices = [0; NUM_VOICES];
    let chosen = (0..NUM_VOICES).filter(|voice| set >> voice & 1 == 1);
    voices.iter_mut().zip(chosen).for_each(|(slot, voice)| *slot = voice);
    voices
}

/// A single note is the player's voice, unless it goes on with another that the player has played.
fn lone(key: Dealt, player: &Player) -> usize {
    if let Some(voice) = key.voice {
        return voice;
    }
    let distance = |voice: usize| player.last[voice].map(|last| last.abs_diff(key.key));
    let own = distance(player.voice).unwrap_or(FAR);
    let other = (0..NUM_VOICES).filter(|voice| *voice != player.voice);
    let nearest = other.filter_map(|voice| Some((distance(voice)?, voice))).min();
    match nearest {
        Some((distance, voice)) if distance + OWN_LINE < own => voice,
        _ => player.voice,
    }
}

fn cost(voices: &[usize], keys: &[Dealt], player: &Player) -> u32 {
    let count = voices.len();
    let preferred = player.voice.min(NUM_VOICES - count);
    let is_preferred = voices.iter().zip(preferred..).all(|(voice, wanted)| *voice == wanted);
    // The outer voice on the other side from the player's.
    let outer = if player.voice == NUM_VOICES - 1 { voices[0] == 0 } else { voices[count - 1] == NUM_VOICES - 1 };
    let mut cost = match (is_preferred, outer) {
        (true, _) => 0,
        (false, true) => APART,
        (false, false) => APART_WITHIN,
    };
    if !voices.contains(&player.voice) {
        cost += ANOTHER;
    }
    for (dealt, &voice) in keys.iter().zip(voices) {
        // Players play their own voice in any register.
        if voice != player.voice {
            let (low, high) = (*RANGES[voice].start(), *RANGES[voice].end());
            cost += OUTSIDE * u32::from(low.saturating_sub(dealt.key) + dealt.key.saturating_sub(high));
        }
        cost += match (dealt.voice, player.last[voice]) {
            (Some(before), _) => {
                if before == voice {
                    0
                } else {
                    MOVED
                }
            }
            (None, Some(last)) => u32::from(last.abs_diff(dealt.key).min(FAR)) / 2,
            (None, None) => 0,
        };
    }
    for n in 1..count {
        let gap = keys[n - 1].key.saturating_sub(keys[n].key);
        let between = (voices[n] - voices[n - 1] - 1) as u8;
        cost += match between {
            0 if gap > WIDEST_SPACING => WIDE + u32::from(gap - WIDEST_SPACING),
            0 => 0,
            _ => 2 * u32::from((ROOM * between + 3).saturating_sub(gap)),
        };
    }
    cost
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys in words, `-48B` is one that is held as the bass; what each voice sounded last, as `S72 B48`.
    fn check(voice: usize, last: &str, keys: &str, expect: &str) {
        let letter = |letter: char| "SATB".find(letter).expect("a voice");
        let mut player = Player { voice, last: [None; NUM_VOICES] };
        for word in last.split_whitespace() {
            player.last[letter(word.chars().next().unwrap())] = word[1..].parse().ok();
        }
        let keys: Vec<Dealt> = keys
            .split_whitespace()
            .map(|word| match word.strip_prefix('-') {
                Some(held) => {
                    let (key, voice) = held.split_at(held.len() - 1);
                    Dealt { key: key.parse().unwrap(), voice: Some(letter(voice.chars().next().unwrap())) }
                }
                None => Dealt { key: word.parse().unwrap(), voice: None },
            })
            .collect();
        let voices: String =
            deal(&keys, &player)[..keys.len()].iter().map(|voice| "SATB".as_bytes()[*voice] as char).collect();
        assert_eq!(voices, expect, "{keys:?} by {player:?}");
    }

    #[test]
    fn close_chords_come_from_the_top() {
        check(0, "", "72 67 64", "SAT");
        check(0, "", "72 67", "SA");
        check(0, "", "72 60", "SA");
        check(0, "", "72 67 60 48", "SATB");
        check(1, "", "67 60", "AT");
        check(3, "", "55 48", "TB");
        check(3, "", "60 55 48", "ATB");
    }

    #[test]
    fn a_bass_well_below_the_rest_is_the_bass() {
        for bass in 36..=58 {
            check(0, "", &format!("72 {bass}"), "SB");
        }
        check(0, "", "72 67 48", "SAB");
        check(0, "", "64 50", "SB");
        check(1, "", "67 43", "AB");
        // And a tune well above the bass is the soprano, for a player of the bass.
        check(3, "", "72 48", "SB");
        check(3, "", "76 52", "SB");
    }

    #[test]
    fn a_single_note_is_the_players_voice() {
        for voice in 0..NUM_VOICES {
            let name = &"SATB"[voice..=voice];
            for key in [0, 36, 60, 84, 127] {
                check(voice, "", &key.to_string(), name);
            }
        }
        check(0, "S72", "48", "S");
    }

    #[test]
    fn a_left_hand_that_plays_alone_goes_on_with_the_bass() {
        check(0, "S72 B48", "50", "B");
        check(0, "S72 B48", "65", "S");
        check(0, "S72 B48", "-50B", "B");
        check(0, "S72 B48", "74 -60B", "SB");
        // In a low register too.
        check(0, "S60 B45", "58 48", "SB");
    }

    #[test]
    fn whatever_is_played_gets_voices_in_order_of_pitch() {
        for voice in 0..NUM_VOICES {
            for low in 0..=125 {
                for high in low + 1..=126 {
                    let keys = [127, high, low].map(|key| Dealt { key, voice: None });
                    let voices = deal(&keys, &Player { voice, last: [None; NUM_VOICES] });
                    assert!(voices[0] < voices[1] && voices[1] < voices[2], "{keys:?}: {voices:?}");
                }
            }
        }
    }
}
