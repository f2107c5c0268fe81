//! `jam`: hosts the built plugin, plays a seed phrase into it on a running transport, and writes its answer to files.
//! On the caller's thread.

mod controls;
mod figures;
mod options;
mod output;
mod performance;
mod song;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{Result, ensure};
use continuo_model::midi_file;
use continuo_model::phrase::Phrase;

use crate::fake_host::{Format, HostConfig, HostedPlugin};
use crate::host_clock::{HostClock, SAMPLE_RATE};
use crate::pace::Pace;
use crate::seed_phrases;

pub use figures::Figures;
pub use options::{Mode, Options, Voice};
pub use performance::Performance;
pub use song::Song;

/// The default number of bars.
const DEFAULT_BARS: u32 = 16;
/// Bars after a seed phrase that is longer than the default, in modes that continue.
const BARS_AFTER_SEED: u32 = 8;
/// The longest jam; its audio stays in memory until it is written.
const MAX_SECONDS: f64 = 3600.0;
/// A MIDI file holds a tempo as microseconds a beat in 24 bits: 3.576 bpm.
const MIN_TEMPO_BPM: f64 = 60e6 / 16_777_215.0;
const MAX_TEMPO_BPM: f64 = 999.0;

/// The result of a jam.
pub struct Report {
    /// The line of figures, `notes N, voices V, ..`.
    pub line: String,
    /// The files that were written.
    pub files: Vec<PathBuf>,
    /// Remarks that are not faults.
    pub remarks: Vec<String>,
    /// Faults in the plugin's output: notes that hang or collide, samples that are NaN. Empty if there are none.
    pub faults: Vec<String>,
}

/// Plays the whole jam and writes its files. If `CONTINUO_WEIGHTS` is set, the plugin plays with those weights.
///
/// # Errors
/// If the seed phrase, an option, the bundle or the output folder cannot be used. Faults in what the plugin plays are
/// in the report.
pub fn run(options: &Options) -> Result<Report> {
    let (seed_name, seed_phrase) = seed_phrase(options)?;
    let song = song(options, &seed_name, &seed_phrase)?;
    // Fail now rather than after minutes of playing.
    output::make_folder(&options.out)?;
    let report_path = options.out.join("report.json");
    // SAFETY: no other thread runs yet that could read the environment: the plugin, which starts some, is loaded below.
    unsafe { std::env::set_var("CONTINUO_REPORT", &report_path) };
    let mut host = load(options)?;
    controls::set(&mut host, options)?;

    let pace = if options.offline { Pace::Fast } else { Pace::Live };
    eprintln!(
        "playing {seed_name} and on to bar {} at {:.1} bpm: {:.0} s{}",
        song.num_bars,
        song.clock.tempo_bpm,
        song.seconds(),
        if options.offline { ", offline" } else { "" },
    );
    let performance = performance::play(&mut host, &song, options.block, pace, show_bar(song.num_bars))?;
    host.deactivate();
    // The plugin writes its report when it is dropped.
    drop(host);
    let figures = Figures::read(&report_path)?;

    let phrase = performance.phrase(&song);
    let written = output::write(&options.out, &phrase, &song, &performance)?;
    let voices = performance.timeline.voices();
    let num_notes: usize = voices.iter().map(|track| track.notes.len()).sum();
    let mut remarks = written.remarks;
    remarks.push(performance.load.describe(pace));
    remarks.push(format!("played by {}", if figures.style.is_empty() { "no network" } else { &figures.style }));
    if performance.timeline.num_elsewhere() > 0 {
        remarks.push(format!(
            "left out {} notes on channels above 4, where no voice is",
            performance.timeline.num_elsewhere()
        ));
    }
    let mut faults = performance.faults;
    if !figures.problem.is_empty() {
        faults.push(format!("the plugin reports: {}", figures.problem));
    }
    Ok(Report {
        line: format!("notes {num_notes}, voices {}, {figures}", voices.len()),
        files: written.files,
        remarks,
        faults,
    })
}

/// The phrase to play and its name.
fn seed_phrase(options: &Options) -> Result<(String, Phrase)> {
    match &options.seed_phrase {
        Some(path) => Ok((path.display().to_string(), midi_file::read(path)?)),
        None if matches!(options.mode, Mode::Harmonise | Mode::Accompany) => {
            Ok(("hymn.mid".into(), seed_phrases::hymn()))
        }
        None => Ok(("melody.mid".into(), seed_phrases::melody())),
    }
}

