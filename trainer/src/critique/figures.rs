//! The figures of `trainer critique`: counts as shares, as a table and as JSON.

use std::collections::BTreeMap;
use std::fmt;

use continuo_model::tokeniser::grid::STEPS_PER_BEAT;
use serde::Serialize;

use super::chords::ChordClass;
use super::counts::Counts;

/// The JSON output. A share of 0 cases is NaN here and `null` in JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// The underlying counts.
    pub counts: Counts,
    /// Parallel fifths per 100 onsets.
    pub parallel_fifths_per_100: f64,
    /// Parallel octaves and unisons per 100 onsets.
    pub parallel_octaves_per_100: f64,
    /// Both per 100 onsets.
    pub parallels_per_100: f64,
    /// Direct fifths and octaves of the outer voices per 100 onsets.
    pub direct_per_100: f64,
    /// Leaps of a tritone per 100 onsets.
    pub tritone_leaps_per_100: f64,
    /// Leaps of a seventh or of more than an octave per 100 onsets.
    pub wide_leaps_per_100: f64,
    /// Steps with crossed voices, %.
    pub crossing_percent: f64,
    /// Steps with overlapping voices, %.
    pub overlap_percent: f64,
    /// Steps with soprano and alto, or alto and tenor, more than an octave apart, %.
    pub wide_spacing_percent: f64,
    /// Steps with a voice out of its range, %.
    pub out_of_range_percent: f64,
    /// Steps, without the first of each piece, with the same pitches as the step before, %.
    pub still_percent: f64,
    /// Steps on a beat with a complete major or minor triad, %.
    pub on_beat_triads_percent: f64,
    /// Note starts per quarter note in which a voice sounds, in pieces with known attacks.
    pub attacks_per_quarter: f64,
    /// Steps in stuck loops, %.
    pub stuck_percent: f64,
    /// Steps on a beat for each class of chord, %.
    pub chords_percent: BTreeMap<ChordClass, f64>,
    /// The runs shared with a training corpus, if one was given.
    pub copied: Option<Copied>,
    /// The pieces with the most parallels, the worst first.
    pub worst: Vec<Offender>,
}

/// The runs that pieces share with a corpus.
#[derive(Clone, Debug, Serialize)]
pub struct Copied {
    /// The longest run of any piece; `None` if there is none of two steps.
    pub longest: Option<CopiedPiece>,
    /// The mean length of the pieces' longest runs, steps.
    pub mean_steps: f64,
}

/// A run of steps that occurs in a piece and in the corpus.
#[derive(Clone, Debug, Serialize)]
pub struct CopiedPiece {
    /// Its length.
    pub steps: usize,
    /// The name of the piece.
    pub piece: String,
    /// Its first step in the piece.
    pub from_step: usize,
    /// The name of the corpus piece.
    pub corpus_piece: String,
    /// Its first step there.
    pub corpus_from_step: usize,
}

/// A piece with many parallels.
#[derive(Clone, Debug, Serialize)]
pub struct Offender {
    /// Its name.
    pub piece: String,
    /// Parallel fifths, octaves and unisons.
    pub parallels: usize,
    /// Steps with crossed voices.
    pub crossing_steps: usize,
    /// Steps in stuck loops.
    pub stuck_steps: usize,
}

