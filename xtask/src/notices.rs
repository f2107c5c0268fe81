//! The notices that go with the bundles: which crates the plugin links, their licences and the texts of these.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{Metadata, MetadataCommand, Package};

use crate::bundle::PACKAGE;
use crate::workspace::{Workspace, cargo};

/// The file's name; it lies beside the bundles.
pub const FILE_NAME: &str = "THIRD_PARTY.md";
/// The beginnings of licence files' names, in lower case.
const LICENCE_FILES: [&str; 6] = ["licence", "license", "copying", "copyright", "notice", "unlicense"];
/// The texts for crates that come without one. If a crate offers several licences, the first of these is taken.
const STANDARD_TEXTS: [(&str, &str); 4] = [
    ("Apache-2.0", include_str!("../../LICENSE-APACHE")),
    ("MIT", include_str!("notices/MIT.txt")),
    ("ISC", include_str!("notices/ISC.txt")),
    ("Unlicense", include_str!("notices/Unlicense.txt")),
];

/// A crate that the plugin links.
#[derive(Debug)]
struct Linked {
    name: String,
    version: String,
    /// An SPDX expression, from the crate's manifest.
    licence: String,
    texts: Vec<String>,
}

/// Writes the notices into a folder.
///
/// # Errors
/// If a linked crate states no licence, or one without a text.
pub fn write(workspace: &Workspace, folder: &Path) -> Result<PathBuf> {
    let path = folder.join(FILE_NAME);
    std::fs::write(&path, page(&linked_crates(workspace)?)).with_context(|| path.display().to_string())?;
    Ok(path)
}

/// The crates of others that the plugin links on this system, by name.
fn linked_crates(workspace: &Workspace) -> Result<Vec<Linked>> {
    let linked = names_and_versions(workspace)?;
    let metadata = metadata(workspace)?;
    let of_others = |package: &&Package| package.source.is_some();
    let is_linked = |package: &&Package| linked.contains(&(package.name.to_string(), package.version.to_string()));
    let mut crates =
        metadata.packages.iter().filter(of_others).filter(is_linked).map(read_crate).collect::<Result<Vec<_>>>()?;
    crates.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    Ok(crates)
}

/// The manifests of all crates for this system. Without a platform, cargo would download those for all others too.
fn metadata(workspace: &Workspace) -> Result<Metadata> {
    let version = Command::new("rustc").arg("-vV").output().context("cannot start rustc")?;
    let version = String::from_utf8_lossy(&version.stdout);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("`rustc -vV` names no host")?;
    MetadataCommand::new()
        .manifest_path(workspace.root.join("Cargo.toml"))
        .other_options(["--locked", "--filter-platform", host].map(String::from))
        .exec()
        .context("`cargo metadata` failed")
}

/// From `cargo tree`: `cargo metadata` would add crates that only other members' features need. Leaves out procedural
/// macros, which run in the compiler.
fn names_and_versions(workspace: &Workspace) -> Result<BTreeSet<(String, String)>> {
    let mut tree = cargo();
    tree.current_dir(&workspace.root).args(["tree", "--locked", "--package", PACKAGE]);
    tree.args(["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"]);
    let output = tree.output().context("cannot start cargo")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`cargo tree` failed: {}", errors.trim());
    let name_and_version = |line: &str| {
        let (name, rest) = line.split_once(" v")?;
        Some((name.to_string(), rest.split(' ').next()?.to_string()))
    };
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(name_and_version).collect())
}

fn read_crate(package: &Package) -> Result<Linked> {
    let name_and_version = format!("{} {}", package.name, package.version);
    let folder = package.manifest_path.parent().context("a manifest lies in a folder")?.as_std_path();
    let licence = package.license.clone().with_context(|| format!("{name_and_version}: states no licence"))?;
    let texts = licence_texts(folder, &licence, &package.authors).with_context(|| name_and_version)?;
    Ok(Linked { name: package.name.to_string(), version: package.version.to_string(), licence, texts })
}

/// The licence files of a crate and of the fonts in it, or else standard texts.
fn licence_texts(folder: &Path, licence: &str, authors: &[String]) -> Result<Vec<String>> {
    let of_fonts = read_texts(&folder.join("fonts"), |name| name.ends_with(".txt"))?;
    let mut texts = read_texts(folder, |name| LICENCE_FILES.iter().any(|start| name.starts_with(start)))?;
    if texts.is_empty() {
        // Every part applies; of its alternatives we take one.
        for part in licence.split(" AND ") {
            let alternatives: Vec<&str> =
                part.trim_matches(['(', ')']).split(" OR ").flat_map(|or| or.split('/')).collect();
            let text = STANDARD_TEXTS.iter().find(|(id, _)| alternatives.iter().any(|other| other.trim() == *id));
            ensure!(
                text.is_some() || !of_fonts.is_empty(),
                "expected a licence file, got none, and xtask/src/notices has no text of `{part}`"
            );
            texts.extend(text.map(|(_, text)| text.replace("{authors}", &names(authors))));
        }
    }
    Ok([texts, of_fonts].concat())
}

/// Authors without their e-mail addresses.
fn names(authors: &[String]) -> String {
    let name = |author: &String| author.split('<').next().unwrap_or_default().trim().to_string();
    authors.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// The contents of a folder's files whose name, in lower case, passes `is_one`; sorted by name. Empty without the
/// folder.
fn read_texts(folder: &Path, is_one: impl Fn(&str) -> bool) -> Result<Vec<String>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| {
        path.is_file() && path.file_name().is_some_and(|name| is_one(&name.to_string_lossy().to_lowercase()))
    });
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
            Ok(String::from_utf8_lossy(&bytes).replace("\r\n", "\n").trim_matches('\n').to_string())
        })
        .collect()
}

/// The notices as Markdown: a table of the crates, then each text once with the crates that it belongs to.
fn page(crates: &[Linked]) -> String {
    let mut page = format!(
        "# Third-party notices\n\n\
         Continuo {} links these {} crates and Rust's standard library (MIT OR Apache-2.0). The cards of the weights,\n\
         which the plugin shows under *Weights*, say what each was trained on.\n\n\
         | crate | version | licence |\n|---|---|---|\n",
        env!("CARGO_PKG_VERSION"),
        crates.len(),
    );
    let mut owners: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for Linked { name, version, licence, texts } in crates {
        let _ = writeln!(page, "| {name} | {version} | {licence} |");
        for text in texts {
            owners.entry(text).or_default().push(format!("{name} {version}"));
        }
    }
    page.push_str("\n## Licence texts\n");
    let mut by_owners: Vec<(String, &str)> =
        owners.into_iter().map(|(text, crates)| (crates.join(", "), text)).collect();
    by_owners.sort();
    for (crates, text) in by_owners {
        let _ = write!(page, "\n### {crates}\n\n~~~~text\n{text}\n~~~~\n");
    }
    page
}

#[cfg(test)]
mod tests;
