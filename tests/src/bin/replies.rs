//! The program behind `cargo xtask bench --replies`: how long after a note its answer leaves the plugin, what `process`
//! costs meanwhile, how many instances one core carries, and how soon after its library is opened a plugin plays.

#![forbid(unsafe_code)]

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use continuo_tests::audio_thread;
use continuo_tests::bundles;
use continuo_tests::busy::Busy;
use continuo_tests::fake_host::{Class, Event, EventKind, Format, HostConfig, HostedPlugin};
use continuo_tests::host_clock::{HostClock, SAMPLE_RATE};
use continuo_tests::pace::{Pace, Pacer};
use continuo_tests::session::choose;
use hdrhistogram::Histogram;

/// Measures a live host's answers in Harmonise: each note of each instance comes after a silence, so all parts answer.
#[derive(Parser)]
struct Options {
    /// Notes of all instances together.
    #[arg(long, default_value_t = 10_000)]
    notes: usize,
    /// Block sizes, samples.
    #[arg(long, value_delimiter = ',', default_values_t = [64, 512])]
    blocks: Vec<usize>,
    /// Instances, which play one after the other.
    #[arg(long, default_value_t = 8)]
    instances: usize,
    /// Threads of ordinary priority that keep the machine busy [default: as many as it has cores]
    #[arg(long)]
    busy: Option<usize>,
    /// Numbers of instances to try on one core. Each plays a note every half second, as at 120 bpm.
    #[arg(long, value_delimiter = ',', default_values_t = [16, 32, 64, 96, 128])]
    on_one_core: Vec<usize>,
    /// Plays into the VST3 bundle.
    #[arg(long)]
    vst3: bool,
    /// In a child process: opens the bundle, plays a block, and prints how long that took.
    #[arg(long, hide = true)]
    open: bool,
}

/// At 300 bpm a step lasts 50 ms, and each note falls into a step of its own.
const CLOCK: HostClock = HostClock { sample_rate: SAMPLE_RATE, tempo_bpm: 300.0 };
/// From a note of an instance to its next, ms: two steps and a little, so that notes fall anywhere in a step.
const PERIOD_MS: f64 = 101.0;
/// How long a key is held, ms.
const HELD_MS: f64 = 55.0;
/// *Reply delay* on one core, ms: the plugin's default.
const DELAY_MS: f64 = 25.0;
/// How often a bundle is opened.
const OPENINGS: usize = 20;

