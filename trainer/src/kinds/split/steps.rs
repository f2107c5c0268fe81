//! Batches for split networks: whole steps, with their voices in the order of sampling.

use anyhow::Result;
use candle_core::{Device, Tensor};
use continuo_model::config::SplitConfig;
use continuo_model::random::SplitMix64;
use continuo_model::tokeniser::grid::NUM_VOICES;
use continuo_model::tokeniser::step_reader::{Controls, HEAD_SLOTS, NO_INDEX, StepReader, relative_columns};
use continuo_model::tokeniser::{GridReader, Reader};
use continuo_model::vocabulary::{Symbol, Vocabulary};
use continuo_network::{Inputs, SplitInputs};

use super::own_past::OwnPast;
use crate::batches::Batch;
use crate::kinds::four_voices::GridPiece;

/// A piece as steps: the inputs of each step and its targets.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub struct Steps {
    /// (steps, trunk slots).
    trunk: Vec<u32>,
    /// (steps, voices, `HEAD_SLOTS`).
    head: Vec<u32>,
    /// The pitch of each voice in the step before, (steps, voices).
    before: Vec<Option<u8>>,
    /// (steps, voices).
    targets: Vec<u32>,
    /// Whether the network learns to predict the voice, or is given it, (steps, voices).
    learnt: Vec<bool>,
}

impl Steps {
    /// Encodes a piece. A share `any_order` of the steps has its voices in random order, the others from the top.
    pub fn read(
        config: &SplitConfig,
        piece: &GridPiece,
        controls: &[Controls],
        any_order: f32,
        rng: &mut SplitMix64,
    ) -> Self {
        let mut encoder = Encoder::new(config);
        for (row, controls) in piece.grid.steps.iter().zip(controls) {
            let mut order: [usize; NUM_VOICES] = std::array::from_fn(|voice| voice);
            if rng.next_f32() < any_order {
                rng.shuffle(&mut order);
            }
            encoder.step(*controls, order, *row, [true; NUM_VOICES], *row);
        }
        encoder.steps
    }

    /// Encodes a piece whose past is what the network played beside it. The network learns what the piece itself does
    /// in the voices that were not given, from the top, after the given ones: hold where it holds, or start its note if
    /// the network rests there.
    pub fn read_beside(config: &SplitConfig, piece: &GridPiece, controls: &[Controls], own: &OwnPast) -> Self {
        let mut encoder = Encoder::new(config);
        let hold = Vocabulary::GRID.token(Symbol::Hold);
        let mut sounding = [None; NUM_VOICES];
        for (((row, controls), played), given) in piece.grid.steps.iter().zip(controls).zip(&own.rows).zip(&own.given) {
            let mut order: [usize; NUM_VOICES] = std::array::from_fn(|voice| voice);
            let learnt = if given.contains(&false) { given.map(|given| !given) } else { [true; NUM_VOICES] };
            // A stable sort: the given voices, then the others, each from the top.
            order.sort_by_key(|&voice| learnt[voice]);
            let targets = std::array::from_fn(|voice| {
                sounding[voice] = Vocabulary::GRID.sounds(row[voice], sounding[voice]);
                let nothing_to_hold = row[voice] == hold && encoder.reader.sounding(voice).is_none();
                let starts = sounding[voice].filter(|_| nothing_to_hold);
                starts.map_or(row[voice], |pitch| Vocabulary::GRID.token(Symbol::Pitch(pitch)))
            });
            encoder.step(*controls, order, targets, learnt, *played);
        }
        encoder.steps
    }
}

/// Encodes one step after the other.
struct Encoder<'a> {
    config: &'a SplitConfig,
    reader: StepReader,
    indices: Vec<u32>,
    steps: Steps,
}

impl<'a> Encoder<'a> {
    fn new(config: &'a SplitConfig) -> Self {
        let steps =
            Steps { trunk: Vec::new(), head: Vec::new(), before: Vec::new(), targets: Vec::new(), learnt: Vec::new() };
        Self { config, reader: StepReader::new(), indices: vec![NO_INDEX; config.trunk_slots()], steps }
    }

    /// Encodes a step: the targets in this order of the voices, after which the past goes on with what was `played`.
    fn step(
        &mut self,
        controls: Controls,
        order: [usize; NUM_VOICES],
        targets: [u16; NUM_VOICES],
        learnt: [bool; NUM_VOICES],
        played: [u16; NUM_VOICES],
    ) {
        let (reader, steps) = (&mut self.reader, &mut self.steps);
        reader.trunk_indices(&self.config.features, controls, &mut self.indices);
        steps.trunk.extend_from_slice(&self.indices);
        let mut head_indices = [NO_INDEX; HEAD_SLOTS];
        for (n, voice) in order.into_iter().enumerate() {
            reader.head_indices(voice, self.config.sees_echo(), &mut head_indices);
            steps.head.extend_from_slice(&head_indices);
            steps.before.push(reader.sounding(voice));
            steps.targets.push(targets[voice].into());
            steps.learnt.push(learnt[voice]);
            // The last voice would end the step.
            if n + 1 < NUM_VOICES {
                reader.feed(voice, targets[voice]);
            }
        }
        reader.end_step(played);
    }
}

