//! The notices of the plugin as it is, and of crates made up here.

use std::fs;

use super::*;

/// A crate's folder that holds some files, each with its own name as text; removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn with(name: &str, files: &[&str]) -> Self {
        let path = std::env::temp_dir().join(format!("continuo-notices-{name}-{}", std::process::id()));
        for file in files {
            let file = path.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, format!("{}\r\n", file.file_name().unwrap().to_string_lossy())).unwrap();
        }
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The first lines of the texts of a crate of that licence and with those files.
fn check(name: &str, files: &[&str], licence: &str, expect: Result<&[&str], &str>) {
    let folder = Folder::with(name, files);
    let texts = licence_texts(&folder.0, licence, &["Ann".to_string(), "Bob".to_string()]);
    match (texts, expect) {
        (Ok(texts), Ok(expect)) => {
            let first_lines: Vec<&str> = texts.iter().map(|text| text.lines().next().unwrap().trim()).collect();
            assert_eq!(first_lines, expect, "{name}");
        }
        (Err(error), Err(expect)) => assert!(error.to_string().contains(expect), "{name}: {error}"),
        (got, expect) => panic!("{name}: expected {expect:?}, got {got:?}"),
    }
}

#[test]
fn the_texts_of_a_crate_are_found() {
    let files = ["LICENSE-MIT", "license-apache.md", "src/LICENSE", "README.md"];
    check("files", &files, "MIT OR Apache-2.0", Ok(&["LICENSE-MIT", "license-apache.md"]));
    check("none", &["src/lib.rs"], "MIT OR Apache-2.0", Ok(&["Apache License"]));
    check("old", &["src/lib.rs"], "Zlib/MIT", Ok(&["MIT License"]));
    let fonts = ["fonts/OFL.txt", "fonts/a.ttf"];
    check("fonts", &fonts, "(MIT OR Apache-2.0) AND OFL-1.1", Ok(&["Apache License", "OFL.txt"]));
    let folder = Folder::with("authors", &["src/lib.rs"]);
    let isc = licence_texts(&folder.0, "ISC", &["Ann <ann@example.org>".to_string(), "Bob".to_string()]).unwrap();
    assert!(isc[0].contains("Copyright (c) Ann, Bob\n"), "{}", isc[0]);
}

#[test]
fn a_crate_without_a_licence_text_is_refused() {
    check("unknown", &["src/lib.rs"], "Zlib", Err("no text of `Zlib`"));
    check("half", &["src/lib.rs"], "MIT AND Zlib", Err("no text of `Zlib`"));
}

#[test]
fn a_crate_that_states_no_licence_is_refused() {
    let metadata = metadata(&Workspace::find().unwrap()).unwrap();
    let package = metadata.packages.iter().find(|package| package.name == "rtrb").unwrap();
    assert_eq!(read_crate(package).unwrap().licence, "MIT OR Apache-2.0");
    let mut unlicensed = package.clone();
    unlicensed.license = None;
    let error = read_crate(&unlicensed).unwrap_err().to_string();
    assert!(error.starts_with("rtrb ") && error.ends_with(": states no licence"), "{error}");
}

#[test]
fn what_the_plugin_links_is_listed_with_its_text() {
    let crates = linked_crates(&Workspace::find().unwrap()).unwrap();
    let names: Vec<&str> = crates.iter().map(|linked| linked.name.as_str()).collect();
    for name in ["nice-plug", "egui", "rtrb", "epaint_default_fonts"] {
        assert!(names.contains(&name), "{name} is missing: {names:?}");
    }
    // Ours, a macro, and what only the trainer and xtask need.
    for name in ["continuo-model", "serde_derive", "plotters", "cargo_metadata", "candle-core"] {
        assert!(!names.contains(&name), "{name} is not linked");
    }
    let page = page(&crates);
    assert!(page.contains("| nice-plug | 0.4.2 | ISC |"), "{page}");
    for text in ["SIL OPEN FONT LICENSE", "UBUNTU FONT LICENCE", "Mozilla Public License", "Apache License"] {
        assert!(page.contains(text), "{text} is missing");
    }
}

#[test]
fn a_text_stands_once_for_all_its_crates() {
    let linked = |name: &str, text: &str| Linked {
        name: name.into(),
        version: "1.0.0".into(),
        licence: "MIT".into(),
        texts: vec![text.into()],
    };
    let page = page(&[linked("a", "same"), linked("b", "other"), linked("c", "same")]);
    assert!(page.contains("\n### a 1.0.0, c 1.0.0\n\n~~~~text\nsame\n~~~~\n"), "{page}");
    assert_eq!(page.matches("same").count(), 1, "{page}");
}
