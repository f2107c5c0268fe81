//! A past of the network's own: what it plays beside the given voices of a training piece. Trained only on Bach's past,
//! a network has never heard its own mistakes, and one leads to the next (Ross, Gordon and Bagnell, "A reduction of
//! imitation learning and structured prediction to no-regret online learning", 2011).

use std::sync::Arc;

use continuo_model::decision::Given;
use continuo_model::generate::{Network, Performer, Step, StepSettings, given_of, symbols_of};
use continuo_model::random::SplitMix64;
use continuo_model::sampling::Sampler;
use continuo_model::tokeniser::grid::{NUM_VOICES, STEPS_PER_BEAT};
use continuo_model::tokeniser::step_reader::Controls;
use continuo_model::vocabulary::{Symbol, Vocabulary};

use crate::kinds::four_voices::GridPiece;

/// With no voice given, the network plays alone for up to this many steps, and then hears as many of the piece: left
/// alone for longer, its music would have nothing to do with the piece any more.
const LONGEST_ALONE_STEPS: usize = 4 * STEPS_PER_BEAT;

/// What was played in each step, and which voices of it were given.
pub struct OwnPast {
    /// The tokens.
    pub rows: Vec<[u16; NUM_VOICES]>,
    /// The voices of the piece itself.
    pub given: Vec<[bool; NUM_VOICES]>,
}

impl OwnPast {
    /// Plays a piece at the shipped settings, step by step as the plugin does: the `given` voices are those of the
    /// piece, the network decides the others. `controls` has an entry for each step.
    pub fn play(
        network: Arc<dyn Network>,
        piece: &GridPiece,
        given: [bool; NUM_VOICES],
        controls: &[Controls],
        rng: &mut SplitMix64,
    ) -> Self {
        let mut performer = network.performer();
        let rng_seed = rng.next_u64();
        let given = given_by_step(piece.grid.steps.len(), given, rng);
        let steps = piece.grid.steps.iter().zip(&given).zip(controls).enumerate();
        let rows = steps
            .map(|(step_idx, ((row, given), controls))| {
                play_step(&mut *performer, step_idx, row, *given, *controls, rng_seed)
            })
            .collect();
        Self { rows, given }
    }
}

/// Which voices are given in each step. If none is to be, stretches of the piece alternate with stretches without.
fn given_by_step(num_steps: usize, given: [bool; NUM_VOICES], rng: &mut SplitMix64) -> Vec<[bool; NUM_VOICES]> {
    if given.contains(&true) {
        return vec![given; num_steps];
    }
    let mut steps = Vec::with_capacity(num_steps);
    while steps.len() < num_steps {
        for all in [true, false] {
            let length = 1 + rng.next_below(LONGEST_ALONE_STEPS);
            steps.extend(std::iter::repeat_n([all; NUM_VOICES], length.min(num_steps - steps.len())));
        }
    }
    steps
}

fn play_step(
    performer: &mut dyn Performer,
    step_idx: usize,
    row: &[u16; NUM_VOICES],
    given: [bool; NUM_VOICES],
    controls: Controls,
    rng_seed: u64,
) -> [u16; NUM_VOICES] {
    let symbol = |voice: usize| Vocabulary::GRID.symbol(row[voice]).filter(|_| given[voice]);
    let settings =
        StepSettings { sampler: Sampler::CAREFUL, rng_seed, strict: true, controls, ..StepSettings::default() };
    let decision = performer.decide(&Step {
        step_idx: step_idx as i64,
        step_in_beat: step_idx % STEPS_PER_BEAT,
        given: given_of(&std::array::from_fn(symbol)),
        attack: false,
        settings,
    });
    symbols_of(&Given::all(decision)).map(|symbol| Vocabulary::GRID.token(symbol.unwrap_or(Symbol::Rest)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_model::config::{NetworkConfig, SplitConfig};
    use continuo_model::generate;
    use continuo_model::tokeniser::grid::Grid;
    use continuo_model::tokeniser::step_reader::StepFeature;
    use continuo_model::weights_file::{Description, FORMAT, Weights};
    use std::collections::BTreeMap;

    fn network() -> Arc<dyn Network> {
        let config = SplitConfig {
            vocab_size: Vocabulary::GRID.size(),
            features: vec![StepFeature::Sounding, StepFeature::Beat],
            embedding: 8,
            lstm: vec![8],
            head: 8,
            head_layers: 1,
            dropout: 0.0,
            row_dropout: 0.0,
            weight_dropout: 0.0,
        };
        let description = Description {
            format: FORMAT,
            name: String::new(),
            config: NetworkConfig::Split(config),
            vocabulary: Vocabulary::GRID.hash().to_string(),
            lexicon: None,
            recipe: String::new(),
            corpora: Vec::new(),
            commit: String::new(),
            figures: BTreeMap::new(),
        };
        generate::network(&Weights::untrained(description, 1).unwrap()).unwrap()
    }

    fn piece() -> GridPiece {
        let rows: Vec<_> = (0..40_u8).map(|step| [72, 64 + step / 4 % 3, 55, 48 + step / 8].map(Some)).collect();
        GridPiece { grid: Grid::from_pitches(&rows, None), ..GridPiece::default() }
    }

    fn play(given: [bool; NUM_VOICES]) -> OwnPast {
        let controls = [Controls::NONE; 40];
        OwnPast::play(network(), &piece(), given, &controls, &mut SplitMix64::new(3))
    }

    #[test]
    fn given_voices_are_the_pieces_and_the_others_the_networks() {
        let own = play([true, false, false, true]);
        let steps = piece().grid.steps;
        assert!(own.rows.iter().zip(&steps).all(|(own, row)| own[0] == row[0] && own[3] == row[3]));
        assert!(own.rows.iter().zip(&steps).any(|(own, row)| own[1] != row[1]));
        assert_eq!(own.rows, play([true, false, false, true]).rows, "the same numbers give the same past");
    }

    #[test]
    fn with_nothing_given_stretches_of_the_piece_alternate_with_its_own() {
        let own = play([false; NUM_VOICES]);
        assert!(own.given.iter().all(|given| given.iter().all(|voice| *voice == given[0])));
        let alone: Vec<bool> = own.given.iter().map(|given| !given[0]).collect();
        assert!(alone.chunk_by(|a, b| a == b).count() >= 3);
        assert!(alone.chunk_by(|a, b| a == b).all(|stretch| stretch.len() <= LONGEST_ALONE_STEPS));
        for ((own, row), alone) in own.rows.iter().zip(&piece().grid.steps).zip(&alone) {
            assert!(*alone || own == row, "{own:?} {row:?}");
        }
    }
}
