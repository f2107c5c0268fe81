//! A voice of an ABC tune while it is read: its notes, its current time, and accidentals, ties and tuplets in progress.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};

use super::fields::Signature;
use crate::corpus::beats::Beats;
use crate::corpus::piece::Metre;
use crate::corpus::repeats::Barline;
use crate::corpus::written::{WrittenNote, WrittenPart};

/// How far an accidental applies within its bar (`%%propagate-accidentals`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Only to its own note.
    Note,
    /// To its octave.
    Octave,
    /// To all octaves: the standard's default, section 11.3.
    #[default]
    Letter,
}

/// A note as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spelt {
    /// `A` to `G`.
    pub letter: u8,
    /// 5 for the octave from middle C up.
    pub octave: i64,
    /// Its accidental in semitones, if written.
    pub accidental: Option<i8>,
}

/// A voice.
#[derive(Clone, Debug)]
pub struct Voice {
    /// Its name in `V:`.
    pub id: String,
    /// Its notes.
    pub part: WrittenPart,
    /// Its barlines.
    pub barlines: Vec<Barline>,
    /// Its metres.
    pub metres: Vec<(Beats, Metre)>,
    /// The key signature.
    pub signature: Signature,
    /// Semitones from written to sounding pitch.
    pub transpose: i64,
    /// Length of a note without a number.
    pub unit: Beats,
    /// The current time.
    pub time: Beats,
    /// How far its accidentals apply.
    pub reach: Reach,
    bar_start: Beats,
    /// While an overlay (`&`) is read, the end of the bar's first layer.
    layer_end: Beats,
    /// The accidentals of this bar, by letter and, depending on `reach`, octave.
    accidentals: HashMap<(u8, Option<i64>), i8>,
    /// Notes with a tie to the next event, as they sounded.
    tied: Vec<(u8, i64, i8)>,
    /// The notes of the current event, as spelt.
    spelt: Vec<(u8, i64, i8)>,
    /// Factor on the length of the next event, from a broken rhythm.
    broken: Option<Beats>,
    /// The remaining events of a tuplet, and the factor on their length.
    tuplet: Option<(u32, Beats)>,
    /// The previous event: index of its first note, start, length.
    last: Option<(usize, Beats, Beats)>,
}

impl Voice {
    /// A voice at its beginning.
    pub fn new(id: &str, unit: Beats) -> Self {
        Self {
            id: id.to_string(),
            part: WrittenPart { name: id.to_string(), ..WrittenPart::default() },
            barlines: Vec::new(),
            metres: Vec::new(),
            signature: [0; 7],
            transpose: 0,
            unit,
            time: Beats::ZERO,
            reach: Reach::default(),
            bar_start: Beats::ZERO,
            layer_end: Beats::ZERO,
            accidentals: HashMap::new(),
            tied: Vec::new(),
            spelt: Vec::new(),
            broken: None,
            tuplet: None,
            last: None,
        }
    }

    /// Adds the notes of one moment, with their lengths in units; without notes it is a rest. The first length counts.
    /// The third field is whether the note has a tie to the next event.
    ///
    /// # Errors
    /// If a pitch is outside the range of MIDI.
    pub fn event(&mut self, notes: &[(Spelt, Beats, bool)], length: Beats) -> Result<()> {
        let mut factor = self.unit;
        if let Some(broken) = self.broken.take() {
            factor = factor.times(broken)?;
        }
        if let Some((left, tuplet)) = self.tuplet {
            factor = factor.times(tuplet)?;
            self.tuplet = (left > 1).then_some((left - 1, tuplet));
        }
        let first = self.part.notes.len();
        let mut spelt = Vec::with_capacity(notes.len());
        for (note, length, tied_on) in notes {
            let bend = self.bend(note);
            spelt.push((note.letter, note.octave, bend));
            let degree = [9, 11, 0, 2, 4, 5, 7][usize::from(note.letter - b'A')];
            let midi = 12 * note.octave + degree + i64::from(bend) + self.transpose;
            let pitch = u8::try_from(midi).ok().filter(|pitch| *pitch <= 127);
            self.part.notes.push(WrittenNote {
                at: self.time,
                length: length.times(factor)?,
                pitch: pitch.with_context(|| format!("expected a pitch that MIDI has, got {midi}"))?,
                tied_on: *tied_on,
                tied_back: true,
                velocity: None,
            });
        }
        let tied = notes.iter().zip(&spelt).filter(|((_, _, tied), _)| *tied);
        self.tied = tied.map(|(_, spelt)| *spelt).collect();
        self.spelt = spelt;
        let length = length.times(factor)?;
        self.last = Some((first, self.time, length));
        self.time = self.time.plus(length)?;
        Ok(())
    }

