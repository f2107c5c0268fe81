//! The editor of the built bundle in a window of a host, with a mouse and a keyboard.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use continuo_tests::clip::{self, Clip, ClipNote};
use continuo_tests::desktop::Button;
use continuo_tests::editor_session::{EditorSession, music_folder, opened_file};
use continuo_tests::fake_host::Format;
use continuo_tests::session::{saved_takes, value_of};

/// The first phrase of a hymn, two bars and a half of it twice.
const TUNE: &str = "0 67 1, 1 67 1, 2 69 1, 3 71 1, 4 72 1, 5 71 1, 6 69 1.5, 7.5 67 0.5, 8 67 1, 9 69 1, 10 71 1, 11 67 1, \
                    12 69 2, 14 67 2, 16 71 1, 17 71 1, 18 72 1, 19 74 1, 20 74 2, 22 72 2";

#[test]
fn what_it_plays_is_seen() -> Result<()> {
    let mut session = EditorSession::open()?;
    session.photograph("empty")?;
    let lookahead = value_of(&session.plugin, "Lookahead", "8 steps")?;
    session.plugin.set_param_by_name("Lookahead", lookahead)?;
    session.play(TUNE, 0.0, 18.4)?;
    session.photograph("playing")?;
    session.click("Light")?;
    session.photograph("playing-light")?;
    session.click("Dark")?;
    session.stop()
}

#[test]
fn every_parameter_is_reached_with_the_mouse() -> Result<()> {
    let mut session = EditorSession::open()?;
    let params = session.plugin.params();
    for param in params {
        let name = param.name.as_str();
        let text = |session: &EditorSession, value| session.plugin.param_text(param.id, value);
        let first_choice = format!("{name}/{}", text(&session, 0.0)?);
        let choices = session.places()?;
        if choices.contains_key(&first_choice) || name == "Key" {
            // A choice: the last of its values, the first, and back to the default.
            for value in [1.0, 0.0, param.default_normalised] {
                let text = text(&session, value)?;
                if name == "Key" {
                    session.click(name)?;
                }
                if session.param(name)? != value {
                    session.click(&format!("{name}/{text}")).context("a choice")?;
                }
                session.expect_param(name, &text)?;
            }
        } else if name == "Panic" || name == "Cadence" {
            let place = session.middle(name)?;
            session.desktop.move_to(place)?;
            session.desktop.button(Button::Left, true)?;
            session.expect_param(name, &text(&session, 1.0)?).context("held")?;
            session.desktop.button(Button::Left, false)?;
            session.expect_param(name, &text(&session, 0.0)?).context("let go")?;
        } else if param.num_steps == 1 {
            for value in [1.0 - param.default_normalised, param.default_normalised] {
                session.click(name)?;
                session.expect_param(name, &text(&session, value)?)?;
            }
        } else {
            drag_a_bar(&mut session, name).with_context(|| name.to_string())?;
        }
    }
    Ok(())
}

