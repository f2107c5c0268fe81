//! Counts part-writing faults and texture in pieces, as whole numbers that can be added up.

use continuo_model::rules::{self, AwkwardLeap, PAIRS, Perfect, Row};
use continuo_model::tokeniser::grid::{NUM_VOICES, STEPS_PER_BEAT};
use serde::Serialize;

use super::chords::ChordClass;
use super::loops;
use crate::preparation::four_voices::FourVoices;

/// The counts of one or more pieces. An onset is a voice that starts a pitch it did not sound in the step before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Pieces.
    pub pieces: usize,
    /// 16th steps.
    pub steps: usize,
    /// Steps that have a step before them.
    pub moves: usize,
    /// Steps on a beat: every fourth, starting with the first.
    pub beats: usize,
    /// Onsets, including the first notes of pieces.
    pub onsets: usize,
    /// Parallel fifths between any two voices.
    pub parallel_fifths: usize,
    /// Parallel octaves and unisons between any two voices.
    pub parallel_octaves: usize,
    /// Direct fifths and octaves between soprano and bass.
    pub direct: usize,
    /// Leaps of a tritone.
    pub tritone_leaps: usize,
    /// Leaps of a seventh or of more than an octave.
    pub wide_leaps: usize,
    /// Steps with crossed voices.
    pub crossing_steps: usize,
    /// Steps in which a voice moves past the previous pitch of its neighbour.
    pub overlap_steps: usize,
    /// Steps with soprano and alto, or alto and tenor, more than an octave apart.
    pub wide_steps: usize,
    /// Steps with a voice out of its range.
    pub out_of_range_steps: usize,
    /// Steps with the same pitches as the step before.
    pub still_steps: usize,
    /// Steps in stuck loops.
    pub stuck_steps: usize,
    /// Note starts, including repeated notes, in pieces with known attacks.
    pub attacks: usize,
    /// The number of steps in which each voice sounds, summed over the voices, in pieces with known attacks.
    pub attack_cells: usize,
    /// Steps on a beat for each of [`ChordClass::ALL`].
    pub chords: [usize; ChordClass::ALL.len()],
}

impl Counts {
    /// The counts of a piece.
    pub fn of(piece: &FourVoices) -> Self {
        let mut counts = Self { pieces: 1, stuck_steps: loops::stuck_steps(piece), ..Self::default() };
        if let Some(first) = piece.rows.first() {
            counts.add_onsets(&[None; NUM_VOICES], first);
        }
        for row in &piece.rows {
            counts.add_step(row);
        }
        for row in piece.rows.iter().step_by(STEPS_PER_BEAT) {
            counts.beats += 1;
            counts.chords[ChordClass::of(row) as usize] += 1;
        }
        for (before, row) in piece.moves() {
            counts.add_onsets(before, row);
            counts.add_move(before, row);
        }
        for (row, bits) in piece.rows.iter().zip(piece.attacks.iter().flatten()) {
            counts.attack_cells += row.iter().flatten().count();
            counts.attacks += (0..NUM_VOICES).filter(|&v| row[v].is_some() && bits >> v & 1 == 1).count();
        }
        counts
    }

    fn add_onsets(&mut self, before: &Row, row: &Row) {
        self.onsets += (0..NUM_VOICES).filter(|&voice| rules::changes_pitch(before, row, voice)).count();
    }

    /// Counts what depends on a single step.
    fn add_step(&mut self, row: &Row) {
        self.steps += 1;
        self.crossing_steps += usize::from(PAIRS.iter().any(|&pair| rules::crossing(row, pair)));
        self.wide_steps += usize::from(rules::too_wide(row));
        self.out_of_range_steps += usize::from((0..NUM_VOICES).any(|voice| rules::out_of_range(row, voice)));
    }

    /// Counts what depends on a step and the one before.
    fn add_move(&mut self, before: &Row, row: &Row) {
        self.moves += 1;
        self.still_steps += usize::from(before == row);
        for pair in PAIRS {
            match rules::parallel(before, row, pair) {
                Some(Perfect::Fifth) => self.parallel_fifths += 1,
                Some(Perfect::Octave) => self.parallel_octaves += 1,
                None => {}
            }
        }
        self.direct += usize::from(rules::direct(before, row).is_some());
        self.overlap_steps += usize::from((0..NUM_VOICES).any(|voice| rules::overlap(before, row, voice)));
        for voice in 0..NUM_VOICES {
            match rules::awkward_leap(before, row, voice) {
                Some(AwkwardLeap::Tritone) => self.tritone_leaps += 1,
                Some(AwkwardLeap::SeventhOrWider) => self.wide_leaps += 1,
                None => {}
            }
        }
    }

