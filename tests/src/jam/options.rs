//! The command line of `jam`.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, ValueEnum};

use crate::fake_host::{Class, Format};

const MAX_BLOCK: usize = 8192;
const MAX_BARS: u32 = 999;

/// Plays a MIDI file into the built Continuo on a running transport, as a DAW would, and writes what it answers:
/// jam.mid, jam.png (a piano roll) and jam.wav.
#[derive(Clone, Debug, Parser)]
#[command(name = "jam", args_override_self = true)]
pub struct Options {
    /// What you play: all its notes go in on channel 1 [default: a melody or a hymn tune of our own]
    #[arg(value_name = "SEED.mid")]
    pub seed_phrase: Option<PathBuf>,

    /// What Continuo does with it
    #[arg(long, value_enum, default_value = "continue")]
    pub mode: Mode,

    /// Which voice you play [default: the plugin's own]
    #[arg(long, value_enum)]
    pub voice: Option<Voice>,

    /// How many bars the phrases of Continuo's turn last [default: the plugin's own]
    #[arg(long, value_name = "BARS", value_parser = PossibleValuesParser::new(["auto", "2", "4", "8"]))]
    pub phrases: Option<String>,

    /// Bars in all, your own included [default: 16, or more if the seed is longer]
    #[arg(long, value_name = "N", value_parser = parse_bars)]
    pub bars: Option<u32>,

    /// Tempo in quarter notes a minute [default: the seed's]
    #[arg(long, value_name = "BPM", value_parser = parse_tempo, allow_negative_numbers = true)]
    pub tempo: Option<f64>,

    /// The same number plays the same notes [default: the plugin's own]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub rng_seed: Option<i64>,

    /// Play notes exactly as decided: Dynamics and Humanise at 0, Swing off
    #[arg(long)]
    pub plain: bool,

    /// A weights file in place of those in the plugin
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,

    /// Which of the two bundles
    #[arg(long, default_value = "clap", value_parser = PossibleValuesParser::new(["clap", "vst3"]).map(to_format))]
    pub format: Format,

    /// Which of the plugin's two classes; the note effect has no audio, so no jam.wav
    #[arg(long, default_value = "instrument")]
    #[arg(value_parser = PossibleValuesParser::new(["instrument", "note-effect"]).map(to_class))]
    pub class: Class,

    /// Block size in samples, at 48 kHz
    #[arg(long, value_name = "N", default_value = "512", value_parser = parse_block)]
    pub block: usize,

    /// Render as fast as the plugin can, not in real time
    #[arg(long)]
    pub offline: bool,

    /// Where to write
    #[arg(long, value_name = "DIR", default_value = "target/jam")]
    pub out: PathBuf,

    /// Where Continuo.clap and Continuo.vst3 are
    #[arg(long, value_name = "DIR", default_value = "target/bundled")]
    pub bundle: PathBuf,
}

/// The plugin's modes, as the command line calls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Go on where the phrase stops
    Continue,
    /// Answer the phrase
    Respond,
    /// Add the other voices
    Harmonise,
    /// Add the other voices, on through the rests
    Accompany,
}

/// The four voices, from the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "the names are enough")]
pub enum Voice {
    Soprano,
    Alto,
    Tenor,
    Bass,
}

fn to_format(name: String) -> Format {
    match name.as_str() {
        "vst3" => Format::Vst3,
        _ => Format::Clap,
    }
}

fn to_class(name: String) -> Class {
    match name.as_str() {
        "note-effect" => Class::NoteEffect,
        _ => Class::Instrument,
    }
}

fn parse_bars(text: &str) -> Result<u32, String> {
    let bars = text.parse().ok();
    bars.filter(|bars| (1..=MAX_BARS).contains(bars)).ok_or_else(|| format!("expected 1 to {MAX_BARS} bars"))
}

fn parse_tempo(text: &str) -> Result<f64, String> {
    let tempo = text.parse().ok();
    tempo
        .filter(|tempo| *tempo > 0.0 && *tempo <= 999.0)
        .ok_or_else(|| "expected quarter notes a minute, above 0 and up to 999".into())
}

fn parse_block(text: &str) -> Result<usize, String> {
    let samples = text.parse().ok();
    samples
        .filter(|samples| (1..=MAX_BLOCK).contains(samples))
        .ok_or_else(|| format!("expected 1 to {MAX_BLOCK} samples"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &str) -> Result<Options, clap::Error> {
        Options::try_parse_from(["jam"].into_iter().chain(args.split_whitespace()))
    }

    fn check_error(args: &str, expect: &str) {
        let error = parse(args).unwrap_err().to_string();
        assert!(error.contains(expect), "jam {args}: {error}");
    }

    #[test]
    fn bad_values_are_refused_with_what_was_expected() {
        for value in ["0", "-3", "1000", "nan", "inf", "fast"] {
            check_error(&format!("--tempo {value}"), "above 0 and up to 999");
            check_error(&format!("--tempo {value}"), value);
        }
        for value in ["0", "8193", "x"] {
            check_error(&format!("--block {value}"), "expected 1 to 8192 samples");
        }
        for value in ["0", "1000", "1.5"] {
            check_error(&format!("--bars {value}"), "expected 1 to 999 bars");
        }
        check_error("--mode sing", "continue, respond, harmonise");
        check_error("--phrases 3", "auto, 2, 4, 8");
        check_error("--format lv2", "clap, vst3");
        check_error("--rng-seed x", "invalid value 'x'");
        check_error("one.mid two.mid", "two.mid");
    }

    #[test]
    fn the_last_of_an_option_counts() {
        let options = parse("--bundle a --out b --bundle c --out d").unwrap();
        assert_eq!(options.bundle, PathBuf::from("c"));
        assert_eq!(options.out, PathBuf::from("d"));
    }

    #[test]
    fn all_options_together() {
        let options = parse(
            "s.mid --mode harmonise --voice tenor --bars 8 --tempo 60.5 --rng-seed 7 --weights w --format vst3 \
             --class note-effect --block 64 --offline --phrases 4",
        )
        .unwrap();
        assert_eq!(options.seed_phrase, Some(PathBuf::from("s.mid")));
        assert_eq!((options.mode, options.voice), (Mode::Harmonise, Some(Voice::Tenor)));
        assert_eq!((options.bars, options.tempo, options.rng_seed), (Some(8), Some(60.5), Some(7)));
        assert_eq!((options.format, options.class, options.block), (Format::Vst3, Class::NoteEffect, 64));
        assert!(options.offline);
        assert_eq!(options.phrases.as_deref(), Some("4"));
    }
}
