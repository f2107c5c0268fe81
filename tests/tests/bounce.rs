//! A bounce is what was heard: the same session gives the same music in whichever way a host renders it.

#![forbid(unsafe_code)]

use std::sync::Mutex;
use std::time::Duration;

use anyhow::Result;
use continuo_model::{midi_file, phrase::Phrase};
use continuo_tests::fake_host::{Format, HostedPlugin};
use continuo_tests::script::{Blocks, Happening, Pace, Script, Sent, Stretch};
use continuo_tests::session::{choose, note_effect, starts, value_of};
use continuo_tests::timeline::Timeline;
use continuo_tests::timeline::VOICE_NAMES;

/// A phrase, a turn of the network with automation, the player again, and a loop that repeats twice.
fn session(plugin: &HostedPlugin) -> Result<Script> {
    let in_loop = |from: f64, beats: f64| Stretch {
        loop_range_beats: Some((16.0, 20.0)),
        ..Stretch::play(from, beats).at_tempo(180.0)
    };
    let stretches = vec![
        Stretch::stand(0.5).at_tempo(180.0),
        in_loop(0.0, 20.0),
        in_loop(16.0, 4.0),
        in_loop(16.0, 4.0),
        Stretch::stand(1.0).at_tempo(180.0),
    ];
    let set = |name: &str, value: f64| Happening::Param(name.into(), value);
    Ok(Script { stretches, ..Script::default() }
        .notes(1, "0 67 1, 1 69 1, 2 71 0.5, 2.5 72 0.5, 3 74 0.9, 9.1 76 0.8, 9.9 74 1.3, 11.3 72 0.6")
        .notes(3, "1.1 79 1, 2.1 77 0.5")
        .with(1, 6.0, set("Temperature", 0.9))
        .with(1, 7.3, set("Lookahead", value_of(plugin, "Lookahead", "4 steps")?))
        .with(1, 13.0, set("Rng seed", 0.5)))
}

const MODES: [&str; 4] = ["Continue", "Harmonise", "Respond", "Free"];

/// How a host renders.
struct Way {
    name: &'static str,
    format: Format,
    sample_rate: f64,
    says_offline: bool,
    blocks: Blocks,
    pace: Pace,
}

/// A live run is repeated, a few times at most, if the machine stalled for longer than this.
const STALL: Duration = Duration::from_millis(35);
const MAX_TRIES: usize = 5;
/// One test at a time: others would make a live run late.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn render(way: &Way, mode: &str) -> Result<Sent> {
    let mut last = Sent::new();
    for _ in 0..MAX_TRIES {
        let mut plugin = note_effect(way.format, way.sample_rate, way.says_offline)?;
        choose(&mut plugin, "Mode", mode)?;
        choose(&mut plugin, "Respond bars", "1 bars")?;
        // The answer to a note may take long.
        plugin.set_param_by_name("Reply delay", 1.0)?;
        let script = session(&plugin)?;
        let (sent, late) = script.run_timed(&mut plugin, way.sample_rate, way.blocks, way.pace)?;
        last = sent;
        if late < STALL {
            break;
        }
        eprintln!("{}: the machine stood still for {late:?}; once more", way.name);
    }
    Ok(last)
}

fn midi(sent: &Sent, sample_rate: f64) -> Vec<u8> {
    let mut timeline = Timeline::default();
    for (at, kind) in sent {
        timeline.push(*at as f64 / sample_rate * 3.0, kind);
    }
    midi_file::to_bytes(&Phrase { tempo_bpm: 180.0, time_signature: (4, 4), tracks: timeline.voices() })
}

const REFERENCE: Way = Way {
    name: "offline",
    format: Format::Clap,
    sample_rate: 48_000.0,
    says_offline: true,
    blocks: Blocks::Of(512),
    pace: Pace::Fast,
};

