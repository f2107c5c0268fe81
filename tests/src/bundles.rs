//! Finds the built bundles.

use std::path::PathBuf;

use crate::fake_host::Format;

/// Names the folder of the bundles; `cargo xtask test` sets it.
pub const FOLDER_VARIABLE: &str = "CONTINUO_BUNDLES";

/// The bundle of a format: in the folder that `CONTINUO_BUNDLES` names, else where `cargo xtask bundle` puts it.
pub fn path(format: Format) -> PathBuf {
    let folder = std::env::var_os(FOLDER_VARIABLE)
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bundled")), PathBuf::from);
    folder.join(format!("Continuo.{format}"))
}
