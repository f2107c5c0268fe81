//! The key table: how much of what the network plays after a short phrase lies outside the phrase's key, over phrases,
//! keys and rng seeds. Plain values, and a plugin on the caller's thread.

use std::fmt;
use std::path::Path;

use anyhow::{Result, ensure};
use continuo_model::key;
use continuo_model::random::SplitMix64;

use crate::bundles;
use crate::fake_host::{Class, EventKind, Format, HostConfig, HostedPlugin};
use crate::heard::{Heard, notes};
use crate::host_clock::{BEAT, SAMPLE_RATE};
use crate::rack::{Blocks, Pace};
use crate::script::{Happening, Script, Stretch, read_notes};
use crate::session::{choose, with_weights};

/// The modes in which the network takes turns with the player.
pub const MODES: [&str; 3] = ["Continue", "Respond", "Free"];
/// The rng seeds of the whole table.
pub const RNG_SEEDS: std::ops::RangeInclusive<u64> = 1..=5;
/// The transpositions of the whole table, in semitones.
pub const TRANSPOSITIONS: std::ops::RangeInclusive<i8> = -5..=6;
/// The largest share outside the key of *Bach chorales*: on average, and in nine of ten jams.
pub const BOUNDS: (f64, f64) = (0.02, 0.15);
/// Its generated notes sound for at least this long in each jam, beats, all notes added up.
pub const LEAST_BEATS: f64 = 8.0;

/// The length of a bar, beats.
const BAR_BEATS: f64 = 4.0;
/// How much of the network's turn counts, beats.
const COUNTED_BEATS: f64 = 8.0;
/// The largest temperature that the plugin's parameter takes.
const MAX_TEMPERATURE: f64 = 2.0;
/// Hands are early or late by this much at most, beats at 120 quarter notes a minute: 12 ms.
const JITTER_BEATS: f64 = 0.024;

/// A short phrase in 4/4. It ends before a bar line, so that the network's turn begins there.
#[derive(Debug)]
pub struct KeyPhrase {
    /// What is special about it.
    pub name: &'static str,
    /// Its key, in the numbers of [`key`].
    pub key: u8,
    /// The beat on which it begins.
    from_beats: f64,
    /// The bars that it fills; a pickup counts as one.
    bars: u8,
    /// See [`read_notes`].
    notes: &'static str,
}

/// The phrases of the table.
pub const PHRASES: [KeyPhrase; 9] = [
    KeyPhrase {
        name: "scale",
        key: 0,
        from_beats: 0.0,
        bars: 2,
        notes: "0 60 .5, .5 62 .5, 1 64 .5, 1.5 65 .5, 2 67 .5, 2.5 69 .5, 3 71 .5, 3.5 72 .5, 4 71 .5, 4.5 69 .5, \
                5 67 .5, 5.5 65 .5, 6 64 1, 7 60 .75",
    },
    KeyPhrase {
        name: "arpeggios",
        key: 7,
        from_beats: 0.0,
        bars: 2,
        notes: "0 67 .5, .5 71 .5, 1 74 .5, 1.5 71 .5, 2 72 .5, 2.5 76 .5, 3 79 .5, 3.5 76 .5, 4 74 .5, 4.5 78 .5, \
                5 81 .5, 5.5 78 .5, 6 79 1.75",
    },
    KeyPhrase {
        name: "minor scale",
        key: 21,
        from_beats: 0.0,
        bars: 4,
        notes: "0 69 1, 1 71 1, 2 72 1, 3 74 1, 4 76 2, 6 77 1, 7 76 1, 8 74 1, 9 72 1, 10 71 1, 11 68 1, 12 69 3.5",
    },
    KeyPhrase {
        name: "minor arpeggios",
        key: 14,
        from_beats: 0.0,
        bars: 2,
        notes: "0 62 .5, .5 65 .5, 1 69 .5, 1.5 74 .5, 2 70 .5, 2.5 67 .5, 3 64 .5, 3.5 61 .5, 4 62 1, 5 65 .5, \
                5.5 64 .5, 6 62 1.75",
    },
    KeyPhrase {
        name: "pickup",
        key: 5,
        from_beats: 3.0,
        bars: 3,
        notes: "3 60 1, 4 65 1, 5 65 .5, 5.5 67 .5, 6 69 1, 7 65 1, 8 70 1, 9 69 1, 10 67 1, 11 65 .75",
    },
    KeyPhrase {
        name: "chromatic neighbours",
        key: 7,
        from_beats: 0.0,
        bars: 2,
        notes: "0 74 1, 1 73 .5, 1.5 74 .5, 2 71 1, 3 67 1, 4 69 .5, 4.5 68 .5, 5 69 .5, 5.5 71 .5, 6 67 1.75",
    },
    KeyPhrase {
        name: "two voices",
        key: 3,
        from_beats: 0.0,
        bars: 2,
        notes: "0 63 1, 0 67 1, 1 65 1, 1 68 1, 2 67 1, 2 70 1, 3 65 .5, 3 68 .5, 3.5 63 .5, 3.5 67 .5, 4 62 1, \
                4 65 1, 5 63 1, 5 67 1, 6 63 1.75, 6 67 1.75",
    },
    KeyPhrase {
        name: "six notes",
        key: 2,
        from_beats: 0.0,
        bars: 2,
        notes: "0 62 1, 1 66 1, 2 69 2, 4 67 1, 5 64 1, 6 62 1.75",
    },
    KeyPhrase {
        name: "seven notes, minor",
        key: 16,
        from_beats: 0.0,
        bars: 2,
        notes: "0 76 1.5, 1.5 74 .5, 2 71 1, 3 67 1, 4 69 1, 5 66 1, 6 64 1.75",
    },
];

