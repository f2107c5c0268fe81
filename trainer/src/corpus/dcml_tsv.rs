//! Note tables of DCML's corpora (ms3's `NAME.notes.tsv`, with `NAME.measures.tsv` beside it).

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

use super::beats::Beats;
use super::decoding;
use super::format::{File, Format};
use super::key::WrittenKey;
use super::piece::{Metre, Piece};
use super::written::{WrittenMusic, WrittenNote, WrittenPart};

/// Note tables.
pub const FORMAT: Format = Format {
    name: "notes TSV",
    extensions: &[],
    shared_extensions: &[],
    begins: |_, text| {
        let header: Vec<&str> = text.lines().next().unwrap_or_default().split('\t').collect();
        ["mc", "midi", "quarterbeats", "duration_qb"].iter().all(|name| header.contains(name))
    },
    read: read_file,
};

/// Reads a note table, and the measure table beside it if there is one.
fn read_file(file: &File) -> Result<Vec<Result<Piece>>> {
    let name = file.path.file_name().unwrap_or_default().to_string_lossy();
    let measures = file.path.with_file_name(name.replace(".notes.tsv", ".measures.tsv"));
    let measures = if measures == file.path { None } else { std::fs::read(measures).ok() };
    let measures = measures.map(|bytes| decoding::text(&bytes));
    Ok(vec![read(file.source, &file.text(), measures.as_deref())])
}

/// Reads a note table as a piece with a part for each staff and voice, as written: repeats are not played. Leaves out
/// grace notes. `measures` is the text of the measure table, which provides key, metres and bars.
///
/// # Errors
/// If a column is missing or a field is invalid; with the line.
pub fn read(source: &str, notes: &str, measures: Option<&str>) -> Result<Piece> {
    let mut music = WrittenMusic { source: source.to_string(), ..WrittenMusic::default() };
    let mut parts: BTreeMap<(u32, u32), WrittenPart> = BTreeMap::new();
    let table = Table::parse(notes)?;
    let at = table.column("quarterbeats_all_endings").or_else(|_| table.column("quarterbeats"))?;
    let [length, midi, tied] = ["duration_qb", "midi", "tied"].map(|name| table.column(name));
    let (length, midi, tied) = (length?, midi?, tied?);
    let (staff, voice) = (table.column("staff")?, table.column("voice")?);
    let grace = table.column("gracenote").ok();
    for row in &table.rows {
        if grace.is_some_and(|grace| !row.fields[grace].is_empty()) {
            continue;
        }
        let field = |column: usize| row.fields[column].as_str();
        let number = |column: usize| -> Result<u32> {
            field(column).parse().ok().with_context(|| row.expected("a number", field(column)))
        };
        let pitch = field(midi).parse().ok().filter(|pitch| *pitch <= 127);
        let (tied_on, tied_back) = match field(tied) {
            "" => (false, false),
            "1" => (true, false),
            "0" => (true, true),
            "-1" => (false, true),
            other => anyhow::bail!(row.expected("a tie (1, 0, -1 or nothing)", other)),
        };
        let time = |column| fraction(field(column)).with_context(|| row.expected("quarter notes", field(column)));
        parts.entry((number(staff)?, number(voice)?)).or_default().notes.push(WrittenNote {
            at: time(at)?,
            length: time(length)?,
            pitch: pitch.with_context(|| row.expected("a MIDI pitch", field(midi)))?,
            tied_on,
            tied_back,
            velocity: None,
        });
    }
    for ((staff, voice), part) in parts {
        music.parts.push(WrittenPart { name: format!("Staff {staff} voice {voice}"), ..part });
    }
    if let Some(measures) = measures {
        read_measures(&mut music, measures).context("in the measure table")?;
    }
    music.into_piece()
}

fn read_measures(music: &mut WrittenMusic, text: &str) -> Result<()> {
    let table = Table::parse(text)?;
    let at = table.column("quarterbeats_all_endings").or_else(|_| table.column("quarterbeats"))?;
    let [length, keysig, timesig] = ["duration_qb", "keysig", "timesig"].map(|name| table.column(name));
    let (length, keysig, timesig) = (length?, keysig?, timesig?);
    for row in &table.rows {
        let field = |column: usize| row.fields[column].as_str();
        let time = |column| fraction(field(column)).with_context(|| row.expected("quarter notes", field(column)));
        let begins = time(at)?;
        music.barlines.push(begins);
        music.metres.push((begins, Metre::parse(field(timesig)).with_context(|| format!("line {}", row.line))?));
        music.end = music.end.max(Some(begins.plus(time(length)?)?));
        if music.written_key.is_none() {
            let fifths = field(keysig).parse().ok().filter(|fifths| (-7..=7).contains(fifths));
            let fifths = fifths.with_context(|| row.expected("7 flats (-7) to 7 sharps", field(keysig)))?;
            music.written_key = Some(WrittenKey { fifths, mode: None });
        }
    }
    Ok(())
}

