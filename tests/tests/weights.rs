//! The shipped weights and their cards agree, and the bundle holds each of them once.

#![forbid(unsafe_code)]

use std::path::Path;

use continuo_model::weights_file::Weights;
use continuo_tests::bundles;
use continuo_tests::fake_host::Format;

#[test]
fn every_shipped_file_is_sound_and_has_a_card_with_its_figures() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../weights");
    let files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
        .collect();
    assert!(!files.is_empty());
    for path in files {
        let weights = Weights::read(&path).unwrap();
        let card_path = path.with_extension("md");
        let card = std::fs::read_to_string(&card_path).unwrap_or_else(|e| panic!("{}: {e}", card_path.display()));
        let description = &weights.description;
        assert!(!description.corpora.is_empty() && !description.recipe.is_empty(), "{}", path.display());
        let figure =
            ["valid_nats_per_note", "valid_nats_per_event"].into_iter().find_map(|f| description.figures.get(f));
        let loss = format!("{:.4}", figure.unwrap_or_else(|| panic!("{}: no figure", path.display())));
        assert!(card.contains(&loss), "{}: expected the figure {loss} of the file", card_path.display());
        let parameters = description.config.num_parameters().to_string();
        assert!(
            card.replace(',', "").contains(&parameters),
            "{}: expected {parameters} parameters",
            card_path.display()
        );
        for corpus in &description.corpora {
            assert!(card.contains(&corpus.licence), "{}: expected the licence of {}", card_path.display(), corpus.name);
        }
    }
}

#[test]
fn the_bundle_holds_no_weights_twice() {
    let bundle = std::fs::read(bundles::path(Format::Clap)).expect("a bundle; build it with `cargo xtask bundle`");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../weights");
    for (name, shipped) in [("bach", true), ("folk", true), ("chorale-jsb16", false)] {
        let file = std::fs::read(folder.join(name).with_extension("safetensors")).unwrap();
        let middle = &file[file.len() / 2..][..64];
        let copies = bundle.windows(middle.len()).filter(|window| *window == middle).count();
        assert_eq!(copies, usize::from(shipped), "copies of {name}");
    }
}
