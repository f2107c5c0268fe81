//! Faulty hosts and files: each gets a clear error, and no note is lost.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::Result;
use continuo_model::random::SplitMix64;
use continuo_tests::bundles;
use continuo_tests::fake_host::{Class, Event, EventKind, Format, HostConfig, HostedPlugin, Transport};
use continuo_tests::host_clock::HostClock;
use continuo_tests::note_checker::NoteChecker;
use continuo_tests::session::{hosted, note_effect};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name)
}

/// A folder for one test, in cargo's folder for tests.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn jam(args: &[&std::ffi::OsStr]) -> Output {
    let bundles = bundles::path(Format::Clap);
    Command::new(env!("CARGO_BIN_EXE_jam"))
        .arg("--bundle")
        .arg(bundles.parent().expect("a bundle is in a folder"))
        .args(["--offline", "--tempo", "300"])
        .args(args)
        .output()
        .unwrap()
}

#[test]
fn bad_midi_files_are_named_with_what_is_wrong() {
    let out = folder("bad_midi");
    for (name, problem) in [
        ("empty.mid", "expected a MIDI file, got an empty one"),
        ("truncated.mid", "cut short"),
        ("smpte.mid", "SMPTE"),
        ("no_notes.mid", "expected notes, got none"),
        ("none_there.mid", "cannot be opened"),
    ] {
        let output = jam(&[data(name).as_ref(), "--out".as_ref(), out.as_ref()]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{name}");
        assert!(error.contains(name) && error.contains(problem), "{name}: {error}");
        assert!(!error.contains("panicked"), "{error}");
    }
}

/// Real weights, damaged in four ways: (name, bytes, the problem that is reported).
fn spoilt_weights() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let sound = std::fs::read(data("../../weights/chorale.safetensors")).unwrap();
    let replaced = |old: &str, new: &str| {
        assert_eq!(old.len(), new.len());
        let at = sound.windows(old.len()).position(|window| window == old.as_bytes()).unwrap();
        [&sound[..at], new.as_bytes(), &sound[at + old.len()..]].concat()
    };
    vec![
        ("cut.safetensors", sound[..sound.len() / 2].to_vec(), "expected a whole safetensors file"),
        ("vocabulary.safetensors", replaced("fd18f386", "3f2a91c0"), "vocabulary 3f2a91c0, this build needs fd18f386"),
        ("shapes.safetensors", replaced("\\\"lstm\\\":[256]", "\\\"lstm\\\":[128]"), "expected tensor `lstm.0.w_ih`"),
        ("text.safetensors", b"these are no weights".to_vec(), "expected a whole safetensors file"),
    ]
}

#[test]
fn bad_weights_are_named_and_the_shipped_ones_play_on() -> Result<()> {
    let out = folder("bad_weights");
    for (name, bytes, problem) in spoilt_weights() {
        let path = out.join(name);
        std::fs::write(&path, bytes)?;
        let output = jam(&["--weights".as_ref(), path.as_ref(), "--out".as_ref(), out.as_ref()]);
        let (text, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(error.contains(name) && error.contains(problem), "{name}: {error}");
        assert!(text.contains("played by Bach chorales") && text.contains("voices 4"), "{name}: {text}");
        assert!(
            !output.status.success(),
            "{name}: a jam with weights that were not wanted must not look like a success"
        );
    }
    let missing = jam(&["--weights".as_ref(), "none_there.safetensors".as_ref(), "--out".as_ref(), out.as_ref()]);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("expected a weights file there, got nothing"));
    Ok(())
}

fn note(timing: u32, key: u8, on: bool) -> Event {
    let (channel, velocity) = (0, 0.7);
    let kind = if on {
        EventKind::NoteOn { channel, key, velocity }
    } else {
        EventKind::NoteOff { channel, key, velocity: 0.0 }
    };
    Event { timing, kind }
}

