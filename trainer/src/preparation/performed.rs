//! Prepares pieces for performance models: notes in ticks, 96 a quarter, with lanes, lengths and velocities.

use anyhow::{Context, Result};
use continuo_model::decision::TICKS_PER_STEP;
use continuo_model::tokeniser::grid::STEPS_PER_BEAT;
use continuo_model::tokeniser::note_reader::Place;
use continuo_model::tokeniser::step_reader::BarPosition;
use serde::Deserialize;

use super::song::name_of;
use super::{HoldOut, Identity};
use crate::corpus::piece::{self, Part, Piece};
use crate::recipe::Recipe;

/// Ticks of the corpus in one of a performance model's.
const CORPUS_TICKS: u64 = piece::TICKS_PER_BEAT / (STEPS_PER_BEAT as u64 * TICKS_PER_STEP as u64);
/// A part or note from here up counts as the right hand's, if nothing else tells.
const MIDDLE_C: u8 = 60;
/// Half of the stretch whose mean tempo is the steady one: two quarters.
const STEADY_TICKS: f64 = 2.0 * TICKS_PER_BEAT;
/// The most that played timing moves a note, in ticks: half a 16th.
const MAX_DEVIATION: f64 = 12.0;
const TICKS_PER_BEAT: f64 = STEPS_PER_BEAT as f64 * TICKS_PER_STEP as f64;

/// How music becomes performed pieces.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Performed {
    /// What the lanes are.
    pub lanes: LanePlan,
    /// Where notes lie.
    #[serde(default)]
    pub timing: Timing,
    /// Whether the sustain pedal lengthens notes.
    #[serde(default)]
    pub pedal: bool,
    /// Whether to take repeats once, as written, instead of as played.
    #[serde(default)]
    pub as_written: bool,
    /// Pieces with fewer notes are left out.
    #[serde(default = "default_fewest")]
    pub fewest_notes: usize,
    /// The share of windows in which some lanes are the player's; the network learns what the others play with them.
    #[serde(default)]
    pub given_lanes: f32,
    /// The share of pieces to hold out.
    #[serde(default = "default_held_out")]
    pub held_out: f64,
    /// Selects which pieces are held out; another number selects others.
    #[serde(default)]
    pub held_out_draw: u64,
    /// Two pieces that share more than this of the runs of 13 notes in the shorter one are near-duplicates.
    #[serde(default = "default_shared_runs")]
    pub shared_runs: f64,
    /// The name of TSV files in a data folder or beside it that say which files belong to one work.
    #[serde(default)]
    pub groups: Option<String>,
}

/// What the lanes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LanePlan {
    /// One lane with all parts.
    One,
    /// Two: the right hand and the left hand. Of two parts the higher one is the right hand's; of other numbers, each
    /// part goes by its mean pitch; of one part, each note by its own.
    Hands,
    /// Three: the first part, then the two hands of the others.
    Song,
    /// One lane with drums, in nine classes.
    Drums,
}

/// Where notes lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Timing {
    /// Where the file has them.
    #[default]
    Written,
    /// A little earlier or later, by how the file's tempo differs from a steady one around the note.
    Played,
}

fn default_fewest() -> usize {
    32
}

fn default_held_out() -> f64 {
    0.1
}

fn default_shared_runs() -> f64 {
    0.4
}

impl LanePlan {
    /// The number of lanes.
    pub fn count(self) -> usize {
        match self {
            Self::One | Self::Drums => 1,
            Self::Hands => 2,
            Self::Song => 3,
        }
    }
}

impl Performed {
    /// The options in a recipe for a performance model.
    ///
    /// # Errors
    /// If the section is missing, or an option has an invalid value.
    pub fn of(recipe: &Recipe) -> Result<Self> {
        let table = recipe.preparation.clone();
        let table =
            table.context("preparation: expected this section in the recipe of a performance model, got none")?;
        let options: Self = table.try_into().context("preparation")?;
        options.hold_out().check()?;
        anyhow::ensure!(
            (0.0..=1.0).contains(&options.given_lanes),
            "preparation.given_lanes: expected a share from 0 to 1, got {}",
            options.given_lanes
        );
        Ok(options)
    }

    /// How pieces are held out.
    pub fn hold_out(&self) -> HoldOut {
        HoldOut { share: self.held_out, draw: self.held_out_draw, shared_runs: self.shared_runs }
    }
}

