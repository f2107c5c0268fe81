//! Form and melody: phrases, cadences, keys, sevenths, leaps, repetition; and a piece's figures for the discriminator.

use std::collections::HashSet;

use continuo_model::key;
use continuo_model::rules::Row;
use continuo_model::tokeniser::grid::{NUM_VOICES, STEPS_PER_BEAT};
use serde::Serialize;

use super::harmony::{beats, is_consonant_triad, is_dissonant, percent};
use super::notes::{notes_of, pitch_classes};
use super::phrase_ends::{Detector, stays};
use crate::critique::chords::{Chord, Quality};
use crate::preparation::four_voices::FourVoices;

/// A bar of four beats, in steps.
const BAR_STEPS: usize = 4 * STEPS_PER_BEAT;
/// A local key is that of so many steps.
const WINDOW_STEPS: usize = 2 * BAR_STEPS;

/// The figures of some pieces. A share of 0 cases is NaN here and `null` in JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Form {
    /// Phrases of exactly eight beats, % (see [`phrase_lengths`]).
    pub eight_beats_percent: f64,
    /// Phrases of an odd number of beats, %.
    pub odd_beats_percent: f64,
    /// Ends of phrases in which a dominant's root falls by a fifth to the last root, %.
    pub authentic_percent: f64,
    /// Ends on the dominant of the piece's key that are not authentic, %.
    pub half_percent: f64,
    /// Ends with a fourth falling to the last root, elsewhere, %.
    pub plagal_percent: f64,
    /// Ends with the root rising by a second, from a dominant to its substitute, %.
    pub deceptive_percent: f64,
    /// All other ends on a chord with a root, %.
    pub other_percent: f64,
    /// Minor pieces, %; see [`key::estimate`].
    pub minor_percent: f64,
    /// Pieces whose first two bars are in the key of the last two, %.
    pub same_key_percent: f64,
    /// Bars in the piece's key (with the bar after them), %.
    pub at_home_percent: f64,
    /// Dominant sevenths, also without their fifth, per 100 beats.
    pub dominant_sevenths_per_100: f64,
    /// Leaps of more than a major third per 100 notes.
    pub leaps_per_100: f64,
    /// Leaps that a step in the other direction follows, %.
    pub recovered_percent: f64,
    /// Bars with the pitches of an earlier bar of the piece, %.
    pub repeated_bars_percent: f64,
}

/// Counts of cases: how many have a property, and how many there are.
#[derive(Clone, Copy, Default)]
struct Share(usize, usize);

impl Share {
    fn add(&mut self, has: bool) {
        self.0 += usize::from(has);
        self.1 += 1;
    }

    fn percent(self) -> f64 {
        percent(self.0, self.1)
    }
}

impl Form {
    /// The figures of `pieces`.
    pub fn of(pieces: &[FourVoices], detector: &Detector) -> Self {
        let [mut eight, mut odd, mut minor, mut same_key, mut home, mut sevenths, mut repeated] = [Share::default(); 7];
        let (mut leaps, mut recovered) = (Share::default(), Share::default());
        let mut cadences = [Share::default(); 5];
        for piece in pieces {
            let Some(home_key) = key_of(&piece.rows) else { continue };
            let ends = detector.ends(piece);
            for length in phrase_lengths(piece, &ends) {
                eight.add(length == 8 * STEPS_PER_BEAT);
                odd.add(length % (2 * STEPS_PER_BEAT) == STEPS_PER_BEAT);
            }
            for end in ends {
                if let Some(kind) = Cadence::of(piece, end, home_key) {
                    cadences.iter_mut().enumerate().for_each(|(n, share)| share.add(kind as usize == n));
                }
            }
            minor.add(key::is_minor(home_key));
            let (first, last) = (WINDOW_STEPS.min(piece.rows.len()), piece.rows.len().saturating_sub(WINDOW_STEPS));
            same_key.add(key_of(&piece.rows[..first]) == key_of(&piece.rows[last..]));
            let windows = piece.rows.windows(WINDOW_STEPS).step_by(BAR_STEPS);
            windows.filter_map(key_of).for_each(|local| home.add(local == home_key));
            beats(piece).for_each(|step| sevenths.add(is_dominant_seventh(&piece.rows[step])));
            let mut bars = HashSet::new();
            piece.rows.chunks_exact(BAR_STEPS).for_each(|bar| repeated.add(!bars.insert(bar)));
            for (before, note, after) in moves(piece) {
                let (leap, next) = (note - before, after.map(|after| after - note));
                leaps.add(leap.abs() > 4);
                if leap.abs() > 4
                    && let Some(next) = next
                {
                    recovered.add((1..=2).contains(&next.abs()) && next.signum() != leap.signum());
                }
            }
        }
        let [authentic, half, plagal, deceptive, other] = cadences.map(Share::percent);
        Self {
            eight_beats_percent: eight.percent(),
            odd_beats_percent: odd.percent(),
            authentic_percent: authentic,
            half_percent: half,
            plagal_percent: plagal,
            deceptive_percent: deceptive,
            other_percent: other,
            minor_percent: minor.percent(),
            same_key_percent: same_key.percent(),
            at_home_percent: home.percent(),
            dominant_sevenths_per_100: sevenths.percent(),
            leaps_per_100: leaps.percent(),
            recovered_percent: recovered.percent(),
            repeated_bars_percent: repeated.percent(),
        }
    }

