//! Grid JSON: `{"train": [piece, ..], "valid": [..]}`. A piece is a list of rows `[S, A, T, B]`, one a 16th step,
//! of MIDI pitches (-1 = rest); or an object that holds them as `pitch`, with `attack` beside: a number a step
//! whose bit 0 (soprano) to 3 (bass) says that a note starts.

use anyhow::{Context, Result, bail, ensure};
use continuo_model::tokeniser::grid::{Grid, NUM_VOICES};
use continuo_model::vocabulary::{HIGHEST_PITCH, LOWEST_PITCH};
use serde::Deserialize;
use serde_json::Value;

use super::beats::Beats;
use super::key::{Mode, WrittenKey};
use super::piece::{Metre, Piece};
use super::rows;

type Rows = Vec<[i16; NUM_VOICES]>;

#[derive(Deserialize)]
#[serde(untagged)]
enum JsonPiece {
    Rows(Rows),
    WithAttacks { pitch: Rows, attack: Vec<u8> },
}

/// The pieces of one split.
pub fn parse(text: &str, split: &str) -> Result<Vec<Grid>> {
    let file: serde_json::Map<String, Value> =
        serde_json::from_str(text).context("expected a JSON object of splits")?;
    let Some(pieces) = file.get(split) else {
        let splits: Vec<_> = file.iter().filter(|(_, v)| v.is_array()).map(|(k, _)| k.as_str()).collect();
        bail!("expected a split `{split}`, got only {}; name one with --split or in the recipe", splits.join(", "));
    };
    let pieces = pieces.as_array().with_context(|| format!("split `{split}`: expected a list of pieces"))?;
    pieces.iter().enumerate().map(|(i, value)| piece(value).with_context(|| format!("piece {split}/{i:03}"))).collect()
}

/// What is said beside the notes of a piece.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Beside {
    id: Option<String>,
    ts: Option<String>,
    fifths: Option<i8>,
    mode: Option<String>,
    pos16: Vec<i64>,
}

/// Whether a file's JSON looks like a grid: an object of lists, or a list of objects with `pitch`.
pub fn is(json: &Value) -> bool {
    match json {
        Value::Object(splits) => splits.values().any(Value::is_array),
        Value::Array(pieces) => pieces.first().is_some_and(|piece| piece.get("pitch").is_some()),
        _ => false,
    }
}

/// The pieces of all splits, whatever their range, as parts; those of a list are in no split. Beside the pitches
/// `id`, `ts` (metre), `fifths`, `mode` and `pos16` (16ths since the bar began) are read.
pub fn read(source: &str, json: &Value) -> Vec<Result<Piece>> {
    let list = |split: Option<&str>, pieces: &Value| -> Vec<Result<Piece>> {
        let pieces = pieces.as_array().map_or(&[][..], Vec::as_slice).iter().enumerate();
        let place = |idx| format!("{source}#{}{idx:03}", split.map(|split| format!("{split}/")).unwrap_or_default());
        pieces.map(|(idx, piece)| in_parts(&place(idx), split, piece).with_context(|| place(idx))).collect()
    };
    match json {
        Value::Object(splits) => splits.iter().flat_map(|(split, pieces)| list(Some(split), pieces)).collect(),
        _ => list(None, json),
    }
}

fn in_parts(source: &str, split: Option<&str>, value: &Value) -> Result<Piece> {
    let piece = JsonPiece::deserialize(value)
        .ok()
        .context("expected rows of four pitches, or an object with `pitch` and `attack`")?;
    let (rows, attacks) = match piece {
        JsonPiece::Rows(rows) => (rows, None),
        JsonPiece::WithAttacks { pitch, attack } => (pitch, Some(attack)),
    };
    let mut pitches = Vec::with_capacity(rows.len());
    for (step, row) in rows.iter().enumerate() {
        let pitch = |&pitch: &i16| match u8::try_from(pitch) {
            Ok(pitch @ ..=127) => Ok(Some(pitch)),
            _ if pitch == -1 => Ok(None),
            _ => bail!("step {step}: expected a MIDI pitch or -1, got {pitch}"),
        };
        pitches.push(row.iter().map(pitch).collect::<Result<Vec<_>>>()?);
    }
    let mut score = rows::score(&pitches, attacks.as_deref())?;
    score.source = source.to_string();
    score.split = split.map(String::from);
    if value.is_object() {
        let beside = Beside::deserialize(value).context("expected `ts`, `fifths`, `mode` and `pos16` as documented")?;
        score.title = beside.id.unwrap_or_default();
        if let Some(metre) = beside.ts {
            score.metres.push((Beats::ZERO, Metre::parse(&metre)?));
        }
        if let Some(fifths) = beside.fifths {
            ensure!((-7..=7).contains(&fifths), "expected 7 flats to 7 sharps, got {fifths}");
            score.written_key = Some(WrittenKey { fifths, mode: beside.mode.and_then(|mode| Mode::from_word(&mode)) });
        }
        for (step, _) in beside.pos16.iter().enumerate().filter(|(_, pos)| **pos == 0) {
            score.barlines.push(Beats::new(i64::try_from(step)?, 4)?);
        }
    }
    score.into_piece()
}

