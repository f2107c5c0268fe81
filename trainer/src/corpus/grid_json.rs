//! Grid JSON: `{"train": [piece, ..], "valid": [..]}`, or a bare list of pieces, which are all in `train`. A piece is a
//! list of rows `[S, A, T, B]`, one a 16th step, of MIDI pitches (-1 = rest); or an object that holds them as `pitch`,
//! with `attack` beside: a number a step whose bit 0 (soprano) to 3 (bass) says that a note starts. Such a piece may
//! have `fermata` (a number a step, not 0 under one), `fifths` and `mode`, and in a bare list `jsb`: the name of a
//! piece of another file that it is the same as, which is then left out here.

use anyhow::{Context, Result, bail, ensure};
use continuo_model::rules::Row;
use continuo_model::tokeniser::grid::{Grid, NUM_VOICES};
use continuo_model::vocabulary::{HIGHEST_PITCH, LOWEST_PITCH};
use serde::Deserialize;
use serde_json::Value;

use super::GridPiece;
use super::beats::Beats;
use super::key::{Mode, WrittenKey};
use super::piece::{Metre, Piece};
use super::pitch_table;

type Rows = Vec<[i16; NUM_VOICES]>;

#[derive(Deserialize)]
#[serde(untagged)]
enum JsonPiece {
    Rows(Rows),
    WithAttacks(Box<Annotated>),
}

#[derive(Deserialize)]
struct Annotated {
    pitch: Rows,
    attack: Vec<u8>,
    #[serde(default)]
    fermata: Vec<u8>,
    id: Option<String>,
    /// The metre.
    ts: Option<String>,
    fifths: Option<i8>,
    mode: Option<String>,
    /// 16ths since the bar began.
    #[serde(default)]
    pos16: Vec<i64>,
}

/// A piece as the file has it: what sounds, and what else the file tells.
pub struct JsonMusic {
    /// `SPLIT/NUMBER`, or `NUMBER` where the file has no splits.
    pub name: String,
    /// What sounds, one row a 16th step.
    pub rows: Vec<Row>,
    /// One number a step: bit 0 (soprano) to 3 (bass) says that a note starts.
    pub attacks: Option<Vec<u8>>,
    /// For each step, whether it lies under a fermata; empty if that is not told.
    pub fermatas: Vec<bool>,
    /// 0 to 11 major from C up, 12 to 23 minor.
    pub key: Option<u8>,
    /// Whether it is in another file too.
    pub is_known: bool,
}

/// The pieces of one split. Of a bare list, those that are in no other file are in `train`.
pub fn parse(text: &str, split: &str) -> Result<Vec<GridPiece>> {
    let mut music =
        if text.trim_start().starts_with('[') { parse_music(text, None)? } else { parse_music(text, Some(split))? };
    if text.trim_start().starts_with('[') {
        music.retain(|piece| split == "train" && !piece.is_known);
    }
    let grid = |piece: &JsonMusic| Grid::from_pitches(&piece.rows, piece.attacks.as_deref());
    Ok(music.into_iter().map(|m| GridPiece { grid: grid(&m), key: m.key, fermatas: m.fermatas }).collect())
}

