//! Four voices on a grid of steps of a 16th: one cell, and one token, for each voice and step.

use super::HELD_CLASSES;
use super::{GridReader, Reader};
use crate::config::{Feature, FeatureKind};
use crate::vocabulary::{Symbol, Vocabulary};

/// The number of voices: soprano, alto, tenor and bass, numbered 0 to 3.
pub const NUM_VOICES: usize = 4;
/// Steps in a beat (a quarter note): a step is a 16th.
pub const STEPS_PER_BEAT: usize = 4;
/// The names of the voices, from the top.
pub const VOICE_NAMES: [&str; NUM_VOICES] = ["Soprano", "Alto", "Tenor", "Bass"];

/// A piece as tokens: a row for each step, with one token for each voice, soprano first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grid {
    /// The rows. Step 0 is on a beat.
    pub steps: Vec<[u16; NUM_VOICES]>,
}

impl Grid {
    /// Converts rows of sounding pitches (`None` = rest), which repeat a held pitch in each step. Bit v of a step's
    /// `attacks` says that voice v (0 = soprano) starts a note there; without `attacks`, a note starts only where the
    /// pitch changes.
    pub fn from_pitches(pitches: &[[Option<u8>; NUM_VOICES]], attacks: Option<&[u8]>) -> Self {
        let vocabulary = Vocabulary::GRID;
        let steps = pitches
            .iter()
            .enumerate()
            .map(|(step_idx, row)| {
                std::array::from_fn(|voice| {
                    let before = step_idx.checked_sub(1).and_then(|i| pitches[i][voice]);
                    let struck = attacks.is_some_and(|a| a[step_idx] >> voice & 1 == 1);
                    vocabulary.token(match row[voice] {
                        None => Symbol::Rest,
                        Some(pitch) if struck || before != Some(pitch) => Symbol::Pitch(pitch),
                        Some(_) => Symbol::Hold,
                    })
                })
            })
            .collect();
        Self { steps }
    }

    /// The lowest and the highest pitch, or `None` without notes.
    pub fn pitch_range(&self) -> Option<(u8, u8)> {
        let pitches = || {
            self.steps.iter().flatten().filter_map(|&token| match Vocabulary::GRID.symbol(token) {
                Some(Symbol::Pitch(pitch)) => Some(pitch),
                _ => None,
            })
        };
        Some((pitches().min()?, pitches().max()?))
    }

    /// The piece transposed up by `semitones`. The caller keeps it within the vocabulary's range.
    pub fn transposed(&self, semitones: i8) -> Self {
        let vocabulary = Vocabulary::GRID;
        let shift = |token| match vocabulary.symbol(token) {
            Some(Symbol::Pitch(pitch)) => vocabulary.token(Symbol::Pitch(pitch.wrapping_add_signed(semitones))),
            _ => token,
        };
        Self { steps: self.steps.iter().map(|row| row.map(shift)).collect() }
    }
}

/// The reader of a stack: the previous token, the sounding pitches and the position in the beat before each cell.
///
/// For each cell it yields the indices with which the network looks up its feature embeddings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellReader {
    previous: Option<u16>,
    sounding: [Option<u8>; NUM_VOICES],
    held: [u8; NUM_VOICES],
    voice: usize,
    step_in_beat: usize,
}

impl CellReader {
    /// A reader at the start of a piece, on a beat.
    pub const fn new() -> Self {
        Self { previous: None, sounding: [None; NUM_VOICES], held: [0; NUM_VOICES], voice: 0, step_in_beat: 0 }
    }

    /// The voice of the next token, 0 = soprano.
    pub const fn voice(&self) -> usize {
        self.voice
    }

    /// The previous token, or `None` at the start.
    pub const fn previous(&self) -> Option<u16> {
        self.previous
    }

    /// Writes the indices of the table rows to look up for `features`, in order, to the front of `indices`; returns how
    /// many there are.
    pub fn feature_indices(&self, features: &[Feature], indices: &mut [u32]) -> usize {
        let mut n = 0;
        let mut push = |index: usize| {
            indices[n] = index as u32;
            n += 1;
        };
        for feature in features {
            match feature.kind {
                FeatureKind::Voice => push(self.voice),
                FeatureKind::Beat => push(self.step_in_beat),
                FeatureKind::Sounding => {
                    for pitch in self.sounding {
                        push(usize::from(Vocabulary::GRID.token(pitch.map_or(Symbol::Rest, Symbol::Pitch))));
                    }
                }
                FeatureKind::Held => self.held.iter().for_each(|&steps| push(usize::from(steps))),
            }
        }
        n
    }
}

