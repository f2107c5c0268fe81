//! Lead sheets as JSON: a list of objects with `title`, `tpq` (ticks per quarter note), `notes` as a sequence of
//! `[pitch or -1, ticks]`, and optionally `ts` (metres) and `fifths`. Chords and repeats are ignored.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use super::beats::Beats;
use super::key::WrittenKey;
use super::piece::{Metre, Piece};
use super::written::{WrittenMusic, WrittenNote, WrittenPart};

#[derive(Deserialize)]
struct Sheet {
    #[serde(default)]
    title: String,
    tpq: i64,
    notes: Vec<(i16, i64)>,
    #[serde(default)]
    ts: Vec<String>,
    #[serde(default)]
    fifths: Vec<i8>,
}

/// Whether a file's JSON looks like lead sheets.
pub fn is(json: &Value) -> bool {
    json.as_array().and_then(|sheets| sheets.first()).is_some_and(|sheet| sheet.get("tpq").is_some())
}

/// Reads the pieces in a file, each with one part.
pub fn read(source: &str, json: &Value) -> Vec<Result<Piece>> {
    let sheets = json.as_array().map_or(&[][..], Vec::as_slice);
    sheets.iter().enumerate().map(|(idx, sheet)| piece(format!("{source}#{idx}"), sheet)).collect()
}

fn piece(source: String, sheet: &Value) -> Result<Piece> {
    read_sheet(&source, sheet).with_context(|| source.clone())
}

fn read_sheet(source: &str, sheet: &Value) -> Result<Piece> {
    let sheet = Sheet::deserialize(sheet).context("expected a lead sheet with `tpq` and `notes`")?;
    ensure!(sheet.tpq > 0, "expected ticks per quarter note above 0, got {}", sheet.tpq);
    let mut time = Beats::ZERO;
    let mut notes = Vec::new();
    for (idx, &(pitch, length)) in sheet.notes.iter().enumerate() {
        ensure!(length >= 0, "note {idx}: expected a length in ticks, got {length}");
        let length = Beats::new(length, sheet.tpq)?;
        match u8::try_from(pitch) {
            Ok(pitch @ ..=127) => {
                notes.push(WrittenNote { at: time, length, pitch, tied_on: false, tied_back: false, velocity: None })
            }
            _ => ensure!(pitch == -1, "note {idx}: expected a MIDI pitch or -1, got {pitch}"),
        }
        time = time.plus(length)?;
    }
    let mut music =
        WrittenMusic { source: source.to_string(), title: sheet.title, end: Some(time), ..WrittenMusic::default() };
    music.parts.push(WrittenPart { name: "Melody".into(), notes, ..WrittenPart::default() });
    // The file does not say where a metre or key changes, so only one that applies throughout is used.
    if let [metre] = sheet.ts.as_slice() {
        music.metres.push((Beats::ZERO, Metre::parse(metre)?));
    }
    if let Some(&fifths) = sheet.fifths.first() {
        ensure!((-7..=7).contains(&fifths), "expected 7 flats to 7 sharps, got {fifths}");
        music.written_key = Some(WrittenKey { fifths, mode: None });
    }
    music.into_piece()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::written::notes_in_words;

    fn check(text: &str, expect: Result<&str, &str>) {
        let mut pieces = read("a.json", &serde_json::from_str(text).unwrap());
        let piece = pieces.remove(0).map(|piece| notes_in_words(&piece).concat());
        let words = piece.map_err(|error| format!("{error:#}"));
        assert_eq!(words.as_deref().map_err(String::as_str), expect);
    }

    #[test]
    fn sheets_are_read() {
        check(
            r#"[{"title": "t", "tpq": 24, "notes": [[60, 36], [-1, 12], [62, 8]], "ts": ["2/2"]}]"#,
            Ok("0+3/2:60 2+1/3:62"),
        );
        check(r#"[{"tpq": 0, "notes": []}]"#, Err("a.json#0: expected ticks per quarter note above 0, got 0"));
        check(r#"[{"tpq": 24, "notes": [[-2, 1]]}]"#, Err("a.json#0: note 0: expected a MIDI pitch or -1, got -2"));
        check(r#"[{"tpq": 24, "notes": [[60, -1]]}]"#, Err("a.json#0: note 0: expected a length in ticks, got -1"));
        check(
            r#"[{"tpq": 24, "notes": [[60, 24]], "ts": ["3"]}]"#,
            Err("a.json#0: expected a metre such as 3/4, got `3`"),
        );
    }
}
