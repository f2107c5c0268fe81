//! Turns: who plays, and on which beat the network enters.

use anyhow::{Context, Result, ensure};
use continuo_tests::fake_host::{EventKind, Format};
use continuo_tests::hands::Hands;
use continuo_tests::script::{Script, Stretch};
use continuo_tests::session::{saved_takes, starts};

use super::chords::taken_down;
use super::playing::*;

/// A bar of 4/4, samples.
const BAR: u64 = 4 * BEAT;

#[test]
fn it_waits_for_staccato_hands_that_are_late() -> Result<()> {
    for format in Format::BOTH {
        for (mode, enter_on) in [("Continue", "Bar"), ("Continue", "Beat"), ("Free", "Bar"), ("Free", "Beat")] {
            for late in [8.0, 15.0, 30.0, 38.0] {
                for length in [50.0, 100.0, 300.0] {
                    let what = || format!("{format}, {mode}, enters on {enter_on}, {late} ms late, {length} ms long");
                    // Sixteen quarters, the first one on time, as Free would play otherwise.
                    let mut hands = Hands::default().note(72, 0.0, length);
                    for n in 1..16 {
                        let start = 500.0 * f64::from(n) + late;
                        hands = hands.note(72 - (n % 5) as u8, start, start + length);
                    }
                    let setting = Setting::new(format, mode).with("Enter on", enter_on);
                    let played = setting.play(&hands, 24.0).with_context(what)?;
                    let last = at_ms(7500.0 + late + length);
                    played.expect_nothing_starts(0, last).with_context(what)?;
                    let first = played.generated.iter().map(|note| note.start).min();
                    ensure!(first == Some(START + 4 * BAR + ENTRY), "{}: it enters at {first:?}", what());
                }
            }
        }
    }
    Ok(())
}

#[test]
fn free_plays_the_first_beat() -> Result<()> {
    for format in Format::BOTH {
        for lookahead in ["1 steps", "2 steps", "16 steps"] {
            for (enter_on, blocks) in [("Bar", BLOCKS[0]), ("Beat", BLOCKS[1]), ("Bar", BLOCKS[2]), ("Bar", BLOCKS[3])]
            {
                for from in [0.0, 16.0] {
                    let what = || format!("{format}, {lookahead}, enters on {enter_on}, from beat {from}, {blocks:?}");
                    let stretches = vec![Stretch::stand(0.5), Stretch::play(from, 8.0), Stretch::stand(1.0)];
                    let script = Script { stretches, ..Script::default() };
                    let setting =
                        Setting::new(format, "Free").plain().with("Lookahead", lookahead).with("Enter on", enter_on);
                    let (_, sent) = setting.in_blocks(blocks).run(&script).with_context(what)?;
                    let starts = starts(&sent);
                    ensure!(starts[0].0 == START, "{}: it begins at {:?}", what(), starts.first());
                    let off_grid = starts.iter().find(|start| !(start.0 - START).is_multiple_of(STEP));
                    ensure!(off_grid.is_none(), "{}: {off_grid:?}", what());
                }
            }
        }
    }
    Ok(())
}

#[test]
fn free_plays_the_first_beat_of_every_pass_of_a_loop() -> Result<()> {
    for format in Format::BOTH {
        for lookahead in ["1 steps", "2 steps", "16 steps"] {
            for announced in [false, true] {
                let loop_range_beats = announced.then_some((4.0, 12.0));
                let round = Stretch { loop_range_beats, ..Stretch::play(4.0, 8.0) };
                let stretches = vec![Stretch::stand(0.5), round, round, round, Stretch::stand(1.0)];
                let script = Script { stretches, ..Script::default() };
                let (_, sent) = Setting::new(format, "Free").with("Lookahead", lookahead).run(&script)?;
                for pass in 0..3 {
                    let bar = START + pass * 2 * BAR;
                    let on_the_beat: Vec<_> = starts(&sent).into_iter().filter(|start| start.0 == bar).collect();
                    ensure!(
                        !on_the_beat.is_empty(),
                        "{format}, {lookahead}, announced {announced}: pass {pass} is silent on its first beat"
                    );
                }
            }
        }
    }
    Ok(())
}

