//! The parameters, which a host automates and a project saves. Any thread reads them.

mod choices;
pub mod controls;
mod feel;
mod loading;
mod scales;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use continuo_model::generate::StepSettings;
use continuo_model::sampling::Sampler;
use continuo_model::tokeniser::grid::{NUM_VOICES, VOICE_NAMES};
use nice_plug::params::InternalParamMut;
use nice_plug::prelude::*;

use crate::state::Project;
pub use choices::{Device, Emit, EnterOn, HearChannel, Input, Loop, Mode, Phrases, Voice};
use controls::{Density, Key, Register};
pub use feel::{Feel, Swing, SwingSource};
pub use scales::{CLASS_NAMES, Scale, Tonality};

/// From this behaviour version on, line models draw rhythm as they learnt it.
const FIRST_LEARNT_RHYTHM: u32 = 4;

/// All parameters. Ids must never change: projects are saved with them.
#[derive(Params)]
pub struct ContinuoParams {
    /// Everything else that a project saves: takes, weights, the look of the editor.
    #[nested]
    pub project: Project,
    /// When the network plays.
    #[id = "mode"]
    pub mode: EnumParam<Mode>,
    /// The voice that the player plays.
    #[id = "voice"]
    pub your_voice: EnumParam<Voice>,
    /// The length of a turn in Respond, bars.
    #[id = "bars"]
    pub respond_bars: IntParam,
    /// On which channels the player's notes go out.
    #[id = "input"]
    pub input: EnumParam<Input>,
    /// The lowest key that the plugin hears. Notes outside the range pass through unchanged.
    #[id = "hrfrom"]
    pub hear_from: IntParam,
    /// The highest key that the plugin hears.
    #[id = "hrto"]
    pub hear_to: IntParam,
    /// The input channel that the plugin hears. Notes on the other channels pass through unchanged.
    #[id = "hrchan"]
    pub hear_channel: EnumParam<HearChannel>,
    /// Where the network may begin its turn.
    #[id = "enter"]
    pub enter_on: EnumParam<EnterOn>,
    /// Whether a loop of the host repeats the same music.
    #[id = "loop"]
    pub looping: EnumParam<Loop>,
    /// The voices that the plugin sends.
    #[id = "emit"]
    pub emit: EnumParam<Emit>,
    /// The sampling temperature, 0 to 2. At 1 the probabilities are those that the network learnt.
    #[id = "temp"]
    pub temperature: FloatParam,
    /// The sampling's top-p: it draws from the most probable notes that together reach this probability.
    #[id = "top_p"]
    pub top_p: FloatParam,
    /// How much the temperature adapts to the network's confidence, 0 to 1.
    #[id = "entrpy"]
    pub entropy: FloatParam,
    /// A factor on the probability of rests, 0 to 2.
    #[id = "rests"]
    pub rests: FloatParam,
    /// A factor on the probability of held notes, 0 to 2.
    #[id = "holds"]
    pub holds: FloatParam,
    /// The key to play in.
    #[id = "key"]
    pub key: EnumParam<Key>,
    /// The scale on the key's tonic.
    #[id = "scale"]
    pub scale: EnumParam<Scale>,
    /// The pitch classes of the custom scale, from C up.
    #[nested(array, group = "Custom scale")]
    pub custom: [CustomNote; 12],
    /// Whether only notes of the scale may be drawn.
    #[id = "snap"]
    pub key_snap: BoolParam,
    /// A button: the phrase ends with a cadence on the next strong beat that leaves time to lead up to it. See
    /// [`Self::take_cadence`].
    #[id = "cadenc"]
    pub cadence: Arc<BoolParam>,
    cadence_pressed: Arc<AtomicBool>,
    /// A button: the music closes on the tonic after at least a bar, and falls silent. See [`Self::take_end`].
    #[id = "end"]
    pub end: Arc<BoolParam>,
    end_pressed: Arc<AtomicBool>,
    /// The length of the network's phrases.
    #[id = "phrase"]
    pub phrases: EnumParam<Phrases>,
    /// How often notes start.
    #[id = "densty"]
    pub density: EnumParam<Density>,
    /// The register of the voices.
    #[id = "regist"]
    pub register: EnumParam<Register>,
    /// How much velocities vary with metre, phrase, voice and the player's accents, 0 to 1.
    #[id = "dynmcs"]
    pub dynamics: FloatParam,
    /// How much timing and velocities deviate at random, 0 to 1.
    #[id = "human"]
    pub humanise: FloatParam,
    /// Which notes swing.
    #[id = "swing"]
    pub swing: EnumParam<Swing>,
    /// The first note's share of a swung pair, 0.5 to 0.75, where the player has set it.
    #[id = "swamt"]
    pub swing_amount: FloatParam,
    /// Whether parallel fifths and octaves are forbidden.
    #[id = "strict"]
    pub strict: BoolParam,
    /// How far ahead of the playhead the network decides, steps (16ths).
    #[id = "ahead"]
    pub lookahead_steps: IntParam,
    /// The time from a played note to its answer, milliseconds.
    #[id = "reply"]
    pub reply_delay_ms: FloatParam,
    /// The seed of the random numbers. Each seed gives another performance.
    #[id = "seed"]
    pub rng_seed: IntParam,
    /// Which voices play the frozen take.
    #[nested(array, group = "Freeze")]
    pub freeze: [Freeze; NUM_VOICES],
    /// Whether the preview organ sounds.
    #[id = "preview"]
    pub preview: BoolParam,
    /// A button: all notes end at once. See [`Self::take_panic`].
    #[id = "panic"]
    pub panic: Arc<BoolParam>,
    panic_pressed: Arc<AtomicBool>,
    /// Where the network runs. Hosts do not automate it.
    #[id = "device"]
    pub device: Arc<EnumParam<Device>>,
    /// Whether the plugin passes notes through unchanged and adds none.
    #[id = "bypass"]
    pub bypass: BoolParam,
}

