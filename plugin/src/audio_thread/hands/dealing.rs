//! Deals played keys to the four voices by pitch order, range, spacing and what each voice sounded last. Audio thread.

use continuo_model::rules::{RANGES, WIDEST_SPACING};
use continuo_model::tokeniser::grid::NUM_VOICES;

/// Costs. Each semitone that a note lies outside its voice's range costs this much.
const OUTSIDE: u32 = 3;
/// The voices are not the preferred ones (adjacent, from the player's voice down), but the lowest note goes to the
/// outer voice (for a player of the bass: the highest).
const APART: u32 = 5;
/// The voices are not the preferred ones, and the outer voice stays free.
const APART_WITHIN: u32 = 9;
/// Two adjacent voices are more than an octave apart.
const WIDE: u32 = 6;
/// Two voices with others between them need this many semitones for each voice between.
const ROOM: u8 = 4;
/// No note goes to the player's voice.
const ANOTHER: u32 = 10;
/// A held key changes its voice.
const MOVED: u32 = 8;
/// A voice attracts notes within this many semitones of its last key.
const FAR: u8 = 12;
/// A single note goes to another voice than the player's only if it is closer to that voice's last key by more than
/// this many semitones.
const OWN_LINE: u8 = 7;

/// A key to deal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dealt {
    /// MIDI key.
    pub key: u8,
    /// The voice that the key already has, if it was held before.
    pub voice: Option<usize>,
}

/// The context for dealing: the player's voice and last keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Player {
    /// The parameter `Your voice`, 0 = soprano.
    pub voice: usize,
    /// The key that the player sounded last in each voice, if that was recent.
    pub last: [Option<u8>; NUM_VOICES],
}

/// Deals up to four keys, ordered from the highest, to voices. Returns the voice of each key. The result does not
/// depend on the order in which the keys were struck.
pub fn deal(keys: &[Dealt], player: &Player) -> [usize; NUM_VOICES] {
    let first: [usize; NUM_VOICES] = std::array::from_fn(|n| n);
    match keys.len() {
        0 | NUM_VOICES.. => first,
        1 => [lone(keys[0], player), 0, 0, 0],
        count => {
            // Sets of voices as bits; bit 0 is the soprano. At equal cost the higher voices win.
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

/// A single note goes to the player's voice unless it continues another voice of the player's.
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
    // The outer voice at the far side from the player's voice.
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

    /// `keys` lists keys from the top; `-48B` is a key held in the bass. `last` is the key that each voice sounded
    /// last, as in `S72 B48`.
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
        // For a player of the bass, a tune well above it is the soprano.
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
        // Also in a low register.
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