/// A phrase of two bars whose last key is released at `end_ms`; the bars end at 4000 ms.
fn full_phrase(end_ms: f64) -> Hands {
    Hands::tune(&[67, 69, 71, 72, 74, 72, 71], 0.0, 500.0, 10.0).note(69, 3500.0, end_ms)
}

#[test]
fn the_answer_to_a_phrase_that_fills_its_bar_begins_on_the_bar() -> Result<()> {
    for format in Format::BOTH {
        for mode in ["Continue", "Respond"] {
            for (end, enter_on) in [
                (3950.0, "Bar"),
                (4000.0 - OVERLAPS[1], "Bar"),
                (4000.0, "Bar"),
                (4000.0 + OVERLAPS[1], "Beat"),
                (4005.0, "Bar"),
                (4030.0, "Beat"),
            ] {
                for lookahead in ["1 steps", "2 steps", "16 steps"] {
                    let what = || format!("{format}, {mode}, {lookahead}, on {enter_on}, the last key up at {end} ms");
                    let setting = Setting::new(format, mode)
                        .plain()
                        .with("Respond bars", "2 bars")
                        .with("Enter on", enter_on)
                        .with("Lookahead", lookahead);
                    let played = setting.play(&full_phrase(end), 16.0).with_context(what)?;
                    let bar = START + 2 * BAR;
                    let first = played.generated.iter().map(|note| note.start).min().with_context(what)?;
                    ensure!(first == bar + ENTRY, "{}: it enters at {first}, expected {}", what(), bar + ENTRY);
                    let on_entry = played.generated.iter().filter(|note| note.start == bar + ENTRY).count();
                    ensure!(on_entry >= 3, "{}: only {on_entry} voices enter", what());
                    let off_grid = |at: u64| at != bar + ENTRY && !(at - START).is_multiple_of(STEP);
                    let found = played.generated.iter().find(|note| off_grid(note.start));
                    ensure!(found.is_none(), "{}: {found:?} is off the grid", what());
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_key_that_is_down_or_struck_by_the_entry_puts_it_off() -> Result<()> {
    for format in Format::BOTH {
        for (enter_on, expected) in [("Bar", START + 3 * BAR + ENTRY), ("Beat", START + 2 * BAR + BEAT + ENTRY)] {
            for hands in [
                full_phrase(4060.0),
                full_phrase(3990.0).note(67, 4035.0, 4100.0),
                full_phrase(3990.0).note(67, 4005.0, 4020.0),
            ] {
                let setting = Setting::new(format, "Continue").with("Enter on", enter_on);
                let played = setting.play(&hands, 20.0)?;
                let first = played.generated.iter().map(|note| note.start).min();
                ensure!(first == Some(expected), "{format}, enters on {enter_on}: at {first:?}, expected {expected}");
            }
        }
    }
    Ok(())
}

#[test]
fn the_take_holds_a_turns_first_notes_on_the_bar() -> Result<()> {
    for mode in ["Continue", "Respond", "Free"] {
        let setting = Setting::new(Format::Clap, mode).plain().with("Respond bars", "2 bars");
        let script = running(16.0).hands(1, &full_phrase(3950.0));
        let (mut plugin, sent) = setting.run(&script)?;
        let count = starts(&sent).len();
        let takes = taken_down(|| Ok(saved_takes(&mut plugin)?.1), count)?;
        let notes = takes["notes"].as_array().context("expected notes")?;
        let generated = notes.iter().filter(|note| note[0].as_u64() >= Some(16));
        let ticks: Vec<i64> = generated.filter_map(|note| note[3].as_i64()).collect();
        ensure!(ticks.contains(&(8 * 960)), "{mode}: nothing lies on the bar: {ticks:?}");
        let off_grid = ticks.iter().find(|ticks| *ticks % 240 != 0);
        ensure!(off_grid.is_none(), "{mode}: {off_grid:?} is off the grid");
    }
    Ok(())
}

/// A song that begins in 4/4 and changes to another metre at bar 4, with its bars: (start, length), beats.
fn song(metre: (u16, u16), bars_after: usize) -> (Script, Vec<(f64, f64)>) {
    let bar_beats = f64::from(metre.0) * 4.0 / f64::from(metre.1);
    let after =
        Stretch { time_signature: metre, first_bar: (16.0, 4), ..Stretch::play(16.0, bar_beats * bars_after as f64) };
    let stretches = vec![Stretch::stand(0.5), Stretch::play(0.0, 16.0), after, Stretch::stand(2.0)];
    let mut bars: Vec<(f64, f64)> = (0..4).map(|n| (4.0 * f64::from(n), 4.0)).collect();
    bars.extend((0..bars_after).map(|n| (16.0 + bar_beats * n as f64, bar_beats)));
    (Script { stretches, ..Script::default() }, bars)
}

#[test]
fn turns_go_on_through_a_change_of_metre() -> Result<()> {
    for format in Format::BOTH {
        for metre in [(3, 4), (7, 8), (2, 4), (5, 4)] {
            for respond_bars in [1, 2] {
                let what = || format!("{format}, from 4/4 to {}/{}, {respond_bars} bars", metre.0, metre.1);
                let (script, bars) = song(metre, 12);
                let is_players = |bar: usize| (bar / respond_bars).is_multiple_of(2);
                // The player plays on each beat of their bars.
                let mut hands = Hands::default();
                for (_, (start, beats)) in bars.iter().enumerate().filter(|(n, _)| is_players(*n)) {
                    for beat in 0..beats.floor() as usize {
                        let ms = (start + beat as f64) * 500.0;
                        hands = hands.note(72 - beat as u8, ms, ms + 480.0);
                    }
                }
                let text = format!("{respond_bars} bars");
                let setting = Setting::new(format, "Respond").with("Respond bars", &text);
                let played = setting.play_script(&script.hands(1, &hands), &hands).with_context(what)?;
                for (n, (start, beats)) in bars.iter().enumerate() {
                    let range = at_ms(start * 500.0)..at_ms((start + beats) * 500.0);
                    let count = played.generated.iter().filter(|note| range.contains(&note.start)).count();
                    ensure!(
                        is_players(n) == (count == 0),
                        "{}: {count} notes start in bar {n}, which is the {}",
                        what(),
                        if is_players(n) { "player's" } else { "network's" }
                    );
                    let into =
                        played.generated.iter().find(|note| note.sounds_at(range.start) && note.start < range.start);
                    let ends = into.is_none() || !is_players(n);
                    ensure!(ends, "{}: {into:?} sounds into bar {n}, the player's", what());
                }
            }
        }
    }
    Ok(())
}

#[test]
fn the_player_takes_a_turn_back_at_his_sample() -> Result<()> {
    for format in Format::BOTH {
        for mode in ["Continue", "Free"] {
            // Just after the first notes of the turn, and much later.
            for ms in [4041.0, 4060.0, 5300.0] {
                let hands = full_phrase(3950.0).note(76, ms, ms + 400.0);
                let played = Setting::new(format, mode).play(&hands, 12.0)?;
                let at = at_ms(ms);
                let sounding = played.generated.iter().find(|note| note.start < at && note.end > at);
                // A note that has just started may keep its 60 ms.
                let ends = sounding.is_none_or(|note| note.end <= note.start + SHORTEST);
                ensure!(ends, "{format}, {mode}: {sounding:?} sounds on beside the player's note at {at}");
                ensure!(
                    played.generated.iter().any(|note| note.start < at),
                    "{format}, {mode}: nothing was taken back"
                );
                let end = at_ms(ms + 400.0);
                played.expect_nothing_starts(at, end)?;
            }
        }
    }
    Ok(())
}

#[test]
fn nothing_sounds_off_its_sample_in_any_block() -> Result<()> {
    for format in Format::BOTH {
        for mode in ["Continue", "Free", "Respond"] {
            let setting = || Setting::new(format, mode).with("Respond bars", "1 bars");
            let hands = full_phrase(4012.0);
            let first = setting().play(&hands, 20.0)?;
            ensure!(first.sent.iter().any(|(_, kind)| matches!(kind, EventKind::NoteOn { channel: 3, .. })));
            for blocks in BLOCKS {
                ensure!(
                    setting().in_blocks(blocks).play(&hands, 20.0)?.sent == first.sent,
                    "{format}, {mode}, {blocks:?}"
                );
            }
        }
    }
    Ok(())
}
