//! Music as written, in exact fractions, which readers produce and which is then converted to a piece.

use std::collections::HashMap;

use anyhow::{Result, ensure};

use super::beats::Beats;
use super::key::WrittenKey;
use super::piece::{Metre, MetreAt, Note, Part, Piece};

/// More notes are an error in the file.
const MAX_NOTES: usize = 2_000_000;
/// More bars are an error in the file: this is more than a week of music.
const MAX_BARS: usize = 200_000;

/// A note as written. Ties join several into one sounding note.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WrittenNote {
    /// When it starts.
    pub at: Beats,
    /// Its written length.
    pub length: Beats,
    /// MIDI pitch.
    pub pitch: u8,
    /// Whether a tie leads from it to the next note of its pitch.
    pub tied_on: bool,
    /// Whether a tie may lead to it.
    pub tied_back: bool,
    /// As in [`Note`].
    pub velocity: Option<u8>,
}

/// A part as written.
#[derive(Clone, Debug, Default)]
pub struct WrittenPart {
    /// Its name, or empty.
    pub name: String,
    /// In any order.
    pub notes: Vec<WrittenNote>,
    /// As in [`Part`]; only if the music is played as written.
    pub pedal: Vec<(Beats, Beats)>,
}

/// Music as written.
#[derive(Clone, Debug, Default)]
pub struct WrittenMusic {
    /// As in [`Piece`].
    pub source: String,
    /// As in [`Piece`].
    pub title: String,
    /// As in [`Piece`].
    pub split: Option<String>,
    /// From the top of the score. The piece leaves out those without notes.
    pub parts: Vec<WrittenPart>,
    /// As in [`Piece`]; only if the music is played as written.
    pub drums: Vec<WrittenPart>,
    /// The times of barlines, in any order; those at the start and the end may be missing.
    pub barlines: Vec<Beats>,
    /// Metres and where they begin, in any order.
    pub metres: Vec<(Beats, Metre)>,
    /// As in [`Piece`].
    pub written_key: Option<WrittenKey>,
    /// As in [`Piece`].
    pub tempo_bpm: Option<f64>,
    /// As in [`Piece`]; only if the music is played as written.
    pub tempi: Vec<(Beats, f64)>,
    /// The earliest possible end; notes may end later.
    pub end: Option<Beats>,
    /// Stretches, from and to, in the order in which they are played. If empty, the music is played as written.
    pub order: Vec<(Beats, Beats)>,
    /// As in [`Piece`].
    pub attacks_unknown: bool,
    /// As in [`Piece`]; only if the music is played as written.
    pub fermatas: Option<Vec<(Beats, Beats)>>,
    /// As in [`Piece`].
    pub same_as: Option<String>,
    /// As in [`Piece`].
    pub remarks: Vec<String>,
}

impl WrittenMusic {
    /// Plays the stretches in order, joins tied notes and rounds to ticks. A remark counts the notes that are not
    /// exactly on a tick.
    ///
    /// # Errors
    /// If there are no notes, too many, or one too far from the start.
    pub fn into_piece(mut self) -> Result<Piece> {
        if !self.order.is_empty() {
            self.unfold()?;
        }
        let mut rounding = Rounding::default();
        let parts = rounding.parts(self.parts)?;
        let drums = rounding.parts(self.drums)?;
        ensure!(!parts.is_empty() || !drums.is_empty(), "expected notes, got none");
        let length = rounding.end.max(ticks(self.end.unwrap_or(Beats::ZERO))?);
        let mut remarks = self.remarks;
        remarks.extend(rounding.remarks());
        let fermatas = self.fermatas.map(stretches).transpose()?;
        let metres = metres(&self.metres)?;
        let bars = bars(&self.barlines, &metres, length)?;
        Ok(Piece {
            source: self.source,
            title: self.title,
            split: self.split,
            parts,
            drums,
            written_key: self.written_key,
            metres,
            tempo_bpm: self.tempo_bpm,
            tempi: self.tempi.iter().map(|(at, bpm)| Ok((ticks(*at)?, *bpm))).collect::<Result<_>>()?,
            bars,
            length,
            attacks_unknown: self.attacks_unknown,
            fermatas,
            same_as: self.same_as,
            remarks,
        })
    }

