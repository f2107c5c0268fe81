//! The swing that a player plays with, estimated beat by beat.

use super::swing::{Swing, SwungNotes};

/// Ticks in a beat. Positions are rounded to them, so that a host's rounding changes nothing.
const TICKS: f64 = 960.0;
/// Onsets outside this part belong to this beat or to the next one.
const INSIDE: std::ops::Range<u16> = 115..864;
/// Onsets closer than this are one chord.
const CHORD: u16 = 58;
/// Where the second of two eighths may fall.
const EIGHTH: std::ops::Range<u16> = 403..768;
/// Where it falls if eighths are straight.
const HALF: std::ops::Range<u16> = 422..538;
/// The most onsets of a beat that matter.
const MAX_ONSETS: usize = 4;
/// The weight that a pair of notes keeps when the next one is heard: half after three.
const DECAY: f64 = 0.8;
/// The weight of three pairs: fewer are no evidence.
const ENOUGH: f64 = 2.4;
/// Below this ratio a pair is straight.
const STRAIGHT: f64 = 0.56;
/// Above this mean the rhythm is dotted and not swung.
const DOTTED: f64 = 0.735;
/// The largest share of straight pairs in a swing.
const MAX_STRAIGHT: f64 = 0.25;
/// Before there is enough evidence, an offbeat in this part of the beat is heard as a swung eighth: near no other 16th.
const TRIPLET: std::ops::Range<f64> = 0.58..0.7;

/// Pairs of notes that were heard, with decay.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Pairs {
    straight: f64,
    uneven: f64,
    /// The sum of the ratios of uneven pairs.
    ratios: f64,
}

impl Pairs {
    fn push(&mut self, ratio: f64) {
        for weight in [&mut self.straight, &mut self.uneven, &mut self.ratios] {
            *weight *= DECAY;
        }
        if ratio < STRAIGHT {
            self.straight += 1.0;
        } else {
            self.uneven += 1.0;
            self.ratios += ratio;
        }
    }

    fn weight(&self) -> f64 {
        self.straight + self.uneven
    }

    /// The ratio, if nearly all pairs are uneven and the rhythm is not dotted.
    fn ratio(&self) -> Option<f64> {
        let is_swung = self.weight() >= ENOUGH && self.straight <= MAX_STRAIGHT * self.weight();
        let mean = is_swung.then(|| self.ratios / self.uneven)?;
        Some(mean).filter(|mean| *mean <= DOTTED)
    }
}

/// Estimates how the player swings: whether eighths or sixteenths, and in which ratio. Silence changes nothing.
///
/// A beat tells about eighths if a single note falls inside it, somewhere about its middle; and about sixteenths if a
/// note falls on its middle and others beside it. Triplets and other rhythms tell nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PlayersSwing {
    eighths: Pairs,
    sixteenths: Pairs,
    /// The beat of the last onset, by number.
    beat: i64,
    /// The onsets inside that beat, in ticks.
    onsets: [u16; MAX_ONSETS],
    num_onsets: u8,
}

impl PlayersSwing {
    /// Hears a note that starts at a part of a beat, 0 to 1. Beats have any numbers that differ.
    pub fn push(&mut self, beat: i64, part_of_beat: f64) {
        self.begin_beat(beat);
        // The addend keeps positions between two ticks, such as those of 1920ths, from depending on rounding errors.
        let onset = (part_of_beat * TICKS + 1e-3).round() as u16;
        let num_onsets = usize::from(self.num_onsets);
        let is_chord = self.onsets[..num_onsets].iter().any(|before| onset.abs_diff(*before) < CHORD);
        let is_inside = INSIDE.contains(&onset);
        if is_inside && !is_chord && num_onsets < MAX_ONSETS {
            self.onsets[num_onsets] = onset;
            self.num_onsets += 1;
        }
    }

    /// Follows time: a beat begins, so the one before it is complete.
    pub fn begin_beat(&mut self, beat: i64) {
        if beat != self.beat {
            self.complete();
            self.beat = beat;
        }
    }

    fn complete(&mut self) {
        let (all, num_onsets) = (self.onsets, usize::from(std::mem::take(&mut self.num_onsets)));
        let onsets = &all[..num_onsets];
        let half = onsets.iter().find(|onset| HALF.contains(*onset));
        match (onsets, half) {
            ([one], _) if EIGHTH.contains(one) => self.eighths.push(f64::from(*one) / TICKS),
            ([_, _, ..], Some(half)) => {
                self.eighths.push(0.5);
                for onset in onsets.iter().filter(|onset| *onset != half) {
                    let in_half = if onset < half { *onset } else { onset - TICKS as u16 / 2 };
                    self.sixteenths.push(f64::from(in_half) / (TICKS / 2.0));
                }
            }
            _ => {}
        }
    }

    /// Whether any pair has been heard.
    pub fn has_heard(&self) -> bool {
        self.eighths.weight() > 0.0
    }

