//! The input filter: a split keyboard, one channel of many. Events outside it pass untouched.

use anyhow::{Context, Result, ensure};
use continuo_tests::fake_host::{EventKind, Format};
use continuo_tests::hands::Hands;
use continuo_tests::heard::notes;
use continuo_tests::script::Happening;
use continuo_tests::session::value_of;

use super::playing::*;

/// Unheard input: three notes on a channel with their own controllers.
fn outside(channel: u8, low: u8) -> Hands {
    let text = format!(
        "100 on {low} c{channel} v0.3, 700 off {low} c{channel}, 900 on {} c{channel} v0.9, 1700 off {} c{channel}",
        low + 1,
        low + 1
    );
    Hands::read(&text)
}

/// The hands' notes as they must come out.
fn untouched(hands: &Hands) -> Vec<(u64, EventKind)> {
    hands.events.iter().map(|(ms, kind)| (at_ms(*ms), *kind)).collect()
}

fn expect_untouched(played: &Played, hands: &Hands) -> Result<()> {
    for event in untouched(hands) {
        let count = played.sent.iter().filter(|sent| same(sent, &event)).count();
        ensure!(count == 1, "{event:?} came out {count} times");
    }
    Ok(())
}

/// Whether two events are equal, apart from a rounded velocity or release velocity.
fn same(a: &(u64, EventKind), b: &(u64, EventKind)) -> bool {
    match (a.1, b.1) {
        (
            EventKind::NoteOn { channel, key, velocity },
            EventKind::NoteOn { channel: other, key: other_key, velocity: other_velocity },
        ) => (a.0, channel, key) == (b.0, other, other_key) && (velocity - other_velocity).abs() < 1e-4,
        (EventKind::NoteOff { channel, key, .. }, EventKind::NoteOff { channel: other, key: other_key, .. }) => {
            (a.0, channel, key) == (b.0, other, other_key)
        }
        (one, other) => a.0 == b.0 && one == other,
    }
}

