//! The shipped styles in the built bundle, run by `jam`: each continues what was played and responds to it, in any key.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use continuo_model::config::NetworkConfig;
use continuo_model::midi_file;
use continuo_model::phrase::{Note, Phrase};
use continuo_model::weights_file::Weights;
use continuo_tests::bundles;
use continuo_tests::fake_host::Format;

/// The shipped weights with their names, whether they are line models, and whether they decide timing.
fn styles() -> Result<Vec<(PathBuf, String, bool, bool)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../weights");
    let mut styles = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            let weights = Weights::read(&path)?;
            let is_line = matches!(weights.description.config, NetworkConfig::Line(_));
            let decides_timing = weights.description.config.kind().capabilities().decides_timing;
            styles.push((path, weights.description.name, is_line, decides_timing));
        }
    }
    styles.sort();
    Ok(styles)
}

fn jam(seed: &Path, weights: &Path, mode: &str, name: &str) -> Result<(Phrase, String)> {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("style_{name}_{mode}"));
    let bundle = bundles::path(Format::Clap);
    let output = Command::new(env!("CARGO_BIN_EXE_jam"))
        .arg(seed)
        .arg("--bundle")
        .arg(bundle.parent().context("a bundle is in a folder")?)
        .arg("--weights")
        .arg(weights)
        .arg("--out")
        .arg(&out)
        .args(["--offline", "--plain", "--mode", mode, "--bars", "12"])
        .output()?;
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    ensure!(output.status.success(), "{}: {text}", weights.display());
    Ok((midi_file::read(&out.join("jam.mid"))?, text))
}

/// The played phrase, transposed up by some semitones.
fn seed(semitones: u8) -> Result<PathBuf> {
    let melody = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/melody.mid");
    let mut phrase = midi_file::read(&melody)?;
    phrase.tracks.iter_mut().flat_map(|track| &mut track.notes).for_each(|note| note.pitch += semitones);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("seed_{semitones}_{}.mid", std::process::id()));
    midi_file::write(&path, &phrase)?;
    Ok(path)
}

/// The generated notes: those of the voices without the played ones.
fn generated(phrase: &Phrase) -> Vec<Note> {
    let played = phrase.tracks.iter().find(|track| track.name == "Played").map_or(&[][..], |track| &track.notes);
    let voices = phrase.tracks.iter().filter(|track| track.name != "Played").flat_map(|track| &track.notes);
    let is_played = |note: &Note| played.iter().any(|p| (p.start_beats, p.pitch) == (note.start_beats, note.pitch));
    voices.filter(|note| !is_played(note)).copied().collect()
}

#[test]
fn every_style_continues_and_responds() -> Result<()> {
    let seed = seed(0)?;
    let styles = styles()?;
    ensure!(styles.iter().filter(|style| style.2).count() >= 5, "expected five line models, got {styles:?}");
    for (path, name, _, decides_timing) in &styles {
        for mode in ["continue", "respond"] {
            let stem = path.file_stem().context("a file has a name")?.to_string_lossy();
            let (phrase, text) = jam(&seed, path, mode, &stem)?;
            ensure!(
                text.contains(&format!("played by {name}")) && text.contains(", misses 0,"),
                "{stem}, {mode}: {text}"
            );
            let notes = generated(&phrase);
            ensure!(notes.len() >= 12, "{stem}, {mode}: only {} notes", notes.len());
            if *decides_timing {
                continue;
            }
            // A turn's first notes sound 40 ms after its bar.
            let entry = 0.04 * phrase.tempo_bpm / 60.0;
            let is_late_by = |note: &Note, beats: f64| {
                let steps = (note.start_beats - beats) * 4.0;
                (steps - steps.round()).abs() < 0.01
            };
            let off_grid = notes.iter().find(|note| !is_late_by(note, 0.0) && !is_late_by(note, entry));
            ensure!(off_grid.is_none(), "{stem}, {mode}: {off_grid:?} is not on the grid");
            let entries = notes.iter().filter(|note| !is_late_by(note, 0.0)).count();
            ensure!(entries < notes.len() / 2, "{stem}, {mode}: {entries} notes of {} are late", notes.len());
        }
    }
    Ok(())
}

#[test]
fn line_models_play_in_the_key_that_was_played() -> Result<()> {
    let seeds = [seed(0)?, seed(3)?];
    for (path, ..) in styles()?.into_iter().filter(|style| style.2) {
        let stem = path.file_stem().context("a file has a name")?.to_string_lossy().into_owned();
        let [low, high] = [0, 1].map(|n| jam(&seeds[n], &path, "continue", &format!("{stem}_key{n}")));
        let (low, high) = (generated(&low?.0), generated(&high?.0));
        let up: Vec<Note> = low.iter().map(|note| Note { pitch: note.pitch + 3, ..*note }).collect();
        // The same tune three semitones higher, except for notes that the model folds into its range by octaves.
        let same = up.iter().zip(&high).filter(|(a, b)| (a.pitch % 12, a.start_beats) == (b.pitch % 12, b.start_beats));
        ensure!(low.len() == high.len(), "{stem}: {} notes, {} three semitones higher", low.len(), high.len());
        ensure!(same.count() == low.len(), "{stem}: {low:?}, three semitones higher {high:?}");
    }
    Ok(())
}
