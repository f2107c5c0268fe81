//! A table beside the music that groups pieces which belong to the same work.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Reads the groups from the table called `name`, in one of the folders `paths` or beside one of them.
///
/// # Errors
/// If no such table exists, or a row does not start with a name.
pub fn read(paths: &[PathBuf], name: &str) -> Result<Vec<Vec<String>>> {
    let places = paths.iter().flat_map(|path| [Some(path.as_path()), path.parent()]).flatten();
    let table = places.map(|folder| folder.join(name)).find(|table| table.is_file()).with_context(|| {
        format!(
            "preparation.groups: expected a file `{name}` in a folder of --data or beside it, got none; add it, or \
                 remove `groups` from the recipe"
        )
    })?;
    let text = std::fs::read_to_string(&table).with_context(|| format!("{}: cannot be read", table.display()))?;
    parse(&table, &text)
}

fn parse(table: &Path, text: &str) -> Result<Vec<Vec<String>>> {
    let mut groups = Vec::new();
    for (idx, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let mut columns = line.split('\t');
        let first = columns.next().unwrap_or_default().trim();
        anyhow::ensure!(!first.is_empty(), "{}:{}: expected a piece's name first, got none", table.display(), idx + 1);
        let others = columns.next().unwrap_or_default().split_whitespace();
        groups.push([first].into_iter().chain(others).map(String::from).collect());
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_names_pieces_that_belong_together() {
        let parsed = |text: &str| parse(Path::new("t.tsv"), text).map_err(|error| error.to_string());
        let text = "file\tothers\ttitle\n1-a\t1-b 1-c\tRondo\n\n2-a\t\tWaltz\n3-a\n";
        let expect = [&["file", "others"][..], &["1-a", "1-b", "1-c"], &["2-a"], &["3-a"]];
        assert_eq!(parsed(text).unwrap(), expect);
        assert_eq!(parsed("a\n\tb\n").unwrap_err(), "t.tsv:2: expected a piece's name first, got none");
        let missing = read(&[PathBuf::from("no/such")], "works.tsv").unwrap_err().to_string();
        assert!(missing.contains("expected a file `works.tsv`"), "{missing}");
    }
}