/// The Freeze parameter of one voice.
#[derive(Params)]
pub struct Freeze {
    /// Whether the voice plays the frozen take.
    #[id = "frz"]
    pub on: BoolParam,
}

/// Whether a pitch class belongs to the custom scale.
#[derive(Params)]
pub struct CustomNote {
    /// Whether it does.
    #[id = "cs"]
    pub on: BoolParam,
}

impl ContinuoParams {
    /// The key and the scale that the player has set.
    pub fn tonality(&self) -> Tonality {
        let custom = (0..).zip(&self.custom).map(|(class, note)| u16::from(note.on.value()) << class).sum();
        Tonality { key: controls::key_number(self.key.value()), scale: self.scale.value(), custom }
    }

    /// The settings for deciding steps. The audio thread fills in the pass of the loop, the key and the scale.
    pub fn step_settings(&self) -> StepSettings {
        StepSettings {
            sampler: Sampler {
                temperature: self.temperature.value(),
                top_p: self.top_p.value(),
                entropy: self.entropy.value(),
                rest_weight: self.rests.value(),
                hold_weight: self.holds.value(),
            },
            rng_seed: self.rng_seed.value() as u64,
            pass: 0,
            strict: self.strict.value(),
            controls: controls::for_network(self.density.value(), self.register.value()),
            scale: None,
            snap: self.key_snap.value(),
            favours_scale: false,
            closes: false,
            cools_rhythm: self.project.behaviour() < FIRST_LEARNT_RHYTHM,
        }
    }

    /// How decided notes are played.
    pub fn feel(&self) -> Feel {
        Feel {
            dynamics: self.dynamics.value(),
            humanise: self.humanise.value(),
            swing: self.swing.value().by(self.swing_amount.value()),
        }
    }

    /// Whether Panic has been pressed since the last call. For the audio thread: it neither locks nor allocates.
    pub fn take_panic(&self) -> bool {
        self.panic_pressed.swap(false, Ordering::Relaxed)
    }

    /// Whether Cadence has been pressed since the last call.
    pub fn take_cadence(&self) -> bool {
        self.cadence_pressed.swap(false, Ordering::Relaxed)
    }

    /// Whether End has been pressed since the last call.
    pub fn take_end(&self) -> bool {
        self.end_pressed.swap(false, Ordering::Relaxed)
    }
}

/// A button: a parameter that turns itself off as soon as it is turned on, and a flag that tells the audio thread of
/// the press. So every press acts, even from a pad that always sends 1, and no project saves the button as on.
fn trigger(name: &str) -> (Arc<BoolParam>, Arc<AtomicBool>) {
    let pressed = Arc::new(AtomicBool::new(false));
    let param = Arc::new_cyclic(|param: &Weak<BoolParam>| {
        let (param, pressed) = (param.clone(), pressed.clone());
        BoolParam::new(name, false).with_callback(Arc::new(move |on| {
            // `ContinuoParams` owns it for as long as anything can set it, so this never drops the last reference.
            if let Some(param) = param.upgrade().filter(|_| on) {
                pressed.store(true, Ordering::Relaxed);
                // SAFETY: the call stores atomics and calls this function again with `false`. The caller stored its own
                // value before it called this function.
                unsafe { param._internal_set_plain_value(false) };
            }
        }))
    });
    (param, pressed)
}

/// A parameter whose value is a MIDI key. Hosts show its name: C4 is 60.
fn key_param(name: &str, default: i32) -> IntParam {
    IntParam::new(name, default, IntRange::Linear { min: 0, max: 127 })
        .with_value_to_string(formatters::v2s_i32_key_formatter())
        .with_string_to_value(Arc::new(key_of_text))
}

/// Parses a MIDI key: a letter, an optional sharp or flat sign and the octave; or a number. nice-plug's own parser
/// panics at signs outside ASCII.
fn key_of_text(text: &str) -> Option<i32> {
    let text = text.trim();
    let in_range = |key: &i32| (0..=127).contains(key);
    if let Ok(number) = text.parse() {
        return Some(number).filter(in_range);
    }
    let letter = text.chars().next()?;
    let in_octave = match letter.to_ascii_lowercase() {
        'c' => 0,
        'd' => 2,
        'e' => 4,
        'f' => 5,
        'g' => 7,
        'a' => 9,
        'b' => 11,
        _ => return None,
    };
    let rest = text[letter.len_utf8()..].trim_start();
    let (accidental, octave) = match (rest.strip_prefix(['#', '♯']), rest.strip_prefix(['b', '♭'])) {
        (Some(octave), _) => (1, octave),
        (_, Some(octave)) => (-1, octave),
        _ => (0, rest),
    };
    let octave: i32 = octave.trim_start().parse().ok()?;
    octave.checked_add(1)?.checked_mul(12)?.checked_add(in_octave + accidental).filter(in_range)
}

