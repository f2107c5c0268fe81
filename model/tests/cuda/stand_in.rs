//! Compiles the stand-in for NVIDIA's driver, for the tests that use it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles the stand-in as `libcuda.so.1` in a folder of its own below `folder`; returns the library. `model` is the
/// folder of the crate `model`.
///
/// # Panics
/// If `g++` is missing or fails.
pub fn compile(model: &Path, folder: &Path) -> PathBuf {
    let folder = folder.join("stand-in");
    std::fs::create_dir_all(&folder).expect("the folder for tests can be written");
    // Under another name first: a test may be reading an older one.
    let (library, new) = (folder.join("libcuda.so.1"), folder.join(format!("new-{}", std::process::id())));
    let output = Command::new("g++")
        .args(["-std=c++17", "-O2", "-ffp-contract=off", "-shared", "-fPIC", "-DSTAND_IN", "-o"])
        .arg(&new)
        .arg("-I")
        .arg(model.join("src/stream/cuda"))
        .arg("-I")
        .arg(model.join("tests/cuda"))
        .arg(model.join("tests/cuda/stand_in.cpp"))
        .output()
        .expect("the stand-in is compiled with g++");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::rename(&new, &library).expect("a file can be renamed");
    library
}