#[test]
fn what_is_not_heard_passes_untouched_and_is_not_answered() -> Result<()> {
    for format in Format::BOTH {
        for mode in ["Harmonise", "Continue", "Respond", "Free"] {
            for (name, text, hands) in [
                ("Hear from", "C4", outside(1, 40)),
                ("Hear from", "C4", outside(9, 58)),
                ("Hear to", "C4", outside(1, 61)),
                ("Hear channel", "2", outside(1, 60)),
                ("Hear channel", "1", outside(2, 60)),
                ("Hear channel", "16", outside(10, 36)),
            ] {
                let what = || format!("{format}, {mode}, {name} {text}");
                let setting = Setting::new(format, mode).with(name, text);
                // Also while the transport stands: nothing starts free-running time.
                let stands = running(4.0).hands(0, &Hands::read("0 on 41 c11, 90 off 41 c11")).hands(1, &hands);
                let played = setting.play_script(&stands, &hands).with_context(what)?;
                expect_untouched(&played, &hands).with_context(what)?;
                if mode != "Free" {
                    let others = notes(&played.sent).len() - hands.starts().len();
                    // If only keys are filtered, the note before the start is heard, unless it lies above them.
                    ensure!(others <= 1 + 3 * usize::from(name == "Hear to"), "{}: {:?}", what(), played.generated);
                    played.expect_nothing_starts(START + 1, u64::MAX).with_context(what)?;
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_split_keyboard_is_harmonised_in_its_upper_half() -> Result<()> {
    for format in Format::BOTH {
        let low = Hands::tune(&[36, 38, 40, 41], 0.0, 500.0, 20.0);
        let high = Hands::tune(&[72, 71, 69, 67], 0.0, 500.0, 20.0);
        let setting = || Setting::new(format, "Harmonise").with("Hear from", "C3");
        let alone = setting().play(&high, 6.0)?;
        let both = setting().play(&high.clone().with(&low), 6.0)?;
        ensure!(both.generated == alone.generated, "{format}: what is not heard changes the harmony");
        expect_untouched(&both, &low).with_context(|| format.to_string())?;
        let high_keys: Vec<_> = both.played.iter().filter(|note| note.key > 50).collect();
        ensure!(high_keys.iter().all(|note| note.channel == 0), "{format}: {high_keys:?}");
    }
    Ok(())
}

#[test]
fn what_is_not_heard_does_not_take_the_turn() -> Result<()> {
    for format in Format::BOTH {
        let pad = Hands::default().note(60, 1000.0, 5000.0).on_channel(9);
        for mode in ["Continue", "Free"] {
            let phrase = Hands::tune(&[67, 69, 71, 72], 0.0, 500.0, -20.0);
            let setting = || Setting::new(format, mode).with("Hear channel", "1");
            let alone = setting().play(&phrase, 16.0)?;
            let with_pad = setting().play(&phrase.clone().with(&pad), 16.0)?;
            ensure!(!alone.generated.is_empty(), "{format}, {mode}: nothing is generated");
            ensure!(with_pad.generated == alone.generated, "{format}, {mode}: the pad changes the turn");
            expect_untouched(&with_pad, &pad).with_context(|| format!("{format}, {mode}"))?;
        }
    }
    Ok(())
}

#[test]
fn controllers_of_what_is_not_heard_pass_on_their_own_channel() -> Result<()> {
    for format in Format::BOTH {
        let hands = Hands::read(
            "0 on 72, 100 on 60 c6, 200 bend 0.75 c6, 300 cc 64 1 c6, 400 cc 1 0.5 c6, 500 pressure 1 c6, \
             700 cc 64 0 c6, 800 off 60 c6, 1000 off 72",
        );
        let setting = Setting::new(format, "Harmonise").with("Your voice", "Bass").with("Hear channel", "1");
        let played = setting.play(&hands, 6.0)?;
        let expected: Vec<_> = untouched(&hands).into_iter().filter(|event| !is_note(&event.1)).collect();
        let got: Vec<_> = played.sent.iter().filter(|event| !is_note(&event.1)).collect();
        let all_there =
            expected.len() == got.len() && expected.iter().all(|event| got.iter().any(|sent| near(sent, event)));
        ensure!(all_there, "{format}: {got:?}, expected {expected:?}");
        played.expect_harmony_ends(at_ms(1000.0), u64::MAX)?;
    }
    Ok(())
}

fn is_note(kind: &EventKind) -> bool {
    matches!(kind, EventKind::NoteOn { .. } | EventKind::NoteOff { .. })
}

/// Whether two values are equal within MIDI's resolution.
fn near(a: &(u64, EventKind), b: &(u64, EventKind)) -> bool {
    let value = |kind: &EventKind| match *kind {
        EventKind::MidiCc { channel, cc, value } => Some((0, channel, cc, value)),
        EventKind::PitchBend { channel, value } => Some((1, channel, 0, value)),
        EventKind::ChannelPressure { channel, pressure } => Some((2, channel, 0, pressure)),
        _ => None,
    };
    match (value(&a.1), value(&b.1)) {
        (Some(x), Some(y)) => a.0 == b.0 && (x.0, x.1, x.2) == (y.0, y.1, y.2) && (x.3 - y.3).abs() < 0.01,
        _ => false,
    }
}

#[test]
fn a_filter_that_moves_while_keys_are_down_hangs_nothing() -> Result<()> {
    for format in Format::BOTH {
        for mode in ["Harmonise", "Continue"] {
            for (name, away) in [("Hear from", "C6"), ("Hear to", "C2"), ("Hear channel", "5")] {
                let setting = Setting::new(format, mode);
                let plugin = setting.plugin()?;
                let param = plugin.param_by_name(name)?;
                let (here, away) = (param.default_normalised, value_of(&plugin, name, away)?);
                let set = |value: f64| Happening::Param(name.into(), value);
                // Heard when it goes down but not when it is released, and the other way round.
                let hands = Hands::read("0 on 72, 700 off 72, 1000 on 71, 1700 off 71, 2200 on 69, 2600 off 69");
                let script = running(8.0).hands(1, &hands).with(1, 0.8, set(away)).with(1, 2.5, set(here));
                let played = setting.play_script(&script, &hands)?;
                let ends: Vec<_> = played.played.iter().map(|note| note.end).collect();
                ensure!(ends == [700.0, 1700.0, 2600.0].map(at_ms), "{format}, {mode}, {name}: {ends:?}");
                if mode == "Harmonise" {
                    played
                        .expect_harmony_ends(at_ms(700.0), at_ms(2200.0) + 1)
                        .with_context(|| format!("{format}, {name}"))?;
                    played.expect_harmony_ends(at_ms(2600.0), u64::MAX).with_context(|| format!("{format}, {name}"))?;
                }
            }
        }
    }
    Ok(())
}

#[test]
fn by_channel_the_first_four_channels_are_the_voices() -> Result<()> {
    for format in Format::BOTH {
        for order in continuo_tests::hands::orders(&[0, 1, 3]) {
            // Parts that cross and meet in unison; the tenor stays open.
            let keys = [60_u8, 67, 0, 60];
            let mut hands = Hands::default();
            for channel in &order {
                hands =
                    hands.with(&Hands::default().note(keys[usize::from(*channel)], 500.0, 2000.0).on_channel(*channel));
            }
            let setting = Setting::new(format, "Harmonise").with("Input", "By channel");
            let played = setting.play(&hands, 6.0)?;
            let mut got: Vec<_> = played.played.iter().map(|note| (note.channel, note.key)).collect();
            got.sort_unstable();
            ensure!(got == [(0, 60), (1, 67), (3, 60)], "{format}, {order:?}: {got:?}");
            let elsewhere = played.generated.iter().find(|note| note.channel != 2);
            ensure!(elsewhere.is_none(), "{format}, {order:?}: {elsewhere:?}");
            ensure!(!played.generated.is_empty(), "{format}, {order:?}: the tenor is silent");
        }
    }
    Ok(())
}
