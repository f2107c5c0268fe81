//! Wheels, controllers, pressure and note expressions follow notes to their channels; SysEx passes.

use anyhow::{Context, Result, ensure};
use continuo_tests::fake_host::{EventKind, Format};
use continuo_tests::hands::Hands;

use super::playing::*;

/// The channels on which an event came out at its sample with its value unchanged.
fn channels_of(played: &Played, ms: f64, is_it: impl Fn(&EventKind) -> Option<(u8, f32)>, value: f32) -> Vec<u8> {
    let at = played.sent.iter().filter(|(at, _)| *at == at_ms(ms));
    let found = at.filter_map(|(_, kind)| is_it(kind)).filter(|found| (found.1 - value).abs() < 0.01);
    let mut channels: Vec<u8> = found.map(|found| found.0).collect();
    channels.sort_unstable();
    channels
}

fn bend(kind: &EventKind) -> Option<(u8, f32)> {
    if let EventKind::PitchBend { channel, value } = *kind { Some((channel, value)) } else { None }
}

fn wheel(kind: &EventKind) -> Option<(u8, f32)> {
    if let EventKind::MidiCc { channel, cc: 1, value } = *kind { Some((channel, value)) } else { None }
}

fn pressure(kind: &EventKind) -> Option<(u8, f32)> {
    if let EventKind::ChannelPressure { channel, pressure } = *kind { Some((channel, pressure)) } else { None }
}

#[test]
fn the_wheel_follows_the_tune_to_its_channel() -> Result<()> {
    for format in Format::BOTH {
        for (voice, key, channel) in [("Soprano", 72, 0), ("Alto", 65, 1), ("Tenor", 57, 2), ("Bass", 48, 3)] {
            for input in [1, 7] {
                let text = format!(
                    "0 on {key} c{input}, 300 bend 0.75 c{input}, 400 cc 1 0.5 c{input}, 500 pressure 0.25 c{input}, \
                     600 key {key} 0.75 c{input}, 1000 off {key} c{input}"
                );
                let what = || format!("{format}, {voice}, from channel {input}");
                for mode in ["Harmonise", "Continue"] {
                    let setting = Setting::new(format, mode).with("Your voice", voice);
                    let played = setting.play(&Hands::read(&text), 3.9).with_context(what)?;
                    let got = [
                        channels_of(&played, 300.0, bend, 0.75),
                        channels_of(&played, 400.0, wheel, 0.5),
                        channels_of(&played, 500.0, pressure, 0.25),
                    ];
                    ensure!(got == [[channel], [channel], [channel]].map(Vec::from), "{}, {mode}: {got:?}", what());
                    let on_key = |kind: &EventKind| match *kind {
                        EventKind::PolyPressure { channel, key: k, pressure } if k == key => Some((channel, pressure)),
                        _ => None,
                    };
                    let on_key = channels_of(&played, 600.0, on_key, 0.75);
                    ensure!(on_key == [channel], "{}, {mode}: pressure on the key goes to {on_key:?}", what());
                }
            }
        }
    }
    Ok(())
}

#[test]
fn the_wheel_goes_to_every_channel_of_its_notes_and_no_other() -> Result<()> {
    for format in Format::BOTH {
        let hands = Hands::read(
            "0 on 76, 0 on 67, 0 on 48, 300 bend 0.25, 700 off 67, 900 bend 0.625, 1500 off 76, 1500 off 48",
        );
        let played = Setting::new(format, "Harmonise").play(&hands, 3.9)?;
        let first = channels_of(&played, 300.0, bend, 0.25);
        ensure!(first == [0, 1, 3], "{format}: the wheel goes to {first:?}");
        // Now the network plays the alto.
        let second = channels_of(&played, 900.0, bend, 0.625);
        ensure!(second == [0, 3], "{format}: then the wheel goes to {second:?}");
    }
    Ok(())
}

