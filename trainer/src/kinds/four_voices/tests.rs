//! Tests of grids: reading, transposition within the voices' ranges, windows.

use candle_core::Device;
use continuo_model::config::StackConfig;
use continuo_model::tokeniser::step_reader::StepFeature;

use super::*;
use crate::corpus::folder::Options as Reading;
use crate::kinds::split::testing::config;

fn piece(rows: &[[u8; 4]]) -> GridPiece {
    let rows: Vec<_> = rows.iter().map(|row| row.map(Some)).collect();
    GridPiece { grid: Grid::from_pitches(&rows, None), ..GridPiece::default() }
}

#[test]
fn transposition_stays_in_every_voices_range() {
    let pieces = [piece(&[[72, 64, 55, 48], [74, 65, 53, 50]]), piece(&[[70, 62, 55, 46]])];
    let ranges = voice_ranges(&pieces);
    assert_eq!(ranges, [70..=74, 62..=65, 53..=55, 46..=50]);
    let shifts = |i: usize| allowed_shifts(&pieces[i].grid, &ranges).collect::<Vec<_>>();
    assert_eq!(shifts(0), [0]);
    assert_eq!(shifts(1), [-2, -1, 0][2..]);
    let in_c_minor = GridPiece { key: Some(12), ..pieces[1].clone() };
    assert_eq!((in_c_minor.transposed(-1).key, in_c_minor.transposed(2).key), (Some(23), Some(14)));
}

#[test]
fn windows_hold_every_cell_and_pad_short_pieces() {
    let training = Training {
        optimiser: crate::recipe::Rule::Nadam,
        weight_decay: 0.0,
        averaging: 0.0,
        own_past: None,
        any_order: 1.0,
        learning_rate: 1.0,
        schedule: Default::default(),
        batch: 2,
        window_steps: 4,
        window_hop_steps: 4,
        transpose: false,
        label_smoothing: 0.0,
        clip_norm: 1.0,
        epochs: 1,
        patience: 1,
    };
    check_windows(&training, StackConfig::chorale(48));
    check_windows(&training, config(&[StepFeature::Sounding, StepFeature::Beat]));
}

fn check_windows(training: &Training, reader: impl ReadsGrids) {
    let long: Vec<_> = (0..9).map(|i| [60 + i, 55, 50, 45]).collect();
    let grids = Grids { reader, train: vec![piece(&long), piece(&long[..2])], valid: Vec::new() };
    let epoch = grids.epoch(training, None, &mut SplitMix64::new(1));
    let (mut seen, mut cells) = (std::collections::BTreeSet::new(), 0.0);
    for n in 0..epoch.len() {
        let batch = epoch.batch(n, &Device::Cpu).unwrap();
        let weights = batch.weights.to_vec1::<f32>().unwrap();
        cells += weights.iter().sum::<f32>();
        seen.extend(batch.targets.to_vec1::<u32>().unwrap());
    }
    // Every soprano pitch occurred in a window, and the short piece counts its 8 cells only once.
    assert!((60..69).all(|pitch| seen.contains(&(pitch - 35))), "{seen:?}");
    assert_eq!(cells as usize % 16, 8);
}

/// The splits of a JSON text, or the error.
fn sides(text: &str) -> Result<corpus::Sides> {
    let folder = std::env::temp_dir().join(format!("continuo-grids-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{:016x}.json", continuo_model::hash::fnv1a(text.bytes())));
    std::fs::write(&path, text)?;
    let splits = ("train".into(), "valid".into());
    let sides = corpus::read(Music { paths: &[path], strict: true }, &splits, &Options::default());
    std::fs::remove_dir_all(&folder).ok();
    sides
}

#[test]
fn both_forms_of_grid_json_are_read() {
    let text = r#"{"format": 1, "train": [[[72, -1, 55, 48], [72, 64, 55, 48]],
        {"pitch": [[72, 64, 55, 48], [72, 64, 55, 48]], "attack": [15, 1]}]}"#;
    let pieces = sides(text).unwrap().train;
    assert_eq!(pieces[0].grid.grid.steps, [[37, 0, 20, 13], [47, 29, 47, 47]]);
    assert_eq!(pieces[1].grid.grid.steps[1], [37, 47, 47, 47]);
    assert_eq!((pieces[0].voices.attacks.as_ref(), pieces[1].voices.attacks.as_deref()), (None, Some(&[15, 1][..])));
    // A voice that never sounds still counts as a voice.
    let text = r#"{"train": [[[72, -1, 55, 48], [72, -1, 55, 48]]]}"#;
    assert_eq!(sides(text).unwrap().train[0].grid.grid.steps, [[37, 0, 20, 13], [47, 0, 47, 47]]);
}