/// A drag, a fine one, a double click, and a typed value.
fn drag_a_bar(session: &mut EditorSession, name: &str) -> Result<()> {
    let id = session.plugin.param_by_name(name)?.id;
    let default = session.plugin.param_by_name(name)?.default_normalised;
    let default_text = session.plugin.param_text(id, default)?;
    let [left, top, width, height] = session.place(name)?;
    let at = |share: f64| ((f64::from(left) + f64::from(width) * share) as i16, (top + height / 2) as i16);
    // To the end that is farther away.
    let (from, to) = if default < 0.5 { (0.2, 0.7) } else { (0.8, 0.3) };
    let moved = session.until("a drag to move it", |session| {
        // A machine that draws less often than the hand moves sees a click, which changes nothing: then again, until it sees a drag.
        session.desktop.drag(at(from), at(to))?;
        let value = session.param_at_rest(name)?;
        Ok(((value - default).abs() > 0.2).then_some(value - default))
    })?;
    double_click(session, name, at(0.5)).context("a double click")?;
    session.expect_param(name, &default_text)?;

    session.desktop.shift(true)?;
    session.desktop.drag(at(from), at(to))?;
    session.desktop.shift(false)?;
    let step = 1.0 / f64::from(session.plugin.param_by_name(name)?.num_steps.clamp(1, 100));
    let fine = session.param_at_rest(name)? - default;
    ensure!(fine.abs() < 0.3 * moved.abs() + step, "a fine drag by {fine}, a plain one by {moved}");
    // What is typed: the top of the range, as the plugin writes it, without its unit.
    let top_text = session.plugin.param_text(id, 1.0)?;
    session.desktop.click(at(0.5), Button::Right)?;
    session.place("Value field")?;
    let digits: String = top_text.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    session.desktop.type_text(&digits)?;
    session.desktop.type_text("\n")?;
    session.expect_param(name, &top_text).context("a typed value")?;
    double_click(session, name, at(0.5)).context("the default again")
}

/// Double-clicks until the default is back: a slow machine may see two clicks, which change nothing.
fn double_click(session: &mut EditorSession, name: &str, at: (i16, i16)) -> Result<()> {
    let default = session.plugin.param_by_name(name)?.default_normalised;
    session.desktop.move_to(at)?;
    session.until("the default", |session| {
        for down in [true, false, true, false] {
            session.desktop.button(Button::Left, down)?;
        }
        Ok(((session.param_at_rest(name)? - default).abs() < 1e-6).then_some(()))
    })
}

#[test]
fn seeds_are_thrown_and_gone_back_to() -> Result<()> {
    let mut session = EditorSession::open()?;
    session.expect_param("Rng seed", "1")?;
    session.click("Dice")?;
    let thrown = session.until("another seed", |session| Ok(Some(session.param("Rng seed")?).filter(|v| *v > 2e-4)))?;
    session.click("Regenerate")?;
    session.until("the next seed", |session| Ok((session.param("Rng seed")? != thrown).then_some(())))?;
    session.click("Undo seed")?;
    session.until("the thrown seed", |session| Ok((session.param("Rng seed")? == thrown).then_some(())))?;
    session.click("History")?;
    session.click("History/1")?;
    session.expect_param("Rng seed", "1")
}

