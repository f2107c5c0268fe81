//! Our layers between the host and nice-plug, in both formats: parameters between blocks, dropped instances, names,
//! blocks without samples or audio, SysEx, hosts that accept only MIDI, projects of version 0.1.0.

use std::thread;

use anyhow::{Result, ensure};
use continuo_tests::audio_thread;
use continuo_tests::bundles;
use continuo_tests::fake_host::{Block, Class, Event, EventKind, Format, HostConfig, HostedPlugin};
use continuo_tests::host_clock::SAMPLE_RATE;
use continuo_tests::rack::{Blocks, Pace};
use continuo_tests::saved_state;
use continuo_tests::script::{Script, Stretch};
use continuo_tests::session::{choose, hosted};

const CLASSES: [Class; 2] = [Class::Instrument, Class::NoteEffect];
const CONFIG: HostConfig = HostConfig { sample_rate: SAMPLE_RATE, max_block_size: 512, offline: false };

fn on(timing: u32, key: u8) -> Event {
    Event { timing, kind: EventKind::NoteOn { channel: 0, key, velocity: 0.7 } }
}

fn off(timing: u32, key: u8) -> Event {
    Event { timing, kind: EventKind::NoteOff { channel: 0, key, velocity: 0.0 } }
}

fn sysex(timing: u32, bytes: &'static [u8]) -> Event {
    Event { timing, kind: EventKind::SysEx { bytes } }
}

/// An instance that passes everything through.
fn bypassed(format: Format, class: Class) -> Result<HostedPlugin> {
    let mut plugin = HostedPlugin::load(&bundles::path(format), format, class)?;
    plugin.set_param_by_name("Bypass", 1.0)?;
    plugin.activate(CONFIG)?;
    Ok(plugin)
}

/// What an instance shows for a parameter, and what another instance shows after loading its state.
fn shown_and_saved(plugin: &mut HostedPlugin, name: &str) -> Result<[f64; 2]> {
    let id = plugin.param_by_name(name)?.id;
    let shown = plugin.param_value(id)?;
    let state = plugin.save_state()?;
    let mut other = HostedPlugin::load(&bundles::path(Format::Vst3), Format::Vst3, Class::NoteEffect)?;
    other.load_state(&state)?;
    Ok([shown, other.param_value(id)?].map(|value| (value * 1000.0).round() / 1000.0))
}

#[test]
fn a_parameter_that_is_set_between_blocks_is_shown_and_saved() -> Result<()> {
    let name = "Temperature";
    let mut plugin = hosted(Format::Vst3, Class::NoteEffect, SAMPLE_RATE, false)?;
    let id = plugin.param_by_name(name)?.id;
    let play = |plugin: &mut HostedPlugin, changes: &[_]| {
        audio_thread::run(|| plugin.process(64, None, &[], changes)).map(|_| ())
    };
    let expect = |plugin: &mut HostedPlugin, value: f64, when: &str| -> Result<()> {
        let got = shown_and_saved(plugin, name)?;
        ensure!(got == [value, value], "{when}: expected {value}, got {got:?}");
        Ok(())
    };
    plugin.set_param_without_block(name, 0.25)?;
    expect(&mut plugin, 0.25, "set before the first block")?;
    play(&mut plugin, &[(0, id, 0.25)])?;
    plugin.set_param_without_block(name, 0.5)?;
    plugin.set_param_without_block(name, 0.75)?;
    expect(&mut plugin, 0.75, "set twice after a block")?;
    plugin.set_param_without_block(name, 0.125)?;
    play(&mut plugin, &[(0, id, 0.375), (32, id, 0.625)])?;
    expect(&mut plugin, 0.625, "changed in a block")?;
    // A value that the host tells the editor late is out of date: a block would have brought it.
    plugin.set_param_without_block(name, 0.125)?;
    play(&mut plugin, &[])?;
    expect(&mut plugin, 0.625, "a block without it")?;
    plugin.deactivate();
    expect(&mut plugin, 0.625, "a block without it, then a stop")?;
    plugin.activate(CONFIG)?;
    play(&mut plugin, &[])?;
    plugin.set_param_without_block(name, 0.875)?;
    plugin.deactivate();
    plugin.activate(CONFIG)?;
    play(&mut plugin, &[])?;
    expect(&mut plugin, 0.875, "set, then a stop and a start")?;
    let state = plugin.save_state()?;
    plugin.set_param_without_block(name, 0.125)?;
    plugin.load_state(&state)?;
    expect(&mut plugin, 0.875, "set, then a state is loaded")
}

