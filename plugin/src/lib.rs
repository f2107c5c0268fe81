//! Continuo, a plugin that plays with you, as the host sees it. Its two classes differ only in their audio output.

mod addresses;
mod audio_thread;
mod background;
#[cfg(any(test, feature = "bench"))]
mod bench;
mod bridge;
mod clap;
mod editor;
mod folders;
mod frozen;
mod outputs;
mod params;
mod state;
mod takes;
mod vst3;
mod worker;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use continuo_model::decision::Lanes;
use continuo_model::organ::Organ;
use continuo_model::tokeniser::grid::NUM_VOICES;
use nice_plug::prelude::*;

use audio_thread::preview;
use audio_thread::process::AudioThread;
use audio_thread::settings::{Block, CHORD_SECONDS, Settings};
use audio_thread::transport::HostTime;
use bridge::{EditorEnd, Shared, WorkerEnd};
use editor::EditorWindow;
use params::{ContinuoParams, Emit, EnterOn, Loop};
use state::ChosenWeights;
use worker::{ChosenDevice, Status, Worker, WorkerShared};

/// Environment variable that names a weights file, which plays whatever the project has chosen.
pub const WEIGHTS_VARIABLE: &str = "CONTINUO_WEIGHTS";
/// Environment variable that names a file, to which the plugin writes figures and problems when it is dropped.
pub const REPORT_VARIABLE: &str = "CONTINUO_REPORT";

/// The error that `process` returns when a render would lack notes.
const RENDER_FAILED: &str = "the network has not answered for two seconds; notes are missing";

/// Environment variable for tests: in builds with debug assertions `process` panics after this many blocks.
#[cfg(debug_assertions)]
const FAIL_VARIABLE: &str = "CONTINUO_PANIC_AFTER_BLOCKS";

/// The first class: an instrument with a stereo output, for hosts that refuse a plugin without audio.
pub type Instrument = Continuo<true>;
/// The second class: a note effect without audio.
pub type NoteEffect = Continuo<false>;

/// The plugin. With `HAS_AUDIO` it has a stereo output, on which a preview organ plays.
pub struct Continuo<const HAS_AUDIO: bool> {
    params: Arc<ContinuoParams>,
    status: Arc<Mutex<Status>>,
    shared: Arc<Shared>,
    audio: AudioThread,
    organ: Organ,
    sample_rate: f32,
    says_offline: bool,
    /// Whether the host declared the last block offline.
    block_says_offline: bool,
    /// Kept until the first activation, so that a scan of the plugin starts no thread and reads no weights.
    worker_end: Option<WorkerEnd>,
    /// Kept until the host creates the editor, which it does once.
    editor_end: Option<EditorEnd>,
    worker: Option<Worker>,
}

impl<const HAS_AUDIO: bool> Default for Continuo<HAS_AUDIO> {
    fn default() -> Self {
        let (audio_end, worker_end, editor_end) = bridge::new();
        let shared = audio_end.shared.clone();
        let sample_rate = 48_000.0;
        let params = ContinuoParams::default();
        params.project.connect(editor_end.saving_end());
        Self {
            params: Arc::new(params),
            status: Arc::default(),
            shared,
            audio: AudioThread::new(audio_end, sample_rate, 4096, Instant::now),
            organ: Organ::new(sample_rate as f32),
            sample_rate: sample_rate as f32,
            says_offline: false,
            block_says_offline: false,
            worker_end: Some(worker_end),
            editor_end: Some(editor_end),
            worker: None,
        }
    }
}

impl<const HAS_AUDIO: bool> Plugin for Continuo<HAS_AUDIO> {
    const NAME: &'static str = if HAS_AUDIO { "Continuo" } else { "Continuo Notes" };
    const VENDOR: &'static str = "Continuo";
    const URL: &'static str = addresses::PROJECT;
    const EMAIL: &'static str = "";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    const AUDIO_IO_LAYOUTS: &'static [AudioIOLayout] = if HAS_AUDIO {
        &[AudioIOLayout { main_output_channels: NonZeroU32::new(2), ..AudioIOLayout::const_default() }]
    } else {
        &[]
    };
    // MIDI controllers are included, so that the sustain pedal and all others reach the instrument after the plugin.
    const MIDI_INPUT: MidiConfig = MidiConfig::MidiCCs;
    const MIDI_OUTPUT: MidiConfig = MidiConfig::MidiCCs;
    // nice-plug splits a block where a parameter changes. Otherwise automation would act at the start of the block,
    // which is earlier in a bounce, with its long blocks, than live.
    const SAMPLE_ACCURATE_AUTOMATION: bool = true;
    const INPUT_EVENT_CAPACITY: usize = audio_thread::output::MAX_EVENTS;