#[test]
fn takes_become_clips() -> Result<()> {
    let mut session = EditorSession::open()?;
    let _ = std::fs::remove_dir_all(music_folder());
    session.play(TUNE, 0.0, 17.0)?;
    session.stop()?;
    session.play(TUNE, 4.0, 22.0)?;
    session.stop()?;
    session.click("Takes")?;
    session.click("Take 1")?;
    session.click("Save MIDI")?;
    let path = music_folder().join("Continuo take 1, bars 1-5.mid");
    session.until("the file to be saved", |_| Ok(path.exists().then_some(())))?;
    let clip = clip::read(&std::fs::read(&path)?)?;
    ensure!((clip.tempi.as_slice(), clip.metres.as_slice()) == (&[(0, 625_000)], &[(0, 4, 4)]), "{clip:?}");
    ensure!(clip.ends == [5 * 4 * 960; 5], "it ends with its last bar, got {:?}", clip.ends);
    let expected = tracks_of_first_take(&mut session, 5 * 4 * 960)?;
    ensure!(clip.tracks == expected, "expected {expected:?}, got {:?}", clip.tracks);
    let played: Vec<u8> = clip.tracks[0].1.iter().map(|note| note.1).collect();
    ensure!(played[..4] == [67, 67, 69, 71], "the soprano is what was played, got {played:?}");
    ensure!(clip.tracks[0].1[0].3 < 10, "it starts on its bar");
    // The clip's path is shown; wherever the folder is on this machine is not compared.
    session.click("Take 2")?;
    session.photograph("takes")?;
    session.click("A file a voice")?;
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

/// Reads the clip of a name that is being saved.
fn saved_clip(session: &mut EditorSession, name: &str) -> Result<Clip> {
    let path = music_folder().join(name);
    let bytes = session.until(name, |_| Ok(std::fs::read(&path).ok().filter(|bytes| !bytes.is_empty())))?;
    clip::read(&bytes)
}

#[test]
fn chosen_bars_keep_their_key_tempo_and_metre() -> Result<()> {
    let mut session = EditorSession::open()?;
    let _ = std::fs::remove_dir_all(music_folder());
    // At these tempi blocks end with beats.
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
    let ruler = |place: [i32; 4]| ((place[0] + place[2] / 2) as i16, (place[1] - 12) as i16);
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
    // By number, and all of them again.
    session.click("First bar")?;
    session.desktop.type_text("3\n")?;
    session.click("Save MIDI")?;
    saved_clip(&mut session, "Continuo take 1, bars 3-4.mid")?;
    session.click("Last bar")?;
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

#[test]
fn the_space_bar_is_the_hosts() -> Result<()> {
    let mut session = EditorSession::open()?;
    session.play(TUNE, 0.0, 4.0)?;
    session.stop()?;
    for (name, clicked, after) in
        [("Freeze bass", "Freeze bass", "On"), ("Bypass", "Bypass", "On"), ("Mode", "Mode/Free", "Free")]
    {
        session.click(clicked)?;
        session.expect_param(name, after)?;
        session.desktop.type_text("  \n")?;
        // What a key does it does in the next picture.
        session.click("Light")?;
        session.place("Dark")?;
        session.click("Dark")?;
        session.place("Light")?;
        session.expect_param(name, after)?;
    }
    Ok(())
}

/// The rounds of a loop: what was heard, split where the song goes back, in 16ths and without what is early at a seam.
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
    session.play("90 60 1", 4.0, 19.9)?;
    session.stop()?;
    let again = rounds(&session.heard());
    ensure!(again == [&heard[2][..], &heard[2][..]], "expected {:?} twice, got {again:?}", heard[2]);
    // Nothing was heard behind the loop, and nothing is.
    session.loop_range_beats = None;
    session.play("90 60 1", 4.0, 24.0)?;
    session.stop()?;
    let straight = rounds(&session.heard());
    ensure!(straight == [&heard[2][..]], "expected {:?} once, got {straight:?}", heard[2]);
    // The second round's bars alone.
    session.click("Take 1")?;
    session.click("Freeze take")?;
    session.expect_param("Freeze bass", "Off")?;
    let ruler = |place: [i32; 4]| ((place[0] + place[2] / 2) as i16, (place[1] - 12) as i16);
    let (from, to) = (ruler(session.place("Bar 4")?), ruler(session.place("Bar 5")?));
    session.desktop.drag(from, to)?;
    session.click("Freeze take")?;
    session.expect_param("Freeze bass", "On")?;
    session.loop_range_beats = Some((4.0, 12.0));
    session.play("90 60 1", 4.0, 11.9)?;
    session.stop()?;
    let chosen = rounds(&session.heard());
    ensure!(chosen == [&heard[1][..]], "expected {:?}, got {chosen:?}", heard[1]);
    Ok(())
}

/// What the project holds of the first take, which starts at the song's beginning, as tracks of a clip of `length` ticks.
fn tracks_of_first_take(session: &mut EditorSession, length: i64) -> Result<Vec<(String, Vec<ClipNote>)>> {
    let (_, saved) = saved_takes(&mut session.plugin)?;
    let end = saved["starts"][1]["first_note"].as_u64().context("expected two takes")? as usize;
    let notes: Vec<(u8, u8, u8, i64, i64)> = serde_json::from_value(saved["notes"].clone())?;
    let of_voice = |(voice, name): (usize, &str)| {
        let notes = notes[..end].iter().filter(|note| usize::from(note.0 % 16) == voice && note.3 < length);
        let inside = |n: &(u8, u8, u8, i64, i64)| (n.0 % 16, n.1, n.2, n.3 as u32, n.4.min(length - n.3) as u32);
        (name.to_string(), notes.map(inside).collect())
    };
    Ok(["Soprano", "Alto", "Tenor", "Bass"].into_iter().enumerate().map(of_voice).collect())
}

/// Waits until the system has been asked to show a folder.
fn expect_opened(session: &mut EditorSession, folder: &Path) -> Result<()> {
    let folder = folder.display().to_string();
    session.until("the folder to be shown", |_| {
        let opened = std::fs::read_to_string(opened_file()).unwrap_or_default();
        Ok((opened == folder).then_some(()))
    })?;
    Ok(std::fs::remove_file(opened_file())?)
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
    // Nobody plays: in the middle of the song the take goes on by itself, as it was.
    session.play("40 60 1", 9.0, 16.4)?;
    let again = session.heard();
    for channel in 1..4 {
        let (first, again) = (voice(&first, channel, 9.0), voice(&again, channel, 9.0));
        ensure!(again.len() >= 4, "channel {channel}: expected the take to play, got {again:?}");
        ensure!(again == first[..again.len()], "channel {channel}: expected the take's {first:?}, got {again:?}");
    }
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
    // While the take is under way.
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
    // The first one again stores the latest.
    session.click("Freeze soprano")?;
    session.expect_param("Freeze soprano", "On")?;
    let number = &session.saved("frozen")?["number"];
    ensure!(*number == 2, "expected the latest take, got {number}");
    Ok(())
}

#[test]
fn the_roll_scrolls_and_zooms_with_the_wheel() -> Result<()> {
    let mut session = EditorSession::open()?;
    session.play(TUNE, 0.0, 18.4)?;
    let before = session.place("Bar 3")?;
    session.wheel("Roll", Button::WheelUp)?;
    let scrolled = session.place("Bar 3")?;
    ensure!(scrolled[0] > before[0] + 20, "expected earlier music, got bar 3 at {scrolled:?} after {before:?}");
    ensure!(scrolled[2] == before[2], "expected the same size, got {scrolled:?} after {before:?}");
    session.wheel("Roll", Button::WheelDown)?;
    session.wheel("Roll", Button::WheelDown)?;
    let back = session.place("Bar 3")?;
    ensure!(back[0] < scrolled[0] - 40, "expected later music, got bar 3 at {back:?} after {scrolled:?}");
    session.desktop.control(true)?;
    session.wheel("Roll", Button::WheelUp)?;
    session.desktop.control(false)?;
    let zoomed = session.place("Bar 3")?;
    ensure!(zoomed[2] > back[2] + 10, "expected a wider bar, got {zoomed:?} after {back:?}");
    session.photograph("zoomed")?;
    session.click("Follow")?;
    session.until("the button to go once it follows", |session| {
        Ok((!session.places()?.contains_key("Follow")).then_some(()))
    })?;
    session.stop()
}

#[test]
fn a_style_is_chosen_in_the_head_of_the_window() -> Result<()> {
    let mut session = EditorSession::open()?;
    let folder = music_folder().join("Weights");
    let _ = std::fs::remove_dir_all(music_folder());
    session.click("Style")?;
    session.click("Style/Open folder")?;
    expect_opened(&mut session, &folder)?;
    ensure!(folder.is_dir(), "expected {} to be made", folder.display());
    std::fs::copy(chorale(), folder.join("mine.safetensors"))?;
    session.click("Style")?;
    session.place("Style/Chorale (mine)")?;
    session.photograph("styles")?;
    choose_style(&mut session, "Style/Chorale (mine)", &folder.join("mine.safetensors").display().to_string())?;
    choose_style(&mut session, "Style/Chorale", "shipped:chorale")?;
    // At a bar it plays: the worker puts down the hash of what it has read.
    session.until("it to play", |session| {
        session.play(TUNE, 0.0, 5.0)?;
        session.stop()?;
        Ok(session.saved("weights")?["hash"].as_str().is_some_and(|hash| !hash.is_empty()).then_some(()))
    })?;
    std::fs::remove_dir_all(music_folder())?;
    Ok(())
}

/// Clicks on an entry of the style menu, and again if a slow machine has missed it, until the project holds its path.
fn choose_style(session: &mut EditorSession, entry: &str, path: &str) -> Result<()> {
    session.until(path, |session| {
        if session.saved("weights")?["path"] == path {
            return Ok(Some(()));
        }
        match session.places()?.get(entry) {
            Some([left, top, width, height]) => {
                let middle = ((left + width / 2) as i16, (top + height / 2) as i16);
                session.desktop.click(middle, Button::Left)?;
            }
            None => session.click("Style")?,
        }
        // The menu folds and unfolds in another picture.
        session.place("Style")?;
        Ok(None)
    })
}

#[test]
fn it_is_the_same_in_vst3() -> Result<()> {
    let mut session = EditorSession::open_project(Format::Vst3, None)?;
    session.photograph("empty")?;
    session.click("Mode/Free")?;
    session.expect_param("Mode", "Free")?;
    session.click("Freeze tenor")?;
    session.expect_param("Freeze tenor", "On")?;
    session.click("Size")?;
    session.click("Size/125 %")?;
    session.until("a larger window", |session| Ok((session.size()? == (1400, 1000)).then_some(())))?;
    session.until("the roll to fill the window", |session| Ok((session.place("Roll")?[2] == 1120).then_some(())))?;
    session.close_editor()?;
    session.open_editor()?;
    ensure!(session.size()? == (1400, 1000), "expected the size that it had");
    Ok(())
}

fn chorale() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../weights/chorale.safetensors")
}

