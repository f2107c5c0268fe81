//! A table beside the music that groups pieces which belong to the same work.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::song::name_of_file;

/// Reads the groups from the tables called `name` that lie in the folders `paths` or beside them.
///
/// # Errors
/// If no such table exists, or a row does not start with a name.
pub fn read(paths: &[PathBuf], name: &str) -> Result<Vec<Vec<String>>> {
    let tables = tables(paths, name);
    ensure!(
        !tables.is_empty(),
        "preparation.groups: expected a file `{name}` in a folder of --data or beside it, got none; add it, or remove \
         `groups` from the recipe"
    );
    let mut groups = Vec::new();
    for table in &tables {
        let text = std::fs::read_to_string(table).with_context(|| format!("{}: cannot be read", table.display()))?;
        groups.extend(parse(table, &text)?);
    }
    Ok(groups)
}

/// The tables called `name` that lie in the folders `paths` or beside them.
pub fn tables(paths: &[PathBuf], name: &str) -> BTreeSet<PathBuf> {
    let places = paths.iter().flat_map(|path| [Some(path.as_path()), path.parent()]).flatten();
    places.map(|folder| folder.join(name)).filter(|table| table.is_file()).collect()
}

/// The beginnings of the names of columns whose values say what belongs together.
const GROUP_COLUMNS: [&str; 3] = ["group", "work", "session"];

/// The groups of a table. If its first line names a column of [`GROUP_COLUMNS`], rows with the same value in it belong
/// together; otherwise each row lists in its second column what belongs to the piece in its first. Paths of files stand
/// for the names of their pieces.
fn parse(table: &Path, text: &str) -> Result<Vec<Vec<String>>> {
    let titles: Vec<&str> = text.lines().next().unwrap_or_default().split('\t').collect();
    let is_group = |title: &&str| GROUP_COLUMNS.iter().any(|name| title.trim().starts_with(name));
    if let Some(column) = titles.iter().position(is_group) {
        let mut groups: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for line in text.lines().skip(1) {
            let cells: Vec<&str> = line.split('\t').map(str::trim).collect();
            if let Some(value) = cells.get(column).filter(|value| !value.is_empty()) {
                groups.entry(value).or_default().push(name_of_file(cells[0]).to_string());
            }
        }
        return Ok(groups.into_values().collect());
    }
    let mut groups = Vec::new();
    for (idx, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let mut columns = line.split('\t');
        let first = columns.next().unwrap_or_default().trim();
        ensure!(!first.is_empty(), "{}:{}: expected a piece's name first, got none", table.display(), idx + 1);
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
        let by_work =
            "file\tsource\twork (one side)\na/1.mid\tx\tRondo\na/2.mid\tx\tWaltz\nb/3.mid\ty\tRondo\n4.mid\ty\t\n";
        assert_eq!(parsed(by_work).unwrap(), [&["1", "3"][..], &["2"]]);
        let missing = read(&[PathBuf::from("no/such")], "works.tsv").unwrap_err().to_string();
        assert!(missing.contains("expected a file `works.tsv`"), "{missing}");
    }
}