impl Default for ContinuoParams {
    fn default() -> Self {
        let share = |name, default, min, max| {
            FloatParam::new(name, default, FloatRange::Linear { min, max })
                .with_step_size(0.01)
                .with_value_to_string(formatters::v2s_f32_rounded(2))
        };
        let percentage = |name, default, min, max| {
            FloatParam::new(name, default, FloatRange::Linear { min, max })
                .with_step_size(0.01)
                .with_unit(" %")
                .with_value_to_string(formatters::v2s_f32_percentage(0))
                .with_string_to_value(formatters::s2v_f32_percentage())
        };
        let (cadence, cadence_pressed) = trigger("Cadence");
        let (end, end_pressed) = trigger("End");
        let (panic, panic_pressed) = trigger("Panic");
        Self {
            project: Project::default(),
            mode: EnumParam::new("Mode", Mode::Harmonise),
            your_voice: EnumParam::new("Your voice", Voice::Soprano),
            respond_bars: IntParam::new("Respond bars", 2, IntRange::Linear { min: 1, max: 16 }).with_unit(" bars"),
            input: EnumParam::new("Input", Input::AsVoice),
            hear_from: key_param("Hear from", 0),
            hear_to: key_param("Hear to", 127),
            hear_channel: EnumParam::new("Hear channel", HearChannel::All),
            enter_on: EnumParam::new("Enter on", EnterOn::Bar),
            looping: EnumParam::new("Loop", Loop::Repeat),
            emit: EnumParam::new("Emit", Emit::All),
            temperature: share("Temperature", Sampler::CAREFUL.temperature, 0.0, 2.0),
            top_p: share("Top-p", Sampler::CAREFUL.top_p, 0.05, 1.0),
            entropy: share("Adaptive temperature", 0.0, 0.0, 1.0),
            rests: share("Rests", 1.0, 0.0, 2.0),
            holds: share("Holds", 1.0, 0.0, 2.0),
            key: EnumParam::new("Key", Key::Auto),
            scale: EnumParam::new("Scale", Scale::MajorOrMinor),
            custom: CLASS_NAMES.map(|class| CustomNote { on: BoolParam::new(format!("Custom scale {class}"), false) }),
            key_snap: BoolParam::new("Key snap", false),
            cadence,
            cadence_pressed,
            end,
            end_pressed,
            phrases: EnumParam::new("Phrases", Phrases::Auto),
            density: EnumParam::new("Density", Density::Auto),
            register: EnumParam::new("Register", Register::Auto),
            dynamics: percentage("Dynamics", 0.5, 0.0, 1.0),
            humanise: percentage("Humanise", 0.25, 0.0, 1.0),
            swing: EnumParam::new("Swing", Swing::Auto),
            swing_amount: percentage("Swing amount", 0.67, 0.5, 0.75),
            strict: BoolParam::new("Strict parts", true),
            lookahead_steps: IntParam::new("Lookahead", 2, IntRange::Linear { min: 1, max: 16 }).with_unit(" steps"),
            reply_delay_ms: FloatParam::new("Reply delay", 25.0, FloatRange::Linear { min: 0.0, max: 50.0 })
                .with_step_size(0.1)
                .with_unit(" ms")
                .with_value_to_string(formatters::v2s_f32_rounded(1)),
            rng_seed: IntParam::new("Rng seed", 1, IntRange::Linear { min: 0, max: 9999 }),
            freeze: VOICE_NAMES
                .map(|voice| Freeze { on: BoolParam::new(format!("Freeze {}", voice.to_lowercase()), false) }),
            preview: BoolParam::new("Preview", true),
            panic,
            panic_pressed,
            device: Arc::new(EnumParam::new("Device", Device::Cpu).non_automatable()),
            bypass: BoolParam::new("Bypass", false).make_bypass(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_of_a_key_are_read() {
        let read = |text: &str| key_of_text(text).unwrap_or(-1);
        assert_eq!(
            ["C4", "c#4", " F♯ 3 ", "Bb2", "b♭2", "B2", "C-1", "g9", "60"].map(read),
            [60, 61, 54, 46, 46, 47, 0, 127, 60]
        );
        for text in ["", "C", "♯4", "H4", "G#9", "é4", "C4x", "128", "C2147483647", "C♯♯4"] {
            assert_eq!(key_of_text(text), None, "{text}");
        }
        // The parameter reads what it shows.
        let param = key_param("Hear from", 0);
        let shown = |key: i32| param.normalized_value_to_string(param.preview_normalized(key), true);
        assert!((0..128).all(|key| key_of_text(&shown(key)) == Some(key)));
    }
}
