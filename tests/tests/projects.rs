//! Projects as hosts save and load them: recordings stay, settings are replaced, weights are found again.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, ensure};
use continuo_model::weights_file::Weights;
use continuo_tests::bundles;
use continuo_tests::fake_host::{Class, EventKind, Format, HostConfig, HostedPlugin};
use continuo_tests::host_clock::{BEAT, SAMPLE_RATE};
use continuo_tests::saved_state::{self, field, read, set_field, write};
use continuo_tests::script::{Blocks, Happening, Pace, Script, Sent, Stretch};
use continuo_tests::session::{MAX_BLOCK, choose, starts, without_expression};
use serde_json::{Value, json};

/// One test at a time: some of them change the process's environment, which the plugin reads.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An active instance that renders offline: what it answers is complete, however busy the machine.
fn effect(format: Format) -> Result<HostedPlugin> {
    let mut plugin = HostedPlugin::load(&bundles::path(format), format, Class::NoteEffect)?;
    activate(&mut plugin)?;
    Ok(plugin)
}

fn activate(plugin: &mut HostedPlugin) -> Result<()> {
    let config = HostConfig { sample_rate: SAMPLE_RATE, max_block_size: MAX_BLOCK, offline: true };
    // Twice, as the VST3 wrapper may pass on the process mode one activation late.
    plugin.activate(config)?;
    plugin.activate(config)
}

/// What a host would save now.
fn saved(plugin: &mut HostedPlugin, format: Format) -> Result<Value> {
    read(format, &plugin.save_state()?)
}

/// Plays one note for a beat, from a start of the transport to its stop.
fn play(plugin: &mut HostedPlugin, key: u8) -> Result<Sent> {
    let script = Script { stretches: vec![Stretch::play(0.0, 2.0), Stretch::stand(1.0)], ..Script::default() };
    script.notes(0, &format!("0 {key} 1")).run(plugin, SAMPLE_RATE, Blocks::Of(512), Pace::Fast)
}

/// The takes' numbers, each with the first key that was played in it.
fn takes(state: &Value) -> Result<Vec<(u64, u64)>> {
    let takes = field(state, "take")?;
    let starts = takes["starts"].as_array().context("expected starts")?;
    let notes = takes["notes"].as_array().context("expected notes")?;
    let of_player = |note: &&Value| note[0].as_u64() < Some(16);
    let take = |start: &Value| {
        let first = start["first_note"].as_u64()? as usize;
        Some((start["number"].as_u64()?, notes[first..].iter().find(of_player)?[1].as_u64()?))
    };
    starts.iter().map(|start| take(start).context("expected a number and a note")).collect()
}

#[test]
fn a_preset_and_an_undo_change_settings_alone() -> Result<()> {
    let _alone = alone();
    for format in Format::BOTH {
        let mut plugin = effect(format)?;
        play(&mut plugin, 67)?;
        let first = plugin.save_state()?;
        choose(&mut plugin, "Mode", "Continue")?;
        plugin.set_param_by_name("Temperature", 0.25)?;
        play(&mut plugin, 69)?;
        let second = saved(&mut plugin, format)?;
        ensure!(takes(&second)? == [(1, 67), (2, 69)], "{format}: {:?}", takes(&second)?);
        // The host undoes both changes.
        plugin.load_state(&first)?;
        let undone = saved(&mut plugin, format)?;
        ensure!(undone["params"] == read(format, &first)?["params"], "{format}: settings are those of the first state");
        for key in ["take", "seeds", "frozen", "look", "recording"] {
            ensure!(field(&undone, key)? == field(&second, key)?, "{format}: {key}");
        }
        // Then it redoes both, in a new instance from the first state: the takes of both are there.
        let mut again = effect(format)?;
        again.load_state(&first)?;
        ensure!(field(&saved(&mut again, format)?, "take")? == field(&read(format, &first)?, "take")?, "{format}");
        again.load_state(&write(format, &second))?;
        let redone = saved(&mut again, format)?;
        ensure!(redone["params"] == second["params"] && takes(&redone)?.len() == 2, "{format}: {:?}", takes(&redone)?);

        // Another instance has recorded something else, and loads this one's state as a preset.
        let mut other = effect(format)?;
        play(&mut other, 72)?;
        let mut preset = second.clone();
        preset["fields"]["look"] = r#"{"dark":false,"size_percent":125,"window":[1000.0,700.0]}"#.into();
        preset["fields"]["weights"] = r#"{"path":"shipped:folk","hash":""}"#.into();
        preset["fields"]["frozen"] = r#"{"version":1,"number":2,"notes":[[17,60,100,0,960]]}"#.into();
        preset["fields"]["seeds"] = "[5,6]".into();
        let before = saved(&mut other, format)?;
        other.load_state(&write(format, &preset))?;
        let after = saved(&mut other, format)?;
        ensure!(after["params"] == preset["params"], "{format}");
        ensure!(field(&after, "weights")?["path"] == "shipped:folk", "{format}");
        for key in ["take", "seeds", "frozen", "look", "recording"] {
            ensure!(field(&after, key)? == field(&before, key)?, "{format}: {key}");
        }
        // A new instance loads all of it.
        let mut new = effect(format)?;
        new.load_state(&write(format, &preset))?;
        let new = saved(&mut new, format)?;
        for key in ["take", "seeds", "frozen", "look", "recording"] {
            ensure!(field(&new, key)? == field(&preset, key)?, "{format}: {key}");
        }
    }
    Ok(())
}

