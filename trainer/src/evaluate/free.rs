//! `evaluate --free`: the music that a network plays alone, beside the composer's.

use std::fmt;
use std::sync::Arc;

use continuo_model::generate::{Network, StepSettings};
use continuo_model::key;
use continuo_model::tokeniser::step_reader::Controls;
use serde::Serialize;

use super::form::{BAR_STEPS, Form, figures};
use super::harmony::Harmony;
use super::performance::{KeySource, perform_all, play_freely};
use super::phrase_ends::Detector;
use super::table::table;
use crate::discriminator::auc;
use crate::generate::in_bars;
use crate::preparation::four_voices::FourVoices;

/// What to play, and how.
pub struct Playing {
    /// The number of pieces.
    pub pieces: u32,
    /// The length of a piece in bars.
    pub bars: u16,
    /// How steps are decided; each piece adds 1 to the rng seed.
    pub settings: StepSettings,
    /// Where the key control comes from.
    pub key: KeySource,
    /// Whether phrases are planned on the bars, as in the plugin.
    pub phrases: bool,
}

/// The figures of `--free`.
#[derive(Debug, Serialize)]
pub struct FreeFigures {
    /// Number of the composer's pieces.
    bach_pieces: usize,
    /// Number of the network's pieces.
    network_pieces: usize,
    /// The composer's harmony.
    bach_harmony: Harmony,
    /// The network's harmony.
    network_harmony: Harmony,
    /// The composer's form.
    bach_form: Form,
    /// The network's form.
    network_form: Form,
    /// The F1 of the detector of phrase ends on the composer's pieces.
    phrase_ends_f1: f64,
    /// The detector itself.
    phrase_ends_detector: Detector,
    /// How well trees tell the network's pieces from the composer's: 0.5 if not at all, 1 if always.
    discriminator_auc: f64,
    /// The same for the composer's pieces and his training pieces.
    bach_against_bach_auc: f64,
}

/// Plays freely and compares with the first bars of `pieces`. The detector of phrase ends is fitted to `training`
/// pieces, if they have fermatas.
pub fn compare(
    network: &Arc<dyn Network>,
    pieces: &[FourVoices],
    training: &[FourVoices],
    playing: &Playing,
) -> FreeFigures {
    let steps = usize::from(playing.bars) * BAR_STEPS;
    let numbers: Vec<u64> = (0..u64::from(playing.pieces)).collect();
    let played = perform_all(network, &numbers, |performer, _, number| {
        let rng_seed = playing.settings.rng_seed.wrapping_add(*number);
        let settings = |step| StepSettings { rng_seed, controls: playing.controls(step, rng_seed), ..playing.settings };
        play_freely(performer, steps, settings)
    });
    let begin = |pieces: &[FourVoices]| -> Vec<FourVoices> {
        let mut pieces = pieces.to_vec();
        pieces.iter_mut().for_each(|piece| piece.truncate(steps));
        pieces
    };
    let detector = Detector::fit(training).unwrap_or(Detector::OF_CHORALES);
    let f1 = detector.f1(pieces);
    let (bach, training) = (begin(pieces), begin(training));
    let of = |pieces: &[FourVoices]| -> Vec<Vec<f64>> { pieces.iter().map(figures).collect() };
    FreeFigures {
        bach_pieces: bach.len(),
        network_pieces: played.len(),
        bach_harmony: Harmony::of(&bach),
        network_harmony: Harmony::of(&played),
        bach_form: Form::of(&bach, &detector),
        network_form: Form::of(&played, &detector),
        phrase_ends_f1: f1,
        phrase_ends_detector: detector,
        discriminator_auc: auc(&of(&bach), &of(&played)),
        bach_against_bach_auc: auc(&of(&bach), &of(&training)),
    }
}

impl Playing {
    /// The controls of a step, as the plugin sets them in Free: a key for each piece, the bar and the phrase.
    fn controls(&self, step: usize, rng_seed: u64) -> Controls {
        let key = (self.key == KeySource::Auto).then(|| key::drawn(rng_seed));
        let controls = Controls { key, ..in_bars(step, 0, BAR_STEPS) };
        if self.phrases { controls } else { Controls { phrase: None, fermata_in: None, ..controls } }
    }
}

impl fmt::Display for FreeFigures {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "{} pieces of Bach's, {} of the network's", self.bach_pieces, self.network_pieces)?;
        let harmony = self.bach_harmony.lines().into_iter().zip(self.network_harmony.lines());
        let form = self.bach_form.lines().into_iter().zip(self.network_form.lines());
        let lines =
            harmony.chain(form).map(|((label, decimals, bach), (.., network))| (label, decimals, bach, network));
        let discriminator =
            ("told apart from Bach, AUC (0.5: not at all)", 2, self.bach_against_bach_auc, self.discriminator_auc);
        writeln!(f, "{}", table(lines.chain([discriminator])))?;
        if self.phrase_ends_f1.is_nan() {
            return write!(f, "phrase ends: these pieces have no fermatas to check them by");
        }
        write!(f, "phrase ends: found with an F1 of {:.2} by the fermatas of Bach's pieces", self.phrase_ends_f1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For some steps: the 16th of the bar, beats since the phrase's start / to its last chord, steps to that chord.
    fn check(playing: &Playing, steps: &[usize], expect: &[&str]) {
        let word = |step: &usize| {
            let controls = playing.controls(*step, 7);
            let bar = controls.bar.unwrap();
            let phrase = controls.phrase.map_or("-".into(), |p| format!("{}/{}", p.beats_since, p.beats_left));
            let fermata = controls.fermata_in.map_or("-".into(), |steps| steps.to_string());
            assert_eq!((bar.bar_steps, controls.density, controls.register), (16, None, None));
            format!("{} {phrase} {fermata}", bar.step_in_bar)
        };
        assert_eq!(steps.iter().map(word).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn free_pieces_are_in_bars_of_four_beats_and_phrases_of_eight() {
        let settings = StepSettings::default();
        let playing = Playing { pieces: 10, bars: 4, settings, key: KeySource::Auto, phrases: true };
        check(
            &playing,
            &[0, 9, 23, 24, 31, 32, 56],
            &["0 0/6 -", "9 2/4 15", "7 5/1 1", "8 6/0 0", "15 7/0 0", "0 0/6 -", "8 6/0 0"],
        );
        assert_eq!(playing.controls(0, 7).key, Some(key::drawn(7)));
        let alone = Playing { key: KeySource::None, phrases: false, ..playing };
        check(&alone, &[0, 24, 33], &["0 - -", "8 - -", "1 - -"]);
        assert_eq!(alone.controls(0, 7).key, None);
    }
}
