//! Whether the plugin notices a render from what the host declares, in each format. In a process of its own: what the
//! plugin reports goes to a file that an environment variable names.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use continuo_tests::bundles;
use continuo_tests::fake_host::{Class, Format, HostConfig, HostedPlugin};

const CONFIG: HostConfig = HostConfig { sample_rate: 48_000.0, max_block_size: 64, offline: false };

/// What the host declares in each setup, and in the blocks after it if that differs.
type Said = [(bool, Option<bool>)];

/// Whether an instance treated its last block as part of a render.
fn took_for_render(format: Format, said: &Said, report: &Path) -> Result<bool> {
    let mut plugin = HostedPlugin::load(&bundles::path(format), format, Class::NoteEffect)?;
    for &(offline, of_blocks) in said {
        plugin.activate(HostConfig { offline, ..CONFIG })?;
        plugin.declare_blocks_offline(of_blocks);
        plugin.process(64, None, &[], &[])?;
    }
    drop(plugin);
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(report)?)?;
    report["offline"].as_bool().context("expected `offline` in the report")
}

#[test]
fn the_plugin_knows_whether_it_is_rendered() -> Result<()> {
    let report = Path::new(env!("CARGO_TARGET_TMPDIR")).join("process_mode.json");
    // SAFETY: the process has no other test.
    unsafe { std::env::set_var("CONTINUO_REPORT", &report) };
    let setups: [&Said; 4] =
        [&[(true, None)], &[(false, None)], &[(false, None), (true, None)], &[(true, None), (false, None)]];
    for format in Format::BOTH {
        for said in setups {
            let wanted = said[said.len() - 1].0;
            ensure!(took_for_render(format, said, &report)? == wanted, "{format}, {said:?}");
        }
    }
    // Some VST3 hosts declare an export only in its blocks.
    for (said, wanted) in [(&[(false, Some(true))], true), (&[(false, Some(false))], false)] {
        ensure!(took_for_render(Format::Vst3, said, &report)? == wanted, "{said:?}");
    }
    let back: &Said = &[(false, Some(true)), (false, Some(false))];
    ensure!(!took_for_render(Format::Vst3, back, &report)?, "{back:?}");
    Ok(())
}
