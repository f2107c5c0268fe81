//! What `trainer compare` prints.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::copies::Run;
use super::figures::{Figures, NAMES};
use super::judging::{Side, aucs, distances, num_features};
use super::music::{Music, WINDOW_BARS};

/// The comparison. What does not exist is NaN here, `null` in JSON and a dash in the table.
#[derive(Debug, Serialize)]
pub struct Report {
    /// How much music each side has.
    size: Both<Size>,
    /// The music's figures by name; see [`NAMES`].
    music: BTreeMap<&'static str, f64>,
    /// The corpus's.
    corpus: BTreeMap<&'static str, f64>,
    /// The music's, divided by the corpus's.
    ratio: BTreeMap<&'static str, f64>,
    /// How far the velocities are apart (earth mover's distance).
    velocity_distance: f64,
    /// The same for two halves of the corpus.
    velocity_distance_within_corpus: f64,
    /// How far the distances from the 16ths are apart, 1/96 quarter.
    timing_distance_ticks: f64,
    /// The same for two halves of the corpus.
    timing_distance_within_corpus_ticks: f64,
    /// The longest runs of notes that occur in the corpus; for the corpus, in another work of it.
    copied: Both<Copied>,
    /// How well trees tell the windows apart: 0.5 not at all, 1 always.
    auc: f64,
    /// The same for two halves of the corpus.
    auc_within_corpus: f64,
    /// The figures that the trees used.
    features: Vec<&'static str>,
}

/// One for each side.
#[derive(Debug, Serialize)]
struct Both<T> {
    music: T,
    corpus: T,
}

#[derive(Debug, Serialize)]
struct Size {
    pieces: usize,
    works: usize,
    windows: usize,
}

/// The runs that pieces share with a corpus.
#[derive(Debug, Serialize)]
pub struct Copied {
    /// The mean of the pieces' longest runs, notes.
    mean_notes: f64,
    /// The longest of all.
    longest: Option<Longest>,
}

#[derive(Debug, Serialize)]
struct Longest {
    notes: usize,
    piece: String,
    from_note: usize,
    corpus_piece: String,
    corpus_from_note: usize,
}

impl Copied {
    /// The longest runs of `pieces` in `corpus`.
    pub fn new(pieces: &[Music], runs: &[Option<Run>], corpus: &[Music]) -> Self {
        let total: usize = runs.iter().flatten().map(|run| run.notes).sum();
        let longest = pieces.iter().zip(runs).filter_map(|(piece, run)| Some((piece, (*run)?)));
        Self {
            mean_notes: total as f64 / pieces.len() as f64,
            longest: longest.max_by_key(|(_, run)| run.notes).map(|(piece, run)| Longest {
                notes: run.notes,
                piece: piece.source.clone(),
                from_note: run.start,
                corpus_piece: corpus[run.corpus_piece].source.clone(),
                corpus_from_note: run.corpus_start,
            }),
        }
    }

    fn longest_notes(&self) -> f64 {
        self.longest.as_ref().map_or(f64::NAN, |longest| longest.notes as f64)
    }
}

impl Report {
    /// Compares two sides: their numbers of pieces, their windows, their copies.
    pub fn new(pieces: [usize; 2], sides: [&Side; 2], copied: [Copied; 2]) -> Self {
        let size = |n: usize| Size {
            pieces: pieces[n],
            works: sides[n].distinct_works().len(),
            windows: sides[n].windows.len(),
        };
        let [music, corpus] = sides.map(Side::means);
        let ratio: Figures = std::array::from_fn(|n| music[n] / corpus[n]);
        let by_name = |figures: Figures| NAMES.iter().map(|name| name.key).zip(figures).collect();
        let [velocity, timing] = distances(sides);
        let [auc, auc_within_corpus] = aucs(sides);
        let [of_music, of_corpus] = copied;
        Self {
            size: Both { music: size(0), corpus: size(1) },
            music: by_name(music),
            corpus: by_name(corpus),
            ratio: by_name(ratio),
            velocity_distance: velocity[0],
            velocity_distance_within_corpus: velocity[1],
            timing_distance_ticks: timing[0],
            timing_distance_within_corpus_ticks: timing[1],
            copied: Both { music: of_music, corpus: of_corpus },
            auc,
            auc_within_corpus,
            features: NAMES.iter().map(|name| name.key).take(num_features(sides)).collect(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Both { music, corpus } = &self.size;
        for (name, size) in [("music", music), ("corpus", corpus)] {
            let Size { pieces, works, windows } = size;
            writeln!(f, "{name}: {pieces} pieces, {works} works, {windows} windows of {WINDOW_BARS} bars")?;
        }
        writeln!(f, "{:<46}{:>9}{:>9}{:>9}", "", "music", "corpus", "ratio")?;
        for name in &NAMES {
            let [music, corpus] = [&self.music, &self.corpus].map(|figures| figures[name.key]);
            line(f, name.label, name.decimals, music, corpus)?;
        }
        let [of_music, of_corpus] = [&self.copied.music, &self.copied.corpus];
        let mean = (of_music.mean_notes, of_corpus.mean_notes);
        line(f, "longest copied run, notes", 0, of_music.longest_notes(), of_corpus.longest_notes())?;
        line(f, "longest copied run of a piece, mean, notes", 1, mean.0, mean.1)?;
        writeln!(f, "{:<46}{:>9}{:>18}", "", "to corpus", "within corpus")?;
        let rows = [
            ("distance of velocities", 1, self.velocity_distance, self.velocity_distance_within_corpus),
            (
                "distance of timing, 1/96 quarter",
                2,
                self.timing_distance_ticks,
                self.timing_distance_within_corpus_ticks,
            ),
            ("told apart, AUC (0.5: not at all)", 3, self.auc, self.auc_within_corpus),
        ];
        for (label, decimals, to, within) in rows {
            writeln!(f, "{label:<46}{}{:>9}{}", cell(to, decimals), "", cell(within, decimals))?;
        }
        let velocities = self.features.len() == NAMES.len();
        let left_out = if velocities { "" } else { " but the velocities, of which a side has none or only one" };
        write!(f, "The trees judged by all figures{left_out}.")?;
        if self.auc.is_nan() {
            write!(f, " They need at least five works a side.")?;
        }
        if let Some(Longest { notes, piece, from_note, corpus_piece, corpus_from_note }) = &of_music.longest {
            write!(f, "\n{notes} notes from note {from_note} of {piece} are those from note {corpus_from_note}")?;
            write!(f, " of {corpus_piece}.")?;
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter, label: &str, decimals: usize, music: f64, corpus: f64) -> fmt::Result {
    let ratio = cell(if corpus == 0.0 { f64::NAN } else { music / corpus }, 2);
    writeln!(f, "{label:<46}{}{}{ratio}", cell(music, decimals), cell(corpus, decimals))
}

/// A figure; a dash for one that does not exist.
fn cell(figure: f64, decimals: usize) -> String {
    if figure.is_finite() { format!("{figure:>9.decimals$}") } else { format!("{:>9}", "-") }
}
