//! The key: the network plays in the player's, or in the one that is set, and in the chosen scale.

#![forbid(unsafe_code)]

use anyhow::{Result, ensure};
use continuo_model::key;
use continuo_tests::fake_host::{Class, Format, HostedPlugin};
use continuo_tests::heard::{Heard, notes};
use continuo_tests::host_clock::{BEAT, SAMPLE_RATE};
use continuo_tests::keys::{BOUNDS, KeyJam, LEAST_BEATS, MODES, Shares};
use continuo_tests::rack::{Blocks, Pace};
use continuo_tests::script::{Script, Stretch};
use continuo_tests::session::{choose, hosted};

/// Two bars of E flat major, a second of which is left open at the end.
const IN_E_FLAT: &str = "0 63 .5, .5 65 .5, 1 67 .5, 1.5 68 .5, 2 70 1, 3 67 1, 4 72 1, 5 70 .5, 5.5 68 .5, 6 67 .5, \
                         6.5 65 .5, 7 63 .7";

fn instance(params: &[(&str, &str)]) -> Result<HostedPlugin> {
    let mut plugin = hosted(Format::Clap, Class::NoteEffect, SAMPLE_RATE, true)?;
    for (name, text) in [("Input", "Drop")].iter().chain(params) {
        choose(&mut plugin, name, text)?;
    }
    Ok(plugin)
}

fn run(plugin: &mut HostedPlugin, script: &Script) -> Result<Vec<Heard>> {
    Ok(notes(&script.run(plugin, SAMPLE_RATE, Blocks::Of(512), Pace::Fast)?))
}

/// Plays for `beats` from the song's start, between two stretches in which the transport stands.
fn session(beats: f64) -> Script {
    Script { stretches: vec![Stretch::stand(0.5), Stretch::play(0.0, beats), Stretch::stand(2.0)], ..Script::default() }
}

fn classes(notes: &[Heard]) -> u16 {
    notes.iter().fold(0, |classes, note| classes | 1 << (note.key % 12))
}

/// Checks 20 of a mode's jams against the bounds of the key table; `cargo xtask bench --keys` plays all 540.
fn check(mode: &'static str) -> Result<()> {
    let shares = Shares::measure("bach", None, KeyJam::all(mode).step_by(27))?;
    let (mean, most) = (shares.mean(), shares.nine_of_ten());
    let found = format!("{mode}: outside the key for {mean:.3} on average and {most:.3} in nine of ten jams");
    ensure!(mean < BOUNDS.0 && most < BOUNDS.1, "{found}; the worst: {:?}", shares.worst());
    let beats = shares.fewest_beats();
    ensure!(beats >= LEAST_BEATS, "{mode}: a jam with {beats} beats of notes tells nothing");
    Ok(())
}

#[test]
fn the_network_stays_in_the_players_key() -> Result<()> {
    MODES.into_iter().try_for_each(check)
}

#[test]
fn a_snap_on_auto_follows_the_player() -> Result<()> {
    let mut plugin = instance(&[("Mode", "Continue"), ("Key snap", "On"), ("Scale", "Major pentatonic")])?;
    let all = run(&mut plugin, &session(48.0).notes(1, IN_E_FLAT))?;
    ensure!(all.len() > 40 && classes(&all) & !key::transposed(0b10_1001_0101, 3) == 0, "{all:?}");
    Ok(())
}

#[test]
fn scales_are_those_that_are_set() -> Result<()> {
    let free = |params: &[(&str, &str)]| -> Result<u16> {
        let snap = [("Mode", "Free"), ("Key snap", "On"), ("Temperature", "2.00")];
        // The temperature has more steps than its texts.
        let mut plugin = instance(&[&snap[..2], params].concat())?;
        plugin.set_param_by_name(snap[2].0, 1.0)?;
        Ok(classes(&run(&mut plugin, &session(64.0))?))
    };
    let in_d = ("Key", "D major");
    let (d_dorian, d_blues) = (0b1010_1011_0101, 0b11_1010_0101);
    assert_eq!(free(&[in_d, ("Scale", "Dorian")])?, d_dorian);
    assert_eq!(free(&[in_d, ("Scale", "Blues")])?, d_blues);
    let custom = [("Scale", "Custom"), ("Custom scale C", "On"), ("Custom scale F sharp", "On")];
    assert_eq!(free(&[in_d, custom[0], custom[1], custom[2]])?, 0b100_0001);
    // Without notes the custom scale allows all.
    let all = free(&[in_d, custom[0]])?;
    assert!(all & !key::scale(2) != 0, "{all:b}");
    Ok(())
}

#[test]
fn a_stop_forgets_the_key() -> Result<()> {
    let mut plugin = instance(&[("Mode", "Free")])?;
    let fresh = run(&mut plugin, &session(32.0))?;
    let mut plugin = instance(&[("Mode", "Free")])?;
    let after_a_phrase = run(&mut plugin, &session(32.0).notes(1, IN_E_FLAT))?;
    ensure!(fresh != after_a_phrase && !fresh.is_empty(), "the phrase matters");
    assert_eq!(run(&mut plugin, &session(32.0))?, fresh);
    Ok(())
}

#[test]
fn each_round_of_a_loop_has_the_key_that_it_had() -> Result<()> {
    // The phrase ends outside the key in which it begins, so that its last bar would be remembered.
    let phrase = "0 63 1, 1 65 1, 2 67 1, 3 68 1, 4 66 1, 5 68 1, 6 71 1, 7 73 .7";
    for mode in ["Respond", "Harmonise"] {
        let (beats, rounds) = (16.0, 4);
        let stretch = Stretch { loop_range_beats: Some((0.0, beats)), ..Stretch::play(0.0, beats) };
        let mut stretches = vec![Stretch::stand(0.5)];
        stretches.extend([stretch; 4]);
        stretches.push(Stretch::stand(2.0));
        let mut script = Script { stretches, ..Script::default() };
        for round in 1..=rounds {
            script = script.notes(round, phrase);
        }
        let mut plugin = instance(&[("Mode", mode), ("Respond bars", "2 bars")])?;
        let all = run(&mut plugin, &script)?;
        let round = |n: u64| -> Vec<Heard> {
            let start = BEAT / 2 + n * beats as u64 * BEAT;
            let within = all.iter().filter(|note| (start..start + beats as u64 * BEAT).contains(&note.start));
            within.map(|note| Heard { start: note.start - start, end: note.end - start, ..*note }).collect()
        };
        ensure!(round(0).len() > 10, "{mode}: {} notes", round(0).len());
        for n in 1..rounds as u64 {
            assert_eq!(round(n), round(0), "{mode}, round {n}");
        }
    }
    Ok(())
}
