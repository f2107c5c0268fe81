//! Instances of the built plugin, ready to play, and their projects. On the test's thread.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::fake_host::{Class, EventKind, Format, HostConfig, HostedPlugin};
use crate::rack::Sent;
use crate::{bundles, saved_state};

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
/// If no value shows it.
pub fn choose(plugin: &mut HostedPlugin, name: &str, text: &str) -> Result<()> {
    let normalised = value_of(plugin, name, text)?;
    plugin.set_param_by_name(name, normalised)
}

/// Turns dynamics, deviations and swing off, so that notes play exactly as decided.
///
/// # Errors
/// If a parameter is missing.
pub fn without_expression(plugin: &mut HostedPlugin) -> Result<()> {
    choose(plugin, "Dynamics", "0 %")?;
    choose(plugin, "Humanise", "0 %")?;
    choose(plugin, "Swing", "Off")
}

/// The value of 0 to 1 at which a stepped parameter shows `text`.
///
/// # Errors
/// If no value shows it.
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
/// If the plugin saves no takes.
pub fn saved_takes(plugin: &mut HostedPlugin) -> Result<(usize, Value)> {
    let state = plugin.save_state()?;
    Ok((state.len(), saved_state::field(&saved_state::read(Format::Clap, &state)?, "take")?))
}

/// A project in which what was generated in some takes is frozen.
///
/// # Errors
/// If the state is not a project.
pub fn with_frozen(format: Format, state: &[u8], takes: &Value) -> Result<Vec<u8>> {
    let mut state = saved_state::read(format, state)?;
    let notes = takes["notes"].as_array().context("expected notes")?;
    // Generated notes are on channels from 16 on.
    let generated = notes.iter().filter_map(|note| {
        let mut note = note.clone();
        note[0] = note[0].as_u64()?.checked_sub(16)?.into();
        Some(note)
    });
    let frozen = serde_json::json!({ "version": 1, "number": 1, "notes": generated.collect::<Vec<_>>() });
    saved_state::set_field(&mut state, "frozen", &frozen);
    Ok(saved_state::write(format, &state))
}

/// A project that plays with the weights of a path.
///
/// # Errors
/// If the state is not a project.
pub fn with_weights(format: Format, state: &[u8], path: &str) -> Result<Vec<u8>> {
    let mut state = saved_state::read(format, state)?;
    let mut chosen = saved_state::field(&state, "weights")?;
    chosen["path"] = path.into();
    chosen["hash"] = "".into();
    saved_state::set_field(&mut state, "weights", &chosen);
    Ok(saved_state::write(format, &state))
}

/// The note-ons as (sample, channel, key).
pub fn starts(sent: &Sent) -> Vec<(u64, u8, u8)> {
    let on = |(at, kind): &(u64, EventKind)| match *kind {
        EventKind::NoteOn { channel, key, .. } => Some((*at, channel, key)),
        _ => None,
    };
    sent.iter().filter_map(on).collect()
}
