//! ABC's music code, one line at a time.

use anyhow::{Context, Result, bail, ensure};

use super::Tune;
use super::voice::Spelt;
use crate::corpus::beats::Beats;
use crate::corpus::repeats::Barline;

/// A larger number is an error in the file.
const MAX_NUMBER: u32 = 10_000;

/// Reads the notes of a line into the tune's current voice.
///
/// # Errors
/// If a character is invalid; with the column.
pub fn read(line: &str, tune: &mut Tune) -> Result<()> {
    let mut scanner = Scanner { signs: line.chars().collect(), at: 0 };
    while let Some(sign) = scanner.peek() {
        let column = scanner.at + 1;
        scanner.sign(sign, tune).with_context(|| format!("column {column}"))?;
    }
    Ok(())
}

struct Scanner {
    signs: Vec<char>,
    at: usize,
}

impl Scanner {
    fn peek(&self) -> Option<char> {
        self.signs.get(self.at).copied()
    }

    fn after(&self, count: usize) -> Option<char> {
        self.signs.get(self.at + count).copied()
    }

    /// Consumes characters while they match.
    fn take(&mut self, such: impl Fn(char) -> bool) -> String {
        let rest = &self.signs[self.at..];
        let run: String = rest.iter().copied().take_while(|&c| such(c)).collect();
        self.at += run.chars().count();
        run
    }

    /// Consumes the text up to `closing`, and `closing` itself.
    fn until(&mut self, closing: char, what: &str) -> Result<String> {
        self.at += 1;
        let text = self.take(|c| c != closing);
        ensure!(self.peek().is_some(), "expected {what} to end with `{closing}`, got the end of the line");
        self.at += 1;
        Ok(text)
    }

    fn sign(&mut self, sign: char, tune: &mut Tune) -> Result<()> {
        match sign {
            'A'..='G' | 'a'..='g' | '^' | '_' | '=' => {
                let (note, length) = self.note()?;
                tune.voice().event(&[(note, length, false)], length)
            }
            'z' | 'x' => {
                self.at += 1;
                let length = self.length()?;
                tune.voice().event(&[], length)
            }
            'Z' | 'X' => self.bars_of_rest(tune),
            '|' | ':' => self.barline(tune),
            '[' => match (self.after(1), self.after(2)) {
                (Some('|' | ']' | '0'..='9'), _) => self.barline(tune),
                (Some('A'..='Z' | 'a'..='z'), Some(':')) => {
                    let field = self.until(']', "a field")?;
                    tune.field(&field)
                }
                _ => self.chord(tune),
            },
            '(' => self.slur_or_tuplet(tune),
            '-' => {
                self.at += 1;
                tune.voice().tie();
                Ok(())
            }
            '>' | '<' => {
                let count = self.take(|c| c == sign).len() as i32;
                tune.voice().broken_rhythm(if sign == '>' { count } else { -count })
            }
            '{' => self.until('}', "grace notes").map(drop),
            '"' => self.until('"', "a chord symbol").map(drop),
            '!' | '+' => {
                self.decoration(sign);
                Ok(())
            }
            '&' => {
                self.at += 1;
                tune.voice().overlay();
                Ok(())
            }
            'y' => {
                self.at += 1;
                self.take(|c| c.is_ascii_digit() || c == '/');
                Ok(())
            }
            // Ends of slurs, decorations of one letter, and layout.
            ')' | '.' | '~' | '`' | '*' | '$' | '\\' | ';' | 'H'..='W' | 'h'..='w' => {
                self.at += 1;
                Ok(())
            }
            _ if sign.is_whitespace() => {
                self.at += 1;
                Ok(())
            }
            _ => bail!("expected a note, a rest or a barline, got `{sign}`"),
        }
    }

    fn note(&mut self) -> Result<(Spelt, Beats)> {
        let signs = self.take(|c| matches!(c, '^' | '_' | '='));
        let accidental = match signs.as_str() {
            "" => None,
            "^^" => Some(2),
            "^" => Some(1),
            "=" => Some(0),
            "_" => Some(-1),
            "__" => Some(-2),
            _ => bail!("expected an accidental, got `{signs}`"),
        };
        let letter = self.peek().filter(|c| matches!(c, 'A'..='G' | 'a'..='g'));
        let letter = letter.with_context(|| format!("expected a note after `{signs}`"))?;
        self.at += 1;
        let marks = self.take(|c| c == ',' || c == '\'');
        let shift = marks.chars().map(|mark| if mark == ',' { -1 } else { 1 }).sum::<i64>();
        let octave = shift + if letter.is_ascii_lowercase() { 6 } else { 5 };
        let letter = letter.to_ascii_uppercase() as u8;
        Ok((Spelt { letter, octave, accidental }, self.length()?))
    }

    fn number(&mut self) -> Result<Option<u32>> {
        let digits = self.take(|c| c.is_ascii_digit());
        if digits.is_empty() {
            return Ok(None);
        }
        let number = digits.parse().ok().filter(|number| *number <= MAX_NUMBER);
        Ok(Some(number.with_context(|| format!("expected a number up to {MAX_NUMBER}, got {digits}"))?))
    }

    /// A length in units: `3`, `3/2`, `/`, `//`.
    fn length(&mut self) -> Result<Beats> {
        let upper = self.number()?.unwrap_or(1);
        let mut lower = 1;
        while self.peek() == Some('/') {
            self.at += 1;
            lower *= self.number()?.unwrap_or(2);
            ensure!((1..=MAX_NUMBER).contains(&lower), "expected a length such as 3/2, got a division by {lower}");
        }
        ensure!(upper > 0, "expected a length above 0, got 0");
        Beats::new(upper.into(), lower.into())
    }