    /// The figures in the order of the table: label, decimals, figure.
    pub fn lines(&self) -> [(&'static str, usize, f64); 14] {
        [
            ("phrases of eight beats, %", 1, self.eight_beats_percent),
            ("phrases of an odd number of beats, %", 1, self.odd_beats_percent),
            ("authentic cadences, % of phrase ends", 1, self.authentic_percent),
            ("half cadences, % of phrase ends", 1, self.half_percent),
            ("plagal cadences, % of phrase ends", 1, self.plagal_percent),
            ("deceptive cadences, % of phrase ends", 1, self.deceptive_percent),
            ("other cadences, % of phrase ends", 1, self.other_percent),
            ("minor pieces, %", 1, self.minor_percent),
            ("first key is the last key, % of pieces", 1, self.same_key_percent),
            ("bars in the piece's key, %", 1, self.at_home_percent),
            ("dominant sevenths per 100 beats", 1, self.dominant_sevenths_per_100),
            ("leaps per 100 notes", 1, self.leaps_per_100),
            ("leaps recovered by a step, %", 1, self.recovered_percent),
            ("bars that repeat an earlier one, %", 1, self.repeated_bars_percent),
        ]
    }
}

/// The lengths of the phrases that end with the chords at `ends`, in steps. A phrase starts where the piece or the
/// phrase before it ends, and lasts to the end of the soprano's last note and of the rest after it.
fn phrase_lengths(piece: &FourVoices, ends: &[usize]) -> Vec<usize> {
    let starts = piece.starts();
    let through = |step: usize| step + stays(piece, &starts, 0, step);
    let over = |end: &usize| {
        let over = through(*end);
        if piece.rows.get(over).is_some_and(|row| row[0].is_none()) { through(over) } else { over }
    };
    let first = piece.rows.iter().take_while(|row| row[0].is_none()).count();
    let borders: Vec<usize> = std::iter::once(first).chain(ends.iter().map(over)).collect();
    borders.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect()
}

/// The key of some rows.
fn key_of(rows: &[Row]) -> Option<u8> {
    key::estimate(&pitch_classes(rows))
}

fn is_dominant_seventh(row: &Row) -> bool {
    Chord::of(row).is_some_and(|chord| chord.quality == Quality::DominantSeventh)
}

/// The end of a phrase, from the last chord with another root to the chord on which the phrase ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cadence {
    /// The root of a dominant (a major triad or a dominant seventh) falls by a fifth.
    Authentic,
    /// Not authentic, and the last chord is the dominant of the piece's key.
    Half,
    /// The root falls by a fourth.
    Plagal,
    /// The root of a dominant rises by a second.
    Deceptive,
    /// None of these.
    Other,
}

impl Cadence {
    /// The cadence to the chord of step `end`. The chord before it lies at most a beat and a half away, on an eighth.
    /// `None` if one of the roots is unknown.
    fn of(piece: &FourVoices, end: usize, home_key: u8) -> Option<Self> {
        let last = Chord::of(&piece.rows[end])?;
        let eighths = (1..=3).filter_map(|eighths| end.checked_sub(eighths * STEPS_PER_BEAT / 2));
        let before = eighths.filter_map(|step| Chord::of(&piece.rows[step])).find(|chord| chord.root != last.root)?;
        let is_dominant = matches!(before.quality, Quality::Major | Quality::DominantSeventh);
        let dominant_of_key = (key::tonic(home_key) + 7) % 12;
        Some(match (before.root + 12 - last.root) % 12 {
            7 if is_dominant => Self::Authentic,
            _ if last.root == dominant_of_key => Self::Half,
            5 => Self::Plagal,
            10 | 11 if is_dominant => Self::Deceptive,
            _ => Self::Other,
        })
    }
}

/// The pitch of each note that differs from the one before it in its voice, between its neighbours.
fn moves(piece: &FourVoices) -> Vec<(i16, i16, Option<i16>)> {
    let starts = piece.starts();
    let of_voice = |voice| {
        let pitches: Vec<i16> = notes_of(piece, &starts, voice).iter().map(|note| i16::from(note.pitch)).collect();
        let at = |n: usize| (pitches[n - 1], pitches[n], pitches.get(n + 1).copied());
        (1..pitches.len()).map(at).filter(|(before, note, _)| before != note).collect::<Vec<_>>()
    };
    (0..NUM_VOICES).flat_map(of_voice).collect()
}

