//! The streaming network against the one on candle that the weights were trained in.

use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::*;
use crate::lexicon::Lexicon;
use crate::network::config::{
    Convolution, EnsembleConfig, Feature, FeatureKind, HomeKey, LineConfig, NetworkConfig, SplitConfig, StackConfig,
};
use crate::network::{Inputs, LineInputs, Network, SplitInputs, StackInputs, Training, relative_columns};
use crate::random::SplitMix64;
use crate::sampling;
use crate::tokeniser::Reader;
use crate::tokeniser::grid::CellReader;
use crate::tokeniser::line_reader::{LineFeature, LineReader};
use crate::tokeniser::step_reader::{HEAD_SLOTS, StepFeature, StepReader};
use crate::vocabulary::Vocabulary;
use crate::weights_file::{FORMAT, Weights};

fn network(config: StackConfig) -> Network {
    let network = Network::init(NetworkConfig::Stack(config), 11, &Device::Cpu).unwrap();
    // Some training-mode passes give batch normalisation figures that differ from its first ones.
    let mut rng = SplitMix64::new(12);
    let inputs = inputs(&network, &tokens(64));
    for _ in 0..50 {
        network.forward(&inputs, Some(Training { rng: &mut rng })).unwrap();
    }
    network
}

fn tokens(count: usize) -> Vec<u16> {
    let mut rng = SplitMix64::new(13);
    (0..count).map(|_| rng.next_below(48) as u16).collect()
}

/// The inputs for a batch of one that is fed `tokens`.
fn inputs(network: &Network, tokens: &[u16]) -> Inputs {
    let NetworkConfig::Stack(config) = network.config() else { unreachable!("a stack") };
    let (mut previous, mut features) = (Vec::new(), Vec::new());
    let mut reader = CellReader::new();
    let mut rows = [0; MAX_SLOTS];
    for &token in tokens {
        previous.push(reader.previous().map_or(config.vocab_size as u32, u32::from));
        let n = reader.feature_rows(&config.features, &mut rows);
        features.extend_from_slice(&rows[..n]);
        reader.feed(reader.voice(), token);
    }
    Inputs::Stack(StackInputs {
        previous: Tensor::from_vec(previous, (tokens.len(), 1), &Device::Cpu).unwrap(),
        features: Tensor::from_vec(features, (tokens.len(), 1, config.feature_slots()), &Device::Cpu).unwrap(),
    })
}

fn description(network: &Network) -> Description {
    Description {
        format: FORMAT,
        name: "Test".into(),
        config: network.config().clone(),
        vocabulary: Vocabulary::GRID.hash().to_string(),
        lexicon: None,
        recipe: String::new(),
        corpora: Vec::new(),
        commit: String::new(),
        figures: Default::default(),
    }
}

fn weights(network: &Network) -> Weights {
    Weights::of_network(network, description(network)).unwrap()
}

fn stack(network: &Network) -> GridNetwork<StackLayers> {
    let NetworkConfig::Stack(config) = network.config() else { unreachable!("a stack") };
    config.pack(&weights(network)).unwrap()
}

fn split(network: &Network) -> GridNetwork<SplitLayers> {
    let NetworkConfig::Split(config) = network.config() else { unreachable!("a split network") };
    config.pack(&weights(network)).unwrap()
}

fn check(config: StackConfig) {
    let network = network(config);
    let tokens = tokens(50 * NUM_VOICES);
    let expected = network.forward(&inputs(&network, &tokens), None).unwrap().to_vec2::<f32>().unwrap();
    let streaming = stack(&network);
    let (mut state, mut scratch) = (streaming.state(), streaming.scratch());
    let mut worst = 0.0_f32;
    for (n, (token, expected)) in tokens.iter().zip(&expected).enumerate() {
        let logits = streaming.logits(&mut state, n % NUM_VOICES, &mut scratch);
        assert_eq!(logits.len(), expected.len());
        worst = logits.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(worst, f32::max);
        state.feed(n % NUM_VOICES, *token);
    }
    // Weights are rounded to 11 bits: logits of about one differ in the fourth digit.
    assert!(worst < 4e-3, "the streaming network is off by {worst}");
}

