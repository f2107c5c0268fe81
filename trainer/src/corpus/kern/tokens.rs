//! Kern tokens: notes, rests, signatures, tempo.

use anyhow::{Context, Result};

use crate::corpus::beats::Beats;
use crate::corpus::key::{Mode, WrittenKey};
use crate::corpus::piece::Metre;
use crate::corpus::written::WrittenMusic;

/// A note, chord or rest.
#[derive(Debug, PartialEq)]
pub struct Event {
    /// Its written length.
    pub length: Beats,
    /// Its notes; empty for a rest.
    pub notes: Vec<Pitched>,
    /// Whether a part of it was neither note nor rest and was ignored.
    pub odd: bool,
}

/// A note of an event.
#[derive(Debug, PartialEq)]
pub struct Pitched {
    /// MIDI pitch.
    pub pitch: u8,
    /// Whether a tie leads from it to the next note.
    pub tied_on: bool,
    /// Whether a tie leads to it.
    pub tied_back: bool,
}

/// Parses a data token; `None` if it has no length, such as a grace note. A chord has the length of its first note with
/// one. A length without a pitch is a rest.
///
/// # Errors
/// If there is no length, or a pitch is outside the range of MIDI.
pub fn event(token: &str) -> Result<Option<Event>> {
    let mut length = None;
    let mut odd = false;
    let mut notes = Vec::new();
    for word in token.split(' ').filter(|word| !word.is_empty()) {
        if word.contains('q') {
            continue; // a grace note, or a chord that contains one
        }
        if length.is_none() {
            length = duration(word)?;
        }
        if word.contains('r') {
            continue;
        }
        if !word.contains(|c| matches!(c, 'a'..='g' | 'A'..='G')) {
            odd = true;
            continue;
        }
        notes.push(Pitched {
            pitch: pitch(word)?,
            tied_on: word.contains(['[', '_']),
            tied_back: word.contains([']', '_']),
        });
    }
    match length {
        Some(length) => Ok(Some(Event { length, notes, odd })),
        None if token.contains('q') => Ok(None),
        None => anyhow::bail!("expected a length such as 4 (a quarter), got none"),
    }
}

/// A length: `4` is a quarter, `8.` a dotted eighth, `12` a triplet eighth, `3%2` two thirds of a whole note, `0` a
/// breve.
fn duration(word: &str) -> Result<Option<Beats>> {
    let Some(from) = word.find(|c: char| c.is_ascii_digit()) else { return Ok(None) };
    let rest = &word[from..];
    let (digits, rest) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
    let number = |digits: &str| -> Result<i64> {
        let number = digits.parse().ok().filter(|n| (1..=1_000_000).contains(n));
        number.with_context(|| format!("expected a length from 1 to 1000000 parts of a whole note, got {digits}"))
    };
    let (plain, rest) = match (digits, rest.strip_prefix('%')) {
        (_, Some(rational)) => {
            let (upper, rest) =
                rational.split_at(rational.find(|c: char| !c.is_ascii_digit()).unwrap_or(rational.len()));
            (Beats::new(4 * number(upper)?, number(digits)?)?, rest)
        }
        // A breve is two whole notes, a long four, a maxima eight.
        ("0" | "00" | "000", None) => (Beats::new(4 << digits.len(), 1)?, rest),
        (_, None) => (Beats::new(4, number(digits)?)?, rest),
    };
    let dots = rest.bytes().take_while(|&c| c == b'.').count();
    Ok(Some(plain.dotted(dots)?))
}

/// A pitch: `c` is middle C, `cc` an octave higher, `C` an octave lower, `CC` two octaves lower; `#` and `-` raise and
/// lower it.
fn pitch(word: &str) -> Result<u8> {
    let from = word.find(|c: char| matches!(c, 'a'..='g' | 'A'..='G'));
    let from = from.with_context(|| format!("expected a note or a rest, got `{}`", super::cut(word)))?;
    let letter = word.as_bytes()[from];
    let times = word.bytes().skip(from).take_while(|&c| c == letter).count();
    let after = &word.as_bytes()[from + times..];
    let count = |sign: u8| after.iter().take_while(|&&c| c == sign).count();
    let octaves = i64::try_from(times)?;
    let octave = if letter.is_ascii_lowercase() { 4 + octaves } else { 5 - octaves };
    let degree = [9, 11, 0, 2, 4, 5, 7][usize::from(letter.to_ascii_lowercase() - b'a')];
    let midi = 12 * octave + degree + i64::try_from(count(b'#'))? - i64::try_from(count(b'-'))?;
    let midi = u8::try_from(midi).ok().filter(|pitch| *pitch <= 127);
    midi.with_context(|| format!("expected a pitch that MIDI has, got `{}`", super::cut(word)))
}

