//! Streaming networks against the networks on candle with the same weights.

use std::sync::Arc;

use continuo_model::config::{
    Convolution, Feature, FeatureKind, HomeKey, LineConfig, NetworkConfig, SplitConfig, StackConfig,
};
use continuo_model::lexicon::Lexicon;
use continuo_model::stream::{GridNetwork, LineNetwork, SplitLayers, StackLayers};
use continuo_model::tokeniser::grid::CellReader;
use continuo_model::tokeniser::line_reader::LineReader;
use continuo_model::tokeniser::step_reader::{Controls, StepReader};
use continuo_model::tokeniser::{GridReader, Reader};
use continuo_model::vocabulary::Vocabulary;
use continuo_model::weights_file::FORMAT;

use super::*;

fn network(config: &StackConfig) -> Network {
    let network = Network::init(NetworkConfig::Stack(config.clone()), 11, &DEVICE).unwrap();
    // Some passes in training mode change the running statistics of batch normalisation.
    let mut rng = SplitMix64::new(12);
    let inputs = inputs(config, &tokens(64));
    for _ in 0..50 {
        network.forward(&inputs, Some(Training { rng: &mut rng })).unwrap();
    }
    network
}

fn tokens(count: usize) -> Vec<u16> {
    let mut rng = SplitMix64::new(13);
    (0..count).map(|_| rng.next_below(48) as u16).collect()
}

/// The inputs for a batch of one sequence.
fn inputs(config: &StackConfig, tokens: &[u16]) -> Inputs {
    let (mut previous, mut features) = (Vec::new(), Vec::new());
    let mut reader = CellReader::new();
    let mut indices = vec![0; config.feature_slots()];
    for &token in tokens {
        previous.push(reader.previous().map_or(config.vocab_size as u32, u32::from));
        let n = reader.feature_indices(&config.features, &mut indices);
        features.extend_from_slice(&indices[..n]);
        reader.feed(reader.voice(), token);
    }
    Inputs::Stack(StackInputs {
        previous: Tensor::from_vec(previous, (tokens.len(), 1), &DEVICE).unwrap(),
        features: Tensor::from_vec(features, (tokens.len(), 1, config.feature_slots()), &DEVICE).unwrap(),
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
        sampling: None,
        corpora: Vec::new(),
        commit: String::new(),
        figures: Default::default(),
    }
}

fn weights(network: &Network) -> Weights {
    network.to_weights(description(network)).unwrap()
}

fn check(config: StackConfig) {
    let network = network(&config);
    let tokens = tokens(50 * NUM_VOICES);
    let expected = network.forward(&inputs(&config, &tokens), None).unwrap().to_vec2::<f32>().unwrap();
    let streaming: GridNetwork<StackLayers> = config.pack(&weights(&network)).unwrap();
    let (mut state, mut scratch) = (streaming.state(), streaming.scratch());
    let mut worst = 0.0_f32;
    for (n, (token, expected)) in tokens.iter().zip(&expected).enumerate() {
        let logits = streaming.logits(&mut state, n % NUM_VOICES, &mut scratch);
        assert_eq!(logits.len(), expected.len());
        worst = logits.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(worst, f32::max);
        state.feed(n % NUM_VOICES, *token);
    }
    // Weights are rounded to a precision of 11 bits, so logits of about 1 differ in the fourth digit.
    assert!(worst < 4e-3, "the streaming network is off by {worst}");
}

#[test]
fn a_stack_computes_the_same_as_in_training() {
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

fn split_network() -> (Network, SplitConfig) {
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
    (Network::init(NetworkConfig::Split(config.clone()), 11, &DEVICE).unwrap(), config)
}

#[test]
fn a_split_network_computes_the_same_as_in_training_in_any_order_of_voices() {
    let (network, config) = split_network();
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
        let mut indices = vec![0; config.trunk_slots()];
        assert_eq!(reader.trunk_indices(&config.features, controls(step), &mut indices), indices.len());
        trunk.extend(indices);
        for &voice in order {
            let (mut indices, mut columns) = ([0; HEAD_SLOTS], [0; 48]);
            reader.head_indices(voice, true, &mut indices);
            head.extend(indices);
            relative_columns(reader.sounding(voice), &mut columns);
            relative.extend(columns);
            reader.feed(voice, row(step)[voice]);
        }
    }
    let relative = Tensor::from_vec(relative, (steps * NUM_VOICES, 48), &DEVICE).unwrap();
    let inputs = Inputs::Split(SplitInputs { steps, batch: 1, trunk: trunk.into(), head: head.into(), relative });
    let expected = network.forward(&inputs, None).unwrap().to_vec2::<f32>().unwrap();

    let streaming: GridNetwork<SplitLayers> = config.pack(&weights(&network)).unwrap();
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

fn line_networks() -> (LineNetwork, Network) {
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
    let network = Network::init(NetworkConfig::Line(config.clone()), 11, &DEVICE).unwrap();
    let description = Description {
        vocabulary: lexicon.hash().to_string(),
        lexicon: Some(lexicon.spelling()),
        ..description(&network)
    };
    (config.pack(&network.to_weights(description).unwrap()).unwrap(), network)
}

#[test]
fn a_line_model_computes_the_same_as_in_training() {
    let (streaming, network) = line_networks();
    let config = streaming.config();
    // The same words twice, so that there is an echo.
    let music: Vec<u16> = tokens(60).repeat(2).iter().map(|token| 1 + token % 12).collect();
    let mut reader = LineReader::new(Arc::new(streaming.lexicon().clone()));
    let mut indices = Vec::new();
    for &token in &music {
        let mut of_word = vec![0; config.slots()];
        assert_eq!(reader.indices(&config.features, &mut of_word), of_word.len());
        indices.extend(of_word);
        reader.feed(0, token);
    }
    let inputs = Inputs::Line(LineInputs { steps: music.len(), batch: 1, indices: indices.into() });
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
fn weights_survive_the_way_through_a_file() {
    let network = network(&StackConfig { lstm: vec![12], ..StackConfig::chorale(48) });
    let weights = weights(&network);
    let again = Network::from_weights(&weights, &DEVICE).unwrap();
    assert_eq!(again.config(), network.config());
    for ((name, var), (name_before, before)) in again.variables().iter().zip(network.variables()) {
        assert_eq!(name, name_before);
        // Matrices keep a precision of 11 bits, all other tensors keep all bits.
        assert_close(var, before, if before.rank() > 1 { 2e-3 } else { f32::MIN_POSITIVE });
    }
    assert_eq!(again.to_weights(description(&network)).unwrap().to_bytes(), weights.to_bytes());

    let nan = Tensor::full(f32::NAN, 48, &DEVICE).unwrap();
    network.var("dense.0.bias").set(&nan).unwrap();
    let problem = network.to_weights(description(&network)).unwrap_err().to_string();
    assert!(problem.contains("expected finite numbers in tensor `dense.0.bias`"), "{problem}");
}