/// A note. Times are in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerformedNote {
    /// When it starts.
    pub tick: i64,
    /// When it ends; later than it starts.
    pub end: i64,
    /// Its lane.
    pub lane: u8,
    /// MIDI key.
    pub key: u8,
    /// MIDI velocity, if the file has it.
    pub velocity: Option<u8>,
}

/// A bar: its first step and its length in steps.
pub type Bar = (i64, i64);

/// A piece for a performance model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PerformedPiece {
    /// Its name: the file's name without folders, and the title.
    pub name: String,
    /// The split that its file assigns it to.
    pub split: Option<String>,
    /// In order of onset, then lane, then from the top.
    pub notes: Vec<PerformedNote>,
    /// Its bars in order; empty if its metre is unknown. A pickup is the end of a whole bar.
    pub bars: Vec<Bar>,
    /// Quarter notes per minute.
    pub tempo_bpm: Option<f64>,
    /// The first metre.
    pub metre: (u8, u8),
}

impl PerformedPiece {
    /// Prepares a piece. The error is the reason to leave it out.
    pub fn of(piece: &Piece, options: &Performed) -> Result<Self, String> {
        let clock = (options.timing == Timing::Played).then(|| Clock::new(&piece.tempi));
        let mut notes = Vec::new();
        for (part, lane_of) in lanes(piece, options.lanes) {
            let sounding = if options.pedal { part.pedalled() } else { part.notes.clone() };
            for note in sounding {
                let lane = lane_of.unwrap_or(u8::from(note.pitch < MIDDLE_C));
                let key = if options.lanes == LanePlan::Drums { drum(note.pitch) } else { Some(note.pitch) };
                let Some(key) = key else { continue };
                let tick = |corpus_ticks: u64| {
                    let written = corpus_ticks as f64 / CORPUS_TICKS as f64;
                    (written + clock.as_ref().map_or(0.0, |clock| clock.deviation(written))).round() as i64
                };
                let start = tick(note.onset).max(0);
                let end = tick(note.end()).max(start + 1);
                notes.push(PerformedNote { tick: start, end, lane, key, velocity: note.velocity });
            }
        }
        if notes.len() < options.fewest_notes {
            return Err(format!("fewer than {} notes", options.fewest_notes));
        }
        notes.sort_by_key(|note| (note.tick, note.lane, std::cmp::Reverse(note.key)));
        // Two parts may strike one key together.
        notes.dedup_by_key(|note| (note.tick, note.lane, note.key));
        Ok(Self {
            name: name_of(piece),
            split: piece.split.clone(),
            notes,
            bars: bars(piece),
            tempo_bpm: piece.tempo_bpm,
            metre: super::metre(piece),
        })
    }

    /// The properties that decide its split.
    pub fn identity(&self) -> Identity {
        let mut top_line: Vec<(i64, u8)> = Vec::new();
        for note in &self.notes {
            match top_line.last_mut() {
                Some((tick, key)) if *tick == note.tick => *key = (*key).max(note.key),
                _ => top_line.push((note.tick, note.key)),
            }
        }
        let top_line = top_line.into_iter().map(|(_, key)| key).collect();
        Identity { name: self.name.clone(), split: self.split.clone(), top_line }
    }

    /// Where a step lies.
    pub fn place(&self, step: i64) -> Place {
        let next = self.bars.partition_point(|(first, _)| *first <= step);
        let Some(&(first, length)) = next.checked_sub(1).and_then(|bar| self.bars.get(bar)) else {
            return Place::default();
        };
        let step_in_bar = (step - first).rem_euclid(length.max(1));
        Place {
            step_in_beat: Some((step_in_bar % STEPS_PER_BEAT as i64) as u8),
            bar: u8::try_from(length).ok().map(|bar_steps| BarPosition { step_in_bar: step_in_bar as u8, bar_steps }),
        }
    }
}

/// The parts with the lane of each; `None` if each note goes by its pitch.
fn lanes(piece: &Piece, plan: LanePlan) -> Vec<(&Part, Option<u8>)> {
    match plan {
        LanePlan::One => piece.parts.iter().map(|part| (part, Some(0))).collect(),
        LanePlan::Drums => piece.drums.iter().map(|part| (part, Some(0))).collect(),
        LanePlan::Hands => hands(&piece.parts),
        LanePlan::Song => {
            let Some((first, others)) = piece.parts.split_first() else { return Vec::new() };
            let others = hands(others).into_iter().map(|(part, lane)| (part, Some(1 + lane.unwrap_or(0))));
            [(first, Some(0))].into_iter().chain(others).collect()
        }
    }
}

