//! Player and network on one channel: neither cuts, bends or holds the other's notes.

use anyhow::{Context, Result, ensure};
use continuo_tests::fake_host::{EventKind, Format};
use continuo_tests::hands::Hands;
use continuo_tests::script::Happening;
use continuo_tests::session::{saved_takes, value_of};

use super::chords::taken_down;
use super::playing::*;

#[test]
fn the_network_never_cuts_a_key_that_is_held() -> Result<()> {
    for format in Format::BOTH {
        // A pad that passes on the alto's channel; and a key that gets another voice while it sounds on the first one's
        // channel.
        let pad = Hands::read("0 on 64 c2, 500 on 72 c1, 1000 off 72 c1, 1800 off 64 c2");
        let played = Setting::new(format, "Harmonise").with("Hear channel", "1").play(&pad, 6.0)?;
        let held: Vec<_> = played.played.iter().filter(|note| note.key == 64).collect();
        ensure!(held.len() == 1 && (held[0].start, held[0].end) == (at_ms(0.0), at_ms(1800.0)), "{format}: {held:?}");
        let tune = Hands::read("60 on 70, 309 on 61, 421 on 59, 594 off 70, 1034 off 61, 1267 off 59");
        let played = Setting::new(format, "Harmonise").play(&tune, 6.0)?;
        let own = played.played.iter().find(|note| note.key == 59).context("59 is played")?;
        ensure!(own.end == at_ms(1267.0), "{format}: {own:?}");
    }
    Ok(())
}

#[test]
fn takes_hold_each_note_as_it_was_played() -> Result<()> {
    // (hands, (start, length) of the notes of key 72, ticks of 960 to the beat).
    let of_ms = |ms: f64| (ms / 500.0 * 960.0).round() as i64;
    for (text, expect) in [
        ("700 on 72 i1, 900 on 72 i2, 1000 off 72 i1, 1200 off 72 i2", [(700.0, 200.0), (900.0, 300.0)]),
        ("0 on 72 c1, 300 on 72 c2, 600 off 72 c1, 1000 off 72 c2", [(0.0, 300.0), (300.0, 700.0)]),
        ("0 on 72 c1, 300 on 72 c2, 600 off 72 c2, 1000 off 72 c1", [(0.0, 300.0), (300.0, 700.0)]),
        ("700 on 72, 900 on 72, 905 off 72, 1200 off 72", [(700.0, 200.0), (900.0, 300.0)]),
    ] {
        let setting = Setting::new(Format::Clap, "Free").with("Respond bars", "1 bars");
        let script = running(3.9).hands(1, &Hands::read(text));
        let (mut plugin, sent) = setting.run(&script)?;
        let count = continuo_tests::session::starts(&sent).len();
        let takes = taken_down(|| Ok(saved_takes(&mut plugin)?.1), count)?;
        let notes = takes["notes"].as_array().context("expected notes")?;
        let own = notes.iter().filter(|note| note[0].as_u64() < Some(16) && note[1] == 72);
        let found: Vec<_> = own.map(|note| (note[3].as_i64(), note[4].as_i64())).collect();
        let expect = expect.map(|(start, length)| (Some(of_ms(start)), Some(of_ms(length))));
        ensure!(found == expect, "{text}: {found:?}, expected {expect:?}");
    }
    Ok(())
}

#[test]
fn what_a_note_leaves_on_a_channel_does_not_bend_the_network() -> Result<()> {
    for format in Format::BOTH {
        let hands = Hands::read(
            "0 on 76, 0 on 67, 300 bend 0.75, 300 cc 1 0.9, 500 off 67, 900 bend 0.5, 900 cc 1 0, 1800 off 76",
        );
        let played = Setting::new(format, "Harmonise").play(&hands, 6.0)?;
        let alto = played.generated.iter().find(|note| note.channel == 1).context("the alto plays on")?;
        let before = played.sent.iter().take_while(|(at, kind)| {
            *at < alto.start || *at == alto.start && !matches!(kind, EventKind::NoteOn { channel: 1, .. })
        });
        let (mut bend, mut wheel) = (0.5, 0.0);
        for (_, kind) in before {
            match *kind {
                EventKind::PitchBend { channel: 1, value } => bend = value,
                EventKind::MidiCc { channel: 1, cc: 1, value } => wheel = value,
                _ => {}
            }
        }
        ensure!((bend - 0.5).abs() < 1e-3 && wheel < 1e-3, "{format}: the alto starts at {bend} and {wheel}");
    }
    Ok(())
}