#[test]
fn a_project_holds_all_that_went_out_before_it_was_saved() -> Result<()> {
    let _alone = alone();
    for format in Format::BOTH {
        let mut plugin = effect(format)?;
        // Notes that pass through without a request to the network, so the worker sleeps.
        plugin.set_param_by_name("Bypass", 1.0)?;
        for round in 1..=10 {
            let stretches = vec![Stretch::play(0.0, 4.0), Stretch::stand(0.1)];
            let mut script = Script { stretches, ..Script::default() };
            for step in 0..16 {
                script = script.notes(0, &format!("{} {} 0.25", f64::from(step) * 0.25, 60 + step));
            }
            let sent = script.run(&mut plugin, SAMPLE_RATE, Blocks::Of(8192), Pace::Fast)?;
            let state = saved(&mut plugin, format)?;
            let takes = field(&state, "take")?;
            let num_notes = takes["notes"].as_array().context("expected notes")?.len();
            ensure!((starts(&sent).len(), num_notes) == (16, 16 * round), "{format}, round {round}: {num_notes} notes");
        }
    }
    Ok(())
}

#[test]
fn what_is_generated_is_on_the_grid_in_the_project_and_tells_where_it_was_heard() -> Result<()> {
    let _alone = alone();
    for format in Format::BOTH {
        let mut plugin = effect(format)?;
        let delay = plugin.param_by_name("Reply delay")?;
        // 20 ms at 120 are 38.4 ticks.
        plugin.set_param_by_name("Reply delay", 0.4)?;
        without_expression(&mut plugin)?;
        ensure!(plugin.param_text(delay.id, 0.4)? == "20.0 ms");
        let script = Script { stretches: vec![Stretch::play(0.0, 8.0), Stretch::stand(1.0)], ..Script::default() };
        script.notes(0, "0 67 1, 1 69 1, 2 71 2, 4 72 1").run(&mut plugin, SAMPLE_RATE, Blocks::Of(512), Pace::Fast)?;
        let takes = field(&saved(&mut plugin, format)?, "take")?;
        let notes = takes["notes"].as_array().context("expected notes")?;
        let (generated, played): (Vec<_>, Vec<_>) = notes.iter().partition(|note| note[0].as_u64() > Some(15));
        ensure!(generated.len() > 10, "{format}: {notes:?}");
        for note in generated {
            ensure!(note[3].as_i64().is_some_and(|start| start % 240 == 0), "{format}: {note} is not on the grid");
            ensure!(note[5].as_i64() == Some(38), "{format}: {note} was heard 38 ticks later");
        }
        ensure!(played.iter().all(|note| note.as_array().is_some_and(|note| note.len() == 5)), "{format}: {played:?}");
    }
    Ok(())
}

#[test]
fn a_key_that_is_held_for_half_an_hour_leaves_a_small_project() -> Result<()> {
    let _alone = alone();
    for format in Format::BOTH {
        let mut plugin = effect(format)?;
        let beats = 3600.0;
        let stretches = vec![Stretch::play(0.0, beats), Stretch::stand(1.0)];
        let mut script = Script { stretches, ..Script::default() }.notes(0, &format!("0 67 {beats}"));
        // And a second hand that plays on.
        for n in 0..1800 {
            script = script.notes(0, &format!("{} {} 1", 1 + 2 * n, 40 + n % 12));
        }
        let sent = script.run(&mut plugin, SAMPLE_RATE, Blocks::Of(MAX_BLOCK), Pace::Fast)?;
        let state = plugin.save_state()?;
        let takes = field(&read(format, &state)?, "take")?;
        let notes = takes["notes"].as_array().context("expected notes")?;
        println!("{format}: {} notes of {}, {} bytes", notes.len(), starts(&sent).len(), state.len());
        ensure!(state.len() < 256 * 1024, "{format}: {} bytes", state.len());
        let last = (beats * 960.0) as i64;
        let is_kept = |note: &&Value| note[3].as_i64() >= Some(last - 257 * 960);
        ensure!(notes.iter().all(|note| is_kept(&note)), "{format}: {:?}", notes.iter().find(|note| !is_kept(note)));
        let held = notes.iter().find(|note| note[0].as_u64() < Some(16) && note[1] == 67);
        let held = held.with_context(|| format!("{format}: expected the held key"))?;
        ensure!(held[4].as_i64().is_some_and(|length| (200 * 960..=256 * 960).contains(&length)), "{format}: {held}");
    }
    Ok(())
}

