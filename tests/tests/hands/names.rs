//! One key, struck again before it is released: each note-off ends its own note.

use anyhow::{Context, Result, ensure};
use continuo_tests::fake_host::Format;
use continuo_tests::hands::Hands;
use continuo_tests::heard::{Heard, cover};

use super::playing::*;

/// The notes of a key on any channel.
fn of_key(played: &Played, key: u8) -> Vec<Heard> {
    played.played.iter().filter(|note| note.key == key).copied().collect()
}

/// The key sounds from `from` to `to` without a gap, not a sample longer, and is struck again at each of `starts`.
fn expect_key(played: &Played, key: u8, starts: &[f64], to: f64) -> Result<()> {
    let notes = of_key(played, key);
    let at: Vec<u64> = notes.iter().map(|note| note.start).collect();
    let expected: Vec<u64> = starts.iter().map(|ms| at_ms(*ms)).collect();
    ensure!(at == expected, "key {key} starts at {at:?}, expected {expected:?}");
    cover(&notes, expected[0]..at_ms(to), 0)
        .map_err(anyhow::Error::msg)
        .with_context(|| format!("key {key}: {notes:?}"))?;
    let last = notes.iter().map(|note| note.end).max();
    ensure!(last == Some(at_ms(to)), "key {key} ends at {last:?}, expected {}", at_ms(to));
    Ok(())
}

/// Repeated keys, with the end of the second note of each: by order, by id, and by id in the other order.
const REPEATS: [(&str, f64); 10] = [
    // The next note-on before the note-off, at one sample, one sample later, and later.
    ("0 on 72, 500 on 72, 500 off 72, 1000 off 72", 1000.0),
    ("0 on 72, 500 on 72, 500+1 off 72, 1000 off 72", 1000.0),
    ("0 on 72, 500 on 72, 505 off 72, 1000 off 72", 1000.0),
    ("0 on 72, 500 on 72, 580 off 72, 1000 off 72", 1000.0),
    ("0 on 72 i1, 500 on 72 i2, 500 off 72 i1, 1000 off 72 i2", 1000.0),
    ("0 on 72 i1, 500 on 72 i2, 505 off 72 i1, 1000 off 72 i2", 1000.0),
    ("0 on 72 i7, 500 on 72 i3, 900 off 72 i7, 1000 off 72 i3", 1000.0),
    // In order: the note-off before the note-on.
    ("0 on 72, 500 off 72, 500 on 72, 1000 off 72", 1000.0),
    ("0 on 72 i1, 500 off 72 i1, 500 on 72 i2, 1000 off 72 i2", 1000.0),
    // Only the note-on has an id.
    ("0 on 72 i1, 500 on 72 i2, 505 off 72, 1000 off 72", 1000.0),
];

