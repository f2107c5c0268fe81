//! ABC, versions 1.6 to 2.1: many tunes in a file. Standard: <https://abcnotation.com/wiki/abc:standard:v2.1>.

mod fields;
mod music;
mod voice;

use anyhow::{Context, Result, bail, ensure};

use super::beats::Beats;
use super::format::Format;
use super::piece::{Metre, Piece};
use super::repeats;
use super::written::WrittenMusic;
use voice::{Reach, Voice};

/// ABC files.
pub const FORMAT: Format = Format {
    name: "ABC",
    extensions: &["abc"],
    shared_extensions: &[],
    begins: |_, text| ["X:", "K:"].iter().all(|field| text.lines().any(|line| line.starts_with(field))),
    read: |file| read(file.source, &file.text(), file.played),
};

/// Reads a piece from each tune, with a part for each voice. A piece's source ends with the line of its `X:`. Leaves
/// out grace notes; ignores decorations, chord symbols and lyrics. With `played`, follows repeats, endings and the
/// order of parts (`P:`), but not da capo. A tune that cannot be read becomes an error with line and column.
///
/// # Errors
/// If the file contains no tune.
pub fn read(source: &str, text: &str, played: bool) -> Result<Vec<Result<Piece>>> {
    let mut pieces = Vec::new();
    let mut file_header = Vec::new();
    let mut lines: Vec<(usize, &str)> = Vec::new();
    for (idx, line) in text.lines().enumerate() {
        let line = line.trim_end();
        if line.starts_with("X:") {
            pieces.extend(tune(source, &file_header, &lines, played));
            lines = vec![(idx + 1, line)];
        } else if lines.is_empty() {
            file_header.push((idx + 1, line));
        } else {
            lines.push((idx + 1, line));
        }
    }
    pieces.extend(tune(source, &file_header, &lines, played));
    ensure!(!pieces.is_empty(), "expected a tune that begins with `X:`, got none");
    Ok(pieces)
}

/// Reads a tune from its lines, which start with `X:`. `None` if there are no lines.
fn tune(source: &str, file_header: &[(usize, &str)], lines: &[(usize, &str)], played: bool) -> Option<Result<Piece>> {
    let source = format!("{source}:{}", lines.first()?.0);
    // Fields before the first tune may set defaults for all tunes.
    let defaults = file_header.iter().filter(|(_, line)| matches!(line.as_bytes(), [b'L' | b'M' | b'%', ..]));
    let mut tune = Tune::new(&source);
    for &(number, line) in defaults.chain(lines) {
        if line.is_empty() && number >= lines[0].0 {
            // A tune ends at an empty line. The lines after it may be text, or the rest of the tune by mistake.
            let rest =
                lines.iter().find(|(after, line)| *after > number && line.contains('|') && !line.starts_with('%'));
            if let Some((after, _)) = rest.filter(|_| tune.in_music) {
                tune.music.remarks.push(format!("line {after} comes after the empty line that ends the tune"));
            }
            break;
        }
        if let Err(error) = tune.line(number, line).with_context(|| format!("line {number}")) {
            return Some(Err(error.context(source)));
        }
    }
    Some(tune.finish(played).context(source))
}

/// A tune while it is read.
struct Tune {
    music: WrittenMusic,
    /// Length of a note without a number, if `L:` sets one.
    unit: Option<Beats>,
    metre: Option<Metre>,
    tempo: Option<String>,
    key: fields::KeyField,
    reach: Reach,
    /// Whether the header has ended with `K:`.
    in_music: bool,
    voices: Vec<Voice>,
    /// Index of the current voice.
    voice: usize,
    /// The order of parts in the header.
    order: String,
    /// The labels of parts, and when they begin.
    labels: Vec<(char, Beats)>,
}

impl Tune {
    fn new(source: &str) -> Self {
        Self {
            music: WrittenMusic { source: source.to_string(), ..WrittenMusic::default() },
            unit: None,
            metre: None,
            tempo: None,
            key: fields::KeyField::default(),
            reach: Reach::default(),
            in_music: false,
            voices: Vec::new(),
            voice: 0,
            order: String::new(),
            labels: Vec::new(),
        }
    }

    fn line(&mut self, number: usize, line: &str) -> Result<()> {
        if let Some(reach) = line.strip_prefix("%%propagate-accidentals") {
            self.reach = match reach.trim() {
                "not" => Reach::Note,
                "octave" => Reach::Octave,
                _ => Reach::Letter,
            };
        }
        let mut line = without_remark(line).trim_end();
        if self.in_music
            && let Some(rest) = line.strip_suffix("=20").or(line.strip_suffix('='))
        {
            self.music
                .remarks
                .push(format!("line {number} ends in `=20` or `=` from an e-mail encoding, which is ignored"));
            line = rest;
        }
        if is_field(line, self.in_music) {
            self.field(line)
        } else if self.in_music {
            music::read(line, self)
        } else {
            if !line.trim().is_empty() {
                self.music.remarks.push(format!("line {number} of the header is not a field and is ignored"));
            }
            Ok(())
        }
    }

