//! Freezing in the editor: a whole take plays again, or bars or single voices of it.

use anyhow::{Result, ensure};
use continuo_tests::editor_session::EditorSession;
use continuo_tests::session::value_of;

use crate::{TUNE, ruler};

/// The rounds of a loop: the heard notes in 16ths, split at each loop end, without notes that come early there.
fn rounds(heard: &[(f64, u8, u8)]) -> Vec<Vec<(i64, u8, u8)>> {
    let mut rounds = vec![Vec::new()];
    let mut last = f64::MIN;
    for &(beats, channel, key) in heard {
        if beats < last - 1.0 {
            rounds.push(Vec::new());
        }
        last = beats;
        rounds.last_mut().expect("there is one").push(((beats * 4.0).round() as i64, channel, key));
    }
    rounds.iter_mut().for_each(|round| round.sort_unstable());
    rounds
}

#[test]
fn the_last_round_of_a_loop_is_what_is_frozen() -> Result<()> {
    let mut session = EditorSession::open()?;
    for (name, text) in [("Mode", "Free"), ("Loop", "Evolve")] {
        let value = value_of(&session.plugin, name, text)?;
        session.plugin.set_param_by_name(name, value)?;
    }
    session.loop_range_beats = Some((4.0, 12.0));
    session.play("90 60 1", 4.0, 27.9)?;
    session.stop()?;
    let heard = rounds(&session.heard());
    ensure!(heard.len() == 3 && heard[1] != heard[2] && heard[2].len() > 8, "{heard:?}");
    session.click("Takes")?;
    session.click("Freeze take")?;
    session.expect_param("Freeze bass", "On")?;
    // By then the worker has recorded it.
    session.place("Freeze take")?;
    session.play("90 60 1", 4.0, 19.9)?;
    session.stop()?;
    let again = rounds(&session.heard());
    ensure!(again == [&heard[2][..], &heard[2][..]], "expected {:?} twice, got {again:?}", heard[2]);
    // Nothing was played after the loop, and nothing plays there now.
    session.loop_range_beats = None;
    session.play("90 60 1", 4.0, 24.0)?;
    session.stop()?;
    let straight = rounds(&session.heard());
    ensure!(straight == [&heard[2][..]], "expected {:?} once, got {straight:?}", heard[2]);
    // Only the second round's bars.
    session.click("Take 1")?;
    session.click("Freeze take")?;
    session.expect_param("Freeze bass", "Off")?;
    let (from, to) = (ruler(session.place("Bar 4")?), ruler(session.place("Bar 5")?));
    session.desktop.drag(from, to)?;
    session.click("Freeze take")?;
    session.expect_param("Freeze bass", "On")?;
    // By then the worker has recorded it.
    session.place("Freeze take")?;
    session.loop_range_beats = Some((4.0, 12.0));
    session.play("90 60 1", 4.0, 11.9)?;
    session.stop()?;
    let chosen = rounds(&session.heard());
    ensure!(chosen == [&heard[1][..]], "expected {:?}, got {chosen:?}", heard[1]);
    Ok(())
}

/// The generated notes of a voice from `from` on, in 16ths of the song.
fn voice(heard: &[(f64, u8, u8)], channel: u8, from: f64) -> Vec<(i64, u8)> {
    let of_voice = heard.iter().filter(|(beats, of, _)| *of == channel && *beats > from + 0.1);
    of_voice.map(|(beats, _, key)| ((beats * 4.0).round() as i64, *key)).collect()
}

#[test]
fn a_frozen_take_plays_again_from_anywhere() -> Result<()> {
    let mut session = EditorSession::open()?;
    session.play(TUNE, 0.0, 22.0)?;
    session.stop()?;
    let first = session.heard();
    session.click("Takes")?;
    session.click("Freeze take")?;
    for name in ["Freeze soprano", "Freeze alto", "Freeze tenor", "Freeze bass"] {
        session.expect_param(name, "On")?;
    }
    session.plugin.set_param_by_name("Rng seed", 0.5)?;
    session.click("Play")?;
    // The player is silent: from the middle of the song the take plays by itself, unchanged.
    session.play("40 60 1", 9.0, 16.4)?;
    let again = session.heard();
    for channel in 1..4 {
        let (first, again) = (voice(&first, channel, 9.0), voice(&again, channel, 9.0));
        ensure!(again.len() >= 4, "channel {channel}: expected the take to play, got {again:?}");
        ensure!(again == first[..again.len()], "channel {channel}: expected the take's {first:?}, got {again:?}");
    }
    let at_once = again.iter().filter(|(beats, ..)| *beats < 9.1).count();
    ensure!(at_once <= 3, "expected what sounds there to start there, a note a voice, got {at_once}");
    session.photograph("frozen")?;
    session.stop()?;
    session.click("Takes")?;
    session.click("Take 1")?;
    session.click("Freeze take")?;
    session.expect_param("Freeze bass", "Off")?;
    session.expect_param("Freeze soprano", "Off")?;
    session.play("40 60 1", 9.0, 16.0)?;
    ensure!(session.heard().is_empty(), "expected nothing once the take is let go");
    session.stop()
}

#[test]
fn a_frozen_voice_stays_while_the_others_change() -> Result<()> {
    let mut session = EditorSession::open()?;
    session.play(TUNE, 0.0, 12.0)?;
    // During the take.
    session.click("Freeze bass")?;
    let frozen = session.until("the take that is under way to be stored", |session| {
        Ok(Some(session.saved("frozen")?).filter(|frozen| frozen["number"] == 1))
    })?;
    session.stop()?;
    session.expect_param("Freeze bass", "On")?;
    let first = session.heard();
    session.plugin.set_param_by_name("Rng seed", 0.5)?;
    session.play(TUNE, 0.0, 11.0)?;
    session.stop()?;
    let again = session.heard();
    let (bass, bass_again) = (voice(&first, 3, 0.0), voice(&again, 3, 0.0));
    ensure!(bass_again.len() >= 4, "expected a bass, got {bass_again:?}");
    ensure!(bass_again == bass[..bass_again.len()], "expected the frozen bass {bass:?}, got {bass_again:?}");
    let others = |heard| [voice(heard, 1, 0.0), voice(heard, 2, 0.0)];
    ensure!(others(&first) != others(&again), "expected other notes from another rng seed");
    // A second voice joins the same take.
    session.click("Freeze tenor")?;
    session.expect_param("Freeze tenor", "On")?;
    ensure!(session.saved("frozen")? == frozen, "a voice that joins must not store another take");
    for name in ["Freeze tenor", "Freeze bass"] {
        session.click(name)?;
        session.expect_param(name, "Off")?;
    }
    // Freezing the first voice again stores the latest take.
    session.click("Freeze soprano")?;
    session.expect_param("Freeze soprano", "On")?;
    let number = &session.saved("frozen")?["number"];
    ensure!(*number == 2, "expected the latest take, got {number}");
    Ok(())
}
