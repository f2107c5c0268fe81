//! The program behind `cargo xtask bench --live`: counts how many answers a live host gets in time on a busy machine,
//! times its blocks, and checks that bounces of many instances are complete.

#![forbid(unsafe_code)]

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use continuo_tests::audio_thread;
use continuo_tests::bundles;
use continuo_tests::busy::Busy;
use continuo_tests::fake_host::{Class, EventKind, Format, HostConfig, HostedPlugin};
use continuo_tests::host_clock::{HostClock, SAMPLE_RATE};
use continuo_tests::live::{Verdict, quantile, tune};
use continuo_tests::rack::{self, Blocks, Pace, Run, Sent, Setup};
use continuo_tests::script::{Happening, Script, Stretch};
use continuo_tests::session::choose;
use continuo_tests::timeline::VOICE_NAMES;

/// Plays a tune like hands, in Harmonise, into one or several instances on one real-time audio thread.
#[derive(Parser)]
struct Options {
    /// Numbers of instances; several share the voices among them.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4])]
    instances: Vec<usize>,
    /// Block sizes, samples.
    #[arg(long, value_delimiter = ',', default_values_t = [64, 128, 256, 512, 1024, 2048])]
    blocks: Vec<usize>,
    /// Runs of each.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Threads of ordinary priority that keep the machine busy.
    #[arg(long, default_value_t = 1)]
    busy: usize,
    /// Notes of the tune; each is answered.
    #[arg(long, default_value_t = 34)]
    notes: usize,
    /// Length of a note, milliseconds.
    #[arg(long, default_value_t = 210.0)]
    note_ms: f64,
    /// Time from a note to its answer, milliseconds [default: the plugin's own]
    #[arg(long)]
    reply_delay_ms: Option<f64>,
    /// Plays into the VST3 bundle.
    #[arg(long)]
    vst3: bool,
    /// Bounces 16 and 64 instances instead, and compares every note with a bounce of one.
    #[arg(long)]
    bounce: bool,
}

/// How long the transport stands before and after the tune, beats.
const STANDS: f64 = 0.5;

fn main() -> Result<()> {
    let options = Options::parse();
    let script = script(&options);
    let busy = Busy::start(options.busy);
    println!("{}", describe(&options));
    let result = if options.bounce { bounces(&options, &script) } else { table(&options, &script) };
    drop(busy);
    result
}

fn describe(options: &Options) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let scheduling = audio_thread::run_in_real_time(|scheduling| scheduling);
    let Options { busy, notes, note_ms, .. } = options;
    format!("{cores} cores, {busy} busy threads, an audio thread {scheduling}; {notes} notes of {note_ms} ms at 48 kHz")
}

fn script(options: &Options) -> Script {
    let beats = (options.notes as f64 * options.note_ms / (1000.0 * HostClock::AT_120.seconds(1.0)) + 1.0).ceil();
    let stretches = vec![Stretch::stand(STANDS), Stretch::play(0.0, beats), Stretch::stand(STANDS)];
    Script { stretches, ..Script::default() }.hands(1, &tune(options.notes, options.note_ms))
}

/// Instances in Harmonise, ready to play.
fn load(
    options: &Options,
    count: usize,
    max_block_size: usize,
    offline: bool,
    bypass: bool,
) -> Result<Vec<HostedPlugin>> {
    let format = if options.vst3 { Format::Vst3 } else { Format::Clap };
    let one = |n: usize| -> Result<HostedPlugin> {
        let mut plugin = HostedPlugin::load(&bundles::path(format), format, Class::NoteEffect)?;
        choose(&mut plugin, "Mode", "Harmonise")?;
        if count > 1 {
            choose(&mut plugin, "Emit", VOICE_NAMES[n % VOICE_NAMES.len()])?;
        }
        if let Some(ms) = options.reply_delay_ms {
            plugin.set_param_by_name("Reply delay", ms / 50.0)?;
        }
        if bypass {
            choose(&mut plugin, "Bypass", "On")?;
        }
        plugin.activate(HostConfig { sample_rate: SAMPLE_RATE, max_block_size, offline })?;
        Ok(plugin)
    };
    (0..count).map(one).collect()
}

/// Renders of one instance for each voice, or of one for all: what is due.
fn renders(options: &Options, script: &Script, count: usize) -> Result<Vec<Sent>> {
    let setup = Setup { sample_rate: SAMPLE_RATE, blocks: Blocks::Of(512), pace: Pace::Fast };
    let mut plugins = load(options, if count > 1 { VOICE_NAMES.len() } else { 1 }, 512, true, false)?;
    let mut each = Vec::new();
    for plugin in &mut plugins {
        each.extend(rack::run(script, std::slice::from_mut(plugin), &setup)?.sent);
    }
    Ok(each)
}

/// One run on an audio thread with real-time priority.
fn run_live(script: &Script, plugins: &mut [HostedPlugin], block: usize) -> Result<Run> {
    let setup = Setup { sample_rate: SAMPLE_RATE, blocks: Blocks::Of(block), pace: Pace::Live };
    audio_thread::run_in_real_time(|_| rack::run(script, plugins, &setup))
}

