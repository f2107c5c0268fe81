//! The editor of the built bundle in a window of a host, with a mouse and a keyboard.

mod freezing;
mod takes;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use continuo_tests::desktop::Button;
use continuo_tests::editor_session::{EditorSession, music_folder, opened_file};
use continuo_tests::fake_host::{Edit, Format};
use continuo_tests::session::value_of;

/// The first phrase of a hymn; two and a half bars of it come twice.
const TUNE: &str = "0 67 1, 1 67 1, 2 69 1, 3 71 1, 4 72 1, 5 71 1, 6 69 1.5, 7.5 67 0.5, 8 67 1, 9 69 1, 10 71 1, \
    11 67 1, 12 69 2, 14 67 2, 16 71 1, 17 71 1, 18 72 1, 19 74 1, 20 74 2, 22 72 2";

/// The middle of a bar, on the ruler.
fn ruler([left, top, width, _]: [i32; 4]) -> (i16, i16) {
    ((left + width / 2) as i16, (top - 12) as i16)
}

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
        if name == "Custom scale C" {
            // The notes of a custom scale are there as long as it is chosen.
            if !session.places()?.contains_key("Scale/Custom") {
                session.click("Scale")?;
            }
            session.click("Scale/Custom").context("a choice")?;
        }
        if name == "Device" {
            session.click("Weights")?;
        }
        let first_choice = format!("{name}/{}", text(&session, 0.0)?);
        let choices = session.places()?;
        let unfolds = ["Key", "Scale", "Hear channel", "Swing"].contains(&name);
        if choices.contains_key(&first_choice) || unfolds {
            // A choice: its last value, its first, and its default.
            for value in [1.0, 0.0, param.default_normalised] {
                let text = text(&session, value)?;
                if unfolds {
                    session.click(name)?;
                }
                if session.param(name)? != value {
                    session.click(&format!("{name}/{text}")).context("a choice")?;
                }
                session.expect_param(name, &text)?;
            }
        } else if ["Panic", "Cadence", "End"].contains(&name) {
            let place = session.middle(name)?;
            session.plugin.take_edits();
            session.desktop.move_to(place)?;
            session.desktop.button(Button::Left, true)?;
            expect_edit(&mut session, Edit::Set { id: param.id, value: 1.0 }).context("held")?;
            // The button has acted and is off again.
            session.expect_param(name, &text(&session, 0.0)?)?;
            session.desktop.button(Button::Left, false)?;
            expect_edit(&mut session, Edit::End { id: param.id }).context("let go")?;
        } else if param.num_steps == 1 {
            for value in [1.0 - param.default_normalised, param.default_normalised] {
                session.click(name)?;
                session.expect_param(name, &text(&session, value)?)?;
            }
        } else {
            drag_a_bar(&mut session, name).with_context(|| name.to_string())?;
        }
        if name == "Device" {
            session.click("Play")?;
        }
    }
    Ok(())
}

/// Waits for an edit that the editor makes.
fn expect_edit(session: &mut EditorSession, edit: Edit) -> Result<()> {
    session.until("an edit", |session| Ok(session.plugin.take_edits().contains(&edit).then_some(())))
}

/// A drag, a fine one, a double click, and a typed value.
fn drag_a_bar(session: &mut EditorSession, name: &str) -> Result<()> {
    let id = session.plugin.param_by_name(name)?.id;
    let default = session.plugin.param_by_name(name)?.default_normalised;
    let default_text = session.plugin.param_text(id, default)?;
    let [left, top, width, height] = session.place(name)?;
    let at = |share: f64| ((f64::from(left) + f64::from(width) * share) as i16, (top + height / 2) as i16);
    // Towards the farther end.
    let (from, to) = if default < 0.5 { (0.2, 0.7) } else { (0.8, 0.3) };
    let moved = session.until("a drag to move it", |session| {
        // A machine that draws more slowly than the hand moves sees a click, which changes nothing. So drag until it
        // sees one.
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
    // Type the top of the range as the plugin shows it, without the unit.
    let top_text = session.plugin.param_text(id, 1.0)?;
    session.desktop.click(at(0.5), Button::Right)?;
    session.place("Value field")?;
    let typed = top_text.split(' ').next().unwrap_or_default().to_lowercase();
    session.desktop.type_text(&typed)?;
    session.desktop.type_text("\n")?;
    session.expect_param(name, &top_text).context("a typed value")?;
    double_click(session, name, at(0.5)).context("the default again")
}

/// Double-clicks until the default is back. A slow machine may see two single clicks, which change nothing.
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
        // A key acts in the next frame.
        session.click("Light")?;
        session.place("Dark")?;
        session.click("Dark")?;
        session.place("Light")?;
        session.expect_param(name, after)?;
    }
    Ok(())
}

