//! Derives the controls for training from a piece itself: key, cadences, density and register.

use continuo_model::random::SplitMix64;
use continuo_model::tokeniser::grid::{NUM_VOICES, STEPS_PER_BEAT};
use continuo_model::tokeniser::step_reader::{
    Controls, FERMATA_CLASSES, PhrasePosition, StepFeature, density_class, register_class,
};
use continuo_model::vocabulary::{Symbol, Vocabulary};

use crate::kinds::four_voices::GridPiece;

/// How many steps ahead density and register look.
const AHEAD_STEPS: usize = 4 * STEPS_PER_BEAT;
/// The probability that a piece is trained with a given control.
const SET_PROBABILITY: f32 = 0.5;
/// The probability that the bars are known. They are in almost every host.
const BARS_KNOWN: f32 = 0.8;

/// For each step, the controls of a network with `features`. Each control is set or left out at random, so that the
/// network learns to play without it.
pub fn reveal(piece: &GridPiece, features: &[StepFeature], rng: &mut SplitMix64) -> Vec<Controls> {
    let mut set = |feature| rng.next_f32() < SET_PROBABILITY && features.contains(&feature);
    let key = piece.key.filter(|_| set(StepFeature::Key));
    let (density, register) = (set(StepFeature::Density), set(StepFeature::Register));
    let fermata = set(StepFeature::Fermata);
    let phrases = if set(StepFeature::Phrase) { positions_in_phrases(&piece.fermatas) } else { Vec::new() };
    // A player requests a cadence some steps before it, not from the beginning.
    let horizon = 1 + rng.next_below(FERMATA_CLASSES - 1) as u8;
    let fermatas = fermata.then(|| steps_to_fermata(&piece.fermatas));
    let bars_known = rng.next_f32() < BARS_KNOWN && features.contains(&StepFeature::Bar);
    (0..piece.grid.steps.len())
        .map(|step| Controls {
            key,
            fermata_in: fermatas.as_ref().and_then(|f| f.get(step).copied()).filter(|&n| n < horizon),
            density: density.then(|| density_class(attacks_per_beat(piece, step))),
            register: register.then(|| mean_pitch(piece, step).map(register_class)).flatten(),
            bar: piece.known(step).bar.filter(|_| bars_known),
            phrase: phrases.get(step).copied().flatten(),
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

/// For each step, its position in its phrase, which ends with a fermata; `None` after the last one.
fn positions_in_phrases(fermatas: &[bool]) -> Vec<Option<PhrasePosition>> {
    let beats = |steps: usize| u8::try_from(steps).unwrap_or(u8::MAX);
    let mut start = 0;
    let position = |step: usize| {
        if step > 0 && fermatas[step - 1] && !fermatas[step] {
            start = step;
        }
        let left = fermatas[step..].iter().position(|&under| under)?;
        Some(PhrasePosition {
            beats_since: beats((step - start) / STEPS_PER_BEAT),
            beats_left: beats(left.div_ceil(STEPS_PER_BEAT)),
        })
    };
    (0..fermatas.len()).map(position).collect()
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
    fn phrases_begin_after_a_fermata_and_lead_to_the_next() {
        let fermatas: Vec<bool> = ".....ff......f.".chars().map(|c| c == 'f').collect();
        let words = |position: &Option<PhrasePosition>| {
            position.map_or("-".into(), |p| format!("{}/{}", p.beats_since, p.beats_left))
        };
        let positions: Vec<String> = positions_in_phrases(&fermatas).iter().map(words).collect();
        assert_eq!(positions.join(" "), "0/2 0/1 0/1 0/1 1/1 1/0 1/0 0/2 0/2 0/1 0/1 1/1 1/1 1/0 -");
    }

    #[test]
    fn controls_describe_the_coming_bar_and_are_set_half_of_the_time() {
        let rows: Vec<_> = (0..40).map(|i| [72, 64, 60, if i < 16 { 48 } else { 50 + i }].map(Some)).collect();
        let piece = GridPiece {
            grid: Grid::from_pitches(&rows, None),
            key: Some(14),
            fermatas: vec![false; 40],
            ..GridPiece::default()
        };
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
