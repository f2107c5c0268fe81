//! The harmony on beats: consonant triads, dissonances, parallels from beat to beat, and agreement with the composer.

use continuo_model::key;
use continuo_model::rules::{self, PAIRS, Row};
use continuo_model::tokeniser::grid::STEPS_PER_BEAT;
use serde::Serialize;

use crate::critique::chords::{Chord, Quality};
use crate::critique::counts::Counts;
use crate::preparation::four_voices::FourVoices;

/// The steps on a beat. A beat is each quarter of the bar, judged by what sounds in its first 16th.
pub fn beats(piece: &FourVoices) -> impl Iterator<Item = usize> + use<> {
    (0..piece.rows.len()).step_by(STEPS_PER_BEAT)
}

/// Whether a step sounds a consonant triad: a major or minor triad in any inversion, complete or without its fifth.
pub fn is_consonant_triad(row: &Row) -> bool {
    Chord::of(row).is_some_and(|chord| matches!(chord.quality, Quality::Major | Quality::Minor))
}

/// Whether a step is dissonant: any two sounding pitch classes form a second, a seventh or a tritone. A fourth above
/// the bass does not count. By this definition a quarter of Bach's beats are dissonant.
pub fn is_dissonant(row: &Row) -> bool {
    let classes = key::classes_of(row.iter().flatten().copied());
    [1, 2, 6].into_iter().any(|interval| classes & key::transposed(classes, interval) != 0)
}

/// The parallel fifths, octaves and unisons between the chords on consecutive beats, whatever lies between them.
pub fn beat_parallels(piece: &FourVoices) -> usize {
    let beats: Vec<usize> = beats(piece).collect();
    let between = |pair: &[usize]| {
        let (before, row) = (&piece.rows[pair[0]], &piece.rows[pair[1]]);
        PAIRS.iter().filter(|&&voices| rules::parallel(before, row, voices).is_some()).count()
    };
    beats.windows(2).map(between).sum()
}

/// The figures of some pieces. A share of 0 cases is NaN here and `null` in JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Harmony {
    /// Beats with a consonant triad (see [`is_consonant_triad`]), %.
    pub consonant_triads_percent: f64,
    /// Beats with a dissonance (see [`is_dissonant`]), %.
    pub dissonant_beats_percent: f64,
    /// Steps with crossed voices, %.
    pub crossing_percent: f64,
    /// Steps with soprano and alto, or alto and tenor, more than an octave apart, %.
    pub wide_spacing_percent: f64,
    /// Parallel fifths, octaves and unisons per 100 notes. As in `critique`, a note is a voice that changes pitch.
    pub parallels_per_100: f64,
    /// Parallels between the chords on consecutive beats, per 100 notes.
    pub beat_parallels_per_100: f64,
    /// Direct fifths and octaves of the outer voices per 100 notes.
    pub direct_per_100: f64,
    /// Note starts per quarter note in which a voice sounds, in pieces with known attacks.
    pub attacks_per_quarter: f64,
}

impl Harmony {
    /// The figures of `pieces`.
    pub fn of(pieces: &[FourVoices]) -> Self {
        let counts: Counts = pieces.iter().map(Counts::of).sum();
        let on_beats = |is: fn(&Row) -> bool| -> f64 {
            let rows = || pieces.iter().flat_map(|piece| beats(piece).map(|step| &piece.rows[step]));
            percent(rows().filter(|row| is(row)).count(), rows().count())
        };
        Self {
            consonant_triads_percent: on_beats(is_consonant_triad),
            dissonant_beats_percent: on_beats(is_dissonant),
            crossing_percent: percent(counts.crossing_steps, counts.steps),
            wide_spacing_percent: percent(counts.wide_steps, counts.steps),
            parallels_per_100: percent(counts.parallels(), counts.onsets),
            beat_parallels_per_100: percent(pieces.iter().map(beat_parallels).sum(), counts.onsets),
            direct_per_100: percent(counts.direct, counts.onsets),
            attacks_per_quarter: (STEPS_PER_BEAT * counts.attacks) as f64 / counts.attack_cells as f64,
        }
    }

    /// The figures in the order of the table: label, decimals, figure.
    pub fn lines(&self) -> [(&'static str, usize, f64); 8] {
        [
            ("consonant triads, % of beats", 1, self.consonant_triads_percent),
            ("with a dissonance, % of beats", 1, self.dissonant_beats_percent),
            ("voices crossing, % of steps", 2, self.crossing_percent),
            ("S-A or A-T over an octave, % of steps", 2, self.wide_spacing_percent),
            ("parallels per 100 notes", 3, self.parallels_per_100),
            ("parallels from beat to beat per 100 notes", 3, self.beat_parallels_per_100),
            ("direct fifths and octaves per 100 notes", 3, self.direct_per_100),
            ("attacks per quarter and voice", 3, self.attacks_per_quarter),
        ]
    }
}

/// On how many beats the network agrees with the composer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Agreement {
    /// The same root, % of the beats on which the composer's chord has one (see [`Chord`]).
    pub root_percent: f64,
    /// The same root and quality, % of those beats.
    pub root_and_quality_percent: f64,
    /// The same inversion, whatever the root, % of those beats.
    pub inversion_percent: f64,
    /// The same root, quality and inversion, % of those beats.
    pub chord_percent: f64,
    /// The same pitch class as the lowest note, % of the beats on which the composer's music sounds.
    pub bass_percent: f64,
}

