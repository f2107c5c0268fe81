//! Finds the workspace and its target folder, and runs cargo and other commands.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The workspace that this xtask was built from.
pub struct Workspace {
    /// The folder of the workspace's Cargo.toml.
    pub root: PathBuf,
    /// Where cargo builds; not always `target`, as CARGO_TARGET_DIR and cargo's configuration can move it.
    pub target_dir: PathBuf,
}

impl Workspace {
    /// Asks cargo where the workspace builds.
    ///
    /// # Errors
    /// If the workspace is no longer where xtask was built.
    pub fn find() -> Result<Self> {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace").to_path_buf();
        let metadata =
            cargo_metadata::MetadataCommand::new()
                .manifest_path(root.join("Cargo.toml"))
                .no_deps()
                .exec()
                .with_context(|| format!("{}: no workspace; was it moved since xtask was built?", root.display()))?;
        Ok(Self { root, target_dir: metadata.target_directory.into_std_path_buf() })
    }

    /// The folder of the bundles, of any profile.
    pub fn bundle_dir(&self) -> PathBuf {
        self.target_dir.join("bundled")
    }
}

/// The cargo that runs this xtask.
pub fn cargo() -> Command {
    // By name, as people call it: under rustup that is the toolchain that runs this program.
    Command::new("cargo")
}

/// Runs a command.
///
/// # Errors
/// If it does not start or does not succeed.
pub fn run_to_success(command: &mut Command) -> Result<()> {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let line = words.join(" ");
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    ensure!(status.success(), "`{line}` failed: {status}");
    Ok(())
}
