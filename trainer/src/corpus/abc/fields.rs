//! ABC's information fields: keys, metres, lengths, tempos and orders of parts.

use anyhow::{Context, Result, ensure};

use crate::corpus::beats::Beats;
use crate::corpus::key::{Mode, WrittenKey};
use crate::corpus::piece::Metre;

/// A longer order of parts is an error in the file.
const MAX_PARTS: usize = 1000;

/// Alteration of each letter, A first, in semitones.
pub type Signature = [i8; 7];

/// The content of a `K:` field, or the properties in a `V:` field.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyField {
    /// The key signature, if given.
    pub signature: Option<Signature>,
    /// The key, if given.
    pub written: Option<WrittenKey>,
    /// Semitones from written to sounding pitch.
    pub transpose: i64,
    /// The name, in a `V:` field.
    pub name: String,
}

/// Parses `G`, `Bb dorian`, `F#m`, `D =c ^g`, `D exp _b`, `HP` or `none`, each with an optional clef. Highland pipes
/// sound F and C sharp whether the sharps are written (`Hp`) or not (`HP`).
///
/// # Errors
/// If the text is not a key.
pub fn key(text: &str) -> Result<KeyField> {
    let text = text.trim();
    let mut field = KeyField::default();
    let letter = text.chars().next().filter(|c| matches!(c, 'A'..='G'));
    if let Some(pipes) = text.strip_prefix("HP").or(text.strip_prefix("Hp")) {
        set_key(&mut field, 2, Mode::Mixolydian);
        properties(&mut field, pipes)?;
    } else if let Some(letter) = letter {
        let rest = &text[1..];
        let bends = match rest.as_bytes().first() {
            Some(b'#') => 7,
            Some(b'b') => -7,
            _ => 0,
        };
        let rest = if bends == 0 { rest } else { &rest[1..] };
        let rest = rest.trim_start();
        let (word, after) = rest.split_at(rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len()));
        let (mode, rest) = match Mode::from_word(word) {
            Some(mode) if !after.starts_with('=') || matches!(after.len(), 2) => (mode, after),
            _ => (Mode::Major, rest),
        };
        let place = "FCGDAEB".find(letter).context("a letter from A to G")? as i8;
        set_key(&mut field, place - 1 + bends - mode.fifths_above_major(), mode);
        properties(&mut field, rest)?;
    } else if text.is_empty() || text.starts_with("none") {
        field.signature = Some([0; 7]);
    } else {
        properties(&mut field, text).with_context(|| format!("expected a key such as G or Bdor, got `{text}`"))?;
    }
    Ok(field)
}

fn set_key(field: &mut KeyField, fifths: i8, mode: Mode) {
    field.written = Some(WrittenKey { fifths, mode: Some(mode) });
    let mut signature = [0; 7];
    for step in 0..fifths.unsigned_abs() {
        let (order, bend) = if fifths > 0 { (b"FCGDAEB", 1) } else { (b"BEADGCF", -1) };
        signature[usize::from(order[usize::from(step % 7)] - b'A')] += bend;
    }
    field.signature = Some(signature);
}

/// Parses a list of accidentals, clefs and properties such as `octave=-1`.
fn properties(field: &mut KeyField, text: &str) -> Result<()> {
    for word in quoted_words(text) {
        match word.split_once('=').filter(|(name, _)| name.chars().all(char::is_alphabetic) && name.len() > 2) {
            Some(("octave", octaves)) => field.transpose += 12 * number(octaves)?,
            Some(("transpose", semitones)) => field.transpose += number(semitones)?,
            Some(("name", name)) => field.name = name.trim_matches('"').to_string(),
            Some(("clef", clef)) => field.transpose += clef_octaves(clef).context("expected a clef")?,
            Some(_) => {}
            None if word == "exp" => (field.signature, field.written) = (Some([0; 7]), None),
            None => match clef_octaves(&word) {
                Some(semitones) => field.transpose += semitones,
                None => accidentals(field, &word)?,
            },
        }
    }
    Ok(())
}

/// Parses the properties of a `V:` field after the voice's name.
pub fn voice(text: &str) -> Result<KeyField> {
    let mut field = KeyField::default();
    for word in quoted_words(text) {
        match word.split_once('=') {
            Some(("octave" | "transpose" | "name" | "clef", _)) => properties(&mut field, &word)?,
            Some(("nm", name)) => field.name = name.trim_matches('"').to_string(),
            _ => field.transpose += clef_octaves(&word).unwrap_or(0),
        }
    }
    Ok(field)
}

