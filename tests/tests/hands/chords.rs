//! Chords, struck at one sample in any order or rolled, get one answer and one assignment of voices.

use anyhow::{Context, Result, ensure};
use continuo_tests::fake_host::Format;
use continuo_tests::hands::{Hands, orders};
use continuo_tests::heard::Heard;
use continuo_tests::session::saved_takes;

use super::playing::*;

/// *Your voice*, and chords with the channel of each key.
const CHORDS: [(&str, &[(u8, u8)]); 9] = [
    ("Soprano", &[(76, 0), (72, 1)]),
    ("Soprano", &[(76, 0), (72, 1), (67, 2)]),
    ("Soprano", &[(72, 0), (67, 1), (60, 2), (52, 3)]),
    // The lowest key is more than an octave below the next: a bass.
    ("Soprano", &[(76, 0), (67, 1), (48, 3)]),
    ("Soprano", &[(72, 0), (48, 3)]),
    ("Bass", &[(48, 3), (52, 2)]),
    ("Bass", &[(48, 3), (55, 2), (60, 1)]),
    ("Bass", &[(43, 3), (52, 2), (60, 1), (67, 0)]),
    // The highest key is well above the rest: a soprano.
    ("Bass", &[(48, 3), (55, 2), (76, 0)]),
];

#[test]
fn the_order_of_keys_at_one_sample_does_not_matter() -> Result<()> {
    for format in Format::BOTH {
        for (voice, chord) in CHORDS {
            let keys: Vec<u8> = chord.iter().map(|(key, _)| *key).collect();
            let mut first: Option<Vec<Heard>> = None;
            for (order, blocks) in orders(&keys).into_iter().zip(BLOCKS.into_iter().cycle()) {
                let what = || format!("{format}, {voice}, {order:?}");
                let setting = Setting::new(format, "Harmonise").with("Your voice", voice).in_blocks(blocks);
                let hands = Hands::chord(&order, 500.0, 0.0, 2000.0);
                let played = setting.play(&hands, 6.0).with_context(what)?;
                for note in &played.played {
                    let channel = chord.iter().find(|(key, _)| *key == note.key).context("a key of the chord")?.1;
                    ensure!(note.channel == channel, "{}: expected channel {channel}, got {note:?}", what());
                }
                played.expect_sound_harmony().with_context(what)?;
                let mut notes = [played.played, played.generated].concat();
                notes.sort_unstable();
                ensure!(
                    first.get_or_insert_with(|| notes.clone()) == &notes,
                    "{}: another order gave other notes",
                    what()
                );
            }
        }
    }
    Ok(())
}