#[test]
fn a_repeated_key_sounds_twice_and_whole() -> Result<()> {
    for format in Format::BOTH {
        for mode in ["Harmonise", "Continue"] {
            for input in ["As voice", "As it is"] {
                for ((text, end), blocks) in REPEATS.into_iter().zip(BLOCKS.into_iter().cycle()) {
                    let what = || format!("{format}, {mode}, {input}, {blocks:?}: {text}");
                    let setting = Setting::new(format, mode).with("Input", input).in_blocks(blocks);
                    let played = setting.play(&Hands::read(text), 3.9).with_context(what)?;
                    expect_key(&played, 72, &[0.0, 500.0], end).with_context(what)?;
                    if mode == "Harmonise" {
                        played.expect_sound_harmony().with_context(what)?;
                        played.expect_harmony(at_ms(0.0), at_ms(end)).with_context(what)?;
                        played.expect_harmony_ends(at_ms(end), u64::MAX).with_context(what)?;
                    }
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_name_ends_its_own_note_and_no_other() -> Result<()> {
    for format in Format::BOTH {
        // The second note is released first; the first one is still held and harmonised.
        let hands = Hands::read("0 on 72 i1, 500 on 72 i2, 700 off 72 i2, 1400 off 72 i1");
        let played = Setting::new(format, "Harmonise").play(&hands, 3.9)?;
        let notes = of_key(&played, 72);
        cover(&notes, at_ms(0.0)..at_ms(700.0), 0).map_err(anyhow::Error::msg).with_context(|| format.to_string())?;
        let last = notes.iter().map(|note| note.end).max();
        ensure!(last <= Some(at_ms(1400.0)), "{format}: {notes:?}");
        played.expect_harmony(at_ms(0.0), at_ms(1400.0)).with_context(|| format.to_string())?;
        played.expect_harmony_ends(at_ms(1400.0), u64::MAX).with_context(|| format.to_string())?;
    }
    Ok(())
}

#[test]
fn a_name_alone_is_enough_in_clap() -> Result<()> {
    use continuo_tests::fake_host::EventKind;
    let mut hands = Hands::read("0 on 72 i4, 0 on 67 i5, 1200 off 67 i5");
    hands.events.push((800.0, EventKind::IdentifiedOff { channel: None, key: None, voice_id: 4 }));
    let played = Setting::new(Format::Clap, "Harmonise").play(&hands, 3.9)?;
    expect_key(&played, 72, &[0.0], 800.0)?;
    expect_key(&played, 67, &[0.0], 1200.0)
}

#[test]
fn one_key_on_two_channels_ends_with_the_second() -> Result<()> {
    for format in Format::BOTH {
        for (first, second) in [(1, 2), (2, 1), (5, 16)] {
            let text = format!("0 on 72 c{first}, 300 on 72 c{second}, 700 off 72 c{first}, 1300 off 72 c{second}");
            let other = format!("0 on 72 c{first}, 300 on 72 c{second}, 700 off 72 c{second}, 1300 off 72 c{first}");
            for text in [text, other] {
                let what = || format!("{format}: {text}");
                let played = Setting::new(format, "Harmonise").play(&Hands::read(&text), 3.9).with_context(what)?;
                let notes = of_key(&played, 72);
                cover(&notes, at_ms(0.0)..at_ms(1300.0), 0).map_err(anyhow::Error::msg).with_context(what)?;
                ensure!(notes.iter().map(|note| note.end).max() == Some(at_ms(1300.0)), "{}: {notes:?}", what());
                played.expect_harmony(at_ms(0.0), at_ms(1300.0)).with_context(what)?;
                played.expect_harmony_ends(at_ms(1300.0), u64::MAX).with_context(what)?;
            }
        }
    }
    Ok(())
}

#[test]
fn as_it_is_each_channel_has_its_own_note() -> Result<()> {
    for format in Format::BOTH {
        let hands = Hands::read("0 on 72 c5, 300 on 72 c6, 700 off 72 c5, 1300 off 72 c6");
        let played = Setting::new(format, "Continue").with("Input", "As it is").play(&hands, 3.9)?;
        let ends: Vec<_> = of_key(&played, 72).iter().map(|note| (note.channel, note.end)).collect();
        ensure!(ends == [(4, at_ms(700.0)), (5, at_ms(1300.0))], "{format}: {ends:?}");
    }
    Ok(())
}

#[test]
fn raw_midi_notes_are_notes() -> Result<()> {
    let midi = Hands::read("0 midi 90 48 64, 500 midi 90 43 64, 505 midi 80 48 0, 1000 midi 90 43 0");
    let notes = Hands::read("0 on 72 v0.7874, 500 on 67 v0.7874, 505 off 72, 1000 off 67");
    let setting = || Setting::new(Format::Clap, "Harmonise");
    let (_, from_midi) = setting().run(&running(3.9).hands(1, &midi))?;
    let from_midi = Played::new(from_midi, &notes)?;
    let from_notes = setting().play(&notes, 3.9)?;
    ensure!(from_midi.generated == from_notes.generated && from_midi.played == from_notes.played);
    Ok(())
}
