//! Grid JSON: `{"train": [piece, ..], "valid": [..]}`, or a list of pieces, which all belong to `train`. A piece is a
//! list of rows `[S, A, T, B]` of MIDI pitches (-1 for a rest), one per 16th step; or an object with the rows in
//! `pitch` and note starts in `attack`: a number per step, where bit 0 (soprano) to 3 (bass) marks a voice that starts
//! a note. Objects may also have `fermata` (a number per step, not 0 under a fermata), `fifths` and `mode`. In a list,
//! `jsb` names a piece of another file that is the same as this one; this one is then left out.

use anyhow::{Context, Result, bail, ensure};
use continuo_model::tokeniser::grid::{NUM_VOICES, STEPS_PER_BEAT};
use serde::Deserialize;
use serde_json::Value;

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
    /// 16ths since the start of the bar.
    #[serde(default)]
    pos16: Vec<i64>,
}

/// Whether a file's JSON looks like a grid: an object of lists, or a list whose first item is a list or an object with
/// `pitch`.
pub fn is(json: &Value) -> bool {
    match json {
        Value::Object(splits) => splits.values().any(Value::is_array),
        Value::Array(pieces) => pieces.first().is_some_and(|piece| piece.get("pitch").is_some() || piece.is_array()),
        _ => false,
    }
}

/// Reads the pieces of all splits as parts, at any pitch; a list is in `train`. Besides the pitches, reads `id`, `ts`
/// (metre), `fifths`, `mode`, `fermata` and `pos16` (16ths since the start of the bar).
pub fn read(source: &str, json: &Value) -> Vec<Result<Piece>> {
    let all = |split: &str, place: &dyn Fn(usize) -> String, pieces: &Value| -> Vec<Result<Piece>> {
        let pieces = pieces.as_array().map_or(&[][..], Vec::as_slice).iter().enumerate();
        pieces.map(|(idx, piece)| in_parts(&place(idx), split, piece).with_context(|| place(idx))).collect()
    };
    match json {
        Value::Object(splits) => {
            let of_split =
                |(split, pieces): (&String, &Value)| all(split, &|idx| format!("{source}#{split}/{idx:03}"), pieces);
            splits.iter().flat_map(of_split).collect()
        }
        list => {
            let mut pieces = all("train", &|idx| format!("{source}#{idx:03}"), list);
            for (piece, value) in pieces.iter_mut().zip(list.as_array().into_iter().flatten()) {
                let known = value.get("jsb").filter(|known| !known.is_null());
                if let (Ok(piece), Some(known)) = (piece, known) {
                    piece.same_as = Some(known.as_str().map_or_else(|| known.to_string(), String::from));
                }
            }
            pieces
        }
    }
}

fn in_parts(source: &str, split: &str, value: &Value) -> Result<Piece> {
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
    music.split = Some(split.to_string());
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
            music.barlines.push(at_step(step)?);
        }
        if !beside.fermata.is_empty() {
            let (steps, got) = (rows.len(), beside.fermata.len());
            ensure!(got == steps, "expected a fermata or 0 for each of {steps} steps, got {got}");
            let under = beside.fermata.iter().enumerate().filter(|(_, fermata)| **fermata != 0);
            let stretches = under.map(|(step, _)| Ok((at_step(step)?, at_step(step + 1)?)));
            music.fermatas = Some(stretches.collect::<Result<_>>()?);
        }
    }
    music.into_piece()
}

fn at_step(step: usize) -> Result<Beats> {
    Beats::new(i64::try_from(step)?, STEPS_PER_BEAT as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::piece::TICKS_PER_BEAT;
    use crate::corpus::written::notes_in_words;

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
}
