//! The built bundle plays the same in both formats, both classes and all block sizes.

#![forbid(unsafe_code)]

use anyhow::Result;
use continuo_tests::fake_host::{Class, EventKind, Format, HostedPlugin};
use continuo_tests::host_clock::{BEAT, SAMPLE_RATE};
use continuo_tests::script::{Blocks, Happening, Pace, Script, Sent, Stretch};
use continuo_tests::session::{self, choose, without_expression};
use continuo_tests::timeline::VOICE_NAMES;

/// The default reply delay, 25 ms, samples.
const REPLY: i64 = 1200;
/// How long after the bar the network enters, 40 ms, samples.
const ENTRY: i64 = 1920;

fn hosted(format: Format, class: Class, mode: &str) -> Result<HostedPlugin> {
    // The host declares a render, so that a shared machine is never late. bounce.rs tests hosts that declare none.
    let mut plugin = session::hosted(format, class, SAMPLE_RATE, true)?;
    choose(&mut plugin, "Mode", mode)?;
    Ok(plugin)
}

/// A phrase of two bars, then six bars in which nothing is played, then a stop.
fn phrase() -> Script {
    let stretches = vec![Stretch::stand(0.5), Stretch::play(0.0, 32.0), Stretch::stand(1.0)];
    Script { stretches, ..Script::default() }.notes(1, "0 67 1, 1 69 1, 2 71 1, 3 72 1, 4 74 1.5, 5.5 72 0.5, 6 71 1")
}

fn run(format: Format, class: Class, mode: &str, blocks: Blocks) -> Result<Sent> {
    phrase().run(&mut hosted(format, class, mode)?, SAMPLE_RATE, blocks, Pace::Fast)
}

/// The same without expression: notes exactly on the grid.
fn run_plain(mode: &str) -> Result<Sent> {
    let mut plugin = hosted(Format::Clap, Class::NoteEffect, mode)?;
    without_expression(&mut plugin)?;
    phrase().run(&mut plugin, SAMPLE_RATE, Blocks::Of(512), Pace::Fast)
}

/// The note-ons as (sample since the transport started, channel, key).
fn starts(sent: &Sent) -> Vec<(i64, u8, u8)> {
    let since_start = |(at, channel, key)| (at as i64 - BEAT as i64 / 2, channel, key);
    session::starts(sent).into_iter().map(since_start).collect()
}

#[test]
fn continue_goes_on_in_four_voices_on_the_grid() -> Result<()> {
    let sent = run_plain("Continue")?;
    let (played, generated): (Vec<_>, Vec<_>) = starts(&sent).into_iter().partition(|(at, ..)| *at < 7 * BEAT as i64);
    let keys: Vec<_> = played.iter().map(|(_, channel, key)| (*channel, *key)).collect();
    assert_eq!(keys, [(0, 67), (0, 69), (0, 71), (0, 72), (0, 74), (0, 72), (0, 71)]);
    let first = 8 * BEAT as i64 + ENTRY;
    assert_eq!(generated[0].0, first, "the answer begins with the bar");
    assert!(generated.iter().all(|(at, ..)| *at == first || at % (BEAT as i64 / 4) == 0), "{generated:?}");
    for voice in 0..4 {
        assert!(generated.iter().filter(|(_, channel, _)| *channel == voice).count() > 4, "voice {voice} is idle");
    }
    Ok(())
}

#[test]
fn harmonise_answers_each_note_after_the_reply_delay() -> Result<()> {
    let sent = run_plain("Harmonise")?;
    let starts = starts(&sent);
    let at_first_note: Vec<_> = starts.iter().take_while(|(at, ..)| *at < 2000).collect();
    assert_eq!(at_first_note[0], &(0, 0, 67));
    let mut answer: Vec<_> = at_first_note[1..].iter().map(|(at, channel, _)| (*at, *channel)).collect();
    answer.sort_unstable();
    assert_eq!(answer, [(REPLY, 1), (REPLY, 2), (REPLY, 3)], "three voices, 25 ms later");
    let late = |at: &i64| (at % (BEAT as i64 / 4)) == REPLY;
    assert!(starts.iter().all(|(at, channel, _)| (*channel == 0) != late(at)), "{starts:?}");
    Ok(())
}

