//! The streaming network against the one on candle that the weights were trained in.

use candle_core::{Device, Tensor};

use super::*;
use crate::network::config::{Convolution, Feature, FeatureKind, NetworkConfig};
use crate::network::{Inputs, Network, Training};
use crate::random::SplitMix64;
use crate::tokeniser::grid::NUM_VOICES;
use crate::vocabulary::Vocabulary;
use crate::weights_file::{Description, FORMAT};

fn network(config: NetworkConfig) -> Network {
    let network = Network::init(config, 11, &Device::Cpu).unwrap();
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
    let config = network.config();
    let (mut previous, mut features) = (Vec::new(), Vec::new());
    let mut reader = CellReader::new();
    let mut rows = [0; MAX_FEATURE_SLOTS];
    for &token in tokens {
        previous.push(reader.previous().map_or(config.vocab_size as u32, u32::from));
        let n = reader.feature_rows(&config.features, &mut rows);
        features.extend_from_slice(&rows[..n]);
        reader.feed(token);
    }
    Inputs {
        previous: Tensor::from_vec(previous, (tokens.len(), 1), &Device::Cpu).unwrap(),
        features: Tensor::from_vec(features, (tokens.len(), 1, config.feature_slots()), &Device::Cpu).unwrap(),
    }
}

fn streaming(network: &Network) -> StreamingNetwork {
    let description = Description {
        format: FORMAT,
        name: "Test".into(),
        config: network.config().clone(),
        vocabulary: Vocabulary::GRID.hash().to_string(),
        recipe: String::new(),
        corpora: Vec::new(),
        commit: String::new(),
        figures: Default::default(),
    };
    StreamingNetwork::new(Weights::of_network(network, description).unwrap()).unwrap()
}

fn check(config: NetworkConfig) {
    let network = network(config);
    let tokens = tokens(50 * NUM_VOICES);
    let expected = network.forward(&inputs(&network, &tokens), None).unwrap().to_vec2::<f32>().unwrap();
    let streaming = streaming(&network);
    let (mut state, mut scratch) = (streaming.state(), streaming.scratch());
    let mut worst = 0.0_f32;
    for (token, expected) in tokens.iter().zip(&expected) {
        let logits = streaming.step(&mut state, &mut scratch);
        assert_eq!(logits.len(), expected.len());
        worst = logits.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(worst, f32::max);
        state.reader.feed(*token);
    }
    // Weights are rounded to 11 bits: logits of about one differ in the fourth digit.
    assert!(worst < 4e-3, "the streaming network is off by {worst}");
}

#[test]
fn it_computes_what_the_trained_network_computes() {
    check(NetworkConfig::chorale(48));
    check(NetworkConfig {
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
    check(NetworkConfig {
        vocab_size: 48,
        embedding: 7,
        features: Vec::new(),
        convolutions: Vec::new(),
        dropout: 0.0,
        lstm: vec![16],
        dense: Vec::new(),
    });
}

#[test]
fn a_copied_state_goes_on_alike() {
    let streaming = streaming(&network(NetworkConfig::chorale(48)));
    let (mut state, mut scratch) = (streaming.state(), streaming.scratch());
    let mut play = |state: &mut State, tokens: &[u16]| {
        let mut last = Vec::new();
        for &token in tokens {
            last = streaming.step(state, &mut scratch).to_vec();
            state.reader.feed(token);
        }
        last
    };
    let tokens = tokens(100);
    play(&mut state, &tokens[..61]);
    let mut saved = streaming.state();
    saved.copy_from(&state);
    let first = play(&mut state, &tokens[61..]);
    assert_eq!(play(&mut saved, &tokens[61..]), first);
    state.reset();
    assert_eq!(play(&mut state, &tokens), first);
}
