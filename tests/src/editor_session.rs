//! An instance with its editor open on the screen: plays music into it, works its controls, takes pictures. On the
//! test's thread.

mod controls;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use x11rb::protocol::xproto::Window;

use crate::desktop::Desktop;
use crate::fake_host::{Class, Event, EventKind, Format, HostConfig, HostedPlugin, Transport};
use crate::host_clock::{Bars, HostClock, SAMPLE_RATE};
use crate::saved_state;
use crate::script::read_notes;
use crate::session::hosted;

const FRAMES: usize = 512;
const CONFIG: HostConfig = HostConfig { sample_rate: SAMPLE_RATE, max_block_size: FRAMES, offline: true };
/// How long a slow machine may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);
/// At the end of a phrase, this many blocks are played slowly.
const LAST_BLOCKS: usize = 6;

/// An instance whose editor is open.
pub struct EditorSession {
    /// The instance, active.
    pub plugin: HostedPlugin,
    /// The host's window around the editor.
    pub window: Window,
    /// Quarter notes a minute.
    pub tempo_bpm: f64,
    /// Beats in a bar, and which note is one.
    pub time_signature: (u16, u16),
    /// What the host loops over, song beats.
    pub loop_range_beats: Option<(f64, f64)>,
    is_open: bool,
    places: PathBuf,
    /// The notes that the plugin started, as (beats of the song, channel, key).
    heard: Vec<(f64, u8, u8)>,
    /// Samples processed.
    pos: i64,
    /// The transport's position; `None` while it stands.
    beats: Option<f64>,
    /// The screen, dropped last, as another test waits for it.
    pub desktop: Desktop,
}

/// The file in which the stand-in for `xdg-open` notes what it was to open.
pub fn opened_file() -> PathBuf {
    std::env::temp_dir().join(format!("continuo-opened-{}", std::process::id()))
}

/// A search path whose `xdg-open` notes what it was to open instead of opening it.
fn programs() -> Result<String> {
    let folder = std::env::temp_dir().join(format!("continuo-programs-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let program = folder.join("xdg-open");
    std::fs::write(&program, format!("#!/bin/sh\nprintf '%s' \"$1\" > '{}'\n", opened_file().display()))?;
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default()))
}

/// The folder for saved clips and for the player's weights in these sessions. The pictures show its name.
pub fn music_folder() -> PathBuf {
    std::env::temp_dir().join("continuo-music")
}

impl EditorSession {
    /// Loads and activates the plugin and opens its editor.
    ///
    /// # Errors
    /// If there is no screen, no bundle or no editor.
    pub fn open() -> Result<Self> {
        Self::open_project(Format::Clap, None)
    }

    /// Like [`Self::open`], in a given format and with a project's state.
    ///
    /// # Errors
    /// As [`Self::open`], or if the plugin refuses the project.
    pub fn open_project(format: Format, state: Option<&[u8]>) -> Result<Self> {
        // A thread without a name inherits its parent's, which tells this session's threads from those of a waiting
        // test.
        static SESSIONS: AtomicU32 = AtomicU32::new(0);
        std::fs::write("/proc/thread-self/comm", format!("session {}", SESSIONS.fetch_add(1, Ordering::Relaxed)))?;
        let places = std::env::temp_dir().join(format!("continuo-places-{}.json", std::process::id()));
        let (places_text, music) = (places.display().to_string(), music_folder().display().to_string());
        let path = programs()?;
        let variables =
            [("CONTINUO_PLACES", places_text.as_str()), ("CONTINUO_CLIPS", music.as_str()), ("PATH", path.as_str())];
        let desktop = Desktop::open(&variables)?;
        let mut plugin = hosted(format, Class::NoteEffect, SAMPLE_RATE, true)?;
        if let Some(state) = state {
            plugin.load_state(state)?;
        }
        let window = desktop.window((10, 10))?;
        let mut session = Self {
            plugin,
            window,
            tempo_bpm: 96.0,
            time_signature: (4, 4),
            loop_range_beats: None,
            is_open: false,
            places,
            heard: Vec::new(),
            pos: 0,
            beats: None,
            desktop,
        };
        session.open_editor()?;
        Ok(session)
    }

    /// Opens the editor and waits until it is drawn.
    ///
    /// # Errors
    /// If nothing is drawn.
    pub fn open_editor(&mut self) -> Result<()> {
        let _ = std::fs::remove_file(&self.places);
        let size = self.plugin.create_editor()?;
        self.desktop.resize(self.window, size)?;
        self.plugin.show_editor(self.window)?;
        self.is_open = true;
        self.until("the editor to be drawn", |session| {
            let picture = session.desktop.picture(session.window)?;
            Ok((picture.num_colours() > 8).then_some(()))
        })
    }

    /// Closes the editor.
    ///
    /// # Errors
    /// If there is none.
    pub fn close_editor(&mut self) -> Result<()> {
        self.is_open = false;
        self.plugin.destroy_editor()
    }