    /// Lays out the stretches of `order` one after the other.
    fn unfold(&mut self) -> Result<()> {
        let mut parts: Vec<WrittenPart> =
            self.parts.iter().map(|part| WrittenPart { name: part.name.clone(), ..WrittenPart::default() }).collect();
        for part in &mut self.parts {
            part.notes.sort_by_key(|note| note.at);
        }
        self.metres.sort_by_key(|(at, _)| *at);
        let (mut barlines, mut metres) = (Vec::new(), Vec::new());
        let (mut time, mut num_notes) = (Beats::ZERO, 0);
        for &(from, to) in &self.order {
            let shift = time.minus(from)?;
            for (part, written) in parts.iter_mut().zip(&self.parts) {
                let first = written.notes.partition_point(|note| note.at < from);
                for note in written.notes[first..].iter().take_while(|note| note.at < to) {
                    part.notes.push(WrittenNote { at: note.at.plus(shift)?, ..*note });
                    num_notes += 1;
                }
            }
            ensure!(num_notes <= MAX_NOTES, "expected at most {MAX_NOTES} notes, got more; correct its repeats");
            barlines.push(time);
            for barline in self.barlines.iter().filter(|&&at| at > from && at < to) {
                barlines.push(barline.plus(shift)?);
            }
            metres.extend(self.metres.iter().rev().find(|(at, _)| *at <= from).map(|(_, metre)| (time, *metre)));
            for (at, metre) in self.metres.iter().filter(|(at, _)| *at > from && *at < to) {
                metres.push((at.plus(shift)?, *metre));
            }
            time = time.plus(to.minus(from)?)?;
        }
        if self.barlines.is_empty() {
            barlines.clear();
        }
        (self.parts, self.barlines, self.metres, self.end) = (parts, barlines, metres, Some(time));
        Ok(())
    }
}

fn ticks(time: Beats) -> Result<u64> {
    Ok(time.to_ticks()?.0)
}

fn stretches(all: Vec<(Beats, Beats)>) -> Result<Vec<(u64, u64)>> {
    all.into_iter().map(|(from, to)| Ok((ticks(from)?, ticks(to)?))).collect()
}

/// Rounds notes to ticks, and counts what it changes.
#[derive(Default)]
struct Rounding {
    num_notes: usize,
    rounded: usize,
    vanished: usize,
    /// The end of the last note.
    end: u64,
}

impl Rounding {
    /// The parts that have notes.
    fn parts(&mut self, written: Vec<WrittenPart>) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        for part in written {
            let notes = self.notes(joined(part.notes)?)?;
            if !notes.is_empty() {
                parts.push(Part { name: part.name, notes, pedal: stretches(part.pedal)? });
            }
        }
        Ok(parts)
    }

    fn notes(&mut self, written: Vec<WrittenNote>) -> Result<Vec<Note>> {
        self.num_notes += written.len();
        let mut notes = Vec::with_capacity(written.len());
        for note in written {
            let (onset, onset_fits) = note.at.to_ticks()?;
            let (end, end_fits) = note.at.plus(note.length)?.to_ticks()?;
            self.rounded += usize::from(!onset_fits || !end_fits);
            if end <= onset {
                self.vanished += 1;
                continue;
            }
            notes.push(Note { onset, duration: end - onset, pitch: note.pitch, velocity: note.velocity });
            self.end = self.end.max(end);
        }
        notes.sort_by_key(|note| (note.onset, std::cmp::Reverse((note.pitch, note.duration))));
        notes.dedup_by_key(|note| (note.onset, note.pitch));
        Ok(notes)
    }

    fn remarks(&self) -> impl Iterator<Item = String> {
        let Self { num_notes, rounded, vanished, .. } = self;
        let between = || format!("{rounded} of {num_notes} notes were between ticks and were rounded to the nearest");
        let lost = || format!("{vanished} notes of length 0 are left out");
        (*rounded > 0).then(between).into_iter().chain((*vanished > 0).then(lost))
    }
}

