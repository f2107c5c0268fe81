//! Transports from friendly to tricky, and random ones: whatever the host does, every note that starts ends, and none
//! is doubled, lost or late.

#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use continuo_model::random::SplitMix64;
use continuo_tests::fake_host::{EventKind, Format, HostedPlugin};
use continuo_tests::hands::Hands;
use continuo_tests::host_clock::{BEAT, Bars, HostClock, SAMPLE_RATE};
use continuo_tests::note_checker::NoteChecker;
use continuo_tests::script::{Blocks, Happening, Pace, Script, Sent, Stretch};
use continuo_tests::session::{choose, note_effect, starts, value_of, with_weights};

const PHRASE: &str = "0 67 1, 1 69 1, 2 71 0.5, 2.5 72 0.5, 3 74 0.9";

fn script(stretches: &[Stretch]) -> Script {
    let mut stretches = stretches.to_vec();
    stretches.insert(0, Stretch::stand(0.5));
    stretches.push(Stretch::stand(1.0));
    Script { stretches, ..Script::default() }.notes(1, PHRASE)
}

/// The graded transports.
fn graded() -> Vec<(&'static str, Script)> {
    let ramp = |to: f64| Stretch { end_tempo_bpm: to, ..Stretch::play(4.0, 8.0) };
    let in_loop = |stretch: Stretch| Stretch { loop_range_beats: Some((4.0, 12.0)), ..stretch };
    vec![
        ("FRIENDLY", script(&[Stretch::play(0.0, 16.0)])),
        ("TEMPO_RAMP", script(&[Stretch::play(0.0, 4.0), ramp(200.0), Stretch::play(12.0, 8.0).at_tempo(200.0)])),
        (
            "LOOP",
            script(&[
                in_loop(Stretch::play(0.0, 12.0)),
                in_loop(Stretch::play(4.0, 8.0)),
                in_loop(Stretch::play(4.0, 8.0)),
            ]),
        ),
        ("JUMP", script(&[Stretch::play(0.0, 9.3), Stretch::play(32.1, 8.0), Stretch::play(-4.0, 8.0)])),
        (
            "PAUSE",
            script(&[Stretch::play(0.0, 9.7), Stretch::stand(2.0), Stretch::play(9.7, 6.0), Stretch::stand(0.1)]),
        ),
        (
            "TRICKY",
            script(&[
                Stretch { time_signature: (7, 8), ..Stretch::play(-3.5, 14.0) },
                Stretch { time_signature: (3, 4), ..Stretch::play(10.5, 6.0).at_tempo(63.7) },
                Stretch::play(10.5, 0.3),
                Stretch::play(10.8, 5.0).at_tempo(311.0),
                Stretch { loop_range_beats: Some((0.1, 0.3)), ..Stretch::play(0.1, 0.2) },
                Stretch { loop_range_beats: Some((0.1, 0.3)), ..Stretch::play(0.1, 0.2) },
                Stretch::play(100_000.0, 4.0),
            ])
            .notes(2, "1 60 2, 1.1 64 2, 1.2 67 3")
            .notes(4, "0.2 72 4"),
        ),
    ]
}

fn plugin(format: Format, mode: &str) -> Result<HostedPlugin> {
    let mut plugin = note_effect(format, SAMPLE_RATE, true)?;
    choose(&mut plugin, "Mode", mode)?;
    Ok(plugin)
}

fn run(script: &Script, format: Format, mode: &str, blocks: Blocks) -> Result<Sent> {
    script.run(&mut plugin(format, mode)?, SAMPLE_RATE, blocks, Pace::Fast)
}