/// Chooses the song's length and tempo from the options and the phrase.
fn song(options: &Options, seed_name: &str, seed_phrase: &Phrase) -> Result<Song> {
    let tempo_bpm = options.tempo.unwrap_or(seed_phrase.tempo_bpm);
    ensure!(
        (MIN_TEMPO_BPM..=MAX_TEMPO_BPM).contains(&tempo_bpm),
        "{seed_name}: expected a tempo of {MIN_TEMPO_BPM:.3} to {MAX_TEMPO_BPM} bpm, got {tempo_bpm:.3}; set another \
         with --tempo"
    );
    let seed_bars = (seed_phrase.end_beats() / seed_phrase.bar_beats() - 1e-6).ceil() as u32;
    let num_bars = options.bars.unwrap_or(match options.mode {
        _ if seed_bars < DEFAULT_BARS => DEFAULT_BARS,
        Mode::Harmonise | Mode::Accompany => seed_bars,
        _ => seed_bars.saturating_add(BARS_AFTER_SEED),
    });
    ensure!(
        num_bars >= seed_bars,
        "--bars {num_bars}: expected at least {seed_bars}, the length of {seed_name}; set more or give a shorter phrase"
    );
    let song = Song::new(seed_phrase, num_bars, HostClock { sample_rate: SAMPLE_RATE, tempo_bpm });
    ensure!(
        song.seconds() <= MAX_SECONDS,
        "{seed_name}: expected a jam of at most an hour, got {num_bars} bars at {tempo_bpm:.1} bpm, which last {:.1} \
         hours; set fewer with --bars",
        song.seconds() / 3600.0
    );
    Ok(song)
}

/// Loads and activates the plugin.
fn load(options: &Options) -> Result<HostedPlugin> {
    let bundle = options.bundle.join(match options.format {
        Format::Clap => "Continuo.clap",
        Format::Vst3 => "Continuo.vst3",
    });
    let mut host = HostedPlugin::load(&bundle, options.format, options.class)?;
    let config = HostConfig { sample_rate: SAMPLE_RATE, max_block_size: options.block, offline: options.offline };
    host.activate(config)?;
    Ok(host)
}

/// Shows the current bar on a terminal, on one line.
fn show_bar(num_bars: u32) -> impl FnMut(u32) {
    move |bar| {
        let mut out = std::io::stderr();
        if out.is_terminal() {
            let end = if bar == num_bars { "\n" } else { "" };
            // If the terminal is gone, the jam still continues.
            let _ = write!(out, "\rbar {bar}/{num_bars}{end}").and_then(|()| out.flush());
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn check(args: &str, expect: &str) {
        let options = Options::try_parse_from(["jam"].into_iter().chain(args.split_whitespace()))
            .unwrap_or_else(|error| panic!("{error}"));
        let result = seed_phrase(&options).and_then(|(name, phrase)| song(&options, &name, &phrase));
        let got = match result {
            Ok(song) => format!("{} bars at {:.1}", song.num_bars, song.clock.tempo_bpm),
            Err(error) => error.to_string(),
        };
        assert_eq!(got, expect, "jam {args}");
    }

    #[test]
    fn options_are_fitted_to_the_seed_phrase() {
        check("", "16 bars at 92.0");
        check("--mode harmonise", "16 bars at 84.0");
        check("--tempo 120.5 --bars 4", "4 bars at 120.5");
        check("--bars 3", "--bars 3: expected at least 4, the length of melody.mid; set more or give a shorter phrase");
        check("--tempo 2", "melody.mid: expected a tempo of 3.576 to 999 bpm, got 2.000; set another with --tempo");
        check(
            "--tempo 4 --bars 100",
            "melody.mid: expected a jam of at most an hour, got 100 bars at 4.0 bpm, which last 1.7 hours; set fewer \
             with --bars",
        );
    }

    #[test]
    fn bad_files_are_refused_by_name() {
        let data = concat!(env!("CARGO_MANIFEST_DIR"), "/data");
        for (name, word) in [
            ("empty.mid", "got an empty one"),
            ("truncated.mid", "cut short"),
            ("smpte.mid", "SMPTE"),
            ("no_notes.mid", "got none"),
            ("missing.mid", "cannot be opened"),
        ] {
            let path = format!("{data}/{name}");
            let options = Options::try_parse_from(["jam", &path]).unwrap();
            let error = seed_phrase(&options).unwrap_err().to_string();
            assert!(error.starts_with(&path) && error.contains(word), "{error}");
        }
    }

    #[test]
    fn a_bundle_that_is_not_there_is_named() {
        let options = Options::try_parse_from(["jam", "--bundle", "no/such"]).unwrap();
        let error = format!("{:#}", run(&options).err().expect("no bundle"));
        assert!(error.contains("Continuo.clap") && error.contains("cargo xtask bundle"), "{error}");
    }
}