#[test]
fn weights_show_their_card_and_what_is_wrong() -> Result<()> {
    let mut session = EditorSession::open()?;
    let folder = music_folder().join("Weights");
    let _ = std::fs::remove_dir_all(music_folder());
    std::fs::create_dir_all(folder.join("older"))?;
    std::fs::create_dir_all(folder.join("v1.2"))?;
    std::fs::copy(chorale(), folder.join("v1.2/inner.safetensors"))?;
    std::fs::copy(chorale(), folder.join("my-chorales.safetensors"))?;
    std::fs::write(folder.join("unfinished.safetensors"), [0; 4])?;
    session.play(TUNE, 0.0, 6.0)?;
    session.stop()?;
    session.click("Weights")?;
    // In and out of a folder that is called as files are, and the weights stay what they were.
    session.click("Weights/v1.2/")?;
    session.place("Weights/Chorale   inner.safetensors")?;
    session.click("Up")?;
    session.click("Weights/Chorale   my-chorales.safetensors")?;
    ensure!(session.saved("weights")?["path"] == "", "expected the shipped weights");
    session.photograph("weights")?;
    session.click("Play these")?;
    session.play(TUNE, 0.0, 9.0)?;
    session.stop()?;
    let before = session.place("Figures")?;
    session.click("Weights path")?;
    session.desktop.type_text("no.safetensors\n")?;
    // The next bar line is where it is tried; the line with what is wrong then lifts the one with the figures.
    session.until("the worker to say what is wrong", |session| {
        session.play(TUNE, 0.0, 5.0)?;
        session.stop()?;
        Ok((session.place("Figures")?[1] < before[1]).then_some(()))
    })?;
    session.photograph("weights-missing")
}