    type Editor = EditorWindow;
    type SysExMessage = ();
    type BackgroundTask = vst3::Fence;

    fn task_executor(&mut self) -> TaskExecutor<Self> {
        Box::new(vst3::Fence::reach)
    }

    fn params(&self) -> Arc<dyn Params> {
        self.params.clone()
    }

    fn editor(&mut self, executor: AsyncExecutor<Self>) -> Option<Self::Editor> {
        vst3::introduce(self.params.clone(), move |fence| executor.execute_background(fence));
        editor::create(self.params.clone(), self.status.clone(), self.editor_end.take()?)
    }

    fn filter_state(state: &mut PluginState) {
        ContinuoParams::complete(state);
    }

    fn activate(&mut self, _: &AudioIOLayout, config: &BufferConfig, _: &mut impl ActivateContext<Self>) -> bool {
        if let Some(end) = self.worker_end.take() {
            let project = &self.params.project;
            // The variable decides what plays. The project still saves its own choice.
            let weights = std::env::var_os(WEIGHTS_VARIABLE).map_or_else(
                || project.weights.clone(),
                |path| Arc::new(Mutex::new(ChosenWeights::new(path.to_string_lossy()))),
            );
            let worker_shared = WorkerShared {
                weights,
                takes: project.takes.clone(),
                frozen: project.frozen.clone(),
                status: self.status.clone(),
                device: ChosenDevice::new(self.params.device.clone()),
            };
            if let (true, Ok(mut status)) = (!Arc::ptr_eq(&worker_shared.weights, &project.weights), self.status.lock())
            {
                status.notice = format!("{WEIGHTS_VARIABLE} is set: its weights play, whatever you choose here.");
            }
            self.worker = Some(Worker::start(end, worker_shared));
        }
        self.sample_rate = config.sample_rate;
        self.says_offline = config.process_mode == ProcessMode::Offline;
        #[cfg(debug_assertions)]
        {
            self.audio.fail_in(std::env::var(FAIL_VARIABLE).ok().and_then(|blocks| blocks.parse().ok()));
        }
        self.audio.activate(f64::from(config.sample_rate), config.max_buffer_size as usize);
        self.organ = Organ::new(config.sample_rate);
        true
    }

    fn reset(&mut self) {
        self.audio.reset();
        self.organ = Organ::new(self.sample_rate);
    }

    fn process(
        &mut self,
        buffer: &mut Buffer,
        _: &mut AuxiliaryBuffers,
        context: &mut impl ProcessContext<Self>,
    ) -> ProcessStatus {
        let now = Instant::now();
        while let Some(event) = context.next_event() {
            self.audio.hear(event);
        }
        self.block_says_offline = self.says_offline || vst3::block_is_offline();
        let block = Block {
            host: host_time(context.transport()),
            frames: buffer.samples(),
            settings: self.settings(),
            now,
            says_offline: self.block_says_offline,
        };
        let is_complete = self.audio.process_or_pass(&block, |event| context.try_send_event(event).is_ok());
        if HAS_AUDIO {
            preview::play(&mut self.organ, self.audio.out(), buffer.as_slice(), self.params.preview.value());
        }
        if is_complete { ProcessStatus::KeepAlive } else { ProcessStatus::Error(RENDER_FAILED) }
    }
}

impl<const HAS_AUDIO: bool> Continuo<HAS_AUDIO> {
    fn settings(&self) -> Settings {
        let p = &self.params;
        // The player's four voices go out even if the weights cannot play all of them.
        let lanes = Lanes::from_bits(self.shared.lanes.load(Ordering::Relaxed)) | Lanes::first(NUM_VOICES);
        let emit = match p.emit.value() {
            Emit::All => lanes,
            one => Lanes::from_fn(|lane| usize::from(lane) + 1 == one as usize),
        };
        let freezes = |lane: u8| p.freeze.get(usize::from(lane)).is_some_and(|freeze| freeze.on.value());
        let frozen = Lanes::from_fn(freezes);
        let reply_delay_samples = (p.reply_delay_ms.value() * 1e-3 * self.sample_rate).round() as u64;
        Settings {
            mode: p.mode.value(),
            respond_bars: i64::from(p.respond_bars.value()),
            input: p.input.value(),
            hear_keys: (p.hear_from.value() as u8, p.hear_to.value() as u8),
            hear_channel: p.hear_channel.value().number(),
            enter_on_beat: p.enter_on.value() == EnterOn::Beat,
            evolves: p.looping.value() == Loop::Evolve,
            panic: p.take_panic(),
            bypass: p.bypass.value(),
            cadence: p.take_cadence(),
            end: p.take_end(),
            phrase_bars: p.phrases.value().bars(),
            voice: p.your_voice.value() as usize,
            emit,
            // There are switches for the four voices; all together freeze every lane.
            frozen: if (Lanes::first(NUM_VOICES) & !frozen).is_empty() { Lanes::ALL } else { frozen },
            lookahead_steps: i64::from(p.lookahead_steps.value()),
            reply_delay_samples,
            chord_window_samples: reply_delay_samples.min((CHORD_SECONDS * f64::from(self.sample_rate)).round() as u64),
            tonality: p.tonality(),
            feel: p.feel(),
            step: p.step_settings(),
        }
    }