/// One jam of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyJam {
    /// One of [`MODES`].
    pub mode: &'static str,
    /// An index into [`PHRASES`].
    pub phrase: usize,
    /// How far the phrase is transposed, semitones.
    pub semitones: i8,
    /// Selects the performance, and how the hands are early and late.
    pub rng_seed: u64,
}

impl KeyJam {
    /// All jams of a mode.
    pub fn all(mode: &'static str) -> impl Iterator<Item = Self> {
        let phrases = 0..PHRASES.len();
        phrases.flat_map(move |phrase| {
            TRANSPOSITIONS
                .flat_map(move |semitones| RNG_SEEDS.map(move |rng_seed| Self { mode, phrase, semitones, rng_seed }))
        })
    }

    /// The pitch classes of the phrase's key.
    fn scale(self) -> u16 {
        key::transposed(key::scale(PHRASES[self.phrase].key), self.semitones.into())
    }

    /// What happens: the player plays the phrase and stops.
    fn script(self) -> Script {
        let phrase = &PHRASES[self.phrase];
        let beats = f64::from(phrase.bars) * BAR_BEATS + COUNTED_BEATS + BAR_BEATS - phrase.from_beats;
        let stretches = vec![Stretch::stand(0.5), Stretch::play(phrase.from_beats, beats), Stretch::stand(2.0)];
        let mut rng = SplitMix64::new(self.rng_seed << 8 | self.phrase as u64);
        let mut script = Script { stretches, ..Script::default() };
        for (start, pitch, length) in read_notes(phrase.notes) {
            let key = pitch.saturating_add_signed(self.semitones);
            let mut jitter = || (f64::from(rng.next_f32()) * 2.0 - 1.0) * JITTER_BEATS;
            // The first chord starts with the transport, so that Free leaves the beginning to the player.
            let late = if start > phrase.from_beats { jitter() } else { 0.0 };
            let (start, end) = (start + late - phrase.from_beats, start + length + jitter() - phrase.from_beats);
            let on = EventKind::NoteOn { channel: 0, key, velocity: 0.7 };
            let off = EventKind::NoteOff { channel: 0, key, velocity: 0.0 };
            script = script.with(1, start, Happening::Event(on)).with(1, end, Happening::Event(off));
        }
        script
    }

