//! `evaluate --free`: the music that a network plays alone, beside the composer's.

use std::fmt;
use std::sync::Arc;

use continuo_model::generate::{Network, StepSettings};
use continuo_model::key;
use continuo_model::tokeniser::grid::STEPS_PER_BEAT;
use continuo_model::tokeniser::step_reader::Controls;
use serde::Serialize;

use super::discriminator::auc;
use super::form::{Form, figures};
use super::harmony::Harmony;
use super::performance::{perform_all, play_freely};
use super::phrase_ends::Detector;
use super::table::table;
use crate::generate::in_bars;
use crate::preparation::four_voices::FourVoices;

/// A bar of the generated music, in steps.
const BAR_STEPS: usize = 4 * STEPS_PER_BEAT;

/// What to play, and how.
pub struct Playing {
    /// The number of pieces.
    pub pieces: u32,
    /// The length of a piece in bars.
    pub bars: u16,
    /// How steps are decided; each piece adds 1 to the rng seed.
    pub settings: StepSettings,
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
    /// How well trees tell the network's pieces from the composer's: 0.5 if not at all, 1 if always.
    discriminator_auc: f64,
    /// The same for the composer's pieces and his training pieces.
    bach_against_bach_auc: f64,
}

/// Plays freely and compares with `pieces`. The detector of phrase ends is fitted to `training` pieces.
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
        let told = |step| StepSettings { rng_seed, controls: told(step, rng_seed), ..playing.settings };
        play_freely(performer, steps, told)
    });
    let begin = |pieces: &[FourVoices]| -> Vec<FourVoices> {
        let mut pieces = pieces.to_vec();
        pieces.iter_mut().for_each(|piece| piece.truncate(steps));
        pieces
    };
    let detector = Detector::fit(training);
    let f1 = detector.as_ref().map_or(f64::NAN, |detector| detector.f1(pieces));
    let (bach, training) = (begin(pieces), begin(training));
    let of = |pieces: &[FourVoices]| -> Vec<Vec<f64>> { pieces.iter().map(figures).collect() };
    FreeFigures {
        bach_pieces: bach.len(),
        network_pieces: played.len(),
        bach_harmony: Harmony::of(&bach),
        network_harmony: Harmony::of(&played),
        bach_form: Form::of(&bach, detector.as_ref()),
        network_form: Form::of(&played, detector.as_ref()),
        phrase_ends_f1: f1,
        discriminator_auc: auc(&of(&bach), &of(&played)),
        bach_against_bach_auc: auc(&of(&bach), &of(&training)),
    }
}

/// What the network is told about a step, as the plugin tells it in Free: a key of its own, the bar and the phrase.
fn told(step: usize, rng_seed: u64) -> Controls {
    Controls { key: Some(key::drawn(rng_seed)), ..in_bars(step, 0, BAR_STEPS) }
}

impl fmt::Display for FreeFigures {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "{} pieces of Bach's, {} of the network's", self.bach_pieces, self.network_pieces)?;
        let harmony = self.bach_harmony.lines().into_iter().zip(self.network_harmony.lines());
        let form = self.bach_form.lines().into_iter().zip(self.network_form.lines());
        let lines =
            harmony.chain(form).map(|((label, decimals, bach), (.., network))| (label, decimals, bach, network));
        let discriminator =
            ("told apart from Bach (AUC; 0.5: not at all)", 2, self.bach_against_bach_auc, self.discriminator_auc);
        writeln!(f, "{}", table(lines.chain([discriminator])))?;
        write!(f, "phrase ends are found with an F1 of {:.2} on Bach's pieces", self.phrase_ends_f1)
    }
}