    /// The alteration of a note: its own accidental, otherwise that of the note tied to it, of the bar or of the key.
    fn bend(&mut self, note: &Spelt) -> i8 {
        let place = (note.letter, (self.reach == Reach::Octave).then_some(note.octave));
        if let Some(bend) = note.accidental {
            if self.reach != Reach::Note {
                self.accidentals.insert(place, bend);
            }
            return bend;
        }
        let tied = self.tied.iter().find(|(letter, octave, _)| (*letter, *octave) == (note.letter, note.octave));
        let lasting = tied.map(|(_, _, bend)| *bend).or(self.accidentals.get(&place).copied());
        lasting.unwrap_or(self.signature[usize::from(note.letter - b'A')])
    }

    /// Ties the previous event to the next.
    pub fn tie(&mut self) {
        if let Some((first, ..)) = self.last {
            self.part.notes[first..].iter_mut().for_each(|note| note.tied_on = true);
            self.tied.clone_from(&self.spelt);
        }
    }

    /// Broken rhythm: `>` (`count` above 0) lengthens the previous event and shortens the next by the same amount; `<`
    /// does the reverse.
    ///
    /// # Errors
    /// If there is no previous event, or there are more than three signs.
    pub fn broken_rhythm(&mut self, count: i32) -> Result<()> {
        ensure!((1..=3).contains(&count.abs()), "expected 1 to 3 signs of broken rhythm, got {}", count.abs());
        let (first, at, length) = self.last.context("expected a note before the broken rhythm, got none")?;
        let whole = 1_i64 << count.abs();
        let (long, short) = (Beats::new(2 * whole - 1, whole)?, Beats::new(1, whole)?);
        let (before, after) = if count > 0 { (long, short) } else { (short, long) };
        for note in &mut self.part.notes[first..] {
            note.length = note.length.times(before)?;
        }
        let length = length.times(before)?;
        self.time = at.plus(length)?;
        self.last = Some((first, at, length));
        self.broken = Some(after);
        Ok(())
    }

    /// Starts a tuplet: scales the length of the next `events` events by `into / notes`.
    ///
    /// # Errors
    /// If a number is 0 or above 99.
    pub fn tuplet(&mut self, notes: u32, into: u32, events: u32) -> Result<()> {
        for number in [notes, into, events] {
            ensure!((1..=99).contains(&number), "expected a tuplet of 1 to 99, got {number}");
        }
        self.tuplet = Some((events, Beats::new(into.into(), notes.into())?));
        Ok(())
    }

    /// Adds a barline, or the beginning of an ending, at the current time.
    pub fn barline(&mut self, barline: Barline, ends_bar: bool) {
        if ends_bar {
            self.time = self.time.max(self.layer_end);
            self.layer_end = self.time;
            self.bar_start = self.time;
            self.accidentals.clear();
        }
        self.barlines.push(Barline { at: Some(self.time), ..barline });
    }

    /// Returns to the start of the bar: the following notes sound together with those so far.
    pub fn overlay(&mut self) {
        self.layer_end = self.layer_end.max(self.time);
        self.time = self.bar_start;
        self.accidentals.clear();
        (self.last, self.tuplet, self.broken) = (None, None, None);
    }
}
