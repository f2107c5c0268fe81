//! Every parameter has an effect: with two different values the built bundle sends different notes or different sound.

#![forbid(unsafe_code)]

use anyhow::{Context, Result, ensure};
use continuo_tests::bundles;
use continuo_tests::fake_host::{Class, EventKind, Format, HostConfig, HostedPlugin};
use continuo_tests::hands::Hands;
use continuo_tests::host_clock::SAMPLE_RATE;
use continuo_tests::rack::{Blocks, Pace, Sent};
use continuo_tests::saved_state;
use continuo_tests::script::{Happening, Script, Stretch};
use continuo_tests::session::{choose, saved_takes, with_frozen};

/// What the player plays with either value.
#[derive(Clone, Copy, Debug)]
enum Session {
    /// A tune over two bars on channel 1, and eight more bars.
    Tune,
    /// Nothing for eight bars.
    Nothing,
    /// A loop of two bars, played three times, with a tune in the first round.
    Loop,
    /// As `Nothing`, but the temperature rises in the middle.
    TurnedUp,
    /// As `Nothing`, but the parameter keeps its default until the second bar.
    Later,
    /// As `Nothing`, with a frozen take in the project.
    Frozen,
    /// One held key, for its sound.
    Sound,
}

/// A parameter, two of its values as the plugin shows them, other settings, and what is played.
type Row = (&'static str, [&'static str; 2], &'static [(&'static str, &'static str)], Session);

const FREE: &[(&str, &str)] = &[("Mode", "Free")];
/// The highest temperature.
const WILD: &[(&str, &str)] = &[("Mode", "Free"), ("Temperature", "2.00"), ("Top-p", "1.00")];
/// Only notes of a scale.
const SNAPPED: &[(&str, &str)] = &[("Mode", "Free"), ("Key", "C major"), ("Key snap", "On")];
/// A custom scale, to which a note is added: without any all notes are allowed.
const CUSTOM: &[(&str, &str)] = &[("Mode", "Free"), ("Scale", "Custom"), ("Key snap", "On")];
const CONTINUE: &[(&str, &str)] = &[("Mode", "Continue")];

/// Changes nothing that is sent: see `device.rs`.
const DEVICE: &str = "Device";

/// One row for each other parameter, in any order.
const TABLE: &[Row] = &[
    ("Mode", ["Harmonise", "Continue"], &[], Session::Tune),
    ("Your voice", ["Soprano", "Bass"], &[], Session::Tune),
    ("Respond bars", ["1 bars", "2 bars"], &[("Mode", "Respond")], Session::Tune),
    ("Input", ["As voice", "Drop"], &[], Session::Tune),
    ("Hear from", ["C-1", "C6"], &[], Session::Tune),
    ("Hear to", ["G9", "C2"], &[], Session::Tune),
    ("Hear channel", ["All", "2"], &[], Session::Tune),
    ("Enter on", ["Bar", "Beat"], CONTINUE, Session::Tune),
    ("Loop", ["Repeat", "Evolve"], CONTINUE, Session::Loop),
    ("Emit", ["All", "Alto"], &[], Session::Tune),
    ("Temperature", ["0.20", "1.50"], FREE, Session::Nothing),
    ("Top-p", ["0.05", "1.00"], &[("Mode", "Free"), ("Temperature", "2.00")], Session::Nothing),
    ("Adaptive temperature", ["0.00", "1.00"], FREE, Session::Nothing),
    ("Rests", ["0.00", "2.00"], WILD, Session::Nothing),
    ("Holds", ["0.20", "2.00"], FREE, Session::Nothing),
    ("Key", ["C major", "F sharp major"], FREE, Session::Nothing),
    ("Scale", ["Lydian", "Blues"], SNAPPED, Session::Nothing),
    ("Custom scale C", ["Off", "On"], CUSTOM, Session::Nothing),
    ("Custom scale C sharp", ["Off", "On"], CUSTOM, Session::Nothing),
    ("Custom scale D", ["Off", "On"], CUSTOM, Session::Nothing),
    ("Custom scale E flat", ["Off", "On"], CUSTOM, Session::Nothing),
    ("Custom scale E", ["Off", "On"], CUSTOM, Session::Nothing),
    ("Custom scale F", ["Off", "On"], CUSTOM, Session::Nothing),
    ("Custom scale F sharp", ["Off", "On"], CUSTOM, Session::Nothing),
    ("Custom scale G", ["Off", "On"], CUSTOM, Session::Nothing),
    ("Custom scale A flat", ["Off", "On"], CUSTOM, Session::Nothing),
    ("Custom scale A", ["Off", "On"], CUSTOM, Session::Nothing),
    ("Custom scale B flat", ["Off", "On"], CUSTOM, Session::Nothing),
    ("Custom scale B", ["Off", "On"], CUSTOM, Session::Nothing),
    ("Key snap", ["Off", "On"], &[("Mode", "Free"), ("Key", "C major"), ("Temperature", "2.00")], Session::Nothing),
    // On other lengths the phrase may close where Cadence closes it.
    ("Cadence", ["Off", "On"], &[("Mode", "Free"), ("Phrases", "8 bars")], Session::Later),
    ("End", ["Off", "On"], FREE, Session::Later),
    ("Phrases", ["2 bars", "4 bars"], FREE, Session::Nothing),
    ("Density", ["Sparse", "Busy"], FREE, Session::Nothing),
    ("Register", ["Low", "High"], FREE, Session::Nothing),
    ("Dynamics", ["0 %", "100 %"], FREE, Session::Nothing),
    ("Humanise", ["0 %", "100 %"], FREE, Session::Nothing),
    ("Swing", ["Off", "8ths"], FREE, Session::Nothing),
    ("Swing amount", ["55 %", "70 %"], &[("Mode", "Free"), ("Swing", "8ths")], Session::Nothing),
    ("Strict parts", ["Off", "On"], WILD, Session::Nothing),
    ("Lookahead", ["1 steps", "16 steps"], FREE, Session::TurnedUp),
    ("Reply delay", ["5.0 ms", "25.0 ms"], &[], Session::Tune),
    ("Rng seed", ["1", "2"], FREE, Session::Nothing),
    ("Freeze soprano", ["Off", "On"], FREE, Session::Frozen),
    ("Freeze alto", ["Off", "On"], FREE, Session::Frozen),
    ("Freeze tenor", ["Off", "On"], FREE, Session::Frozen),
    ("Freeze bass", ["Off", "On"], FREE, Session::Frozen),
    ("Preview", ["Off", "On"], &[], Session::Sound),
    ("Panic", ["Off", "On"], FREE, Session::Later),
    ("Bypass", ["Off", "On"], &[], Session::Tune),
];

