//! Releases: the harmony ends with the last key or pedal, in whichever way it is released.

use anyhow::{Context, Result, ensure};
use continuo_tests::fake_host::{EventKind, Format};
use continuo_tests::hands::Hands;
use continuo_tests::script::{Script, Stretch};

use super::playing::*;

/// When keys are released, milliseconds after a press at 500 ms: before the answer, just after it, within and after
/// its 60 ms, and much later.
const HELD: [f64; 8] = [10.0, 24.0, 26.0, 50.0, 84.0, 90.0, 333.0, 1250.0];

#[test]
fn harmony_ends_with_the_last_key() -> Result<()> {
    for format in Format::BOTH {
        for (voice, keys) in [("Soprano", &[72][..]), ("Bass", &[48]), ("Soprano", &[72, 67]), ("Soprano", &[72, 48])] {
            for lookahead in ["1 steps", "2 steps", "16 steps"] {
                for (held, blocks) in HELD.into_iter().zip(BLOCKS.into_iter().cycle()) {
                    let what = || format!("{format}, {voice}, {keys:?}, {lookahead}, held for {held} ms, {blocks:?}");
                    let setting = Setting::new(format, "Harmonise")
                        .with("Your voice", voice)
                        .with("Lookahead", lookahead)
                        .in_blocks(blocks);
                    let hands = Hands::chord(keys, 500.0, 0.0, 500.0 + held);
                    let played = setting.play(&hands, 12.0).with_context(what)?;
                    played.expect_harmony_ends(at_ms(500.0 + held), u64::MAX).with_context(what)?;
                    played.expect_sound_harmony().with_context(what)?;
                    ensure!(played.played.iter().all(|note| note.end == at_ms(500.0 + held)), "{}", what());
                    // It answered the keys that were held for long enough.
                    ensure!((held < 25.0) == played.generated.is_empty(), "{}: {:?}", what(), played.generated);
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_rest_between_notes_is_a_rest() -> Result<()> {
    for format in Format::BOTH {
        let hands = Hands::read(
            "0 on 72, 700 off 72, 1500 on 71, 2200 off 71, 3100 on 69, 3120 off 69, 4000 on 67, 4600 off 67",
        );
        let played = Setting::new(format, "Harmonise").with("Lookahead", "16 steps").play(&hands, 14.0)?;
        for (release, next) in [(700.0, 1500.0), (2200.0, 3100.0), (3120.0, 4000.0), (4600.0, 9000.0)] {
            played.expect_harmony_ends(at_ms(release), at_ms(next) + 1)?;
        }
        played.expect_sound_harmony().with_context(|| format.to_string())?;
        for (from, to) in [(0.0, 700.0), (1500.0, 2200.0), (4000.0, 4600.0)] {
            played.expect_harmony(at_ms(from), at_ms(to))?;
        }
    }
    Ok(())
}

#[test]
fn a_chord_that_is_let_go_key_by_key_ends_with_the_last() -> Result<()> {
    for format in Format::BOTH {
        let hands = Hands::read("0 on 76, 0 on 72, 0 on 67, 1000 off 67, 1490 off 72, 2010 off 76");
        let played = Setting::new(format, "Harmonise").with("Lookahead", "16 steps").play(&hands, 10.0)?;
        played.expect_sound_harmony()?;
        played.expect_harmony(at_ms(0.0), at_ms(2010.0))?;
        played.expect_harmony_ends(at_ms(2010.0), u64::MAX)?;
        // The network takes over the released voices from the next step on.
        for (channel, from) in [(2, 1000.0), (1, 1490.0)] {
            let filled = played
                .generated_on(channel)
                .into_iter()
                .any(|note| note.start >= at_ms(from) && note.start <= at_ms(from) + 2 * STEP + REPLY);
            ensure!(filled, "{format}: channel {channel} is not filled in: {:?}", played.generated_on(channel));
        }
    }
    Ok(())
}

#[test]
fn the_pedal_holds_the_harmony() -> Result<()> {
    for format in Format::BOTH {
        for (voice, key) in [("Soprano", 72), ("Bass", 48)] {
            for lookahead in ["2 steps", "16 steps"] {
                let hands = Hands::default().and(&format!("0 on {key}, 300 cc 64 1, 600 off {key}, 2130 cc 64 0"));
                let setting = Setting::new(format, "Harmonise").with("Your voice", voice).with("Lookahead", lookahead);
                let played = setting.play(&hands, 10.0)?;
                let what = || format!("{format}, {voice}, {lookahead}");
                ensure!(played.played[0].end == at_ms(600.0), "{}: {:?}", what(), played.played);
                played.expect_harmony(at_ms(0.0), at_ms(2130.0)).with_context(what)?;
                played.expect_harmony_ends(at_ms(2130.0), u64::MAX).with_context(what)?;
                // Every voice's channel gets it.
                for (ms, value) in [(300.0, 1.0), (2130.0, 0.0)] {
                    for channel in 0..4 {
                        let pedal = (at_ms(ms), EventKind::MidiCc { channel, cc: 64, value });
                        let count = played.sent.iter().filter(|event| **event == pedal).count();
                        ensure!(count == 1, "{}: {count} times {pedal:?}", what());
                    }
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_pedal_holds_nothing_on_other_channels_nor_without_keys() -> Result<()> {
    for format in Format::BOTH {
        // Another channel's pedal; a pedal that is not down far enough; one that comes after the release.
        for pedal in ["300 cc 64 1 c2", "300 cc 64 0.3", "600+1 cc 64 1"] {
            let hands = Hands::read("0 on 72, 600 off 72").and(pedal);
            let played = Setting::new(format, "Harmonise").play(&hands, 10.0)?;
            played.expect_harmony_ends(at_ms(600.0), u64::MAX).with_context(|| format!("{format}, {pedal}"))?;
        }
    }
    Ok(())
}

#[test]
fn all_notes_off_is_the_end_of_the_channels_keys() -> Result<()> {
    for format in Format::BOTH {
        for (cc, held) in [120, 123, 124, 125, 126, 127].into_iter().flat_map(|cc| [(cc, 40.0), (cc, 1333.0)]) {
            let what = || format!("{format}, CC {cc} after {held} ms");
            let end = 500.0 + held;
            let hands = Hands::read("500 on 72, 500 on 67").and(&format!("{end} cc {cc} 0"));
            let played = Setting::new(format, "Harmonise").play(&hands, 10.0).with_context(what)?;
            ensure!(!played.generated.is_empty(), "{}", what());
            ensure!(played.played.iter().all(|note| note.end == at_ms(end)), "{}: {:?}", what(), played.played);
            played.expect_harmony_ends(at_ms(end), u64::MAX).with_context(what)?;
            if cc == 120 {
                let late = played.generated.iter().find(|note| note.end > at_ms(end));
                ensure!(late.is_none(), "{}: {late:?} ends at once", what());
            }
        }
    }
    Ok(())
}

#[test]
fn all_notes_off_leaves_other_channels_and_later_notes_alone() -> Result<()> {
    for format in Format::BOTH {
        for cc in [120, 123] {
            let hands = Hands::read("0 on 72, 10 on 60 c2")
                .and(&format!("700 cc {cc} 0 c3, 1000 cc {cc} 0, 1500 cc {cc} 0 c2"))
                // The note-off still comes, and a new note works.
                .and("1600 off 72, 1700 on 71, 2400 off 71");
            let played = Setting::new(format, "Harmonise").play(&hands, 10.0)?;
            let what = || format!("{format}, CC {cc}");
            let end_of = |key: u8| played.played.iter().find(|note| note.key == key).map(|note| note.end);
            let ends = [72, 60, 71].map(end_of);
            let expected = [1000.0, 1500.0, 2400.0].map(|ms| Some(at_ms(ms)));
            ensure!(ends == expected, "{}: {ends:?}, expected {expected:?}", what());
            played.expect_harmony(at_ms(10.0), at_ms(1500.0)).with_context(what)?;
            played.expect_harmony_ends(at_ms(1500.0), at_ms(1700.0) + 1).with_context(what)?;
            played.expect_harmony(at_ms(1700.0), at_ms(2400.0)).with_context(what)?;
        }
    }
    Ok(())
}

#[test]
fn all_notes_off_works_while_the_transport_stands_and_in_other_modes() -> Result<()> {
    for format in Format::BOTH {
        for mode in ["Harmonise", "Continue", "Respond", "Free"] {
            let script = Script { stretches: vec![Stretch::stand(0.5), Stretch::stand(80.0)], ..Script::default() };
            let hands = Hands::read("0 on 72, 0 on 67, 900 cc 123 0");
            let played = Setting::new(format, mode).play_script(&script.hands(1, &hands), &hands)?;
            ensure!(played.played.iter().all(|note| note.end == at_ms(900.0)), "{format}, {mode}: {:?}", played.played);
            if mode == "Harmonise" {
                ensure!(!played.generated.is_empty(), "{format}: nothing answers");
                played.expect_harmony_ends(at_ms(900.0), u64::MAX)?;
            }
        }
    }
    Ok(())
}

#[test]
fn reset_all_controllers_lifts_the_pedal_alone() -> Result<()> {
    for format in Format::BOTH {
        let hands =
            Hands::read("0 on 72, 100 cc 64 1, 600 off 72, 1930 cc 121 0, 2600 on 71, 2900 cc 121 0, 3300 off 71");
        let played = Setting::new(format, "Harmonise").play(&hands, 10.0)?;
        played.expect_harmony(at_ms(0.0), at_ms(1930.0)).with_context(|| format.to_string())?;
        played.expect_harmony_ends(at_ms(1930.0), at_ms(2600.0) + 1).with_context(|| format.to_string())?;
        played.expect_harmony(at_ms(2600.0), at_ms(3300.0)).with_context(|| format.to_string())?;
        ensure!(played.played[1].end == at_ms(3300.0), "{format}: {:?}", played.played);
    }
    Ok(())
}

#[test]
fn all_notes_off_leaves_to_the_pedal_what_the_pedal_holds() -> Result<()> {
    for format in Format::BOTH {
        let hands = Hands::read("0 on 72, 100 cc 64 1, 600 cc 123 0, 1800 cc 64 0");
        let played = Setting::new(format, "Harmonise").play(&hands, 10.0)?;
        played.expect_harmony(at_ms(0.0), at_ms(1800.0)).with_context(|| format.to_string())?;
        played.expect_harmony_ends(at_ms(1800.0), u64::MAX).with_context(|| format.to_string())?;
    }
    Ok(())
}
