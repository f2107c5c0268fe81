//! One voice of an ABC tune while it is read: where it is, and what lasts from note to note.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};

use super::fields::Signature;
use crate::corpus::beats::Beats;
use crate::corpus::piece::Metre;
use crate::corpus::repeats::Barline;
use crate::corpus::written::{WrittenNote, WrittenPart};

/// How far an accidental reaches within its bar (`%%propagate-accidentals`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Its own note only.
    Note,
    /// Its octave.
    Octave,
    /// All octaves: the default of the standard, section 11.3.
    #[default]
    Letter,
}

/// A note as it is spelt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spelt {
    /// `A` to `G`.
    pub letter: u8,
    /// 5 from middle C on.
    pub octave: i64,
    /// How much it is raised, if it says.
    pub accidental: Option<i8>,
}

/// A voice.
#[derive(Clone, Debug)]
pub struct Voice {
    /// What `V:` calls it.
    pub id: String,
    /// Its notes.
    pub part: WrittenPart,
    /// What stands at its barlines.
    pub barlines: Vec<Barline>,
    /// Its metres.
    pub metres: Vec<(Beats, Metre)>,
    /// What notes without an accidental are raised by.
    pub signature: Signature,
    /// Semitones from what is written to what sounds.
    pub transpose: i64,
    /// Length of a note without a number.
    pub unit: Beats,
    /// How far it has come.
    pub time: Beats,
    /// How far its accidentals reach.
    pub reach: Reach,
    bar_start: Beats,
    /// Where the bar's first layer ended, while an overlay (`&`) is read.
    layer_end: Beats,
    /// What notes of this bar were raised by, by letter and perhaps octave.
    accidentals: HashMap<(u8, Option<i64>), i8>,
    /// Notes that a tie leads on from, as they sounded.
    tied: Vec<(u8, i64, i8)>,
    /// What the event in hand was spelt as.
    spelt: Vec<(u8, i64, i8)>,
    /// What broken rhythm makes of the next event.
    broken: Option<Beats>,
    /// How many events a tuplet still holds, and by what their length is multiplied.
    tuplet: Option<(u32, Beats)>,
    /// The event before: its first note, where it starts, how long it is.
    last: Option<(usize, Beats, Beats)>,
}

impl Voice {
    /// A voice at its beginning.
    pub fn new(id: &str, unit: Beats) -> Self {
        Self {
            id: id.to_string(),
            part: WrittenPart { name: id.to_string(), notes: Vec::new() },
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

    /// The notes of one moment with their lengths in units; none is a rest. The first length counts. `tied` are
    /// those that a tie leads on from.
    ///
    /// # Errors
    /// If a pitch lies outside of MIDI's.
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

    /// What a note is raised by: its own accidental, else that of the note tied to it, of the bar, of the key.
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

    /// A tie leads on from the event before.
    pub fn tie(&mut self) {
        if let Some((first, ..)) = self.last {
            self.part.notes[first..].iter_mut().for_each(|note| note.tied_on = true);
            self.tied.clone_from(&self.spelt);
        }
    }

    /// `>` (`count` above 0) lengthens the event before by what it takes from the next; `<` the other way round.
    ///
    /// # Errors
    /// If there is no event before, or more than three signs.
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

    /// The next `events` events last `into / notes` of what they are written as.
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

    /// A barline, or the beginning of an ending, stands here.
    pub fn barline(&mut self, barline: Barline, ends_bar: bool) {
        if ends_bar {
            self.time = self.time.max(self.layer_end);
            self.layer_end = self.time;
            self.bar_start = self.time;
            self.accidentals.clear();
        }
        self.barlines.push(Barline { at: Some(self.time), ..barline });
    }

    /// What follows sounds together with the bar so far.
    pub fn overlay(&mut self) {
        self.layer_end = self.layer_end.max(self.time);
        self.time = self.bar_start;
        self.accidentals.clear();
        (self.last, self.tuplet, self.broken) = (None, None, None);
    }
}