#[test]
fn a_host_without_tempo_or_transport_is_played_at_120() -> Result<()> {
    for format in Format::BOTH {
        for (tempo_bpm, pos_beats) in [
            (None, None),
            (Some(120.0), None),
            (Some(0.0), None),
            (Some(0.0), Some(3.0)),
            (None, Some(3.0)),
            (Some(-1.0), Some(3.0)),
            (Some(f64::NAN), None),
            (Some(1e12), Some(3.0)),
        ] {
            let mut plugin = note_effect(format, 48_000.0, false)?;
            let mut checker = NoteChecker::new();
            let mut starts = Vec::new();
            for n in 0..1200_u64 {
                let transport = Transport { playing: true, tempo_bpm, pos_beats, ..Transport::default() };
                // The key is held for two seconds of the twelve.
                let events = match n {
                    20 => vec![note(100, 72, true)],
                    220 => vec![note(100, 72, false)],
                    _ => Vec::new(),
                };
                let block = plugin.process(480, Some(&transport), &events, &[])?;
                checker.block(480, &block.events);
                let is_on = |event: &&Event| matches!(event.kind, EventKind::NoteOn { .. });
                starts.extend(block.events.iter().filter(is_on).map(|e| n * 480 + u64::from(e.timing)));
            }
            let what = format!("{format}, tempo {tempo_bpm:?}, position {pos_beats:?}");
            let first: Vec<_> = starts.iter().take(4).map(|at| at - 9700).collect();
            assert_eq!(first, [0, 1200, 1200, 1200], "{what}: the note and its three answers");
            checker.expect_silence();
            checker.finish().map_err(|fault| anyhow::anyhow!("{what}: {fault}"))?;
        }
    }
    Ok(())
}

#[test]
fn a_reset_and_another_activation_end_what_sounds() -> Result<()> {
    for format in Format::BOTH {
        for activates in [false, true] {
            let config = HostConfig { sample_rate: 48_000.0, max_block_size: 480, offline: true };
            let mut plugin = HostedPlugin::load(&bundles::path(format), format, Class::NoteEffect)?;
            plugin.activate(config)?;
            let mut checker = NoteChecker::new();
            for n in 0..100_i64 {
                let transport = HostClock::AT_120.transport(n < 60, n * 480);
                let events = if n == 10 { vec![note(0, 72, true)] } else { Vec::new() };
                if n == 40 && activates {
                    plugin.activate(HostConfig { sample_rate: 96_000.0, ..config })?;
                } else if n == 40 {
                    plugin.reset();
                }
                let block = plugin.process(480, Some(&transport), &events, &[])?;
                checker.block(480, &block.events);
                if n == 39 {
                    assert_eq!(checker.sounding().len(), 4, "{format}: the note and its answers");
                }
            }
            checker.expect_silence();
            checker.finish().map_err(|fault| anyhow::anyhow!("{format}, activates {activates}: {fault}"))?;
        }
    }
    Ok(())
}

#[test]
fn a_hail_of_notes_leaves_nothing_hanging() -> Result<()> {
    let mut rng = SplitMix64::new(42);
    for format in Format::BOTH {
        let mut plugin = hosted(format, Class::Instrument, 44_100.0, false)?;
        let mut checker = NoteChecker::new();
        let clock = HostClock { sample_rate: 44_100.0, tempo_bpm: 137.0 };
        let mut pos = 0;
        for n in 0..400 {
            let frames = 1 + rng.next_below(8192);
            let mut timings: Vec<_> = (0..rng.next_below(60)).map(|_| rng.next_below(frames) as u32).collect();
            timings.sort_unstable();
            let events: Vec<_> = timings
                .into_iter()
                .map(|timing| note(timing, rng.next_below(128) as u8, rng.next_below(2) == 0))
                .collect();
            let transport = Transport { pos_samples: pos, ..clock.transport(n < 350, pos) };
            // After the stop all keys come up, and free-running time has time to end.
            let events = if n < 350 { events } else { (0..128).map(|key| note(0, key, false)).collect() };
            let block = plugin.process(frames, Some(&transport), &events, &[])?;
            checker.block(frames, &block.events);
            pos += frames as i64;
        }
        checker.expect_silence();
        checker.finish().map_err(|fault| anyhow::anyhow!("{format}: {fault}"))?;
    }
    Ok(())
}