impl Agreement {
    /// The agreement of pairs of pieces, the composer's first.
    pub fn of<'a>(pairs: impl Iterator<Item = (&'a FourVoices, &'a FourVoices)>) -> Self {
        let (mut chords, mut basses) = (0, 0);
        let [mut root, mut quality, mut inversion, mut chord, mut bass] = [0; 5];
        for (composer, network) in pairs {
            for step in beats(composer) {
                let (theirs, ours) = (&composer.rows[step], &network.rows[step]);
                let lowest = |row: &Row| row.iter().flatten().min().map(|pitch| pitch % 12);
                basses += usize::from(lowest(theirs).is_some());
                bass += usize::from(lowest(theirs).is_some() && lowest(theirs) == lowest(ours));
                let Some(theirs) = Chord::of(theirs) else { continue };
                chords += 1;
                let Some(ours) = Chord::of(ours) else { continue };
                let same_root = ours.root == theirs.root;
                let same_inversion = ours.inversion() == theirs.inversion();
                root += usize::from(same_root);
                quality += usize::from(same_root && ours.quality == theirs.quality);
                inversion += usize::from(same_inversion);
                chord += usize::from(same_root && ours.quality == theirs.quality && same_inversion);
            }
        }
        Self {
            root_percent: percent(root, chords),
            root_and_quality_percent: percent(quality, chords),
            inversion_percent: percent(inversion, chords),
            chord_percent: percent(chord, chords),
            bass_percent: percent(bass, basses),
        }
    }

    /// The figures in the order of the table.
    pub fn lines(&self) -> [(&'static str, f64); 5] {
        [
            ("root", self.root_percent),
            ("root and quality", self.root_and_quality_percent),
            ("inversion", self.inversion_percent),
            ("root, quality and inversion", self.chord_percent),
            ("pitch class of the bass", self.bass_percent),
        ]
    }
}

/// A share in percent; NaN of nothing.
pub fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preparation::four_voices::tests::piece;

    /// A piece of chords that each sound for a beat.
    fn chords(text: &str) -> FourVoices {
        let steps: Vec<String> = text.split('|').flat_map(|chord| vec![chord.to_string(); STEPS_PER_BEAT]).collect();
        piece(&steps.join("|"))
    }

    const C: &str = "72 64 55 48";

    #[test]
    fn triads_and_dissonances_on_beats() {
        let check = |music: &str, triad: bool, dissonant: bool| {
            let row = piece(music).rows[0];
            assert_eq!((is_consonant_triad(&row), is_dissonant(&row)), (triad, dissonant), "{music}");
        };
        check(C, true, false);
        check("72 64 55 43", true, false); // a fourth above the bass
        check("69 60 57 45", true, false); // without its fifth
        check("67 60 55 48", false, false); // an open fifth
        check("72 65 55 48", false, true); // a suspended fourth
        check("74 65 59 50", false, true); // a diminished triad: its tritone
        check("72 64 56 48", false, false); // an augmented triad
        check("70 64 55 48", false, true); // a minor seventh
        check("71 64 55 48", false, true); // a major seventh, from the other side
        check("61 60 . .", false, true);
        check(". . . .", false, false);
    }

    #[test]
    fn only_beats_count() {
        let suspension = "72 65 55 48";
        let music = piece(&[C, suspension, suspension, suspension, suspension, C, C, C, C].join("|"));
        let harmony = Harmony::of(&[music]);
        assert_eq!((harmony.consonant_triads_percent, harmony.dissonant_beats_percent), (200.0 / 3.0, 100.0 / 3.0));
        assert!(harmony.attacks_per_quarter.is_nan(), "unknown attacks");
    }

    #[test]
    fn parallels_from_beat_to_beat_are_seen_behind_passing_notes() {
        // Tenor and bass in fifths on two beats; a sixth lies between.
        let hidden = piece("72 64 55 48|72 64 55 48|72 64 57 48|72 64 57 48|72 65 57 50");
        assert_eq!(beat_parallels(&hidden), 1);
        assert_eq!(Harmony::of(std::slice::from_ref(&hidden)).parallels_per_100, 0.0);
        assert_eq!(beat_parallels(&piece("72 64 55 48|72 64 57 50|72 64 55 48|72 64 55 48|72 64 55 48")), 0);
    }

    #[test]
    fn agreement_is_counted_where_the_composer_has_a_chord() {
        // C, F, a suspension, G in first inversion, C; the network: C in first inversion, D minor, C, G, A minor.
        let bach = chords("72 64 55 48 | 72 65 57 53 | 72 65 55 48 | 74 67 62 47 | 72 64 55 48");
        let network = chords("72 64 55 52 | 69 65 57 50 | 72 64 55 48 | 74 67 59 43 | 72 64 57 45");
        let found = Agreement::of([(&bach, &network)].into_iter());
        let expect = Agreement {
            root_percent: 50.0,
            root_and_quality_percent: 50.0,
            inversion_percent: 50.0,
            chord_percent: 0.0,
            bass_percent: 20.0,
        };
        assert_eq!(found, expect);
        let same = Agreement::of([(&bach, &bach)].into_iter());
        assert!(same.lines().iter().all(|(_, figure)| *figure == 100.0), "{same:?}");
    }
}
