//! A streaming performance model against the network on candle with the same weights.

use std::collections::BTreeMap;

use continuo_model::config::{NetworkConfig, PerformanceConfig};
use continuo_model::decision::Lanes;
use continuo_model::note_tokens::{Attribute, NUM_KEYS, vocabulary_hash};
use continuo_model::tokeniser::note_reader::{Draft, HEAD_SLOTS, NoteEvent, NoteReader, TRUNK_SLOTS, relative_columns};
use continuo_model::weights_file::FORMAT;

use super::*;
use crate::PerformanceInputs;

const NOTES: usize = 60;

fn network() -> (PerformanceConfig, Network) {
    let config = PerformanceConfig {
        lanes: 2,
        velocities: true,
        drums: false,
        ranges: Vec::new(),
        embedding: 48,
        lstm: vec![48, 32],
        head: 24,
        head_layers: 2,
        dropout: 0.5,
        row_dropout: 0.3,
        weight_dropout: 0.2,
    };
    (config.clone(), Network::init(NetworkConfig::Performance(config), 21, &DEVICE).unwrap())
}

#[test]
fn a_performance_model_streams_as_it_trains() {
    let (config, network) = network();
    let description = Description {
        format: FORMAT,
        name: "Test".into(),
        config: network.config().clone(),
        vocabulary: vocabulary_hash(),
        lexicon: None,
        recipe: String::new(),
        corpora: Vec::new(),
        commit: String::new(),
        figures: BTreeMap::new(),
        sampling: None,
    };
    let streaming = config.pack(&network.to_weights(description).unwrap());
    let (mut state, mut scratch) = (streaming.trunk_state(), streaming.scratch());
    let (mut rng, mut reader) = (SplitMix64::new(5), NoteReader::default());
    reader.set_own(Lanes::NONE.with(1));
    let (mut trunk, mut head, mut relative, mut streamed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..NOTES {
        let mut rows = [0; TRUNK_SLOTS];
        reader.trunk_indices(&mut rows);
        trunk.extend(rows);
        streaming.advance(&mut state, &reader, &mut scratch);
        let mut draft = Draft::default();
        let (lane, key) = (rng.next_below(2) as u8, 40 + rng.next_below(40) as u8);
        let tokens = [1 + rng.next_below(3) as u8, rng.next_below(24) as u8, lane, key, rng.next_below(48) as u8, 20];
        Attribute::ALL.iter().zip(tokens).for_each(|(attribute, token)| draft.set(*attribute, token));
        for attribute in Attribute::ALL {
            let mut rows = [0; HEAD_SLOTS];
            reader.head_indices(attribute, &draft, &mut rows);
            head.extend(rows);
            streamed.push(streaming.logits(&mut state, &reader, attribute, &draft, &mut scratch).to_vec());
        }
        relative.extend(relative_columns(reader.reference(lane)));
        let tick = reader.tick_of(&draft);
        reader.feed(NoteEvent { tick, lane, key, duration: Some(30), velocity: Some(80) }, Some(tick + 30));
    }
    let inputs = Inputs::Performance(PerformanceInputs {
        steps: NOTES,
        batch: 1,
        trunk: trunk.into(),
        head: head.into(),
        relative: Tensor::from_vec(relative, (NOTES, NUM_KEYS), &DEVICE).unwrap(),
    });
    let expected = network.forward(&inputs, None).unwrap().to_vec2::<f32>().unwrap();
    for (n, streamed) in streamed.iter().enumerate() {
        let (note, attribute) = (n / Attribute::ALL.len(), n % Attribute::ALL.len());
        let expected = &expected[attribute * NOTES + note];
        let worst = streamed.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 2e-3, "note {note}, attribute {attribute}: {worst}");
        assert!(expected[streamed.len()..].iter().all(|logit| *logit < -1e8), "tokens that do not exist");
    }
}
