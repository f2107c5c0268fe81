//! Ctrl-C: the trainer finishes the current batch, saves and stops. A second Ctrl-C stops it at once.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

/// The exit code by which shells recognise a program that Ctrl-C ended: 128 plus the signal's number.
pub const EXIT_CODE: i32 = 130;

static PRESSED: AtomicBool = AtomicBool::new(false);

/// From here on Ctrl-C sets a flag instead of ending the program.
pub fn watch() -> Result<()> {
    ctrlc::set_handler(|| {
        if PRESSED.swap(true, Ordering::Relaxed) {
            std::process::exit(EXIT_CODE);
        }
        // The terminal may be closed; the run must still be saved.
        let _ = writeln!(std::io::stderr(), "\nfinishing this batch, then saving; press Ctrl-C again to stop at once");
    })
    .context("cannot install the Ctrl-C handler")
}

/// Whether Ctrl-C was pressed.
pub fn pressed() -> bool {
    PRESSED.load(Ordering::Relaxed)
}

/// The command line that resumes this run: the same one with `--resume`.
pub fn command_to_go_on() -> String {
    with_resume(std::env::args())
}

fn with_resume(words: impl Iterator<Item = String>) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./=,:+-@".contains(c);
    let mut words: Vec<String> = words.collect();
    if !words.iter().any(|word| word == "--resume") {
        words.push("--resume".into());
    }
    let quoted = words.into_iter().map(|word| {
        if !word.is_empty() && word.chars().all(plain) { word } else { format!("'{}'", word.replace('\'', r"'\''")) }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_that_resumes_is_the_typed_one_and_resume() {
        let check = |words: &[&str], expect: &str| {
            assert_eq!(super::with_resume(words.iter().map(|word| word.to_string())), expect);
        };
        check(&["bin/trainer", "train", "a.toml"], "bin/trainer train a.toml --resume");
        check(&["trainer", "--resume", "--out", "my songs"], "trainer --resume --out 'my songs'");
        check(&["trainer", "it's", ""], r"trainer 'it'\''s' '' --resume");
    }
}