/// What a host receives.
#[derive(Debug, PartialEq)]
struct Heard {
    sent: Sent,
    /// Whether the instrument sounded.
    sounds: bool,
}

/// The value that shows `text`, found on a grid as fine as the steps of any parameter.
fn value_of(plugin: &HostedPlugin, name: &str, text: &str) -> Result<f64> {
    let param = plugin.param_by_name(name)?;
    let steps = if param.num_steps > 0 { param.num_steps } else { 10_000 };
    let mut values = (0..=steps).map(|step| f64::from(step) / f64::from(steps));
    let found = values.find(|value| plugin.param_text(param.id, *value).is_ok_and(|shown| shown == text));
    found.with_context(|| format!("{name}: expected a value that shows `{text}`, got none"))
}

fn set(plugin: &mut HostedPlugin, name: &str, text: &str) -> Result<()> {
    let value = value_of(plugin, name, text)?;
    plugin.set_param_by_name(name, value)
}

fn activate(plugin: &mut HostedPlugin) -> Result<()> {
    let config = HostConfig { sample_rate: SAMPLE_RATE, max_block_size: 512, offline: true };
    plugin.activate(config)
}

fn script(plugin: &HostedPlugin, session: Session, name: &str, text: &str) -> Result<Script> {
    let plays = |stretches: &[Stretch]| {
        let all = [&[Stretch::stand(0.5)], stretches, &[Stretch::stand(4.0)]].concat();
        Script { stretches: all, ..Script::default() }
    };
    // The last key is released in the middle of a bar, so that the next bar and the next beat differ.
    let tune = Hands::tune(&[67, 69, 71, 72, 74, 72], 0.0, 500.0, -10.0);
    Ok(match session {
        Session::Tune => plays(&[Stretch::play(0.0, 40.0)]).hands(1, &tune),
        Session::Nothing | Session::Frozen => plays(&[Stretch::play(0.0, 32.0)]),
        Session::Loop => {
            let round = Stretch { loop_range_beats: Some((0.0, 8.0)), ..Stretch::play(0.0, 8.0) };
            plays(&[round, round, round]).hands(1, &tune)
        }
        Session::TurnedUp => {
            let up = Happening::Param("Temperature".into(), value_of(plugin, "Temperature", "2.00")?);
            plays(&[Stretch::play(0.0, 32.0)]).with(1, 8.1, up)
        }
        Session::Later => {
            let value = Happening::Param(name.into(), value_of(plugin, name, text)?);
            plays(&[Stretch::play(0.0, 32.0)]).with(1, 4.6, value)
        }
        Session::Sound => plays(&[Stretch::play(0.0, 4.0)]).hands(1, &Hands::default().note(69, 0.0, 1500.0)),
    })
}