/// The pieces of one split, or of all splits in the order of their names. Without a split, the file may also be a bare
/// list of pieces.
pub fn parse_music(text: &str, split: Option<&str>) -> Result<Vec<JsonMusic>> {
    let mut file = match serde_json::from_str(text).context("expected a JSON object of splits")? {
        Value::Object(file) => file,
        Value::Array(pieces) if split.is_none() => return music_of(&pieces, None),
        _ => bail!("expected a JSON object of splits"),
    };
    file.retain(|_, value| value.is_array());
    let splits: Vec<String> = file.keys().cloned().collect();
    match split {
        Some(split) if !file.contains_key(split) => {
            bail!("expected a split `{split}`, got only {}; name one with --split or in the recipe", splits.join(", "))
        }
        Some(split) => file.retain(|name, _| name == split),
        None => ensure!(!file.is_empty(), "expected splits that hold pieces, got none"),
    }
    let mut music = Vec::new();
    for (name, pieces) in &file {
        music.extend(music_of(pieces.as_array().expect("only arrays are kept"), Some(name))?);
    }
    Ok(music)
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
    let (rows, beside) = match piece {
        JsonPiece::Rows(rows) => (rows, None),
        JsonPiece::WithAttacks(mut piece) => (std::mem::take(&mut piece.pitch), Some(piece)),
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
    let mut music = pitch_table::written(&pitches, beside.as_ref().map(|piece| piece.attack.as_slice()))?;
    music.source = source.to_string();
    music.split = split.map(String::from);
    if let Some(beside) = beside {
        music.title = beside.id.unwrap_or_default();
        if let Some(metre) = beside.ts {
            music.metres.push((Beats::ZERO, Metre::parse(&metre)?));
        }
        if let Some(fifths) = beside.fifths {
            ensure!((-7..=7).contains(&fifths), "expected 7 flats to 7 sharps, got {fifths}");
            music.written_key = Some(WrittenKey { fifths, mode: beside.mode.and_then(|mode| Mode::from_word(&mode)) });
        }
        for (step, _) in beside.pos16.iter().enumerate().filter(|(_, pos)| **pos == 0) {
            music.barlines.push(Beats::new(i64::try_from(step)?, 4)?);
        }
    }
    music.into_piece()
}

fn music_of(pieces: &[Value], split: Option<&str>) -> Result<Vec<JsonMusic>> {
    let name = |i| split.map_or(format!("{i:03}"), |split| format!("{split}/{i:03}"));
    let music = pieces.iter().enumerate().map(|(i, value)| {
        let piece = piece(value).with_context(|| format!("piece {}", name(i)))?;
        Ok(JsonMusic { name: name(i), ..piece })
    });
    music.collect()
}

fn piece(value: &Value) -> Result<JsonMusic> {
    let piece = JsonPiece::deserialize(value)
        .ok()
        .context("expected rows of four pitches, or an object with `pitch` and `attack`")?;
    let (name, is_known) = (String::new(), value.get("jsb").is_some_and(|jsb| !jsb.is_null()));
    match piece {
        JsonPiece::Rows(rows) => {
            let rows = pitches(&rows)?;
            Ok(JsonMusic { name, rows, attacks: None, fermatas: Vec::new(), key: None, is_known })
        }
        JsonPiece::WithAttacks(piece) => {
            let steps = piece.pitch.len();
            for (what, len) in [("attack", piece.attack.len()), ("fermata", piece.fermata.len())] {
                let left_out = what == "fermata" && len == 0;
                ensure!(len == steps || left_out, "expected an {what} for each of {steps} steps, got {len}");
            }
            let key = piece.fifths.zip(piece.mode).map(|(fifths, mode)| key(fifths, &mode)).transpose()?;
            let fermatas = piece.fermata.iter().map(|&under| under != 0).collect();
            Ok(JsonMusic { name, rows: pitches(&piece.pitch)?, attacks: Some(piece.attack), fermatas, key, is_known })
        }
    }
}

/// A key signature as a key: 0 to 11 major from C up, 12 to 23 minor.
fn key(fifths: i8, mode: &str) -> Result<u8> {
    let tonic_of_major = (i32::from(fifths) * 7).rem_euclid(12) as u8;
    match mode {
        "major" => Ok(tonic_of_major),
        "minor" => Ok(12 + (tonic_of_major + 9) % 12),
        _ => bail!("expected a mode `major` or `minor`, got `{mode}`"),
    }
}

fn pitches(rows: &Rows) -> Result<Vec<Row>> {
    let range = i16::from(LOWEST_PITCH)..=i16::from(HIGHEST_PITCH);
    rows.iter()
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
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::piece::TICKS_PER_BEAT;
    use crate::corpus::written::notes_in_words;

    fn error(text: &str) -> String {
        format!("{:#}", parse(text, "train").expect_err("an error"))
    }

    #[test]
    fn both_forms_are_read() {
        let text = r#"{"format": 1, "train": [[[72, -1, 55, 48], [72, 64, 55, 48]],
            {"pitch": [[72, 64, 55, 48], [72, 64, 55, 48]], "attack": [15, 1]}]}"#;
        let pieces = parse(text, "train").unwrap();
        assert_eq!(pieces[0].grid.steps, [[37, 0, 20, 13], [47, 29, 47, 47]]);
        assert_eq!(pieces[1].grid.steps[1], [37, 47, 47, 47]);
    }

    #[test]
    fn annotations_are_read_and_known_pieces_left_out() {
        let text = r#"[{"pitch": [[72, 64, 55, 48]], "attack": [15], "fermata": [1], "fifths": -3, "mode": "minor"},
            {"pitch": [[72, 64, 55, 48]], "attack": [15], "jsb": "valid/001"}]"#;
        let pieces = parse(text, "train").unwrap();
        assert_eq!(pieces.len(), 1);
        assert_eq!((pieces[0].key, pieces[0].fermatas.as_slice()), (Some(12), [true].as_slice()));
        assert_eq!(pieces[0].transposed(-1).key, Some(23));
        assert_eq!(parse(text, "valid").unwrap(), []);
        assert_eq!(key(2, "major").unwrap(), 2);
    }

    #[test]
    fn all_splits_or_a_bare_list_are_read_as_music() {
        let text = r#"{"train": [[[72, -1, 55, 48]]], "valid": [{"pitch": [[72, 64, 55, 48]], "attack": [5]}]}"#;
        let names = |text, split| -> Vec<_> {
            parse_music(text, split).unwrap().into_iter().map(|m| (m.name, m.attacks)).collect()
        };
        assert_eq!(names(text, None), [("train/000".into(), None), ("valid/000".into(), Some(vec![5]))]);
        assert_eq!(names(text, Some("valid")), [("valid/000".into(), Some(vec![5]))]);
        assert_eq!(names("[[[72, 64, 55, 48]]]", None), [("000".into(), None)]);
        assert!(parse_music(r#"{"a": 1}"#, None).is_err());
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
        assert_eq!(error("1"), "expected a JSON object of splits");
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
