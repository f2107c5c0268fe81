//! Chorale CSV: a line `note0,note1,note2,note3`, then one row a 16th step of MIDI pitches, soprano first (0 = rest).
//! A note that goes on is repeated, so one that is struck again cannot be told from it.

use anyhow::{Context, Result, bail, ensure};
use continuo_model::rules::Row;
use continuo_model::tokeniser::grid::NUM_VOICES;

const COLUMNS: [&str; NUM_VOICES] = ["note0", "note1", "note2", "note3"];
const HIGHEST_MIDI_PITCH: u8 = 127;

/// The steps of one piece.
pub fn parse(text: &str) -> Result<Vec<Row>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let columns: Vec<String> = reader.headers().context("expected CSV")?.iter().map(String::from).collect();
    ensure!(
        columns == COLUMNS,
        "expected a first line `{}`, got `{}`; name the columns so, soprano first",
        COLUMNS.join(","),
        columns.join(",")
    );
    reader
        .records()
        .enumerate()
        .map(|(step, record)| {
            let record = record.with_context(|| format!("step {step}: expected {NUM_VOICES} pitches"))?;
            let mut row = [None; NUM_VOICES];
            for (voice, word) in record.iter().enumerate() {
                row[voice] = match word.parse() {
                    Ok(0) => None,
                    Ok(pitch @ 1..=HIGHEST_MIDI_PITCH) => Some(pitch),
                    _ => bail!(
                        "step {step}, {}: expected a pitch from 1 to {HIGHEST_MIDI_PITCH} or 0 for a rest, got `{word}`",
                        COLUMNS[voice]
                    ),
                };
            }
            Ok(row)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_and_zero_is_a_rest() {
        let text = "note0,note1,note2,note3\n72,64,55,48\n 72, 0 ,55,127\n";
        let rows = [[Some(72), Some(64), Some(55), Some(48)], [Some(72), None, Some(55), Some(127)]];
        assert_eq!(parse(text).unwrap(), rows);
    }

    #[test]
    fn malformed_files_say_where() {
        let error = |text: &str| format!("{:#}", parse(text).expect_err("an error"));
        assert_eq!(
            error("a,b\n1,2\n"),
            "expected a first line `note0,note1,note2,note3`, got `a,b`; name the columns so, soprano first"
        );
        let header = "note0,note1,note2,note3\n72,64,55,48\n";
        assert_eq!(
            error(&format!("{header}72,64,200,48\n")),
            "step 1, note2: expected a pitch from 1 to 127 or 0 for a rest, got `200`"
        );
        assert!(error(&format!("{header}72,,55,48\n")).ends_with("got ``"));
        assert!(error(&format!("{header}72,64\n")).starts_with("step 1: expected 4 pitches"));
    }
}