fn hands(parts: &[Part]) -> Vec<(&Part, Option<u8>)> {
    let mean =
        |part: &Part| part.notes.iter().map(|note| f64::from(note.pitch)).sum::<f64>() / part.notes.len().max(1) as f64;
    match parts {
        [one] => vec![(one, None)],
        [a, b] => vec![(a, Some(u8::from(mean(a) < mean(b)))), (b, Some(u8::from(mean(a) >= mean(b))))],
        _ => parts.iter().map(|part| (part, Some(u8::from(mean(part) < MIDDLE_C.into())))).collect(),
    }
}

/// The class of a key of the drum kit, as the key that stands for it (Gillick and others, "Learning to groove with
/// inverse sequence transformations", 2019); `None` for other keys.
fn drum(key: u8) -> Option<u8> {
    Some(match key {
        35 | 36 => 36,
        37 | 38 | 40 => 38,
        22 | 42 | 44 => 42,
        26 | 46 => 46,
        41 | 43 | 58 => 43,
        45 | 47 => 47,
        48 | 50 => 50,
        49 | 52 | 55 | 57 => 49,
        51 | 53 | 59 => 51,
        _ => return None,
    })
}

fn bars(piece: &Piece) -> Vec<Bar> {
    if piece.metres.is_empty() {
        return Vec::new();
    }
    let step = |corpus_ticks: u64| (corpus_ticks as f64 / (CORPUS_TICKS * u64::from(TICKS_PER_STEP)) as f64).round();
    let starts: Vec<i64> = piece.bars.iter().map(|start| step(*start) as i64).collect();
    let mut bars: Vec<Bar> = starts.windows(2).map(|pair| (pair[0], pair[1] - pair[0])).collect();
    bars.extend(starts.last().map(|last| (*last, bars.last().map_or(16, |(_, length)| *length))));
    bars.retain(|(_, length)| *length > 0);
    if piece.pickup() > 0
        && let [(first, short), (_, whole), ..] = bars[..]
    {
        bars[0] = (first - (whole - short), whole);
    }
    bars
}

/// The file's tempi as a clock.
struct Clock {
    /// Stretches: their start in ticks and in seconds, and the seconds of a tick.
    stretches: Vec<(f64, f64, f64)>,
}

impl Clock {
    fn new(tempi: &[(u64, f64)]) -> Self {
        let seconds_per_tick = |bpm: f64| 60.0 / (bpm * TICKS_PER_BEAT);
        let mut stretches = vec![(0.0, 0.0, seconds_per_tick(120.0))];
        for (at, bpm) in tempi {
            let at = *at as f64 / CORPUS_TICKS as f64;
            let (from, seconds, pace) = stretches[stretches.len() - 1];
            let new = (at, seconds + (at - from) * pace, seconds_per_tick(*bpm));
            if at > from {
                stretches.push(new);
            } else {
                *stretches.last_mut().expect("there is a first stretch") = new;
            }
        }
        Self { stretches }
    }

    fn stretch(&self, tick: f64) -> usize {
        self.stretches.partition_point(|(from, ..)| *from <= tick).saturating_sub(1)
    }

    fn seconds(&self, tick: f64) -> f64 {
        let (from, seconds, pace) = self.stretches[self.stretch(tick)];
        seconds + (tick - from) * pace
    }

    /// The integral of [`Self::seconds`] from `a` to `b`.
    fn area(&self, a: f64, b: f64) -> f64 {
        let (mut from, mut area) = (a, 0.0);
        for stretch in self.stretch(a)..self.stretches.len() {
            let next = self.stretches.get(stretch + 1).map_or(f64::INFINITY, |(next, ..)| *next);
            let to = b.min(next).max(from);
            // The clock is straight in between.
            area += (to - from) * (self.seconds(from) + self.seconds((to - 1e-9).max(from))) / 2.0;
            from = to;
            if to >= b {
                break;
            }
        }
        area
    }

