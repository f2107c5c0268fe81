//! Humdrum `**kern`: spines of tokens, a line a moment.

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

/// More remarks of one kind are only counted.
const REMARKS_SHOWN: usize = 3;

/// A file while it is read.
#[derive(Default)]
struct Reader {
    music: WrittenMusic,
    spines: Spines,
    /// When the last line with notes stood.
    now: Beats,
    /// Sections by their label, and when they begin.
    labels: Vec<(String, Beats)>,
    /// The labels in the order in which they are played, by default.
    expansion: Vec<String>,
    /// The numbers of the lines at which the rhythm did not add up.
    mended: Vec<usize>,
    /// The numbers of the lines with tokens that are neither note nor rest.
    odd: Vec<usize>,
}

/// The piece of a file; a spine and what it splits into is a part. Grace notes are left out, slurs and ornaments
/// passed over. The pitches are what sounds (`*8va` and `*ITr` are about the page). With `played` the file's default
/// expansion list (`*>[A,A,B]`) is followed if it has one; repeat signs at barlines alone are not.
///
/// Where the rhythm of spines does not add up, they are brought together at the next line or barline that tells; what
/// has a length but is neither note nor rest is a rest. A remark says where.
///
/// # Errors
/// If the spines of a line are not as many as they must be, a token makes no sense, or the file ends without `*-`;
/// with the line.
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

    /// `A` begins a section, `[A,A,B]` is the default order of sections, `name[A,B]` another one.
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
            self.mended.push(number);
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
            self.mended.push(number);
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
                Err(error) => self.music.remarks.push(format!("read as written: {error:#}")),
            }
        }
        let mended = [(&self.mended, "spines do not end together before"), (&self.odd, "neither note nor rest in")];
        for (lines, what) in mended.into_iter().filter(|(lines, _)| !lines.is_empty()) {
            let places: Vec<String> = lines.iter().take(REMARKS_SHOWN).map(|line| format!("line {line}")).collect();
            let more = lines.len().saturating_sub(REMARKS_SHOWN);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            self.music.remarks.push(format!("{what} {}{more}", places.join(", ")));
        }
        // Kern is written from the bass up.
        self.music.parts.reverse();
        self.music.into_piece()
    }

    /// The stretches that the expansion list names.
    fn order(&self, end: Beats) -> Result<Vec<(Beats, Beats)>> {
        let mut sections: HashMap<&str, (Beats, Beats)> = HashMap::new();
        for (idx, (label, from)) in self.labels.iter().enumerate() {
            let to = self.labels.get(idx + 1).map_or(end, |(_, next)| *next);
            if sections.insert(label, (*from, to)).is_some() {
                bail!("the label `*>{label}` stands twice");
            }
        }
        let section = |label: &String| {
            sections.get(label.as_str()).copied().with_context(|| format!("the label `*>{label}` stands nowhere"))
        };
        let order = self.expansion.iter().map(section).collect::<Result<Vec<_>>>()?;
        Ok(order.into_iter().filter(|(from, to)| from < to).collect())
    }
}

/// As much of a token as an error shows.
fn cut(text: &str) -> String {
    text.chars().take(24).collect()
}

#[cfg(test)]
pub mod tests;
