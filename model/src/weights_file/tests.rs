//! Weights files that are whole, cut short or wrong.

use super::*;
use crate::config::StackConfig;
use crate::vocabulary::Vocabulary;

fn weights() -> Weights {
    let config = NetworkConfig::Stack(StackConfig { lstm: vec![8], ..StackConfig::chorale(Vocabulary::GRID.size()) });
    let description = Description {
        format: FORMAT,
        name: "Test".into(),
        config,
        vocabulary: Vocabulary::GRID.hash().to_string(),
        lexicon: None,
        recipe: "test".into(),
        sampling: None,
        corpora: vec![Corpus { name: "none".into(), licence: "none".into() }],
        commit: String::new(),
        figures: BTreeMap::from([("valid_nats_per_note".into(), 0.5)]),
    };
    Weights::untrained(description, 1).unwrap()
}

fn problem(bytes: &[u8]) -> String {
    Weights::parse("w.safetensors", bytes).unwrap_err().to_string()
}

#[test]
fn a_file_comes_back_as_it_was() {
    let weights = weights();
    let bytes = weights.to_bytes();
    let again = Weights::parse("w", &bytes).unwrap();
    assert_eq!(again.description, weights.description);
    assert_eq!(again.tensors, weights.tensors);
    assert_eq!(again.to_bytes(), bytes);
}

#[test]
fn a_file_may_state_its_own_sampling() {
    let with = |sampling| Weights { description: Description { sampling, ..weights().description }, ..weights() };
    assert_eq!(weights().description.sampler(), Sampler::CAREFUL);
    let warm = with(Some(DefaultSampling { temperature: 0.9, top_p: 1.0, notes: None }));
    let again = Weights::parse("w", &warm.to_bytes()).unwrap();
    assert_eq!(again.description.sampler(), Sampler { temperature: 0.9, top_p: 1.0, ..Sampler::CAREFUL });
    let network = crate::generate::network(&again).unwrap();
    assert_eq!(network.capabilities().sampler, again.description.sampler());
    // Files without it are as before.
    assert!(!String::from_utf8_lossy(&weights().to_bytes()).contains("sampling"));
    for (temperature, top_p, expect) in [(0.0, 1.0, "above 0 up to 2, got 0"), (1.0, 1.5, "above 0 up to 1, got 1.5")] {
        let error = problem(&with(Some(DefaultSampling { temperature, top_p, notes: None })).to_bytes());
        assert!(error.contains(expect), "{error}");
    }
    let of_notes = |notes| with(Some(DefaultSampling { temperature: 0.9, top_p: 1.0, notes: Some(notes) }));
    let own = NoteSampling { rhythm: 0.9, within_step: -0.2, lower_lanes: 0.5, out_of_key: 0.3 };
    let again = Weights::parse("w", &of_notes(own).to_bytes()).unwrap();
    assert_eq!(
        (again.description.note_sampling(), weights().description.note_sampling()),
        (own, NoteSampling::default())
    );
    for (notes, expect) in [
        (NoteSampling { rhythm: 0.0, ..own }, "sampling.notes.rhythm: expected above 0 up to 2, got 0"),
        (NoteSampling { within_step: 6.0, ..own }, "sampling.notes.within_step: expected -5 to 5, got 6"),
        (NoteSampling { lower_lanes: -6.0, ..own }, "sampling.notes.lower_lanes: expected -5 to 5, got -6"),
        (NoteSampling { out_of_key: 0.0, ..own }, "sampling.notes.out_of_key: expected above 0 up to 1, got 0"),
    ] {
        let error = problem(&of_notes(notes).to_bytes());
        assert!(error.contains(expect), "{error}");
    }
}

/// The file of a line model; `Some("")` keeps its own lexicon, other values replace it.
fn line(lexicon: Option<&str>) -> Vec<u8> {
    let words = "/ r _ 60 62 64";
    let config = r#"{"kind": "line", "vocab_size": 6, "embedding": 4, "lstm": [4], "context_events": 8}"#;
    let config: NetworkConfig = serde_json::from_str(config).unwrap();
    let vocabulary = Lexicon::parse(words).unwrap().hash().to_string();
    let description = Description { config, vocabulary, lexicon: Some(words.into()), ..weights().description };
    let mut weights = Weights::untrained(description, 1).unwrap();
    weights.description.lexicon = lexicon.map(|own| if own.is_empty() { words.into() } else { own.into() });
    weights.to_bytes()
}

