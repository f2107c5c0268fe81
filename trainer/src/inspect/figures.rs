//! Statistics of a corpus.

use std::collections::HashMap;

use serde::Serialize;

use crate::corpus::folder::Corpus;
use crate::corpus::piece::{Piece, TICKS_PER_BEAT};

/// Values and their counts, the most frequent first.
pub type Tally = Vec<(String, usize)>;

/// The statistics that `trainer inspect` prints for a corpus.
#[derive(Debug, Default, Serialize)]
pub struct CorpusFigures {
    /// Files by format.
    pub files: Tally,
    /// Number of pieces.
    pub pieces: usize,
    /// Pieces by split.
    pub splits: Tally,
    /// Pieces by their number of parts.
    pub parts: Tally,
    /// Number of notes.
    pub notes: usize,
    /// MIDI pitch of the lowest note.
    pub lowest_pitch: u8,
    /// MIDI pitch of the highest note.
    pub highest_pitch: u8,
    /// Length of all pieces, quarter notes.
    pub quarters: f64,
    /// Number of bars.
    pub bars: usize,
    /// Number of bars, except pickups and last bars, whose length differs from the metre.
    pub odd_bars: usize,
    /// Number of pieces with a pickup.
    pub pickups: usize,
    /// Pieces by key.
    pub keys: Tally,
    /// Number of pieces whose file gives key and mode.
    pub keys_written: usize,
    /// Pieces by their first metre.
    pub metres: Tally,
    /// Notes by duration, as parts of a whole note.
    pub durations: Tally,
    /// Number of pieces with a known tempo.
    pub tempos: usize,
    /// Number of pieces that the reader corrected.
    pub with_remarks: usize,
    /// What was corrected: source and remark.
    pub remarks: Vec<(String, String)>,
    /// What could not be read: source and reason.
    pub skipped: Vec<(String, String)>,
    /// Files of unknown format, by extension.
    pub passed_over: Tally,
}

impl CorpusFigures {
    /// Computes the statistics of a corpus.
    pub fn of(corpus: Corpus) -> Self {
        let pieces = &corpus.pieces;
        let pitches = || pieces.iter().flat_map(Piece::notes).map(|note| note.pitch);
        let parts = |piece: &Piece| match piece.parts.len() {
            1 => "1 part".to_string(),
            several => format!("{several} parts"),
        };
        let remarks =
            pieces.iter().flat_map(|piece| piece.remarks.iter().map(|said| (piece.source.clone(), said.clone())));
        Self {
            files: sorted(corpus.files.iter().map(|(name, count)| (name.to_string(), *count))),
            pieces: pieces.len(),
            splits: count(pieces.iter().filter_map(|piece| piece.split.clone())),
            parts: count(pieces.iter().map(parts)),
            notes: pitches().count(),
            lowest_pitch: pitches().min().unwrap_or(0),
            highest_pitch: pitches().max().unwrap_or(0),
            quarters: pieces.iter().map(|piece| piece.length as f64 / TICKS_PER_BEAT as f64).sum(),
            bars: pieces.iter().map(|piece| piece.bars.len()).sum(),
            odd_bars: pieces.iter().map(odd_bars).sum(),
            pickups: pieces.iter().filter(|piece| piece.pickup() > 0).count(),
            keys: count(pieces.iter().filter_map(Piece::key).map(|key| key.to_string())),
            keys_written: pieces.iter().filter(|piece| piece.written_key.is_some_and(|key| key.mode.is_some())).count(),
            metres: count(
                pieces
                    .iter()
                    .filter_map(|piece| piece.metres.first())
                    .map(|m| format!("{}/{}", m.metre.count, m.metre.unit)),
            ),
            durations: durations(pieces),
            tempos: pieces.iter().filter(|piece| piece.tempo_bpm.is_some()).count(),
            with_remarks: pieces.iter().filter(|piece| !piece.remarks.is_empty()).count(),
            remarks: remarks.collect(),
            skipped: corpus.skipped,
            passed_over: sorted(corpus.passed_over.into_iter().map(|(extension, count)| match extension.as_str() {
                "" => ("no extension".into(), count),
                _ => (format!(".{extension}"), count),
            })),
        }
    }
}

fn odd_bars(piece: &Piece) -> usize {
    let metre_at = |tick| piece.metres.iter().rev().find(|metre| metre.at <= tick);
    let inner = piece.bars.windows(2).skip(1);
    inner.filter(|bar| metre_at(bar[0]).is_some_and(|metre| metre.metre.bar_ticks() != bar[1] - bar[0])).count()
}

fn durations(pieces: &[Piece]) -> Tally {
    let mut counts: HashMap<u64, usize> = HashMap::new();
    for note in pieces.iter().flat_map(Piece::notes) {
        *counts.entry(note.duration).or_default() += 1;
    }
    sorted(counts.into_iter().map(|(ticks, count)| (part_of_a_whole(ticks), count)))
}

/// `1/4` for a quarter note, `3/8` for a dotted one; `~` and a decimal number if it is not a simple fraction.
fn part_of_a_whole(ticks: u64) -> String {
    let whole = 4 * TICKS_PER_BEAT;
    let divisor = gcd(ticks, whole);
    let (num, den) = (ticks / divisor, whole / divisor);
    if den <= 1024 { format!("{num}/{den}") } else { format!("~{:.3}", ticks as f64 / whole as f64) }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn count(words: impl Iterator<Item = String>) -> Tally {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for word in words {
        *counts.entry(word).or_default() += 1;
    }
    sorted(counts.into_iter())
}

fn sorted(counts: impl Iterator<Item = (String, usize)>) -> Tally {
    // Durations between ticks may have the same name.
    let mut sums: HashMap<String, usize> = HashMap::new();
    for (name, count) in counts {
        *sums.entry(name).or_default() += count;
    }
    let mut tally: Tally = sums.into_iter().collect();
    tally.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    tally
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::piece::{Note, Part};

    #[test]
    fn a_corpus_is_counted() {
        let note = |onset, duration, pitch| Note { onset, duration, pitch, velocity: None };
        let notes = vec![note(0, TICKS_PER_BEAT, 60), note(1, TICKS_PER_BEAT, 64), note(2, TICKS_PER_BEAT / 3, 67)];
        let piece = Piece {
            parts: vec![Part { notes, ..Part::default() }],
            length: 2 * TICKS_PER_BEAT,
            remarks: vec!["corrected".into()],
            source: "a".into(),
            ..Piece::default()
        };
        let corpus = Corpus { pieces: vec![piece], skipped: vec![("b".into(), "why".into())], ..Corpus::default() };
        let figures = CorpusFigures::of(corpus);
        assert_eq!((figures.notes, figures.lowest_pitch, figures.highest_pitch), (3, 60, 67));
        assert_eq!(figures.durations, [("1/4".to_string(), 2), ("1/12".to_string(), 1)]);
        assert_eq!(figures.keys, [("C major".to_string(), 1)]);
        assert_eq!((figures.keys_written, figures.with_remarks, figures.quarters), (0, 1, 2.0));
        assert_eq!(figures.parts, [("1 part".to_string(), 1)]);
    }

    #[test]
    fn an_empty_corpus_is_counted() {
        assert_eq!(CorpusFigures::of(Corpus::default()).notes, 0);
    }

    #[test]
    fn odd_durations_have_names() {
        assert_eq!(part_of_a_whole(TICKS_PER_BEAT * 3 / 2), "3/8");
        assert_eq!(part_of_a_whole(TICKS_PER_BEAT / 11), "~0.023");
    }
}