/// A piece's figures for the discriminator: shares of chords on beats, of intervals and of lengths in each voice.
pub fn figures(piece: &FourVoices) -> Vec<f64> {
    let rows: Vec<&Row> = beats(piece).map(|step| &piece.rows[step]).collect();
    let share =
        |has: &dyn Fn(&Row) -> bool| rows.iter().filter(|row| has(row)).count() as f64 / rows.len().max(1) as f64;
    let quality = |quality: Quality| share(&|row| Chord::of(row).is_some_and(|chord| chord.quality == quality));
    let inversion = |n: u8| share(&|row| Chord::of(row).is_some_and(|chord| chord.inversion() == n));
    let mut figures = vec![share(&is_consonant_triad), share(&is_dissonant)];
    figures.extend(Quality::ALL.map(quality));
    figures.extend((0..4).map(inversion));
    if let Some(home) = key_of(&piece.rows) {
        let (classes, scale) = (pitch_classes(&piece.rows), key::scale(home));
        let inside: f64 = (0..12).filter(|class| key::contains(scale, *class)).map(|c| classes[usize::from(c)]).sum();
        figures.extend([f64::from(u8::from(key::is_minor(home))), inside / classes.iter().sum::<f64>()]);
    } else {
        figures.extend([0.0, 0.0]);
    }
    let starts = piece.starts();
    for voice in 0..NUM_VOICES {
        let notes = notes_of(piece, &starts, voice);
        let of_notes = |count: usize| count as f64 / notes.len().max(1) as f64;
        for (from, to) in [(1, 1), (2, 2), (3, 4), (5, 8), (9, usize::MAX)] {
            figures.push(of_notes(notes.iter().filter(|note| (from..=to).contains(&note.steps())).count()));
        }
        for (from, to) in [(0, 0), (1, 2), (3, 4), (5, 7), (8, 127)] {
            let within = |pair: &&[super::notes::Note]| (from..=to).contains(&pair[0].pitch.abs_diff(pair[1].pitch));
            figures.push(of_notes(notes.windows(2).filter(within).count()));
        }
    }
    figures
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

    #[test]
    fn cadences_have_their_names() {
        let check = |music: &str, expect: Option<Cadence>| {
            let piece = chords(music);
            assert_eq!(Cadence::of(&piece, piece.rows.len() - STEPS_PER_BEAT, 0), expect, "{music}");
        };
        check("74 67 59 43 | 72 64 55 48", Some(Cadence::Authentic)); // G, C
        check("74 66 57 50 | 74 67 59 43", Some(Cadence::Authentic)); // D, G: to the dominant's own tonic
        check("72 64 55 48 | 74 67 59 43", Some(Cadence::Half)); // C, G
        check("74 65 57 50 | 74 67 59 43", Some(Cadence::Half)); // D minor, G
        check("72 65 57 53 | 72 64 55 48", Some(Cadence::Plagal)); // F, C
        check("74 67 59 43 | 72 64 57 45", Some(Cadence::Deceptive)); // G, A minor
        check("76 67 59 52 | 72 64 55 48", Some(Cadence::Other)); // E minor, C
        check("74 67 58 43 | 72 64 55 48", Some(Cadence::Other)); // G minor, C
        check("74 67 60 43 | 72 64 55 48", None); // a suspension has no root
        check("72 64 55 48", None);
    }

    #[test]
    fn a_phrase_lasts_to_the_end_of_its_last_note_and_the_rest_after_it() {
        let moving = ["72* 64* 55* 48* | 72 64 55 48"; 4].join("|");
        let last = "74* 65* 57* 50* | 74 65 57 50 | 74 65 57 50 | 74 65 57 50";
        let rest = ". . . . | . . . . ";
        let check = |parts: &[&str], ends: &[usize], expect: &[usize]| {
            assert_eq!(phrase_lengths(&piece(&parts.join("|")), ends), expect, "{parts:?}");
        };
        check(&[&moving, last, &moving, last], &[8, 20], &[12, 12]);
        check(&[rest, &moving, last, rest, &moving, last], &[10, 24], &[14, 12]);
        check(&[&moving, last, &moving], &[8], &[12]);
        check(&[&moving], &[], &[]);
    }

    #[test]
    fn sevenths_leaps_and_repeated_bars_are_counted() {
        // C, C, G7, C, twice; the soprano leaps a fourth up from G to C, and then steps down once.
        let bar = "67 64 55 48 | 72 64 55 48 | 71 65 55 43 | 72 64 55 48";
        let form = Form::of(&[chords(&format!("{bar} | {bar}"))], &Detector::OF_CHORALES);
        assert_eq!((form.dominant_sevenths_per_100, form.repeated_bars_percent), (25.0, 50.0));
        // Soprano: +5 -1 +1 -5 +5 -1 +1; alto +1 -1 +1 -1; bass -5 +5 -5 +5.
        assert_eq!((form.leaps_per_100, form.minor_percent), (100.0 * 7.0 / 15.0, 0.0));
        // Two of the soprano's leaps up are followed by a step down; its leap down and the bass's are not.
        assert_eq!(form.recovered_percent, 100.0 * 2.0 / 6.0);
    }

    #[test]
    fn every_piece_has_as_many_figures() {
        let lengths =
            ["67 64 55 48 | 72 64 55 48", ". . . .", "67 . . . | 68 . . ."].map(|text| figures(&chords(text)));
        assert!(lengths.iter().all(|figures| figures.len() == lengths[0].len()));
        assert!(lengths.iter().flatten().all(|figure| figure.is_finite()));
    }
}