/// The transposition of a clef with a small 8 or 15 (`treble-8`, `-8va`) in semitones; 0 for other clefs.
fn clef_octaves(word: &str) -> Option<i64> {
    let names =
        ["treble", "bass", "alto", "tenor", "baritone", "soprano", "mezzosoprano", "perc", "none", "G", "F", "C"];
    let (name, shift) = word.split_at(word.find(['+', '-']).unwrap_or(word.len()));
    let name = name.trim_matches('"').trim_end_matches(|c: char| c.is_ascii_digit());
    let semitones = match shift.trim_end_matches("va") {
        "+8" => 12,
        "-8" => -12,
        "+15" => 24,
        "-15" => -24,
        _ => 0,
    };
    (names.contains(&name) || name.is_empty() && semitones != 0).then_some(semitones)
}

/// Applies alterations such as `^f_b=c` to a signature.
fn accidentals(field: &mut KeyField, word: &str) -> Result<()> {
    let mut rest = word;
    while !rest.is_empty() {
        let (sign, after) = rest.split_at(rest.find(|c: char| !matches!(c, '^' | '_' | '=')).unwrap_or(rest.len()));
        let bend = match sign {
            "^^" => 2,
            "^" => 1,
            "=" => 0,
            "_" => -1,
            "__" => -2,
            _ => anyhow::bail!("expected a mode, clef or accidentals, got `{word}`"),
        };
        let letter = after.chars().next().filter(|c| matches!(c, 'a'..='g' | 'A'..='G'));
        let letter = letter.with_context(|| format!("expected accidentals such as ^f, got `{word}`"))?;
        field.signature.get_or_insert([0; 7])[letter.to_ascii_uppercase() as usize - usize::from(b'A')] = bend;
        rest = &after[1..];
    }
    Ok(())
}

fn number(text: &str) -> Result<i64> {
    let number = text.trim_start_matches('+').parse().ok().filter(|n: &i64| n.abs() <= 60);
    number.with_context(|| format!("expected a small number, got `{text}`"))
}

