//! `evaluate --play`: harmonises the given voices of each piece as the plugin does, and compares the result with the
//! composer's.

use std::fmt;
use std::sync::Arc;

use continuo_model::generate::{Network, StepSettings};
use continuo_model::tokeniser::grid::{NUM_VOICES, VOICE_NAMES};
use serde::Serialize;

use super::harmony::{Agreement, Harmony, beats};
use super::performance::{KeySource, harmonise, perform_all};
use super::table::{column, table};
use crate::preparation::four_voices::FourVoices;

/// The figures of `--play`.
#[derive(Debug, Serialize)]
pub struct PlayFigures {
    /// The given voices.
    given: Vec<String>,
    /// The source of the key control.
    key: &'static str,
    /// Number of pieces.
    pieces: usize,
    /// Number of beats.
    beats: usize,
    /// The network's agreement with the composer.
    agreement: Agreement,
    /// The composer's own figures.
    bach: Harmony,
    /// The network's figures.
    network: Harmony,
}

/// Harmonises `pieces` and compares.
pub fn compare(
    network: &Arc<dyn Network>,
    pieces: &[FourVoices],
    given: [bool; NUM_VOICES],
    settings: StepSettings,
    key: KeySource,
) -> PlayFigures {
    let played = perform_all(network, pieces, |performer, n, piece| {
        let settings = StepSettings { rng_seed: settings.rng_seed.wrapping_add(n as u64), ..settings };
        harmonise(performer, piece, given, settings, key)
    });
    let names = VOICE_NAMES.iter().zip(given).filter(|(_, given)| *given);
    PlayFigures {
        given: names.map(|(name, _)| name.to_lowercase()).collect(),
        key: if key == KeySource::Auto { "auto" } else { "none" },
        pieces: pieces.len(),
        beats: pieces.iter().map(|piece| beats(piece).count()).sum(),
        agreement: Agreement::of(pieces.iter().zip(&played)),
        bach: Harmony::of(pieces),
        network: Harmony::of(&played),
    }
}

impl fmt::Display for PlayFigures {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let given = if self.given.is_empty() { "nothing".into() } else { self.given.join(" and ") };
        writeln!(f, "given: {given}; {} pieces, {} beats", self.pieces, self.beats)?;
        let lines = self.bach.lines().into_iter().zip(self.network.lines());
        writeln!(
            f,
            "{}",
            table(lines.map(|((label, decimals, bach), (.., network))| (label, decimals, bach, network)))
        )?;
        write!(f, "{}", column("agreement with Bach, % of beats", self.agreement.lines()))
    }
}
