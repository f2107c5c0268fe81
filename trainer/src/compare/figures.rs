//! The figures of a window of four bars. A side's figures are the means over its windows, so the length of a piece does
//! not matter.

use std::collections::{BTreeMap, BTreeSet};

use continuo_model::key;

use super::music::{BAR_QUARTERS, BAR_STEPS, Event, Music, Note, WINDOW_BARS};

/// Lengths are rounded to this part of a quarter note: 16ths, and the 16ths of triplets.
const LENGTHS_PER_QUARTER: f64 = 12.0;
/// A longer length counts as this long: four quarter notes.
const LONGEST: i64 = 48;
/// A bar is compared with as many bars before it.
const BARS_BEFORE: usize = 16;
/// Intervals above a major third are leaps.
const STEP_SEMITONES: u8 = 4;

/// What a figure is called.
pub struct Name {
    /// In JSON.
    pub key: &'static str,
    /// In the table.
    pub label: &'static str,
    /// Its decimals in the table.
    pub decimals: usize,
}

const fn name(key: &'static str, label: &'static str, decimals: usize) -> Name {
    Name { key, label, decimals }
}

/// The figures, in the order of [`of_window`]. trainer/README.md defines each.
pub const NAMES: [Name; 15] = [
    name("notes_per_event", "notes per event", 2),
    name("voices_sounding", "voices sounding", 2),
    name("silence_percent", "silence, % of the time", 1),
    name("onsets_per_bar", "onset positions per bar", 2),
    name("off_grid_ticks", "distance from the 16ths, 1/96 quarter", 2),
    name("off_grid_spread_ticks", "its standard deviation", 2),
    name("interval_entropy_bits", "rhythm entropy: between onsets, bits", 2),
    name("duration_entropy_bits", "rhythm entropy: durations, bits", 2),
    name("distinct_rhythms_percent", "distinct rhythms, % of bars", 1),
    name("range_semitones", "range, semitones", 1),
    name("leaps_percent", "leaps of the top line, %", 1),
    name("repeated_bars_percent", "repeated bars, %", 1),
    name("out_of_scale_percent", "out of scale, % of notes", 1),
    name("velocity_mean", "velocity, mean", 1),
    name("velocity_spread", "velocity, standard deviation", 1),
];
/// The figures of velocities are the last ones.
pub const NUM_VELOCITY: usize = 2;

/// The figures of a window. Those of velocities are NaN if a note has none.
pub type Figures = [f64; NAMES.len()];

/// A window of a piece.
pub struct Window {
    /// Its figures.
    pub figures: Figures,
    /// Distances of its events from the nearest 16th, in 1/96 of a quarter note; below 0 before it.
    pub off_grid: Vec<f64>,
    /// The velocities of its notes; empty if one has none.
    pub velocities: Vec<f64>,
}

/// The windows of a piece in which a note starts, one after the other. What is left over at the end does not count.
pub fn windows(music: &Music) -> Vec<Window> {
    let bars = Bars::of(music);
    (0..music.bars / WINDOW_BARS).filter_map(|n| of_window(music, &bars, n * WINDOW_BARS)).collect()
}

/// The events of each bar, by the nearest 16th.
struct Bars {
    /// The 16ths of each bar in which events start.
    rhythms: Vec<BTreeSet<usize>>,
    /// The same with the pitches.
    contents: Vec<BTreeSet<(usize, u8)>>,
}

impl Bars {
    fn of(music: &Music) -> Self {
        let mut bars = Self { rhythms: vec![BTreeSet::new(); music.bars], contents: vec![BTreeSet::new(); music.bars] };
        for event in &music.events {
            let step = event.step().max(0) as usize;
            let (bar, step) = (step / BAR_STEPS, step % BAR_STEPS);
            if bar < music.bars {
                bars.rhythms[bar].insert(step);
                bars.contents[bar].extend(event.notes.iter().map(|note| (step, note.pitch)));
            }
        }
        bars
    }

    /// The share of the bars from `first` on that none of the bars before them equals, in %. Silent bars do not count.
    fn new_percent<T: Ord>(bars: &[BTreeSet<T>], first: usize) -> f64 {
        let sounding = (first..first + WINDOW_BARS).filter(|bar| !bars[*bar].is_empty());
        let is_new = |bar: usize| !bars[bar.saturating_sub(BARS_BEFORE)..bar].contains(&bars[bar]);
        percent(sounding.map(is_new))
    }
}

