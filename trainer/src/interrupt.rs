//! Ctrl-C: the batch that is being learnt is finished and the run is saved; a second one ends at once.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

/// What a shell is told of a program that Ctrl-C has ended: 128 and the signal's number.
pub const EXIT_CODE: i32 = 130;

static PRESSED: AtomicBool = AtomicBool::new(false);

/// From here on Ctrl-C is taken down instead of ending the program.
pub fn watch() -> Result<()> {
    ctrlc::set_handler(|| {
        if PRESSED.swap(true, Ordering::Relaxed) {
            std::process::exit(EXIT_CODE);
        }
        // A closed terminal is no reason to stop short of saving.
        let _ = writeln!(std::io::stderr(), "\nfinishing this batch, then saving; Ctrl-C again ends at once");
    })
    .context("Ctrl-C cannot be watched for")
}

/// Whether Ctrl-C was pressed.
pub fn pressed() -> bool {
    PRESSED.load(Ordering::Relaxed)
}

/// The command line of this run with `--resume`, to be typed.
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
    fn what_to_type_is_what_was_typed_and_resume() {
        let check = |words: &[&str], expect: &str| {
            assert_eq!(super::with_resume(words.iter().map(|word| word.to_string())), expect);
        };
        check(&["bin/trainer", "train", "a.toml"], "bin/trainer train a.toml --resume");
        check(&["trainer", "--resume", "--out", "my songs"], "trainer --resume --out 'my songs'");
        check(&["trainer", "it's", ""], r"trainer 'it'\''s' '' --resume");
    }
}