    /// Waits for something. Meanwhile the host plays blocks with the transport standing, or none if it is running.
    ///
    /// # Errors
    /// If it does not happen.
    pub fn until<T>(&mut self, what: &str, mut happens: impl FnMut(&mut Self) -> Result<Option<T>>) -> Result<T> {
        let start = Instant::now();
        loop {
            if self.beats.is_none() {
                self.process(None, &[])?;
            }
            self.plugin.run_main_thread();
            if let Some(size) = self.plugin.editor_wants()? {
                self.desktop.resize(self.window, size)?;
            }
            if let Some(result) = happens(self)? {
                return Ok(result);
            }
            ensure!(start.elapsed() < PATIENCE, "expected {what} within {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn process(&mut self, beats: Option<f64>, events: &[Event]) -> Result<()> {
        let time = Transport {
            playing: beats.is_some(),
            tempo_bpm: Some(self.tempo_bpm),
            pos_beats: Some(beats.unwrap_or(0.0)),
            pos_samples: self.pos,
            loop_range_beats: self.loop_range_beats,
            ..Transport::default()
        };
        let transport = Bars::of(self.time_signature).announced_in(time);
        let block = self.plugin.process(FRAMES, Some(&transport), events, &[])?;
        self.pos += FRAMES as i64;
        for event in &block.events {
            if let (EventKind::NoteOn { channel, key, .. }, Some(beats)) = (event.kind, beats) {
                let beats = beats + f64::from(event.timing) * self.beats_per_block() / FRAMES as f64;
                self.heard.push((self.folded(beats), channel, key));
            }
        }
        Ok(())
    }

    fn beats_per_block(&self) -> f64 {
        HostClock { sample_rate: SAMPLE_RATE, tempo_bpm: self.tempo_bpm }.to_beats(FRAMES as i64)
    }

    /// The song position, folded into the loop.
    fn folded(&self, beats: f64) -> f64 {
        match self.loop_range_beats {
            Some((start, end)) if beats >= end - 1e-9 => start + (beats - end) % (end - start),
            _ => beats,
        }
    }

    /// Plays notes, in the words of [`read_notes`] and in beats of the song, on a transport that starts at beat `from`
    /// and still runs at beat `to`; beats are counted on through loops. Returns the song position at the end.
    ///
    /// # Errors
    /// If the plugin fails.
    pub fn play(&mut self, words: &str, from: f64, to: f64) -> Result<f64> {
        // As an offline render, so that a slow machine misses no step.
        self.plugin.activate(CONFIG)?;
        self.play_on(words, from, to)
    }

    /// Like [`Self::play`], on a transport that already runs.
    ///
    /// # Errors
    /// If the plugin fails.
    pub fn play_on(&mut self, words: &str, from: f64, to: f64) -> Result<f64> {
        let mut timed: Vec<(f64, EventKind)> = Vec::new();
        for (start, key, beats) in read_notes(words) {
            timed.push((start, EventKind::NoteOn { channel: 0, key, velocity: 0.75 }));
            timed.push((start + beats - 0.05, EventKind::NoteOff { channel: 0, key, velocity: 0.0 }));
        }
        timed.sort_by(|a, b| a.0.total_cmp(&b.0));
        let beats_per_block = self.beats_per_block();
        let num_blocks = ((to - from) / beats_per_block).round() as usize;
        for block in 0..num_blocks {
            let start = from + block as f64 * beats_per_block;
            let inside = timed.iter().filter(|(at, _)| (start..start + beats_per_block).contains(at));
            let event = |(at, kind): &(f64, EventKind)| Event {
                timing: (((at - start) / beats_per_block * FRAMES as f64) as u32).min(FRAMES as u32 - 1),
                kind: *kind,
            };
            let events: Vec<Event> = inside.map(event).collect();
            if num_blocks - block <= LAST_BLOCKS {
                // As it would be live: the last requests are answered and drawn.
                std::thread::sleep(Duration::from_millis(40));
            }
            self.beats = Some(self.folded(start));
            self.process(self.beats, &events)?;
        }
        Ok(self.folded(from + num_blocks as f64 * beats_per_block))
    }

    /// Stops the transport.
    ///
    /// # Errors
    /// If the plugin fails.
    pub fn stop(&mut self) -> Result<()> {
        self.beats = None;
        self.process(None, &[])
    }

    /// The notes that the plugin has started since the last call, as (beats of the song, channel, key).
    pub fn heard(&mut self) -> Vec<(f64, u8, u8)> {
        std::mem::take(&mut self.heard)
    }

    /// A field of the state that a host would save.
    ///
    /// # Errors
    /// If there is no such field.
    pub fn saved(&mut self, field: &str) -> Result<serde_json::Value> {
        saved_state::field(&saved_state::read(Format::Clap, &self.plugin.save_state()?)?, field)
    }
}

impl Drop for EditorSession {
    fn drop(&mut self) {
        if self.is_open {
            let _ = self.plugin.destroy_editor();
        }
        // The window's thread ends after its editor is closed. If the process ended before it, the graphics driver
        // would crash.
        let start = Instant::now();
        while own_threads() > 1 && start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.desktop.close(self.window);
        let _ = std::fs::remove_file(&self.places);
    }
}

/// The number of threads that inherited this one's name, itself included.
fn own_threads() -> usize {
    let name = |path: &Path| std::fs::read_to_string(path).ok();
    let own = name(Path::new("/proc/thread-self/comm"));
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks.filter(|task| own.is_some() && name(&task.path().join("comm")) == own).count()
}
