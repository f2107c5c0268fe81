//! The parameters: what a host can automate and a project saves.

mod loading;
pub mod wishes;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use continuo_model::tokeniser::grid::{NUM_VOICES, VOICE_NAMES};
use nice_plug::params::InternalParamMut;
use nice_plug::prelude::*;

use crate::state::Project;
use wishes::{Density, Key, Register};

/// What the plugin does with what is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum Mode {
    /// A played note is answered by the other voices.
    #[id = "harmonise"]
    Harmonise,
    /// A played phrase is gone on with.
    #[id = "continue"]
    Continue,
    /// The player plays some bars, the network as many, in turn on the host's bars.
    #[id = "respond"]
    Respond,
    /// The network plays whenever the player does not.
    #[id = "free"]
    Free,
}

/// What becomes of the notes that come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum Input {
    /// They go out on the channel of the voice that they are.
    #[id = "voice"]
    #[name = "As voice"]
    AsVoice,
    /// They go out as they came in.
    #[id = "all"]
    #[name = "As it is"]
    AsItIs,
    /// They do not go out.
    #[id = "drop"]
    Drop,
    /// Channels 1 to 4 are the voices, and they go out there.
    #[id = "channel"]
    #[name = "By channel"]
    ByChannel,
}

/// Where the network may begin its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum EnterOn {
    /// On a bar line.
    #[id = "bar"]
    Bar,
    /// On any beat.
    #[id = "beat"]
    Beat,
}

/// The input channel that is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum HearChannel {
    #[id = "all"]
    All,
    #[id = "1"]
    #[name = "1"]
    C1,
    #[id = "2"]
    #[name = "2"]
    C2,
    #[id = "3"]
    #[name = "3"]
    C3,
    #[id = "4"]
    #[name = "4"]
    C4,
    #[id = "5"]
    #[name = "5"]
    C5,
    #[id = "6"]
    #[name = "6"]
    C6,
    #[id = "7"]
    #[name = "7"]
    C7,
    #[id = "8"]
    #[name = "8"]
    C8,
    #[id = "9"]
    #[name = "9"]
    C9,
    #[id = "10"]
    #[name = "10"]
    C10,
    #[id = "11"]
    #[name = "11"]
    C11,
    #[id = "12"]
    #[name = "12"]
    C12,
    #[id = "13"]
    #[name = "13"]
    C13,
    #[id = "14"]
    #[name = "14"]
    C14,
    #[id = "15"]
    #[name = "15"]
    C15,
    #[id = "16"]
    #[name = "16"]
    C16,
}

impl HearChannel {
    /// The channel, from 0; `None` for all of them.
    pub fn number(self) -> Option<u8> {
        (self as u8).checked_sub(1)
    }
}

/// What a loop plays when it comes round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum Loop {
    /// The same bars again.
    #[id = "repeat"]
    Repeat,
    /// Something else each time.
    #[id = "evolve"]
    Evolve,
}

/// A voice of the four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum Voice {
    #[id = "soprano"]
    Soprano,
    #[id = "alto"]
    Alto,
    #[id = "tenor"]
    Tenor,
    #[id = "bass"]
    Bass,
}

/// Which voices go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum Emit {
    #[id = "all"]
    All,
    #[id = "soprano"]
    Soprano,
    #[id = "alto"]
    Alto,
    #[id = "tenor"]
    Tenor,
    #[id = "bass"]
    Bass,
}

/// All parameters. Ids stay as they are for good: projects are saved with them.
#[derive(Params)]
pub struct ContinuoParams {
    /// Takes, weights and all else that a project holds.
    #[nested]
    pub project: Project,
    /// What the plugin does.
    #[id = "mode"]
    pub mode: EnumParam<Mode>,
    /// The voice that is the player's.
    #[id = "voice"]
    pub your_voice: EnumParam<Voice>,
    /// Bars that the player has in Respond, and then the network.
    #[id = "bars"]
    pub respond_bars: IntParam,
    /// What becomes of the notes that come in.
    #[id = "input"]
    pub input: EnumParam<Input>,
    /// The lowest key that is heard; what lies outside passes through untouched.
    #[id = "hrfrom"]
    pub hear_from: IntParam,
    /// The highest key that is heard.
    #[id = "hrto"]
    pub hear_to: IntParam,
    /// The input channel that is heard; the others pass through untouched.
    #[id = "hrchan"]
    pub hear_channel: EnumParam<HearChannel>,
    /// Where the network may begin its turn.
    #[id = "enter"]
    pub enter_on: EnumParam<EnterOn>,
    /// What a loop plays when it comes round.
    #[id = "loop"]
    pub looping: EnumParam<Loop>,
    /// The voices that go out.
    #[id = "emit"]
    pub emit: EnumParam<Emit>,
    /// How adventurous, 0 to 2; 1 is as the network learnt it.
    #[id = "temp"]
    pub temperature: FloatParam,
    /// Share of the probability that is drawn from.
    #[id = "top_p"]
    pub top_p: FloatParam,
    /// How much the temperature goes by what the network is sure of, 0 to 1.
    #[id = "entrpy"]
    pub entropy: FloatParam,
    /// What the probability of a rest is multiplied by, 0 to 2; 1 is as the network learnt it.
    #[id = "rests"]
    pub rests: FloatParam,
    /// The same for a note that goes on.
    #[id = "holds"]
    pub holds: FloatParam,
    /// The key to play in.
    #[id = "key"]
    pub key: EnumParam<Key>,
    /// Whether notes outside of the key's scale are ruled out.
    #[id = "snap"]
    pub key_snap: BoolParam,
    /// Turning it on asks for a cadence: the next strong beat that can still be steered to becomes the end of a phrase. See
    /// [`Self::take_cadence`].
    #[id = "cadenc"]
    pub cadence: Arc<BoolParam>,
    cadence_pressed: Arc<AtomicBool>,
    /// How many notes start.
    #[id = "densty"]
    pub density: EnumParam<Density>,
    /// How high the voices lie.
    #[id = "regist"]
    pub register: EnumParam<Register>,
    /// Whether parallel fifths and octaves are ruled out.
    #[id = "strict"]
    pub strict: BoolParam,
    /// Steps (16ths) that music is decided ahead.
    #[id = "ahead"]
    pub lookahead_steps: IntParam,
    /// Time from a played note to its answer, milliseconds.
    #[id = "reply"]
    pub reply_delay_ms: FloatParam,
    /// One performance out of all that are possible.
    #[id = "seed"]
    pub rng_seed: IntParam,
    /// Which voices play the frozen take in place of what the network would.
    #[nested(array, group = "Freeze")]
    pub freeze: [Freeze; NUM_VOICES],
    /// Whether the instrument sounds.
    #[id = "preview"]
    pub preview: BoolParam,
    /// Turning it on ends every note at once. See [`Self::take_panic`].
    #[id = "panic"]
    pub panic: Arc<BoolParam>,
    panic_pressed: Arc<AtomicBool>,
    /// Everything goes through as it is and nothing is added.
    #[id = "bypass"]
    pub bypass: BoolParam,
}

