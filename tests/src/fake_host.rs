//! A host without a screen: loads a built bundle as a DAW would and plays blocks into it, on the thread of the test.
//!
//! One API for both formats, except for these differences:
//! - VST3 has no program change and no raw MIDI towards the plugin, and this host sends it no note expressions. All are
//!   errors.
//! - VST3 delivers controllers as parameter changes, at one sample before the notes; CLAP keeps the order given.
//! - CLAP has no flag for the bar start: without `bar_start_beats` the plugin gets 0. VST3 has no bar number.
//! - In CLAP a saved state begins with its length, a u64: see `saved_state`.

mod clap;
mod editor;
mod event;
mod names;
mod param;
mod vst3;

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

pub use event::{Event, EventKind, Expression, Transport};
use names::NoteNames;
pub use param::{Edit, ParamInfo};

/// A plugin format that this host speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A `.clap` file.
    Clap,
    /// A `.vst3` folder.
    Vst3,
}

impl Format {
    /// Both formats, as most tests hold in both.
    pub const BOTH: [Self; 2] = [Self::Clap, Self::Vst3];
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Clap => "clap",
            Format::Vst3 => "vst3",
        })
    }
}

/// A class of the bundle, by its position in the factory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The first class: notes in, notes and a stereo preview out.
    Instrument,
    /// The second class: notes in, notes out, no audio.
    NoteEffect,
}

impl Class {
    /// The position in the factory, from 0.
    fn index(self) -> u32 {
        match self {
            Class::Instrument => 0,
            Class::NoteEffect => 1,
        }
    }
}

/// What the host promises while the plugin is active.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HostConfig {
    /// In Hz.
    pub sample_rate: f64,
    /// The longest block, in samples.
    pub max_block_size: usize,
    /// Whether the host declares that it renders, faster than real time.
    pub offline: bool,
}

/// What the plugin did in one block.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// The plugin's events with their timings, in the order in which it sent them.
    pub events: Vec<Event>,
    /// For each event the id of its note, if it has one.
    pub voice_ids: Vec<Option<i32>>,
    /// Left and right, as long as the block; empty if the class has no audio. Samples that the plugin did not write are
    /// NaN.
    pub audio: [Vec<f32>; 2],
    /// Whether the plugin wants further blocks although it is silent.
    pub keep_alive: bool,
    /// How many events the host refused, see [`HostedPlugin::refuse_output`].
    pub num_refused: usize,
}

/// Keeps a plugin's library in memory to the end of the process. Its exit function still runs when its last instance is
/// gone.
///
/// The Rust standard library inside the plugin leaves a destructor (`pthread_key_create`) with every thread that has
/// called it. If the library were unloaded when such a thread ends, the test process would crash; it did, in one run of
/// six.
fn keep_loaded(library: &Path) -> Result<()> {
    // SAFETY: loading a library runs its code; the file is our own build.
    std::mem::forget(unsafe { libloading::Library::new(library) }?);
    Ok(())
}

/// The input of a block, checked: everything is sorted and inside the block.
struct BlockInput<'a> {
    frames: usize,
    transport: Option<&'a Transport>,
    events: &'a [Event],
    /// (timing, id, value 0 to 1)
    params: &'a [(u32, u32, f64)],
    habits: Habits,
}

/// Habits of unusual hosts; see the methods of [`HostedPlugin`] that set them.
#[derive(Clone, Copy, Debug, Default)]
struct Habits {
    refuse_output: bool,
    takes_midi_alone: bool,
    withholds_audio: bool,
    blocks_are_offline: Option<bool>,
}

