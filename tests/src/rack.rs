//! Plays a session into one or several instances, which take turns in each block like the tracks of a DAW. Runs on the
//! caller's thread; `audio_thread` starts a suitable one.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use continuo_model::random::SplitMix64;

use crate::fake_host::{Event, EventKind, HostedPlugin, Transport};
use crate::note_checker::NoteChecker;
pub use crate::pace::Pace;
use crate::pace::Pacer;
use crate::script::{Happening, Script};

/// The sizes of the blocks.
#[derive(Clone, Copy, Debug)]
pub enum Blocks {
    /// All of this size.
    Of(usize),
    /// Random sizes from 1 to this one, from this rng seed.
    Random(usize, u64),
    /// All of this size, each followed by a block without samples.
    WithEmptyBetween(usize),
}

/// The events that an instance sent, in order, each with its sample from the session's start.
pub type Sent = Vec<(u64, EventKind)>;

/// How a session is run.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// In Hz.
    pub sample_rate: f64,
    /// The block sizes.
    pub blocks: Blocks,
    /// How fast blocks follow each other.
    pub pace: Pace,
}

/// The result of a run.
#[derive(Debug)]
pub struct Run {
    /// What each instance sent.
    pub sent: Vec<Sent>,
    /// How late the latest block was, if the pace is live.
    pub latest: Duration,
    /// How long all instances together took for each block.
    pub block_times: Vec<Duration>,
}

/// An instance with its output so far.
struct Player<'a> {
    plugin: &'a mut HostedPlugin,
    checker: NoteChecker,
    sent: Sent,
    /// The ids of the parameters that the session sets, by name.
    params: Vec<(String, u32)>,
}

/// Runs the session. Every instance must be active at the sample rate with blocks as large as `setup` makes them.
///
/// # Errors
/// If an instance fails, or sends notes that are unpaired, unsorted, outside their block, or still sound after a stop
/// or at the end.
pub fn run(script: &Script, plugins: &mut [HostedPlugin], setup: &Setup) -> Result<Run> {
    let bounds = script.bounds(setup.sample_rate);
    let timed = script.timed(&bounds, setup.sample_rate);
    let mut players = plugins.iter_mut().map(|plugin| Player::new(plugin, &timed)).collect::<Result<Vec<_>>>()?;
    let mut sizes = Sizes::new(setup.blocks);
    let mut run = Run { sent: Vec::new(), latest: Duration::ZERO, block_times: Vec::new() };
    let (mut pos, mut next, mut was_playing) = (0, 0, false);
    let pacer = Pacer::start(setup.pace);
    for (stretch, bound) in script.stretches.iter().zip(bounds.windows(2)) {
        while pos < bound[1] {
            let frames = sizes.next().min((bound[1] - pos) as usize);
            let transport = stretch.transport((pos - bound[0]) as f64 / setup.sample_rate, pos as i64);
            let count = timed[next..].iter().take_while(|(at, _)| *at < pos + frames as u64).count();
            let happenings = &timed[next..next + count];
            next += count;
            // A block without samples cannot end notes.
            let stops = frames > 0 && std::mem::replace(&mut was_playing, transport.playing) && !transport.playing;
            let mut block_time = Duration::ZERO;
            for player in &mut players {
                block_time += player.play(pos, frames, &transport, happenings)?;
                if stops {
                    player.checker.expect_all_before_ended();
                }
            }
            if frames > 0 {
                run.block_times.push(block_time);
            }
            pos += frames as u64;
            let late = pacer.wait(Duration::from_secs_f64(pos as f64 / setup.sample_rate));
            run.latest = run.latest.max(late);
        }
    }
    for player in players {
        run.sent.push(player.finish()?);
    }
    Ok(run)
}

impl<'a> Player<'a> {
    fn new(plugin: &'a mut HostedPlugin, timed: &[(u64, Happening)]) -> Result<Self> {
        let mut params: Vec<(String, u32)> = Vec::new();
        for (_, happening) in timed {
            if let Happening::Param(name, _) = happening
                && !params.iter().any(|param| param.0 == *name)
            {
                params.push((name.clone(), plugin.param_by_name(name)?.id));
            }
        }
        Ok(Self { plugin, checker: NoteChecker::new(), sent: Sent::new(), params })
    }

    /// Plays a block that starts at `pos`; returns how long the plugin took.
    fn play(&mut self, pos: u64, frames: usize, time: &Transport, timed: &[(u64, Happening)]) -> Result<Duration> {
        let (mut events, mut params) = (Vec::new(), Vec::new());
        for (at, happening) in timed {
            let timing = (at - pos) as u32;
            match happening {
                Happening::Event(kind) | Happening::InOrder(kind) => events.push(Event { timing, kind: *kind }),
                Happening::Param(name, value) => {
                    let id = self.params.iter().find(|param| param.0 == *name).context("looked up at the start")?.1;
                    params.push((timing, id, *value));
                }
            }
        }
        let clock = Instant::now();
        let block = self.plugin.process(frames, Some(time), &events, &params)?;
        let duration = clock.elapsed();
        self.checker.block(frames, &block.events);
        self.sent.extend(block.events.iter().map(|event| (pos + u64::from(event.timing), event.kind)));
        Ok(duration)
    }

    fn finish(mut self) -> Result<Sent> {
        self.checker.expect_silence();
        self.checker.finish().map_err(anyhow::Error::msg).context("the plugin's output")?;
        Ok(self.sent)
    }
}

/// The sizes of blocks, one after the other.
struct Sizes {
    blocks: Blocks,
    rng: SplitMix64,
    empty_next: bool,
}

impl Sizes {
    fn new(blocks: Blocks) -> Self {
        let rng_seed = if let Blocks::Random(_, rng_seed) = blocks { rng_seed } else { 0 };
        Self { blocks, rng: SplitMix64::new(rng_seed), empty_next: false }
    }

    fn next(&mut self) -> usize {
        match self.blocks {
            Blocks::Of(size) => size,
            Blocks::Random(largest, _) => 1 + self.rng.next_below(largest),
            Blocks::WithEmptyBetween(size) => {
                self.empty_next = !self.empty_next;
                if self.empty_next { size } else { 0 }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_their_sizes() {
        let first = |blocks| {
            let mut sizes = Sizes::new(blocks);
            [(); 4].map(|()| sizes.next())
        };
        assert_eq!(first(Blocks::Of(64)), [64; 4]);
        assert_eq!(first(Blocks::WithEmptyBetween(64)), [64, 0, 64, 0]);
        assert!(first(Blocks::Random(9, 1)).iter().all(|size| (1..=9).contains(size)));
    }
}