#[test]
fn a_host_that_refuses_events_is_asked_again() -> Result<()> {
    for format in Format::BOTH {
        let mut plugin = note_effect(format, 48_000.0, false)?;
        let mut checker = NoteChecker::new();
        let mut refused = 0;
        for n in 0..400_i64 {
            let transport = HostClock::AT_120.transport(n < 300, n * 512);
            // Keys are struck and released before, while and after the host refuses everything.
            let events = match n {
                0 => vec![note(0, 67, true)],
                60 => vec![note(9, 67, false), note(10, 69, true)],
                120 => vec![note(0, 69, false), note(5, 71, true)],
                250 => vec![note(0, 71, false)],
                _ => Vec::new(),
            };
            plugin.refuse_output((50..150).contains(&n));
            let block = plugin.process(512, Some(&transport), &events, &[])?;
            refused += block.num_refused;
            checker.block(512, &block.events);
        }
        assert!(refused > 10, "{format}: only {refused} events were refused");
        checker.expect_silence();
        checker.finish().map_err(|fault| anyhow::anyhow!("{format}: {fault}"))?;
    }
    Ok(())
}

#[test]
fn ten_thousand_events_a_block_and_a_handful_of_keys_are_taken() -> Result<()> {
    for format in Format::BOTH {
        let mut plugin = HostedPlugin::load(&bundles::path(format), format, Class::NoteEffect)?;
        let config = HostConfig { sample_rate: 48_000.0, max_block_size: 512, offline: true };
        // Activated twice, as some hosts do.
        plugin.activate(config)?;
        plugin.activate(config)?;
        let mut checker = NoteChecker::new();
        for n in 0..300_i64 {
            let events: Vec<Event> = match n {
                // Every key goes down and stays down.
                5 => (0..128).map(|key| note(u32::from(key), key, true)).collect(),
                // A note-on with velocity 0 is a note-off.
                20..30 => (0..10_000_u32)
                    .map(|i| {
                        let kind =
                            EventKind::NoteOn { channel: 0, key: (i % 128) as u8, velocity: (i / 128 % 2) as f32 };
                        Event { timing: i / 20, kind }
                    })
                    .collect(),
                60 => (0..128).map(|key| note(0, key, false)).collect(),
                _ => Vec::new(),
            };
            let transport = HostClock::AT_120.transport(n < 250, n * 512);
            let block = plugin.process(512, Some(&transport), &events, &[])?;
            checker.block(512, &block.events);
        }
        checker.expect_silence();
        checker.finish().map_err(|fault| anyhow::anyhow!("{format}: {fault}"))?;
    }
    Ok(())
}

#[test]
fn a_host_that_plays_before_it_activates_gets_the_notes_through() -> Result<()> {
    // In CLAP the wrapper refuses such a host; in VST3 its calls reach the plugin.
    let mut plugin = HostedPlugin::load(&bundles::path(Format::Vst3), Format::Vst3, Class::NoteEffect)?;
    let config = HostConfig { sample_rate: 48_000.0, max_block_size: 512, offline: false };
    plugin.set_up_without_activating(config)?;
    let mut checker = NoteChecker::new();
    let mut played = Vec::new();
    for n in 0..100_i64 {
        let transport = HostClock::AT_120.transport(n < 90, n * 512);
        let events = match n % 20 {
            3 => vec![note(7, 60 + n as u8 / 20, true)],
            9 => vec![note(7, 60 + n as u8 / 20, false)],
            _ => Vec::new(),
        };
        let block = plugin.process(512, Some(&transport), &events, &[])?;
        checker.block(512, &block.events);
        let is_on = |event: &&Event| matches!(event.kind, EventKind::NoteOn { .. });
        played.extend(block.events.iter().filter(is_on).map(|event| (n, event.timing)));
    }
    assert_eq!(played, [3, 23, 43, 63, 83].map(|n| (n, 7)), "the notes, and no answers");
    checker.expect_silence();
    checker.finish().map_err(anyhow::Error::msg)?;
    // Once activated, it answers.
    plugin.activate(config)?;
    let mut answers = 0;
    for n in 0..100_i64 {
        let transport = HostClock::AT_120.transport(true, n * 512);
        let events = if n % 20 == 3 { vec![note(0, 72, true)] } else { Vec::new() };
        let block = plugin.process(512, Some(&transport), &events, &[])?;
        let answers_a_note = |kind| matches!(kind, EventKind::NoteOn { channel: 1..=3, .. });
        answers += block.events.iter().filter(|event| answers_a_note(event.kind)).count();
    }
    assert!(answers >= 3, "only {answers} answers");
    Ok(())
}
