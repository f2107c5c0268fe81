//! Keys that are held while the transport starts, jumps, loops, or stops.

use anyhow::{Context, Result, ensure};
use continuo_tests::fake_host::Format;
use continuo_tests::hands::Hands;
use continuo_tests::heard::{Heard, notes};
use continuo_tests::script::{Script, Stretch};

use super::playing::*;

const MODES: [&str; 4] = ["Harmonise", "Continue", "Respond", "Free"];

/// Plays a script; returns the note that the player holds from a sample on, and the other notes.
fn play(setting: &Setting, script: &Script, start: u64, key: u8) -> Result<(Heard, Vec<Heard>)> {
    let (_, sent) = setting.run(script)?;
    let mut all = notes(&sent);
    let held =
        all.iter().position(|note| (note.start, note.key) == (start, key)).context("the key did not come out")?;
    let player = all.remove(held);
    Ok((player, all))
}

/// Expects that no generated note sounds through a sample, and that Harmonise continues to harmonise the held key after
/// it.
fn expect_cut_and_harmony(generated: &[Heard], cut: u64, until: u64, mode: &str) -> Result<()> {
    let through = generated.iter().find(|note| note.start < cut && note.end > cut);
    ensure!(through.is_none(), "{through:?} sounds through {cut}");
    let goes_on = generated.iter().any(|note| (cut..until).contains(&note.start));
    ensure!(mode != "Harmonise" || goes_on, "the held key is not harmonised on behind {cut}");
    Ok(())
}

#[test]
fn a_key_that_is_held_when_play_is_pressed_sounds_on() -> Result<()> {
    for format in Format::BOTH {
        for mode in MODES {
            for before in [1.0, 10.0, 40.0, 600.0] {
                let what = || format!("{format}, {mode}, pressed {before} ms before");
                let stretches = vec![Stretch::stand(2.0), Stretch::play(0.0, 7.9), Stretch::stand(4.0)];
                let hands = Hands::default().note(72, 1000.0 - before, 2750.0);
                let script = Script { stretches, ..Script::default() }.hands(0, &hands);
                let (start, end) = (48 * (1000 - before as u64), 48 * 2750);
                let (player, generated) = play(&Setting::new(format, mode), &script, start, 72).with_context(what)?;
                ensure!(player.end == end, "{}: {player:?}, expected an end at {end}", what());
                expect_cut_and_harmony(&generated, 2 * BEAT, end, mode).with_context(what)?;
            }
        }
    }
    Ok(())
}

#[test]
fn a_key_sounds_on_through_jumps_and_loops() -> Result<()> {
    let round =
        |announced: bool| Stretch { loop_range_beats: announced.then_some((4.0, 8.0)), ..Stretch::play(4.0, 4.0) };
    for format in Format::BOTH {
        for mode in MODES {
            for (name, stretches) in [
                ("a jump", vec![Stretch::play(0.0, 4.3), Stretch::play(33.1, 8.0)]),
                ("a jump back", vec![Stretch::play(12.0, 4.0), Stretch::play(4.0, 8.0)]),
                ("a loop", vec![round(true), round(true), round(true)]),
                ("a loop that is not announced", vec![round(false), round(false), round(false)]),
            ] {
                for blocks in BLOCKS {
                    let what = || format!("{format}, {mode}, {name}, {blocks:?}");
                    let cut = START + (stretches[0].beats * BEAT as f64).round() as u64;
                    let all = [vec![Stretch::stand(0.5)], stretches.clone(), vec![Stretch::stand(4.0)]].concat();
                    let hands = Hands::default().note(72, 700.0, 3650.0);
                    let script = Script { stretches: all, ..Script::default() }.hands(1, &hands);
                    let setting = Setting::new(format, mode).in_blocks(blocks);
                    let (player, generated) = play(&setting, &script, at_ms(700.0), 72).with_context(what)?;
                    let end = at_ms(3650.0);
                    ensure!(player.end == end, "{}: {player:?}, expected an end at {end}", what());
                    // Notes may sound across the end of an announced loop.
                    if name != "a loop" {
                        expect_cut_and_harmony(&generated, cut, end, mode).with_context(what)?;
                    }
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_key_on_a_loops_first_sample_sounds() -> Result<()> {
    for format in Format::BOTH {
        for mode in MODES {
            for announced in [false, true] {
                for off in [-1.0, 0.0, 1.0] {
                    let what =
                        || format!("{format}, {mode}, announced {announced}, {off} samples off the loop's start");
                    let loop_range_beats = announced.then_some((4.0, 8.0));
                    let round = Stretch { loop_range_beats, ..Stretch::play(4.0, 4.0) };
                    let stretches = vec![Stretch::stand(0.5), round, round, round, Stretch::stand(4.0)];
                    let ms = 2000.0 + off * OVERLAPS[1];
                    let hands = Hands::default().note(72, ms, 2750.0);
                    let script = Script { stretches, ..Script::default() }.hands(1, &hands);
                    let played = Setting::new(format, mode).play_script(&script, &hands).with_context(what)?;
                    ensure!(played.played[0].end == at_ms(2750.0), "{}: {:?}", what(), played.played);
                    if mode == "Harmonise" {
                        played.expect_harmony(at_ms(ms), at_ms(2750.0)).with_context(what)?;
                        played.expect_harmony_ends(at_ms(2750.0), u64::MAX).with_context(what)?;
                    }
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_stop_ends_a_held_key() -> Result<()> {
    for format in Format::BOTH {
        for mode in MODES {
            // The key is released some time after the stop and struck again.
            let stop = START + 4 * BEAT;
            let hands = Hands::read("1000 on 72, 2600 off 72, 3000 on 71, 3400 off 71");
            let stretches = vec![Stretch::stand(0.5), Stretch::play(0.0, 4.0), Stretch::stand(80.0)];
            let script = Script { stretches, ..Script::default() }.hands(1, &hands);
            let played = Setting::new(format, mode).play_script(&script, &hands)?;
            let ends: Vec<_> = played.played.iter().map(|note| note.end).collect();
            ensure!(ends == [stop, at_ms(3400.0)], "{format}, {mode}: {ends:?}, expected an end at {stop}");
            let between = played.generated.iter().find(|note| note.sounds_at(at_ms(2700.0)));
            ensure!(between.is_none(), "{format}, {mode}: {between:?} sounds though nothing is held");
        }
    }
    Ok(())
}
