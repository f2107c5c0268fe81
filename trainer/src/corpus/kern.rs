//! Humdrum `**kern`: spines of tokens, one line per moment.

mod spines;
mod tokens;

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};

use super::beats::Beats;
use super::format::Format;
use super::piece::Piece;
use super::written::{WrittenMusic, WrittenNote};
use spines::Spines;

/// Kern files.
pub const FORMAT: Format = Format {
    name: "kern",
    extensions: &["krn", "kern"],
    shared_extensions: &[],
    begins: |_, text| text.lines().find(|line| !line.starts_with('!')).is_some_and(|line| line.starts_with("**kern")),
    read: |file| Ok(vec![read(file.source, &file.text(), file.played)]),
};

/// Remarks list only this many lines of each kind, and count the others.
const REMARKS_SHOWN: usize = 3;

/// A file while it is read.
#[derive(Default)]
struct Reader {
    music: WrittenMusic,
    spines: Spines,
    /// The time of the last line with notes.
    now: Beats,
    /// The labels of sections, and when they begin.
    labels: Vec<(String, Beats)>,
    /// The default order of sections, by label.
    expansion: Vec<String>,
    /// Lines where the rhythm was inconsistent.
    realigned: Vec<usize>,
    /// Lines with tokens that are neither notes nor rests.
    odd: Vec<usize>,
}