    /// Writes figures and problems to the file that [`REPORT_VARIABLE`] names; `cargo xtask jam` reads it.
    fn report(&self) {
        let Some(path) = std::env::var_os(REPORT_VARIABLE) else { return };
        let status = self.status.lock().map(|status| status.clone()).unwrap_or_default();
        let report = serde_json::json!({
            "style": status.style,
            "device": status.device,
            "problem": status.problem_in(self.params.mode.value()),
            "offline": self.block_says_offline,
            "host_without_time": self.shared.host_without_time.load(Ordering::Relaxed),
            "due": self.shared.due.load(Ordering::Relaxed),
            "late": self.shared.late.load(Ordering::Relaxed),
            "latest_ms": self.shared.latest_ms.load(Ordering::Relaxed),
            "misses": self.shared.misses.load(Ordering::Relaxed),
            "failed": self.shared.has_failed.load(Ordering::Relaxed),
            "refused": self.shared.refused.load(Ordering::Relaxed),
            "reply_p99_us": self.shared.reply_p99_us.load(Ordering::Relaxed),
            "step_p50_us": self.shared.step_p50_us.load(Ordering::Relaxed),
        });
        if let Err(error) = std::fs::write(&path, report.to_string()) {
            nice_error!("{}: cannot write the report ({error})", path.display());
        }
    }
}

impl<const HAS_AUDIO: bool> Drop for Continuo<HAS_AUDIO> {
    fn drop(&mut self) {
        self.worker = None;
        self.report();
    }
}

fn host_time(transport: &Transport) -> HostTime {
    HostTime {
        playing: transport.playing,
        tempo_bpm: transport.tempo,
        pos_beats: transport.pos_beats(),
        pos_samples: transport.pos_samples(),
        bar_start_beats: transport.bar_start_pos_beats(),
        time_signature: transport.time_sig_numerator.zip(transport.time_sig_denominator),
        loop_range_beats: transport.loop_range_beats(),
    }
}

impl<const HAS_AUDIO: bool> ClapPlugin for Continuo<HAS_AUDIO> {
    const CLAP_ID: &'static str = if HAS_AUDIO { "org.continuo.continuo" } else { "org.continuo.continuo-notes" };
    const CLAP_DESCRIPTION: Option<&'static str> = Some("Harmonises and continues what you play");
    const CLAP_MANUAL_URL: Option<&'static str> = addresses::MANUAL;
    const CLAP_SUPPORT_URL: Option<&'static str> = None;
    const CLAP_FEATURES: &'static [ClapFeature] = if HAS_AUDIO {
        &[ClapFeature::Instrument, ClapFeature::NoteEffect, ClapFeature::Stereo]
    } else {
        &[ClapFeature::NoteEffect]
    };
}

impl<const HAS_AUDIO: bool> Vst3Plugin for Continuo<HAS_AUDIO> {
    const VST3_CLASS_ID: [u8; 16] = if HAS_AUDIO { *b"ContinuoInstrumt" } else { *b"ContinuoNoteEffc" };
    const VST3_SUBCATEGORIES: &'static [Vst3SubCategory] = if HAS_AUDIO {
        &[Vst3SubCategory::Instrument, Vst3SubCategory::Generator]
    } else {
        &[Vst3SubCategory::Fx, Vst3SubCategory::Instrument]
    };
}

/// Prints the time of each stage of the audio thread, for the program `stages`. Not part of the bundles.
// SAFETY: no other symbol of this name exists.
#[cfg(any(test, feature = "bench"))]
#[unsafe(no_mangle)]
pub extern "C" fn continuo_print_stages() {
    bench::print_stages();
}
