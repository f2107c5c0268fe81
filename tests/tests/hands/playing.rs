//! Plays sessions of hands, and checks the rules that hold for every harmony.

use anyhow::{Context, Result, ensure};
use continuo_tests::fake_host::{Class, Format, HostConfig, HostedPlugin};
use continuo_tests::hands::Hands;
use continuo_tests::heard::{self, Heard};
use continuo_tests::host_clock::SAMPLE_RATE;
pub use continuo_tests::host_clock::{BEAT, STEP};
use continuo_tests::rack::{Blocks, Pace, Sent};
use continuo_tests::script::{Script, Stretch};
use continuo_tests::session::{self, choose};
use continuo_tests::{audio_thread, bundles};

/// The overlaps of tunes, milliseconds: a note-on before the last note-off at one sample, one sample apart, and as
/// hands do.
pub const OVERLAPS: [f64; 5] = [0.0, continuo_tests::hands::SAMPLE_MS, 5.0, 20.0, 80.0];
/// Block sizes that must all give the same notes.
pub const BLOCKS: [Blocks; 4] =
    [Blocks::Of(64), Blocks::Of(1024), Blocks::Random(900, 5), Blocks::WithEmptyBetween(256)];
/// Where the transport starts, samples.
pub const START: u64 = BEAT / 2;
/// From a note to its answer, samples: 25 ms.
pub const REPLY: u64 = 1_200;
/// From the bar to a turn's first notes, samples: 40 ms.
pub const ENTRY: u64 = 1_920;
/// The shortest that a generated note may be, samples: 60 ms.
pub const SHORTEST: u64 = 2_880;

/// The sample of a time in the second stretch, in which the transport runs.
pub fn at_ms(ms: f64) -> u64 {
    START + (ms * 48.0).round() as u64
}

/// The instance that a session begins with.
pub struct Setting {
    pub format: Format,
    pub blocks: Blocks,
    reply_ms: f64,
    params: Vec<(&'static str, String)>,
}

impl Setting {
    pub fn new(format: Format, mode: &str) -> Self {
        Self { format, blocks: Blocks::Of(512), reply_ms: 25.0, params: vec![("Mode", mode.into())] }
    }

    /// With a parameter at the value that shows `text`.
    pub fn with(mut self, name: &'static str, text: &str) -> Self {
        self.params.push((name, text.into()));
        self
    }

    /// Without expression: every note exactly on the grid.
    pub fn plain(self) -> Self {
        self.with("Dynamics", "0 %").with("Humanise", "0 %").with("Swing", "Off")
    }

    /// With another reply delay, up to 50 ms.
    pub fn replying_after(self, reply_ms: f64) -> Self {
        Self { reply_ms, ..self }
    }

    pub fn in_blocks(self, blocks: Blocks) -> Self {
        Self { blocks, ..self }
    }

    /// Active, in a host that declares a render.
    pub fn plugin(&self) -> Result<HostedPlugin> {
        let mut plugin = HostedPlugin::load(&bundles::path(self.format), self.format, Class::NoteEffect)?;
        // Set, so that these tests do not depend on the default.
        plugin.set_param_by_name("Reply delay", self.reply_ms / 50.0)?;
        for (name, text) in &self.params {
            choose(&mut plugin, name, text)?;
        }
        let config = HostConfig { sample_rate: SAMPLE_RATE, max_block_size: session::MAX_BLOCK, offline: true };
        plugin.activate(config)?;
        Ok(plugin)
    }

    /// Plays a script on an audio thread of its own.
    pub fn run(&self, script: &Script) -> Result<(HostedPlugin, Sent)> {
        let mut plugin = self.plugin()?;
        let sent = audio_thread::run(|| script.run(&mut plugin, SAMPLE_RATE, self.blocks, Pace::Fast))?;
        Ok((plugin, sent))
    }

    /// Plays hands over `beats` of a running transport, then stops it.
    pub fn play(&self, hands: &Hands, beats: f64) -> Result<Played> {
        self.play_script(&running(beats).hands(1, hands), hands)
    }