/// What each format implements. The caller has checked ids, and calls come in the order of the life cycle.
trait Instance: Send {
    fn activate(&mut self, config: &HostConfig) -> Result<()>;
    fn set_up(&mut self, config: &HostConfig) -> Result<()>;
    fn deactivate(&mut self);
    fn reset(&mut self);
    fn pause(&mut self) -> Result<()>;
    fn process(&mut self, input: &BlockInput<'_>) -> Result<Block>;
    fn params(&self) -> &[ParamInfo];
    fn param_value(&self, id: u32) -> Result<f64>;
    fn param_text(&self, id: u32, normalised: f64) -> Result<String>;
    /// In CLAP only while inactive.
    fn set_param(&mut self, id: u32, normalised: f64) -> Result<()>;
    fn save_state(&mut self) -> Result<Vec<u8>>;
    fn load_state(&mut self, state: &[u8]) -> Result<()>;
    fn take_edits(&mut self) -> Vec<Edit>;
    /// Of parameters that a host does not show.
    fn hidden_params(&self) -> Vec<String> {
        Vec::new()
    }
    fn run_main_thread(&mut self);
    fn editor(&mut self) -> Option<&mut dyn editor::EditorHost> {
        None
    }
}

/// One loaded instance of a plugin, of either format. Dropping it deactivates it.
///
/// It is `Send`, so it may be loaded on one thread and process on another, one thread at a time.
pub struct HostedPlugin {
    name: String,
    instance: Box<dyn Instance>,
    /// `None` while inactive.
    active: Option<HostConfig>,
    offline: Option<bool>,
    habits: Habits,
    /// For the next block: (timing, id, value 0 to 1).
    queued_params: Vec<(u32, u32, f64)>,
    /// The ids of sounding notes.
    names: NoteNames,
    loaded_on: std::thread::ThreadId,
}

impl HostedPlugin {
    /// Loads the class from a bundle: a `.clap` file or a `.vst3` folder.
    ///
    /// # Errors
    /// If the bundle is missing, has another format, lacks the class, or has a layout that this host cannot serve.
    pub fn load(bundle: &Path, format: Format, class: Class) -> Result<Self> {
        let name = format!("{} ({format}, {class:?})", bundle.display());
        ensure!(bundle.exists(), "{name}: no such bundle; build it with `cargo xtask bundle`");
        let instance: Box<dyn Instance> = match format {
            Format::Clap => Box::new(clap::ClapInstance::load(bundle, class).with_context(|| name.clone())?),
            Format::Vst3 => Box::new(vst3::Vst3Instance::load(bundle, class).with_context(|| name.clone())?),
        };
        Ok(Self {
            name,
            instance,
            active: None,
            offline: None,
            habits: Habits::default(),
            queued_params: Vec::new(),
            names: NoteNames::default(),
            loaded_on: std::thread::current().id(),
        })
    }

    /// Activates the plugin and starts processing; deactivates it first if it was active.
    ///
    /// # Errors
    /// If the plugin refuses.
    pub fn activate(&mut self, config: HostConfig) -> Result<()> {
        self.deactivate();
        let config = HostConfig { offline: self.offline.unwrap_or(config.offline), ..config };
        self.instance.activate(&config).with_context(|| self.name.clone())?;
        self.active = Some(config);
        Ok(())
    }

    /// Sets the plugin up and continues as if it had been activated, as a faulty host would. VST3 only.
    ///
    /// # Errors
    /// If the format has no such state.
    pub fn set_up_without_activating(&mut self, config: HostConfig) -> Result<()> {
        self.deactivate();
        self.instance.set_up(&config).with_context(|| self.name.clone())?;
        self.active = Some(config);
        Ok(())
    }

    /// Stops processing and deactivates the plugin, if it is active.
    pub fn deactivate(&mut self) {
        if self.active.take().is_some() {
            self.instance.deactivate();
        }
    }

    /// Resets the plugin, as hosts do on a stop or a panic; does nothing while it is inactive.
    pub fn reset(&mut self) {
        if self.active.is_some() {
            self.instance.reset();
        }
    }

    /// Stops processing and starts it again, as hosts do that suspend silent plugins; does nothing while inactive.
    ///
    /// # Errors
    /// If the plugin does not start again.
    pub fn pause(&mut self) -> Result<()> {
        if self.active.is_some() { self.instance.pause().with_context(|| self.name.clone()) } else { Ok(()) }
    }

    /// Plays one block of `frames` samples; 0 is allowed. `params` are (timing, id, value 0 to 1). Queued parameters
    /// come before them, at sample 0.
    ///
    /// # Errors
    /// If the plugin is inactive or reports an error; if the input is not sorted, not inside the block, or not of this
    /// format; or if a note-off has another note's id, so that a host would let the note sound on.
    pub fn process(
        &mut self,
        frames: usize,
        transport: Option<&Transport>,
        events: &[Event],
        params: &[(u32, u32, f64)],
    ) -> Result<Block> {
        let Some(config) = self.active else {
            bail!("{}: the plugin is inactive; call activate first", self.name);
        };
        ensure!(
            frames <= config.max_block_size,
            "{}: expected a block of at most {} frames, got {frames}",
            self.name,
            config.max_block_size
        );
        self.check_timings("event", frames, events.iter().map(|event| event.timing))?;
        self.check_timings("parameter", frames, params.iter().map(|param| param.0))?;
        if let Some(event) = events.iter().find(|event| matches!(event.kind, EventKind::Unrecognised { .. })) {
            bail!("{}: expected events that a host can send, got {event:?}", self.name);
        }
        let mut all_params = std::mem::take(&mut self.queued_params);
        all_params.extend_from_slice(params);
        for &(_, id, _) in &all_params {
            self.param_info(id)?;
        }
        let input = BlockInput { frames, transport, events, params: &all_params, habits: self.habits };
        let block = self.instance.process(&input).with_context(|| self.name.clone())?;
        self.names.follow(&block).with_context(|| self.name.clone())?;
        // On another thread this would run the plugin's editor where it does not belong.
        if std::thread::current().id() == self.loaded_on {
            self.instance.run_main_thread();
        }
        Ok(block)
    }

