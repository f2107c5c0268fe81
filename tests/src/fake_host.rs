//! A host without a screen: loads a built bundle as a DAW would and plays blocks into it, from whichever thread the test runs on.
//!
//! One API for both formats. What differs between them and cannot be hidden:
//! - VST3 has no program change and no raw MIDI towards the plugin, and this host sends it no note expressions: errors there.
//! - VST3 delivers controllers as parameter changes: at one sample they arrive before the notes, in CLAP in the order given.
//! - CLAP has no flag for the bar start: without `bar_start_beats` the plugin is told 0. VST3 has no bar number.
//! - A saved state has a u64 length in front in CLAP, so states do not travel between formats as they are.

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

/// A class of the bundle, found by its place in the bundle's factory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The first class: notes in, notes and a stereo preview out.
    Instrument,
    /// The second class: notes in, notes out, no audio.
    NoteEffect,
}

impl Class {
    /// The place in the factory, from 0.
    fn index(self) -> u32 {
        match self {
            Class::Instrument => 0,
            Class::NoteEffect => 1,
        }
    }
}

/// What the host promises for as long as the plugin is active.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HostConfig {
    /// In Hz.
    pub sample_rate: f64,
    /// The longest block, in samples.
    pub max_block_size: usize,
    /// Whether the host says that it renders faster than real time.
    pub offline: bool,
}

/// What one block gave.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// The plugin's events with their timings, in the order in which it sent them.
    pub events: Vec<Event>,
    /// For each event the name of its note, if it has one.
    pub voice_ids: Vec<Option<i32>>,
    /// Left and right, each as long as the block; empty if the class has no audio. Samples that the plugin did not write are NaN.
    pub audio: [Vec<f32>; 2],
    /// Whether the plugin asks to be called on although it is silent.
    pub keep_alive: bool,
    /// How many events were turned away because of [`HostedPlugin::refuse_output`].
    pub num_refused: usize,
}

/// Keeps a plugin's library in memory to the end of the process; its exit function is still called when nobody uses it.
///
/// Rust's standard library in the plugin leaves a destructor (`pthread_key_create`) with every thread that has called it. If the
/// library were gone when such a thread ends, the test process would crash: it did, in one run of six.
fn keep_loaded(library: &Path) -> Result<()> {
    // SAFETY: the file is our own build; loading a library runs its code, which is what is wanted.
    std::mem::forget(unsafe { libloading::Library::new(library) }?);
    Ok(())
}

/// All that a block is made from. Both formats take it as it is: sorted and inside the block.
struct BlockInput<'a> {
    frames: usize,
    transport: Option<&'a Transport>,
    events: &'a [Event],
    /// (timing, id, value 0 to 1)
    params: &'a [(u32, u32, f64)],
    habits: Habits,
}

/// What a host does otherwise than most; see the methods of [`HostedPlugin`] that set it.
#[derive(Clone, Copy, Debug, Default)]
struct Habits {
    refuse_output: bool,
    takes_midi_alone: bool,
    withholds_audio: bool,
    blocks_are_offline: Option<bool>,
}

/// What a format has to do. Ids are checked and calls come in the order of the formats' life cycles.
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
/// It is `Send`: load it here and process it there, but only one thread at a time, as `&mut` says.
pub struct HostedPlugin {
    name: String,
    instance: Box<dyn Instance>,
    /// What the host was promised; `None` while inactive.
    active: Option<HostConfig>,
    offline: Option<bool>,
    habits: Habits,
    /// Waits for the next block: (timing, id, value 0 to 1).
    queued_params: Vec<(u32, u32, f64)>,
    /// Of what the plugin has sounding.
    names: NoteNames,
    loaded_on: std::thread::ThreadId,
}