#[test]
fn a_line_model_needs_its_lexicon() {
    let weights = Weights::parse("w", &line(Some(""))).unwrap();
    assert_eq!(weights.description.words().unwrap().len(), 6);
    assert!(problem(&line(None)).contains("expected a line model's lexicon, got none"));
    let other = problem(&line(Some("/ r _ 60 62 65")));
    assert!(other.contains("expected a lexicon with the hash") && other.ends_with("train it again"), "{other}");
    assert!(problem(&line(Some("/ r 60"))).contains("lexicon: expected a hold `_`"));
}

#[test]
fn every_cut_of_a_file_is_refused() {
    let bytes = weights().to_bytes();
    for len in (0..bytes.len()).step_by(997).chain([bytes.len() - 1]) {
        assert!(problem(&bytes[..len]).contains("expected a whole safetensors file"), "cut at {len}");
    }
}

#[test]
fn bad_files_say_what_is_wrong() {
    let missing = Weights::read(Path::new("no/such/file")).unwrap_err().to_string();
    assert!(missing.starts_with("no/such/file: cannot be opened"), "{missing}");

    let plain = safetensors::serialize(Vec::<(String, TensorView)>::new(), None).unwrap();
    assert!(problem(&plain).contains("safetensors without one"), "{}", problem(&plain));

    let mut other = weights();
    other.description.vocabulary = "3f2a91c0".into();
    assert_eq!(
        problem(&other.to_bytes()),
        "w.safetensors: vocabulary 3f2a91c0, this build needs fd18f386; train it again"
    );
    let mut other = weights();
    other.description.format = 9;
    assert!(problem(&other.to_bytes()).contains("expected format 1, got 9"));

    let mut other = weights();
    other.tensors.get_mut("dense.0.bias").unwrap()[3] = f32::NAN;
    assert!(problem(&other.to_bytes()).contains("finite numbers in tensor `dense.0.bias`"));

    let named = |old: &str, new: &str| {
        // Same length, so that the header's offsets stay valid.
        let bytes = weights().to_bytes();
        let at = bytes.windows(old.len()).rposition(|w| w == old.as_bytes()).unwrap();
        [&bytes[..at], new.as_bytes(), &bytes[at + old.len()..]].concat()
    };
    assert!(problem(&named("dense.0.bias", "dense.0.blas")).contains("expected a tensor `dense.0.bias`"));
    let wide = named("\"shape\":[8,32]", "\"shape\":[4,64]");
    assert!(problem(&wide).contains("expected tensor `lstm.0.w_hh` to be [8, 32]"), "{}", problem(&wide));
}

/// The problem that [`Weights::new`] reports after a change.
fn refusal(change: impl Fn(&mut Weights)) -> String {
    let mut weights = weights();
    change(&mut weights);
    Weights::new(weights.description, weights.tensors).unwrap_err().to_string()
}

#[test]
fn weights_are_made_only_of_tensors_that_fit_the_description() {
    let missing = refusal(|weights| drop(weights.tensors.remove("dense.0.bias")));
    assert!(missing.contains("expected a tensor `dense.0.bias`, got none"), "{missing}");
    let short = refusal(|weights| weights.tensors.get_mut("lstm.0.w_hh").unwrap().truncate(9));
    assert!(short.contains("`lstm.0.w_hh` to be [8, 32], got 9 numbers"), "{short}");
    let infinite = refusal(|weights| weights.tensors.get_mut("lstm.0.bias").unwrap()[0] = f32::INFINITY);
    assert!(infinite.contains("finite numbers in tensor `lstm.0.bias`"), "{infinite}");
    let foreign = refusal(|weights| weights.description.vocabulary = "3f2a91c0".into());
    assert!(foreign.contains("vocabulary 3f2a91c0"), "{foreign}");
    let shapeless = refusal(|weights| {
        let config = StackConfig { lstm: Vec::new(), ..StackConfig::chorale(Vocabulary::GRID.size()) };
        weights.description.config = NetworkConfig::Stack(config);
    });
    assert!(shapeless.contains("expected at least one LSTM layer"), "{shapeless}");
}

#[test]
fn matrices_are_stored_in_16_bits_and_all_else_in_32() {
    let Weights { description, mut tensors } = weights();
    for name in ["lstm.0.w_hh", "lstm.0.bias"] {
        tensors.get_mut(name).unwrap()[0] = 1.0 / 3.0;
    }
    let weights = Weights::new(description, tensors).unwrap();
    assert_eq!(weights.tensor("lstm.0.w_hh")[0], f16::from_f32(1.0 / 3.0).to_f32());
    assert_eq!(weights.tensor("lstm.0.bias")[0], 1.0 / 3.0);
}