/// The figures of the window that begins with a bar; `None` if no note starts in it.
fn of_window(music: &Music, bars: &Bars, first_bar: usize) -> Option<Window> {
    let step = |bar: usize| (bar * BAR_STEPS) as i64;
    let index = |step: i64| music.events.partition_point(|event| event.step() < step);
    let (from, to) = (index(step(first_bar)), index(step(first_bar + WINDOW_BARS)));
    let events = &music.events[from..to];
    if events.is_empty() {
        return None;
    }
    let notes = || events.iter().flat_map(|event| &event.notes);
    let count = notes().count() as f64;
    let off_grid: Vec<f64> = events.iter().map(|event| 96.0 * event.start - 24.0 * event.step() as f64).collect();
    let (voices, silence) = sounding(&music.events[..to], first_bar);
    // The interval from the window's last event leads out of it.
    let starts = music.events[from..(to + 1).min(music.events.len())].windows(2);
    let intervals = starts.map(|pair| pair[1].start - pair[0].start);
    let positions: BTreeSet<i64> =
        events.iter().map(|event| (event.start * LENGTHS_PER_QUARTER).round() as i64).collect();
    let pitches = || notes().map(|note| note.pitch);
    let tops = events.windows(2).map(|pair| pair[0].notes[0].pitch.abs_diff(pair[1].notes[0].pitch));
    let all: Option<Vec<f64>> = notes().map(|note| note.velocity.map(f64::from)).collect();
    let velocities = all.unwrap_or_default();
    let figures = [
        count / events.len() as f64,
        voices,
        silence,
        positions.len() as f64 / WINDOW_BARS as f64,
        mean(&off_grid.iter().map(|ticks| ticks.abs()).collect::<Vec<_>>()),
        spread(&off_grid),
        entropy_bits(intervals),
        entropy_bits(notes().map(|note| note.end - note.start)),
        Bars::new_percent(&bars.rhythms, first_bar),
        f64::from(pitches().max()? - pitches().min()?),
        percent(tops.map(|interval| interval > STEP_SEMITONES)),
        100.0 - Bars::new_percent(&bars.contents, first_bar),
        out_of_scale_percent(notes),
        mean(&velocities),
        spread(&velocities),
    ];
    Some(Window { figures, off_grid, velocities })
}

/// The mean number of notes that sound while any does, and the share of the time in which none does, %. `events` are
/// those up to the window's end: earlier notes may still sound.
fn sounding(events: &[Event], first_bar: usize) -> (f64, f64) {
    let from = (first_bar * BAR_QUARTERS) as f64;
    let to = from + (WINDOW_BARS * BAR_QUARTERS) as f64;
    let inside = |note: &Note| (note.start.max(from), note.end.min(to));
    let mut spans: Vec<(f64, f64)> = events.iter().flat_map(|event| event.notes.iter().map(inside)).collect();
    spans.retain(|(start, end)| end > start);
    let total: f64 = spans.iter().map(|(start, end)| end - start).sum();
    spans.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut covered, mut until) = (0.0, from);
    for (start, end) in spans {
        covered += (end - start.max(until)).max(0.0);
        until = until.max(end);
    }
    (if covered > 0.0 { total / covered } else { 0.0 }, 100.0 * (1.0 - covered / (to - from)))
}

/// The share of notes outside the scale of the window's key, %.
fn out_of_scale_percent<'a, I: Iterator<Item = &'a Note>>(notes: impl Fn() -> I) -> f64 {
    let mut classes = [0.0; 12];
    notes().for_each(|note| classes[usize::from(note.pitch % 12)] += note.end - note.start);
    let Some(key) = key::estimate(&classes) else { return 0.0 };
    percent(notes().map(|note| !key::contains(key::scale(key), note.pitch)))
}

/// The entropy of lengths in quarter notes, rounded.
fn entropy_bits(lengths: impl Iterator<Item = f64>) -> f64 {
    let mut counts: BTreeMap<i64, f64> = BTreeMap::new();
    for length in lengths {
        *counts.entry(((length * LENGTHS_PER_QUARTER).round() as i64).clamp(1, LONGEST)).or_default() += 1.0;
    }
    let total: f64 = counts.values().sum();
    counts.values().map(|count| -count / total * (count / total).log2()).sum::<f64>().max(0.0)
}

/// The share of cases, %; 0 of none.
fn percent(cases: impl Iterator<Item = bool>) -> f64 {
    let (yes, all) = cases.fold((0.0, 0.0), |(yes, all), case| (yes + f64::from(u8::from(case)), all + 1.0));
    if all > 0.0 { 100.0 * yes / all } else { 0.0 }
}