#[test]
fn an_mpe_keyboards_channels_follow_their_notes() -> Result<()> {
    for format in Format::BOTH {
        // Keys on channels 2 to 4, in the order in which they are struck, as from an MPE keyboard.
        for (from, keys) in [(2, [76, 72, 67]), (2, [67, 72, 76]), (9, [72, 76, 67])] {
            let mut hands = Hands::default();
            for (n, key) in keys.iter().enumerate() {
                let channel = from + n;
                hands = hands.and(&format!("0 on {key} c{channel}, {} bend 0.{} c{channel}", 300 + n, 6 + n));
            }
            for (n, key) in keys.iter().enumerate() {
                hands = hands.and(&format!("1500 off {key} c{}", from + n));
            }
            let played = Setting::new(format, "Harmonise").play(&hands, 3.9)?;
            for (n, key) in keys.iter().enumerate() {
                let expected = [76, 72, 67].iter().position(|high| high == key).context("a key of the chord")? as u8;
                let got = channels_of(&played, 300.0 + n as f64, bend, 0.6 + 0.1 * n as f32);
                ensure!(
                    got == [expected],
                    "{format}, {keys:?}: the bend of {key} goes to {got:?}, expected {expected}"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn note_expressions_follow_their_note() -> Result<()> {
    for (voice, key, channel) in [("Soprano", 72, 0), ("Bass", 48, 3)] {
        let hands = Hands::read(&format!("0 on {key}, 300 tuning {key} 0.5, 1000 off {key}"));
        let played = Setting::new(Format::Clap, "Harmonise").with("Your voice", voice).play(&hands, 3.9)?;
        let tuning = |kind: &EventKind| match *kind {
            EventKind::NoteExpression { channel, key: k, value, .. } if k == key => Some((channel, value)),
            _ => None,
        };
        let got = channels_of(&played, 300.0, tuning, 0.5);
        ensure!(got == [channel], "{voice}: the tuning goes to {got:?}, expected {channel}");
    }
    Ok(())
}

#[test]
fn as_it_is_controllers_stay_with_the_notes_that_stay() -> Result<()> {
    for format in Format::BOTH {
        let hands = Hands::read("0 on 48 c5, 300 bend 0.75 c5, 400 cc 1 0.5 c5, 1000 off 48 c5");
        let setting = Setting::new(format, "Harmonise").with("Your voice", "Bass").with("Input", "As it is");
        let played = setting.play(&hands, 3.9)?;
        let got = [channels_of(&played, 300.0, bend, 0.75), channels_of(&played, 400.0, wheel, 0.5)];
        ensure!(got == [vec![4], vec![4]], "{format}: {got:?}");
    }
    Ok(())
}

#[test]
fn sysex_passes() -> Result<()> {
    // An identity request, a reset of the GS kind, and a dump.
    const REQUEST: &[u8] = &[0xf0, 0x7e, 0x7f, 0x06, 0x01, 0xf7];
    const RESET: &[u8] = &[0xf0, 0x41, 0x10, 0x42, 0x12, 0x40, 0x00, 0x7f, 0x00, 0x41, 0xf7];
    static DUMP: [u8; 128] = {
        let mut bytes = [0x55; 128];
        bytes[0] = 0xf0;
        bytes[127] = 0xf7;
        bytes
    };
    for format in Format::BOTH {
        for mode in ["Harmonise", "Free"] {
            for bypass in ["Off", "On"] {
                for blocks in BLOCKS {
                    let mut hands = Hands::read("0 on 72, 1000 off 72");
                    let messages = [(100.0, REQUEST), (100.0, RESET), (777.7, &DUMP[..]), (1500.0, REQUEST)];
                    let all = messages.map(|(ms, bytes)| (ms, EventKind::SysEx { bytes }));
                    hands.events.extend(all);
                    let setting = Setting::new(format, mode).with("Bypass", bypass).in_blocks(blocks);
                    let played = setting.play(&hands, 3.9)?;
                    let is_sysex = |event: &&(u64, EventKind)| matches!(event.1, EventKind::SysEx { .. });
                    let got: Vec<_> = played.sent.iter().filter(is_sysex).copied().collect();
                    let expected = all.map(|(ms, kind)| (at_ms(ms), kind));
                    ensure!(got == expected, "{format}, {mode}, bypass {bypass}, {blocks:?}: {got:?}");
                }
            }
        }
    }
    Ok(())
}
