//! Two hands, and drones: the left hand is the bass, and the network plays the voices between.

use anyhow::{Context, Result, ensure};
use continuo_tests::fake_host::Format;
use continuo_tests::hands::Hands;
use continuo_tests::heard;

use super::playing::*;

/// Expects the player on the outer voices, and alto and tenor sounding all the time from `from` to `to`.
fn expect_inner_voices(played: &Played, (from, to): (u64, u64)) -> Result<()> {
    played.expect_sound_harmony()?;
    let outer = played.generated.iter().find(|note| [0, 3].contains(&note.channel) && (from..to).contains(&note.start));
    ensure!(outer.is_none(), "{outer:?} is invented beside the hand that plays this voice");
    for channel in [1, 2] {
        let share = heard::share(&played.generated_on(channel), from..to);
        ensure!(share > 0.85, "channel {channel} sounds in {:.0} % of the time", 100.0 * share);
    }
    Ok(())
}

#[test]
fn the_left_hand_is_the_bass() -> Result<()> {
    let right = [72, 74, 76, 77, 76, 74, 72, 71];
    for format in Format::BOTH {
        for voice in ["Soprano", "Bass"] {
            // An octave and more below, or closer and below the alto's range.
            for (left, low) in [([48, 43, 45, 48], 0), ([47, 43, 45, 48], 14)] {
                // Above a bass, a key in the tenor's range is the tenor.
                if (voice, low) == ("Bass", 14) {
                    continue;
                }
                for overlap in [-30.0, 0.0, 20.0] {
                    let tune: Vec<u8> = right.iter().map(|key| key - low).collect();
                    let what = || format!("{format}, {voice}, {left:?} under {tune:?}, overlap {overlap} ms");
                    let hands = Hands::tune(&tune, 0.0, 500.0, overlap).with(&Hands::tune(&left, 0.0, 1000.0, overlap));
                    let setting = Setting::new(format, "Harmonise").with("Your voice", voice);
                    let played = setting.play(&hands, 10.0).with_context(what)?;
                    for note in &played.played {
                        let channel = if note.key < 50 { 3 } else { 0 };
                        ensure!(note.channel == channel, "{}: expected channel {channel}, got {note:?}", what());
                    }
                    // Between detached notes no key is held.
                    if overlap >= 0.0 {
                        expect_inner_voices(&played, (at_ms(0.0) + REPLY, at_ms(4000.0))).with_context(what)?;
                    }
                }
            }
        }
    }
    Ok(())
}

#[test]
fn hands_that_are_not_quite_together_are_two_hands() -> Result<()> {
    // The left hand is a little early or late on every note but the first, as a lone key is the tune.
    let right = Hands::tune(&[72, 74, 76, 77], 1000.0, 500.0, 10.0);
    for format in Format::BOTH {
        for off in [-15.0, -5.0, 5.0, 15.0, 40.0] {
            let left = Hands::tune(&[43, 45, 48, 50], 1000.0 + off, 500.0, 10.0);
            let together = Hands::default().note(71, 0.0, 1010.0).note(47, 0.0, 1010.0 + off);
            let hands = together.with(&right).with(&left);
            let played = Setting::new(format, "Harmonise").play(&hands, 8.0)?;
            let what = || format!("{format}, the left hand {off} ms behind the right");
            for note in &played.played {
                let channel = if note.key < 55 { 3 } else { 0 };
                ensure!(note.channel == channel, "{}: expected channel {channel}, got {note:?}", what());
            }
            expect_inner_voices(&played, (at_ms(0.0) + REPLY, at_ms(3000.0))).with_context(what)?;
        }
    }
    Ok(())
}

#[test]
fn a_drone_is_a_bass_and_silences_nobody() -> Result<()> {
    let tune = [72, 71, 69, 67, 69, 71, 72, 74, 76, 74, 72, 71];
    for format in Format::BOTH {
        for lookahead in ["2 steps", "16 steps"] {
            for overlap in [0.0, OVERLAPS[1], 20.0] {
                for before in [0.0, 500.0] {
                    let what = || format!("{format}, {lookahead}, overlap {overlap} ms, drone {before} ms before");
                    let drone = Hands::default().note(48, 0.0, 6000.0 + before);
                    let hands = drone.with(&Hands::tune(&tune, before, 500.0, overlap));
                    let setting = Setting::new(format, "Harmonise").with("Lookahead", lookahead);
                    let played = setting.play(&hands, 16.0).with_context(what)?;
                    let (drone, tune): (Vec<heard::Heard>, Vec<heard::Heard>) =
                        played.played.iter().copied().partition(|note| note.key == 48);
                    ensure!(tune.iter().all(|note| note.channel == 0), "{}: {tune:?}", what());
                    // A lone key is the tune until another one is struck.
                    ensure!(before > 0.0 || drone[0].channel == 3, "{}: {drone:?}", what());
                    // A beat for the tune to settle in, as the drone was the tune before.
                    let from = at_ms(before) + if before > 0.0 { BEAT } else { REPLY };
                    expect_inner_voices(&played, (from, at_ms(6000.0))).with_context(what)?;
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_high_key_held_over_a_bass_is_the_soprano() -> Result<()> {
    for format in Format::BOTH {
        let left = Hands::tune(&[48, 47, 45, 43, 45, 47, 48, 50], 0.0, 500.0, 20.0);
        let hands = Hands::default().note(76, 0.0, 4000.0).with(&left);
        let played = Setting::new(format, "Harmonise").with("Your voice", "Bass").play(&hands, 10.0)?;
        for note in &played.played {
            let channel = if note.key == 76 { 0 } else { 3 };
            ensure!(note.channel == channel, "{format}: expected channel {channel}, got {note:?}");
        }
        expect_inner_voices(&played, (at_ms(0.0) + REPLY, at_ms(4000.0)))?;
    }
    Ok(())
}