#[test]
fn every_way_of_rendering_gives_the_same_events_and_file() -> Result<()> {
    let _alone = ONE_AT_A_TIME.lock();
    for mode in MODES {
        let expected = render(&REFERENCE, mode)?;
        let num_voices = (0..4).filter(|voice| starts(&expected).iter().any(|start| start.1 == *voice)).count();
        assert_eq!(num_voices, 4, "{mode}");
        assert!(expected.len() > 50, "{mode}: only {} events", expected.len());
        let ways = [
            Way { name: "live", says_offline: false, pace: Pace::Live, ..REFERENCE },
            Way { name: "fast, and silent about it", says_offline: false, ..REFERENCE },
            Way { name: "live, but declared offline", pace: Pace::Live, ..REFERENCE },
            Way { name: "VST3", format: Format::Vst3, ..REFERENCE },
            Way { name: "VST3, fast and silent about it", format: Format::Vst3, says_offline: false, ..REFERENCE },
            Way { name: "blocks of 1", blocks: Blocks::Of(1), ..REFERENCE },
            Way { name: "blocks of 17", blocks: Blocks::Of(17), ..REFERENCE },
            Way { name: "blocks of 64", blocks: Blocks::Of(64), ..REFERENCE },
            Way { name: "blocks of 4096", blocks: Blocks::Of(4096), ..REFERENCE },
            Way { name: "blocks of any size", blocks: Blocks::Random(3000, 5), ..REFERENCE },
        ];
        for way in ways {
            let got = render(&way, mode)?;
            let differs = got.iter().zip(&expected).position(|(a, b)| a != b);
            assert_eq!(
                differs,
                None,
                "{mode}, {}: {:?} for {:?}",
                way.name,
                differs.map(|i| got[i]),
                differs.map(|i| expected[i])
            );
            assert_eq!(got.len(), expected.len(), "{mode}, {}", way.name);
            assert!(midi(&got, 48_000.0) == midi(&expected, 48_000.0), "{mode}, {}", way.name);
        }
    }
    Ok(())
}

#[test]
fn a_second_render_in_the_same_instance_is_the_same() -> Result<()> {
    let _alone = ONE_AT_A_TIME.lock();
    for mode in MODES {
        let mut plugin = note_effect(Format::Clap, 48_000.0, true)?;
        choose(&mut plugin, "Mode", mode)?;
        let script = session(&plugin)?;
        let set = |plugin: &mut HostedPlugin, names: &[&str], values: &[f64]| {
            names.iter().zip(values).try_for_each(|(name, value)| plugin.set_param_by_name(name, *value))
        };
        let names = ["Temperature", "Lookahead", "Rng seed"];
        let ids = names.map(|name| plugin.param_by_name(name).map(|param| param.id));
        let before = ids.into_iter().map(|id| plugin.param_value(id?)).collect::<Result<Vec<_>>>()?;
        let first = script.run(&mut plugin, 48_000.0, Blocks::Of(512), Pace::Fast)?;
        // Automation has moved the parameters; a host moves them back when it starts again.
        set(&mut plugin, &names, &before)?;
        let second = script.run(&mut plugin, 48_000.0, Blocks::Of(512), Pace::Fast)?;
        let differs = second.iter().zip(&first).position(|(a, b)| a != b);
        assert_eq!((differs, second.len()), (None, first.len()), "{mode}");
    }
    Ok(())
}

#[test]
fn other_sample_rates_give_the_same_notes_to_a_sample() -> Result<()> {
    let _alone = ONE_AT_A_TIME.lock();
    for mode in MODES {
        let expected = render(&REFERENCE, mode)?;
        for sample_rate in [44_100.0, 96_000.0] {
            let got = render(&Way { name: "", sample_rate, ..REFERENCE }, mode)?;
            assert_eq!(got.len(), expected.len(), "{mode} at {sample_rate}");
            for ((at, kind), (expected_at, expected_kind)) in got.iter().zip(&expected) {
                assert_eq!(kind, expected_kind, "{mode} at {sample_rate}");
                let off = *at as f64 / sample_rate - *expected_at as f64 / 48_000.0;
                assert!(off.abs() < 1.6 / 44_100.0, "{mode} at {sample_rate}: {kind:?} is off by {off} s");
            }
        }
    }
    Ok(())
}

#[test]
fn four_instances_play_what_one_plays() -> Result<()> {
    let _alone = ONE_AT_A_TIME.lock();
    let render = |emit: &str| -> Result<Vec<(u64, u8, u8)>> {
        let mut plugin = note_effect(Format::Clap, 48_000.0, true)?;
        choose(&mut plugin, "Mode", "Continue")?;
        choose(&mut plugin, "Emit", emit)?;
        let script = session(&plugin)?;
        let sent = script.run(&mut plugin, 48_000.0, Blocks::Of(512), Pace::Fast)?;
        Ok(starts(&sent))
    };
    let mut apart = Vec::new();
    for voice in VOICE_NAMES {
        apart.extend(render(voice)?);
    }
    let mut together = render("All")?;
    apart.sort_unstable();
    together.sort_unstable();
    assert_eq!(apart, together);
    Ok(())
}