#[test]
fn it_computes_what_the_trained_network_computes() {
    check(StackConfig::chorale(48));
    check(StackConfig {
        vocab_size: 48,
        embedding: 7,
        features: [FeatureKind::Voice, FeatureKind::Beat, FeatureKind::Sounding, FeatureKind::Held]
            .map(|kind| Feature { kind, width: 3 })
            .to_vec(),
        convolutions: vec![
            Convolution { channels: 20, kernel: 3, dilation: 2 },
            Convolution { channels: 12, kernel: 1, dilation: 1 },
        ],
        dropout: 0.1,
        lstm: vec![40, 30],
        dense: vec![25],
    });
    check(StackConfig {
        vocab_size: 48,
        embedding: 7,
        features: Vec::new(),
        convolutions: Vec::new(),
        dropout: 0.0,
        lstm: vec![16],
        dense: Vec::new(),
    });
}

fn split_network() -> Network {
    let features =
        [StepFeature::Sounding, StepFeature::Held, StepFeature::Beat, StepFeature::Intervals, StepFeature::Echo];
    let config = SplitConfig {
        vocab_size: 48,
        features: [&features[..], &[StepFeature::Key, StepFeature::Fermata]].concat(),
        embedding: 24,
        lstm: vec![40, 40, 32],
        head: 36,
        head_layers: 2,
        dropout: 0.0,
        row_dropout: 0.0,
        weight_dropout: 0.0,
    };
    Network::init(NetworkConfig::Split(config), 11, &Device::Cpu).unwrap()
}

#[test]
fn a_split_network_computes_what_was_trained_in_any_order_of_voices() {
    let network = split_network();
    let NetworkConfig::Split(config) = network.config() else { unreachable!("a split network") };
    let (steps, tokens) = (60, tokens(60 * NUM_VOICES));
    let mut rng = SplitMix64::new(17);
    let mut orders = vec![[0, 1, 2, 3]; steps];
    orders.iter_mut().for_each(|order| rng.shuffle(order));
    let controls = |step: usize| Controls {
        key: step.is_multiple_of(3).then_some(7),
        fermata_in: (step % 4 == 1).then_some(3),
        ..Controls::default()
    };
    // The same phrase twice, so that there is an echo.
    let row = |step: usize| -> [u16; NUM_VOICES] { tokens[step % 32 * NUM_VOICES..][..NUM_VOICES].try_into().unwrap() };

    let mut reader = StepReader::new();
    let (mut trunk, mut head, mut relative) = (Vec::new(), Vec::new(), Vec::new());
    for (step, order) in orders.iter().enumerate() {
        let mut rows = vec![0; config.trunk_slots()];
        assert_eq!(reader.trunk_rows(&config.features, controls(step), &mut rows), rows.len());
        trunk.extend(rows);
        for &voice in order {
            let (mut rows, mut columns) = ([0; HEAD_SLOTS], [0; 48]);
            reader.head_rows(voice, true, &mut rows);
            head.extend(rows);
            relative_columns(reader.sounding(voice), &mut columns);
            relative.extend(columns);
            reader.feed(voice, row(step)[voice]);
        }
    }
    let relative = Tensor::from_vec(relative, (steps * NUM_VOICES, 48), &Device::Cpu).unwrap();
    let inputs = Inputs::Split(SplitInputs { steps, batch: 1, trunk: trunk.into(), head: head.into(), relative });
    let expected = network.forward(&inputs, None).unwrap().to_vec2::<f32>().unwrap();

    let streaming = split(&network);
    let (mut state, mut scratch) = (streaming.state(), streaming.scratch());
    let mut expected = expected.iter();
    let mut worst = 0.0_f32;
    for (step, order) in orders.iter().enumerate() {
        streaming.begin_step(&mut state, controls(step), &mut scratch);
        for &voice in order {
            let logits = streaming.logits(&mut state, voice, &mut scratch);
            worst = logits.iter().zip(expected.next().unwrap()).map(|(a, b)| (a - b).abs()).fold(worst, f32::max);
            state.feed(voice, row(step)[voice]);
        }
    }
    assert!(worst < 4e-3, "the streaming network is off by {worst}");
}

