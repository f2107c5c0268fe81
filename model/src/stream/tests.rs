//! Ensembles, and copies of states. The tests of `continuo-network` compare the networks here with those in training.

use std::collections::BTreeMap;

use super::*;
use crate::config::{EnsembleConfig, InitialTensor, NetworkConfig, SplitConfig, StackConfig};
use crate::random::SplitMix64;
use crate::sampling;
use crate::tokeniser::step_reader::StepFeature;
use crate::vocabulary::Vocabulary;
use crate::weights_file::{FORMAT, Weights};

fn tokens(count: usize) -> Vec<u16> {
    let mut rng = SplitMix64::new(13);
    (0..count).map(|_| rng.next_below(48) as u16).collect()
}

fn description(config: NetworkConfig) -> Description {
    Description {
        format: FORMAT,
        name: "Test".into(),
        config,
        vocabulary: Vocabulary::GRID.hash().to_string(),
        lexicon: None,
        recipe: String::new(),
        sampling: None,
        corpora: Vec::new(),
        commit: String::new(),
        figures: Default::default(),
    }
}

fn tensors(config: &NetworkConfig, rng_seed: u64) -> BTreeMap<String, Vec<f32>> {
    let tensors = config.initial_tensors(rng_seed).into_iter();
    tensors.map(|InitialTensor { name, values, .. }| (name, values)).collect()
}

fn packed_split(tensors: BTreeMap<String, Vec<f32>>) -> GridNetwork<SplitLayers> {
    let config = split();
    config.pack(&Weights::new(description(NetworkConfig::Split(config.clone())), tensors).unwrap()).unwrap()
}

fn split() -> SplitConfig {
    let features =
        [StepFeature::Sounding, StepFeature::Held, StepFeature::Beat, StepFeature::Intervals, StepFeature::Echo];
    SplitConfig {
        vocab_size: 48,
        features: [&features[..], &[StepFeature::Key, StepFeature::Fermata]].concat(),
        embedding: 24,
        lstm: vec![40, 40, 32],
        head: 36,
        head_layers: 2,
        dropout: 0.0,
        row_dropout: 0.0,
        weight_dropout: 0.0,
    }
}

#[test]
fn an_ensemble_averages_its_members() {
    let shape = EnsembleConfig { members: 2, member: split(), adaptation: None };
    let config = NetworkConfig::Ensemble(shape.clone());
    let all = tensors(&config, 5);
    let members = [0, 1].map(|n| {
        let prefix = format!("{n}.");
        let own = all.iter().filter_map(|(name, x)| Some((name.strip_prefix(&prefix)?.to_string(), x.clone())));
        packed_split(own.collect())
    });
    let ensemble = shape.pack(&Weights::new(description(config), all).unwrap()).unwrap();
    let mut runs: Vec<_> = [&ensemble, &members[0], &members[1]].map(|n| (n, n.state(), n.scratch())).into();
    for row in tokens(20 * NUM_VOICES).chunks(NUM_VOICES) {
        for (network, state, scratch) in &mut runs {
            network.begin_step(state, Controls::default(), scratch);
        }
        for (voice, &token) in row.iter().enumerate() {
            let probs: Vec<Vec<f32>> = runs
                .iter_mut()
                .map(|(network, state, scratch)| {
                    let logits = network.logits(state, voice, scratch);
                    sampling::log_softmax(logits);
                    let probs = logits.iter().map(|x| x.exp()).collect();
                    state.feed(voice, token);
                    probs
                })
                .collect();
            for (i, together) in probs[0].iter().enumerate() {
                assert!((together - (probs[1][i] + probs[2][i]) / 2.0).abs() < 1e-5);
            }
            assert_ne!(probs[1], probs[2]);
        }
    }
}

#[test]
fn a_copied_state_continues_like_the_original() {
    let shape = StackConfig::chorale(48);
    let stack = NetworkConfig::Stack(shape.clone());
    let mut of_stack = tensors(&stack, 11);
    // Running means that differ from their initial values.
    for (_, mean) in of_stack.iter_mut().filter(|(name, _)| name.ends_with("norm.mean")) {
        mean.iter_mut().enumerate().for_each(|(i, x)| *x = 0.1 - 0.01 * i as f32);
    }
    check_copies(shape.pack(&Weights::new(description(stack), of_stack).unwrap()).unwrap());
    check_copies(packed_split(tensors(&NetworkConfig::Split(split()), 11)));
}

fn check_copies<L: GridLayers>(streaming: GridNetwork<L>) {
    let (mut state, mut scratch) = (streaming.state(), streaming.scratch());
    let mut play = |state: &mut GridState<L::Reader>, tokens: &[u16]| {
        let mut last = Vec::new();
        for row in tokens.chunks(NUM_VOICES) {
            streaming.begin_step(state, Controls::default(), &mut scratch);
            for (voice, &token) in row.iter().enumerate() {
                last = streaming.logits(state, voice, &mut scratch).to_vec();
                state.feed(voice, token);
            }
        }
        last
    };
    let tokens = tokens(100);
    play(&mut state, &tokens[..60]);
    let mut saved = streaming.state();
    saved.copy_from(&state);
    let first = play(&mut state, &tokens[60..]);
    assert_eq!(play(&mut saved, &tokens[60..]), first);
    state.reset();
    assert_eq!(play(&mut state, &tokens), first);
}

/// A network that reads one thing at a time or in batches gives the same bits.
#[test]
fn what_waits_is_read_as_if_it_had_not_waited() {
    let shape = StackConfig::chorale(48);
    let stack = NetworkConfig::Stack(shape.clone());
    check_batches(shape.pack(&Weights::new(description(stack.clone()), tensors(&stack, 3)).unwrap()).unwrap());
    check_batches(packed_split(tensors(&NetworkConfig::Split(split()), 3)));
    let shape = EnsembleConfig { members: 3, member: split(), adaptation: None };
    let ensemble = NetworkConfig::Ensemble(shape.clone());
    check_batches(shape.pack(&Weights::new(description(ensemble.clone()), tensors(&ensemble, 3)).unwrap()).unwrap());
}

/// Reads phrases of several lengths, of which only the last step's logits are computed.
fn check_batches<L: GridLayers>(network: GridNetwork<L>) {
    let (mut one, mut many) = (network.state(), network.state());
    let (mut scratch, mut other) = (network.scratch(), network.scratch());
    for (n, steps) in [1, 2, 3, 4, 5, 15, 16, 17, 33].into_iter().enumerate() {
        let rows = tokens(steps * NUM_VOICES + n);
        let (mut last, mut after_wait) = (Vec::new(), Vec::new());
        for (step, row) in rows[n..].chunks(NUM_VOICES).enumerate() {
            for (state, scratch) in [(&mut one, &mut scratch), (&mut many, &mut other)] {
                network.begin_step(state, Controls::default(), scratch);
            }
            for (voice, &token) in row.iter().enumerate() {
                last = network.logits(&mut one, voice, &mut scratch).to_vec();
                if (step, voice) == (steps - 1, NUM_VOICES - 1) {
                    after_wait = network.logits(&mut many, voice, &mut other).to_vec();
                } else {
                    network.skip(&mut many, &mut other);
                }
                one.feed(voice, token);
                many.feed(voice, token);
            }
        }
        assert_eq!(last, after_wait, "{steps} steps");
        assert!(one.values == many.values && one.read == many.read, "the state after {steps} steps");
    }
}
