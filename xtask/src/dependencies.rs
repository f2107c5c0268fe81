//! The step `dependencies` of `cargo xtask test`: cargo-deny checks the crates against deny.toml.

use std::process::{Command, Stdio};

use anyhow::Result;

use crate::system_packages::answers;
use crate::workspace::{Workspace, cargo, run_to_success};

/// The version that CI installs.
const CARGO_DENY_VERSION: &str = "0.20.2";

/// Checks what this machine can and returns what it left out, if anything. With `may_install` it installs cargo-deny.
///
/// # Errors
/// If a crate breaks a rule of deny.toml.
pub fn check(workspace: &Workspace, may_install: bool) -> Result<Option<String>> {
    if !answers("cargo", &["deny", "--version"]) {
        // Without optimisation it builds in half the time and still checks in seconds.
        let install = ["install", "cargo-deny", "--locked", "--debug", "--version", CARGO_DENY_VERSION];
        if !may_install {
            return Ok(Some(format!("not checked: no `cargo deny`; run: cargo {}", install.join(" "))));
        }
        run_to_success(cargo().args(install))?;
    }
    let deny = || {
        let mut command = cargo();
        command.current_dir(&workspace.root).args(["deny", "--locked"]);
        command
    };
    run_to_success(deny().args(["check", "licenses", "bans", "sources"]))?;
    if !fetch_advisories(&mut deny()) {
        return Ok(Some("advisories not checked: their database is out of reach".to_string()));
    }
    run_to_success(deny().args(["check", "--disable-fetch", "advisories"]))?;
    Ok(None)
}

/// Downloads the database of advisories, a git repository that not every machine can reach.
fn fetch_advisories(deny: &mut Command) -> bool {
    let fetch = deny.args(["fetch", "db"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    fetch.is_ok_and(|status| status.success())
}
