//! Keys whose note-off is lost because the host stops calling: they no longer count as held.

use anyhow::{Result, ensure};
use continuo_tests::audio_thread;
use continuo_tests::fake_host::{Event, EventKind, Format, HostConfig, HostedPlugin};
use continuo_tests::host_clock::HostClock;
use continuo_tests::note_checker::NoteChecker;
use continuo_tests::session;

use super::playing::*;

/// What hosts do between two blocks.
#[derive(Clone, Copy, Debug)]
enum Break {
    StopProcessing,
    Deactivate,
    Reset,
}

fn take_break(plugin: &mut HostedPlugin, what: Break) -> Result<()> {
    match what {
        Break::StopProcessing => plugin.pause(),
        Break::Deactivate => {
            plugin.deactivate();
            plugin.activate(HostConfig { sample_rate: 48_000.0, max_block_size: session::MAX_BLOCK, offline: true })
        }
        Break::Reset => {
            plugin.reset();
            Ok(())
        }
    }
}

/// The numbers of blocks of 480 samples before the break and after it.
const BEFORE: u64 = 100;
const AFTER: u64 = 800;

#[test]
fn a_key_whose_end_is_lost_is_harmonised_no_more() -> Result<()> {
    for format in Format::BOTH {
        for what in [Break::StopProcessing, Break::Deactivate, Break::Reset] {
            for playing in [true, false] {
                for (pedal, lookahead) in [(false, "2 steps"), (true, "2 steps"), (false, "16 steps")] {
                    let mut plugin = Setting::new(format, "Harmonise").with("Lookahead", lookahead).plugin()?;
                    let mut checker = NoteChecker::new();
                    let mut starts = Vec::new();
                    for n in 0..BEFORE + AFTER {
                        if n == BEFORE {
                            take_break(&mut plugin, what)?;
                        }
                        // It resumes at the same position.
                        let transport = HostClock::AT_120.transport(playing, n as i64 * 480);
                        let key = EventKind::NoteOn { channel: 0, key: 72, velocity: 0.7 };
                        let down = EventKind::MidiCc { channel: 0, cc: 64, value: 1.0 };
                        let events: &[EventKind] = match n {
                            10 if pedal => &[key, down],
                            10 => &[key],
                            _ => &[],
                        };
                        let events: Vec<_> = events.iter().map(|kind| Event { timing: 0, kind: *kind }).collect();
                        let block = audio_thread::run(|| plugin.process(480, Some(&transport), &events, &[]))?;
                        checker.block(480, &block.events);
                        let is_start = |event: &&Event| matches!(event.kind, EventKind::NoteOn { .. });
                        starts.extend(block.events.iter().filter(is_start).map(|_| n));
                        if n == BEFORE - 1 {
                            ensure!(checker.sounding().len() == 4, "{format}: {:?}", checker.sounding());
                        }
                    }
                    let after: Vec<_> = starts.iter().filter(|n| **n >= BEFORE).collect();
                    ensure!(
                        after.is_empty(),
                        "{format}, {what:?}, playing {playing}, pedal {pedal}: {} late starts, in blocks {after:?}",
                        after.len()
                    );
                    checker.expect_silence();
                    checker.finish().map_err(|fault| anyhow::anyhow!("{format}, {what:?}: {fault}"))?;
                }
            }
        }
    }
    Ok(())
}