#[test]
fn a_pedal_comes_up_wherever_it_went_down() -> Result<()> {
    for format in Format::BOTH {
        for (name, text) in [("Bypass", "On"), ("Emit", "Soprano"), ("Hear channel", "5"), ("Input", "As it is")] {
            let hands = Hands::read("0 cc 64 1, 10 on 72, 400 off 72, 1500 cc 64 0");
            let setting = Setting::new(format, "Harmonise");
            let value = value_of(&setting.plugin()?, name, text)?;
            let script = running(6.0).hands(1, &hands).with(1, 2.0, Happening::Param(name.into(), value));
            let (_, sent) = setting.run(&script)?;
            let mut down = [false; 16];
            for (_, kind) in &sent {
                if let EventKind::MidiCc { channel, cc: 64, value } = *kind {
                    down[usize::from(channel)] = value >= 0.5;
                }
            }
            ensure!(down == [false; 16], "{format}, {name}: {down:?}");
        }
    }
    Ok(())
}

#[test]
fn a_pedal_that_goes_down_with_a_release_goes_down_first() -> Result<()> {
    for format in Format::BOTH {
        let hands = Hands::read("0 on 72, 500 cc 64 1, 500 off 72, 1500 cc 64 0");
        let (_, sent) = Setting::new(format, "Harmonise").run(&running(6.0).hands(1, &hands))?;
        let place = |what: fn(&EventKind) -> bool| sent.iter().position(|(at, kind)| *at == at_ms(500.0) && what(kind));
        let pedal = place(|kind| matches!(kind, EventKind::MidiCc { channel: 0, cc: 64, .. }));
        let off = place(|kind| matches!(kind, EventKind::NoteOff { key: 72, .. }));
        ensure!(pedal.is_some() && pedal < off, "{format}: the pedal at {pedal:?}, the release at {off:?}");
    }
    Ok(())
}

#[test]
fn a_rolled_chord_goes_out_on_a_channel_for_each_note() -> Result<()> {
    for format in Format::BOTH {
        for keys in [&[60_u8, 64, 67, 72][..], &[72, 67, 64, 60], &[64, 60, 72, 67], &[60, 64, 67]] {
            for spread in [0.0, 3.0, 8.0] {
                let hands = Hands::chord(keys, 500.0, spread, 1500.0);
                let played = Setting::new(format, "Harmonise").play(&hands, 6.0)?;
                let mut channels: Vec<_> = played.played.iter().map(|note| note.channel).collect();
                channels.sort_unstable();
                channels.dedup();
                ensure!(channels.len() == keys.len(), "{format}, {keys:?}, {spread} ms apart: {:?}", played.played);
            }
        }
    }
    Ok(())
}

#[test]
fn by_channel_every_note_keeps_its_channel() -> Result<()> {
    for format in Format::BOTH {
        let hands = Hands::read(
            "0 on 72 c1, 0 on 67 c2, 0 on 64 c3, 0 on 60 c3, 0 on 48 c4, 900 off 72 c1, 900 off 67 c2, 900 off 64 c3, \
             900 off 60 c3, 900 off 48 c4",
        );
        let played = Setting::new(format, "Harmonise").with("Input", "By channel").play(&hands, 4.0)?;
        let mut out: Vec<_> = played.played.iter().map(|note| (note.key, note.channel)).collect();
        out.sort_unstable();
        ensure!(out == [(48, 3), (60, 2), (64, 2), (67, 1), (72, 0)], "{format}: {out:?}");
    }
    Ok(())
}
