//! Takes in the editor: chosen, saved as clips, and read back.

use anyhow::{Context, Result, ensure};
use continuo_tests::clip::{self, Clip, ClipNote};
use continuo_tests::editor_session::{EditorSession, music_folder};
use continuo_tests::session::{saved_takes, value_of, without_expression};
use continuo_tests::timeline::VOICE_NAMES;

use crate::{TUNE, expect_opened, ruler};

#[test]
fn takes_become_clips() -> Result<()> {
    let mut session = EditorSession::open()?;
    let _ = std::fs::remove_dir_all(music_folder());
    without_expression(&mut session.plugin)?;
    session.play(TUNE, 0.0, 17.0)?;
    session.stop()?;
    session.play(TUNE, 4.0, 21.9)?;
    session.stop()?;
    session.click("Takes")?;
    session.click("Take 1")?;
    session.click("Save MIDI")?;
    let clip = saved_clip(&mut session, "Continuo take 1, bars 1-5.mid")?;
    ensure!((clip.tempi.as_slice(), clip.metres.as_slice()) == (&[(0, 625_000)], &[(0, 4, 4)]), "{clip:?}");
    ensure!(clip.ends == [5 * 4 * 960; 5], "it ends with its last bar, got {:?}", clip.ends);
    let expected = tracks_of_first_take(&mut session, 5 * 4 * 960, false)?;
    ensure!(clip.tracks == expected, "expected {expected:?}, got {:?}", clip.tracks);
    ensure!(clip.tracks[1].1.iter().all(|note| note.3 % 240 == 0), "the alto is on the grid: {:?}", clip.tracks[1]);
    session.click("As heard")?;
    session.click("Save MIDI")?;
    let heard = saved_clip(&mut session, "Continuo take 1, bars 1-5 (2).mid")?;
    let expected = tracks_of_first_take(&mut session, 5 * 4 * 960, true)?;
    ensure!(heard.tracks == expected, "expected {expected:?}, got {:?}", heard.tracks);
    // 25 ms at 96 bpm.
    ensure!(heard.tracks[1].1[0].3 == clip.tracks[1].1[0].3 + 38, "{:?}", heard.tracks[1]);
    session.click("As heard")?;
    let played: Vec<u8> = clip.tracks[0].1.iter().map(|note| note.1).collect();
    ensure!(played[..4] == [67, 67, 69, 71], "the soprano is what was played, got {played:?}");
    ensure!(clip.tracks[0].1[0].3 < 10, "it starts on its bar");
    // The window shows the clip's path; the folder depends on the machine and is not compared.
    session.click("Take 2")?;
    session.photograph("takes")?;
    session.click("File per voice")?;
    session.click("Alto")?;
    session.click("Save MIDI")?;
    session.click("Copy path")?;
    let name = |voice| music_folder().join(format!("Continuo take 2, bars 2-6, {voice}.mid")).display().to_string();
    let expected = ["Soprano", "Tenor", "Bass"].map(name).join("\n");
    session.until("the paths on the clipboard", |session| {
        let copied = session.desktop.clipboard()?;
        Ok((copied == expected).then_some(()))
    })?;
    session.click("Open folder")?;
    expect_opened(&mut session, &music_folder())?;
    std::fs::remove_dir_all(music_folder())?;
    Ok(())
}

/// Waits for a clip to be saved, and reads it.
fn saved_clip(session: &mut EditorSession, name: &str) -> Result<Clip> {
    let path = music_folder().join(name);
    let bytes = session.until(name, |_| Ok(std::fs::read(&path).ok().filter(|bytes| !bytes.is_empty())))?;
    clip::read(&bytes)
}

