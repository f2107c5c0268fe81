//! Writes the files of tests/data from `seed_phrases`.

#![forbid(unsafe_code)]

use anyhow::{Context, Result};

use continuo_tests::seed_phrases;

fn main() -> Result<()> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    for (name, bytes) in seed_phrases::files() {
        let path = folder.join(name);
        std::fs::write(&path, bytes).with_context(|| path.display().to_string())?;
        println!("{}", path.display());
    }
    Ok(())
}
