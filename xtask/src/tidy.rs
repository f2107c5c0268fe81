//! `cargo xtask tidy`: checks the house rules that a program can check.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::workspace::Workspace;

/// A reader gets through a file in one sitting.
const MAX_LINES: usize = 500;
/// The width of a line, in characters. Tables in Markdown may be wider, and so may the cards of weights.
const MAX_COLUMNS: usize = 120;
/// Names that say nothing of what is inside.
const FORBIDDEN_NAMES: [&str; 7] = ["util", "utils", "helper", "helpers", "manager", "managers", "common"];
/// Beginnings of paths on somebody's own machine, each written in two parts so that this file passes its own check.
const HOME_PATHS: [&str; 4] =
    [concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/ro", "ot/"), concat!("C:\\Us", "ers\\")];

/// Checks every file that git tracks, or would track once it is added.
pub fn run(workspace: &Workspace) -> Result<()> {
    let mut faults = Vec::new();
    for path in files(&workspace.root)? {
        // git still lists a file that is deleted but not committed. Files that are not text have no lines to check.
        let Ok(bytes) = std::fs::read(workspace.root.join(&path)) else {
            continue;
        };
        let text = String::from_utf8(bytes).ok();
        faults.extend(faults_in(&path, text.as_deref()));
    }
    if faults.is_empty() {
        return Ok(());
    }
    bail!("expected a tidy workspace, got {} faults:\n  {}", faults.len(), faults.join("\n  "))
}

fn files(root: &Path) -> Result<Vec<String>> {
    // CI often checks out as another user; without `safe.directory` git would refuse to read that.
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z"])
        .args(["--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("cannot start git, which lists the workspace's files; install git")?;
    ensure!(
        output.status.success(),
        "git ls-files in {}: {}",
        root.display(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let mut files: Vec<String> =
        String::from_utf8_lossy(&output.stdout).split('\0').filter(|path| !path.is_empty()).map(String::from).collect();
    files.sort();
    files.dedup();
    Ok(files)
}

/// What is wrong with a file; `text` is `None` if it is not UTF-8.
fn faults_in(path: &str, text: Option<&str>) -> Vec<String> {
    let mut faults = Vec::new();
    for part in Path::new(path).iter().filter_map(|part| part.to_str()) {
        faults.extend(
            forbidden_word(part).map(|word| format!("{path}: `{word}` says nothing; name it after what it does")),
        );
    }
    let Some(text) = text else { return faults };
    let is_wrapped = path.ends_with(".rs") || path.ends_with(".toml") || is_markdown(path);
    for (idx, line) in text.lines().enumerate() {
        let at = format!("{path}:{}", idx + 1);
        let num_columns = line.chars().count();
        let is_table = is_markdown(path) && line.starts_with('|');
        if is_wrapped && !is_table && num_columns > MAX_COLUMNS {
            faults.push(format!("{at}: expected at most {MAX_COLUMNS} columns, got {num_columns}; wrap the line"));
        }
        if let Some(home) = home_path(line) {
            faults
                .push(format!("{at}: `{home}` is a path on someone's own machine; use one relative to the workspace"));
        }
        if path.ends_with(".rs") {
            let word = declared_module(line).and_then(forbidden_word);
            faults.extend(word.map(|word| format!("{at}: `{word}` says nothing; name it after what it does")));
        }
    }
    if path.ends_with(".rs") {
        if !text.starts_with("//! ") {
            faults.push(format!("{path}: expected a first line `//! What this file is.`, got none"));
        }
        let num_lines = text.lines().count();
        if num_lines > MAX_LINES {
            faults.push(format!("{path}: expected at most {MAX_LINES} lines, got {num_lines}; one idea a file"));
        }
    }
    faults
}

/// Whether the file is Markdown, other than a card of weights.
fn is_markdown(path: &str) -> bool {
    path.ends_with(".md") && !path.starts_with("weights/")
}

/// A forbidden word in a name such as `audio_helper.rs`.
fn forbidden_word(name: &str) -> Option<&'static str> {
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    words.find_map(|word| FORBIDDEN_NAMES.into_iter().find(|forbidden| word == *forbidden))
}

/// The name in `mod name;` or `pub mod name {`.
fn declared_module(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("pub ").unwrap_or(line);
    line.strip_prefix("mod ")
}

fn home_path(line: &str) -> Option<&'static str> {
    HOME_PATHS.into_iter().find(|home| {
        line.match_indices(home).any(|(at, _)| {
            // `example.org/home/x` is an address, not a path.
            let before = line[..at].chars().next_back();
            let after = line[at + home.len()..].chars().next();
            !before.is_some_and(|c| c.is_alphanumeric()) && after.is_some_and(|c| c.is_alphanumeric() || c == '.')
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expect: &[&str]) {
        assert_eq!(faults_in(path, Some(text)), expect, "{path}");
    }

    #[test]
    fn tidy_files_pass() {
        check("a/src/lib.rs", "//! What it is.\nmod commonplace;\n", &[]);
        check("notes.md", "see example.org/home/page and /home/\n", &[]);
        assert!(faults_in("a.mid", None).is_empty());
    }

    #[test]
    fn wide_lines_are_named() {
        // Columns are characters, not bytes.
        let (full, wide) = ("♭".repeat(MAX_COLUMNS), "♭".repeat(MAX_COLUMNS + 1));
        let fault =
            |path: &str, line: usize| format!("{path}:{line}: expected at most 120 columns, got 121; wrap the line");
        for path in ["notes.md", "Cargo.toml"] {
            check(path, &format!("{full}\n{wide}\n"), &[&fault(path, 2)]);
        }
        check("a.rs", &format!("//! x\n// {}\n", "x".repeat(118)), &[&fault("a.rs", 2)]);
        check("notes.md", &format!("| {wide} |\n"), &[]);
        check("weights/card.md", &wide, &[]);
        check("LICENSE", &wide, &[]);
    }

    #[test]
    fn untidy_files_are_named() {
        check(
            "a/src/lib.rs",
            "fn main() {}\n",
            &["a/src/lib.rs: expected a first line `//! What this file is.`, got none"],
        );
        check(
            "a/midi_utils.rs",
            "//! x\n    pub mod helper {\n",
            &[
                "a/midi_utils.rs: `utils` says nothing; name it after what it does",
                "a/midi_utils.rs:2: `helper` says nothing; name it after what it does",
            ],
        );
        let long = format!("//! x\n{}", "\n".repeat(500));
        check("a.rs", &long, &["a.rs: expected at most 500 lines, got 501; one idea a file"]);
        let home = HOME_PATHS[0];
        check(
            "a.toml",
            &format!("x = 1\npath = \"{home}ann/x\"\n"),
            &[&format!("a.toml:2: `{home}` is a path on someone's own machine; use one relative to the workspace")],
        );
    }
}
