//! Phrases on the bars of the host: where in its phrase a step lies, and how far the last chord is.

use crate::tokeniser::grid::STEPS_PER_BEAT;
use crate::tokeniser::step_reader::PhrasePosition;

/// The length of a phrase's last chord, in steps.
pub const LAST_CHORD_STEPS: i64 = 8;
/// A network learns of the last chord at most this many steps ahead.
const HORIZON_STEPS: i64 = 15;
/// Phrases last at least this many steps if nothing else is set: half of Bach's last eight beats.
const AUTO_STEPS: i64 = 8 * STEPS_PER_BEAT as i64;
/// A phrase that would be shorter than this is joined to the next one: an entry just before a last chord.
const SHORTEST_STEPS: i64 = 2 * STEPS_PER_BEAT as i64;

/// A step of the network's turn, in the bars of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnStep {
    /// Whole bars since the bar in which the turn began; negative before it, as after a loop.
    pub bar: i64,
    /// 16ths since the start of the step's bar.
    pub step_in_bar: i64,
    /// The length of a bar in 16ths, above 0.
    pub bar_steps: i64,
    /// 16ths since the turn began.
    pub since_turn: i64,
}

/// Where a step lies in its phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhraseStep {
    /// Its position in beats, for the network.
    pub position: PhrasePosition,
    /// The steps to the last chord, 0 while it sounds; `None` if it is more than 15 steps away.
    pub fermata_in: Option<u8>,
}

impl TurnStep {
    /// Where the step lies in its phrase, if phrases last `bars` bars; `None` for as many as last eight beats, rounded
    /// up to a power of two. The last chord of a phrase begins in the middle of its last bar, or at the start of that
    /// bar if its half is no strong beat. The next phrase begins when it ends.
    pub fn phrase(&self, bars: Option<u8>) -> PhraseStep {
        let auto = (AUTO_STEPS as u64).div_ceil(self.bar_steps as u64).next_power_of_two().max(2) as i64;
        let bars = bars.map_or(auto, |bars| i64::from(bars.max(1)));
        let phrase_steps = bars * self.bar_steps;
        let strong = if self.bar_steps % 16 == 0 { self.bar_steps / 2 } else { 0 };
        let length = LAST_CHORD_STEPS.min(self.bar_steps - strong);
        let step = self.bar.rem_euclid(bars) * self.bar_steps + self.step_in_bar;
        let chord = phrase_steps - self.bar_steps + strong;
        let turn_start = step - self.since_turn;
        let is_entry = self.since_turn >= 0;
        // After the last chord, the next phrase has begun; a turn that begins just before one leads to the next one.
        let is_joined = is_entry && turn_start > chord - SHORTEST_STEPS && turn_start < chord + length;
        let chord = if step >= chord + length || is_joined { chord + phrase_steps } else { chord };
        let last_chord = chord - phrase_steps;
        let begins_with_turn = is_entry && turn_start > last_chord - SHORTEST_STEPS;
        let start = if begins_with_turn { turn_start } else { last_chord + length };
        let left = (chord - step).max(0);
        let beats = |steps: i64| u8::try_from(steps / STEPS_PER_BEAT as i64).unwrap_or(u8::MAX);
        PhraseStep {
            position: PhrasePosition {
                beats_since: beats(step - start),
                beats_left: beats(left + STEPS_PER_BEAT as i64 - 1),
            },
            fermata_in: (left <= HORIZON_STEPS).then_some(left as u8),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first `beats` beats of a turn: beats since the phrase's start, beats to its last chord; `|` before a bar.
    fn check(bar_steps: i64, first_step_in_bar: i64, bars: Option<u8>, beats: i64, expect: &str) {
        let words = (0..beats).map(|beat| {
            let (since_turn, in_bars) = (4 * beat, 4 * beat + first_step_in_bar);
            let (bar, step_in_bar) = (in_bars / bar_steps, in_bars % bar_steps);
            let position = TurnStep { bar, step_in_bar, bar_steps, since_turn }.phrase(bars).position;
            let bar = if step_in_bar < 4 { "|" } else { "" };
            format!("{bar}{}/{}", position.beats_since, position.beats_left)
        });
        assert_eq!(
            words.collect::<Vec<_>>().join(" "),
            expect,
            "bars of {bar_steps} from {first_step_in_bar}, {bars:?}"
        );
    }

    #[test]
    fn phrases_of_eight_beats_close_in_the_middle_of_every_second_bar() {
        check(16, 0, None, 12, "|0/6 1/5 2/4 3/3 |4/2 5/1 6/0 7/0 |0/6 1/5 2/4 3/3");
        check(16, 0, Some(4), 9, "|0/14 1/13 2/12 3/11 |4/10 5/9 6/8 7/7 |8/6");
        // A turn that begins in the middle of a bar has a shorter first phrase.
        check(16, 8, None, 9, "0/4 1/3 |2/2 3/1 4/0 5/0 |0/6 1/5 2/4");
    }

    #[test]
    fn other_metres_have_phrases_of_whole_bars() {
        check(12, 0, None, 13, "|0/9 1/8 2/7 |3/6 4/5 5/4 |6/3 7/2 8/1 |9/0 10/0 0/10 |1/9");
        check(12, 0, Some(2), 6, "|0/3 1/2 2/1 |3/0 4/0 0/4");
        check(8, 0, None, 9, "|0/6 1/5 |2/4 3/3 |4/2 5/1 |6/0 7/0 |0/6");
        check(14, 0, Some(2), 7, "|0/4 1/3 2/2 3/1 |4/0 5/0 0/5");
    }

    #[test]
    fn an_entry_before_a_last_chord_leads_to_the_next_one() {
        check(16, 4, Some(1), 8, "0/5 1/4 2/3 |3/2 4/1 5/0 6/0 |0/2");
    }

    #[test]
    fn a_loop_back_before_the_turn_keeps_the_phrases_of_its_bars() {
        let at = |bar, since_turn| TurnStep { bar, step_in_bar: 0, bar_steps: 16, since_turn }.phrase(None).position;
        assert_eq!(at(-2, -32), PhrasePosition { beats_since: 0, beats_left: 6 });
        assert_eq!(at(-1, -16), PhrasePosition { beats_since: 4, beats_left: 2 });
    }

    #[test]
    fn the_last_chord_is_counted_down_to() {
        let told = [0, 8, 9, 20, 23, 24, 31, 32, 40, 41].map(|step| {
            TurnStep { bar: step / 16, step_in_bar: step % 16, bar_steps: 16, since_turn: step }.phrase(None).fermata_in
        });
        assert_eq!(told, [None, None, Some(15), Some(4), Some(1), Some(0), Some(0), None, None, Some(15)]);
    }
}
