//! Reads the plugin's report: what it measured while it played, and its problem, if any.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// What the plugin writes when it is dropped, to the file that `CONTINUO_REPORT` names.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Figures {
    /// The name of the weights that played.
    pub style: String,
    /// The device on which they ran.
    #[serde(default)]
    pub device: String,
    /// What went wrong, or empty.
    pub problem: String,
    /// Steps that came too late to be played.
    pub misses: u64,
    /// The time that 99 of 100 replies to a played note stayed within, microseconds; 0 without replies.
    pub reply_p99_us: f64,
    /// The median time of a network step, microseconds.
    pub step_p50_us: f64,
}

impl Figures {
    /// Reads the report of a plugin that has been dropped.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{}: the plugin has written no report", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{}: the plugin's report `{text}`", path.display()))
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, misses, reply_p99_us, step_p50_us, .. } = self;
        write!(f, "misses {misses}, reply_p99_us {reply_p99_us:.0}, step_p50_us {step_p50_us:.0}, device {device}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_what_the_report_says() {
        let figures = serde_json::json!({
            "style": "Chorale", "device": "CPU", "problem": "", "misses": 2, "refused": 0, "reply_p99_us": 123.4,
            "step_p50_us": 44.6
        });
        let figures: Figures = serde_json::from_value(figures).unwrap();
        assert_eq!(figures.to_string(), "misses 2, reply_p99_us 123, step_p50_us 45, device CPU");
        assert!(Figures::read(Path::new("no/such/report")).unwrap_err().to_string().starts_with("no/such/report"));
    }
}