impl HostedPlugin {
    /// Loads the class from a bundle: a `.clap` file or a `.vst3` folder.
    ///
    /// # Errors
    /// If the bundle is not there, is of another format, lacks the class, or has a layout that this host cannot serve.
    pub fn load(bundle: &Path, format: Format, class: Class) -> Result<Self> {
        let name = format!("{} ({format}, {class:?})", bundle.display());
        ensure!(bundle.exists(), "{name}: expected a bundle there, got nothing; build it with `cargo xtask bundle`");
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

    /// Makes the plugin ready and starts processing; if it was active it is deactivated first.
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

    /// Tells the plugin how it will be run and goes on as if it had been activated, as a faulty host would. VST3 only.
    ///
    /// # Errors
    /// If the format has no such state.
    pub fn set_up_without_activating(&mut self, config: HostConfig) -> Result<()> {
        self.deactivate();
        self.instance.set_up(&config).with_context(|| self.name.clone())?;
        self.active = Some(config);
        Ok(())
    }

    /// Stops processing and releases the plugin's buffers; nothing if it is not active.
    pub fn deactivate(&mut self) {
        if self.active.take().is_some() {
            self.instance.deactivate();
        }
    }

    /// Tells the plugin to forget what sounds, as hosts do when they are stopped or panicked; nothing while inactive.
    pub fn reset(&mut self) {
        if self.active.is_some() {
            self.instance.reset();
        }
    }

    /// Stops processing and starts it again, as hosts do that let a silent plugin rest; nothing while inactive.
    ///
    /// # Errors
    /// If the plugin does not start again.
    pub fn pause(&mut self) -> Result<()> {
        if self.active.is_some() { self.instance.pause().with_context(|| self.name.clone()) } else { Ok(()) }
    }

    /// Plays one block of `frames` samples, which may be none. `params` are (timing, id, value 0 to 1); queued parameters go in front at sample 0.
    ///
    /// # Errors
    /// If the plugin is inactive or reports an error, if the input is not sorted, not inside the block, or not of this format, or
    /// if a note's end names another note than the one that sounds: a host would let that one sound on.
    pub fn process(
        &mut self,
        frames: usize,
        transport: Option<&Transport>,
        events: &[Event],
        params: &[(u32, u32, f64)],
    ) -> Result<Block> {
        let Some(config) = self.active else {
            bail!("{}: expected an active plugin, got an inactive one; call activate first", self.name);
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
        // Elsewhere it would run the plugin's editor on a foreign thread.
        if std::thread::current().id() == self.loaded_on {
            self.instance.run_main_thread();
        }
        Ok(block)
    }

    /// Lets the plugin do what it asked to do on the main thread. Call it now and then on the thread that loaded the plugin
    /// if the blocks are played on another one; [`Self::process`] does it otherwise.
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
    /// Lists the names that there are.
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

    /// What the plugin shows for a value of 0 to 1, unit included.
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

    /// What a host would write into its project file, as this format gives it.
    ///
    /// # Errors
    /// If the plugin cannot save.
    pub fn save_state(&mut self) -> Result<Vec<u8>> {
        self.instance.save_state().with_context(|| self.name.clone())
    }

    /// Gives the plugin what [`Self::save_state`] of the same format returned.
    ///
    /// # Errors
    /// If the plugin does not take it.
    pub fn load_state(&mut self, state: &[u8]) -> Result<()> {
        self.instance.load_state(state).with_context(|| self.name.clone())
    }

    /// While on, the host's output queue is full: it turns every event away.
    pub fn refuse_output(&mut self, refuse: bool) {
        self.habits.refuse_output = refuse;
    }

    /// While on, the host's output queue takes MIDI messages and no CLAP notes, as Carla's does. CLAP only.
    pub fn take_midi_alone(&mut self, midi_alone: bool) {
        self.habits.takes_midi_alone = midi_alone;
    }

    /// While on, blocks come without audio buffers, as from a host in which nothing listens to the plugin's output.
    pub fn withhold_audio(&mut self, withhold: bool) {
        self.habits.withholds_audio = withhold;
    }

    /// What blocks say of themselves, whatever the plugin was set up for: some hosts declare an export there alone. VST3 only.
    pub fn declare_blocks_offline(&mut self, offline: Option<bool>) {
        self.habits.blocks_are_offline = offline;
    }

    /// Sets a parameter while the plugin is active, and plays no block that would bring it. VST3 only.
    ///
    /// # Errors
    /// If there is no such parameter, or the plugin does not take it.
    pub fn set_param_without_block(&mut self, name: &str, normalised: f64) -> Result<()> {
        let id = self.param_by_name(name)?.id;
        self.instance.set_param(id, normalised)
    }

    /// The names of the parameters that a host does not show: those that stand for controllers, in VST3.
    pub fn hidden_params(&self) -> Vec<String> {
        self.instance.hidden_params()
    }

    /// Overrides [`HostConfig::offline`] from the next activation on.
    pub fn set_offline(&mut self, offline: bool) {
        self.offline = Some(offline);
    }

    /// The edits that the plugin made itself since the last call. In VST3 the host has already given them back to it, as hosts must.
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