#[test]
fn annotations_are_read_and_known_pieces_left_out() {
    let text = r#"[{"pitch": [[72, 64, 55, 48]], "attack": [15], "fermata": [1], "fifths": -3, "mode": "minor"},
        {"pitch": [[72, 64, 55, 48]], "attack": [15], "jsb": "valid/001"}]"#;
    let sides = sides(text).unwrap();
    assert_eq!((sides.train.len(), sides.valid.len(), sides.report.copies), (1, 0, 1));
    let piece = &sides.train[0].grid;
    assert_eq!((piece.key, piece.fermatas.as_slice()), (Some(12), [true].as_slice()));
}

#[test]
fn all_splits_or_a_bare_list_are_read() {
    let text = r#"{"train": [[[72, -1, 55, 48]]], "valid": [{"pitch": [[72, 64, 55, 48]], "attack": [5]}]}"#;
    let both = sides(text).unwrap();
    let names = |pieces: &[Learnable]| -> Vec<String> {
        pieces.iter().map(|piece| piece.voices.name.rsplit('#').next().unwrap_or_default().into()).collect()
    };
    assert_eq!((names(&both.train), names(&both.valid)), (vec!["train/000".into()], vec!["valid/000".into()]));
    let list = sides("[[[72, 64, 55, 48]]]").unwrap();
    assert_eq!((names(&list.train), names(&list.valid)), (vec!["000".into()], Vec::new()));
    assert!(sides(r#"{"a": 1}"#).is_err());
}

#[test]
fn malformed_grid_json_says_where() {
    let error = |text: &str| {
        let error = format!("{:#}", sides(text).expect_err("an error"));
        error.split_once(".json").map(|(_, error)| error.to_string()).unwrap_or(error)
    };
    assert_eq!(error("1"), ": expected splits of grids, a list of grids or of lead sheets, got other JSON");
    assert_eq!(
        error(r#"{"train": [[[60, 60, 60]]]}"#),
        "#train/000: expected rows of four pitches, or an object with `pitch` and `attack`"
    );
    assert_eq!(
        error(r#"{"train": [[[60, 60, 60, 20]]]}"#),
        "#train/000: step 0 (beat 0), bass: expected a pitch from 36 to 81, got 20; transpose the piece"
    );
    assert_eq!(
        error(r#"{"train": [{"pitch": [[60, 60, 60, 60]], "attack": []}]}"#),
        "#train/000: expected an attack for each of 1 steps, got 0"
    );
    assert_eq!(
        error(r#"{"train": [{"pitch": [[60, 60, 60, 60]], "attack": [15], "fermata": [0, 1]}]}"#),
        "#train/000: expected a fermata or 0 for each of 1 steps, got 2"
    );
    let none = corpus::none_in("train", &["test".to_string(), "valid".to_string()].into());
    assert!(none.contains("expected pieces in split `train`, got only test, valid; name one with --split"), "{none}");
}

#[test]
fn the_same_music_is_the_same_grid_in_every_format() {
    let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/four-voices"));
    let grid = |name: &str| {
        let corpus = folder::read(&[folder.join(name)], Reading { strict: true, ..Reading::default() }).unwrap();
        assert_eq!(corpus.pieces.len(), 1, "{name}");
        GridPiece::of(&FourVoices::of(&corpus.pieces[0], true).unwrap()).unwrap().grid
    };
    let word = |token: u16| match Vocabulary::GRID.symbol(token) {
        Some(Symbol::Pitch(pitch)) => pitch.to_string(),
        Some(Symbol::Hold) => "-".into(),
        _ => ".".into(),
    };
    let words = |voice: usize, grid: &Grid| -> String {
        grid.steps.iter().map(|row| word(row[voice])).collect::<Vec<_>>().join(" ")
    };
    // A pickup of an eighth, after silence that puts the first step on a beat; then two bars.
    let expect = [
        ". . 67 - 72 - - - 72 - - - 74 - 72 - 71 - - - 72 - - - - - - - - - - - - -",
        ". . 64 - - - - - 65 - - - 65 - - - 62 - - - 64 - - - - - - - - - - - - -",
        ". . 60 - 55 - 57 - 57 - - - . . . . 55 - - - 55 - - - - - - - - - - - - -",
        ". . 48 - 48 - - - 53 - 52 - 50 - - - 43 - - - 48 - - - - - - - - - - - - -",
    ];
    for name in ["same.mid", "same.krn", "same.abc", "same.musicxml", "same.json"] {
        let grid = grid(name);
        let found: Vec<String> = (0..NUM_VOICES).map(|voice| words(voice, &grid)).collect();
        assert_eq!(found, expect, "{name}");
    }
}