/// A table with a header.
struct Table {
    header: Vec<String>,
    rows: Vec<Row>,
}

struct Row {
    line: u64,
    /// As many as the header has.
    fields: Vec<String>,
}

impl Row {
    fn expected(&self, what: &str, got: &str) -> String {
        format!("line {}: expected {what}, got `{got}`", self.line)
    }
}

impl Table {
    fn parse(text: &str) -> Result<Self> {
        let mut reader = csv::ReaderBuilder::new().delimiter(b'\t').quoting(false).from_reader(text.as_bytes());
        let header = reader.headers()?.iter().map(String::from).collect();
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.context("expected a row as wide as the header")?;
            let line = record.position().map_or(0, csv::Position::line);
            rows.push(Row { line, fields: record.iter().map(String::from).collect() });
        }
        Ok(Self { header, rows })
    }

    fn column(&self, name: &str) -> Result<usize> {
        let column = self.header.iter().position(|column| column == name);
        column.with_context(|| format!("line 1: expected a column `{name}`, got {}", self.header.join(", ")))
    }
}

/// Parses `3`, `1.5` or `3/2`.
fn fraction(text: &str) -> Result<Beats> {
    if let Some((num, den)) = text.split_once('/') {
        return Beats::new(num.parse()?, den.parse()?);
    }
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    ensure!(decimals.len() <= 9 && decimals.bytes().all(|c| c.is_ascii_digit()), "expected at most 9 decimals");
    Beats::new(format!("{whole}{decimals}").parse()?, 10_i64.pow(decimals.len() as u32))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::corpus::piece::TICKS_PER_BEAT;
    use crate::corpus::written::notes_in_words;

    pub const NOTES: &str = "mc\tquarterbeats\tduration_qb\tstaff\tvoice\ttied\tmidi\tgracenote\n\
        1\t0\t1.0\t2\t1\t\t48\t\n1\t0\t1\t1\t1\t1\t60\t\n2\t1\t3/2\t1\t1\t-1\t60\t\n2\t5/2\t1/3\t1\t1\t\t62\t\n\
        2\t5/2\t0\t1\t1\t\t64\tgrace16\n";
    pub const MEASURES: &str =
        "mc\tquarterbeats\tduration_qb\tkeysig\ttimesig\n1\t0\t1.0\t-1\t3/4\n2\t1\t3.0\t-1\t3/4\n";

    #[test]
    fn tables_are_read() {
        let is = |text: &str| (FORMAT.begins)(text.as_bytes(), text);
        assert!(is(NOTES) && !is(MEASURES) && !is(""));
        let piece = read("a.tsv", NOTES, Some(MEASURES)).unwrap();
        assert_eq!(notes_in_words(&piece), ["0+5/2:60 5/2+1/3:62", "0+1:48"]);
        assert_eq!(piece.bars, [0, TICKS_PER_BEAT]);
        assert_eq!((piece.pickup(), piece.length), (TICKS_PER_BEAT, 4 * TICKS_PER_BEAT));
        assert_eq!(piece.key().unwrap().fifths, -1);
    }

    #[test]
    fn malformed_tables_say_where() {
        let error = |notes: &str| format!("{:#}", read("a.tsv", notes, None).expect_err("an error"));
        assert!(error("mc\tmidi\n").starts_with("line 1: expected a column `quarterbeats`, got mc, midi"));
        assert_eq!(error(&NOTES.replace("\t48\t", "\t480\t")), "line 2: expected a MIDI pitch, got `480`");
        assert!(error(&NOTES.replace("3/2", "3/0")).starts_with("line 4: expected quarter notes, got `3/0`"));
        assert_eq!(error(NOTES.lines().next().unwrap()), "expected notes, got none");
        let error = read("a.tsv", NOTES, Some("mc\n")).expect_err("an error");
        assert!(format!("{error:#}").starts_with("in the measure table: line 1"));
    }
}
