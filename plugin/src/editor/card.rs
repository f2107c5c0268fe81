//! A weights file's card: what it says of itself, read from its first bytes alone. Runs on a thread of the weights list.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use continuo_model::weights_file::Description;

/// A header longer than this is none.
const MAX_HEADER: u64 = 16 << 20;

/// What a player wants to know of weights before playing them.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    /// What a menu calls them.
    pub name: String,
    /// What they were trained on, with its licence.
    pub corpora: Vec<String>,
    /// Measured figures, in words.
    pub figures: Vec<(String, String)>,
}

impl Card {
    /// Reads a file's card, or says what is wrong.
    pub fn read(path: &Path) -> Result<Self, String> {
        let mut file = File::open(path).map_err(|error| format!("cannot be opened ({error})"))?;
        let mut length = [0; 8];
        let short = |error| format!("expected a safetensors file, got a part ({error})");
        file.read_exact(&mut length).map_err(short)?;
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER {
            return Err("expected a safetensors file, got something else".into());
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(short)?;
        Self::of_header(&header)
    }

    /// The card of weights that are in memory.
    pub fn of_bytes(bytes: &[u8]) -> Result<Self, String> {
        let (length, rest) = bytes.split_first_chunk().ok_or("expected a safetensors file, got a part")?;
        let header = rest.get(..u64::from_le_bytes(*length) as usize);
        Self::of_header(header.ok_or("expected a safetensors file, got a part")?)
    }

    fn of_header(header: &[u8]) -> Result<Self, String> {
        let header: serde_json::Value =
            serde_json::from_slice(header).map_err(|_| "expected a safetensors file, got something else")?;
        let description =
            header["__metadata__"]["continuo"].as_str().ok_or("expected weights of Continuo's trainer")?;
        let description: Description =
            serde_json::from_str(description).map_err(|_| "its description is of another version of Continuo")?;
        let corpora = description.corpora.iter().map(|corpus| format!("{} ({})", corpus.name, corpus.licence));
        let figures = description.figures.iter().map(|(name, value)| (name.replace('_', " "), in_words(*value)));
        Ok(Self { name: description.name.clone(), corpora: corpora.collect(), figures: figures.collect() })
    }
}

/// Four digits, or whole numbers as they are.
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
        assert_eq!(card.name, "Bach chorales");
        assert!(card.corpora.iter().any(|corpus| corpus.contains("JSB Chorales")), "{card:?}");
        assert!(card.figures.iter().any(|(name, _)| name.contains("nats per note")), "{card:?}");
    }

    #[test]
    fn whatever_the_bytes_it_says_what_is_wrong() {
        let shipped = SHIPPED[0].bytes;
        for bytes in [&[][..], &[9; 7], &[0xff; 64], &shipped[..100], b"\x02\0\0\0\0\0\0\0{}"] {
            assert!(Card::of_bytes(bytes).unwrap_err().starts_with("expected"), "{bytes:?}");
        }
        assert!(Card::read(Path::new("no/such.safetensors")).unwrap_err().starts_with("cannot be opened"));
    }
}