    fn chord(&mut self, tune: &mut Tune) -> Result<()> {
        self.at += 1;
        let mut notes = Vec::new();
        while let Some(sign) = self.peek().filter(|c| *c != ']') {
            match sign {
                'A'..='G' | 'a'..='g' | '^' | '_' | '=' => {
                    let (note, length) = self.note()?;
                    notes.push((note, length, false));
                }
                '-' => {
                    self.at += 1;
                    if let Some(note) = notes.last_mut() {
                        note.2 = true;
                    }
                }
                'z' | 'x' => {
                    self.at += 1;
                    self.length()?;
                }
                '"' => drop(self.until('"', "an annotation")?),
                '!' => self.decoration(sign),
                '(' | ')' | '.' | '~' | ' ' | 'H'..='W' | 'h'..='w' => self.at += 1,
                _ => bail!("expected a chord's notes, got `{sign}`"),
            }
        }
        ensure!(self.peek().is_some() && !notes.is_empty(), "expected notes and `]`, got no chord");
        self.at += 1;
        let times = self.length()?;
        for note in &mut notes {
            note.1 = note.1.times(times)?;
        }
        let length = notes[0].1;
        tune.voice().event(&notes, length)
    }

    /// Bars of rest: `Z4` is four.
    fn bars_of_rest(&mut self, tune: &mut Tune) -> Result<()> {
        self.at += 1;
        let bars = self.number()?.unwrap_or(1);
        ensure!(bars <= 1000, "expected at most 1000 bars of rest, got {bars}");
        let voice = tune.voice();
        let metre = voice.metres.last().context("expected a metre (M:) to rest bars by, got none")?.1;
        let length = Beats::new(4 * i64::from(metre.count) * i64::from(bars), metre.unit.into())?;
        voice.time = voice.time.plus(length)?;
        Ok(())
    }

    /// `(` starts a slur, `(3` a triplet, `(3:2:4` a triplet of four notes, `(3::2` one of two.
    fn slur_or_tuplet(&mut self, tune: &mut Tune) -> Result<()> {
        self.at += 1;
        let Some(notes) = self.number()? else { return Ok(()) };
        let (mut into, mut events) = (None, None);
        if self.peek() == Some(':') && self.after(1).is_some_and(|c| c == ':' || c.is_ascii_digit()) {
            self.at += 1;
            into = self.number()?;
            if self.peek() == Some(':') {
                self.at += 1;
                events = self.number()?;
            }
        }
        let compound = tune.voice().metres.last().is_some_and(|(_, m)| m.count > 3 && m.count % 3 == 0);
        let into = into.unwrap_or(match notes {
            2 | 4 | 8 => 3,
            3 | 6 => 2,
            1 => 1,
            _ if compound => 3,
            _ => 2,
        });
        tune.voice().tuplet(notes, into, events.unwrap_or(notes))
    }

    /// `!trill!`. In old files a single `!` is a line break.
    fn decoration(&mut self, mark: char) {
        let rest = &self.signs[self.at + 1..];
        let closing = rest.iter().position(|&c| c == mark);
        let word = closing.filter(|&end| !rest[..end].iter().any(|c| c.is_whitespace() || *c == '|'));
        self.at += word.map_or(1, |end| end + 2);
    }

    /// Bars, repeats and endings: `|`, `||`, `|]`, `|:`, `:|`, `::`, `:|2`, `[1`, `|1,3`.
    fn barline(&mut self, tune: &mut Tune) -> Result<()> {
        let from = self.at;
        while let Some(sign) = self.peek() {
            let ours = match sign {
                '|' | ':' => true,
                ']' => self.at > from,
                '[' => matches!(self.after(1), Some('|' | ']' | '0'..='9')),
                _ => false,
            };
            if !ours {
                break;
            }
            self.at += 1;
        }
        let signs: String = self.signs[from..self.at].iter().collect();
        let mut barline = Barline::default();
        let leading = signs.chars().take_while(|c| *c == ':').count();
        let trailing = signs.chars().rev().take_while(|c| *c == ':').count();
        if leading == signs.len() {
            // `::` ends and begins a repeat. A single `:` lacks its bar, which at the start of a line was on the line
            // before.
            let begins = self.signs[..from].iter().all(|c| c.is_whitespace());
            (barline.times, barline.opens) = (if leading > 1 || !begins { 2 } else { 0 }, leading > 1 || begins);
        } else {
            barline.times = if leading > 0 { leading as u32 + 1 } else { 0 };
            barline.opens = trailing > 0;
        }
        barline.ends_ending = ["||", "|]", "[|"].iter().any(|end| signs.contains(end));
        if self.peek().is_some_and(|c| c.is_ascii_digit()) {
            barline.ending = Some(self.endings()?);
        }
        tune.voice().barline(barline, signs != "[");
        Ok(())
    }

    /// The numbers of an ending: `1`, `1,3`, `1-3`.
    fn endings(&mut self) -> Result<Vec<u32>> {
        let mut passes = Vec::new();
        loop {
            let first = self.number()?.context("expected the number of an ending")?;
            let mut last = first;
            if self.peek() == Some('-') && self.after(1).is_some_and(|c| c.is_ascii_digit()) {
                self.at += 1;
                last = self.number()?.unwrap_or(first);
            }
            ensure!(last <= 32, "expected endings up to 32, got {last}");
            passes.extend(first..=last);
            if self.peek() != Some(',') || !self.after(1).is_some_and(|c| c.is_ascii_digit()) {
                return Ok(passes);
            }
            self.at += 1;
        }
    }
}