/// Splits a text into words. Quoted text does not end a word.
fn quoted_words(text: &str) -> Vec<String> {
    let (mut words, mut quoted) = (vec![String::new()], false);
    for c in text.chars() {
        quoted ^= c == '"';
        if c.is_whitespace() && !quoted {
            words.push(String::new());
        } else {
            words.last_mut().expect("there is a word").push(c);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Parses `6/8`, `C` or `C|`; `None` for `none`.
///
/// # Errors
/// If the text is not a metre.
pub fn metre(text: &str) -> Result<Option<Metre>> {
    Ok(match text.trim() {
        "none" | "" => None,
        "C" => Metre::new(4, 4),
        "C|" => Metre::new(2, 2),
        text => Some(Metre::parse(text)?),
    })
}

/// Parses `1/8` as a length in quarter notes.
///
/// # Errors
/// If the text is not a fraction above 0.
pub fn length(text: &str) -> Result<Beats> {
    let (num, den) = text.trim().split_once('/').unwrap_or((text.trim(), "1"));
    let part = |text: &str| text.trim().parse().ok().filter(|n| (1..=1024).contains(n));
    let (num, den) =
        part(num).zip(part(den)).with_context(|| format!("expected a length such as 1/8, got `{text}`"))?;
    Beats::new(4 * num, den)
}

/// The default note length for a metre, if there is no `L:`.
pub fn default_length(metre: Option<Metre>) -> Result<Beats> {
    let short = metre.is_some_and(|metre| 4 * metre.count < 3 * metre.unit);
    Beats::new(1, if short { 4 } else { 2 })
}

/// Parses a tempo as quarter notes per minute: `1/4=120`, `3/8=50 "Slow"`, `1/4 1/8=60`, or `120` for notes of length
/// `unit`. `None` if the text contains only words.
pub fn tempo(text: &str, unit: Beats) -> Option<f64> {
    let plain: String = text.split('"').step_by(2).collect::<Vec<_>>().join(" ");
    let (lengths, rate) = plain.split_once('=').unwrap_or(("", &plain));
    let rate: f64 = rate.trim().parse().ok()?;
    let lengths = lengths.trim();
    let beat = match lengths {
        "" | "C" | "c" => unit.to_f64(),
        _ => lengths.split_whitespace().map(|beat| length(beat).ok().map(Beats::to_f64)).sum::<Option<f64>>()?,
    };
    Some(rate * beat).filter(|tempo| tempo.is_finite() && *tempo > 0.0)
}

/// Parses an order of parts such as `P:A(AB)3C`.
///
/// # Errors
/// If the text is not an order of parts.
pub fn parts(text: &str) -> Result<Vec<char>> {
    // The parts so far on each level of brackets.
    let mut levels: Vec<Vec<char>> = vec![Vec::new()];
    let mut last: Vec<char> = Vec::new();
    for c in text.chars().filter(|c| !c.is_whitespace() && *c != '.') {
        let top = levels.last_mut().context("brackets that are open")?;
        match c {
            'A'..='Z' => {
                last = vec![c];
                top.push(c);
            }
            '1'..='9' => (1..c as u32 - '0' as u32).for_each(|_| top.extend(&last)),
            '(' => levels.push(Vec::new()),
            ')' => {
                last = levels.pop().unwrap_or_default();
                levels.last_mut().with_context(|| format!("expected an order of parts, got `{text}`"))?.extend(&last);
            }
            _ => anyhow::bail!("expected an order of parts, got `{text}`"),
        }
        ensure!(levels.iter().map(Vec::len).sum::<usize>() <= MAX_PARTS, "expected at most {MAX_PARTS} parts");
    }
    ensure!(levels.len() == 1, "expected brackets to close, got `{text}`");
    Ok(levels.remove(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::key::Key;

    fn check_key(text: &str, name: &str, sharps: &str, flats: &str) {
        let field = key(text).unwrap();
        let named = field.written.map(|key| Key { fifths: key.fifths, mode: key.mode.unwrap() }.to_string());
        assert_eq!(named.unwrap_or_default(), name, "{text}");
        let letters = |bend| ('A'..='G').zip(field.signature.unwrap()).filter(move |(_, b)| *b == bend).map(|(l, _)| l);
        assert_eq!(
            (letters(1).collect::<String>(), letters(-1).collect::<String>()),
            (sharps.into(), flats.into()),
            "{text}"
        );
    }

    #[test]
    fn keys_in_all_spellings_are_read() {
        check_key("G", "G major", "F", "");
        check_key("Bb", "Bb major", "", "BE");
        check_key("F#m", "F# minor", "ACFG".replace('A', "").as_str(), "");
        check_key("A Mixolydian", "A mixolydian", "CF", "");
        check_key("EMin", "E minor", "F", "");
        check_key("EM", "E minor", "F", "");
        check_key("Ddor clef=bass octave=-1", "D dorian", "", "");
        check_key("Dmix=c", "D mixolydian", "F", "");
        check_key("D ^g =c _b", "D major", "FG", "B");
        check_key("D exp _b_e^f", "", "F", "BE");
        check_key("HP", "A mixolydian", "CF", "");
        check_key("none", "", "", "");
        check_key("Cb", "Cb major", "", "ABCDEFG");
        assert_eq!(key("C clef=treble-8").unwrap().transpose, -12);
        assert_eq!(key("C -8va").unwrap().transpose, -12);
        assert_eq!(key("G bass octave=1").unwrap().transpose, 12);
        assert_eq!(key("clef=alto").unwrap().signature, None);
        for text in ["Bn", "H", "G ^", "G ^x", "é", "G octave=x"] {
            assert!(key(text).is_err(), "{text}: {:?}", key(text));
        }
    }

    #[test]
    fn other_fields_are_read() {
        assert_eq!(metre("C|").unwrap(), Metre::new(2, 2));
        assert_eq!(metre("none").unwrap(), None);
        assert!(metre("4").is_err());
        assert_eq!(length("1/16").unwrap(), Beats::new(1, 4).unwrap());
        assert!(length("0").is_err() && length("x").is_err());
        assert_eq!(default_length(Metre::new(2, 4)).unwrap(), Beats::new(1, 4).unwrap());
        assert_eq!(default_length(Metre::new(3, 4)).unwrap(), Beats::new(1, 2).unwrap());
        let eighth = Beats::new(1, 2).unwrap();
        for (text, expect) in [
            ("1/4=120", Some(120.0)),
            ("3/8=40 \"Slow\"", Some(60.0)),
            ("\"a\" 1/4 1/8 = 60", Some(90.0)),
            ("120", Some(60.0)),
            ("\"Allegro\"", None),
            ("1/4=inf", None),
        ] {
            assert_eq!(tempo(text, eighth), expect, "{text}");
        }
        assert_eq!(parts("A(AB)2.C3").unwrap().iter().collect::<String>(), "AABABCCC");
        assert!(parts("A)").is_err() && parts("(A").is_err() && parts("Chos").is_err());
        assert!(parts(&format!("A{}", "9".repeat(20))).is_ok() && parts(&"(A9".repeat(500)).is_err());
        assert_eq!(voice("nm=\"First fiddle\" clef=bass-8").unwrap().name, "First fiddle");
    }
}
