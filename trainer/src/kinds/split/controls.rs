//! Derives the controls for training from a piece itself: key, cadences, density and register.

use continuo_model::random::SplitMix64;
use continuo_model::tokeniser::grid::{NUM_VOICES, STEPS_PER_BEAT};
use continuo_model::tokeniser::step_reader::{Controls, FERMATA_CLASSES, StepFeature, density_class, register_class};
use continuo_model::vocabulary::{Symbol, Vocabulary};

use crate::kinds::four_voices::GridPiece;

/// How many steps ahead density and register look.
const AHEAD_STEPS: usize = 4 * STEPS_PER_BEAT;
/// The probability that a piece is trained with a given control.
const SET_PROBABILITY: f32 = 0.5;

/// For each step, the controls of a network with `features`. Each control is set or left out at random, so that the
/// network learns to play without it.
pub fn reveal(piece: &GridPiece, features: &[StepFeature], rng: &mut SplitMix64) -> Vec<Controls> {
    let mut set = |feature| rng.next_f32() < SET_PROBABILITY && features.contains(&feature);
    let key = piece.key.filter(|_| set(StepFeature::Key));
    let (density, register) = (set(StepFeature::Density), set(StepFeature::Register));
    let fermata = set(StepFeature::Fermata);
    // A player requests a cadence some steps before it, not from the beginning.
    let horizon = 1 + rng.next_below(FERMATA_CLASSES - 1) as u8;
    let fermatas = fermata.then(|| steps_to_fermata(&piece.fermatas));
    (0..piece.grid.steps.len())
        .map(|step| Controls {
            key,
            fermata_in: fermatas.as_ref().and_then(|f| f.get(step).copied()).filter(|&n| n < horizon),
            density: density.then(|| density_class(attacks_per_beat(piece, step))),
            register: register.then(|| mean_pitch(piece, step).map(register_class)).flatten(),
        })
        .collect()
}

/// For each step, the distance to the next fermata: 0 under one, a large number after the last.
fn steps_to_fermata(fermatas: &[bool]) -> Vec<u8> {
    let mut distance = u8::MAX;
    let mut distances: Vec<u8> = fermatas
        .iter()
        .rev()
        .map(|&under| {
            distance = if under { 0 } else { distance.saturating_add(1) };
            distance
        })
        .collect();
    distances.reverse();
    distances
}

/// Attacks per beat and voice from `step` on.
fn attacks_per_beat(piece: &GridPiece, step: usize) -> f32 {
    let rows = ahead(piece, step);
    let is_attack = |token: &&u16| matches!(Vocabulary::GRID.symbol(**token), Some(Symbol::Pitch(_)));
    let attacks = rows.iter().flatten().filter(is_attack).count();
    attacks as f32 / (NUM_VOICES * rows.len()) as f32 * STEPS_PER_BEAT as f32
}

/// The mean pitch of the notes that start from `step` on.
fn mean_pitch(piece: &GridPiece, step: usize) -> Option<f32> {
    let pitch = |&token: &u16| match Vocabulary::GRID.symbol(token) {
        Some(Symbol::Pitch(pitch)) => Some(f32::from(pitch)),
        _ => None,
    };
    let pitches: Vec<f32> = ahead(piece, step).iter().flatten().filter_map(pitch).collect();
    (!pitches.is_empty()).then(|| pitches.iter().sum::<f32>() / pitches.len() as f32)
}

fn ahead(piece: &GridPiece, step: usize) -> &[[u16; NUM_VOICES]] {
    let steps = &piece.grid.steps;
    &steps[step..steps.len().min(step + AHEAD_STEPS)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_model::tokeniser::grid::Grid;

    #[test]
    fn fermatas_are_foreseen() {
        let fermatas: Vec<bool> = "...ff..f.".chars().map(|c| c == 'f').collect();
        assert_eq!(steps_to_fermata(&fermatas), [3, 2, 1, 0, 0, 2, 1, 0, 255]);
    }

    #[test]
    fn controls_describe_the_coming_bar_and_are_set_half_of_the_time() {
        let rows: Vec<_> = (0..40).map(|i| [72, 64, 60, if i < 16 { 48 } else { 50 + i }].map(Some)).collect();
        let piece = GridPiece { grid: Grid::from_pitches(&rows, None), key: Some(14), fermatas: vec![false; 40] };
        assert_eq!(attacks_per_beat(&piece, 0), 0.25);
        assert_eq!(attacks_per_beat(&piece, 16), 1.0);
        assert_eq!(mean_pitch(&piece, 0), Some(61.0));
        let features = [StepFeature::Key, StepFeature::Density];
        let mut rng = SplitMix64::new(1);
        let revealed: Vec<_> = (0..400).map(|_| reveal(&piece, &features, &mut rng)[0]).collect();
        let count = |f: fn(&Controls) -> bool| revealed.iter().filter(|c| f(c)).count();
        assert!((150..250).contains(&count(|c| c.key == Some(14))));
        assert!((150..250).contains(&count(|c| c.density == Some(0))));
        assert_eq!(count(|c| c.register.is_some() || c.fermata_in.is_some()), 0);
    }
}
