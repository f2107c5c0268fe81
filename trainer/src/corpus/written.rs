//! What a reader finds, in exact fractions and in written order, and how it becomes a piece.

use std::collections::HashMap;

use anyhow::{Result, ensure};

use super::beats::Beats;
use super::key::WrittenKey;
use super::piece::{Metre, MetreAt, Note, Part, Piece};

/// More is a mistake in the file.
const MAX_NOTES: usize = 2_000_000;
/// The same: a week and more of music.
const MAX_BARS: usize = 200_000;

/// A note as written; a tie makes one sounding note of several.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WrittenNote {
    /// When it starts.
    pub at: Beats,
    /// How long it is written.
    pub length: Beats,
    /// MIDI pitch.
    pub pitch: u8,
    /// Whether a tie leads from it to the next note of its pitch.
    pub tied_on: bool,
    /// Whether a tie may lead to it.
    pub tied_back: bool,
}

/// A part as written.
#[derive(Clone, Debug, Default)]
pub struct WrittenPart {
    /// Its name, or empty.
    pub name: String,
    /// In any order.
    pub notes: Vec<WrittenNote>,
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
    /// From the top of the score; those without notes are left out of the piece.
    pub parts: Vec<WrittenPart>,
    /// Where barlines stand, in any order; the start and the end need none.
    pub barlines: Vec<Beats>,
    /// Metres and where they begin, in any order.
    pub metres: Vec<(Beats, Metre)>,
    /// As in [`Piece`].
    pub written_key: Option<WrittenKey>,
    /// As in [`Piece`].
    pub tempo_bpm: Option<f64>,
    /// Where it ends at the least; notes may end later.
    pub end: Option<Beats>,
    /// Stretches, from and to, in the order in which they are played; empty plays it as written.
    pub order: Vec<(Beats, Beats)>,
    /// As in [`Piece`].
    pub attacks_unknown: bool,
    /// As in [`Piece`]; of music that is played as written.
    pub fermatas: Option<Vec<(Beats, Beats)>>,
    /// As in [`Piece`].
    pub same_as: Option<String>,
    /// As in [`Piece`].
    pub remarks: Vec<String>,
}

impl WrittenMusic {
    /// Plays the stretches in their order, joins tied notes, and rounds to ticks; says in a remark how many notes do
    /// not lie on a tick.
    ///
    /// # Errors
    /// If it holds no note, too many, or one too far out.
    pub fn into_piece(mut self) -> Result<Piece> {
        if !self.order.is_empty() {
            self.unfold()?;
        }
        let (mut num_notes, mut rounded, mut vanished) = (0, 0, 0);
        let (mut parts, mut length) = (Vec::new(), ticks(self.end.unwrap_or(Beats::ZERO))?);
        for part in self.parts {
            let notes = joined(part.notes)?;
            num_notes += notes.len();
            let mut part = Part { name: part.name, notes: Vec::with_capacity(notes.len()) };
            for note in notes {
                let (onset, onset_fits) = note.at.to_ticks()?;
                let (end, end_fits) = note.at.plus(note.length)?.to_ticks()?;
                rounded += usize::from(!onset_fits || !end_fits);
                if end <= onset {
                    vanished += 1;
                    continue;
                }
                let note = Note { onset, duration: end - onset, pitch: note.pitch };
                length = length.max(note.end());
                part.notes.push(note);
            }
            part.notes.sort_by_key(|note| (note.onset, std::cmp::Reverse((note.pitch, note.duration))));
            part.notes.dedup_by_key(|note| (note.onset, note.pitch));
            if !part.notes.is_empty() {
                parts.push(part);
            }
        }
        ensure!(!parts.is_empty(), "expected notes, got none");
        let mut remarks = self.remarks;
        if rounded > 0 {
            remarks.push(format!("{rounded} of {num_notes} notes lie between ticks; each is rounded to the nearest"));
        }
        if vanished > 0 {
            remarks.push(format!("{vanished} notes of no length are left out"));
        }
        let stretch = |(from, to)| Ok((ticks(from)?, ticks(to)?));
        let fermatas = self.fermatas.map(|all| all.into_iter().map(stretch).collect::<Result<_>>()).transpose()?;
        let metres = metres(&self.metres)?;
        let bars = bars(&self.barlines, &metres, length)?;
        Ok(Piece {
            source: self.source,
            title: self.title,
            split: self.split,
            parts,
            written_key: self.written_key,
            metres,
            tempo_bpm: self.tempo_bpm,
            bars,
            length,
            attacks_unknown: self.attacks_unknown,
            fermatas,
            same_as: self.same_as,
            remarks,
        })
    }

    /// Lays the stretches of `order` one after the other.
    fn unfold(&mut self) -> Result<()> {
        let mut parts: Vec<WrittenPart> =
            self.parts.iter().map(|part| WrittenPart { name: part.name.clone(), notes: Vec::new() }).collect();
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
            ensure!(num_notes <= MAX_NOTES, "expected at most {MAX_NOTES} notes, got more; mend its repeats");
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

/// Makes one note of notes that ties lead through; a tie that leads nowhere is passed over.
fn joined(mut notes: Vec<WrittenNote>) -> Result<Vec<WrittenNote>> {
    ensure!(notes.len() <= MAX_NOTES, "expected at most {MAX_NOTES} notes, got {}", notes.len());
    notes.sort_by_key(|note| (note.at, note.pitch));
    let mut sounding: Vec<WrittenNote> = Vec::with_capacity(notes.len());
    // The notes that a tie leads on from, by pitch and end.
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

/// Sorted, the last one given at a time counting, none that changes nothing.
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

/// Where bars begin, by the barlines or else by the metres.
fn bars(barlines: &[Beats], metres: &[MetreAt], length: u64) -> Result<Vec<u64>> {
    let metres_until = |tick| metres.partition_point(|metre| metre.at <= tick);
    let metre_at = |tick| metres[..metres_until(tick)].last().map(|metre| metre.metre.bar_ticks());
    let mut bars = vec![0];
    if barlines.is_empty() {
        let mut next = metre_at(0);
        while let Some(tick) = next.filter(|&tick| tick < length) {
            ensure!(bars.len() < MAX_BARS, "expected at most {MAX_BARS} bars, got more; mend its times or its metres");
            bars.push(tick);
            // A new metre begins a bar, wherever it falls.
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
    // A repeat sign inside of a bar divides it: two short bars in a row that make one whole are one.
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

/// A piece without a file around it, for tests of readers: `onset+duration pitch`, in quarter notes, part by part.
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
        WrittenNote { at: beats(at, 1), length: beats(length, 1), pitch, tied_on, tied_back: true }
    }

    fn music(notes: &[WrittenNote]) -> WrittenMusic {
        WrittenMusic { parts: vec![WrittenPart { name: "a".into(), notes: notes.to_vec() }], ..WrittenMusic::default() }
    }

    #[test]
    fn ties_make_one_note() {
        let piece = music(&[note(0, 1, 60, true), note(1, 2, 60, true), note(3, 1, 60, false), note(3, 1, 64, true)]);
        assert_eq!(notes_in_words(&piece.into_piece().unwrap()), ["0+4:60 3+1:64"]);
        // Another pitch, or a note that comes later, ends no tie.
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
    fn what_does_not_fit_is_rounded_and_said() {
        let third = WrittenNote { length: beats(1, 11), ..note(0, 1, 60, false) };
        let piece = music(&[third, note(1, 1, 60, false)]).into_piece().unwrap();
        assert_eq!(piece.remarks, ["1 of 2 notes lie between ticks; each is rounded to the nearest"]);
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
