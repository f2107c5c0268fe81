//! Instances that send only what the network plays, and what they answer to a player.

use anyhow::Result;

use crate::bundles;
use crate::fake_host::{Class, EventKind, Format, HostConfig, HostedPlugin};
use crate::host_clock::SAMPLE_RATE;
use crate::rack::Sent;
use crate::script::{Happening, Script, Stretch};
use crate::session::{self, choose, with_weights};

/// Beats for which the transport stands at first.
pub const STANDS: f64 = 1.0;

/// A start of a note in the song.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Start {
    /// Beats from the song's start.
    pub beats: f64,
    /// The output channel, from 0.
    pub lane: u8,
    /// MIDI key.
    pub key: u8,
    /// 1 to 127.
    pub velocity: u8,
}

/// An instance that sends only what the network plays.
///
/// # Errors
/// If the bundle cannot be loaded, or has no such style or mode.
pub fn instance(format: Format, style: &str, mode: &str, offline: bool) -> Result<HostedPlugin> {
    let mut plugin = HostedPlugin::load(&bundles::path(format), format, Class::NoteEffect)?;
    let state = plugin.save_state()?;
    plugin.load_state(&with_weights(format, &state, &format!("shipped:{style}"))?)?;
    choose(&mut plugin, "Mode", mode)?;
    choose(&mut plugin, "Input", "Drop")?;
    let config = HostConfig { sample_rate: SAMPLE_RATE, max_block_size: session::MAX_BLOCK, offline };
    plugin.activate(config)?;
    if format == Format::Vst3 && offline {
        // Some wrappers pass on the process mode one activation late.
        plugin.activate(config)?;
    }
    Ok(plugin)
}

/// A session from the song's start.
pub fn session_of(beats: f64, tempo_bpm: f64) -> Script {
    let stretches = [Stretch::stand(STANDS), Stretch::play(0.0, beats), Stretch::stand(2.0)];
    Script { stretches: stretches.map(|stretch| stretch.at_tempo(tempo_bpm)).into(), ..Script::default() }
}

/// Adds a note of the player's.
pub fn play(script: Script, stretch: usize, key: u8, (start, end): (f64, f64), velocity: f32) -> Script {
    let on = EventKind::NoteOn { channel: 0, key, velocity };
    let off = EventKind::NoteOff { channel: 0, key, velocity: 0.0 };
    script.with(stretch, start, Happening::Event(on)).with(stretch, end, Happening::Event(off))
}

/// The notes that start, in order.
pub fn starts(sent: &Sent, tempo_bpm: f64) -> Vec<Start> {
    let beats = |at: u64| at as f64 / SAMPLE_RATE * tempo_bpm / 60.0 - STANDS;
    let start = |(at, kind): &(u64, EventKind)| match *kind {
        EventKind::NoteOn { channel: lane, key, velocity } => {
            Some(Start { beats: beats(*at), lane, key, velocity: (velocity * 127.0).round() as u8 })
        }
        _ => None,
    };
    sent.iter().filter_map(start).collect()
}