#[test]
fn panic_acts_at_every_press_and_is_never_saved_as_on() -> Result<()> {
    let _alone = alone();
    for format in Format::BOTH {
        let mut plugin = effect(format)?;
        let buttons = ["Panic", "Cadence", "End"];
        let stretches = vec![Stretch::play(0.0, 12.0), Stretch::stand(1.0)];
        let mut script = Script { stretches, ..Script::default() }.notes(0, "0 67 2, 3 69 2, 6 71 2, 9 72 2");
        // A pad that always sends 1.
        for at in [1.5, 4.5, 7.5, 10.5] {
            script = script.with(0, at, Happening::Param("Panic".into(), 1.0));
            script = script.with(0, at + 0.3, Happening::Param("Cadence".into(), 1.0));
        }
        let sent = script.run(&mut plugin, SAMPLE_RATE, Blocks::Of(480), Pace::Fast)?;
        let sounding = |at: u64| {
            sent.iter().filter(|(when, _)| *when <= at).fold(0_i32, |sum, (_, kind)| match kind {
                EventKind::NoteOn { .. } => sum + 1,
                EventKind::NoteOff { .. } => sum - 1,
                _ => sum,
            })
        };
        for press in [1.5, 4.5, 7.5, 10.5] {
            let at = (press * BEAT as f64) as u64;
            ensure!(sounding(at - 1) >= 4 && sounding(at) == 0, "{format}: {} then {}", sounding(at - 1), sounding(at));
        }
        for button in buttons {
            let id = plugin.param_by_name(button)?.id;
            ensure!(plugin.param_value(id)? == 0.0, "{format}: {button} is off again");
        }
        // Also if the host saves before the next block, or sets the parameter in an inactive instance.
        let at_once = |plugin: &mut HostedPlugin| -> Result<Value> {
            for button in buttons {
                plugin.set_param_by_name(button, 1.0)?;
            }
            Ok(saved(plugin, format)?["params"].clone())
        };
        let mut inactive = HostedPlugin::load(&bundles::path(format), format, Class::NoteEffect)?;
        for params in [at_once(&mut plugin)?, at_once(&mut inactive)?] {
            let off = json!({ "bool": false });
            for id in ["panic", "cadenc", "end"] {
                ensure!(params[id] == off, "{format}: {params}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_project_of_version_0_1_0_loads_the_same_into_any_instance() -> Result<()> {
    let _alone = alone();
    for format in Format::BOTH {
        let state = saved_state::of_version_0_1_0(format)?;
        let old = read(format, &state)?;
        let mut plugin = effect(format)?;
        plugin.load_state(&state)?;
        let first = saved(&mut plugin, format)?;
        for (id, value) in old["params"].as_object().context("expected parameters")? {
            ensure!(first["params"][id] == *value, "{format}: {id}");
        }
        for key in ["take", "seeds", "frozen", "look"] {
            ensure!(field(&first, key)? == field(&old, key)?, "{format}: {key}");
        }
        ensure!(field(&first, "weights")?["path"] == field(&old, "weights")?["path"], "{format}");
        ensure!(field(&first, "behaviour")? == 1, "{format}: it goes on behaving as it did");
        // An instance with other settings, including parameters that 0.1.0 did not have.
        let mut other = effect(format)?;
        for param in other.params() {
            if !["Panic", "Cadence", "End", "Bypass"].contains(&param.name.as_str()) {
                other.set_param_by_name(&param.name, 1.0 - param.default_normalised)?;
            }
        }
        play(&mut other, 67)?;
        ensure!(saved(&mut other, format)?["params"] != first["params"], "{format}");
        ensure!(field(&saved(&mut other, format)?, "behaviour")? == 4, "{format}");
        other.load_state(&state)?;
        let second = saved(&mut other, format)?;
        ensure!(second["params"] == first["params"], "{format}: {} and {}", second["params"], first["params"]);
        ensure!(takes(&second)? == [(1, 67)], "{format}: it keeps its own takes");
        // As 0.1.0 saved it while the button was held.
        let mut held = old.clone();
        held["params"]["panic"] = json!({ "bool": true });
        other.load_state(&write(format, &held))?;
        ensure!(saved(&mut other, format)?["params"] == first["params"], "{format}");
    }
    Ok(())
}

/// This process's folder for clips and weights, and its report file.
struct Elsewhere {
    folder: PathBuf,
    report: PathBuf,
}

impl Elsewhere {
    /// A folder of the player's weights that holds these shipped files under these names.
    fn with(files: &[(&str, &str)]) -> Result<Self> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("projects_{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("Weights"))?;
        for (shipped, name) in files {
            std::fs::copy(shipped_file(shipped), folder.join("Weights").join(name))?;
        }
        let report = folder.join("report.json");
        // SAFETY: tests of this file run one at a time, and no plugin is loaded whose threads could read it now.
        unsafe {
            std::env::set_var("CONTINUO_CLIPS", &folder);
            std::env::set_var("CONTINUO_REPORT", &report);
        }
        Ok(Self { folder, report })
    }

    fn weights(&self, name: &str) -> String {
        self.folder.join("Weights").join(name).display().to_string()
    }

    /// Opens a project that names these weights and saves it again. Returns which weights played, the problem reported,
    /// and the saved choice.
    fn open(&self, format: Format, weights: &Value) -> Result<(String, String, Value)> {
        let mut plugin = HostedPlugin::load(&bundles::path(format), format, Class::NoteEffect)?;
        let mut state = saved(&mut plugin, format)?;
        set_field(&mut state, "weights", weights);
        plugin.load_state(&write(format, &state))?;
        activate(&mut plugin)?;
        let sent = play(&mut plugin, 67)?;
        ensure!(starts(&sent).len() > 1, "{format}: it plays, whatever was found");
        let saved = field(&saved(&mut plugin, format)?, "weights")?;
        drop(plugin);
        let report: Value = serde_json::from_slice(&std::fs::read(&self.report)?)?;
        let word = |key: &str| report[key].as_str().unwrap_or_default().to_string();
        Ok((word("style"), word("problem"), saved))
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe {
            std::env::remove_var("CONTINUO_CLIPS");
            std::env::remove_var("CONTINUO_REPORT");
            std::env::remove_var("CONTINUO_WEIGHTS");
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn shipped_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../weights").join(format!("{name}.safetensors"))
}

/// The name of weights in menus.
fn style(name: &str) -> Result<String> {
    Ok(Weights::read(&shipped_file(name))?.description.name)
}

#[test]
fn weights_of_another_machine_are_found_by_name_and_by_their_bytes() -> Result<()> {
    let _alone = alone();
    let elsewhere = Elsewhere::with(&[("chorale", "mine.safetensors"), ("bach", "renamed.safetensors")])?;
    let hash = |name: &str| -> Result<Value> {
        let named = elsewhere.open(Format::Clap, &json!({ "path": elsewhere.weights(name), "hash": "" }))?;
        ensure!(named.1.is_empty(), "{}", named.1);
        Ok(named.2["hash"].clone())
    };
    let (mine, renamed) = (hash("mine.safetensors")?, hash("renamed.safetensors")?);
    let (chorale, bach) = (style("chorale")?, style("bach")?);
    for format in Format::BOTH {
        for (path, hash, plays, says) in [
            ("/Volumes/Music/Continuo/Weights/mine.safetensors", &mine, &chorale, ""),
            (r"D:\Music\Continuo\Weights\mine.safetensors", &mine, &chorale, ""),
            ("/no/such/old name.safetensors", &mine, &chorale, ""),
            ("/no/such/mine.safetensors", &renamed, &chorale, "another file"),
            (
                "/no/such/old name.safetensors",
                &json!("0123456789abcdef"),
                &bach,
                "old name.safetensors: cannot be opened",
            ),
        ] {
            let weights = json!({ "path": path, "hash": hash });
            let (style, problem, saved) = elsewhere.open(format, &weights)?;
            ensure!(style == *plays, "{format}, {path}: {style} plays");
            ensure!(if says.is_empty() { problem.is_empty() } else { problem.contains(says) }, "{format}: {problem}");
            ensure!(saved == weights, "{format}: the project names {saved}");
        }
    }
    Ok(())
}

#[test]
fn weights_of_the_environment_play_and_are_not_saved() -> Result<()> {
    let _alone = alone();
    let elsewhere = Elsewhere::with(&[("bach", "own.safetensors")])?;
    for format in Format::BOTH {
        let project = json!({ "path": "shipped:bach", "hash": "" });
        let (plays, _, own) = elsewhere.open(format, &project)?;
        ensure!(plays == style("bach")?, "{format}: {plays}");
        // SAFETY: as above.
        unsafe { std::env::set_var("CONTINUO_WEIGHTS", shipped_file("chorale")) };
        for project in [own, json!({ "path": elsewhere.weights("own.safetensors"), "hash": "0123456789abcdef" })] {
            let (plays, _, saved) = elsewhere.open(format, &project)?;
            ensure!(plays == style("chorale")?, "{format}: {plays} plays");
            ensure!(saved == project, "{format}: the project keeps its own choice, got {saved}");
        }
        // SAFETY: as above.
        unsafe { std::env::remove_var("CONTINUO_WEIGHTS") };
    }
    Ok(())
}