/// Reads the piece in a file. A spine and those it splits into form a part. Leaves out grace notes; ignores slurs and
/// ornaments. The tokens contain sounding pitches (`*8va` and `*ITr` only concern the page). With `played`, follows the
/// default expansion list (`*>[A,A,B]`) if there is one, but not repeat signs at barlines.
///
/// Where the rhythm of the spines is inconsistent, realigns them at the next line or barline that determines the time.
/// A token with a length that is neither note nor rest counts as a rest. Remarks list both.
///
/// # Errors
/// If a line has the wrong number of spines, a token is invalid, or the file ends without `*-`; with the line.
pub fn read(source: &str, text: &str, played: bool) -> Result<Piece> {
    let mut reader = Reader::default();
    reader.music.source = source.to_string();
    let mut num_lines = 0;
    for (idx, line) in text.lines().enumerate() {
        let line = line.trim_end_matches('\r');
        num_lines = idx + 1;
        reader.line(num_lines, line).with_context(|| format!("line {num_lines}"))?;
    }
    ensure!(reader.spines.seen_kern(), "expected a spine `**kern`, got none");
    ensure!(
        reader.spines.is_empty(),
        "line {num_lines}: expected the spines to end with `*-`; the file is cut short, copy it again"
    );
    reader.finish(played)
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) -> Result<()> {
        if let Some(reference) = line.strip_prefix("!!!") {
            if let Some(title) = reference.strip_prefix("OTL").and_then(|rest| rest.split_once(':'))
                && self.music.title.is_empty()
            {
                self.music.title = title.1.trim().to_string();
            }
            return Ok(());
        }
        if line.is_empty() || line.starts_with('!') {
            return Ok(());
        }
        let tokens: Vec<&str> = line.split('\t').collect();
        if self.spines.is_empty() {
            ensure!(line.starts_with("**"), "expected spines to begin with `**`, got `{}`", cut(line));
            self.spines.begin(&tokens, self.now, &mut self.music.parts)?;
            return Ok(());
        }
        ensure!(
            tokens.len() == self.spines.len(),
            "expected {} spines, got {} tokens",
            self.spines.len(),
            tokens.len()
        );
        match line.as_bytes()[0] {
            b'*' => self.interpretations(&tokens),
            b'=' => {
                self.barline(number);
                Ok(())
            }
            _ => self.data(number, &tokens),
        }
    }

    fn interpretations(&mut self, tokens: &[&str]) -> Result<()> {
        let time = self.spines.time(self.now);
        if let Some(token) = tokens[0].strip_prefix("*>") {
            self.label(token.trim(), time);
        }
        for (spine, token) in self.spines.iter().zip(tokens).filter(|(spine, _)| spine.kern) {
            let name = token.strip_prefix("*I\"");
            if let Some(name) = name.filter(|_| self.music.parts[spine.part].name.is_empty()) {
                self.music.parts[spine.part].name = name.trim().to_string();
            }
            tokens::interpretation(token, time, &mut self.music)?;
        }
        self.spines.change(tokens, time, &mut self.music.parts)
    }

    /// `A` begins a section, `[A,A,B]` is the default order of sections, `name[A,B]` an alternative one.
    fn label(&mut self, text: &str, time: Beats) {
        match text.strip_prefix('[') {
            Some(list) if self.expansion.is_empty() => {
                self.expansion = list.trim_end_matches(']').split(',').map(|label| label.trim().to_string()).collect();
            }
            Some(_) => {}
            None if text.contains('[') => {}
            None => self.labels.push((text.to_string(), time)),
        }
    }

    fn barline(&mut self, number: usize) {
        let (time, agreed) = self.spines.bring_together(self.now);
        if !agreed {
            self.realigned.push(number);
        }
        self.now = self.now.max(time);
        self.music.barlines.push(time);
    }

    fn data(&mut self, number: usize, tokens: &[&str]) -> Result<()> {
        let mut events = Vec::new();
        for (idx, (spine, token)) in self.spines.iter().zip(tokens).enumerate() {
            if spine.kern && *token != "." {
                let event = tokens::event(token).with_context(|| format!("spine {}, `{}`", idx + 1, cut(token)))?;
                events.extend(event.map(|event| (idx, event)));
            }
        }
        let ends: Vec<Beats> = events.iter().map(|(idx, _)| self.spines.end_of(*idx)).collect();
        let Some(time) = spines::most_common(&ends).map(|time| time.max(self.now)) else {
            return Ok(()); // grace notes, or nothing at all
        };
        if ends.iter().any(|&end| end != time) {
            self.realigned.push(number);
        }
        if events.iter().any(|(_, event)| event.odd) {
            self.odd.push(number);
        }
        for (idx, event) in events {
            let part = self.spines.part_of(idx);
            self.spines.set_end(idx, time.plus(event.length)?);
            self.music.parts[part].notes.extend(event.notes.into_iter().map(|note| WrittenNote {
                at: time,
                length: event.length,
                pitch: note.pitch,
                tied_on: note.tied_on,
                tied_back: note.tied_back,
                velocity: None,
            }));
        }
        self.now = time;
        Ok(())
    }

    fn finish(mut self, played: bool) -> Result<Piece> {
        let end = self.spines.latest().max(self.now);
        self.music.end = Some(end);
        if played && !self.expansion.is_empty() {
            match self.order(end) {
                Ok(order) => self.music.order = order,
                Err(error) => self.music.remarks.push(format!("the order of sections is ignored: {error:#}")),
            }
        }
        let realigned =
            [(&self.realigned, "spines do not end together before"), (&self.odd, "neither note nor rest in")];
        for (lines, what) in realigned.into_iter().filter(|(lines, _)| !lines.is_empty()) {
            let places: Vec<String> = lines.iter().take(REMARKS_SHOWN).map(|line| format!("line {line}")).collect();
            let more = lines.len().saturating_sub(REMARKS_SHOWN);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            self.music.remarks.push(format!("{what} {}{more}", places.join(", ")));
        }
        // Kern orders parts from the bass up.
        self.music.parts.reverse();
        self.music.into_piece()
    }

    /// The stretches of written time in the order of the expansion list.
    fn order(&self, end: Beats) -> Result<Vec<(Beats, Beats)>> {
        let mut sections: HashMap<&str, (Beats, Beats)> = HashMap::new();
        for (idx, (label, from)) in self.labels.iter().enumerate() {
            let to = self.labels.get(idx + 1).map_or(end, |(_, next)| *next);
            if sections.insert(label, (*from, to)).is_some() {
                bail!("the label `*>{label}` occurs twice");
            }
        }
        let section = |label: &String| {
            sections.get(label.as_str()).copied().with_context(|| format!("there is no label `*>{label}`"))
        };
        let order = self.expansion.iter().map(section).collect::<Result<Vec<_>>>()?;
        Ok(order.into_iter().filter(|(from, to)| from < to).collect())
    }
}

/// The start of a token, for errors.
fn cut(text: &str) -> String {
    text.chars().take(24).collect()
}

#[cfg(test)]
pub mod tests;