fn table(options: &Options, script: &Script) -> Result<()> {
    println!(
        "{:>9} {:>6} {:>6} {:>18} {:>18} {:>18} {:>8} {:>26} {:>5} {:>26}",
        "instances",
        "block",
        "due",
        "on time",
        "late",
        "missed",
        "median",
        "calls ms: p50 p99.9 max",
        "over",
        "bypassed: p50 p99.9 max"
    );
    for &count in &options.instances {
        let renders = renders(options, script, count)?;
        for &block in &options.blocks {
            println!("{}", row(options, script, &renders, (count, block))?);
        }
    }
    println!("due, on time, late, missed: answers of all runs; median: of the runs' shares of missed answers, %;");
    println!("over: blocks whose calls took longer than a quarter of the block and 1 ms");
    Ok(())
}

/// All runs of one number of instances and one block size.
fn row(options: &Options, script: &Script, renders: &[Sent], (count, block): (usize, usize)) -> Result<String> {
    let played = played(script);
    let mut all = Verdict::default();
    let (mut misses, mut times) = (Vec::new(), Vec::new());
    for _ in 0..options.runs {
        let mut plugins = load(options, count, block, false, false)?;
        let run = run_live(script, &mut plugins, block)?;
        let judge = |(n, live): (usize, &Sent)| Verdict::of(live, &renders[n % renders.len()], &played, SAMPLE_RATE);
        let verdict = run.sent.iter().enumerate().map(judge).fold(Verdict::default(), Verdict::and);
        misses.push(verdict.percent(verdict.missed));
        all = all.and(verdict);
        times.extend(run.block_times);
    }
    misses.sort_by(f64::total_cmp);
    let bypassed = {
        let mut plugins = load(options, count, block, false, true)?;
        run_live(script, &mut plugins, block)?.block_times
    };
    let quarter = Duration::from_secs_f64(0.25 * block as f64 / SAMPLE_RATE) + Duration::from_millis(1);
    let over = times.iter().filter(|time| **time > quarter).count();
    let cell = |number: usize| format!("{number} ({:.1} %)", all.percent(number));
    let median = misses.get(misses.len() / 2).copied().unwrap_or_default();
    let mut line = format!(
        "{count:>9} {block:>6} {:>6} {:>18} {:>18} {:>18} {median:>8.1}",
        all.due,
        cell(all.on_time),
        cell(all.late),
        cell(all.missed)
    );
    line += &format!(" {:>26} {over:>5} {:>26}", spread(times), spread(bypassed));
    if all.strange > 0 {
        line += &format!("  {} notes that the render lacks", all.strange);
    }
    Ok(line)
}

fn spread(mut times: Vec<Duration>) -> String {
    let ms = [0.5, 0.999, 1.0].map(|share| quantile(&mut times, share).as_secs_f64() * 1e3);
    format!("{:.2} {:.2} {:.2}", ms[0], ms[1], ms[2])
}

/// The samples and keys of what the hands play.
fn played(script: &Script) -> Vec<(u64, u8)> {
    let start = script.bounds(SAMPLE_RATE)[1] as i64;
    let starts = script.happenings.iter().filter_map(|(_, beats, happening)| match happening {
        Happening::InOrder(EventKind::NoteOn { key, .. }) => {
            Some(((start + HostClock::AT_120.to_samples(*beats)) as u64, *key))
        }
        _ => None,
    });
    starts.collect()
}

/// Renders sixteen and sixty-four instances, with and without the host's offline flag.
fn bounces(options: &Options, script: &Script) -> Result<()> {
    let renders = renders(options, script, 4)?;
    let events: usize = renders.iter().map(Vec::len).sum();
    ensure!(events > 4 * options.notes, "expected answers, got {events} events");
    for says_offline in [true, false] {
        for count in [16, 64] {
            let mut plugins = load(options, count, 512, says_offline, false)?;
            let setup = Setup { sample_rate: SAMPLE_RATE, blocks: Blocks::Of(512), pace: Pace::Fast };
            let clock = std::time::Instant::now();
            let run = audio_thread::run(|| rack::run(script, &mut plugins, &setup)).context("a bounce")?;
            let seconds = clock.elapsed().as_secs_f64();
            let of_instance = |n: usize| &renders[n % renders.len()];
            let wrong: Vec<usize> = (0..count).filter(|&n| run.sent[n] != *of_instance(n)).collect();
            let expected: usize = (0..count).map(|n| starts(of_instance(n))).sum();
            let got: usize = run.sent.iter().map(starts).sum();
            println!(
                "{count} instances, the host {}: {got} of {expected} notes in {seconds:.1} s for {:.1} s of music, \
                 {} instances differ {wrong:?}",
                if says_offline { "declares a render" } else { "declares nothing" },
                *script.bounds(SAMPLE_RATE).last().unwrap_or(&0) as f64 / SAMPLE_RATE,
                wrong.len()
            );
        }
    }
    Ok(())
}

fn starts(sent: &Sent) -> usize {
    sent.iter().filter(|(_, kind)| matches!(kind, EventKind::NoteOn { .. })).count()
}
