//! The state that a host saves, as JSON. Its fields are JSON again, as text. Plain values, of no thread.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::fake_host::Format;

/// A CLAP state begins with its length, a u64.
const CLAP_LENGTH: usize = 8;

/// Reads what [`crate::fake_host::HostedPlugin::save_state`] returned.
///
/// # Errors
/// If it is no JSON.
pub fn read(format: Format, state: &[u8]) -> Result<Value> {
    let text = match format {
        Format::Clap => state.get(CLAP_LENGTH..).context("expected a CLAP state to begin with its length")?,
        Format::Vst3 => state,
    };
    Ok(serde_json::from_slice(text)?)
}

/// Writes a state for [`crate::fake_host::HostedPlugin::load_state`].
pub fn write(format: Format, state: &Value) -> Vec<u8> {
    let text = state.to_string().into_bytes();
    match format {
        Format::Clap => [&(text.len() as u64).to_le_bytes()[..], &text].concat(),
        Format::Vst3 => text,
    }
}

/// A field of a state.
///
/// # Errors
/// If the state lacks it.
pub fn field(state: &Value, name: &str) -> Result<Value> {
    let text = state["fields"][name].as_str().with_context(|| format!("expected the field `{name}`"))?;
    Ok(serde_json::from_str(text)?)
}

/// Sets a field of a state.
pub fn set_field(state: &mut Value, name: &str, value: &Value) {
    state["fields"][name] = value.to_string().into();
}

/// A project that the bundle of version 0.1.0 saved itself: Harmonise in G major by `shipped:chorale`, with several
/// parameters changed, after 16 beats of a tune from beat 0 and 8 from beat 8.
///
/// # Errors
/// If the file is missing.
pub fn of_version_0_1_0(format: Format) -> Result<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("data/project_0_1_0.{format}-state"));
    std::fs::read(&path).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_state_is_read_as_it_was_written() {
        let mut state = json!({ "version": "1", "fields": {} });
        set_field(&mut state, "seeds", &json!([5, 6]));
        assert_eq!(state["fields"]["seeds"], "[5,6]");
        for (format, length) in [(Format::Clap, 8), (Format::Vst3, 0)] {
            let bytes = write(format, &state);
            assert_eq!(bytes.len(), state.to_string().len() + length);
            let read = read(format, &bytes).unwrap();
            assert_eq!(field(&read, "seeds").unwrap(), json!([5, 6]));
            assert!(field(&read, "take").is_err());
        }
        assert_eq!(write(Format::Clap, &json!(1))[..8], [1, 0, 0, 0, 0, 0, 0, 0]);
    }
}