/// Whether one voice is frozen.
#[derive(Params)]
pub struct Freeze {
    /// It plays the frozen take.
    #[id = "frz"]
    pub on: BoolParam,
}

impl ContinuoParams {
    /// Whether Panic has been pressed since this was called last. For the audio thread: neither locks nor allocates.
    pub fn take_panic(&self) -> bool {
        self.panic_pressed.swap(false, Ordering::Relaxed)
    }

    /// The same of Cadence.
    pub fn take_cadence(&self) -> bool {
        self.cadence_pressed.swap(false, Ordering::Relaxed)
    }
}

/// A button: a parameter that turns itself off again at once, and the memory of it for the audio thread. So every press acts,
/// also of a pad that always sends 1, and no project saves it as on.
fn trigger(name: &str) -> (Arc<BoolParam>, Arc<AtomicBool>) {
    let pressed = Arc::new(AtomicBool::new(false));
    let param = Arc::new_cyclic(|param: &Weak<BoolParam>| {
        let (param, pressed) = (param.clone(), pressed.clone());
        BoolParam::new(name, false).with_callback(Arc::new(move |on| {
            // The parameters own it for as long as anything can set it, so this never frees it.
            if let Some(param) = param.upgrade().filter(|_| on) {
                pressed.store(true, Ordering::Relaxed);
                // SAFETY: it stores atomics and calls this function again, with `false`. The caller has stored its own value before
                // it called this.
                unsafe { param._internal_set_plain_value(false) };
            }
        }))
    });
    (param, pressed)
}

/// A MIDI key, shown by name: C4 is 60.
fn key_param(name: &str, default: i32) -> IntParam {
    IntParam::new(name, default, IntRange::Linear { min: 0, max: 127 })
        .with_value_to_string(formatters::v2s_i32_key_formatter())
        .with_string_to_value(Arc::new(key_of_text))
}

/// The MIDI key that a text names: a letter, a sharp or flat sign if there is one, and the octave; or the key's number. The wrapper's
/// own reader panics at signs that are no ASCII.
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
        let (cadence, cadence_pressed) = trigger("Cadence");
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
            temperature: share("Temperature", 0.6, 0.0, 2.0),
            top_p: share("Top-p", 0.95, 0.05, 1.0),
            entropy: share("Adaptive temperature", 0.0, 0.0, 1.0),
            rests: share("Rests", 1.0, 0.0, 2.0),
            holds: share("Holds", 1.0, 0.0, 2.0),
            key: EnumParam::new("Key", Key::Auto),
            key_snap: BoolParam::new("Key snap", false),
            cadence,
            cadence_pressed,
            density: EnumParam::new("Density", Density::Auto),
            register: EnumParam::new("Register", Register::Auto),
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
            bypass: BoolParam::new("Bypass", false).make_bypass(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_however_they_are_written() {
        let read = |text: &str| key_of_text(text).unwrap_or(-1);
        assert_eq!(
            ["C4", "c#4", " F♯ 3 ", "Bb2", "b♭2", "B2", "C-1", "g9", "60"].map(read),
            [60, 61, 54, 46, 46, 47, 0, 127, 60]
        );
        for text in ["", "C", "♯4", "H4", "G#9", "é4", "C4x", "128", "C2147483647", "C♯♯4"] {
            assert_eq!(key_of_text(text), None, "{text}");
        }
        // What the parameter shows is read back.
        let param = key_param("Hear from", 0);
        let shown = |key: i32| param.normalized_value_to_string(param.preview_normalized(key), true);
        assert!((0..128).all(|key| key_of_text(&shown(key)) == Some(key)));
    }
}