/// Joins tied notes. Ignores a tie that leads to no note.
fn joined(mut notes: Vec<WrittenNote>) -> Result<Vec<WrittenNote>> {
    ensure!(notes.len() <= MAX_NOTES, "expected at most {MAX_NOTES} notes, got {}", notes.len());
    notes.sort_by_key(|note| (note.at, note.pitch));
    let mut sounding: Vec<WrittenNote> = Vec::with_capacity(notes.len());
    // The notes with a tie to a later note, by pitch and end.
    let mut open: HashMap<(u8, Beats), usize> = HashMap::new();
    for note in notes {
        let from = if note.tied_back { open.remove(&(note.pitch, note.at)) } else { None };
        let idx = match from {
            Some(idx) => {
                sounding[idx].length = sounding[idx].length.plus(note.length)?;
                idx
            }
            None => {
                sounding.push(note);
                sounding.len() - 1
            }
        };
        if note.tied_on {
            open.insert((note.pitch, note.at.plus(note.length)?), idx);
        }
    }
    Ok(sounding)
}

/// Sorts metres, keeps the last one at each time, and removes those that change nothing.
fn metres(written: &[(Beats, Metre)]) -> Result<Vec<MetreAt>> {
    let mut metres = Vec::with_capacity(written.len());
    for &(at, metre) in written {
        metres.push(MetreAt { at: ticks(at)?, metre });
    }
    metres.sort_by_key(|metre| metre.at);
    metres.reverse();
    metres.dedup_by_key(|metre| metre.at);
    metres.reverse();
    metres.dedup_by_key(|metre| metre.metre);
    Ok(metres)
}

/// The starts of bars, from the barlines, otherwise from the metres.
fn bars(barlines: &[Beats], metres: &[MetreAt], length: u64) -> Result<Vec<u64>> {
    let metres_until = |tick| metres.partition_point(|metre| metre.at <= tick);
    let metre_at = |tick| metres[..metres_until(tick)].last().map(|metre| metre.metre.bar_ticks());
    let mut bars = vec![0];
    if barlines.is_empty() {
        let mut next = metre_at(0);
        while let Some(tick) = next.filter(|&tick| tick < length) {
            ensure!(
                bars.len() < MAX_BARS,
                "expected at most {MAX_BARS} bars, got more; correct its times or its metres"
            );
            bars.push(tick);
            // A new metre always begins a bar.
            let change = metres.get(metres_until(tick)).map_or(u64::MAX, |metre| metre.at);
            next = metre_at(tick).map(|bar| (tick + bar).min(change));
        }
        return Ok(if metre_at(0).is_some() { bars } else { Vec::new() });
    }
    for &barline in barlines {
        bars.push(ticks(barline)?);
    }
    bars.retain(|&tick| tick < length);
    bars.sort_unstable();
    bars.dedup();
    // A repeat sign within a bar divides it: two short adjacent bars that together fill the metre are one.
    let mut whole: Vec<u64> = Vec::with_capacity(bars.len());
    for (idx, &bar) in bars.iter().enumerate() {
        let end = bars.get(idx + 1).copied().unwrap_or(length);
        let halves = whole
            .last()
            .is_some_and(|&last| bar > last && idx > 0 && last == bars[idx - 1] && Some(end - last) == metre_at(last));
        if !halves {
            whole.push(bar);
        }
    }
    Ok(whole)
}