    /// Runs what the plugin has queued for the main thread. [`Self::process`] does so too on the thread that loaded the
    /// plugin; if blocks are played on another thread, call this one now and then.
    pub fn run_main_thread(&mut self) {
        self.instance.run_main_thread();
    }

    /// The parameters, in the plugin's order.
    pub fn params(&self) -> Vec<ParamInfo> {
        self.instance.params().to_vec()
    }

    /// The parameter with this name.
    ///
    /// # Errors
    /// If there is no such parameter; the error lists all names.
    pub fn param_by_name(&self, name: &str) -> Result<ParamInfo> {
        let params = self.instance.params();
        params.iter().find(|param| param.name == name).cloned().with_context(|| {
            let names: Vec<&str> = params.iter().map(|param| param.name.as_str()).collect();
            format!("{}: expected a parameter `{name}`, got {names:?}", self.name)
        })
    }

    /// The parameter's present value, 0 to 1.
    ///
    /// # Errors
    /// If there is no such parameter.
    pub fn param_value(&self, id: u32) -> Result<f64> {
        self.param_info(id)?;
        self.instance.param_value(id)
    }

    /// The text that the plugin shows for a value of 0 to 1, with its unit.
    ///
    /// # Errors
    /// If there is no such parameter.
    pub fn param_text(&self, id: u32, normalised: f64) -> Result<String> {
        self.param_info(id)?;
        self.instance.param_text(id, normalised)
    }

    /// Sets a parameter at the start of the next block, or at once while the plugin is inactive. The value is 0 to 1.
    ///
    /// # Errors
    /// If there is no such parameter.
    pub fn set_param_by_name(&mut self, name: &str, normalised: f64) -> Result<()> {
        let id = self.param_by_name(name)?.id;
        if self.active.is_none() {
            return self.instance.set_param(id, normalised);
        }
        self.queued_params.push((0, id, normalised));
        Ok(())
    }

    /// The state that a host would write into its project file.
    ///
    /// # Errors
    /// If the plugin cannot save.
    pub fn save_state(&mut self) -> Result<Vec<u8>> {
        self.instance.save_state().with_context(|| self.name.clone())
    }

    /// Loads a state that [`Self::save_state`] returned in the same format.
    ///
    /// # Errors
    /// If the plugin refuses it.
    pub fn load_state(&mut self, state: &[u8]) -> Result<()> {
        self.instance.load_state(state).with_context(|| self.name.clone())
    }

    /// While on, the host refuses every event, as if its output queue were full.
    pub fn refuse_output(&mut self, refuse: bool) {
        self.habits.refuse_output = refuse;
    }

    /// While on, the host accepts MIDI messages but no CLAP notes, as Carla does. CLAP only.
    pub fn take_midi_alone(&mut self, midi_alone: bool) {
        self.habits.takes_midi_alone = midi_alone;
    }

    /// While on, blocks have no audio buffers, as in a host that does not use the plugin's output.
    pub fn withhold_audio(&mut self, withhold: bool) {
        self.habits.withholds_audio = withhold;
    }

    /// Whether each block declares itself offline, whatever the setup declared: some hosts announce an export only
    /// there. VST3 only.
    pub fn declare_blocks_offline(&mut self, offline: Option<bool>) {
        self.habits.blocks_are_offline = offline;
    }

    /// Sets a parameter of an active plugin directly, without a block. VST3 only.
    ///
    /// # Errors
    /// If there is no such parameter, or the plugin refuses it.
    pub fn set_param_without_block(&mut self, name: &str, normalised: f64) -> Result<()> {
        let id = self.param_by_name(name)?.id;
        self.instance.set_param(id, normalised)
    }

    /// The names of the parameters that a host does not show: in VST3 those for controllers.
    pub fn hidden_params(&self) -> Vec<String> {
        self.instance.hidden_params()
    }

    /// Overrides [`HostConfig::offline`] from the next activation on.
    pub fn set_offline(&mut self, offline: bool) {
        self.offline = Some(offline);
    }

    /// The edits that the plugin's editor has made since the last call. In VST3 the host has passed them back already,
    /// as it must.
    pub fn take_edits(&mut self) -> Vec<Edit> {
        self.instance.take_edits()
    }

    fn param_info(&self, id: u32) -> Result<&ParamInfo> {
        let found = self.instance.params().iter().find(|param| param.id == id);
        found.with_context(|| format!("{}: expected the id of a parameter, got {id}; see params()", self.name))
    }

    fn check_timings(&self, what: &str, frames: usize, timings: impl Iterator<Item = u32>) -> Result<()> {
        let mut last = 0;
        for timing in timings {
            ensure!(
                timing >= last && (timing as usize) < frames.max(1),
                "{}: expected each {what} at {last} or later and before {frames}, got one at {timing}",
                self.name
            );
            last = timing;
        }
        Ok(())
    }
}

impl Drop for HostedPlugin {
    fn drop(&mut self) {
        self.deactivate();
    }
}