impl Figures {
    /// Computes the shares from `counts`.
    pub fn new(counts: Counts) -> Self {
        let c = &counts;
        let percent = |part: usize, whole: usize| 100.0 * part as f64 / whole as f64;
        let consonant = ChordClass::ALL.into_iter().filter(|class| class.is_consonant());
        Self {
            parallel_fifths_per_100: percent(c.parallel_fifths, c.onsets),
            parallel_octaves_per_100: percent(c.parallel_octaves, c.onsets),
            parallels_per_100: percent(c.parallels(), c.onsets),
            direct_per_100: percent(c.direct, c.onsets),
            tritone_leaps_per_100: percent(c.tritone_leaps, c.onsets),
            wide_leaps_per_100: percent(c.wide_leaps, c.onsets),
            crossing_percent: percent(c.crossing_steps, c.steps),
            overlap_percent: percent(c.overlap_steps, c.steps),
            wide_spacing_percent: percent(c.wide_steps, c.steps),
            out_of_range_percent: percent(c.out_of_range_steps, c.steps),
            still_percent: percent(c.still_steps, c.moves),
            on_beat_triads_percent: percent(consonant.map(|class| c.chords[class as usize]).sum(), c.beats),
            attacks_per_quarter: (STEPS_PER_BEAT * c.attacks) as f64 / c.attack_cells as f64,
            stuck_percent: percent(c.stuck_steps, c.steps),
            chords_percent: ChordClass::ALL.map(|class| (class, percent(c.chords[class as usize], c.beats))).into(),
            copied: None,
            worst: Vec::new(),
            counts,
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let c = &self.counts;
        writeln!(f, "pieces {}, steps {}, onsets {}", c.pieces, c.steps, c.onsets)?;
        section(
            f,
            "per 100 onsets",
            3,
            &[
                ("parallel fifths", self.parallel_fifths_per_100),
                ("parallel octaves and unisons", self.parallel_octaves_per_100),
                ("all parallels", self.parallels_per_100),
                ("direct fifths and octaves", self.direct_per_100),
                ("tritone leaps", self.tritone_leaps_per_100),
                ("leaps of a seventh or beyond an octave", self.wide_leaps_per_100),
            ],
        )?;
        section(
            f,
            "% of steps",
            1,
            &[
                ("voices crossing", self.crossing_percent),
                ("voices overlapping", self.overlap_percent),
                ("S-A or A-T wider than an octave", self.wide_spacing_percent),
                ("a voice out of range", self.out_of_range_percent),
                ("no voice changes pitch", self.still_percent),
                ("in stuck loops", self.stuck_percent),
            ],
        )?;
        section(f, "per quarter and voice", 2, &[("attacks", self.attacks_per_quarter)])?;
        let chord = |class| (label(class), self.chords_percent[&class]);
        section(f, "% of beats", 1, &[("consonant triads", self.on_beat_triads_percent)])?;
        section(f, "  all chords", 1, &ChordClass::ALL.map(chord))?;
        if let Some(copied) = &self.copied {
            copied.fmt(f)?;
        }
        if !self.worst.is_empty() {
            writeln!(f, "most parallels")?;
        }
        self.worst.iter().try_for_each(|piece| writeln!(f, "  {:<40}{:>8}", piece.piece, piece.parallels))
    }
}

impl fmt::Display for Copied {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let longest = self.longest.as_ref().map_or(0.0, |run| run.steps as f64);
        section(f, "steps copied in a row", 1, &[("longest run", longest), ("mean of pieces", self.mean_steps)])?;
        let Some(run) = &self.longest else { return Ok(()) };
        writeln!(
            f,
            "  {} from step {}: {} from step {}",
            run.piece, run.from_step, run.corpus_piece, run.corpus_from_step
        )
    }
}

/// Writes a heading and a line for each figure; NaN is a dash.
fn section(f: &mut fmt::Formatter, heading: &str, decimals: usize, lines: &[(&str, f64)]) -> fmt::Result {
    writeln!(f, "{heading}")?;
    lines.iter().try_for_each(|(label, value)| match value.is_nan() {
        true => writeln!(f, "  {label:<40}{:>8}", "-"),
        false => writeln!(f, "  {label:<40}{value:>8.decimals$}"),
    })
}

fn label(class: ChordClass) -> &'static str {
    match class {
        ChordClass::Major => "major triads",
        ChordClass::Minor => "minor triads",
        ChordClass::Diminished => "diminished triads",
        ChordClass::Augmented => "augmented triads",
        ChordClass::Seventh => "seventh chords",
        ChordClass::Other => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preparation::four_voices::tests::piece;

    fn figures(music: &str) -> Figures {
        Figures::new(Counts::of(&piece(music)))
    }

    #[test]
    fn shares_are_of_the_right_whole() {
        // Eight onsets and one repeated note, one still step of three, one parallel; the voices cross in the last step.
        let f = figures("72* 64* 55* 48* | 72 64 55 48 | 72 65* 57* 50* | 72* 65 57 58*");
        assert_eq!(f.parallel_fifths_per_100, 100.0 / 8.0);
        assert_eq!((f.parallel_octaves_per_100, f.parallels_per_100), (0.0, 12.5));
        assert_eq!((f.still_percent, f.crossing_percent), (100.0 / 3.0, 25.0));
        assert_eq!(f.attacks_per_quarter, 4.0 * 9.0 / 16.0);
        assert_eq!((f.on_beat_triads_percent, f.chords_percent[&ChordClass::Major]), (100.0, 100.0));
    }

    #[test]
    fn unknown_figures_are_null_and_a_dash() {
        let f = figures("72 64 55 48");
        let json = serde_json::to_value(&f).unwrap();
        assert!(json["attacks_per_quarter"].is_null() && json["still_percent"].is_null(), "{json}");
        let table = f.to_string();
        assert!(table.lines().any(|line| line.starts_with("  attacks") && line.ends_with(" -")), "{table}");
    }
}