/// The notes of a piece for tests of readers: `onset+duration pitch` in quarter notes, part by part.
#[cfg(test)]
pub fn notes_in_words(piece: &Piece) -> Vec<String> {
    use super::piece::TICKS_PER_BEAT;
    let fraction = |ticks: u64| {
        let divides = |d: &u64| ticks.is_multiple_of(*d) && TICKS_PER_BEAT.is_multiple_of(*d);
        let divisor = (1..=ticks.min(TICKS_PER_BEAT)).rev().find(divides);
        let (num, den) = divisor.map_or((0, 1), |d| (ticks / d, TICKS_PER_BEAT / d));
        if den == 1 { format!("{num}") } else { format!("{num}/{den}") }
    };
    let word = |note: &Note| format!("{}+{}:{}", fraction(note.onset), fraction(note.duration), note.pitch);
    piece.parts.iter().map(|part| part.notes.iter().map(word).collect::<Vec<_>>().join(" ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::piece::TICKS_PER_BEAT;

    fn beats(num: i64, den: i64) -> Beats {
        Beats::new(num, den).unwrap()
    }

    fn note(at: i64, length: i64, pitch: u8, tied_on: bool) -> WrittenNote {
        WrittenNote { at: beats(at, 1), length: beats(length, 1), pitch, tied_on, tied_back: true, velocity: None }
    }

    fn music(notes: &[WrittenNote]) -> WrittenMusic {
        WrittenMusic {
            parts: vec![WrittenPart { name: "a".into(), notes: notes.to_vec(), ..WrittenPart::default() }],
            ..WrittenMusic::default()
        }
    }

    #[test]
    fn ties_make_one_note() {
        let piece = music(&[note(0, 1, 60, true), note(1, 2, 60, true), note(3, 1, 60, false), note(3, 1, 64, true)]);
        assert_eq!(notes_in_words(&piece.into_piece().unwrap()), ["0+4:60 3+1:64"]);
        // A tie does not reach a note of another pitch or a later one.
        let piece = music(&[note(0, 1, 60, true), note(1, 1, 62, false), note(2, 1, 60, false)]);
        assert_eq!(notes_in_words(&piece.into_piece().unwrap()), ["0+1:60 1+1:62 2+1:60"]);
    }

    #[test]
    fn unisons_of_one_part_are_one_note() {
        let piece = music(&[note(0, 1, 60, false), note(0, 2, 60, false)]).into_piece().unwrap();
        assert_eq!(notes_in_words(&piece), ["0+2:60"]);
    }

    #[test]
    fn stretches_are_laid_end_to_end() {
        let mut written = music(&[note(0, 1, 60, true), note(1, 1, 62, false), note(2, 2, 64, false)]);
        written.order = vec![(beats(1, 1), beats(4, 1)), (beats(0, 1), beats(1, 1))];
        written.barlines = vec![beats(2, 1)];
        written.metres = vec![(Beats::ZERO, Metre::new(2, 4).unwrap()), (beats(2, 1), Metre::new(2, 2).unwrap())];
        let piece = written.into_piece().unwrap();
        assert_eq!(notes_in_words(&piece), ["0+1:62 1+2:64 3+1:60"]);
        assert_eq!(piece.bars, [0, TICKS_PER_BEAT, 3 * TICKS_PER_BEAT]);
        let metres: Vec<_> = piece.metres.iter().map(|m| (m.at / TICKS_PER_BEAT, m.metre.unit)).collect();
        assert_eq!(metres, [(0, 4), (1, 2), (3, 4)]);
    }

    #[test]
    fn times_between_ticks_are_rounded_with_a_remark() {
        let third = WrittenNote { length: beats(1, 11), ..note(0, 1, 60, false) };
        let piece = music(&[third, note(1, 1, 60, false)]).into_piece().unwrap();
        assert_eq!(piece.remarks, ["1 of 2 notes were between ticks and were rounded to the nearest"]);
    }

    #[test]
    fn bars_are_halved_by_signs_only() {
        let whole = |bars: &[i64], length: i64| {
            let metres = [MetreAt { at: 0, metre: Metre::new(4, 4).unwrap() }];
            let barlines: Vec<_> = bars.iter().map(|&bar| beats(bar, 1)).collect();
            let bars = super::bars(&barlines, &metres, length as u64 * TICKS_PER_BEAT).unwrap();
            bars.iter().map(|bar| bar / TICKS_PER_BEAT).collect::<Vec<_>>()
        };
        assert_eq!(whole(&[1, 5, 8, 9], 13), [0, 1, 5, 9]);
        assert_eq!(whole(&[], 10), [0, 4, 8]);
        assert_eq!(whole(&[3, 6], 9), [0, 3, 6]);
    }
}