#[test]
fn an_instance_may_end_right_after_a_change_in_a_block() -> Result<()> {
    let drop_many = |format: Format, class: Class| -> Result<()> {
        for n in 0..24 {
            let mut plugin = HostedPlugin::load(&bundles::path(format), format, class)?;
            let id = plugin.param_by_name("Temperature")?.id;
            // Most instances stay inactive, as reading the weights takes longest.
            if n % 4 == 0 || format == Format::Clap {
                plugin.activate(CONFIG)?;
            } else {
                plugin.set_up_without_activating(CONFIG)?;
            }
            let changes: Vec<_> = (0..500).map(|timing| (timing, id, f64::from(timing % 7) / 10.0)).collect();
            let mut plugin = audio_thread::run(move || -> Result<HostedPlugin> {
                for _ in 0..3 {
                    plugin.process(512, None, &[], &changes)?;
                }
                Ok(plugin)
            })?;
            plugin.deactivate();
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = Format::BOTH
            .into_iter()
            .flat_map(|format| CLASSES.map(|class| scope.spawn(move || drop_many(format, class))))
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("no panic"))
    })
}

#[test]
fn parameters_for_controllers_have_the_names_that_hosts_pass_over() -> Result<()> {
    for class in CLASSES {
        let plugin = HostedPlugin::load(&bundles::path(Format::Vst3), Format::Vst3, class)?;
        let names = plugin.hidden_params();
        ensure!(names.len() == 16 * 130, "{} hidden parameters", names.len());
        for (n, name) in names.iter().enumerate() {
            ensure!(*name == format!("MIDI CC {}|{}", n / 130, n % 130), "number {n}: {name}");
        }
    }
    Ok(())
}

#[test]
fn both_formats_show_the_same_texts() -> Result<()> {
    let load = |format| HostedPlugin::load(&bundles::path(format), format, Class::NoteEffect);
    let (clap, vst3) = (load(Format::Clap)?, load(Format::Vst3)?);
    let text = |plugin: &HostedPlugin, id| -> Result<Vec<String>> {
        [0.0, 0.3, 1.0].into_iter().map(|value| plugin.param_text(id, value)).collect()
    };
    for param in clap.params() {
        ensure!(text(&clap, param.id)? == text(&vst3, param.id)?, "{}: {:?}", param.name, text(&vst3, param.id)?);
    }
    let lookahead = vst3.param_by_name("Lookahead")?.id;
    ensure!(vst3.param_text(lookahead, 0.0)? == "1 steps", "{}", vst3.param_text(lookahead, 0.0)?);
    Ok(())
}

