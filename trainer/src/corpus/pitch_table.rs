//! Tables of pitches, with a row for each 16th step and a column for each part: the content of grid JSON and chorale
//! CSV.

use anyhow::{Context, Result, ensure};
use continuo_model::tokeniser::grid::{STEPS_PER_BEAT, VOICE_NAMES};

use super::beats::Beats;
use super::written::{WrittenMusic, WrittenNote, WrittenPart};

/// Converts rows of pitches, `None` for a rest. In each number of `attacks`, bit 0 (first part) and up mark the parts
/// that start a note. Without attacks, a note lasts as long as its pitch stays. Four parts get the names of the voices,
/// others get numbers.
///
/// # Errors
/// If a row has another width than the first, or the number of attacks differs from that of the rows.
pub fn written(rows: &[Vec<Option<u8>>], attacks: Option<&[u8]>) -> Result<WrittenMusic> {
    let width = rows.first().map_or(0, Vec::len);
    if let Some(attacks) = attacks {
        ensure!(
            attacks.len() == rows.len(),
            "expected an attack for each of {} steps, got {}",
            rows.len(),
            attacks.len()
        );
    }
    let step = Beats::new(1, STEPS_PER_BEAT as i64)?;
    let mut parts: Vec<WrittenPart> = (0..width)
        .map(|part| match VOICE_NAMES.get(part) {
            Some(name) if width == VOICE_NAMES.len() => {
                WrittenPart { name: name.to_string(), ..WrittenPart::default() }
            }
            _ => WrittenPart { name: format!("Part {}", part + 1), ..WrittenPart::default() },
        })
        .collect();
    for (idx, row) in rows.iter().enumerate() {
        ensure!(row.len() == width, "step {idx}: expected {width} pitches, got {}", row.len());
        let at = step.times(Beats::new(i64::try_from(idx)?, 1)?)?;
        for (part, &pitch) in row.iter().enumerate() {
            let before = idx.checked_sub(1).and_then(|before| rows[before][part]);
            let struck = attacks.is_some_and(|attacks| part < 8 && attacks[idx] >> part & 1 == 1);
            let Some(pitch) = pitch else { continue };
            if before == Some(pitch) && !struck {
                let note = parts[part].notes.last_mut().context("a held note follows its start")?;
                note.length = note.length.plus(step)?;
            } else {
                parts[part].notes.push(WrittenNote {
                    at,
                    length: step,
                    pitch,
                    tied_on: false,
                    tied_back: false,
                    velocity: None,
                });
            }
        }
    }
    let end = step.times(Beats::new(i64::try_from(rows.len())?, 1)?)?;
    Ok(WrittenMusic { parts, end: Some(end), attacks_unknown: attacks.is_none(), ..WrittenMusic::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::written::notes_in_words;

    #[test]
    fn pitches_go_on_until_they_change_or_are_struck() {
        let rows = [[Some(60), None], [Some(60), Some(50)], [Some(60), Some(50)], [Some(62), None]].map(Vec::from);
        let words = |attacks| notes_in_words(&written(&rows, attacks).unwrap().into_piece().unwrap());
        assert_eq!(words(None), ["0+3/4:60 3/4+1/4:62", "1/4+1/2:50"]);
        assert_eq!(words(Some(&[3, 0, 3, 0])), ["0+1/2:60 1/2+1/4:60 3/4+1/4:62", "1/4+1/4:50 1/2+1/4:50"]);
    }

    #[test]
    fn ragged_rows_are_refused() {
        assert!(written(&[vec![None, None], vec![None]], None).is_err());
        assert!(written(&[vec![None]], Some(&[])).is_err());
    }
}