    /// The player's swing; `None` if the player plays straight or too little has been heard.
    pub fn swing(&self) -> Option<Swing> {
        let eighths = self.eighths.ratio().map(|ratio| Swing::new(SwungNotes::Eighths, ratio));
        eighths.or_else(|| self.sixteenths.ratio().map(|ratio| Swing::new(SwungNotes::Sixteenths, ratio)))
    }

    /// Where a position that is played in a beat would be without swing. Positions are parts of a beat, 0 to 1.
    pub fn straightened(&self, beat: i64, part_of_beat: f64) -> f64 {
        let onsets = &self.onsets[..usize::from(self.num_onsets)];
        let has_half = beat == self.beat && onsets.iter().any(|onset| HALF.contains(onset));
        let is_triplet = TRIPLET.contains(&part_of_beat) && !has_half;
        match self.swing() {
            Some(swing) => swing.straightened(part_of_beat),
            None if self.eighths.weight() < ENOUGH && is_triplet => 0.5,
            None => part_of_beat,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    /// Beats as text, onsets in hundredths of a beat: `0 67|0 67`.
    fn heard(beats: &str) -> PlayersSwing {
        let mut swing = PlayersSwing::default();
        for (beat, onsets) in (1..).zip(beats.split('|')) {
            onsets.split_whitespace().for_each(|onset| swing.push(beat, onset.parse::<f64>().unwrap() / 100.0));
        }
        swing.begin_beat(0);
        swing
    }

    /// `8:67` for swung eighths, `16:60` for sixteenths, `-` for straight notes.
    fn check(beats: &str, expect: &str) {
        let swing = heard(beats).swing();
        let words = swing.map_or("-".into(), |swing| {
            let notes = if swing.notes() == SwungNotes::Eighths { 8 } else { 16 };
            format!("{notes}:{:.0}", swing.ratio() * 100.0)
        });
        assert_eq!(words, expect, "{beats}");
    }

    #[test]
    fn offbeats_tell_the_swing() {
        check("0 67|0 66|0 68", "8:67");
        check("0 60|2 61|98|0 59|1 60", "8:60");
        check("0 72|0 74|0 71|0 73", "8:73");
        // Sixteenths in two halves of each beat.
        check("0 33 50 83|0 32 51 84|0 33 49", "16:66");
    }

    #[test]
    fn straight_dotted_and_triplet_rhythms_are_not_swung() {
        for beats in [
            "0 50|0 51|0 48|1 53",
            "0 25 50 75|0 26 50 74|0 50|0 25 50",
            "0 75|0 74|0 76|0 75",
            "0 50|0 75|0 50|0 75|0 50",
            "0 33 67|0 33 67|0 33 67|0 33 67",
            "0|0|0|0",
            // Two pairs are too little.
            "0 67|0 67",
        ] {
            check(beats, "-");
        }
    }

    #[test]
    fn a_new_feel_replaces_the_old_one() {
        let [swung, straight] = ["|0 67", "|0 50"].map(|beats| beats.repeat(8));
        check(&format!("0{swung}{straight}"), "-");
        check(&format!("0{straight}{swung}"), "8:67");
        let before = heard(&swung);
        let mut after = before;
        (2..50).for_each(|beat| after.begin_beat(beat));
        assert_eq!(after.swing(), before.swing(), "silence changes nothing");
    }

    #[test]
    fn human_hands_are_understood_at_all_tempos() {
        let mut rng = SplitMix64::new(3);
        for ratio in [0.5, 0.58, 0.62, 0.667, 0.7, 0.72] {
            for tempo_bpm in [90.0, 120.0, 150.0, 180.0] {
                let mut swing = PlayersSwing::default();
                for beat in 1..17 {
                    // Two uniform numbers: a triangle of up to 12 ms to each side.
                    let seconds = 0.012 * f64::from(rng.next_f32() - rng.next_f32());
                    swing.push(beat, ratio + seconds * tempo_bpm / 60.0);
                }
                swing.begin_beat(0);
                let found = swing.swing().map_or(0.5, Swing::ratio);
                assert!((found - ratio).abs() < 0.03, "{ratio} at {tempo_bpm}: {found}");
                assert_eq!(ratio == 0.5, swing.swing().is_none(), "{ratio} at {tempo_bpm}");
            }
        }
    }

    #[test]
    fn swung_notes_are_heard_as_eighths_from_the_first_one() {
        let hears = |swing: &PlayersSwing, part: f64| (swing.straightened(1, part) * 4.0).round() as u8;
        let nothing = PlayersSwing::default();
        assert_eq!([0.5, 0.6, 0.66, 0.69, 0.73].map(|part| hears(&nothing, part)), [2, 2, 2, 2, 3]);
        // After a straight eighth it is no swung one.
        let mut run = PlayersSwing::default();
        run.push(1, 0.5);
        assert_eq!([hears(&run, 0.64), (run.straightened(2, 0.64) * 4.0) as u8], [3, 2]);
        let swung = heard("0 72|0 72|0 72");
        assert_eq!([0.36, 0.72, 0.86].map(|part| hears(&swung, part)), [1, 2, 3]);
        let straight = heard("0 50|0 50|0 50");
        assert_eq!(hears(&straight, 0.66), 3);
    }
}