#[test]
fn any_voice_may_be_the_players() -> Result<()> {
    for (voice, name, keys) in [(1_u8, "Alto", [64, 62]), (2, "Tenor", [57, 55]), (3, "Bass", [48, 43])] {
        let mut plugin = hosted(Format::Clap, Class::NoteEffect, "Harmonise")?;
        choose(&mut plugin, "Your voice", name)?;
        let stretches = vec![Stretch::stand(0.5), Stretch::play(0.0, 4.0), Stretch::stand(1.0)];
        let notes = format!("0 {} 1, 1 {} 2", keys[0], keys[1]);
        let script = Script { stretches, ..Script::default() }.notes(1, &notes);
        let sent = script.run(&mut plugin, SAMPLE_RATE, Blocks::Of(256), Pace::Fast)?;
        let first: Vec<_> = starts(&sent).into_iter().take_while(|(at, ..)| *at < 2000).collect();
        assert_eq!(first[0], (0, voice, keys[0]));
        assert_eq!(first.len(), 4, "{name}: {first:?}");
        assert!(first[1..].iter().all(|(at, channel, _)| *at == REPLY && *channel != voice), "{name}: {first:?}");
    }
    Ok(())
}

#[test]
fn formats_classes_and_block_sizes_give_the_same_events() -> Result<()> {
    for mode in ["Harmonise", "Continue"] {
        let expected = run(Format::Clap, Class::NoteEffect, mode, Blocks::Of(512))?;
        assert!(expected.len() > 40, "{mode}: only {} events", expected.len());
        for format in Format::BOTH {
            for class in [Class::Instrument, Class::NoteEffect] {
                assert_eq!(run(format, class, mode, Blocks::Of(512))?, expected, "{mode}, {format}, {class:?}");
            }
            for blocks in [Blocks::Of(17), Blocks::Of(64), Blocks::Of(4096), Blocks::Of(8192), Blocks::Random(700, 3)] {
                let got = run(format, Class::NoteEffect, mode, blocks)?;
                assert_eq!(got, expected, "{mode}, {format}, {blocks:?}");
            }
        }
        assert_eq!(
            run(Format::Clap, Class::NoteEffect, mode, Blocks::Of(1))?,
            expected,
            "{mode}, blocks of one sample"
        );
    }
    Ok(())
}

#[test]
fn another_rng_seed_plays_something_else() -> Result<()> {
    let play = |value: f64| -> Result<Sent> {
        let mut plugin = hosted(Format::Clap, Class::NoteEffect, "Continue")?;
        plugin.set_param_by_name("Rng seed", value)?;
        phrase().run(&mut plugin, SAMPLE_RATE, Blocks::Of(512), Pace::Fast)
    };
    assert_eq!(play(0.25)?, play(0.25)?);
    assert_ne!(play(0.25)?, play(0.75)?);
    Ok(())
}

#[test]
fn the_player_takes_the_turn_back_at_once() -> Result<()> {
    let script = phrase().notes(1, "18.3 76 1");
    let mut plugin = hosted(Format::Clap, Class::NoteEffect, "Continue")?;
    let sent = script.run(&mut plugin, SAMPLE_RATE, Blocks::Of(512), Pace::Fast)?;
    let note_at = BEAT / 2 + (18.3 * BEAT as f64).round() as u64;
    let (before, after): (Vec<_>, Vec<_>) = sent.iter().partition(|(at, _)| *at < note_at);
    let count = |events: &[&(u64, EventKind)], on: bool| {
        events.iter().filter(|(_, kind)| matches!(kind, EventKind::NoteOn { .. }) == on).count()
    };
    let open = count(&before, true) - count(&before, false);
    let at_once: Vec<_> = after.iter().take(open + 1).collect();
    assert!(open > 0 && at_once.iter().all(|(at, _)| *at == note_at), "{at_once:?}");
    assert!(matches!(at_once[open].1, EventKind::NoteOn { channel: 0, key: 76, .. }), "{at_once:?}");
    Ok(())
}

#[test]
fn emit_lets_one_voice_out_and_decides_nothing() -> Result<()> {
    for mode in ["Harmonise", "Continue"] {
        // A chord, which takes two voices, and a gap after it.
        let script = phrase().notes(1, "10 72 1, 10 65 1, 12 71 1, 12.1 62 0.8");
        let play = |emit: &str| -> Result<Vec<(i64, u8, u8)>> {
            let mut plugin = hosted(Format::Clap, Class::NoteEffect, mode)?;
            choose(&mut plugin, "Emit", emit)?;
            Ok(starts(&script.run(&mut plugin, SAMPLE_RATE, Blocks::Of(512), Pace::Fast)?))
        };
        let all = play("All")?;
        for (voice, name) in VOICE_NAMES.into_iter().enumerate() {
            let of_voice = |(_, channel, _): &(i64, u8, u8)| usize::from(*channel) == voice;
            let expected: Vec<_> = all.iter().copied().filter(of_voice).collect();
            assert_eq!(play(name)?, expected, "{mode}, {name}");
        }
    }
    Ok(())
}