impl Reader for CellReader {
    fn reset(&mut self) {
        *self = Self::new();
    }

    fn copy_from(&mut self, other: &Self) {
        *self = *other;
    }

    fn set_step_in_beat(&mut self, step_in_beat: usize) {
        debug_assert_eq!(self.voice, 0, "the position in the beat is set before the first voice");
        self.step_in_beat = step_in_beat % STEPS_PER_BEAT;
    }

    /// Reads the token of the next cell.
    fn feed(&mut self, voice: usize, token: u16) {
        debug_assert_eq!(self.voice, voice, "cells are read from the top voice down");
        match Vocabulary::GRID.symbol(token) {
            Some(Symbol::Rest) | None => {
                self.held[voice] = if self.sounding[voice].is_none() { longer(self.held[voice]) } else { 0 };
                self.sounding[voice] = None;
            }
            Some(Symbol::Pitch(pitch)) => {
                self.sounding[voice] = Some(pitch);
                self.held[voice] = 0;
            }
            Some(Symbol::Hold) => self.held[voice] = longer(self.held[voice]),
        }
        self.previous = Some(token);
        self.voice += 1;
        if self.voice == NUM_VOICES {
            self.voice = 0;
            self.step_in_beat = (self.step_in_beat + 1) % STEPS_PER_BEAT;
        }
    }
}

impl GridReader for CellReader {
    fn sounding(&self, voice: usize) -> Option<u8> {
        self.sounding[voice]
    }

    fn step_in_beat(&self) -> usize {
        self.step_in_beat
    }
}

impl Default for CellReader {
    fn default() -> Self {
        Self::new()
    }
}

fn longer(held: u8) -> u8 {
    (held + 1).min(HELD_CLASSES as u8 - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row as text: `.` is a rest, `-` a hold.
    fn words(grid: &Grid) -> Vec<String> {
        let word = |&token| match Vocabulary::GRID.symbol(token).unwrap() {
            Symbol::Rest => ".".into(),
            Symbol::Hold => "-".into(),
            Symbol::Pitch(pitch) => pitch.to_string(),
        };
        grid.steps.iter().map(|row| row.iter().map(word).collect::<Vec<_>>().join(" ")).collect()
    }

    const ROWS: [[Option<u8>; 4]; 3] = [
        [Some(67), None, Some(55), Some(48)],
        [Some(67), Some(60), Some(55), Some(47)],
        [Some(67), Some(60), None, Some(47)],
    ];

    #[test]
    fn a_repeated_pitch_is_held() {
        assert_eq!(words(&Grid::from_pitches(&ROWS, None)), ["67 . 55 48", "- 60 - 47", "- - . -"]);
    }

    #[test]
    fn attacks_distinguish_repeated_notes_from_held_ones() {
        let grid = Grid::from_pitches(&ROWS, Some(&[0b1101, 0b1010, 0b0001]));
        assert_eq!(words(&grid), ["67 . 55 48", "- 60 - 47", "67 - . -"]);
        assert_eq!(words(&grid.transposed(2))[2], "69 - . -");
        assert_eq!(grid.pitch_range(), Some((47, 67)));
    }

    #[test]
    fn the_reader_yields_the_features_of_the_next_cell() {
        let features = [FeatureKind::Voice, FeatureKind::Beat, FeatureKind::Sounding, FeatureKind::Held]
            .map(|kind| Feature { kind, width: 1 });
        let mut reader = CellReader::new();
        for row in Grid::from_pitches(&ROWS, None).steps {
            row.into_iter().enumerate().for_each(|(voice, token)| reader.feed(voice, token));
        }
        let mut indices = [0; 10];
        assert_eq!(reader.feature_indices(&features, &mut indices), 10);
        assert_eq!(indices, [0, 3, 67 - 35, 60 - 35, 0, 47 - 35, 2, 1, 0, 1]);
        assert_eq!(reader.previous(), Some(47));
    }
}