fn piece(value: &Value) -> Result<Grid> {
    let piece = JsonPiece::deserialize(value)
        .ok()
        .context("expected rows of four pitches, or an object with `pitch` and `attack`")?;
    let (rows, attacks) = match piece {
        JsonPiece::Rows(rows) => (rows, None),
        JsonPiece::WithAttacks { pitch, attack } => {
            ensure!(
                pitch.len() == attack.len(),
                "expected an attack for each of {} steps, got {}",
                pitch.len(),
                attack.len()
            );
            (pitch, Some(attack))
        }
    };
    let range = i16::from(LOWEST_PITCH)..=i16::from(HIGHEST_PITCH);
    let pitches = rows
        .iter()
        .enumerate()
        .map(|(step, row)| {
            let mut pitches = [None; NUM_VOICES];
            for (voice, &pitch) in row.iter().enumerate() {
                pitches[voice] = match pitch {
                    -1 => None,
                    pitch if range.contains(&pitch) => Some(pitch as u8),
                    _ => bail!(
                        "step {step}, voice {voice}: expected a pitch from {LOWEST_PITCH} to {HIGHEST_PITCH} or -1, got {pitch}"
                    ),
                };
            }
            Ok(pitches)
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Grid::from_pitches(&pitches, attacks.as_deref()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::piece::TICKS_PER_BEAT;
    use crate::corpus::score::notes_in_words;

    fn error(text: &str) -> String {
        format!("{:#}", parse(text, "train").expect_err("an error"))
    }

    #[test]
    fn both_forms_are_read() {
        let text = r#"{"format": 1, "train": [[[72, -1, 55, 48], [72, 64, 55, 48]],
            {"pitch": [[72, 64, 55, 48], [72, 64, 55, 48]], "attack": [15, 1]}]}"#;
        let pieces = parse(text, "train").unwrap();
        assert_eq!(pieces[0].steps, [[37, 0, 20, 13], [47, 29, 47, 47]]);
        assert_eq!(pieces[1].steps[1], [37, 47, 47, 47]);
    }

    #[test]
    fn all_splits_are_read_as_parts() {
        let json = serde_json::from_str(
            r#"{"format": "x", "train": [[[90, -1, 55, 48], [90, 64, 55, 48]]], "valid": [[[60, 60, 60, 200]],
            {"pitch": [[72, 64, 55, 48], [72, 64, 55, 48]], "attack": [15, 1], "ts": "3/4", "fifths": 1,
             "mode": "minor", "pos16": [11, 0], "id": "b"}]}"#,
        )
        .unwrap();
        assert!(is(&json) && !is(&Value::Null));
        let pieces = read("a.json", &json);
        let piece = pieces[0].as_ref().unwrap();
        assert_eq!(notes_in_words(piece), ["0+1/2:90", "1/4+1/4:64", "0+1/2:55", "0+1/2:48"]);
        assert_eq!((piece.source.as_str(), piece.split.as_deref()), ("a.json#train/000", Some("train")));
        let error = format!("{:#}", pieces[1].as_ref().unwrap_err());
        assert_eq!(error, "a.json#valid/000: step 0: expected a MIDI pitch or -1, got 200");
        let piece = pieces[2].as_ref().unwrap();
        assert_eq!(notes_in_words(piece)[0], "0+1/4:72 1/4+1/4:72");
        assert_eq!(piece.key().unwrap().to_string(), "E minor");
        assert_eq!(piece.pickup(), TICKS_PER_BEAT / 4);
    }

    #[test]
    fn malformed_files_say_where() {
        assert_eq!(error("[1]").split(':').next(), Some("expected a JSON object of splits"));
        assert_eq!(
            error(r#"{"valid": [], "test": []}"#),
            "expected a split `train`, got only test, valid; name one with --split or in the recipe"
        );
        assert_eq!(
            error(r#"{"train": [[[60, 60, 60]]]}"#),
            "piece train/000: expected rows of four pitches, or an object with `pitch` and `attack`"
        );
        assert_eq!(
            error(r#"{"train": [[[60, 60, 60, 20]]]}"#),
            "piece train/000: step 0, voice 3: expected a pitch from 36 to 81 or -1, got 20"
        );
        assert_eq!(
            error(r#"{"train": [{"pitch": [[60, 60, 60, 60]], "attack": []}]}"#),
            "piece train/000: expected an attack for each of 1 steps, got 0"
        );
    }
}
