//! Expression through the built bundle: the network's loudness, accents and swing are the player's, and a bounce has
//! them too.

#![forbid(unsafe_code)]

use anyhow::{Result, ensure};
use continuo_model::random::SplitMix64;
use continuo_tests::answers::{STANDS, Start, instance, play, session_of, starts};
use continuo_tests::fake_host::{Format, HostedPlugin};
use continuo_tests::host_clock::SAMPLE_RATE;
use continuo_tests::rack::{Blocks, Pace, Sent};
use continuo_tests::script::{Script, Stretch};
use continuo_tests::session::{choose, without_expression};

const KEYS: [u8; 16] = [67, 69, 71, 72, 74, 72, 71, 69, 71, 72, 74, 76, 74, 71, 69, 67];

/// What the network answers to a tune in quarters of one velocity.
fn answer_to(plugin: &mut HostedPlugin, quarters: usize, velocity: f32) -> Result<Vec<Start>> {
    let mut script = session_of(quarters as f64 + 32.0, 120.0);
    for (n, key) in KEYS.iter().cycle().take(quarters).enumerate() {
        script = play(script, 1, *key, (n as f64, n as f64 + 0.9), velocity);
    }
    let found = starts(&script.run(plugin, SAMPLE_RATE, Blocks::Of(512), Pace::Fast)?, 120.0);
    ensure!(found.len() > 20, "only {} notes", found.len());
    Ok(found)
}

/// The notes without the first chord, which waits for a player who is a little late.
fn after_entry(notes: &[Start]) -> impl Iterator<Item = &Start> {
    let entry = notes.first().map_or(0.0, |note| note.beats);
    notes.iter().filter(move |note| note.beats > entry + 0.1)
}

fn mean(numbers: impl Iterator<Item = f64>) -> f64 {
    let all: Vec<f64> = numbers.collect();
    all.iter().sum::<f64>() / all.len() as f64
}

#[test]
fn the_network_plays_as_loud_as_the_player() -> Result<()> {
    const LEVELS: [f32; 5] = [0.2, 0.35, 0.5, 0.65, 0.8];
    for (style, mode, quarters) in [("bach", "Continue", 8), ("bach", "Harmonise", 32), ("folk", "Continue", 8)] {
        let mut means = Vec::new();
        for level in LEVELS {
            let notes = answer_to(&mut instance(Format::Clap, style, mode, true)?, quarters, level)?;
            let loudness = mean(notes.iter().map(|note| f64::from(note.velocity)));
            ensure!(
                (loudness / 127.0 / f64::from(level) - 1.0).abs() < 0.15,
                "{style}, {mode}: {loudness} for {level}"
            );
            let [softest, loudest] = [notes.iter().map(|n| n.velocity).min(), notes.iter().map(|n| n.velocity).max()];
            ensure!(loudest > softest, "{style}, {mode}: all notes are equally loud");
            means.push(loudness);
        }
        ensure!(means.is_sorted_by(|a, b| a < b), "{style}, {mode}: {means:?}");
    }
    Ok(())
}

#[test]
fn without_expression_every_note_is_on_the_grid_and_as_loud_as_the_player() -> Result<()> {
    for (style, mode, quarters) in [("bach", "Continue", 8), ("folk", "Continue", 8)] {
        let mut plugin = instance(Format::Clap, style, mode, true)?;
        without_expression(&mut plugin)?;
        // The average of the player's velocities is as good as there after this many notes.
        let notes = answer_to(&mut plugin, 4 * quarters, 0.7)?;
        let off_grid = |note: &&Start| (note.beats * 4.0 - (note.beats * 4.0).round()).abs() > 1e-3;
        ensure!(after_entry(&notes).filter(off_grid).count() == 0, "{style}: off the grid");
        ensure!(notes.iter().all(|note| note.velocity.abs_diff(89) <= 1), "{style}: {notes:?}");
        // The same keys as with expression.
        let keys = |notes: &[Start]| notes.iter().map(|note| (note.lane, note.key)).collect::<Vec<_>>();
        let mut expressive = instance(Format::Clap, style, mode, true)?;
        let with = answer_to(&mut expressive, 4 * quarters, 0.7)?;
        let sorted = |notes: &[Start]| {
            let mut keys = keys(notes);
            keys.sort_unstable();
            keys
        };
        ensure!(sorted(&with) == sorted(&notes), "{style}: expression changed the notes");
    }
    Ok(())
}

/// Two bars of eighths with this ratio, but for the last beat. Hands are up to 8 ms early or late.
fn lick(script: Script, stretch: usize, ratio: f64, tempo_bpm: f64, rng: &mut SplitMix64) -> Script {
    let mut at = |beats: f64| {
        let seconds = 0.008 * f64::from(rng.next_f32() - rng.next_f32());
        (beats + seconds * tempo_bpm / 60.0).max(0.0)
    };
    let onsets: Vec<f64> = (0..7).flat_map(|beat| [f64::from(beat), f64::from(beat) + ratio]).map(&mut at).collect();
    let ends = onsets.iter().skip(1).copied().chain([7.0]);
    let notes: Vec<(f64, f64)> = onsets.iter().copied().zip(ends).collect();
    notes.iter().zip(KEYS).fold(script, |script, (span, key)| play(script, stretch, key, *span, 0.7))
}

/// The mean position of the network's offbeat eighths, as a part of the beat, and how many there are.
fn answered_ratio(notes: &[Start]) -> (f64, usize) {
    let inside: Vec<f64> =
        notes.iter().map(|n| n.beats - n.beats.floor()).filter(|p| (0.42..0.79).contains(p)).collect();
    (mean(inside.iter().copied()), inside.len())
}

