//! Golden performances: what rng seed 1 plays in each shipped style, note by note. A change here changes what projects
//! play, so it needs a new behaviour version; `CONTINUO_BLESS=1` then stores it.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use continuo_model::config::NetworkConfig;
use continuo_model::weights_file::Weights;
use continuo_tests::fake_host::{Class, Format, HostConfig, HostedPlugin};
use continuo_tests::hands::Hands;
use continuo_tests::heard::{Heard, notes};
use continuo_tests::host_clock::{SAMPLE_RATE, STEP};
use continuo_tests::rack::{Blocks, Pace};
use continuo_tests::script::{Script, Stretch};
use continuo_tests::session::{choose, with_weights, without_expression};
use continuo_tests::{BLESS_VARIABLE, bundles, saved_state};

/// The last behaviour version with which line models cooled their rhythm. Their performances of then are kept as well.
const COOLED_RHYTHM: u32 = 3;
/// Where the transport starts, samples.
const START: u64 = 2 * STEP;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/golden")
}

/// The shipped styles, each with its modes: line models do not harmonise.
fn styles() -> Result<Vec<(String, Vec<&'static str>)>> {
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("../weights");
    let mut styles = Vec::new();
    for entry in std::fs::read_dir(weights)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            let is_line = matches!(Weights::read(&path)?.description.config, NetworkConfig::Line(_));
            let name = path.file_stem().context("a file has a name")?.to_string_lossy().into_owned();
            // Weights that the plugin does not ship have no name in projects.
            if name != "chorale-jsb16" {
                styles.push((name, if is_line { vec!["Continue"] } else { vec!["Continue", "Harmonise"] }));
            }
        }
    }
    styles.sort();
    ensure!(styles.len() >= 7, "expected seven styles, got {styles:?}");
    Ok(styles)
}

/// A legato tune of two bars to continue, or of eight to harmonise; twelve bars in all.
fn script(mode: &str) -> Script {
    let keys = [67, 69, 71, 72, 74, 72, 71, 69, 71, 72, 74, 76, 74, 71, 69, 67];
    let count = if mode == "Harmonise" { 32 } else { 8 };
    let tune: Vec<u8> = keys.iter().cycle().take(count).copied().collect();
    let stretches = vec![Stretch::stand(0.5), Stretch::play(0.0, 48.0), Stretch::stand(4.0)];
    Script { stretches, ..Script::default() }.hands(1, &Hands::tune(&tune, 0.0, 500.0, 15.0))
}

/// What a new project plays, or one that began with a behaviour version.
fn perform(style: &str, mode: &str, format: Format, behaviour: Option<u32>) -> Result<Vec<Heard>> {
    let mut plugin = HostedPlugin::load(&bundles::path(format), format, Class::NoteEffect)?;
    let state = plugin.save_state()?;
    let state = with_weights(format, &state, &format!("shipped:{style}"))?;
    let mut state = saved_state::read(format, &state)?;
    if let Some(version) = behaviour {
        saved_state::set_field(&mut state, "behaviour", &version.into());
    }
    plugin.load_state(&saved_state::write(format, &state))?;
    choose(&mut plugin, "Mode", mode)?;
    choose(&mut plugin, "Rng seed", "1")?;
    without_expression(&mut plugin)?;
    plugin.activate(HostConfig { sample_rate: SAMPLE_RATE, max_block_size: 512, offline: true })?;
    if format == Format::Vst3 {
        // Some wrappers pass on the process mode one activation late.
        plugin.activate(HostConfig { sample_rate: SAMPLE_RATE, max_block_size: 512, offline: true })?;
    }
    Ok(notes(&script(mode).run(&mut plugin, SAMPLE_RATE, Blocks::Of(512), Pace::Fast)?))
}

/// One line per note: bar, beat and 16th, samples after it if the note does not start there, voice, key, and length in
/// samples.
fn write_down(style: &str, mode: &str, notes: &[Heard]) -> String {
    let mut text = format!("{style}, {mode}, rng seed 1: bar.beat.16th+samples voice key samples\n");
    for note in notes {
        let (step, off) = ((note.start - START) / STEP, (note.start - START) % STEP);
        let place = format!("{}.{}.{}", step / 16 + 1, step / 4 % 4 + 1, step % 4 + 1);
        let place = if off > 0 { format!("{place}+{off}") } else { place };
        let voice = ["S", "A", "T", "B"].get(usize::from(note.channel)).copied().unwrap_or("?");
        text += &format!("{place} {voice} {} {}\n", note.key, note.length());
    }
    text
}

#[test]
fn every_style_plays_as_it_always_has() -> Result<()> {
    let bless = std::env::var_os(BLESS_VARIABLE).is_some();
    let mut performances = BTreeMap::new();
    for (style, modes) in styles()? {
        let is_line = modes.len() == 1;
        for mode in modes {
            for behaviour in std::iter::once(None).chain(is_line.then_some(Some(COOLED_RHYTHM))) {
                let notes = perform(&style, mode, Format::Clap, behaviour)?;
                let played = script(mode).happenings.len() / 2;
                let count = notes.len();
                ensure!(count > played + 20, "{style}, {mode}: only {count} notes, {played} of them played");
                let in_vst3 = perform(&style, mode, Format::Vst3, behaviour)?;
                ensure!(in_vst3 == notes, "{style}, {mode}: VST3 plays something else");
                let version = behaviour.map_or(String::new(), |version| format!("-behaviour-{version}"));
                let name = format!("{style}-{}{version}.txt", mode.to_lowercase());
                performances.insert(name, write_down(&style, mode, &notes));
            }
        }
    }
    // Each style has its own weights, so no two performances are the same.
    let mut by_notes: BTreeMap<&str, &str> = BTreeMap::new();
    // An old version may play a few bars of a style just like the new one.
    for (name, text) in performances.iter().filter(|(name, _)| !name.contains("-behaviour-")) {
        let (_, notes) = text.split_once('\n').context("expected a heading")?;
        if let Some(other) = by_notes.insert(notes, name) {
            anyhow::bail!("{other} and {name} are the same");
        }
    }
    if bless {
        std::fs::create_dir_all(folder())?;
        for (name, text) in &performances {
            std::fs::write(folder().join(name), text)?;
        }
    }
    compare(&performances)
}

fn compare(performances: &BTreeMap<String, String>) -> Result<()> {
    for (name, text) in performances {
        let path = folder().join(name);
        let stored = std::fs::read_to_string(&path)
            .with_context(|| format!("{}: expected a performance; {BLESS_VARIABLE}=1 stores one", path.display()))?;
        let differs = stored.lines().zip(text.lines()).position(|(stored, now)| stored != now);
        let differs = differs.or((stored != *text).then(|| stored.lines().count().min(text.lines().count())));
        if let Some(line) = differs {
            let line_of = |text: &str| text.lines().nth(line).unwrap_or("nothing").to_string();
            anyhow::bail!("{name}, line {}: stored `{}`, played `{}`", line + 1, line_of(&stored), line_of(text));
        }
    }
    for entry in std::fs::read_dir(folder())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        ensure!(performances.contains_key(&name), "{name}: a performance that nobody plays; delete it");
    }
    Ok(())
}