#[test]
fn it_is_resized_and_zoomed() -> Result<()> {
    let mut session = EditorSession::open()?;
    for wanted in [(1400, 900), (980, 680)] {
        let size = session.plugin.resize_editor(wanted)?;
        ensure!(size == wanted, "expected {wanted:?}, got {size:?}");
        session.desktop.resize(session.window, size)?;
        session.until("the roll to fill the window", |session| {
            let roll = session.place("Roll")?;
            Ok((roll[2] == wanted.0 as i32).then_some(()))
        })?;
        ensure!(session.size()? == wanted);
    }
    let small = session.plugin.resize_editor((200, 100))?;
    ensure!(small == (960, 660), "expected the smallest size, got {small:?}");
    session.plugin.resize_editor((1120, 800))?;
    session.desktop.resize(session.window, (1120, 800))?;
    session.until("the first size again", |session| Ok((session.place("Roll")?[2] == 1120).then_some(())))?;
    session.click("Size")?;
    session.click("Size/200 %")?;
    session.until("a window twice as large", |session| Ok((session.size()? == (2240, 1600)).then_some(())))?;
    session.photograph("twice")?;
    // It opens again as it was, and so does the project elsewhere.
    session.close_editor()?;
    session.open_editor()?;
    ensure!(session.size()? == (2240, 1600), "expected the size that it had");
    let state = session.plugin.save_state()?;
    drop(session);
    let mut session = EditorSession::open_project(Format::Clap, Some(&state))?;
    ensure!(session.size()? == (2240, 1600), "expected the project's size in another instance");
    let small = session.plugin.resize_editor((200, 100))?;
    ensure!(small == (1920, 1320), "expected the smallest size at 200 %, got {small:?}");
    Ok(())
}

