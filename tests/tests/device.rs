//! The built bundle on a GPU's driver: a stand-in for NVIDIA's, which runs the kernels' source on the CPU.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

#[path = "../../model/tests/cuda/stand_in.rs"]
mod stand_in;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};
use continuo_tests::bundles;
use continuo_tests::fake_host::Format;

/// The folder of the stand-in.
fn stand_in() -> Result<&'static Path> {
    static STAND_IN: OnceLock<PathBuf> = OnceLock::new();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model");
    let compile = || stand_in::compile(&model, Path::new(env!("CARGO_TARGET_TMPDIR")));
    STAND_IN.get_or_init(compile).parent().context("a library is in a folder")
}

/// A live jam with misses is repeated this often at most: the stand-in takes its time, and the machine may have
/// stalled.
const MAX_TRIES: usize = 5;

/// What a live jam with this environment writes and prints, and how often the stand-in ran an LSTM layer. Live, as the
/// worker takes up a GPU when it is idle.
fn jam(name: &str, environment: &[(&str, &str)]) -> Result<(Vec<u8>, String, usize)> {
    for _ in 0..MAX_TRIES {
        let jam = jam_once(name, environment)?;
        if jam.1.contains("misses 0,") {
            return Ok(jam);
        }
    }
    bail!("each of {MAX_TRIES} jams had misses")
}

fn jam_once(name: &str, environment: &[(&str, &str)]) -> Result<(Vec<u8>, String, usize)> {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&out)?;
    let log = out.join("driver.log");
    let bundle = bundles::path(Format::Clap);
    let output = Command::new(env!("CARGO_BIN_EXE_jam"))
        .env("LD_LIBRARY_PATH", stand_in()?)
        .env("STAND_IN_LOG", &log)
        .envs(environment.iter().copied())
        .arg("--bundle")
        .arg(bundle.parent().context("a bundle is in a folder")?)
        .arg("--out")
        .arg(&out)
        .args(["--mode", "continue", "--bars", "6", "--tempo", "240"])
        .output()?;
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    ensure!(output.status.success(), "{text}");
    let counts = std::fs::read_to_string(&log).unwrap_or_default();
    let count = counts.lines().find_map(|line| line.strip_prefix("kernel lstm ")).unwrap_or("0").parse()?;
    Ok((std::fs::read(out.join("jam.mid"))?, text, count))
}

#[test]
fn the_bundle_plays_the_same_on_a_gpu_and_through_its_loss() -> Result<()> {
    let (on_cpu, text, count) = jam("device-cpu", &[])?;
    ensure!(text.contains("device CPU") && count == 0, "by default the CPU plays: {text}");
    let (on_gpu, text, count) = jam("device-gpu", &[("CONTINUO_DEVICE", "cuda")])?;
    ensure!(text.contains("device Stand-in") && count > 60, "{count} layers: {text}");
    ensure!(on_gpu == on_cpu, "the GPU plays something else");
    let fail = [("CONTINUO_DEVICE", "cuda"), ("STAND_IN_FAIL", "cuGraphLaunch@20=719")];
    let (lost, text, count) = jam("device-lost", &fail)?;
    ensure!(text.contains("device CPU") && count > 20, "{count} layers: {text}");
    ensure!(lost == on_cpu, "after the loss something else plays");
    Ok(())
}

#[test]
fn auto_leaves_small_networks_on_the_cpu() -> Result<()> {
    let (_, text, count) = jam("device-auto", &[("CONTINUO_DEVICE", "auto")])?;
    ensure!(text.contains("device CPU") && count == 0, "{count} layers: {text}");
    Ok(())
}