    /// Plays a script in whose second stretch the hands play.
    pub fn play_script(&self, script: &Script, hands: &Hands) -> Result<Played> {
        let (_, sent) = self.run(script)?;
        Ok(Played { reply: (self.reply_ms * 48.0).round() as u64, ..Played::new(sent, hands)? })
    }
}

/// A transport that stands, runs for some beats, and stands.
pub fn running(beats: f64) -> Script {
    Script { stretches: vec![Stretch::stand(0.5), Stretch::play(0.0, beats), Stretch::stand(4.0)], ..Script::default() }
}

/// What came out: the player's notes and the generated ones.
pub struct Played {
    pub sent: Sent,
    /// What the hands played, in order of their starts.
    pub played: Vec<Heard>,
    /// What the network added.
    pub generated: Vec<Heard>,
    /// From a note to its answer, samples.
    pub reply: u64,
}

impl Played {
    /// # Errors
    /// If a note of the hands is missing at its sample.
    pub fn new(sent: Sent, hands: &Hands) -> Result<Self> {
        let mut generated = heard::notes(&sent);
        let mut played = Vec::new();
        for (ms, key) in hands.starts() {
            let found = generated.iter().position(|note| (note.start, note.key) == (at_ms(ms), key));
            let found = found.with_context(|| format!("the key {key} at {ms} ms did not come out at its sample"))?;
            played.push(generated.remove(found));
        }
        Ok(Self { sent, played, generated, reply: REPLY })
    }

    /// The generated notes of a channel.
    pub fn generated_on(&self, channel: u8) -> Vec<Heard> {
        self.generated.iter().filter(|note| note.channel == channel).copied().collect()
    }

    /// Expects every played note on this channel.
    pub fn expect_played_on(&self, channel: u8) -> Result<()> {
        let elsewhere: Vec<_> = self.played.iter().filter(|note| note.channel != channel).collect();
        let (count, all) = (elsewhere.len(), self.played.len());
        ensure!(count == 0, "{count} of {all} played notes are not on channel {channel}: {:?}", elsewhere.first());
        Ok(())
    }

    /// The rules for all that Harmonise adds: no note shorter than 60 ms, no voice struck twice in a 16th, and at most
    /// one answer off the grid in each.
    pub fn expect_sound_harmony(&self) -> Result<()> {
        for note in &self.generated {
            let taken = self.played.iter().any(|played| (played.start, played.key) == (note.end, note.key));
            let is_whole = note.length() >= SHORTEST || taken;
            ensure!(is_whole, "{note:?} is a ghost of {:.1} ms", note.length() as f64 / 48.0);
        }
        let grid = (START + self.reply) as i64;
        let steps_in = |at: u64| (at as i64 - grid).div_euclid(STEP as i64);
        for channel in 0..4 {
            let starts: Vec<_> = self.generated_on(channel).iter().map(|note| note.start).collect();
            let twice = starts.windows(2).find(|pair| steps_in(pair[0]) == steps_in(pair[1]));
            ensure!(twice.is_none(), "channel {channel} is struck twice in a 16th, at {twice:?}");
        }
        let is_off_grid = |at: &u64| (*at as i64 - grid).rem_euclid(STEP as i64) != 0;
        let mut off_grid: Vec<u64> = self.generated.iter().map(|note| note.start).filter(is_off_grid).collect();
        off_grid.dedup();
        let twice = off_grid.windows(2).find(|pair| steps_in(pair[0]) == steps_in(pair[1]));
        ensure!(twice.is_none(), "two answers off the grid in a 16th, at {twice:?}");
        Ok(())
    }

    /// Expects that no generated note starts from `from` up to `to`.
    pub fn expect_nothing_starts(&self, from: u64, to: u64) -> Result<()> {
        let started = self.generated.iter().find(|note| (from..to).contains(&note.start));
        ensure!(started.is_none(), "{started:?} starts, but nothing may start from {from} to {to}");
        Ok(())
    }

    /// Expects the harmony to end at a release: sounding notes end there, or once they are 60 ms old; none starts up to
    /// `until`.
    pub fn expect_harmony_ends(&self, release: u64, until: u64) -> Result<()> {
        for note in self.generated.iter().filter(|note| note.start < release && note.end > release) {
            let latest = release.max(note.start + SHORTEST);
            ensure!(note.end <= latest, "{note:?} sounds on after the release at {release}, at most until {latest}");
        }
        self.expect_nothing_starts(release, until)
    }

    /// Expects generated notes throughout a range, on any channel, except in gaps of 60 ms.
    pub fn expect_harmony(&self, from: u64, to: u64) -> Result<()> {
        heard::cover(&self.generated, from..to, SHORTEST).map_err(anyhow::Error::msg)
    }
}
