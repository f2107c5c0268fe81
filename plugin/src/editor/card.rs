//! The card of a weights file: its description, read from the header only. Runs on a background thread of the editor.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use continuo_model::sampling::Sampler;
use continuo_model::weights_file::Description;

/// The longest valid header, bytes.
const MAX_HEADER: u64 = 16 << 20;

/// The description of weights, as text for the player.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    /// The name in menus.
    pub name: String,
    /// The corpora that they were trained on, with licences.
    pub corpora: Vec<String>,
    /// Names and values of the measured figures.
    pub figures: Vec<(String, String)>,
    /// The sampling to use by default.
    pub sampler: Sampler,
}

impl Card {
    /// Reads the card of a file.
    ///
    /// # Errors
    /// What is wrong with the file, as text for the player.
    pub fn read(path: &Path) -> Result<Self, String> {
        let mut file = File::open(path).map_err(|error| format!("cannot be opened ({error})"))?;
        let mut length = [0; 8];
        let short = |error| format!("expected a safetensors file, got only a part of one ({error})");
        file.read_exact(&mut length).map_err(short)?;
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER {
            return Err("expected a safetensors file, got something else".into());
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(short)?;
        Self::of_header(&header)
    }

    /// The card of weights in memory.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn of_bytes(bytes: &[u8]) -> Result<Self, String> {
        const SHORT: &str = "expected a safetensors file, got only a part of one";
        let (length, rest) = bytes.split_first_chunk().ok_or(SHORT)?;
        let header = rest.get(..u64::from_le_bytes(*length) as usize);
        Self::of_header(header.ok_or(SHORT)?)
    }

    fn of_header(header: &[u8]) -> Result<Self, String> {
        let header: serde_json::Value =
            serde_json::from_slice(header).map_err(|_| "expected a safetensors file, got something else")?;
        let description = header["__metadata__"]["continuo"]
            .as_str()
            .ok_or("expected weights from Continuo's trainer, got others")?;
        let description: Description =
            serde_json::from_str(description).map_err(|_| "made for another version of Continuo")?;
        let corpora = description.corpora.iter().map(|corpus| format!("{} ({})", corpus.name, corpus.licence));
        let plays = if description.config.kind().capabilities().harmonises {
            "four voices: all modes"
        } else {
            "one line: Continue, Respond, Free"
        };
        let parameters = thousands(description.config.num_parameters());
        let mut figures = vec![("plays".into(), plays.into()), ("parameters".into(), parameters)];
        figures.extend(description.figures.iter().map(|(name, value)| (figure_name(name), in_words(*value))));
        Ok(Self { name: description.name.clone(), corpora: corpora.collect(), figures, sampler: description.sampler() })
    }
}

/// The readable name of a figure: `valid_nats_per_note_macro` becomes `nats per note, held-out pieces, their mean`.
fn figure_name(name: &str) -> String {
    let (name, mean) = name.strip_suffix("_macro").map_or((name, ""), |name| (name, ", their mean"));
    let (name, held_out) = name.strip_prefix("valid_").map_or((name, ""), |name| (name, ", held-out pieces"));
    name.replace('_', " ") + held_out + mean
}

/// The number with commas: `458,432`.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let group = |(i, digit): (usize, char)| {
        let comma = i > 0 && (digits.len() - i).is_multiple_of(3);
        [comma.then_some(','), Some(digit)]
    };
    digits.chars().enumerate().flat_map(group).flatten().collect()
}

/// A whole number as it is, any other with four decimals.
fn in_words(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.4}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::SHIPPED;

    #[test]
    fn the_shipped_weights_have_a_card() {
        let card = Card::of_bytes(SHIPPED[0].bytes).unwrap();
        assert_eq!((card.name.as_str(), card.sampler), ("Bach chorales", Sampler::CAREFUL));
        assert!(card.corpora.iter().any(|corpus| corpus.contains("JSB Chorales")), "{card:?}");
        let figure = |name: &str| card.figures.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str());
        assert_eq!(figure("plays"), Some("four voices: all modes"));
        assert!(figure("nats per note, held-out pieces").is_some_and(|value| value.starts_with("0.")), "{card:?}");
        assert!(figure("parameters").is_some_and(|value| value.len() > 6 && value.contains(',')), "{card:?}");
    }

    #[test]
    fn figures_have_readable_names() {
        let name = figure_name("valid_nats_per_event_macro");
        assert_eq!(name, "nats per event, held-out pieces, their mean");
        assert_eq!([7, 458, 1077, 12_345_678].map(thousands), ["7", "458", "1,077", "12,345,678"]);
    }

    #[test]
    fn damaged_files_give_errors() {
        let shipped = SHIPPED[0].bytes;
        for bytes in [&[][..], &[9; 7], &[0xff; 64], &shipped[..100], b"\x02\0\0\0\0\0\0\0{}"] {
            assert!(Card::of_bytes(bytes).unwrap_err().starts_with("expected"), "{bytes:?}");
        }
        assert!(Card::read(Path::new("no/such.safetensors")).unwrap_err().starts_with("cannot be opened"));
    }
}