#[test]
fn what_comes_in_a_block_without_samples_is_not_lost() -> Result<()> {
    for format in Format::BOTH {
        for class in CLASSES {
            for withhold in [false, true] {
                let mut plugin = bypassed(format, class)?;
                let temperature = plugin.param_by_name("Temperature")?.id;
                plugin.withhold_audio(withhold);
                let pedal = Event { timing: 0, kind: EventKind::MidiCc { channel: 3, cc: 64, value: 1.0 } };
                let nothing = plugin.process(0, None, &[on(0, 60), pedal], &[(0, temperature, 0.25)])?;
                plugin.process(0, None, &[on(0, 62)], &[])?;
                ensure!(nothing.events.is_empty(), "{format}, {class:?}: {:?}", nothing.events);
                let value = plugin.param_value(temperature)?;
                ensure!((value - 0.25).abs() < 1e-6, "{format}, {class:?}: the parameter is {value}");
                plugin.withhold_audio(false);
                let mut events = plugin.process(64, None, &[on(5, 64)], &[])?.events;
                // Controllers may come before notes of their sample in VST3.
                events.sort_by_key(|event| (event.timing, matches!(event.kind, EventKind::MidiCc { .. })));
                ensure!(events == [on(0, 60), on(0, 62), pedal, on(5, 64)], "{format}, {class:?}: {events:?}");
                // Only once.
                let again = plugin.process(64, None, &[], &[])?.events;
                ensure!(again.is_empty(), "{format}, {class:?}: {again:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_block_without_audio_buffers_is_played() -> Result<()> {
    for format in Format::BOTH {
        let mut plugin = bypassed(format, Class::Instrument)?;
        plugin.withhold_audio(true);
        let events = plugin.process(64, None, &[on(3, 60), off(40, 60)], &[])?.events;
        ensure!(events == [on(3, 60), off(40, 60)], "{format}: {events:?}");
    }
    Ok(())
}

/// The same in every instance: bytes that a message of any length consists of.
fn long_message() -> &'static [u8] {
    let middle = (0..100_000_u32).map(|n| (n % 128) as u8);
    Vec::leak([0xf0].into_iter().chain(middle).chain([0xf7]).collect())
}

#[test]
fn sysex_passes_in_order() -> Result<()> {
    let (short, long): (&[u8], _) = (&[0xf0, 0x7e, 0x7f, 0x09, 0x01, 0xf7], long_message());
    for format in Format::BOTH {
        for class in CLASSES {
            let mut plugin = bypassed(format, class)?;
            let temperature = plugin.param_by_name("Temperature")?.id;
            let events = [sysex(0, short), on(10, 60), sysex(20, long), off(30, 60), on(30, 62), sysex(63, short)];
            // The change splits the block in two.
            for changes in [&[][..], &[(25, temperature, 0.5)]] {
                let block = plugin.process(64, None, &events, changes)?;
                ensure!(block.events == events, "{format}, {class:?}: {}", kinds(&block));
                plugin.process(64, None, &[off(0, 62)], &[])?;
            }
            let alone = plugin.process(64, None, &[sysex(7, long), sysex(7, short)], &[])?;
            ensure!(alone.events == [sysex(7, long), sysex(7, short)], "{format}, {class:?}: {}", kinds(&alone));
            // Its bytes belong to the host, so it cannot wait for a block with samples.
            let at_once = plugin.process(0, None, &[sysex(0, short)], &[])?;
            ensure!(at_once.events == [sysex(0, short)], "{format}, {class:?}: {}", kinds(&at_once));
        }
    }
    Ok(())
}

/// Without the bytes of long messages.
fn kinds(block: &Block) -> String {
    let text = |event: &Event| match event.kind {
        EventKind::SysEx { bytes } => format!("{} SysEx of {}", event.timing, bytes.len()),
        kind => format!("{} {kind:?}", event.timing),
    };
    block.events.iter().map(text).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_host_that_takes_midi_alone_gets_every_note() -> Result<()> {
    let stretches = vec![Stretch::stand(0.5), Stretch::play(0.0, 16.0), Stretch::stand(1.0)];
    let script = Script { stretches, ..Script::default() }.notes(1, "0 67 1, 1 69 1, 2 71 1, 3 72 1, 4 74 1.5");
    for mode in ["Harmonise", "Continue"] {
        let play = |midi_alone: bool| -> Result<Vec<(u64, bool, u8, u8)>> {
            let mut plugin = hosted(Format::Clap, Class::NoteEffect, SAMPLE_RATE, true)?;
            choose(&mut plugin, "Mode", mode)?;
            plugin.take_midi_alone(midi_alone);
            let sent = script.run(&mut plugin, SAMPLE_RATE, Blocks::Of(512), Pace::Fast)?;
            let note = |(at, kind): &(u64, EventKind)| match *kind {
                EventKind::NoteOn { channel, key, .. } => Some((*at, true, channel, key)),
                EventKind::NoteOff { channel, key, .. } => Some((*at, false, channel, key)),
                _ => None,
            };
            Ok(sent.iter().filter_map(note).collect())
        };
        let (clap, midi) = (play(false)?, play(true)?);
        ensure!(clap.len() > 40 && midi == clap, "{mode}: {} events, {} in MIDI", clap.len(), midi.len());
    }
    Ok(())
}

#[test]
fn a_full_queue_is_not_taken_for_a_host_of_midi_alone() -> Result<()> {
    let mut plugin = bypassed(Format::Clap, Class::NoteEffect)?;
    plugin.refuse_output(true);
    let refused = plugin.process(64, None, &[on(0, 60), off(20, 60)], &[])?;
    ensure!(refused.num_refused > 0 && refused.events.is_empty(), "{refused:?}");
    plugin.refuse_output(false);
    // MIDI would round the velocity to 89 of 127.
    let events = plugin.process(64, None, &[on(5, 62)], &[])?.events;
    ensure!(events.contains(&on(5, 62)), "{events:?}");
    // A host that has accepted CLAP events gets no MIDI when its queue is full.
    plugin.refuse_output(true);
    let refused = plugin.process(64, None, &[on(5, 64)], &[])?;
    ensure!(refused.num_refused == 1, "{refused:?}");
    Ok(())
}

#[test]
fn a_host_of_midi_alone_is_not_asked_twice() -> Result<()> {
    let mut plugin = bypassed(Format::Clap, Class::NoteEffect)?;
    plugin.take_midi_alone(true);
    let first = plugin.process(64, None, &[on(5, 60), on(6, 62), off(7, 60)], &[])?;
    ensure!(first.events.len() == 3 && first.num_refused == 1, "{first:?}");
    let next = plugin.process(64, None, &[off(7, 62)], &[])?;
    ensure!(next.events.len() == 1 && next.num_refused == 0, "{next:?}");
    Ok(())
}

#[test]
fn a_project_of_0_1_0_loads() -> Result<()> {
    for format in Format::BOTH {
        for class in CLASSES {
            let mut plugin = HostedPlugin::load(&bundles::path(format), format, class)?;
            plugin.load_state(&saved_state::of_version_0_1_0(format)?)?;
            for (name, text) in [
                ("Mode", "Harmonise"),
                ("Key", "G major"),
                ("Temperature", "0.60"),
                ("Top-p", "0.91"),
                ("Rests", "0.50"),
                ("Lookahead", "4 steps"),
                ("Reply delay", "15.0 ms"),
                ("Rng seed", "2500"),
            ] {
                let id = plugin.param_by_name(name)?.id;
                let got = plugin.param_text(id, plugin.param_value(id)?)?;
                ensure!(got == text, "{format}, {name}: expected {text}, got {got}");
            }
            let saved = String::from_utf8_lossy(&plugin.save_state()?).into_owned();
            ensure!(saved.contains("shipped:chorale"), "{format}: {saved}");
            plugin.activate(CONFIG)?;
            plugin.process(64, None, &[], &[])?;
        }
    }
    Ok(())
}
