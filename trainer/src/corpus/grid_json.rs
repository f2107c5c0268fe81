//! Grid JSON: `{"train": [piece, ..], "valid": [..]}`, or a bare list of pieces, which are all in `train`. A piece is a
//! list of rows `[S, A, T, B]`, one a 16th step, of MIDI pitches (-1 = rest); or an object that holds them as `pitch`,
//! with `attack` beside: a number a step whose bit 0 (soprano) to 3 (bass) says that a note starts. Such a piece may
//! have `fermata` (a number a step, not 0 under one), `fifths` and `mode`, and in a bare list `jsb`: the name of a
//! piece of another file that it is the same as, which is then left out here.

use anyhow::{Context, Result, bail, ensure};
use continuo_model::tokeniser::grid::{Grid, NUM_VOICES};
use continuo_model::vocabulary::{HIGHEST_PITCH, LOWEST_PITCH};
use serde::Deserialize;
use serde_json::Value;

use super::GridPiece;

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
    fifths: Option<i8>,
    mode: Option<String>,
}

/// The pieces of one split.
pub fn parse(text: &str, split: &str) -> Result<Vec<GridPiece>> {
    let file: Value = serde_json::from_str(text).context("expected a JSON object of splits")?;
    let pieces = match &file {
        Value::Array(pieces) => {
            let known = |piece: &&Value| piece.get("jsb").is_none_or(Value::is_null);
            return match split {
                "train" => {
                    pieces.iter().enumerate().filter(|(_, p)| known(p)).map(|(i, p)| numbered(split, i, p)).collect()
                }
                _ => Ok(Vec::new()),
            };
        }
        Value::Object(splits) => match splits.get(split) {
            Some(pieces) => pieces,
            None => {
                let splits: Vec<_> = splits.iter().filter(|(_, v)| v.is_array()).map(|(k, _)| k.as_str()).collect();
                bail!(
                    "expected a split `{split}`, got only {}; name one with --split or in the recipe",
                    splits.join(", ")
                );
            }
        },
        _ => bail!("expected a JSON object of splits"),
    };
    let pieces = pieces.as_array().with_context(|| format!("split `{split}`: expected a list of pieces"))?;
    pieces.iter().enumerate().map(|(i, value)| numbered(split, i, value)).collect()
}

fn numbered(split: &str, i: usize, value: &Value) -> Result<GridPiece> {
    piece(value).with_context(|| format!("piece {split}/{i:03}"))
}

fn piece(value: &Value) -> Result<GridPiece> {
    let piece = JsonPiece::deserialize(value)
        .ok()
        .context("expected rows of four pitches, or an object with `pitch` and `attack`")?;
    match piece {
        JsonPiece::Rows(rows) => Ok(GridPiece { grid: grid(&rows, None)?, ..GridPiece::default() }),
        JsonPiece::WithAttacks(piece) => {
            let steps = piece.pitch.len();
            for (what, len) in [("attack", piece.attack.len()), ("fermata", piece.fermata.len())] {
                let left_out = what == "fermata" && len == 0;
                ensure!(len == steps || left_out, "expected an {what} for each of {steps} steps, got {len}");
            }
            let key = piece.fifths.zip(piece.mode).map(|(fifths, mode)| key(fifths, &mode)).transpose()?;
            let fermatas = piece.fermata.iter().map(|&under| under != 0).collect();
            Ok(GridPiece { grid: grid(&piece.pitch, Some(&piece.attack))?, key, fermatas })
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

fn grid(rows: &Rows, attacks: Option<&[u8]>) -> Result<Grid> {
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
    Ok(Grid::from_pitches(&pitches, attacks))
}

#[cfg(test)]
mod tests {
    use super::*;

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