    /// Parallel fifths, octaves and unisons.
    pub fn parallels(&self) -> usize {
        self.parallel_fifths + self.parallel_octaves
    }
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |a, b| Self {
            pieces: a.pieces + b.pieces,
            steps: a.steps + b.steps,
            moves: a.moves + b.moves,
            beats: a.beats + b.beats,
            onsets: a.onsets + b.onsets,
            parallel_fifths: a.parallel_fifths + b.parallel_fifths,
            parallel_octaves: a.parallel_octaves + b.parallel_octaves,
            direct: a.direct + b.direct,
            tritone_leaps: a.tritone_leaps + b.tritone_leaps,
            wide_leaps: a.wide_leaps + b.wide_leaps,
            crossing_steps: a.crossing_steps + b.crossing_steps,
            overlap_steps: a.overlap_steps + b.overlap_steps,
            wide_steps: a.wide_steps + b.wide_steps,
            out_of_range_steps: a.out_of_range_steps + b.out_of_range_steps,
            still_steps: a.still_steps + b.still_steps,
            stuck_steps: a.stuck_steps + b.stuck_steps,
            attacks: a.attacks + b.attacks,
            attack_cells: a.attack_cells + b.attack_cells,
            chords: std::array::from_fn(|i| a.chords[i] + b.chords[i]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preparation::four_voices::tests::piece;

    fn check(count: fn(&Counts) -> usize, cases: &[(&str, usize)]) {
        for (music, expect) in cases {
            assert_eq!(count(&Counts::of(&piece(music))), *expect, "{music}");
        }
    }

    const C: &str = "72 64 55 48";

    #[test]
    fn onsets_are_changes_of_pitch() {
        check(|c| c.onsets, &[(C, 4), ("72 64 55 48 | 72 64 55 48 | 72 . 55 47 | 72 64 55 47", 6), (". . . .", 0)]);
        check(|c| c.attacks, &[(C, 0), ("72* 64* 55* 48* | 72* 64 55 48 | 72 . 55 47*", 6), ("72* .* 55* 48*", 3)]);
        check(|c| c.attack_cells, &[(C, 0), ("72* 64* 55* 48* | 72* . 55 48", 7)]);
        check(|c| c.still_steps, &[(C, 0), ("72 64 55 48 | 72 64 55 48 | 72 65 55 48 | 72 65 55 48 | 72 . 55 48", 2)]);
    }

    #[test]
    fn faults_between_steps() {
        // Tenor and bass in fifths; then alto and tenor in octaves, and soprano and bass in twelfths.
        let fifths = "72 64 55 48 | 72 65 57 50";
        let three = "67 64 52 48 | 69 66 54 50";
        check(|c| c.parallel_fifths, &[(fifths, 1), (three, 1), ("72 64 55 48 | 72 65 57 57", 0)]);
        check(|c| c.parallel_octaves, &[(fifths, 0), (three, 1), ("72 64 55 48 | 72 64 55 36", 0)]);
        check(Counts::parallels, &[(fifths, 1), (three, 2)]);
        check(|c| c.direct, &[("64 60 55 48 | 69 60 57 50", 1), ("67 60 55 46 | 69 60 57 50", 0)]);
        check(|c| c.tritone_leaps, &[("72 64 55 48 | 66 70 55 48", 2), ("72 64 55 48 | 67 71 55 48", 0)]);
        check(|c| c.wide_leaps, &[("72 64 55 48 | 62 64 55 59", 2), ("72 64 55 48 | 63 64 55 60", 0)]);
        check(|c| c.overlap_steps, &[("67 64 55 48 | 62 60 55 48", 1), ("67 64 55 48 | 64 60 55 48", 0)]);
    }

    #[test]
    fn faults_of_a_step() {
        check(|c| c.crossing_steps, &[("72 64 47 48 | 72 64 47 48 | 72 64 55 48", 2), ("60 60 60 60", 0)]);
        check(|c| c.wide_steps, &[("79 64 60 48 | 72 64 51 48 | 72 64 60 36", 2), ("76 64 52 36", 0)]);
        check(|c| c.out_of_range_steps, &[("82 75 55 48 | 72 64 55 35 | 72 64 55 48", 2), (C, 0)]);
        check(
            |c| c.stuck_steps,
            &[("72* 64* 55* 48* | 72* 64* 55* 48* | 72* 64* 55* 48* | 72* 64* 55* 48*", 4), (C, 0)],
        );
    }

    #[test]
    fn chords_are_looked_at_on_beats() {
        let g = "71 62 55 43";
        let a = "72 64 57 45";
        let music = [C, g, g, g, a, C, C, C, g].join("|");
        assert_eq!(Counts::of(&piece(&music)).chords, [2, 1, 0, 0, 0, 0]);
        check(|c| c.beats, &[(&music, 3), (C, 1)]);
    }

    #[test]
    fn pieces_are_summed_field_by_field() {
        let music = "64* 65* 55* 48* | 70* 65* 57* 50 | 83* 64 47* 51* | 83 64 47 51 | 83 64 47 51 | 82 64 70 61";
        let one = Counts { stuck_steps: 3, chords: [1, 2, 3, 4, 5, 6], direct: 7, ..Counts::of(&piece(music)) };
        let two: Counts = [one.clone(), one.clone()].into_iter().sum();
        let (one, two) = (serde_json::to_value(one).unwrap(), serde_json::to_value(two).unwrap());
        for (name, count) in one.as_object().unwrap() {
            let double: Vec<_> = numbers(count).iter().map(|n| 2 * n).collect();
            assert_eq!(numbers(&two[name]), double, "{name}");
        }
    }

    fn numbers(value: &serde_json::Value) -> Vec<u64> {
        value.as_array().map_or_else(|| vec![value.as_u64().unwrap()], |list| list.iter().flat_map(numbers).collect())
    }
}