    /// Plays it; returns the sounding time of the generated notes in the first two bars of the network's turn, in
    /// beats, and the share of it outside the key.
    ///
    /// # Errors
    /// If the plugin fails, or plays nothing after the phrase.
    fn share_outside(self, plugin: &mut HostedPlugin) -> Result<(f64, f64)> {
        choose(plugin, "Mode", self.mode)?;
        choose(plugin, "Rng seed", &self.rng_seed.to_string())?;
        let phrase = &PHRASES[self.phrase];
        if self.mode == "Respond" {
            choose(plugin, "Respond bars", &format!("{} bars", phrase.bars))?;
        }
        let all = notes(&self.script().run(plugin, SAMPLE_RATE, Blocks::Of(512), Pace::Fast)?);
        let turn = (BEAT / 2) + ((f64::from(phrase.bars) * BAR_BEATS - phrase.from_beats) * BEAT as f64) as u64;
        let counted = turn..turn + (COUNTED_BEATS * BEAT as f64) as u64;
        let time = |note: &Heard| {
            let in_turn = note.start >= turn;
            if in_turn { note.end.min(counted.end).saturating_sub(note.start) } else { 0 }
        };
        let scale = self.scale();
        let sum = |outside: bool| -> u64 {
            all.iter().filter(|note| !outside || !key::contains(scale, note.key)).map(time).sum()
        };
        ensure!(sum(false) > 0, "{self:?}: the network plays nothing");
        Ok((sum(false) as f64 / BEAT as f64, sum(true) as f64 / sum(false) as f64))
    }
}

/// The shares of some jams of one mode.
#[derive(Clone, Debug, Default)]
pub struct Shares {
    jams: Vec<(KeyJam, f64)>,
    /// The sounding time of the jam with the least, beats.
    fewest_beats: f64,
}

impl Shares {
    /// Plays jams into one instance. `style` is the name of shipped weights, or a weights file's path; `temperature` is
    /// the plugin's own if it is `None`.
    ///
    /// # Errors
    /// If the plugin fails, or plays nothing.
    pub fn measure(style: &str, temperature: Option<f64>, jams: impl Iterator<Item = KeyJam>) -> Result<Self> {
        let format = Format::Clap;
        let mut plugin = HostedPlugin::load(&bundles::path(format), format, Class::NoteEffect)?;
        let path = if Path::new(style).is_file() { style.to_string() } else { format!("shipped:{style}") };
        let state = plugin.save_state()?;
        plugin.load_state(&with_weights(format, &state, &path)?)?;
        // Then everything that comes out is generated.
        choose(&mut plugin, "Input", "Drop")?;
        if let Some(temperature) = temperature {
            plugin.set_param_by_name("Temperature", temperature / MAX_TEMPERATURE)?;
        }
        plugin.activate(HostConfig { sample_rate: SAMPLE_RATE, max_block_size: 512, offline: true })?;
        let mut fewest_beats = f64::INFINITY;
        let share = |jam: KeyJam| {
            let (beats, share) = jam.share_outside(&mut plugin)?;
            fewest_beats = beats.min(fewest_beats);
            Ok((jam, share))
        };
        let jams = jams.map(share).collect::<Result<_>>()?;
        Ok(Self { jams, fewest_beats })
    }

    /// The sounding time of the generated notes in the jam with the least, beats, all notes added up.
    pub fn fewest_beats(&self) -> f64 {
        self.fewest_beats
    }

    /// The average share.
    pub fn mean(&self) -> f64 {
        self.jams.iter().map(|(_, share)| share).sum::<f64>() / self.jams.len() as f64
    }

    /// The share that nine of ten jams stay within.
    pub fn nine_of_ten(&self) -> f64 {
        let mut shares: Vec<f64> = self.jams.iter().map(|(_, share)| *share).collect();
        shares.sort_by(f64::total_cmp);
        shares.get((shares.len() * 9).div_ceil(10).saturating_sub(1)).copied().unwrap_or(0.0)
    }

    /// The average share of each phrase, by its name.
    pub fn by_phrase(&self) -> Vec<(&'static str, f64)> {
        let of = |phrase: usize| {
            let jams = self.jams.iter().filter(|(jam, _)| jam.phrase == phrase).copied().collect();
            Self { jams, fewest_beats: self.fewest_beats }
        };
        (0..PHRASES.len()).map(|phrase| (PHRASES[phrase].name, of(phrase).mean())).collect()
    }

    /// The jam that leaves its key for longest.
    pub fn worst(&self) -> Option<&(KeyJam, f64)> {
        self.jams.iter().max_by(|a, b| a.1.total_cmp(&b.1))
    }
}

impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mean, most) = (100.0 * self.mean(), 100.0 * self.nine_of_ten());
        write!(f, "{:>4} jams {mean:>6.1} % {most:>6.1} %", self.jams.len())
    }
}