/// Waits until the editor has opened a folder.
fn expect_opened(session: &mut EditorSession, folder: &Path) -> Result<()> {
    let folder = folder.display().to_string();
    session.until("the folder to be shown", |_| {
        let opened = std::fs::read_to_string(opened_file()).unwrap_or_default();
        Ok((opened == folder).then_some(()))
    })?;
    Ok(std::fs::remove_file(opened_file())?)
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
    // It plays from a bar on, when the worker records the hash of what it has read.
    session.until("it to play", |session| {
        session.play(TUNE, 0.0, 5.0)?;
        session.stop()?;
        Ok(session.saved("weights")?["hash"].as_str().is_some_and(|hash| !hash.is_empty()).then_some(()))
    })?;
    std::fs::remove_dir_all(music_folder())?;
    Ok(())
}

/// Clicks on an entry of the style menu until the project has its path; a slow machine may miss a click.
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
        // The menu folds and unfolds in another frame.
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
    // Opening and leaving a folder that is named like a file does not change the weights.
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
    // The plugin tries it at the next bar line; the line with the problem then moves the figures up.
    session.until("the worker to report the problem", |session| {
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
    // The window opens again as it was, and so does the project in another instance.
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
    // Open files and threads. A window's thread ends a little after the window.
    let in_use = || Ok::<_, anyhow::Error>((num_entries("/proc/self/fd")?, num_entries("/proc/self/task")?));
    let mut before = in_use()?;
    let mut sizes = Vec::new();
    for round in 0..100 {
        session.open_editor()?;
        session.close_editor()?;
        session.until("its window to go", |session| {
            Ok((session.desktop.num_windows(Some(session.window))? == 0).then_some(()))
        })?;
        if round % 10 == 9 {
            sizes.push(resident_kib()?);
            let now = in_use()?;
            before = (before.0.min(now.0), before.1.min(now.1));
        }
    }
    println!("resident KiB after each ten: {sizes:?}; files and threads at the fewest: {before:?}");
    // The last window's thread may still be ending.
    session.until("no more windows than before", |session| {
        Ok((session.desktop.num_windows(None)? <= screen).then_some(()))
    })?;
    session.until("as few files and threads as there ever were", |_| {
        let now = in_use()?;
        Ok((now.0 <= before.0 && now.1 <= before.1).then_some(()))
    })?;
    // The graphics driver takes its memory in the first rounds. If each window leaked its pixels, the last fifty would
    // take 140 MiB.
    let grown = sizes[9].saturating_sub(sizes[4]);
    ensure!(grown < 64 * 1024, "expected memory to stay, got {grown} KiB more: {sizes:?}");
    Ok(())
}

fn num_entries(folder: &str) -> Result<usize> {
    Ok(std::fs::read_dir(folder)?.count())
}

unsafe extern "C" {
    /// Of glibc: returns freed memory to the system, from every arena.
    fn malloc_trim(pad: usize) -> i32;
}

/// The memory that this process uses, KiB, without freed memory: each window has a thread, and each thread may have an
/// arena of its own.
fn resident_kib() -> Result<u64> {
    // SAFETY: the function takes glibc's locks and touches only free memory.
    unsafe { malloc_trim(0) };
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a process has a size")?;
    Ok(line.trim_end_matches("kB").trim().parse()?)
}

#[test]
fn who_plays_all_four_voices_is_told_that_nothing_is_added() -> Result<()> {
    let mut session = EditorSession::open()?;
    session.play("0 72 1", 0.0, 0.5)?;
    session.place("Figures")?;
    ensure!(!session.places()?.contains_key("All four voices"));
    session.play("0 72 4, 0 67 4, 0 64 4, 0 48 4", 0.0, 2.0)?;
    session.place("All four voices")?;
    session.stop()
}
