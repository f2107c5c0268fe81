//! Chorale CSV: columns `note0..`, one row per 16th step, MIDI pitches, 0 for a rest.

use anyhow::{Context, Result, ensure};

use super::format::Format;
use super::piece::Piece;
use super::pitch_table;

/// Chorale CSV files.
pub const FORMAT: Format = Format {
    name: "chorale CSV",
    extensions: &[],
    shared_extensions: &["csv"],
    begins: |_, text| text.lines().next().is_some_and(|line| line.trim_end() == "note0" || line.starts_with("note0,")),
    read: |file| Ok(vec![read(file.source, &file.text())]),
};

/// Reads the piece in a file.
///
/// # Errors
/// If the header is not `note0,note1..`, or a row does not have as many pitches; with the line.
pub fn read(source: &str, text: &str) -> Result<Piece> {
    let music = pitch_table::written(&pitches(text)?, None)?;
    super::written::WrittenMusic { source: source.to_string(), ..music }.into_piece()
}

fn pitches(text: &str) -> Result<Vec<Vec<Option<u8>>>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().context("expected a header `note0,note1..`")?;
    let named = header.iter().enumerate().all(|(idx, name)| name == format!("note{idx}"));
    ensure!(named && !header.is_empty(), "line 1: expected a header `note0,note1..`, got `{}`", header.as_slice());
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.context("expected a row of pitches")?;
        let line = record.position().map_or(0, csv::Position::line);
        let pitch = |field: &str| match field.parse::<u8>() {
            Ok(0) => Ok(None),
            Ok(pitch @ 1..=127) => Ok(Some(pitch)),
            _ => anyhow::bail!("line {line}: expected a MIDI pitch or 0, got `{field}`"),
        };
        rows.push(record.iter().map(pitch).collect::<Result<Vec<_>>>()?);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::written::notes_in_words;

    fn error(text: &str) -> String {
        format!("{:#}", read("a.csv", text).expect_err("an error"))
    }

    #[test]
    fn rows_are_read() {
        let piece = read("a.csv", "note0,note1,note2,note3\n60,55,52,48\n60,0,52,47\n").unwrap();
        assert_eq!(notes_in_words(&piece), ["0+1/2:60", "0+1/4:55", "0+1/2:52", "0+1/4:48 1/4+1/4:47"]);
        assert_eq!(piece.parts[3].name, "Bass");
    }

    #[test]
    fn malformed_files_say_where() {
        assert!(error("").contains("expected a header"));
        assert_eq!(error("a,b\n1,2\n"), "line 1: expected a header `note0,note1..`, got `ab`");
        assert_eq!(error("note0\n60\nx\n"), "line 3: expected a MIDI pitch or 0, got `x`");
        assert_eq!(error("note0\n128\n"), "line 2: expected a MIDI pitch or 0, got `128`");
        assert!(error("note0,note1\n60,60\n60\n").contains("line: 3"));
        assert_eq!(error("note0\n0\n"), "expected notes, got none");
    }
}
