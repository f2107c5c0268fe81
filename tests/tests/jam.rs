//! `jam`, the main command, as a user runs it: what it writes and what it prints.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use continuo_model::midi_file;
use continuo_model::phrase::Phrase;
use continuo_tests::bundles;
use continuo_tests::fake_host::Format;

fn jam(name: &str, args: &[&str]) -> Result<(Phrase, String, PathBuf)> {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let bundle = bundles::path(Format::Clap);
    let output = Command::new(env!("CARGO_BIN_EXE_jam"))
        .arg("--bundle")
        .arg(bundle.parent().context("a bundle is in a folder")?)
        .arg("--out")
        .arg(&out)
        .args(args)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "jam {args:?}: {text}{error}");
    let last = text.lines().last().context("jam printed nothing")?.to_string();
    Ok((midi_file::read(&out.join("jam.mid"))?, last, out))
}

/// A jam with a fault in its worker, live unless `args` says otherwise: whether it was sound, what it printed, and its file.
fn faulty_jam(name: &str, fault: (&str, &str), args: &[&str]) -> Result<(bool, String, Phrase)> {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let bundle = bundles::path(Format::Clap);
    let output = Command::new(env!("CARGO_BIN_EXE_jam"))
        .env(fault.0, fault.1)
        .arg("--bundle")
        .arg(bundle.parent().context("a bundle is in a folder")?)
        .arg("--out")
        .arg(&out)
        .args(["--tempo", "240", "--bars", "16", "--mode", "harmonise"])
        .args(args)
        .output()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok((output.status.success(), text, midi_file::read(&out.join("jam.mid"))?))
}

#[test]
fn a_starved_worker_is_waited_for_within_bounds_and_nothing_hangs() -> Result<()> {
    let (sound, text, phrase) = faulty_jam("starved", ("CONTINUO_SLOW_MS", "300"), &[])?;
    assert!(sound, "{text}");
    let line = text.lines().find(|line| line.starts_with("notes ")).context("no line of figures")?;
    assert!(figure(line, "misses") > 20.0, "{line}");
    // What the player plays goes through, all of it and on its beat.
    assert_eq!(track(&phrase, "Soprano").notes, track(&phrase, "Played").notes);
    Ok(())
}

#[test]
fn a_failed_worker_says_so_and_notes_go_through() -> Result<()> {
    let (sound, text, phrase) = faulty_jam("failed", ("CONTINUO_FAIL_AFTER", "60"), &["--offline"])?;
    assert!(!sound && text.contains("the plugin says: the network's thread has failed"), "{text}");
    assert!(!text.contains("note-on without"), "nothing hangs: {text}");
    assert_eq!(track(&phrase, "Soprano").notes, track(&phrase, "Played").notes);
    assert!(track(&phrase, "Alto").notes.len() > 3, "before it failed it played");
    Ok(())
}

/// The figures of the last line by their names.
fn figure(line: &str, name: &str) -> f64 {
    let words: Vec<&str> = line.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    let at = words.iter().position(|word| *word == name).unwrap_or_else(|| panic!("no {name} in `{line}`"));
    words[at + 1].parse().unwrap_or_else(|_| panic!("no number after {name} in `{line}`"))
}

fn track<'a>(phrase: &'a Phrase, name: &str) -> &'a continuo_model::phrase::Track {
    let found = phrase.tracks.iter().find(|track| track.name == name);
    found.unwrap_or_else(|| {
        panic!("no track {name}, only {:?}", phrase.tracks.iter().map(|t| &t.name).collect::<Vec<_>>())
    })
}

#[test]
fn a_jam_gives_four_voices_on_the_grid_in_tempo() -> Result<()> {
    for format in ["clap", "vst3"] {
        let (phrase, line, out) = jam(&format!("grid_{format}"), &["--offline", "--format", format, "--tempo", "96"])?;
        assert!((phrase.tempo_bpm - 96.0).abs() < 1e-3);
        assert_eq!(phrase.time_signature, (4, 4));
        let played_until = track(&phrase, "Played").notes.last().context("the seed phrase has notes")?.end_beats();
        for name in ["Soprano", "Alto", "Tenor", "Bass"] {
            let starts = track(&phrase, name).notes.iter().map(|note| note.start_beats);
            let generated: Vec<f64> = starts.filter(|start| *start >= played_until).collect();
            assert!(generated.len() > 8, "{format}, {name}: {generated:?}");
            assert!(generated.iter().all(|start| (start * 4.0).fract() == 0.0), "{format}, {name}: {generated:?}");
        }
        assert!(figure(&line, "notes") > 50.0 && figure(&line, "voices") == 4.0, "{line}");
        assert_eq!(figure(&line, "misses"), 0.0, "{line}");
        assert!(figure(&line, "step_p50_us") > 0.0, "{line}");
        for file in ["jam.mid", "jam.png", "jam.wav"] {
            assert!(out.join(file).metadata()?.len() > 500, "{file}");
        }
    }
    Ok(())
}

#[test]
fn harmonise_answers_all_along() -> Result<()> {
    let (phrase, line, _) = jam("harmonise", &["--offline", "--mode", "harmonise"])?;
    assert!(figure(&line, "reply_p99_us") > 0.0, "{line}");
    let beats = |name: &str| track(&phrase, name).notes.iter().map(|note| note.length_beats).sum::<f64>();
    let played = beats("Played");
    for name in ["Alto", "Tenor", "Bass"] {
        assert!(beats(name) > 0.9 * played, "{name} sounds for {} of {played} beats", beats(name));
    }
    Ok(())
}

#[test]
fn formats_classes_and_blocks_write_the_same_file_and_a_live_jam_is_sound() -> Result<()> {
    let with = |mode: &str, name: &str, more: &[&str]| {
        let common = ["--mode", mode, "--tempo", "240", "--bars", "16"];
        jam(&format!("{mode}_{name}"), &[&common[..], more].concat())
    };
    for mode in ["continue", "harmonise", "respond"] {
        let offline = with(mode, "offline", &["--offline"])?.0;
        assert_eq!(with(mode, "large", &["--offline", "--block", "4096"])?.0, offline, "{mode}");
        let vst3 = ["--offline", "--format", "vst3", "--class", "note-effect"];
        assert_eq!(with(mode, "vst3", &vst3)?.0, offline, "{mode}");
    }
    // That it is the same music is tested where the machine's stalls are known of (bounce.rs).
    let (phrase, line, _) = with("continue", "live", &[])?;
    assert!(figure(&line, "voices") == 4.0 && phrase.tracks.len() == 5, "{line}");
    Ok(())
}
