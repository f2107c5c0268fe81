//! The plugin's own figures, read from the state that it saves; what it does not tell is `n/a`.

use std::fmt;

use serde_json::Value;

/// The field of the saved state in which the plugin writes them.
const FIELD: &str = "figures";

/// What the plugin measured while it played.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Results that came too late to be played.
    pub misses: Option<f64>,
    /// 99 of 100 replies to a played note took no longer, microseconds.
    pub reply_p99_us: Option<f64>,
    /// Half of the network's steps took no longer, microseconds.
    pub step_p50_us: Option<f64>,
}

impl Figures {
    /// Reads a saved state of either format: JSON, behind a length of eight bytes in CLAP. Whatever is missing or of
    /// another shape is left out.
    pub fn from_state(state: &[u8]) -> Self {
        Self::find(state).unwrap_or_default()
    }

    fn find(state: &[u8]) -> Option<Self> {
        // The length is little-endian, so its upper bytes are 0; a `{` in its lower ones parses as nothing.
        let starts = state.iter().enumerate().filter(|(_, byte)| **byte == b'{');
        let state = starts.take(9).find_map(|(at, _)| {
            serde_json::Deserializer::from_slice(&state[at..])
                .into_iter::<Value>()
                .next()?
                .ok()
        })?;
        // nice-plug keeps each field as a JSON text of its own.
        let field = match state.get("fields")?.get(FIELD)? {
            Value::String(text) => serde_json::from_str(text).ok()?,
            value => value.clone(),
        };
        let number = |name: &str| field.get(name).and_then(Value::as_f64);
        Some(Self {
            misses: number("misses"),
            reply_p99_us: number("reply_p99_us"),
            step_p50_us: number("step_p50_us"),
        })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text =
            |number: Option<f64>| number.map_or("n/a".into(), |number| format!("{number:.0}"));
        write!(
            f,
            "misses {}, reply_p99_us {}, step_p50_us {}",
            text(self.misses),
            text(self.reply_p99_us),
            text(self.step_p50_us)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(state: &[u8], expect: &str) {
        assert_eq!(
            Figures::from_state(state).to_string(),
            expect,
            "{}",
            String::from_utf8_lossy(state)
        );
    }

    const NOTHING: &str = "misses n/a, reply_p99_us n/a, step_p50_us n/a";

    #[test]
    fn figures_are_read_from_both_formats() {
        let json = br#"{"version":"0.1.0","params":{"mode":{"i32":1}},"fields":{"figures":"{\"misses\":0,\"reply_p99_us\":123,\"step_p50_us\":44.6}"}}"#;
        let expect = "misses 0, reply_p99_us 123, step_p50_us 45";
        check(json, expect);
        // Of a length whose lowest byte is a `{`, too.
        for length in [json.len() as u64, u64::from(b'{'), 0x7b7b] {
            let clap: Vec<u8> = length
                .to_le_bytes()
                .into_iter()
                .chain(json.iter().copied())
                .collect();
            check(&clap, expect);
        }
    }

    #[test]
    fn what_is_not_told_is_not_made_up() {
        check(b"", NOTHING);
        check(b"\x05\0\0\0\0\0\0\0{nope", NOTHING);
        check(br#"{"fields":{}}"#, NOTHING);
        check(br#"{"fields":{"figures":"null"}}"#, NOTHING);
        check(
            br#"{"fields":{"figures":{"misses":2,"reply_p99_us":"fast"}}}"#,
            "misses 2, reply_p99_us n/a, step_p50_us n/a",
        );
    }
}