#[test]
fn a_swung_lick_is_answered_swung_and_a_straight_one_straight() -> Result<()> {
    let mut rng = SplitMix64::new(5);
    for (style, on_grid) in [("bach", true), ("folk", true), ("performed-piano", false), ("well-tempered", false)] {
        for tempo_bpm in [90.0, 120.0, 180.0] {
            // Styles that are not on the grid may answer straight notes with triplets.
            for ratio in [0.5, 0.6, 0.667, 0.72].into_iter().filter(|ratio| on_grid || *ratio > 0.5) {
                let mut plugin = instance(Format::Clap, style, "Continue", true)?;
                choose(&mut plugin, "Density", "Lively")?;
                let script = lick(session_of(72.0, tempo_bpm), 1, ratio, tempo_bpm, &mut rng);
                let sent = script.run(&mut plugin, SAMPLE_RATE, Blocks::Of(512), Pace::Fast)?;
                let notes = starts(&sent, tempo_bpm);
                let (answered, count) = answered_ratio(&notes);
                println!("{style} {tempo_bpm} {ratio}: {answered:.3} {count}");
                ensure!(count >= 8, "{style}, {tempo_bpm}, {ratio}: only {count} offbeats in {} notes", notes.len());
                ensure!((answered - ratio).abs() < 0.1, "{style}, {tempo_bpm} bpm: {answered:.3} for {ratio}");
                if !on_grid {
                    continue;
                }
                // Straight notes are late by humanising alone: a quarter of four ticks at most.
                let late = |note: &Start| note.beats * 4.0 - (note.beats * 4.0 + 1e-3).floor();
                let is_straight = after_entry(&notes).all(|note| late(note) < 1.5 / 24.0);
                ensure!(is_straight == (ratio == 0.5), "{style}, {tempo_bpm} bpm, {ratio}: straight is {is_straight}");
            }
        }
    }
    Ok(())
}

#[test]
fn each_round_of_a_loop_has_the_same_velocities_and_ticks() -> Result<()> {
    let (beats, rounds) = (32.0, 4);
    let round = Stretch { loop_range_beats: Some((0.0, beats)), ..Stretch::play(0.0, beats) };
    let stretches = [vec![Stretch::stand(STANDS)], vec![round; rounds], vec![Stretch::stand(2.0)]].concat();
    for (mode, plays_in) in [("Continue", 1), ("Harmonise", rounds), ("Respond", rounds)] {
        let mut script = Script { stretches: stretches.clone(), ..Script::default() };
        for n in 1..=plays_in {
            // The same hands in each round.
            script = lick(script, n, 0.66, 120.0, &mut SplitMix64::new(2));
        }
        let mut plugin = instance(Format::Clap, "bach", mode, true)?;
        plugin.set_param_by_name("Dynamics", 1.0)?;
        plugin.set_param_by_name("Humanise", 1.0)?;
        let sent = script.run(&mut plugin, SAMPLE_RATE, Blocks::Of(512), Pace::Fast)?;
        let notes = starts(&sent, 120.0);
        let in_round = |n: usize| -> Vec<(u64, u8, u8, u8)> {
            let start = n as f64 * beats;
            let inside = notes.iter().filter(|note| (start..start + beats).contains(&(note.beats + 1e-6)));
            let sample = |note: &Start| ((note.beats - start) * SAMPLE_RATE / 2.0).round() as u64;
            inside.map(|note| (sample(note), note.lane, note.key, note.velocity)).collect()
        };
        // In Continue the first round has the player's phrase in place of music.
        let first = usize::from(mode == "Continue");
        ensure!(in_round(first).len() > 20, "{mode}: {} notes", in_round(first).len());
        for n in first + 1..rounds {
            assert_eq!(in_round(n), in_round(first), "{mode}, round {n}");
        }
    }
    Ok(())
}

#[test]
fn a_bounce_has_the_expression_that_was_heard_live() -> Result<()> {
    let tempo_bpm = 180.0;
    for mode in ["Continue", "Harmonise", "Free"] {
        let render = |format: Format, frames: usize, pace: Pace, offline: bool| -> Result<Sent> {
            let mut plugin = instance(format, "bach", mode, offline)?;
            plugin.set_param_by_name("Dynamics", 1.0)?;
            plugin.set_param_by_name("Humanise", 1.0)?;
            plugin.set_param_by_name("Reply delay", 1.0)?;
            let script = lick(session_of(20.0, tempo_bpm), 1, 0.66, tempo_bpm, &mut SplitMix64::new(9));
            script.run(&mut plugin, SAMPLE_RATE, Blocks::Of(frames), pace)
        };
        let expected = render(Format::Clap, 512, Pace::Fast, true)?;
        let ticks: Vec<f64> = starts(&expected, tempo_bpm).iter().map(|n| n.beats * 96.0).collect();
        let off_grid = ticks.iter().filter(|tick| (*tick / 24.0 - (*tick / 24.0).round()).abs() > 0.01).count();
        ensure!(ticks.len() > 10 && off_grid > 4, "{mode}: {off_grid} of {} notes are off the grid", ticks.len());
        for format in Format::BOTH {
            for frames in [64, 512] {
                let bounced = render(format, frames, Pace::Fast, true)?;
                ensure!(bounced == expected, "{mode}, {format}, blocks of {frames}: the bounce differs");
            }
        }
        // Live, on a machine that stalls now and then.
        let mut live = Sent::new();
        for _ in 0..5 {
            if live != expected {
                live = render(Format::Clap, 256, Pace::Live, false)?;
            }
        }
        ensure!(live == expected, "{mode}: live playing differs from the bounce");
    }
    Ok(())
}
