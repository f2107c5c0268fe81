//! Instances of the built plugin, ready to be played: what the tests of several files begin with.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::bundles;
use crate::fake_host::{Class, EventKind, Format, HostConfig, HostedPlugin};
use crate::script::Sent;

/// The largest block that instances are made for, samples.
pub const MAX_BLOCK: usize = 8192;

/// An active note effect.
pub fn note_effect(format: Format, sample_rate: f64, offline: bool) -> Result<HostedPlugin> {
    hosted(format, Class::NoteEffect, sample_rate, offline)
}

/// An active instance.
pub fn hosted(format: Format, class: Class, sample_rate: f64, offline: bool) -> Result<HostedPlugin> {
    let mut plugin = HostedPlugin::load(&bundles::path(format), format, class)?;
    plugin.activate(HostConfig { sample_rate, max_block_size: MAX_BLOCK, offline })?;
    Ok(plugin)
}

/// Sets a parameter to the value that shows `text`.
///
/// # Errors
/// If it shows that nowhere.
pub fn choose(plugin: &mut HostedPlugin, name: &str, text: &str) -> Result<()> {
    let normalised = value_of(plugin, name, text)?;
    plugin.set_param_by_name(name, normalised)
}

/// The value of 0 to 1 at which a stepped parameter shows `text`.
///
/// # Errors
/// If it shows that nowhere.
pub fn value_of(plugin: &HostedPlugin, name: &str, text: &str) -> Result<f64> {
    let param = plugin.param_by_name(name)?;
    let values = (0..=param.num_steps).map(|step| f64::from(step) / f64::from(param.num_steps.max(1)));
    for value in values {
        if plugin.param_text(param.id, value)? == text {
            return Ok(value);
        }
    }
    bail!("parameter `{name}`: expected a value that shows `{text}`, got none")
}

/// The size of a CLAP project, bytes, and the takes in it.
///
/// # Errors
/// If the plugin saves none.
pub fn saved_takes(plugin: &mut HostedPlugin) -> Result<(usize, Value)> {
    let state = plugin.save_state()?;
    let text = state.get(8..).context("a CLAP state has a length in front")?;
    let state_json: Value = serde_json::from_slice(text)?;
    let take = state_json["fields"]["take"].as_str().context("expected the field `take`")?;
    Ok((state.len(), serde_json::from_str(take)?))
}

/// A CLAP project in which what was generated in some takes is frozen.
///
/// # Errors
/// If the project is none.
pub fn with_frozen(state: &[u8], takes: &Value) -> Result<Vec<u8>> {
    let text = state.get(8..).context("a CLAP state has a length in front")?;
    let mut state_json: Value = serde_json::from_slice(text)?;
    let notes = takes["notes"].as_array().context("expected notes")?;
    // What was generated is on channels from 16 on.
    let generated = notes.iter().filter_map(|note| {
        let mut note = note.clone();
        note[0] = note[0].as_u64()?.checked_sub(16)?.into();
        Some(note)
    });
    let frozen = serde_json::json!({ "version": 1, "number": 1, "notes": generated.collect::<Vec<_>>() });
    state_json["fields"]["frozen"] = frozen.to_string().into();
    let text = state_json.to_string();
    Ok([&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat())
}

/// A CLAP project that plays with the weights of a path.
///
/// # Errors
/// If the project is none.
pub fn with_weights(state: &[u8], path: &str) -> Result<Vec<u8>> {
    let text = state.get(8..).context("a CLAP state has a length in front")?;
    let mut state_json: Value = serde_json::from_slice(text)?;
    let chosen = state_json["fields"]["weights"].as_str().context("expected the field `weights`")?;
    let mut chosen: Value = serde_json::from_str(chosen)?;
    chosen["path"] = path.into();
    chosen["hash"] = "".into();
    state_json["fields"]["weights"] = chosen.to_string().into();
    let text = state_json.to_string();
    Ok([&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat())
}

/// The note-ons as (sample, channel, key).
pub fn starts(sent: &Sent) -> Vec<(u64, u8, u8)> {
    let on = |(at, kind): &(u64, EventKind)| match *kind {
        EventKind::NoteOn { channel, key, .. } => Some((*at, channel, key)),
        _ => None,
    };
    sent.iter().filter_map(on).collect()
}