fn line_network() -> (Network, Lexicon) {
    let lexicon = Lexicon::parse("/ r 60 62 64 65 67 60.64 {0.4.7} x1 x2 x3 x6").unwrap();
    let config = LineConfig {
        vocab_size: lexicon.len(),
        embedding: 10,
        features: vec![LineFeature::Sounding, LineFeature::Beat, LineFeature::Echo, LineFeature::Held],
        lstm: vec![40, 24],
        dense: vec![20, 16],
        dropout: 0.2,
        row_dropout: 0.1,
        weight_dropout: 0.1,
        context_events: 8,
        home_key: HomeKey::None,
    };
    (Network::init(NetworkConfig::Line(config), 11, &Device::Cpu).unwrap(), lexicon)
}

fn streaming_line() -> (LineNetwork, Network) {
    let (network, lexicon) = line_network();
    let description = Description {
        vocabulary: lexicon.hash().to_string(),
        lexicon: Some(lexicon.spelling()),
        ..description(&network)
    };
    let NetworkConfig::Line(config) = network.config() else { unreachable!("a line model") };
    (config.pack(&Weights::of_network(&network, description).unwrap()).unwrap(), network)
}

#[test]
fn a_line_model_computes_what_was_trained() {
    let (streaming, network) = streaming_line();
    let config = streaming.config();
    // The same words twice, so that there is an echo.
    let music: Vec<u16> = tokens(60).repeat(2).iter().map(|token| 1 + token % 12).collect();
    let mut reader = LineReader::new(Arc::new(streaming.lexicon().clone()));
    let mut rows = Vec::new();
    for &token in &music {
        let mut of_word = vec![0; config.slots()];
        assert_eq!(reader.rows(&config.features, &mut of_word), of_word.len());
        rows.extend(of_word);
        reader.feed(0, token);
    }
    let inputs = Inputs::Line(LineInputs { steps: music.len(), batch: 1, rows: rows.into() });
    let expected = network.forward(&inputs, None).unwrap().to_vec2::<f32>().unwrap();
    let (mut state, mut scratch) = (streaming.state(), streaming.scratch());
    let mut worst = 0.0_f32;
    for (&token, expected) in music.iter().zip(&expected) {
        let logits = streaming.logits(&mut state, &mut scratch);
        worst = logits.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(worst, f32::max);
        state.feed(token);
    }
    assert!(worst < 4e-3, "the streaming network is off by {worst}");
}

#[test]
fn an_ensemble_says_the_mean_of_what_its_members_say() {
    let NetworkConfig::Split(member) = split_network().config().clone() else { unreachable!("a split network") };
    let shape = EnsembleConfig { members: 2, member: member.clone(), adaptation: None };
    let network = Network::init(NetworkConfig::Ensemble(shape.clone()), 5, &Device::Cpu).unwrap();
    let ensemble = shape.pack(&weights(&network)).unwrap();
    let members = [0, 1].map(|n| {
        let tensor = |name: &str| network.variables().iter().find(|(found, _)| *found == format!("{n}.{name}"));
        let member = NetworkConfig::Split(member.clone());
        split(&Network::from_tensors(member, |name, _| Ok(tensor(name).unwrap().1.as_tensor().clone())).unwrap())
    });
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
fn a_copied_state_goes_on_alike() {
    check_copies(stack(&network(StackConfig::chorale(48))));
    check_copies(split(&split_network()));
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