    /// How much later than at a steady tempo a tick comes, in ticks of that tempo, within [`MAX_DEVIATION`].
    fn deviation(&self, tick: f64) -> f64 {
        let (from, to) = (tick - STEADY_TICKS, tick + STEADY_TICKS);
        let mean = self.area(from, to) / (to - from);
        let pace = (self.seconds(to) - self.seconds(from)) / (to - from);
        ((self.seconds(tick) - mean) / pace).clamp(-MAX_DEVIATION, MAX_DEVIATION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::piece::{Metre, MetreAt, Note};

    const BEAT: u64 = piece::TICKS_PER_BEAT;

    fn part(notes: &[(u64, u64, u8)]) -> Part {
        let note = |&(onset, duration, pitch)| Note { onset, duration, pitch, velocity: Some(64) };
        Part { notes: notes.iter().map(note).collect(), ..Part::default() }
    }

    fn options(lanes: &str, more: &str) -> Performed {
        toml::from_str(&format!("lanes = \"{lanes}\"\nfewest_notes = 1\n{more}")).unwrap()
    }

    fn notes(piece: &Piece, options: &Performed) -> Vec<(i64, i64, u8, u8)> {
        let piece = PerformedPiece::of(piece, options).unwrap();
        piece.notes.iter().map(|note| (note.tick, note.end, note.lane, note.key)).collect()
    }

    #[test]
    fn notes_keep_their_lengths_and_hands() {
        let piece = Piece {
            parts: vec![part(&[(0, 4 * BEAT, 40)]), part(&[(0, BEAT / 3, 72), (BEAT / 3, BEAT, 76)])],
            ..Piece::default()
        };
        let expect = [(0, 32, 0, 72), (0, 384, 1, 40), (32, 128, 0, 76)];
        assert_eq!(notes(&piece, &options("hands", "")), expect);
        assert_eq!(notes(&piece, &options("one", ""))[1], (0, 384, 0, 40));
        // The first part is the song, and of the other one each note goes by its pitch.
        assert_eq!(notes(&piece, &options("song", "")), [(0, 384, 0, 40), (0, 32, 1, 72), (32, 128, 1, 76)]);
    }

    #[test]
    fn drums_are_reduced_to_classes() {
        let piece = Piece { drums: vec![part(&[(0, BEAT, 40), (0, BEAT, 35), (BEAT, BEAT, 80)])], ..Piece::default() };
        assert_eq!(notes(&piece, &options("drums", "")), [(0, 96, 0, 38), (0, 96, 0, 36)]);
    }

    #[test]
    fn places_follow_the_bars_and_a_pickup_ends_one() {
        let metre = MetreAt { at: 0, metre: Metre::new(3, 4).unwrap() };
        let bars = [0, BEAT, 4 * BEAT, 7 * BEAT].to_vec();
        let piece = Piece { parts: vec![part(&[(0, BEAT, 60)])], metres: vec![metre], bars, ..Piece::default() };
        let piece = PerformedPiece::of(&piece, &options("one", "")).unwrap();
        let place = |step: i64| piece.place(step).bar.map(|bar| (bar.step_in_bar, bar.bar_steps));
        assert_eq!([0, 3, 4, 15, 16].map(place), [8, 11, 0, 11, 0].map(|step| Some((step, 12))));
        assert_eq!(piece.place(5).step_in_beat, Some(1));
        assert_eq!(PerformedPiece::default().place(3), Place::default());
    }

    #[test]
    fn played_timing_follows_the_tempo() {
        // At beat 4 the music waits: one 16th at half of the tempo.
        let beats = (0..9).map(|n| (n * BEAT, BEAT, 60)).collect::<Vec<_>>();
        let tempi = vec![(0, 120.0), (4 * BEAT, 60.0), (4 * BEAT + BEAT / 4, 120.0)];
        let piece = Piece { parts: vec![part(&beats)], tempi, ..Piece::default() };
        let ticks = |timing: &str| -> Vec<i64> {
            let timing = format!("timing = \"{timing}\"");
            notes(&piece, &options("one", &timing)).iter().map(|note| note.0).collect()
        };
        let written: Vec<i64> = (0..9).map(|n| n * 96).collect();
        assert_eq!(ticks("written"), written);
        let played = ticks("played");
        assert_eq!((played[0], played[1], played[8]), (0, 96, 768), "far from it nothing moves: {played:?}");
        assert!(played[4] < written[4] - 5 && played[5] > written[5] + 3, "the wait separates its sides: {played:?}");
        assert!(played.iter().zip(&written).all(|(played, written)| (played - written).abs() <= 12));
    }
}