#[test]
fn every_mode_assigns_chords_alike() -> Result<()> {
    for format in Format::BOTH {
        for mode in ["Continue", "Respond", "Free"] {
            for (voice, chord) in CHORDS {
                let keys: Vec<u8> = chord.iter().map(|(key, _)| *key).collect();
                for order in orders(&keys) {
                    let setting = Setting::new(format, mode).with("Your voice", voice);
                    // From the start of the transport, or Free would play first.
                    let played = setting.play(&Hands::chord(&order, 0.0, 0.0, 1000.0), 2.0)?;
                    let mut got: Vec<_> = played.played.iter().map(|note| (note.key, note.channel)).collect();
                    let mut expected = chord.to_vec();
                    got.sort_unstable();
                    expected.sort_unstable();
                    ensure!(got == expected, "{format}, {mode}, {voice}, {order:?}: {got:?}");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn rolled_chords_have_one_answer_and_no_ghosts() -> Result<()> {
    for format in Format::BOTH {
        for (voice, keys) in [("Soprano", [76, 72, 67]), ("Bass", [48, 52, 55])] {
            for order in orders(&keys) {
                for spread in [1.0, 3.0, 8.0, 12.0, 20.0, 30.0] {
                    // On the beat and off the beat.
                    for from in [500.0, 560.0, 610.0] {
                        let what =
                            || format!("{format}, {voice}, {order:?}, {spread} ms from finger to finger at {from}");
                        let setting = Setting::new(format, "Harmonise").with("Your voice", voice);
                        let played =
                            setting.play(&Hands::chord(&order, from, spread, 1500.0), 5.0).with_context(what)?;
                        played.expect_sound_harmony().with_context(what)?;
                        // The first answer, and after it only steps.
                        let answer = at_ms(from) + REPLY;
                        for note in &played.generated {
                            let on_grid = (note.start - START - REPLY).is_multiple_of(STEP);
                            ensure!(
                                note.start == answer || on_grid,
                                "{}: {note:?}, the answer is due at {answer}",
                                what()
                            );
                        }
                        ensure!(
                            played.generated.iter().any(|note| note.start == answer),
                            "{}: nothing answers at {answer}: {:?}",
                            what(),
                            played.generated
                        );
                    }
                }
            }
        }
    }
    Ok(())
}

#[test]
fn the_window_is_never_longer_than_the_reply_delay() -> Result<()> {
    for format in Format::BOTH {
        for reply_ms in [0.0, 5.0, 12.0, 25.0, 50.0] {
            for (order, spread) in orders(&[76, 72, 67]).into_iter().zip([8.0, 14.0, 3.0, 1.0, 20.0, 30.0]) {
                for from in [500.0, 560.0] {
                    let what =
                        || format!("{format}, reply after {reply_ms} ms, {order:?}, {spread} ms between, at {from}");
                    let setting = Setting::new(format, "Harmonise").replying_after(reply_ms);
                    let played = setting.play(&Hands::chord(&order, from, spread, 1500.0), 5.0).with_context(what)?;
                    played.expect_sound_harmony().with_context(what)?;
                    let answer = at_ms(from + reply_ms);
                    let is_due = |at: u64| at == answer || (at - START - played.reply).is_multiple_of(STEP);
                    let off = played.generated.iter().find(|note| !is_due(note.start));
                    ensure!(off.is_none(), "{}: {off:?}, the answer is due at {answer}", what());
                    let first = played.generated.iter().map(|note| note.start).min();
                    ensure!(first == Some(answer), "{}: answered at {first:?}, expected {answer}", what());
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_chord_within_the_window_is_answered_as_if_struck_at_once() -> Result<()> {
    for format in Format::BOTH {
        for keys in [&[76, 72][..], &[76, 72, 67], &[76, 67, 48]] {
            let setting = Setting::new(format, "Harmonise");
            let at_once = setting.play(&Hands::chord(keys, 500.0, 0.0, 1500.0), 5.0)?;
            for order in orders(keys) {
                for spread in [1.0, 4.0, 11.0] {
                    let rolled = setting.play(&Hands::chord(&order, 500.0, spread, 1500.0), 5.0)?;
                    let what = || format!("{format}, {order:?}, {spread} ms from finger to finger");
                    ensure!(rolled.generated == at_once.generated, "{}: another answer", what());
                }
            }
        }
    }
    Ok(())
}

#[test]
fn takes_keep_the_assignment_of_the_whole_chord() -> Result<()> {
    for (voice, chord) in CHORDS {
        let keys: Vec<u8> = chord.iter().map(|(key, _)| *key).collect();
        for order in orders(&keys) {
            for spread in [0.0, 5.0] {
                let setting = Setting::new(Format::Clap, "Harmonise").with("Your voice", voice);
                let hands = Hands::chord(&order, 500.0, spread, 1500.0);
                let script = running(5.0).hands(1, &hands);
                let (mut plugin, sent) = setting.run(&script)?;
                let expected = continuo_tests::session::starts(&sent).len();
                let saved = taken_down(|| Ok(saved_takes(&mut plugin)?.1), expected)?;
                let notes = saved["notes"].as_array().context("expected notes")?;
                let mut got: Vec<(u64, u64)> = notes
                    .iter()
                    .filter(|note| note[0].as_u64() < Some(16))
                    .map(|note| (note[1].as_u64().unwrap_or(0), note[0].as_u64().unwrap_or(99)))
                    .collect();
                let mut all: Vec<(u64, u64)> =
                    chord.iter().map(|(key, ch)| (u64::from(*key), u64::from(*ch))).collect();
                got.sort_unstable();
                all.sort_unstable();
                ensure!(got == all, "{voice}, {order:?}, {spread} ms: the take has {got:?}, expected {all:?}");
            }
        }
    }
    Ok(())
}

/// The takes, once the worker has recorded that many notes.
pub fn taken_down(mut read: impl FnMut() -> Result<serde_json::Value>, count: usize) -> Result<serde_json::Value> {
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let takes = read()?;
        let notes = takes["notes"].as_array().context("expected notes")?.len();
        if notes == count {
            return Ok(takes);
        }
        ensure!(std::time::Instant::now() < patience, "expected {count} notes in the project, got {notes}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn more_keys_than_voices_all_sound_and_all_end() -> Result<()> {
    for format in Format::BOTH {
        for keys in [&[72, 67, 60, 52][..], &[76, 72, 67, 60, 48], &[79, 76, 72, 67, 64, 60, 55, 52, 48, 43]] {
            for spread in [0.0, 1.0, 30.0] {
                let hands = Hands::chord(keys, 500.0, spread, 2500.0);
                let played = Setting::new(format, "Harmonise").play(&hands, 8.0)?;
                let what = || format!("{format}, {} keys, {spread} ms from finger to finger", keys.len());
                ensure!(played.played.iter().all(|note| note.end == at_ms(2500.0)), "{}: {:?}", what(), played.played);
                played.expect_sound_harmony().with_context(what)?;
                played.expect_harmony_ends(at_ms(2500.0), u64::MAX).with_context(what)?;
            }
        }
    }
    Ok(())
}
