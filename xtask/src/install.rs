//! `cargo xtask install`: copies the bundles to where the user's DAWs look for plugins.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::bundle::{self, BUNDLE_NAMES};
use crate::workspace::Workspace;

/// Bundles, copies the bundles and prints where to.
pub fn run(workspace: &Workspace) -> Result<()> {
    let folders = plugin_folders(std::env::consts::OS, |name| std::env::var_os(name))?;
    let bundles = bundle::run(workspace, "release")?;
    for (name, folder) in BUNDLE_NAMES.iter().zip(folders) {
        let destination = folder.join(name);
        replace(&bundles.join(name), &destination).with_context(|| format!("installing {}", destination.display()))?;
        println!("installed {}", destination.display());
    }
    println!("now let your DAW scan its plugins again");
    Ok(())
}

/// The user's CLAP folder and VST3 folder on an operating system, in the order of [`BUNDLE_NAMES`].
fn plugin_folders(os: &str, variable: impl Fn(&str) -> Option<OsString>) -> Result<[PathBuf; 2]> {
    let (name, clap, vst3) = match os {
        "macos" => ("HOME", "Library/Audio/Plug-Ins/CLAP", "Library/Audio/Plug-Ins/VST3"),
        "windows" => ("COMMONPROGRAMFILES", "CLAP", "VST3"),
        _ => ("HOME", ".clap", ".vst3"),
    };
    let base = variable(name).filter(|value| !value.is_empty()).with_context(|| {
        format!("the environment variable {name} is not set; set it to a folder, or copy target/bundled yourself")
    })?;
    let base = PathBuf::from(base);
    Ok([base.join(clap), base.join(vst3)])
}

/// Copies a file or a folder, in place of an older one if there is one.
fn replace(source: &Path, destination: &Path) -> Result<()> {
    // Removed, not overwritten: a running DAW has the old library mapped and would crash if its bytes changed.
    match fs::symlink_metadata(destination) {
        Ok(old) if old.is_dir() => fs::remove_dir_all(destination)?,
        Ok(_) => fs::remove_file(destination)?,
        Err(_) => {}
    }
    copy(source, destination)
}

fn copy(source: &Path, destination: &Path) -> Result<()> {
    if !source.is_dir() {
        if let Some(folder) = destination.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::copy(source, destination)?;
        return Ok(());
    }
    fs::create_dir_all(destination)?;
    for entry in fs::read_dir(source)? {
        let entry = entry?;
        copy(&entry.path(), &destination.join(entry.file_name()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(os: &str, variable: &str, clap: &str, vst3: &str) {
        let folders = plugin_folders(os, |name| (name == variable).then(|| "base".into()));
        assert_eq!(folders.unwrap(), [PathBuf::from(clap), PathBuf::from(vst3)], "{os}");
    }

    #[test]
    fn each_system_has_its_folders() {
        check("linux", "HOME", "base/.clap", "base/.vst3");
        check("macos", "HOME", "base/Library/Audio/Plug-Ins/CLAP", "base/Library/Audio/Plug-Ins/VST3");
        check("windows", "COMMONPROGRAMFILES", "base/CLAP", "base/VST3");
    }

    #[test]
    fn without_a_home_it_says_so() {
        let error = plugin_folders("linux", |_| None).unwrap_err().to_string();
        assert!(error.contains("variable HOME"), "{error}");
        assert!(plugin_folders("linux", |_| Some("".into())).is_err());
    }

    #[test]
    fn an_older_install_is_replaced() {
        let folder = std::env::temp_dir().join(format!("continuo-install-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("new/C.vst3/Contents/x.so", "new");
        write("new/C.clap", "new");
        write("old/C.vst3/Contents/gone.so", "old");
        write("old/C.clap", "old");
        for name in ["C.vst3", "C.clap"] {
            replace(&folder.join("new").join(name), &folder.join("old").join(name)).unwrap();
        }
        let read = |path: &str| fs::read_to_string(folder.join(path)).unwrap();
        assert_eq!(read("old/C.vst3/Contents/x.so"), "new");
        assert_eq!(read("old/C.clap"), "new");
        assert!(!folder.join("old/C.vst3/Contents/gone.so").exists());
        fs::remove_dir_all(folder).unwrap();
    }
}