#[test]
fn chosen_bars_keep_their_key_tempo_and_metre() -> Result<()> {
    let mut session = EditorSession::open()?;
    let _ = std::fs::remove_dir_all(music_folder());
    // At these tempi blocks end on beats.
    session.tempo_bpm = 93.75;
    let left = session.play(TUNE, 0.0, 8.0)?;
    session.tempo_bpm = 112.5;
    let left = session.play_on(TUNE, left, 12.0)?;
    session.time_signature = (3, 4);
    session.play_on(TUNE, left, 21.0)?;
    session.stop()?;
    let key = value_of(&session.plugin, "Key", "G major")?;
    session.plugin.set_param_by_name("Key", key)?;
    session.click("Takes")?;
    session.click("Save MIDI")?;
    let whole = saved_clip(&mut session, "Continuo take 1, bars 1-6.mid")?;
    ensure!(whole.keys == [(0, 1, false)], "{:?}", whole.keys);
    ensure!(whole.metres == [(0, 4, 4), (12 * 960, 3, 4)], "{:?}", whole.metres);
    let [(0, 640_000), (at, 533_333)] = whole.tempi[..] else { anyhow::bail!("tempi {:?}", whole.tempi) };
    ensure!(at.abs_diff(8 * 960) < 480, "the tempo changes at {at}");
    ensure!(whole.ends == [21 * 960; 5], "{:?}", whole.ends);
    // Along the ruler, from the second bar to the fourth: two of 4/4 and one of 3/4.
    let (from, to) = (ruler(session.place("Bar 2")?), ruler(session.place("Bar 4")?));
    session.desktop.drag(from, to)?;
    session.click("Soprano")?;
    session.click("Save MIDI")?;
    let part = saved_clip(&mut session, "Continuo take 1, bars 2-4.mid")?;
    ensure!(part.metres == [(0, 4, 4), (8 * 960, 3, 4)] && part.tempi.len() == 2, "{part:?}");
    ensure!(part.ends == [11 * 960; 4], "{:?}", part.ends);
    let names: Vec<&str> = part.tracks.iter().map(|(name, _)| name.as_str()).collect();
    ensure!(names == ["Alto", "Tenor", "Bass"], "{names:?}");
    for ((name, notes), (_, all)) in part.tracks.iter().zip(&whole.tracks[1..]) {
        let (from, to) = (4 * 960, 15 * 960);
        let inside = all.iter().filter(|n| n.3 < to && n.3 + n.4 > from);
        let moved = inside.map(|n| (n.0, n.1, n.2, n.3.max(from) - from, (n.3 + n.4).min(to) - n.3.max(from)));
        ensure!(*notes == moved.collect::<Vec<_>>(), "{name}: {notes:?}");
    }
    // Bars by number, then all bars.
    session.click("First bar")?;
    session.place("First bar")?;
    session.desktop.type_text("3\n")?;
    session.click("Save MIDI")?;
    saved_clip(&mut session, "Continuo take 1, bars 3-4.mid")?;
    session.click("Last bar")?;
    session.place("Last bar")?;
    session.desktop.type_text("3\n")?;
    session.click("Save MIDI")?;
    saved_clip(&mut session, "Continuo take 1, bar 3.mid")?;
    session.click("All bars")?;
    session.click("Save MIDI")?;
    saved_clip(&mut session, "Continuo take 1, bars 1-6 (2).mid")?;
    session.plugin.set_param_by_name("Rng seed", 0.5)?;
    session.click("Use its seed")?;
    session.expect_param("Rng seed", "1")?;
    std::fs::remove_dir_all(music_folder())?;
    Ok(())
}

/// What the project holds of the first take, which starts at the song's beginning, as tracks of a clip of `length`
/// ticks: on the grid, or as it was heard.
fn tracks_of_first_take(
    session: &mut EditorSession,
    length: i64,
    as_heard: bool,
) -> Result<Vec<(String, Vec<ClipNote>)>> {
    let (_, saved) = saved_takes(&mut session.plugin)?;
    let end = saved["starts"][1]["first_note"].as_u64().context("expected two takes")? as usize;
    let notes = saved["notes"].as_array().context("expected notes")?;
    let note = |note: &serde_json::Value| {
        let number = |n: usize| note[n].as_i64().context("expected a number");
        // By how much later the note started, and how much longer it was.
        let shift = |n: usize| if as_heard { note[n].as_i64().unwrap_or(0) } else { 0 };
        Ok((number(0)? as u8, number(1)? as u8, number(2)? as u8, number(3)? + shift(5), number(4)? + shift(6)))
    };
    let notes = notes.iter().map(note).collect::<Result<Vec<(u8, u8, u8, i64, i64)>>>()?;
    let of_voice = |(voice, name): (usize, &str)| {
        let notes = notes[..end].iter().filter(|note| usize::from(note.0 % 16) == voice && note.3 < length);
        let inside = |n: &(u8, u8, u8, i64, i64)| (n.0 % 16, n.1, n.2, n.3 as u32, n.4.min(length - n.3) as u32);
        (name.to_string(), notes.map(inside).collect())
    };
    Ok(VOICE_NAMES.into_iter().enumerate().map(of_voice).collect())
}