#[test]
fn opening_and_closing_leaves_nothing() -> Result<()> {
    let mut session = EditorSession::open()?;
    session.close_editor()?;
    let screen = session.desktop.num_windows(None)?;
    let before = num_entries("/proc/self/task")?;
    let (mut sizes, mut handles) = (Vec::new(), Vec::new());
    for round in 0..100 {
        session.open_editor()?;
        session.close_editor()?;
        session.until("its window to go", |session| {
            Ok((session.desktop.num_windows(Some(session.window))? == 0).then_some(()))
        })?;
        if round % 10 == 9 {
            sizes.push(resident_kib()?);
            handles.push(num_entries("/proc/self/fd")?);
        }
    }
    println!("resident KiB after each ten: {sizes:?}, open files: {handles:?}");
    // The last window's thread may still be at it.
    session.until("no more windows than before", |session| {
        Ok((session.desktop.num_windows(None)? <= screen).then_some(()))
    })?;
    // What the graphics driver keeps is taken in the first rounds. Were a window's pixels left each time, the last fifty would take
    // 140 MiB.
    let most = |numbers: &[u64]| numbers.iter().copied().max().unwrap_or_default();
    let grown = most(&sizes[5..]).saturating_sub(most(&sizes[..5]));
    ensure!(grown < 24 * 1024, "expected memory to stay, got {grown} KiB more: {sizes:?}");
    ensure!(
        handles[5..].iter().max() <= handles[..5].iter().max(),
        "expected as many open files as before, got {handles:?}"
    );
    let threads = num_entries("/proc/self/task")?;
    session
        .until("as many threads as before", |_| Ok((num_entries("/proc/self/task")? <= before).then_some(())))
        .with_context(|| format!("expected {before} threads, got {threads}"))
}

fn num_entries(folder: &str) -> Result<usize> {
    Ok(std::fs::read_dir(folder)?.count())
}

unsafe extern "C" {
    /// glibc's: gives memory that was freed back to the system, in every arena.
    fn malloc_trim(pad: usize) -> i32;
}

/// Memory of this process that is in use, KiB. Each window has a thread, and each thread may allocate in an arena of its own, so what has
/// been freed is not counted.
fn resident_kib() -> Result<u64> {
    // SAFETY: it takes glibc's own locks and touches what is free alone.
    unsafe { malloc_trim(0) };
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a process has a size")?;
    Ok(line.trim_end_matches("kB").trim().parse()?)
}