#[test]
fn state_comes_back() -> Result<()> {
    for format in Format::BOTH {
        let mut plugin = hosted(format, Class::NoteEffect, "Continue")?;
        choose(&mut plugin, "Your voice", "Tenor")?;
        plugin.set_param_by_name("Rng seed", 0.25)?;
        phrase().run(&mut plugin, SAMPLE_RATE, Blocks::Of(512), Pace::Fast)?;
        // The worker records what went out, with some delay.
        let mut state = plugin.save_state()?;
        let has_notes = |state: &[u8]| String::from_utf8_lossy(state).contains(r#"\"notes\":[["#);
        for _ in 0..200 {
            if has_notes(&state) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
            state = plugin.save_state()?;
        }
        assert!(has_notes(&state), "{format}: {}", String::from_utf8_lossy(&state));
        let mut again = HostedPlugin::load(&continuo_tests::bundles::path(format), format, Class::NoteEffect)?;
        again.load_state(&state)?;
        for param in plugin.params() {
            assert_eq!(again.param_value(param.id)?, plugin.param_value(param.id)?, "{format}, {}", param.name);
        }
        assert_eq!(String::from_utf8_lossy(&again.save_state()?), String::from_utf8_lossy(&state), "{format}");
    }
    Ok(())
}

#[test]
fn everything_but_notes_is_passed_through() -> Result<()> {
    let common = [
        (1.5, EventKind::PolyPressure { channel: 0, key: 69, pressure: 0.5 }),
        (2.25, EventKind::MidiCc { channel: 0, cc: 64, value: 1.0 }),
        (3.5, EventKind::ChannelPressure { channel: 5, pressure: 1.0 }),
        (20.0, EventKind::PitchBend { channel: 2, value: 0.0 }),
    ];
    let program = (20.5, EventKind::ProgramChange { channel: 3, program: 19 });
    for format in Format::BOTH {
        // VST3 has no program change towards a plugin.
        let given: Vec<_> = common.into_iter().chain((format == Format::Clap).then_some(program)).collect();
        for bypass in [false, true] {
            let mut plugin = hosted(format, Class::Instrument, "Harmonise")?;
            plugin.set_param_by_name("Bypass", f64::from(u8::from(bypass)))?;
            let add = |script: Script, (at, kind): &(f64, EventKind)| script.with(1, *at, Happening::Event(*kind));
            let script = given.iter().fold(phrase(), add);
            let sent = script.run(&mut plugin, SAMPLE_RATE, Blocks::Of(512), Pace::Fast)?;
            let is_note = |kind: &EventKind| matches!(kind, EventKind::NoteOn { .. } | EventKind::NoteOff { .. });
            let others: Vec<_> = sent
                .iter()
                .filter(|(_, kind)| !is_note(kind))
                .map(|(at, kind)| (*at as f64 / BEAT as f64 - 0.5, *kind))
                .collect();
            // The pedal also holds the answer.
            let expected = given.iter().flat_map(|(at, kind)| match *kind {
                EventKind::MidiCc { cc, value, .. } if !bypass => {
                    (0..4).map(|channel| (*at, EventKind::MidiCc { channel, cc, value })).collect()
                }
                other => vec![(*at, other)],
            });
            assert_eq!(others, expected.collect::<Vec<_>>(), "{format}, bypass {bypass}");
        }
    }
    Ok(())
}

#[test]
fn the_instrument_sounds_and_falls_silent() -> Result<()> {
    let mut plugin = hosted(Format::Clap, Class::Instrument, "Harmonise")?;
    let transport = continuo_tests::fake_host::Transport::default();
    let note =
        continuo_tests::fake_host::Event { timing: 0, kind: EventKind::NoteOn { channel: 0, key: 69, velocity: 0.8 } };
    let end =
        continuo_tests::fake_host::Event { timing: 0, kind: EventKind::NoteOff { channel: 0, key: 69, velocity: 0.0 } };
    let mut loudest = |events: &[_], blocks: usize| -> Result<f32> {
        let mut peak = 0.0_f32;
        for n in 0..blocks {
            let block = plugin.process(480, Some(&transport), if n == 0 { events } else { &[] }, &[])?;
            peak = block.audio.iter().flatten().fold(peak, |peak, sample| peak.max(sample.abs()));
        }
        Ok(peak)
    };
    let held = loudest(&[note], 50)?;
    assert!((0.05..1.0).contains(&held), "a held note sounds at {held}");
    loudest(&[end], 200)?;
    assert_eq!(loudest(&[], 50)?, 0.0, "two seconds after its end nothing sounds");
    Ok(())
}