/// A batch of windows of `steps` steps each.
pub fn batch(
    config: &SplitConfig,
    pieces: &[Steps],
    windows: &[(usize, usize)],
    steps: usize,
    device: &Device,
) -> Result<Batch> {
    let (slots, batch) = (config.trunk_slots(), windows.len());
    let cells = steps * batch * NUM_VOICES;
    let mut trunk = vec![NO_INDEX; steps * batch * slots];
    let mut head = vec![NO_INDEX; cells * HEAD_SLOTS];
    let mut relative = vec![0; cells * config.vocab_size];
    let mut targets = vec![0; cells];
    let mut weights = vec![0_f32; cells];
    for (column, &(piece, start)) in windows.iter().enumerate() {
        let piece = &pieces[piece];
        for step in 0..steps {
            let (to, from) = (step * batch + column, start + step);
            let there = (from + 1) * NUM_VOICES <= piece.targets.len();
            if there {
                trunk[to * slots..][..slots].copy_from_slice(&piece.trunk[from * slots..][..slots]);
            }
            for voice in 0..NUM_VOICES {
                let (to, from) = (to * NUM_VOICES + voice, from * NUM_VOICES + voice);
                let columns = &mut relative[to * config.vocab_size..][..config.vocab_size];
                relative_columns(if there { piece.before[from] } else { None }, columns);
                if there {
                    head[to * HEAD_SLOTS..][..HEAD_SLOTS]
                        .copy_from_slice(&piece.head[from * HEAD_SLOTS..][..HEAD_SLOTS]);
                    (targets[to], weights[to]) = (piece.targets[from], f32::from(piece.learnt[from]));
                }
            }
        }
    }
    Ok(Batch {
        inputs: Inputs::Split(SplitInputs {
            steps,
            batch,
            trunk: trunk.into(),
            head: head.into(),
            relative: Tensor::from_vec(relative, (cells, config.vocab_size), device)?,
        }),
        targets: Tensor::from_vec(targets, cells, device)?,
        weights: Tensor::from_vec(weights, cells, device)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::split::testing::{config, weights};
    use crate::preparation::four_voices::tests::piece;
    use continuo_model::generate;
    use continuo_model::tokeniser::step_reader::{BarPosition, StepFeature};

    const FEATURES: [StepFeature; 4] = [StepFeature::Sounding, StepFeature::Held, StepFeature::Beat, StepFeature::Bar];

    /// A piece with held and repeated notes and rests.
    fn grid() -> GridPiece {
        GridPiece::of(&piece("72* 64* 55* 48* | 72 64* 55 . | 74* . 55* 48* | 74 65* 57* 48 | 72* 65 57 .")).unwrap()
    }

    #[test]
    fn a_past_with_all_voices_given_is_the_pieces_own() {
        let (config, grid) = (config(&FEATURES), grid());
        let network = generate::network(&weights(&config)).unwrap();
        let bar = |step| Some(BarPosition { step_in_bar: step, bar_steps: 16 });
        let controls: Vec<Controls> = (0..5).map(|step| Controls { bar: bar(step), ..Controls::NONE }).collect();
        let mut rng = SplitMix64::new(1);
        let own = OwnPast::play(network, &grid, [true; NUM_VOICES], &controls, &mut rng);
        assert_eq!(own.rows, grid.grid.steps);
        let ordinary = Steps::read(&config, &grid, &controls, 0.0, &mut rng);
        assert_eq!(Steps::read_beside(&config, &grid, &controls, &own), ordinary);
    }

    #[test]
    fn the_network_learns_the_pieces_notes_beside_its_own_past() {
        let token = |symbol| Vocabulary::GRID.token(symbol);
        let pitch = |pitch: u16| u32::from(token(Symbol::Pitch(pitch as u8)));
        let (rest, hold) = (token(Symbol::Rest), u32::from(token(Symbol::Hold)));
        let grid = grid();
        let given = [true, false, false, true];
        // The network rests in the alto, and otherwise plays what the piece does.
        let rows = grid.grid.steps.iter().map(|row| [row[0], rest, row[2], row[3]]).collect();
        let own = OwnPast { rows, given: vec![given; grid.grid.steps.len()] };
        let steps = Steps::read_beside(&config(&FEATURES), &grid, &[Controls::NONE; 5], &own);
        // Soprano and bass, which are given, then alto and tenor.
        assert_eq!(steps.learnt, [false, false, true, true].repeat(5));
        assert_eq!(steps.targets[..4], [72, 48, 64, 55].map(pitch));
        assert_eq!(steps.targets[8..12], [pitch(74), pitch(48), rest.into(), pitch(55)]);
        // Nothing sounds in the alto that it could hold: it starts the note that the piece holds.
        assert_eq!(steps.targets[16..], [pitch(72), rest.into(), pitch(65), hold]);
        assert_eq!(steps.before[16..], [Some(74), Some(48), None, Some(57)]);
    }
}
