//! Quantises notes to a grid of 16ths.

use continuo_model::tokeniser::grid::STEPS_PER_BEAT;

use super::options::{Parts, Preparation};
use crate::corpus::piece::{Note, Piece, TICKS_PER_BEAT};

/// Ticks in a 16th.
pub const TICKS_PER_STEP: u64 = TICKS_PER_BEAT / STEPS_PER_BEAT as u64;
/// Notes of one part that start within this time are meant to start together.
const TOGETHER_TICKS: u64 = TICKS_PER_STEP / 4;

/// A note on the grid. Times are in 16th steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GridNote {
    /// When it starts.
    pub start: u64,
    /// When it ends; after its start.
    pub end: u64,
    /// MIDI pitch.
    pub pitch: u8,
}

/// The notes of a piece on the grid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnGrid {
    /// In order of start, then from the top.
    pub notes: Vec<GridNote>,
    /// How many notes were left out. Of notes of one part that start one after the other within a 16th, the nearest to
    /// it stays.
    pub left_out: usize,
}

/// Quantises the parts that the options select.
///
/// # Errors
/// If the options leave out pieces that do not fit the grid, and this one does not fit.
pub fn on_grid(piece: &Piece, options: &Preparation) -> Result<OnGrid, String> {
    let parts = match options.parts {
        Parts::Merged => &piece.parts[..],
        Parts::First => &piece.parts[..piece.parts.len().min(1)],
    };
    let mut on_grid = OnGrid::default();
    for part in parts {
        let part = part_on_grid(&part.notes, options.drop_unquantised)?;
        on_grid.notes.extend(part.notes);
        on_grid.left_out += part.left_out;
    }
    sort(&mut on_grid.notes);
    Ok(on_grid)
}

/// Quantises the notes of one part. `notes` are in order of onset.
///
/// # Errors
/// If `drop_unquantised` is set and a note does not fit the grid.
pub fn part_on_grid(notes: &[Note], drop_unquantised: bool) -> Result<OnGrid, String> {
    if drop_unquantised && !notes.iter().all(fits) {
        return Err("an onset or duration that is not a whole number of 16ths".into());
    }
    let mut on_grid: Vec<GridNote> = notes.iter().filter(|note| !is_crowded_out(note, notes)).map(rounded).collect();
    sort(&mut on_grid);
    Ok(OnGrid { left_out: notes.len() - on_grid.len(), notes: on_grid })
}

/// In order of start, then from the top.
fn sort(notes: &mut [GridNote]) {
    notes.sort_by_key(|note| (note.start, std::cmp::Reverse((note.pitch, note.end))));
}

fn fits(note: &Note) -> bool {
    note.onset.is_multiple_of(TICKS_PER_STEP) && note.duration.is_multiple_of(TICKS_PER_STEP)
}

/// The 16th nearest to a time.
pub fn nearest_step(ticks: u64) -> u64 {
    (ticks + TICKS_PER_STEP / 2) / TICKS_PER_STEP
}

fn rounded(note: &Note) -> GridNote {
    let start = nearest_step(note.onset);
    GridNote { start, end: nearest_step(note.end()).max(start + 1), pitch: note.pitch }
}

/// Whether another note of the part (`notes`, in order of onset) starts nearer to the same 16th, at another time. If
/// two are equally near, the first stays.
fn is_crowded_out(note: &Note, notes: &[Note]) -> bool {
    let step = nearest_step(note.onset);
    let distance = |onset: u64| onset.abs_diff(step * TICKS_PER_STEP);
    let first = notes.partition_point(|other| nearest_step(other.onset) < step);
    let rivals = notes[first..].iter().take_while(|other| nearest_step(other.onset) == step);
    rivals.map(|other| (distance(other.onset), other.onset)).min().is_some_and(|(nearest, onset)| {
        nearest < distance(note.onset) && note.onset.abs_diff(onset) > TOGETHER_TICKS
            || nearest == distance(note.onset) && onset < note.onset && note.onset - onset > TOGETHER_TICKS
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{options, piece};
    use super::*;

    /// Starts, ends and pitches, and how many notes are left out.
    type Expected<'a> = Result<(&'a [(u64, u64, u8)], usize), &'a str>;

    fn check(music: &[&str], drop_unquantised: bool, expect: Expected) {
        let options = Preparation { drop_unquantised, ..options() };
        let found = on_grid(&piece("a", music), &options);
        let found = found.map(|found| {
            let notes: Vec<_> = found.notes.iter().map(|note| (note.start, note.end, note.pitch)).collect();
            (notes, found.left_out)
        });
        assert_eq!(found, expect.map(|(notes, left_out)| (notes.to_vec(), left_out)).map_err(String::from));
    }

    #[test]
    fn notes_go_to_the_nearest_16th() {
        // Times in 48ths of a quarter: a 16th is 12, a triplet eighth 16, a 32nd 6.
        check(&["0+12:60 12+24:62"], true, Ok((&[(0, 1, 60), (1, 3, 62)], 0)));
        check(&["0+16:60 16+16:62 32+16:64"], false, Ok((&[(0, 1, 60), (1, 3, 62), (3, 4, 64)], 0)));
        let reason = "an onset or duration that is not a whole number of 16ths";
        check(&["0+16:60 16+16:62 32+16:64"], true, Err(reason));
        check(&["0+12:60", "0+6:48 6+6:50"], true, Err(reason));
    }

    #[test]
    fn of_a_run_that_is_too_fast_every_other_note_stays() {
        let run = "0+6:60 6+6:62 12+6:64 18+6:65 24+12:67";
        check(&[run], false, Ok((&[(0, 1, 60), (1, 2, 64), (2, 3, 67)], 2)));
        // A chord whose notes start slightly apart is a chord. Other parts do not affect it.
        check(&["0+12:60 1+12:64", "5+6:48"], false, Ok((&[(0, 1, 64), (0, 1, 60), (0, 1, 48)], 0)));
    }
}