#[test]
fn graded_transports_are_sound_in_every_mode_and_block() -> Result<()> {
    for (name, script) in graded() {
        for mode in ["Harmonise", "Continue", "Respond", "Free"] {
            let what = |blocks| format!("{name}, {mode}, {blocks:?}");
            let first = run(&script, Format::Clap, mode, Blocks::Of(512)).with_context(|| what(Blocks::Of(512)))?;
            for blocks in [Blocks::Of(64), Blocks::Of(4096), Blocks::Random(900, 11)] {
                let again = run(&script, Format::Clap, mode, blocks).with_context(|| what(blocks))?;
                // A block has the tempo of its start, so block sizes do not matter only while the tempo is constant.
                if name != "TEMPO_RAMP" {
                    let differs = again.iter().zip(&first).position(|(a, b)| a != b);
                    let both = differs.map(|i| (again[i], first[i]));
                    assert_eq!((both, again.len()), (None, first.len()), "{}", what(blocks));
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_stop_ends_every_note_on_its_sample() -> Result<()> {
    for mode in ["Harmonise", "Continue", "Free"] {
        let script = script(&[Stretch::play(0.0, 9.7), Stretch::stand(2.0)]).notes(1, "9 76 3");
        let sent = run(&script, Format::Clap, mode, Blocks::Of(512))?;
        let stop = BEAT / 2 + (9.7 * BEAT as f64).round() as u64;
        let ends = sent.iter().filter(|(at, kind)| *at == stop && matches!(kind, EventKind::NoteOff { .. })).count();
        assert!(ends > 0, "{mode}: nothing sounded at the stop");
        assert!(sent.iter().all(|(at, _)| *at <= stop), "{mode}: something was sent after the stop");
    }
    Ok(())
}

/// A phrase, then a loop over beats 8 to 16, repeated `rounds` times.
fn loop_script(rounds: usize) -> Script {
    let in_loop = |from: f64, beats: f64| Stretch { loop_range_beats: Some((8.0, 16.0)), ..Stretch::play(from, beats) };
    let mut stretches = vec![in_loop(0.0, 16.0)];
    stretches.extend(vec![in_loop(8.0, 8.0); rounds]);
    // A performance without a rest at the loop end.
    script(&stretches).with(0, 0.0, Happening::Param("Rng seed".into(), 0.5))
}

/// The notes that start in each round, and those that sound at its end, as (samples into the loop, channel, key).
fn rounds(sent: &Sent, count: usize) -> Vec<Vec<(u64, u8, u8)>> {
    let first = BEAT / 2 + 8 * BEAT;
    (0..count as u64)
        .map(|round| {
            let from = first + round * 8 * BEAT;
            let inside = starts(sent).into_iter().filter(|(at, ..)| (from..from + 8 * BEAT).contains(at));
            inside.map(|(at, channel, key)| (at - from, channel, key)).collect()
        })
        .collect()
}

#[test]
fn a_loop_repeats_or_evolves_without_a_seam() -> Result<()> {
    for format in Format::BOTH {
        let script = loop_script(3);
        let sent = run(&script, format, "Continue", Blocks::Of(512))?;
        let rounds_of = rounds(&sent, 4);
        assert!(rounds_of[1].len() > 8, "{:?}", rounds_of[1]);
        // After the first round, each loop start strikes all four voices, including those that the bar before it held.
        assert_eq!(rounds_of[2], rounds_of[1], "{format}: Repeat plays the same bars again");
        assert_eq!(rounds_of[3], rounds_of[1], "{format}");
        let at_loop_end: Vec<u8> =
            rounds_of[1].iter().filter(|(at, ..)| *at == 0).map(|(_, channel, _)| *channel).collect();
        assert_eq!(at_loop_end.len(), 4, "{format}: at the loop end {at_loop_end:?}");
        let held_over: Vec<_> = rounds_of[0].iter().filter(|start| !rounds_of[1].contains(start)).collect();
        assert!(held_over.is_empty(), "{format}: the first time round has {held_over:?} of its own");

        let mut evolving = plugin(format, "Continue")?;
        choose(&mut evolving, "Loop", "Evolve")?;
        let sent = script.run(&mut evolving, SAMPLE_RATE, Blocks::Of(512), Pace::Fast)?;
        let rounds_of = rounds(&sent, 4);
        assert_ne!(rounds_of[2], rounds_of[1], "{format}: Evolve plays something else");
        assert_ne!(rounds_of[3], rounds_of[2], "{format}");
    }
    Ok(())
}

#[test]
fn a_host_that_runs_over_the_loops_end_gets_the_same_loop() -> Result<()> {
    // The loop ends inside a block of 1100 samples; the next block begins just as far after the loop's start.
    let split = rounds(&run(&loop_script(2), Format::Clap, "Continue", Blocks::Of(1100))?, 3);
    let beats = |samples: f64| samples / BEAT as f64;
    let in_loop = |from: f64, beats: f64| Stretch { loop_range_beats: Some((8.0, 16.0)), ..Stretch::play(from, beats) };
    let stretches = [
        in_loop(0.0, beats(385_000.0)),
        in_loop(8.0 + beats(1_000.0), beats(191_400.0)),
        in_loop(8.0 + beats(400.0), beats(191_600.0)),
    ];
    let script = script(&stretches).with(0, 0.0, Happening::Param("Rng seed".into(), 0.5));
    let sent = run(&script, Format::Clap, "Continue", Blocks::Of(1100))?;
    assert_eq!(rounds(&sent, 3), split);
    Ok(())
}

#[test]
fn respond_keeps_to_its_bars() -> Result<()> {
    let mut plugin = plugin(Format::Clap, "Respond")?;
    choose(&mut plugin, "Respond bars", "1 bars")?;
    let sent = script(&[Stretch::play(0.0, 24.0)]).run(&mut plugin, SAMPLE_RATE, Blocks::Of(512), Pace::Fast)?;
    let generated: Vec<_> =
        starts(&sent).into_iter().map(|(at, ..)| (at - BEAT / 2) / BEAT).filter(|beat| *beat >= 4).collect();
    assert!(generated.len() > 12, "{generated:?}");
    assert!(generated.iter().all(|beat| beat / 4 % 2 == 1), "{generated:?}");
    let last_end = sent.iter().filter(|(at, _)| *at < BEAT / 2 + 12 * BEAT).map(|(at, _)| *at).max();
    assert_eq!(last_end, Some(BEAT / 2 + 8 * BEAT), "its turn ends on the bar line");
    Ok(())
}

#[test]
fn free_plays_without_being_asked_and_yields() -> Result<()> {
    let mut plugin = plugin(Format::Clap, "Free")?;
    let stretches = vec![Stretch::stand(0.5), Stretch::play(0.0, 12.0), Stretch::stand(1.0)];
    let script = Script { stretches, ..Script::default() }.notes(1, "6.4 79 0.5");
    let sent = script.run(&mut plugin, SAMPLE_RATE, Blocks::Of(512), Pace::Fast)?;
    let starts: Vec<_> = starts(&sent)
        .into_iter()
        .map(|(at, channel, key)| ((at - BEAT / 2) as f64 / BEAT as f64, channel, key))
        .collect();
    assert_eq!(starts[0].0, 0.0, "it begins on the first beat");
    assert!(starts.contains(&(6.4, 0, 79)));
    assert!(!starts.iter().any(|(beat, ..)| (6.4..8.0).contains(beat) && *beat != 6.4), "{starts:?}");
    // 40 ms after the bar, as the player might have continued.
    assert!(starts.iter().any(|(beat, ..)| *beat == 8.08), "it takes up again on the bar: {starts:?}");
    Ok(())
}

#[test]
fn input_panic_and_bypass_do_what_they_say() -> Result<()> {
    let notes = |sent: &Sent| starts(sent);
    let base = script(&[Stretch::play(0.0, 12.0)]);
    let mut dropped = plugin(Format::Clap, "Harmonise")?;
    choose(&mut dropped, "Input", "Drop")?;
    let sent = base.run(&mut dropped, SAMPLE_RATE, Blocks::Of(512), Pace::Fast)?;
    assert!(notes(&sent).iter().all(|(_, channel, _)| *channel != 0) && notes(&sent).len() > 5);

    let mut as_it_is = plugin(Format::Clap, "Harmonise")?;
    choose(&mut as_it_is, "Input", "As it is")?;
    choose(&mut as_it_is, "Your voice", "Bass")?;
    let sent = base.run(&mut as_it_is, SAMPLE_RATE, Blocks::Of(512), Pace::Fast)?;
    assert!(notes(&sent).contains(&(BEAT / 2, 0, 67)), "{:?}", notes(&sent));

    let mut panicking = plugin(Format::Clap, "Free")?;
    let script = base.clone().with(1, 9.2, Happening::Param("Panic".into(), 1.0));
    let sent = script.run(&mut panicking, SAMPLE_RATE, Blocks::Of(240), Pace::Fast)?;
    let panic_at = BEAT / 2 + (9.2 * BEAT as f64).round() as u64;
    let sounding = |until: u64| {
        let until_then = sent.iter().filter(|(at, _)| *at <= until);
        until_then.fold(0, |sounding, (_, kind)| match kind {
            EventKind::NoteOn { .. } => sounding + 1,
            EventKind::NoteOff { .. } => sounding - 1,
            _ => sounding,
        })
    };
    assert!(sounding(panic_at - 1) > 0 && sounding(panic_at) == 0);
    let pedal_up = (panic_at, EventKind::MidiCc { channel: 3, cc: 64, value: 0.0 });
    assert!(sent.contains(&pedal_up), "{:?}", sent.iter().filter(|(at, _)| *at == panic_at).collect::<Vec<_>>());

    let mut bypassed = plugin(Format::Clap, "Harmonise")?;
    let on = value_of(&bypassed, "Bypass", "On")?;
    bypassed.set_param_by_name("Bypass", on)?;
    let sent = base.run(&mut bypassed, SAMPLE_RATE, Blocks::Of(512), Pace::Fast)?;
    let keys: Vec<_> = notes(&sent).into_iter().map(|(_, channel, key)| (channel, key)).collect();
    assert_eq!(keys, [(0, 67), (0, 69), (0, 71), (0, 72), (0, 74)]);
    Ok(())
}

/// A session of random stretches, notes and settings.
fn random_script(rng: &mut SplitMix64, plugin: &HostedPlugin) -> Script {
    let mut stretches = vec![Stretch::stand(0.2)];
    let mut pos = rng.next_below(16) as f64 - 4.0;
    for _ in 0..2 + rng.next_below(5) {
        let beats = 0.05 + f64::from(rng.next_f32()) * 6.0;
        let stretch = match rng.next_below(10) {
            0 | 1 => Stretch::stand(beats),
            2 => Stretch::play(f64::from(rng.next_f32()) * 500.0 - 8.0, beats),
            _ => Stretch::play(pos, beats),
        };
        let tempo_bpm = 40.0 + f64::from(rng.next_f32()) * 260.0;
        let (loop_start, loop_beats) = (rng.next_below(8) as f64, 1.0 + rng.next_below(8) as f64);
        stretches.push(Stretch {
            tempo_bpm,
            end_tempo_bpm: if rng.next_below(4) == 0 { 40.0 + f64::from(rng.next_f32()) * 200.0 } else { tempo_bpm },
            time_signature: [(4, 4), (3, 4), (7, 8), (5, 4)][rng.next_below(4)],
            loop_range_beats: (rng.next_below(3) == 0).then_some((loop_start, loop_start + loop_beats)),
            ..stretch
        });
        // Usually it continues where it was.
        pos = if rng.next_below(4) == 0 { loop_start } else { stretch.from_beats.unwrap_or(pos) + beats };
    }
    if rng.next_below(3) == 0 {
        // A loop, played once or more.
        let (from, beats) = (rng.next_below(8) as f64, 1.0 + rng.next_below(4) as f64);
        let loop_range_beats = Some((from, from + beats));
        for _ in 0..2 + rng.next_below(2) {
            stretches.push(Stretch { loop_range_beats, ..Stretch::play(from, beats).at_tempo(150.0) });
        }
    }
    let mut script = Script { stretches, ..Script::default() };
    for stretch in 0..script.stretches.len() {
        let beats = script.stretches[stretch].beats;
        for _ in 0..rng.next_below(8) {
            let start = f64::from(rng.next_f32()) * beats;
            let length = 0.02 + f64::from(rng.next_f32()) * 2.0;
            let key = if rng.next_below(5) == 0 { rng.next_below(128) } else { 48 + rng.next_below(30) };
            script = script.notes(stretch, &format!("{start} {key} {length}"));
        }
        if script.stretches[stretch].end_tempo_bpm == script.stretches[stretch].tempo_bpm {
            for _ in 0..rng.next_below(4) {
                script = script.hands(stretch, &random_hands(rng));
            }
        }
        if rng.next_below(3) == 0 {
            let name = AUTOMATED[rng.next_below(AUTOMATED.len())];
            let steps = plugin.param_by_name(name).map_or(1, |param| param.num_steps.max(1));
            let value = f64::from(rng.next_below(steps as usize + 1) as u32) / f64::from(steps);
            script = script.with(stretch, f64::from(rng.next_f32()) * beats, Happening::Param(name.into(), value));
        }
    }
    // Every key and pedal comes up before the end.
    script.stretches.push(Stretch::stand(40.0).at_tempo(300.0));
    let last = script.stretches.len() - 1;
    (1..=16).fold(script, |script, channel| script.hands(last, &Hands::read(&format!("4000 cc 64 0 c{channel}"))))
}

/// A legato tune, a rolled chord, overlapping notes of one key, or a pedal, on some channel.
fn random_hands(rng: &mut SplitMix64) -> Hands {
    let key = |rng: &mut SplitMix64| 43 + rng.next_below(36) as u8;
    let from_ms = f64::from(rng.next_f32()) * 2000.0;
    let channel = [0, 0, 0, 1, 2, 9][rng.next_below(6)];
    let hands = match rng.next_below(4) {
        0 => {
            let keys: Vec<u8> = (0..2 + rng.next_below(8)).map(|_| key(rng)).collect();
            let overlap = [-10.0, 0.0, continuo_tests::hands::SAMPLE_MS, 5.0, 20.0, 80.0][rng.next_below(6)];
            Hands::tune(&keys, from_ms, 40.0 + f64::from(rng.next_f32()) * 400.0, overlap)
        }
        1 => {
            let keys: Vec<u8> = (0..2 + rng.next_below(4)).map(|_| key(rng)).collect();
            let spread = [0.0, 1.0, 8.0, 30.0][rng.next_below(4)];
            Hands::chord(&keys, from_ms, spread, from_ms + 200.0 + f64::from(rng.next_f32()) * 900.0)
        }
        2 => {
            let (key, second) = (key(rng), [100.0, 300.0][rng.next_below(2)]);
            // A host never uses an id twice.
            let id = rng.next_below(1_000_000);
            let names = if rng.next_below(2) == 0 {
                [String::new(), String::new()]
            } else {
                [0, 1].map(|n| format!("i{}", 2 * id + n))
            };
            let events = [(0.0, "on", 0), (second, "on", 1), (second + 5.0, "off", 0), (700.0, "off", 1)];
            let text =
                events.map(|(ms, what, n): (f64, &str, usize)| format!("{} {what} {key} {}", from_ms + ms, names[n]));
            Hands::read(&text.join(","))
        }
        _ => Hands::read(&format!("{from_ms} cc 64 1 c{}, {} cc 64 0 c{0}", channel + 1, from_ms + 900.0)),
    };
    hands.on_channel(channel)
}

/// The parameters that a random session automates.
const AUTOMATED: [&str; 13] = [
    "Mode",
    "Your voice",
    "Emit",
    "Input",
    "Loop",
    "Lookahead",
    "Reply delay",
    "Panic",
    "Bypass",
    "Hear from",
    "Hear to",
    "Hear channel",
    "Enter on",
];

#[test]
fn five_hundred_random_sessions_are_sound() -> Result<()> {
    let (mut loops, mut compared) = (0, 0);
    for rng_seed in 0..500 {
        let mut rng = SplitMix64::new(rng_seed);
        let format = if rng_seed % 4 == 0 { Format::Vst3 } else { Format::Clap };
        let mode = ["Harmonise", "Continue", "Respond", "Free"][rng.next_below(4)];
        let mut first = plugin(format, mode)?;
        let script = random_script(&mut rng, &first);
        let of_sizes = [Blocks::Of(64), Blocks::Of(512), Blocks::Of(4096), Blocks::Random(2000, rng_seed)];
        let blocks = of_sizes[rng.next_below(4)];
        let what = || format!("rng seed {rng_seed}, {format}, {mode}, {blocks:?}");
        let sent = script.run(&mut first, SAMPLE_RATE, blocks, Pace::Fast).with_context(what)?;
        let comes_round = |pair: &[Stretch]| pair[0].loop_range_beats.is_some() && pair[0] == pair[1];
        loops += usize::from(script.stretches.windows(2).any(comes_round));
        // At a constant tempo block sizes do not matter, with or without automation.
        if rng_seed % 5 == 0 && blocks_do_not_matter(&script) {
            compared += 1;
            let again = script.run(&mut plugin(format, mode)?, SAMPLE_RATE, Blocks::Of(333), Pace::Fast)?;
            let differs = again.iter().zip(&sent).position(|(a, b)| a != b);
            let both = differs.map(|i| (again[i], sent[i]));
            assert_eq!((both, again.len()), (None, sent.len()), "{}", what());
        }
    }
    assert!(loops > 100 && compared > 20, "{loops} sessions with loops, {compared} compared");
    Ok(())
}

/// Whether block sizes cannot matter: the tempo is constant, and no jump is so small that it passes for rounding.
fn blocks_do_not_matter(script: &Script) -> bool {
    let jump = |pair: &[Stretch]| {
        let [before, after] = [0, 1].map(|i| pair[i].from_beats);
        before.zip(after).map_or(0.0, |(before, after)| after - before - pair[0].beats)
    };
    script.stretches.iter().all(|stretch| stretch.end_tempo_bpm == stretch.tempo_bpm)
        && script.stretches.windows(2).all(|pair| !(1e-6..0.05).contains(&jump(pair)))
}

/// Plays blocks of 512 at 120 on a running transport; returns the note-ons as (block, channel, key).
fn play_blocks(
    plugin: &mut HostedPlugin,
    blocks: std::ops::Range<u64>,
    checker: &mut NoteChecker,
) -> Result<Vec<(u64, u8, u8)>> {
    let mut starts = Vec::new();
    for n in blocks {
        let transport = Bars::of((4, 4)).announced_in(HostClock::AT_120.transport(true, n as i64 * 512));
        let block = plugin.process(512, Some(&transport), &[], &[])?;
        checker.block(512, &block.events);
        starts.extend(block.events.iter().filter_map(|event| match event.kind {
            EventKind::NoteOn { channel, key, .. } => Some((n, channel, key)),
            _ => None,
        }));
    }
    Ok(starts)
}

#[test]
fn other_weights_take_over_at_a_bar_and_a_missing_file_changes_nothing() -> Result<()> {
    // The host loads a project while the plugin plays: first one whose file is missing, then one with another network.
    let weights = concat!(env!("CARGO_MANIFEST_DIR"), "/../weights/chorale.safetensors");
    let (half, bars_6) = (190, 570);
    let mut plain = plugin(Format::Clap, "Free")?;
    let mut checker = NoteChecker::new();
    let expected = play_blocks(&mut plain, 0..bars_6, &mut checker)?;
    for (path, changes) in [("no/such.safetensors", false), (weights, true)] {
        let mut plugin = plugin(Format::Clap, "Free")?;
        let mut checker = NoteChecker::new();
        let mut starts = play_blocks(&mut plugin, 0..half, &mut checker)?;
        let state = with_weights(Format::Clap, &plugin.save_state()?, path)?;
        plugin.load_state(&state)?;
        // Reading the file takes time. The music pauses meanwhile and continues where it was.
        std::thread::sleep(std::time::Duration::from_millis(900));
        starts.extend(play_blocks(&mut plugin, half..bars_6, &mut checker)?);
        assert!(String::from_utf8_lossy(&plugin.save_state()?).contains(path), "the project keeps the choice");
        // At the next bar, after one and a bit.
        let differs = starts.iter().zip(&expected).position(|(a, b)| a != b).map(|i| starts[i].0 * 512 / BEAT);
        match differs {
            Some(beat) if changes => assert!((8..12).contains(&beat), "another network took over on beat {beat}"),
            None if !changes => assert_eq!(starts.len(), expected.len()),
            other => panic!("{path}: the music differs from beat {other:?} on"),
        }
        assert!(starts.iter().filter(|start| start.0 > 400).count() > 4, "{path}: it plays on");
        play_stop(&mut plugin, &mut checker)?;
    }
    Ok(())
}

/// Stops the transport; every sounding note must end.
fn play_stop(plugin: &mut HostedPlugin, checker: &mut NoteChecker) -> Result<()> {
    let stopped = HostClock::AT_120.transport(false, 24 * BEAT as i64);
    checker.block(512, &plugin.process(512, Some(&stopped), &[], &[])?.events);
    checker.expect_silence();
    std::mem::take(checker).finish().map_err(anyhow::Error::msg)?;
    Ok(())
}
