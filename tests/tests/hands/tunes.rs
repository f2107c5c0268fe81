//! Tunes in one line, however legato, stay on one voice's channel, with the other voices around them.

use anyhow::{Context, Result, ensure};
use continuo_tests::fake_host::Format;
use continuo_tests::hands::Hands;
use continuo_tests::heard;

use super::playing::*;

/// Up, down, and by leaps within an octave.
const SOPRANO: [u8; 16] = [72, 71, 69, 67, 69, 71, 72, 74, 76, 74, 72, 67, 71, 69, 65, 67];
const BASS: [u8; 16] = [48, 47, 45, 43, 45, 47, 48, 50, 52, 50, 48, 43, 47, 45, 41, 43];
const ALTO: [u8; 16] = [64, 62, 60, 62, 64, 65, 67, 65, 64, 60, 62, 64, 62, 60, 59, 60];

fn voices() -> [(&'static str, u8, [u8; 16]); 3] {
    [("Soprano", 0, SOPRANO), ("Bass", 3, BASS), ("Alto", 1, ALTO)]
}

#[test]
fn a_legato_tune_stays_on_one_channel_with_three_voices_around_it() -> Result<()> {
    for format in Format::BOTH {
        for (voice, channel, keys) in voices() {
            for (overlap, note_ms, lookahead) in OVERLAPS
                .into_iter()
                .flat_map(|o| [(o, 500.0, "2 steps"), (o, 250.0, "16 steps"), (o, 375.0, "1 steps")])
            {
                let what = || format!("{format}, {voice}, overlap {overlap} ms, notes of {note_ms} ms, {lookahead}");
                let setting = Setting::new(format, "Harmonise").with("Your voice", voice).with("Lookahead", lookahead);
                let hands = Hands::tune(&keys, 0.0, note_ms, overlap);
                let played = setting.play(&hands, 18.0).with_context(what)?;
                let check = || -> Result<()> {
                    played.expect_played_on(channel)?;
                    played.expect_sound_harmony()?;
                    ensure!(played.generated_on(channel).is_empty(), "the tune's own channel has generated notes");
                    let whole = at_ms(0.0) + REPLY..at_ms(16.0 * note_ms);
                    for other in (0..4).filter(|other| *other != channel) {
                        // A voice may pause, but must not fall silent.
                        let share = heard::share(&played.generated_on(other), whole.clone());
                        ensure!(share > 0.97, "channel {other} sounds in {:.0} % of the time", 100.0 * share);
                    }
                    played.expect_harmony_ends(whole.end, u64::MAX)
                };
                check().with_context(what)?;
            }
        }
    }
    Ok(())
}

#[test]
fn a_legato_tune_stays_on_one_channel_in_every_mode_and_block() -> Result<()> {
    for format in Format::BOTH {
        for mode in ["Continue", "Respond", "Free"] {
            for (voice, channel, keys) in voices() {
                for (overlap, blocks) in OVERLAPS.into_iter().zip(BLOCKS.into_iter().cycle()) {
                    let what = || format!("{format}, {mode}, {voice}, overlap {overlap} ms, {blocks:?}");
                    let setting = Setting::new(format, mode).with("Your voice", voice).in_blocks(blocks);
                    let played = setting.play(&Hands::tune(&keys, 0.0, 250.0, overlap), 12.0).with_context(what)?;
                    played.expect_played_on(channel).with_context(what)?;
                }
            }
        }
    }
    Ok(())
}

#[test]
fn blocks_do_not_change_what_answers_a_legato_tune() -> Result<()> {
    for format in Format::BOTH {
        let hands = Hands::tune(&SOPRANO, 13.0, 190.0, 20.0);
        let first = Setting::new(format, "Harmonise").play(&hands, 8.0)?;
        for blocks in BLOCKS {
            let again = Setting::new(format, "Harmonise").in_blocks(blocks).play(&hands, 8.0)?;
            ensure!(again.sent == first.sent, "{format}, {blocks:?}");
        }
    }
    Ok(())
}

#[test]
fn fast_notes_in_one_line_are_no_chords() -> Result<()> {
    // 32nds at 120.
    for format in Format::BOTH {
        for (voice, channel, tune) in voices() {
            for overlap in [-20.0, -1.0, 0.0, OVERLAPS[1], 5.0, 20.0] {
                let what = || format!("{format}, {voice}, overlap {overlap} ms");
                let keys: Vec<u8> = tune.iter().cycle().take(128).copied().collect();
                let setting = Setting::new(format, "Harmonise").with("Your voice", voice);
                let played = setting.play(&Hands::tune(&keys, 0.0, 62.5, overlap), 17.0).with_context(what)?;
                played.expect_played_on(channel).with_context(what)?;
                played.expect_sound_harmony().with_context(what)?;
                ensure!(played.generated.len() >= 30, "{}: only {} notes", what(), played.generated.len());
            }
        }
    }
    Ok(())
}

#[test]
fn two_keys_held_for_longer_than_a_hand_slips_are_two_voices() -> Result<()> {
    for format in Format::BOTH {
        let hands = Hands::read("0 on 74, 500 on 69, 2500 off 69, 2500 off 74");
        let played = Setting::new(format, "Harmonise").play(&hands, 8.0)?;
        played.expect_sound_harmony()?;
        // From the second next step on, the network adds two voices.
        let (from, to) = (at_ms(1000.0), at_ms(2500.0));
        for at in (from..to).step_by(STEP as usize / 2) {
            let count = played.generated.iter().filter(|note| note.sounds_at(at)).count();
            ensure!(count <= 2, "{format}: {count} generated notes beside the two held keys at {at}");
        }
        played.expect_harmony(from, to)?;
    }
    Ok(())
}