/// The mean; NaN of none.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The standard deviation; NaN of none.
fn spread(values: &[f64]) -> f64 {
    let centre = mean(values);
    (values.iter().map(|value| (value - centre).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::compare::music::tests::music;

    /// A figure by its key.
    pub fn figure(figures: &Figures, key: &str) -> f64 {
        figures[NAMES.iter().position(|name| name.key == key).unwrap()]
    }

    fn check(words: &str, expect: &[(&str, f64)]) {
        let windows = windows(&music(words));
        assert_eq!(windows.len(), 1, "{words}");
        for (key, expect) in expect {
            let found = figure(&windows[0].figures, key);
            assert!((found - expect).abs() < 1e-9, "{key}: {found}, not {expect}");
        }
    }

    #[test]
    fn a_held_chord_under_a_line() {
        // A chord of three held for all four bars; two half notes above it; then silence in the last bar but the chord.
        check(
            "0+64:48.52.55 8+8:72 16+8:76",
            &[
                ("notes_per_event", 5.0 / 3.0),
                ("voices_sounding", 3.0 + 16.0 / 64.0),
                ("silence_percent", 0.0),
                ("onsets_per_bar", 3.0 / 4.0),
                ("interval_entropy_bits", 0.0),
                // Three of 48 (four quarters at most) and two of 24.
                ("duration_entropy_bits", -0.6 * 0.6_f64.log2() - 0.4 * 0.4_f64.log2()),
                ("range_semitones", 28.0),
                // 55 to 72 is a leap, 72 to 76 is not.
                ("leaps_percent", 50.0),
                ("out_of_scale_percent", 0.0),
            ],
        );
    }

    #[test]
    fn bars_are_compared_with_those_before() {
        // The second bar repeats the first; the third has its rhythm but other pitches; the fourth is silent at first.
        check(
            "0+4:60 8+4:64 16+4:60 24+4:64 32+4:62 40+4:65 52+12:60",
            &[
                ("distinct_rhythms_percent", 50.0),
                ("repeated_bars_percent", 25.0),
                ("silence_percent", 100.0 * (1.0 - 36.0 / 64.0)),
                ("notes_per_event", 1.0),
                ("voices_sounding", 1.0),
            ],
        );
    }

    #[test]
    fn what_is_new_is_new_for_sixteen_bars() {
        let bar = |n: usize, pitch: usize| format!("{}+16:{pitch} ", 16 * n);
        let words: String = (0..20).map(|n| bar(n, if n == 0 || n == 17 { 50 } else { 60 + n })).collect();
        let windows = windows(&music(&words));
        let repeated: Vec<f64> = windows.iter().map(|w| figure(&w.figures, "repeated_bars_percent")).collect();
        assert_eq!(repeated, [0.0, 0.0, 0.0, 0.0, 0.0], "the first bar is 17 bars before");
        let words: String = (0..20).map(|n| bar(n, if n == 1 || n == 17 { 50 } else { 60 + n })).collect();
        let windows = super::windows(&music(&words));
        assert_eq!(figure(&windows[4].figures, "repeated_bars_percent"), 25.0);
    }

    #[test]
    fn timing_scales_and_velocities() {
        // Steps in C major with an F#; the second note is 3/96 of a quarter late, the third as much early.
        check(
            "0+16:60v40 16.125+16:64v60 31.875+16:67v80 48+8:72v100 56+8:66v100",
            &[
                ("off_grid_ticks", 6.0 / 5.0),
                ("off_grid_spread_ticks", (18.0_f64 / 5.0).sqrt()),
                ("out_of_scale_percent", 20.0),
                ("velocity_mean", 76.0),
                ("velocity_spread", ((36.0_f64.powi(2) + 16.0_f64.powi(2) + 16.0 + 2.0 * 576.0) / 5.0).sqrt()),
            ],
        );
        let without = windows(&music("0+16:60v40 16+48:64"));
        assert!(figure(&without[0].figures, "velocity_mean").is_nan() && without[0].velocities.is_empty());
    }

    #[test]
    fn windows_hold_four_bars_and_silent_ones_do_not_count() {
        let long = music("0+64:60 150+16:62 192+60:64");
        assert_eq!((long.bars, windows(&long).len()), (16, 3));
        assert_eq!(windows(&music("0+50:60")).len(), 0, "three bars and a bit");
        // The long note of the first window still sounds in the second.
        let tied = windows(&music("0+96:60 96+32:62"));
        assert_eq!(figure(&tied[1].figures, "silence_percent"), 0.0);
        assert_eq!(figure(&tied[1].figures, "notes_per_event"), 1.0);
    }
}
