//! The system packages that building and testing need: looks for what they provide; names or installs what is missing.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::workspace::run_to_success;

/// Something that has to work, and the Debian and Ubuntu packages that provide it.
pub struct Need {
    what: &'static str,
    works: fn() -> bool,
    packages: &'static [&'static str],
}

/// What building needs.
pub const TO_BUILD: &[Need] =
    &[Need { what: "a C compiler that links (`cc`)", works: compiles_c, packages: &["gcc", "libc6-dev"] }];
/// What the tests need as well: a compiler for the stand-in of a GPU's driver, a screen in memory, and the libraries
/// that the editor's window opens at run time.
pub const TO_TEST: &[Need] = &[
    Need { what: "a C++ compiler (`g++`)", works: has_cpp, packages: &["g++"] },
    Need { what: "an X server without a monitor (`Xvfb`)", works: has_xvfb, packages: &["xvfb"] },
    Need {
        what: "libraries for windows and OpenGL in software",
        works: has_window_libraries,
        packages: &[
            "libx11-6",
            "libx11-xcb1",
            "libxcb1",
            "libxkbcommon0",
            "libxkbcommon-x11-0",
            "libegl1",
            "libegl-mesa0",
            "libgl1-mesa-dri",
        ],
    },
];
/// The libraries of [`TO_TEST`], by the names that the linker uses.
const WINDOW_LIBRARIES: [&str; 7] = [
    "libX11.so.6",
    "libX11-xcb.so.1",
    "libxcb.so.1",
    "libxkbcommon.so.0",
    "libxkbcommon-x11.so.0",
    "libEGL.so.1",
    "libEGL_mesa.so.0",
];

/// Makes sure that everything is there. With `may_install`, as root and where there is apt-get, installs what is
/// missing.
pub fn require(needs: &[Need], may_install: bool) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !(need.works)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().flat_map(|need| need.packages).copied().collect();
    if may_install && is_root() && answers("apt-get", &["--version"]) {
        println!("installing {}", packages.join(" "));
        run_to_success(Command::new("apt-get").args(["update", "-qq"]))?;
        return run_to_success(
            Command::new("apt-get")
                .args(["install", "-y", "--no-install-recommends"])
                .args(&packages)
                .env("DEBIAN_FRONTEND", "noninteractive"),
        );
    }
    let whats: Vec<&str> = missing.iter().map(|need| need.what).collect();
    bail!(
        "expected {}, got none; on Debian or Ubuntu run: sudo apt-get install {}",
        whats.join(" and "),
        packages.join(" ")
    )
}

/// The parts of the Rust toolchain that not every installation has.
pub fn require_components() -> Result<()> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !answers("cargo", &[subcommand, "--version"]) {
            bail!("expected `cargo {subcommand}`, got none; run: rustup component add {component}");
        }
    }
    Ok(())
}

/// Compiles and links a small program, which needs headers and start files as well as the compiler.
fn compiles_c() -> bool {
    try_compiling().unwrap_or(false)
}

fn try_compiling() -> Result<bool> {
    let program = std::env::temp_dir().join(format!("continuo-cc-{}", std::process::id()));
    let mut cc = Command::new("cc")
        .args(["-x", "c", "-", "-o"])
        .arg(&program)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut stdin = cc.stdin.take().context("cc has an input")?;
    // A compiler that gives up early closes its input; the exit status below reports that.
    let _ = stdin.write_all(b"#include <stdio.h>\nint main(void) { return puts(\"\"); }\n");
    drop(stdin);
    let status = cc.wait()?;
    let _ = std::fs::remove_file(program);
    Ok(status.success())
}

fn has_cpp() -> bool {
    !cfg!(target_os = "linux") || answers("g++", &["--version"])
}

/// Whether Xvfb starts. Some builds print their version and then fail, so the exit status does not count.
fn has_xvfb() -> bool {
    Command::new("Xvfb").arg("-version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Only Linux has them as libraries of these names; elsewhere they are part of the system.
fn has_window_libraries() -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    // It is not on every user's path.
    let listing =
        ["ldconfig", "/sbin/ldconfig"].iter().find_map(|program| Command::new(program).arg("-p").output().ok());
    let known = listing.map(|listing| String::from_utf8_lossy(&listing.stdout).into_owned()).unwrap_or_default();
    WINDOW_LIBRARIES.iter().all(|library| known.contains(library))
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Whether a program starts and succeeds.
pub fn answers(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