/// A project whose frozen take is what the plugin plays with another rng seed.
fn frozen_project() -> Result<Vec<u8>> {
    let mut plugin = HostedPlugin::load(&bundles::path(Format::Clap), Format::Clap, Class::NoteEffect)?;
    for (name, text) in [("Mode", "Free"), ("Rng seed", "77")] {
        set(&mut plugin, name, text)?;
    }
    activate(&mut plugin)?;
    let script = script(&plugin, Session::Nothing, "", "")?;
    let sent = script.run(&mut plugin, SAMPLE_RATE, Blocks::Of(512), Pace::Fast)?;
    let count = continuo_tests::session::starts(&sent).len();
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let takes = loop {
        let takes = saved_takes(&mut plugin)?.1;
        if takes["notes"].as_array().context("expected notes")?.len() == count {
            break takes;
        }
        ensure!(std::time::Instant::now() < patience, "expected {count} notes in the project");
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    with_frozen(Format::Clap, &plugin.save_state()?, &takes)
}

/// Plays the session of a row with one of its values.
fn play(format: Format, row: &Row, text: &str) -> Result<Heard> {
    let (name, _, others, session) = *row;
    let class = if matches!(session, Session::Sound) { Class::Instrument } else { Class::NoteEffect };
    let mut plugin = HostedPlugin::load(&bundles::path(format), format, class)?;
    if matches!(session, Session::Frozen) {
        let frozen = saved_state::read(Format::Clap, &frozen_project()?)?;
        plugin.load_state(&saved_state::write(format, &frozen))?;
        set(&mut plugin, "Rng seed", "1")?;
    }
    for (name, text) in others {
        set(&mut plugin, name, text)?;
    }
    if !matches!(session, Session::Later) {
        set(&mut plugin, name, text)?;
    }
    activate(&mut plugin)?;
    let script = script(&plugin, session, name, text)?;
    if matches!(session, Session::Sound) {
        return Ok(Heard { sent: Sent::new(), sounds: sounds(&mut plugin)? });
    }
    Ok(Heard { sent: script.run(&mut plugin, SAMPLE_RATE, Blocks::Of(512), Pace::Fast)?, sounds: false })
}

/// Whether a held key is heard.
fn sounds(plugin: &mut HostedPlugin) -> Result<bool> {
    let note =
        continuo_tests::fake_host::Event { timing: 0, kind: EventKind::NoteOn { channel: 0, key: 69, velocity: 0.8 } };
    let transport = continuo_tests::fake_host::Transport::default();
    let mut loudest = 0.0_f32;
    for n in 0..20 {
        let events = if n == 0 { vec![note] } else { Vec::new() };
        let block = plugin.process(480, Some(&transport), &events, &[])?;
        loudest = block.audio.iter().flatten().fold(loudest, |loudest, sample| loudest.max(sample.abs()));
    }
    Ok(loudest > 0.01)
}

#[test]
fn every_parameter_changes_what_is_sent_or_what_sounds() -> Result<()> {
    let mut without_effect = Vec::new();
    for format in Format::BOTH {
        for row in TABLE {
            let (name, values, ..) = row;
            let [one, other] = values.map(|text| play(format, row, text));
            let what = || format!("{format}, {name}");
            let (one, other) = (one.with_context(what)?, other.with_context(what)?);
            // Nothing else has changed: the same value plays the same.
            ensure!(play(format, row, values[1])? == other, "{}: one value gave two results", what());
            if one == other {
                without_effect.push(format!("{} at {values:?}", what()));
            }
        }
    }
    ensure!(without_effect.is_empty(), "without effect: {without_effect:#?}");
    Ok(())
}

#[test]
fn every_parameter_is_in_the_table() -> Result<()> {
    for format in Format::BOTH {
        for class in [Class::Instrument, Class::NoteEffect] {
            let plugin = HostedPlugin::load(&bundles::path(format), format, class)?;
            let mut names: Vec<String> = plugin.params().into_iter().map(|param| param.name).collect();
            let mut in_table: Vec<String> = TABLE.iter().map(|row| row.0).chain([DEVICE]).map(String::from).collect();
            names.sort();
            in_table.sort();
            ensure!(names == in_table, "{format}, {class:?}: expected a row for each of {names:?}, got {in_table:?}");
        }
    }
    Ok(())
}

#[test]
fn an_answer_leaves_hands_time_to_fit_in() -> Result<()> {
    for format in Format::BOTH {
        let mut plugin = HostedPlugin::load(&bundles::path(format), format, Class::NoteEffect)?;
        let param = plugin.param_by_name("Reply delay")?;
        let text = plugin.param_text(param.id, param.default_normalised)?;
        ensure!(text == "25.0 ms", "{format}: the default is {text}");
        choose(&mut plugin, "Mode", "Harmonise")?;
        activate(&mut plugin)?;
        let script = script(&plugin, Session::Tune, "", "")?;
        let sent = script.run(&mut plugin, SAMPLE_RATE, Blocks::Of(512), Pace::Fast)?;
        let starts = continuo_tests::session::starts(&sent);
        let answer: Vec<_> = starts.iter().filter(|start| start.1 > 0).take(3).map(|start| start.0).collect();
        ensure!(answer == [12_000 + 1200; 3], "{format}: the first note at 12000 is answered at {answer:?}");
    }
    Ok(())
}