    /// Reads a field such as `K:G`, on a line of its own or within the music.
    fn field(&mut self, field: &str) -> Result<()> {
        let (name, text) = field.split_once(':').context("expected a field with a colon")?;
        let text = text.trim();
        match name {
            "T" if self.music.title.is_empty() && !self.in_music => self.music.title = text.to_string(),
            "L" => {
                let unit = fields::length(text)?;
                self.unit = Some(unit);
                if self.in_music {
                    self.voice().unit = unit;
                }
            }
            "M" => self.metre(fields::metre(text)?),
            "Q" if self.tempo.is_none() => self.tempo = Some(text.to_string()),
            "P" if !self.in_music => self.order = text.to_string(),
            "P" => {
                let time = self.voice().time;
                if let (Some(label @ 'A'..='Z'), 0) = (text.chars().next().filter(|_| text.len() == 1), self.voice) {
                    self.labels.push((label, time));
                }
            }
            "V" => self.select(text)?,
            "K" => self.key(text)?,
            _ => {}
        }
        Ok(())
    }

    fn metre(&mut self, metre: Option<Metre>) {
        self.metre = metre;
        if self.in_music
            && let Some(metre) = metre
        {
            let voice = self.voice();
            voice.metres.push((voice.time, metre));
        }
    }

    /// Selects the current voice; creates it if it is new.
    fn select(&mut self, text: &str) -> Result<()> {
        let (id, properties) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let properties = fields::voice(properties)?;
        self.voice = match self.voices.iter().position(|voice| voice.id == id) {
            Some(voice) => voice,
            None => {
                ensure!(self.voices.len() < 100, "expected at most 100 voices, got more");
                let voice = self.new_voice(id)?;
                self.voices.push(voice);
                self.voices.len() - 1
            }
        };
        let voice = &mut self.voices[self.voice];
        voice.transpose += properties.transpose;
        if !properties.name.is_empty() {
            voice.part.name = properties.name;
        }
        Ok(())
    }

    /// A voice with the header's settings.
    fn new_voice(&self, id: &str) -> Result<Voice> {
        let unit = self.unit.map_or_else(|| fields::default_length(self.metre), Ok)?;
        let mut voice = Voice::new(id, unit);
        voice.signature = self.key.signature.unwrap_or([0; 7]);
        voice.transpose = self.key.transpose;
        voice.reach = self.reach;
        voice.metres.extend(self.metre.map(|metre| (Beats::ZERO, metre)));
        Ok(voice)
    }

    fn key(&mut self, text: &str) -> Result<()> {
        let key = fields::key(text)?;
        if self.in_music {
            let voice = self.voice();
            voice.signature = key.signature.unwrap_or(voice.signature);
            return Ok(());
        }
        self.in_music = true;
        self.key = key;
        self.music.written_key = self.key.written;
        if self.voices.is_empty() {
            self.voices.push(self.new_voice("")?);
        } else {
            // Voices that the header named before its key.
            for idx in 0..self.voices.len() {
                let mut fresh = self.new_voice(&self.voices[idx].id)?;
                let voice = &mut self.voices[idx];
                fresh.transpose += voice.transpose;
                fresh.part.name = std::mem::take(&mut voice.part.name);
                *voice = fresh;
            }
            self.voice = 0;
        }
        Ok(())
    }

    /// The current voice.
    ///
    /// # Panics
    /// Before the end of the header.
    fn voice(&mut self) -> &mut Voice {
        &mut self.voices[self.voice]
    }

    fn finish(mut self, played: bool) -> Result<Piece> {
        ensure!(self.in_music, "expected a key (`K:`) at the end of the header, got none");
        // The longest voice provides the bars and repeats for all.
        self.voices.retain(|voice| !voice.part.notes.is_empty());
        let Some(longest) = self.voices.iter().rev().max_by_key(|voice| voice.time) else {
            bail!("expected notes, got none");
        };
        let end = longest.time;
        if let Some(tempo) = &self.tempo {
            self.music.tempo_bpm = fields::tempo(tempo, self.unit.unwrap_or(longest.unit));
        }
        if played {
            match self.order(longest, end) {
                Ok(order) => self.music.order = order,
                Err(error) => self.music.remarks.push(format!("the order of parts is ignored: {error:#}")),
            }
        }
        self.music.barlines = longest.barlines.iter().filter_map(|barline| barline.at).collect();
        self.music.metres.clone_from(&longest.metres);
        self.music.end = Some(end);
        self.music.parts = self.voices.into_iter().map(|voice| voice.part).collect();
        self.music.into_piece()
    }

    /// The stretches of written time in the order given by the repeats in `voice` and the order of parts.
    fn order(&self, voice: &Voice, end: Beats) -> Result<Vec<(Beats, Beats)>> {
        if self.order.is_empty() || self.labels.is_empty() {
            return repeats::order(&voice.barlines, Beats::ZERO, end);
        }
        let mut order = Vec::new();
        for part in fields::parts(&self.order)? {
            let idx = self.labels.iter().position(|(label, _)| *label == part);
            let idx = idx.with_context(|| format!("P:{}: there is no part {part}", self.order))?;
            let from = if idx == 0 { Beats::ZERO } else { self.labels[idx].1 };
            let to = self.labels.get(idx + 1).map_or(end, |(_, next)| *next);
            order.extend(repeats::order(&voice.barlines, from, to)?);
        }
        Ok(order)
    }
}

/// `A:` at the beginning of a line. In music, `A:|` is a note instead.
fn is_field(line: &str, in_music: bool) -> bool {
    match line.as_bytes() {
        [b'A'..=b'Z' | b'w' | b's' | b'm' | b'r' | b'+', b':', rest @ ..] => {
            !in_music || !matches!(rest, [b'|' | b':', ..])
        }
        _ => false,
    }
}

/// The line up to a `%` that is not `\%`.
fn without_remark(line: &str) -> &str {
    let remark = line.match_indices('%').find(|(at, _)| !line[..*at].ends_with('\\'));
    remark.map_or(line, |(at, _)| &line[..at])
}

#[cfg(test)]
pub mod tests;
