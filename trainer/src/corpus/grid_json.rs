//! Grid JSON: `{"train": [piece, ..], "valid": [..]}`. A piece is a list of rows `[S, A, T, B]`, one a 16th step,
//! of MIDI pitches (-1 = rest); or an object that holds them as `pitch`, with `attack` beside: a number a step
//! whose bit 0 (soprano) to 3 (bass) says that a note starts.

use anyhow::{Context, Result, bail, ensure};
use continuo_model::tokeniser::grid::{Grid, NUM_VOICES};
use continuo_model::vocabulary::{HIGHEST_PITCH, LOWEST_PITCH};
use serde::Deserialize;
use serde_json::Value;

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