fn main() -> Result<()> {
    let options = Options::parse();
    let format = if options.vst3 { Format::Vst3 } else { Format::Clap };
    if options.open {
        return open(format);
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let busy = options.busy.unwrap_or(cores);
    let scheduling = audio_thread::run_in_real_time(|scheduling| scheduling);
    println!("{cores} cores, {busy} busy threads, an audio thread {scheduling}; {format}, 48 kHz");
    println!("Reply delay 0 ms, {} bpm, a note of each instance every {PERIOD_MS} ms\n", CLOCK.tempo_bpm);
    println!("| block | instances | notes | answered in the same block | ms: p50 | p99 | p99.9 | worst | unanswered |");
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut costs = Vec::new();
    for &block in &options.blocks {
        let _busy = Busy::start(busy);
        let (instances, clock) = (options.instances, CLOCK);
        let (period_ms, held_ms) = (PERIOD_MS, HELD_MS);
        let jam = Jam { format, block, instances, clock, period_ms, held_ms, delay_ms: 0.0 };
        let played = jam.play(options.notes)?;
        println!("{}", played.row(&jam));
        costs.push((block, played));
    }
    println!("\n| block | `process` of an instance, us | p50 | p99 | p99.9 | worst |\n|---|---|---|---|---|---|");
    for (block, played) in &costs {
        for (name, times) in [("without a note", &played.idle), ("with a note", &played.with_note)] {
            println!("| {block} | {name} | {} |", quantiles(times, 1e3, &[0.5, 0.99, 0.999, 1.0]));
        }
    }
    println!("\nLibrary opened to the first block done, {OPENINGS} processes:");
    openings()?;
    on_one_core(&options.on_one_core, format)
}

/// Instances that play in turn.
struct Jam {
    format: Format,
    block: usize,
    instances: usize,
    clock: HostClock,
    /// From a note of an instance to its next.
    period_ms: f64,
    held_ms: f64,
    /// *Reply delay*.
    delay_ms: f64,
}

/// What a jam has measured; nanoseconds.
struct Played {
    /// From the start of the `process` call that brings a note to the end of the one that sends the first note of its
    /// answer.
    answers: Histogram<u64>,
    /// Answers in the call that brought the note.
    at_once: usize,
    /// Notes of whose answer nothing had sounded when the next note came.
    unanswered: usize,
    /// Answers that went out after the sample on which they were due.
    late: usize,
    /// The durations of `process` calls.
    idle: Histogram<u64>,
    with_note: Histogram<u64>,
    /// How late the latest block began.
    latest: Duration,
}

impl Jam {
    fn load(&self) -> Result<Vec<HostedPlugin>> {
        let one = |_| {
            let mut plugin = HostedPlugin::load(&bundles::path(self.format), self.format, Class::NoteEffect)?;
            choose(&mut plugin, "Mode", "Harmonise")?;
            plugin.set_param_by_name("Reply delay", self.delay_ms / 50.0)?;
            plugin.activate(HostConfig { sample_rate: SAMPLE_RATE, max_block_size: self.block, offline: false })?;
            Ok(plugin)
        };
        (0..self.instances).map(one).collect()
    }

    fn play(&self, notes: usize) -> Result<Played> {
        let mut plugins = self.load()?;
        audio_thread::run_in_real_time(|_| self.run(&mut plugins, notes.div_ceil(self.instances)))
    }

    /// Lets each instance play so many notes.
    fn run(&self, plugins: &mut [HostedPlugin], notes: usize) -> Result<Played> {
        let histogram = || Histogram::new_with_bounds(1, 60_000_000_000, 3);
        let mut played = Played {
            answers: histogram()?,
            at_once: 0,
            unanswered: 0,
            late: 0,
            idle: histogram()?,
            with_note: histogram()?,
            latest: Duration::ZERO,
        };
        let samples = |ms: f64| (ms * 1e-3 * SAMPLE_RATE) as usize;
        let (period, held) = (samples(self.period_ms), samples(self.held_ms));
        let delay = (self.delay_ms * 1e-3 * SAMPLE_RATE).round() as usize;
        // A second of silence first, and time for the last answers.
        let end = samples(1000.0) + (notes + 1) * period;
        // When a note came, and on which sample.
        let mut waiting: Vec<Option<(Instant, usize)>> = vec![None; plugins.len()];
        let pacer = Pacer::start(Pace::Live);
        let mut pos = 0;
        while pos < end {
            let transport = self.clock.transport(true, pos as i64);
            for (n, (plugin, waiting)) in plugins.iter_mut().zip(&mut waiting).enumerate() {
                let first = samples(1000.0) + n * period / self.instances;
                let events = events((pos, self.block), first, period, held, notes);
                let note = events.iter().find(|event| matches!(event.kind, EventKind::NoteOn { .. }));
                let start = Instant::now();
                if let Some(note) = note {
                    played.unanswered += usize::from(waiting.is_some());
                    *waiting = Some((start, pos + note.timing as usize));
                }
                let block = plugin.process(self.block, Some(&transport), &events, &[])?;
                let duration = start.elapsed();
                let times = if note.is_some() { &mut played.with_note } else { &mut played.idle };
                times.record(duration.as_nanos() as u64)?;
                let answers = |event: &&Event| matches!(event.kind, EventKind::NoteOn { channel, .. } if channel > 0);
                if let Some(answer) = block.events.iter().find(answers)
                    && let Some((since, sample)) = waiting.take()
                {
                    played.answers.record((start + duration - since).as_nanos() as u64)?;
                    played.at_once += usize::from(since == start);
                    played.late += usize::from(pos + answer.timing as usize > sample + delay);
                }
            }
            pos += self.block;
            let late = pacer.wait(Duration::from_secs_f64(pos as f64 / SAMPLE_RATE));
            played.latest = played.latest.max(late);
        }
        played.unanswered += waiting.iter().flatten().count();
        Ok(played)
    }
}

/// The events of a block: keys that are struck every `period` samples from `first` on, each for `held`.
fn events((pos, frames): (usize, usize), first: usize, period: usize, held: usize, notes: usize) -> Vec<Event> {
    let mut events = Vec::new();
    let key = |n: usize| [67, 69, 71, 72, 74, 72, 71, 69][n % 8];
    let from = pos.saturating_sub(first + held) / period;
    for n in from..notes.min(from + 2 + frames / period) {
        let on = first + n * period;
        let note = [
            (on, EventKind::NoteOn { channel: 0, key: key(n), velocity: 0.7 }),
            (on + held, EventKind::NoteOff { channel: 0, key: key(n), velocity: 0.0 }),
        ];
        let inside = note.into_iter().filter(|(at, _)| (pos..pos + frames).contains(at));
        events.extend(inside.map(|(at, kind)| Event { timing: (at - pos) as u32, kind }));
    }
    events.sort_by_key(|event| event.timing);
    events
}

/// Quantiles in a unit of so many nanoseconds, as cells of a table.
fn quantiles(times: &Histogram<u64>, unit: f64, shares: &[f64]) -> String {
    let of = |share: &f64| format!("{:.2}", times.value_at_quantile(*share) as f64 / unit);
    shares.iter().map(of).collect::<Vec<_>>().join(" | ")
}

impl Played {
    fn row(&self, jam: &Jam) -> String {
        let notes = self.answers.len() as usize + self.unanswered;
        let at_once = 100.0 * self.at_once as f64 / notes.max(1) as f64;
        let times = quantiles(&self.answers, 1e6, &[0.5, 0.99, 0.999, 1.0]);
        let Jam { block, instances, .. } = jam;
        format!("| {block} | {instances} | {notes} | {at_once:.1} % | {times} | {} |", self.unanswered)
    }
}

/// Opens the bundle in this process and plays a block.
fn open(format: Format) -> Result<()> {
    let start = Instant::now();
    let mut plugin = HostedPlugin::load(&bundles::path(format), format, Class::NoteEffect)?;
    plugin.activate(HostConfig { sample_rate: SAMPLE_RATE, max_block_size: 512, offline: false })?;
    plugin.process(512, Some(&CLOCK.transport(true, 0)), &[], &[])?;
    println!("{}", start.elapsed().as_secs_f64() * 1e3);
    Ok(())
}

/// Opens the bundles in processes of their own.
fn openings() -> Result<()> {
    println!("\n| format | ms: p50 | worst |\n|---|---|---|");
    for format in Format::BOTH {
        let mut times = Vec::new();
        for _ in 0..OPENINGS {
            let mut child = Command::new(std::env::current_exe()?);
            child.arg("--open").args((format == Format::Vst3).then_some("--vst3"));
            let output = child.output()?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            times.push(String::from_utf8_lossy(&output.stdout).trim().parse::<f64>().context("a time")?);
        }
        times.sort_by(f64::total_cmp);
        println!("| {format} | {:.1} | {:.1} |", times[OPENINGS / 2], times[OPENINGS - 1]);
    }
    Ok(())
}

/// Plays ever more instances on one core, for 20 seconds each.
fn on_one_core(counts: &[usize], format: Format) -> Result<()> {
    if let Err(why) = stay_on_one_core() {
        println!("\nInstances on one core: not measured ({why})");
        return Ok(());
    }
    println!(
        "\nInstances on one core, in each a note of 420 ms every half second, Reply delay 25 ms, blocks of 512:\n"
    );
    println!(
        "| instances | notes | ms: p50 | p99 | worst | late | unanswered | latest block, ms |\n\
         |---|---|---|---|---|---|---|---|"
    );
    for &instances in counts {
        let (clock, period_ms, held_ms) = (HostClock::AT_120, 500.0, 420.0);
        let jam = Jam { format, block: 512, instances, clock, period_ms, held_ms, delay_ms: DELAY_MS };
        let played = jam.play(40 * instances)?;
        let times = quantiles(&played.answers, 1e6, &[0.5, 0.99, 1.0]);
        let Played { late, unanswered, .. } = played;
        let (notes, latest) = (played.answers.len() as usize + unanswered, played.latest.as_secs_f64() * 1e3);
        println!("| {instances} | {notes} | {times} | {late} | {unanswered} | {latest:.1} |");
    }
    Ok(())
}

/// Restricts this thread, and those that it starts, to the core on which it runs.
#[cfg(target_os = "linux")]
fn stay_on_one_core() -> Result<()> {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let allowed = sched_getaffinity(None)?;
    let Some(core) = (0..CpuSet::MAX_CPU).rev().find(|core| allowed.is_set(*core)) else { bail!("no core is allowed") };
    let mut one = CpuSet::new();
    one.set(core);
    Ok(sched_setaffinity(None, &one)?)
}

#[cfg(not(target_os = "linux"))]
fn stay_on_one_core() -> Result<()> {
    bail!("this system cannot keep a program on one core")
}