/// Reads a tandem interpretation of key, metre or tempo at `time`. Ignores others.
///
/// # Errors
/// If it starts like one of these and is malformed.
pub fn interpretation(token: &str, time: Beats, music: &mut WrittenMusic) -> Result<()> {
    let word = token.strip_prefix('*').unwrap_or(token);
    if let Some(list) = word.strip_prefix("k[") {
        let list = list.strip_suffix(']').with_context(|| format!("expected a key signature, got `{token}`"))?;
        let signs = |sign| list.bytes().filter(|&c| c == sign).count() as i8;
        if list != "cancel" && list.len() <= 28 && music.written_key.is_none() {
            music.written_key = Some(WrittenKey { fifths: signs(b'#') - signs(b'-'), mode: None });
        }
    } else if let Some(tempo) = word.strip_prefix("MM") {
        if let Ok(tempo) = tempo.parse::<f64>()
            && tempo.is_finite()
            && tempo > 0.0
        {
            music.tempo_bpm.get_or_insert(tempo);
        }
    } else if let Some(metre) = word.strip_prefix('M').filter(|metre| metre.starts_with(|c: char| c.is_ascii_digit())) {
        // Some files contain metres such as `*M4/4%2`; these are ignored.
        if let Ok(metre) = Metre::parse(metre) {
            music.metres.push((time, metre));
        }
    } else if let Some(key) = designation(word) {
        // A key signature earlier in the file gives only the accidentals; the key designation also gives the mode.
        if music.written_key.is_none_or(|key| key.mode.is_none()) && time == Beats::ZERO {
            music.written_key = Some(key);
        }
    }
    Ok(())
}

/// A key designation: `G:` is G major, `e-:` E flat minor, `d:dor` D dorian.
fn designation(word: &str) -> Option<WrittenKey> {
    let (tonic, mode) = word.split_once(':')?;
    let letter = tonic.chars().next().filter(|letter| matches!(letter, 'a'..='g' | 'A'..='G'))?;
    let signs = &tonic[1..];
    if !matches!(signs, "" | "#" | "-") {
        return None;
    }
    let place = ["F", "C", "G", "D", "A", "E", "B"].iter().position(|l| l.eq_ignore_ascii_case(&letter.to_string()))?;
    let bends = signs.len() as i8 * if signs.starts_with('-') { -7 } else { 7 };
    let plain = if letter.is_ascii_lowercase() { Mode::Minor } else { Mode::Major };
    let mode = if mode.is_empty() { plain } else { Mode::from_word(mode)? };
    Some(WrittenKey { fifths: place as i8 - 1 + bends - mode.fifths_above_major(), mode: Some(mode) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(token: &str, length: (i64, i64), pitches: &[u8]) {
        let event = event(token).unwrap().unwrap();
        assert_eq!(event.length, Beats::new(length.0, length.1).unwrap(), "{token}");
        assert_eq!(event.notes.iter().map(|note| note.pitch).collect::<Vec<_>>(), pitches, "{token}");
    }

    #[test]
    fn notes_rests_and_chords_are_read() {
        check("4c", (1, 1), &[60]);
        check("(>16anL\\", (1, 4), &[69]);
        check("8..BB-JJ)", (7, 8), &[46]);
        check("12ff#X^", (1, 3), &[78]);
        check("20%3r", (3, 5), &[]);
        check("32rfff", (1, 8), &[]);
        check("0CC", (8, 1), &[36]);
        check("00c", (16, 1), &[60]);
        check("[4c- e_ 4g]", (1, 1), &[59, 64, 67]);
        check("4d-- 4ff##", (1, 1), &[60, 79]);
        check("qqd 4e", (1, 1), &[64]);
        check("2.yy", (3, 1), &[]);
        check("4e 4) /", (1, 1), &[64]);
        assert!(event("4e /").unwrap().unwrap().odd && !event("4e 4r").unwrap().unwrap().odd);
        assert_eq!(event("qqd").unwrap(), None);
        assert_eq!(event("8qd 8qf").unwrap(), None);
    }

    #[test]
    fn senseless_tokens_are_refused() {
        for token in ["c", "x", "r", "0%0c", "5%0c", "99999999999c", "4cccccccccccc", "4CCCCCCCC", ""] {
            let result = event(token);
            assert!(result.is_err(), "{token}: {result:?}");
        }
        assert!(event("4.........c").is_err());
    }

    #[test]
    fn keys_are_designated() {
        let name = |word| {
            let key = designation(word)?;
            Some(crate::corpus::key::Key { fifths: key.fifths, mode: key.mode? }.to_string())
        };
        assert_eq!(name("B-:").as_deref(), Some("Bb major"));
        assert_eq!(name("f#:").as_deref(), Some("F# minor"));
        assert_eq!(name("d:dor").as_deref(), Some("D dorian"));
        assert_eq!(name("?:"), None);
        assert_eq!(name("I:x"), None);
        assert_eq!(name("é:"), None);
    }
}
